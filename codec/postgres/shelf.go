package postgres

import (
	"hash/maphash"
	"math"
	"strconv"
	"strings"

	"sluice/codec"
)

// Limits of what a shelf keeps of statements that no client has any more. A client that comes back, or
// the next one of its kind, then finds the statement prepared.
const (
	maxSpare      = 4096     // statements
	maxSpareBytes = 16 << 20 // bytes of their texts
)

// namePrefix begins the names by which servers know shared statements. No client's own name that
// begins so is passed on.
const namePrefix = "sluice_"

// shelf is what the guests and hosts of one loop share: each statement once, however many clients have
// prepared it.
type shelf struct {
	seed   maphash.Seed
	stmts  map[uint64]*stmt // by hash; those of one hash are chained
	prefix string           // of the names of this shelf
	last   uint64           // number in the newest name
	alone  uint64           // counts fingerprints that nobody shares
	era    uint32           // bumped when the schema changes
	guests uint64           // that there have been

	wordSets               map[*codec.GuestConfig]*wordSet
	count, bytes           int     // of stmts
	command                command // of the text that is being looked at
	introductions          map[namedIntroduction]*introduction
	spares                 stmt // head of the ring of stmts without a user; its next is the oldest
	spareCount, spareBytes int
}

// NewShelf returns what the guests and hosts of one loop share.
func (Protocol) NewShelf(cfg codec.ShelfConfig) codec.Shelf {
	s := &shelf{seed: maphash.MakeSeed(), stmts: map[uint64]*stmt{}, era: 1, wordSets: map[*codec.GuestConfig]*wordSet{}}
	s.prefix = namePrefix + strconv.Itoa(cfg.Loop) + "_"
	s.spares.older, s.spares.newer = &s.spares, &s.spares
	return s
}

// maxWordSets bounds the configurations whose words are kept: listeners have one each, and a new one at
// a reload.
const maxWordSets = 64

// wordSet returns the words to watch for, made once for a configuration.
func (s *shelf) wordSet(cfg *codec.GuestConfig) *wordSet {
	set := s.wordSets[cfg]
	if set == nil {
		if len(s.wordSets) >= maxWordSets {
			clear(s.wordSets)
		}
		set = newWordSet(cfg.Functions)
		s.wordSets[cfg] = set
	}
	return set
}

// Statements is the number of statements kept and the bytes of their texts.
func (s *shelf) Statements() (n, bytes int) { return s.count, s.bytes }

// stmt is a statement as it was prepared. What is prepared under other settings is another statement:
// a server reads constants and looks up names while it parses.
type stmt struct {
	tail   string // of its Parse, from behind the name: text, NUL, types of the parameters
	name   string // by which servers know it
	words  words  // of its text
	print  digest // fingerprint of the settings under which it is parsed
	hash   uint64
	twin   *stmt  // the next one with the same hash
	users  int    // names of clients
	sets   bool   // it may change settings
	course course // of its text
	survey survey // of its text
	sql    int    // place of the name in a PREPARE, plus one, where a NUL stands; 0: it came by Parse
	old    bool   // prepared before a change of the schema: for those who have it, and nobody else
	proven uint32 // the era of the shelf in which a server has prepared it well last
	gone   bool   // off the shelf

	older, newer *stmt // among the spares
}

// text returns the statement's SQL.
func (st *stmt) text() string { return st.tail[:len(st.tail)-st.typesLen()] }

// typesLen is the length of what stands behind the text.
func (st *stmt) typesLen() int {
	if st.sql > 0 {
		return 0
	}
	if i := strings.IndexByte(st.tail, 0); i >= 0 {
		return len(st.tail) - i
	}
	return 0
}

// sharedUnder tells whether the statement is the one for settings of that fingerprint.
func (st *stmt) sharedUnder(print digest) bool {
	if st.sql > 0 {
		print[1] ^= 1 // see intern
	}
	return st.print == print
}

// own returns a fingerprint that nobody shares.
func (s *shelf) own() digest {
	s.alone++
	return digest{s.alone, ownPrint}
}

// ownPrint marks a fingerprint that nobody shares: those of settings are made so that they lack its bits.
const ownPrint = math.MaxUint64 - 1

// shared tells whether another client may have the statement as well.
func (st *stmt) shared() bool { return st.print[1]&ownPrint != ownPrint }

// intern returns the one statement with that tail and fingerprint, which came by Parse, or by SQL. It
// gains a user; release gives it back.
func (s *shelf) intern(tail []byte, sql int, print digest, extra *wordSet) *stmt {
	if sql > 0 {
		print[1] ^= 1 // never the same as a Parse's
	}
	if st := s.find(tail, print); st != nil {
		s.use(st)
		return st
	}
	return s.add(&stmt{tail: string(tail), sql: sql, print: print, hash: s.hash(tail, print)}, extra)
}

// find returns the statement with that tail and fingerprint, or nil. The old ones that it comes across
// are taken off the shelf.
func (s *shelf) find(tail []byte, print digest) *stmt {
	for st := s.stmts[s.hash(tail, print)]; st != nil; {
		at := st
		st = st.twin
		switch {
		case at.old:
			s.discard(at)
		case at.print == print && at.tail == string(tail):
			return at
		}
	}
	return nil
}

func (s *shelf) hash(tail []byte, print digest) uint64 {
	return maphash.Bytes(s.seed, tail) ^ print[0] ^ print[1]
}

// add puts a statement on the shelf.
func (s *shelf) add(st *stmt, extra *wordSet) *stmt {
	s.last++
	st.name = s.prefix + strconv.FormatUint(s.last, 10)
	text := []byte(st.text())
	st.words, st.sets = scanText(text, extra), maySet(text)
	st.course = courseOf(text)
	if mayDraw(text) {
		st.words |= wordDraws
	}
	if maySurvey(text, st.sets) {
		st.survey = surveyText(text, nil)
	}
	st.users = 1
	st.twin = s.stmts[st.hash]
	s.stmts[st.hash] = st
	s.count++
	s.bytes += len(st.tail)
	return st
}

// use gives a statement one more user.
func (s *shelf) use(st *stmt) {
	s.unspare(st)
	st.users++
}

// release takes one user off a statement. Without any it is a spare, if another client can find it.
func (s *shelf) release(st *stmt) {
	if st.users--; st.users > 0 || st.gone {
		return
	}
	if !st.shared() {
		s.discard(st)
		return
	}
	st.older, st.newer = s.spares.older, &s.spares
	st.older.newer, st.newer.older = st, st
	s.spareCount++
	s.spareBytes += len(st.tail)
	for s.spareCount > maxSpare || s.spareBytes > maxSpareBytes {
		s.discard(s.spares.newer)
	}
}

// unspare takes a statement out of the ring of spares, if it is there.
func (s *shelf) unspare(st *stmt) {
	if st.older == nil {
		return
	}
	st.older.newer, st.newer.older = st.newer, st.older
	st.older, st.newer = nil, nil
	s.spareCount--
	s.spareBytes -= len(st.tail)
}

// discard takes a statement off the shelf.
func (s *shelf) discard(st *stmt) {
	s.unspare(st)
	st.gone = true
	s.count--
	s.bytes -= len(st.tail)
	if s.stmts[st.hash] == st {
		if st.twin != nil {
			s.stmts[st.hash] = st.twin
		} else {
			delete(s.stmts, st.hash)
		}
		return
	}
	for at := s.stmts[st.hash]; at != nil; at = at.twin {
		if at.twin == st {
			at.twin = st.twin
			return
		}
	}
}
