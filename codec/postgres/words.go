package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// words are reasons to look at the state of a server's session after a client's work, and hints on
// what a statement's text holds. The first ones are the sections of a look (look.go).
type words uint32

const (
	wordSettings words = 1 << iota // settings, role and session user
	wordLocks                      // advisory locks that outlive their transaction
	wordTemp                       // temporary tables and other things in pg_temp
	wordCursors                    // cursors WITH HOLD
	wordPrepared                   // statements by SQL's PREPARE
	wordListen                     // channels listened to
	wordSequence                   // currval or lastval is called: they speak of the session's past
	wordExecute                    // the word EXECUTE
	wordUnsure                     // settings are changed whose names can't be told
	wordParams                     // names of settings come in parameters
	wordNamed                      // settings that plain statements have named; see look_named.go
	wordDraws                      // nextval is called

	// wordLook are the sections of a look.
	wordLook = wordSettings | wordNamed | wordLocks | wordTemp | wordCursors | wordPrepared | wordListen
	// wordAny is for text that may hold anything.
	wordAny = wordLook | wordSequence | wordExecute | wordDraws
)

// watched are the words that say more of a statement than the tag of its answer does. Any schema may
// stand before them. The functions are those of
// https://www.postgresql.org/docs/current/functions-admin.html (set_config, advisory locks) and
// https://www.postgresql.org/docs/current/functions-sequence.html; an update of the view pg_settings
// is a SET: https://www.postgresql.org/docs/current/view-pg-settings.html.
//
// middle are the letters that tell of the word's presence; see wordSet. They are chosen so that their
// pairs are rare.
var watched = []struct {
	word, middle string
	says         words
}{
	{"set_config", "nfig", wordSettings},
	{"pg_settings", "pg_s", wordSettings},
	{"pg_advisory_lock", "dvis", wordLocks},
	{"pg_advisory_lock_shared", "dvis", wordLocks},
	{"pg_advisory_unlock", "dvis", wordLocks},
	{"pg_advisory_unlock_all", "dvis", wordLocks},
	{"pg_advisory_unlock_shared", "dvis", wordLocks},
	{"pg_try_advisory_lock", "dvis", wordLocks},
	{"pg_try_advisory_lock_shared", "dvis", wordLocks},
	{"temp", "temp", wordTemp}, // and in pg_temp
	{"temporary", "temp", wordTemp},
	{"hold", "hold", wordCursors},
	{"currval", "rrva", wordSequence},
	{"lastval", "stva", wordSequence},
	{"nextval", "xtva", wordDraws},
	{"execute", "cute", wordExecute},
}

// functionWords tells what a function that is called by its OID may do to the session. Those of the server's
// own functions are the same in all versions (pg_proc.dat); from firstOwnOID on they are users'.
//
// https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT
func functionWords(oid uint32) words {
	const firstOwnOID = 16384
	switch {
	case oid == 2078: // set_config
		return wordSettings | wordUnsure
	case 2880 <= oid && oid <= 2892: // pg_advisory_lock, its relatives and their ends
		return wordLocks
	case oid == 1575 || oid == 2559: // currval, lastval
		return wordSequence
	case oid >= firstOwnOID:
		return wordLook
	}
	return 0
}

// watchedPrefix begins the names of schemas for temporary things, pg_temp and pg_temp_3.
const watchedPrefix = "pg_temp"

// wordSet is a set of words to watch for. It is not changed once made.
//
// A text is not taken apart into words. It is looked at in every third place: is there a pair of
// letters there that a watched word has in its middle? Each word has three such pairs in a row, so that
// one of them is met. They are chosen to be rare, and only there the word around is looked at.
type wordSet struct {
	pairs [32]uint32          // for the first letter of a pair, a bit for each second one; see letterBit
	every bool                // there are words too short for that: each word is looked at
	words [maxName + 1][]says // by length
}

// says is what a word stands for.
type says struct {
	word string // in lower case
	what words
}

// pairStep is the distance of the places, and the number of pairs in a row for a word; so many letters
// and one has the shortest word.
const pairStep = 3

// letterBit is the bit of a letter, upper and lower case alike. Other bytes share the bits of letters:
// they cost a second look.
func letterBit(c byte) uint32 { return 1 << (c & 31) }

// letters in the order of their frequency in statements, roughly.
const letters = "etaonisrlcdupmhgb_fywvkxjqz"

// builtinWords are the watched words alone.
var builtinWords = newWordSet(nil)

// newWordSet adds names of functions after which everything has to be looked at. Of a name with a
// schema only the last part counts.
func newWordSet(functions []string) *wordSet {
	s := &wordSet{}
	for _, w := range watched {
		s.put(w.word, w.middle, w.says)
	}
	s.putFunctions(functions, wordLook|wordUnsure)
	return s
}

// putFunctions adds names of functions, by the last part of each.
func (s *wordSet) putFunctions(functions []string, what words) {
	for _, f := range functions {
		f = strings.Trim(f[strings.LastIndexByte(f, '.')+1:], `" `)
		if len(f) > maxName {
			f = f[:maxName]
		}
		if f != "" {
			f = strings.Map(lowerRune, f)
			s.put(f, middleOf(f), what)
		}
	}
}

// put adds a word. Without a middle, it is too short to have one.
func (s *wordSet) put(word, middle string, what words) {
	s.words[len(word)] = append(s.words[len(word)], says{word, what})
	s.every = s.every || middle == ""
	for i := 0; i+1 < len(middle); i++ {
		s.pairs[middle[i]&31] |= letterBit(middle[i+1])
	}
}

