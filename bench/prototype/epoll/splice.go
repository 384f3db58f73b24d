package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// spliceMax is what is moved through the pipe at a time, and so what an end may have to hold. The
	// pipe is larger: it counts pages, and a page can be full of little.
	spliceMax   = 256 << 10
	pipeSize    = 1 << 20
	spliceTimes = 8 // per event
)

// pipe is empty between two uses, so one serves all connections.
type pipe struct{ out, in int }

func newPipe() (pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return pipe{-1, -1}, fmt.Errorf("pipe: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		return pipe{fds[0], fds[1]}, fmt.Errorf("pipe: %w", err)
	}
	return pipe{fds[0], fds[1]}, nil
}

// move splices: https://man7.org/linux/man-pages/man2/splice.2.html
func move(from, to, n int) (int, unix.Errno) {
	return raw(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
}

// stream moves what an end sends through the pipe, several times, until there is no more at the moment
// or the peer is full.
func (l *loop) stream(e *end) {
	for range spliceTimes {
		if !e.readable() {
			return
		}
		n, errno := move(e.fd, l.pipe.in, spliceMax)
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
		l.empty(e.peer, n)
	}
}

// empty moves the n bytes in the pipe to an end, which holds what it can not take.
func (l *loop) empty(to *end, n int) {
	for n > 0 {
		moved, errno := move(l.pipe.out, to.fd, n)
		n -= moved
		if moved > 0 {
			continue
		}
		l.holdPiped(to, n)
		if errno != 0 && errno != unix.EAGAIN {
			l.doom(to)
		}
		return
	}
}

// holdPiped takes the n bytes that are left in the pipe.
func (l *loop) holdPiped(to *end, n int) {
	if len(to.held) < n {
		to.held = make([]byte, spliceMax)
	}
	to.from, to.to = 0, 0
	for to.to < n {
		got, err := unix.Read(l.pipe.out, to.held[to.to:n])
		if err == unix.EINTR {
			continue
		}
		if err != nil || got == 0 {
			l.doom(to) // bytes are missing
			break
		}
		to.to += got
	}
	l.watch(to)
	l.watch(to.peer)
}
