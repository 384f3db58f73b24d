package synth

import (
	"bytes"
	"strconv"
)

// What the synthetic server understands is one question and the few words that clients and proxies
// say around it:
//
//	SELECT <number>            one row with the number as text
//	SELECT <number>, <bytes>   the same, then rows of filler that hold so many bytes
//
// Each of the two may be a parameter ($1, $2 in PostgreSQL, ? in MySQL); the first one must be if the
// second is.

const (
	argMax  = 20      // digits of a number
	sizeMax = 1 << 30 // bytes of filler that one question may ask for
	rowMax  = 64 << 10
)

// rowsOf is how many rows so many bytes of filler take.
func rowsOf(size int) int { return (size + rowMax - 1) / rowMax }

// filler is what a full row of filler holds. No stretch of it repeats soon, so that a byte too few or
// too many shows.
var filler = makeFiller()

func makeFiller() []byte {
	b := make([]byte, rowMax)
	state := uint32(1)
	for i := range b {
		state = state*1664525 + 1013904223 // the constants of Numerical Recipes
		b[i] = 'a' + byte(state>>24)%26
	}
	return b
}

// verb is what a statement is about.
type verb uint8

const (
	verbOther   verb = iota // SET, DISCARD and whatever else gets no rows
	verbUnknown             // SELECT of something else
	verbEmpty               // nothing but white space, comments and semicolons
	verbSelect              // the question
	verbBegin               // BEGIN, START
	verbEnd                 // COMMIT, ROLLBACK, END, ABORT
)

// question is a statement that has been read.
type question struct {
	verb   verb
	params int    // how many of number and bytes come as parameters, the number first
	number []byte // shares memory with the statement's text
	size   int
	word   []byte // the first word; shares memory with the statement's text
}

// readQuestion reads the text of a statement.
func readQuestion(text []byte) question {
	text = trim(text)
	word := text
	if i := bytes.IndexFunc(text, func(r rune) bool { return !isLetter(r) }); i >= 0 {
		word = text[:i]
	}
	q := question{word: word}
	is := func(s string) bool { return len(word) == len(s) && bytes.EqualFold(word, []byte(s)) }
	switch {
	case len(text) == 0:
		q.verb = verbEmpty
	case is("SELECT"):
		q.verb = verbUnknown
		q.operands(text[len(word):])
	case is("BEGIN"), is("START"):
		q.verb = verbBegin
	case is("COMMIT"), is("ROLLBACK"), is("END"), is("ABORT"):
		q.verb = verbEnd
	}
	return q
}

// operands reads what stands behind SELECT.
func (q *question) operands(text []byte) {
	first, second, two := bytes.Cut(text, []byte{','})
	first = bytes.TrimSpace(first)
	switch {
	case isParameter(first):
		q.params = 1
	case isNumber(first):
		q.number = first
	default:
		return
	}
	if two {
		second = bytes.TrimSpace(second)
		size, ok := readSize(second)
		switch {
		case ok:
			q.size = size
		case isParameter(second) && q.params == 1:
			q.params = 2
		default:
			return
		}
	}
	q.verb = verbSelect
}

// trim takes away white space, comments to the end of the line, and semicolons at the end.
func trim(text []byte) []byte {
	for {
		text = bytes.TrimSpace(text)
		if !bytes.HasPrefix(text, []byte("--")) {
			break
		}
		_, text, _ = bytes.Cut(text, []byte{'\n'})
	}
	return bytes.TrimRight(text, "; \t\r\n")
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func isParameter(b []byte) bool {
	return len(b) == 1 && b[0] == '?' || len(b) == 2 && b[0] == '$' && (b[1] == '1' || b[1] == '2')
}

func isNumber(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= argMax
}

func readSize(b []byte) (int, bool) {
	if !isNumber(b) || len(b) > len("1073741824") {
		return 0, false
	}
	n := 0
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n, n <= sizeMax
}

// appendQuestion writes the question with both operands in the text; no size, no second operand.
func appendQuestion(b []byte, number uint64, size int) []byte {
	b = strconv.AppendUint(append(b, "SELECT "...), number, 10)
	if size > 0 {
		b = strconv.AppendInt(append(b, ", "...), int64(size), 10)
	}
	return b
}