// middleOf chooses those letters of a word whose pairs are the rarest.
func middleOf(word string) (middle string) {
	best := 0
	for i := 0; i+pairStep < len(word); i++ {
		cost := 0
		for j := i; j < i+pairStep; j++ {
			cost += frequency(word[j]) * frequency(word[j+1])
		}
		if middle == "" || cost < best {
			best, middle = cost, word[i:i+pairStep+1]
		}
	}
	return middle
}

// frequency is higher for letters that are met more often.
func frequency(c byte) int {
	if i := strings.IndexByte(letters, c); i >= 0 {
		return len(letters) - i
	}
	return 1
}

// says tells what a whole word stands for.
func (s *wordSet) says(word []byte) (w words) {
	if len(word) > maxName {
		word = word[:maxName] // as the server does
	}
	if n := len(watchedPrefix); len(word) >= n && equalFold(word[:n], watchedPrefix) {
		w = wordTemp
	}
	for _, x := range s.words[len(word)] {
		if equalFold(word, x.word) {
			w |= x.what
		}
	}
	return w
}

// scan looks for words in p, whose first and last words are whole.
func (s *wordSet) scan(p []byte) (w words) {
	if s.every {
		return s.scanEvery(p)
	}
	done := 0 // no word that begins before this is of interest any more
	for i := 0; i+1 < len(p); {
		n := s.next(p[i:])
		if i += n; i+1 >= len(p) {
			break
		}
		start := wordStart(p, done, i)
		done = i + wordLength(p[i:])
		w |= s.says(p[start:done])
		i = max(done, i+1)
	}
	return w
}

// wordStart goes back from at to where its word begins, but not below from.
func wordStart(p []byte, from, at int) int {
	for at > from && isWordByte(p[at-1]) {
		at--
	}
	return at
}

// next returns the first of the places in p, in steps, that has a pair of a watched word; or a place at
// or behind the last byte.
func (s *wordSet) next(p []byte) int {
	i := 0
	for ; i < len(p)-8; i += 3 * pairStep { // three places at once
		x := binary.LittleEndian.Uint64(p[i:])
		switch {
		case s.pairs[x&31]&(1<<(x>>8&31)) != 0:
			return i
		case s.pairs[x>>24&31]&(1<<(x>>32&31)) != 0:
			return i + pairStep
		case s.pairs[x>>48&31]&(1<<(x>>56&31)) != 0:
			return i + 2*pairStep
		}
	}
	for ; i < len(p)-1; i += pairStep {
		if s.pairs[p[i]&31]&letterBit(p[i+1]) != 0 {
			break
		}
	}
	return i
}

// scanEvery looks at each word.
func (s *wordSet) scanEvery(p []byte) (w words) {
	for len(p) > 0 {
		n := wordLength(p)
		w |= s.says(p[:n])
		p = p[max(n, 1):]
	}
	return w
}

// wordLength is the length of the word that p begins with: letters, digits, '_' and what is not ASCII.
// A '$' is no part of it, though it can be inside a name: name$temp is a false alarm, that is all.
func wordLength(p []byte) int {
	for i, c := range p {
		if !isWordByte(c) {
			return i
		}
	}
	return len(p)
}

func isWordByte(c byte) bool { return wordBytes[c] }

var wordBytes = func() (t [256]bool) {
	for i := range t {
		c := byte(i)
		t[c] = 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_' || c >= 0x80
	}
	return t
}()

// lowerByte folds ASCII letters.
func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func lowerRune(r rune) rune {
	if r < 0x80 {
		return rune(lowerByte(byte(r)))
	}
	return r
}

// maxName is the length, in bytes, to which the server cuts identifiers (NAMEDATALEN - 1):
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
const maxName = 63

// wordScanner looks for words in a text that comes in pieces, cut anywhere. It does not tell code from
// comments and strings, so that it need not know the text's encoding: a word too many costs a look,
// one too few would be a fault.
type wordScanner struct {
	set   *wordSet
	found words
	n     int               // length of the word at the end of the last piece, or more than maxName
	word  [maxName + 1]byte // that word: it may go on
}

// start begins a text; a nil set means the built-in words.
func (s *wordScanner) start(set *wordSet) {
	if set == nil {
		set = builtinWords
	}
	s.set, s.found, s.n = set, 0, 0
}

// feed takes the next piece.
func (s *wordScanner) feed(p []byte) {
	if len(p) == 0 {
		return
	}
	n := wordLength(p)
	s.keep(p[:n])
	if n == len(p) {
		return
	}
	if p[n] == '&' && s.n == 1 && s.word[0]|0x20 == 'u' {
		s.found = wordAny
	}
	s.settle()
	p = p[n:]
	last := wordStart(p, 0, len(p))
	s.found |= s.set.scan(p[:last]) | escapes(p[:last])
	s.keep(p[last:])
}

// keep adds to the word that may go on.
func (s *wordScanner) keep(p []byte) {
	if s.n += copy(s.word[min(s.n, len(s.word)):], p); s.n > maxName {
		s.n = len(s.word)
	}
}

// settle looks at the kept word, which has ended.
func (s *wordScanner) settle() {
	if s.n > 0 {
		s.found |= s.set.says(s.word[:s.n])
		s.n = 0
	}
}

// result returns what was found, at the end of the text.
func (s *wordScanner) result() words {
	s.settle()
	return s.found
}

// escapes finds U&"…": such a name may spell anything.
//
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS-UESCAPE
func escapes(p []byte) words {
	for {
		i := bytes.IndexByte(p, '&')
		if i < 0 {
			return 0
		}
		if i > 0 && p[i-1]|0x20 == 'u' && (i == 1 || !isWordByte(p[i-2])) {
			return wordAny
		}
		p = p[i+1:]
	}
}

// scanText looks for words in a whole text; a nil set means the built-in words.
func scanText(text []byte, extra *wordSet) words {
	if extra == nil {
		extra = builtinWords
	}
	return extra.scan(text) | escapes(text)
}
