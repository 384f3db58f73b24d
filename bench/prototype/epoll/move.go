package main

import "golang.org/x/sys/unix"

// pull reads an end, at most so often as its share is, and passes on what comes.
func (l *loop) pull(e *end) {
	for range l.opt.reads {
		if !e.readable() {
			return // edge-triggered: ready stays, and drain has the end come again
		}
		b := l.room(e.peer)
		if len(b) == 0 {
			break
		}
		n, errno := l.read(e.fd, b)
		switch {
		case errno == unix.EAGAIN:
			e.ready = false
			return
		case errno != 0:
			l.doom(e)
			return
		case n == 0:
			l.ended(e)
			return
		}
		l.acknowledge(e.fd)
		l.pass(e.peer, b[:n])
		switch {
		case n < len(b) && !e.ending:
			e.ready = false
			return
		case n == len(b) && l.opt.splice:
			l.stream(e)
		}
	}
	if l.opt.edge && e.ready && e.readable() {
		l.comeAgain(e)
	}
}

// room is where the next read goes. It is empty if enough waits to be written to that end.
func (l *loop) room(to *end) []byte {
	if !l.opt.coalesce {
		return l.buffer
	}
	if len(l.buffer)-l.filled < chunk {
		l.writeWaiting()
	}
	if to.holds() {
		return nil
	}
	return l.buffer[l.filled : l.filled+chunk-to.waiting]
}

// pass gives an end what its peer sent, now or at the end of the turn.
func (l *loop) pass(to *end, b []byte) {
	if l.opt.coalesce {
		l.later(to, b)
		return
	}
	l.send(to, b)
}

// send writes what an end takes. It holds the rest, and its peer is not read until that is gone.
func (l *loop) send(to *end, b []byte) {
	n, errno := l.write(to.fd, b)
	if errno != 0 {
		l.doom(to)
		return
	}
	if n == len(b) {
		return
	}
	to.hold(b[n:])
	l.watch(to)
	l.watch(to.peer)
}

// drain writes what an end holds.
func (l *loop) drain(e *end) {
	if e.doomed {
		return
	}
	n, errno := l.write(e.fd, e.held[e.from:e.to])
	if errno != 0 {
		l.doom(e)
		return
	}
	e.from += n
	if e.holds() {
		return
	}
	l.watch(e)
	l.watch(e.peer)
	l.passEnd(e)
	if e.peer.ready {
		l.comeAgain(e.peer)
	}
}

// ended is called when an end has sent its last byte.
func (l *loop) ended(e *end) {
	e.eof, e.ready = true, false
	l.watch(e)
	l.passEnd(e.peer)
}

// passEnd tells an end that its peer sends no more, once everything before that is written.
func (l *loop) passEnd(e *end) {
	if !e.peer.eof || e.holds() || e.waiting > 0 || e.eofPassed || e.doomed {
		return
	}
	e.eofPassed = true
	_ = unix.Shutdown(e.fd, unix.SHUT_WR)
	if e.eof && e.peer.eofPassed {
		l.doom(e)
	}
}
