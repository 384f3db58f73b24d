package synth

import "golang.org/x/sys/unix"

const (
	// outMax is how many bytes of answers may wait to be sent before the next question is looked at.
	outMax = 256 << 10
	// inlineMax is the most filler that is copied behind an answer, in bytes: where a copy costs less
	// than a write of its own.
	inlineMax = 4 << 10
	// rowsPerTurn bounds how many rows of filler one client gets before the others have their turn.
	rowsPerTurn = 16
)

// An answerer is the server's side of a protocol for one client.
type answerer interface {
	// greet says what the server says before it has heard anything.
	greet(r *reply)
	// message takes the first message of in and returns its length, 0 if it is not all there. An error
	// ends the connection behind what r holds.
	message(in []byte, r *reply) (used int, err error)
	// row begins a row of n bytes of filler, which follow it.
	row(r *reply, n int)
	// last ends a result that had so many rows of filler.
	last(r *reply, rows int)
}

// reply is what a client is still to get: bytes, and behind them rows of filler.
type reply struct {
	out    []byte // made; the first sent bytes of it are on their way
	sent   int
	part   []byte // not yet sent of the row under way; shares memory with filler
	left   int    // bytes of filler for which no row has been begun
	rows   int    // of filler, in this result
	ending bool   // the end of the result is due behind the filler
}

// fill lets rows of filler follow, and then the end of the result.
func (r *reply) fill(a answerer, size int) {
	if size > inlineMax {
		r.left, r.rows, r.ending = size, rowsOf(size), true
		return
	}
	if size > 0 {
		a.row(r, size)
		r.out = append(r.out, filler[:size]...)
	}
	a.last(r, rowsOf(size))
}

// full reports whether the client has to take something before it gets more answers.
func (r *reply) full() bool { return r.ending || len(r.out)-r.sent > outMax }

// prepare makes the next piece if all before it has been sent. It reports whether there is any.
func (r *reply) prepare(a answerer) bool {
	if len(r.part) == 0 && r.left > 0 {
		n := min(r.left, rowMax)
		a.row(r, n)
		r.left -= n
		r.part = filler[:n]
	}
	if len(r.part) == 0 && r.ending {
		r.ending = false
		a.last(r, r.rows)
	}
	return len(r.out) > 0 || len(r.part) > 0
}

// send sends what it can, up to rowsPerTurn rows. It reports whether everything has been sent.
func (r *reply) send(fd int, a answerer) (all bool, errno unix.Errno) {
	for range rowsPerTurn {
		if !r.prepare(a) {
			return true, 0
		}
		n, errno := r.write(fd)
		if errno == unix.EAGAIN {
			return false, 0
		}
		if errno != 0 {
			return false, errno
		}
		r.took(n)
	}
	return !r.prepare(a), 0
}

// write offers the kernel what there is.
func (r *reply) write(fd int) (int, unix.Errno) {
	switch out := r.out[r.sent:]; {
	case len(r.part) == 0:
		return write(fd, out)
	case len(out) == 0:
		return write(fd, r.part)
	default:
		return write2(fd, out, r.part)
	}
}

// took notes that the kernel has taken n bytes.
func (r *reply) took(n int) {
	head := min(n, len(r.out)-r.sent)
	r.sent += head
	r.part = r.part[n-head:]
	if r.sent == len(r.out) {
		r.out, r.sent = r.out[:0], 0
	}
}
