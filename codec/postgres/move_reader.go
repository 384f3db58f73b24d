package postgres

import (
	"encoding/binary"
	"errors"
)

// minMessage is the least that a messageReader keeps of one message, in bytes: notices and errors are as long as
// their words.
const minMessage = 64 << 10

var errStrange = errors.New("the server has sent something that is not a message")

// messageReader gathers the messages of a server, as they come, up to a limit. It never makes room by a length that
// it was told.
type messageReader struct {
	in   []byte
	max  int
	skip uint64 // bytes of a message that was too long
}

// feed takes the next piece and calls take with each whole message; big is one of that type that was too long, and
// has no body. It goes on until take says so, or nothing is left.
func (r *messageReader) feed(p []byte, take func(msg []byte, big bool) (more bool)) error {
	if r.skip > 0 {
		n := min(r.skip, uint64(len(p)))
		r.skip -= n
		p = p[n:]
	}
	r.in = append(r.in, p...)
	for len(r.in) >= headerSize {
		size := binary.BigEndian.Uint32(r.in[1:])
		if !serverRules[r.in[0]].allows(size) {
			return errStrange
		}
		n := 1 + uint64(size)
		msg, big := r.in, n > uint64(max(r.max, minMessage))
		switch {
		case big:
			r.skip = n - min(n, uint64(len(r.in)))
			msg, r.in = msg[:headerSize], r.in[min(n, uint64(len(r.in))):]
		case n > uint64(len(r.in)):
			return nil
		default:
			msg, r.in = msg[:n], msg[n:]
		}
		if !take(msg, big) {
			return nil
		}
	}
	if len(r.in) == 0 {
		r.in = nil
	}
	return nil
}

// mid tells whether the stream stands inside a message.
func (r *messageReader) mid() bool { return len(r.in) > 0 || r.skip > 0 }
