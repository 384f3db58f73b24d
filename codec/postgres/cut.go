package postgres

import "encoding/binary"

// cutter finds where messages begin in one side's stream, however that is cut into pieces. It keeps
// no more than a header.
//
// Invariant: left > 0 only inside a body; have > 0 only inside a header.
type cutter struct {
	left uint32 // bytes of the body that are still to come
	have uint8  // bytes of the header at hand, in head
	head [headerSize]byte
}

// mid tells whether the stream stands inside a message.
func (c *cutter) mid() bool { return c.left > 0 || c.have > 0 }

// header takes the next message's header from the front of p. ok is false if it is not whole yet;
// all of p is then kept.
func (c *cutter) header(p []byte) (typ byte, size uint32, rest []byte, ok bool) {
	if c.have == 0 && len(p) >= headerSize {
		c.head[0] = p[0]
		return p[0], binary.BigEndian.Uint32(p[1:]), p[headerSize:], true
	}
	n := copy(c.head[c.have:], p)
	c.have += uint8(n)
	if c.have < headerSize {
		return 0, 0, nil, false
	}
	c.have = 0
	return c.head[0], binary.BigEndian.Uint32(c.head[1:]), p[n:], true
}

// body returns as much of the present body as p holds.
func (c *cutter) body(p []byte) []byte {
	if uint64(len(p)) > uint64(c.left) {
		return p[:c.left]
	}
	return p
}

// fatal looks for a severity that ends the connection in an ErrorResponse that comes in pieces. The
// severity stands in the fields S, which the server may have translated, and V, which it never
// does.
//
// https://www.postgresql.org/docs/current/protocol-error-fields.html
type fatal struct {
	field byte  // the field we are in; 0: its type byte is due
	same  uint8 // bytes of its value that are like those of word
	word  byte  // which word the value may be: the first letter of FATAL or PANIC; 0 for neither
}

// fatalDone is the field of a look that is over: V comes early in the message, and decides.
const fatalDone = 0xff

// look takes the next bytes of the body and tells whether the severity was found in them.
func (s *fatal) look(p []byte) bool {
	for _, b := range p {
		switch {
		case s.field == fatalDone:
			return false
		case s.field == 0:
			*s = fatal{field: b}
		case b == 0:
			found := s.word != 0 && int(s.same) == len("FATAL")
			if found || s.field == 'V' {
				s.field = fatalDone
				return found
			}
			s.field = 0
		case s.field == 'S' || s.field == 'V':
			s.compare(b)
		}
	}
	return false
}

// compare takes one byte of a severity.
func (s *fatal) compare(b byte) {
	if s.same == 0 && (b == 'F' || b == 'P') {
		s.word = b
	}
	word := "FATAL"
	if s.word == 'P' {
		word = "PANIC"
	}
	if int(s.same) < len(word) && word[s.same] == b {
		s.same++
		return
	}
	s.word = 0
	s.same = uint8(len(word)) + 1 // longer than any word: it can't match any more
}
