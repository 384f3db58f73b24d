package main

import "golang.org/x/sys/unix"

// end is one of the two connections of a pair.
type end struct {
	fd   int
	peer *end

	held      []byte // bytes of the peer that this end could not take yet
	from, to  int    // of held
	waiting   int    // bytes that are to be written to this end at the end of the turn
	eof       bool   // this end will send no more
	eofPassed bool   // the peer's end of stream has been passed to this end
	doomed    bool   // the pair will be closed at the end of the turn

	mask      uint32 // level-triggered: what the poller reports
	unwatched bool   // out of the poller: it is hung up, and nothing is wanted of it

	ready  bool // edge-triggered: there may be more to read
	ending bool // edge-triggered: a short read is not the last one, the end comes behind it
	queued bool // in loop.again
}

// holds tells whether the end could not take all it was given.
func (e *end) holds() bool { return e.from < e.to }

// readable tells whether bytes of the end are wanted now.
func (e *end) readable() bool { return !e.doomed && !e.eof && !e.peer.holds() }

// hold keeps what the end could not take; it holds nothing else.
func (e *end) hold(rest []byte) {
	if len(e.held) < len(rest) {
		e.held = make([]byte, max(chunk, len(rest)))
	}
	e.from, e.to = 0, copy(e.held, rest)
}

// Masks of an end in the poller.
const (
	levelMask = unix.EPOLLIN
	edgeMask  = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// open makes an end of a descriptor, out of the one that had the descriptor before.
func (l *loop) open(fd int) (*end, unix.Errno) {
	for len(l.ends) <= fd {
		l.ends = append(l.ends, nil)
	}
	if l.ends[fd] == nil {
		l.ends[fd] = &end{}
	}
	e := l.ends[fd]
	*e = end{fd: fd, held: e.held, queued: e.queued, mask: levelMask}
	if l.opt.edge {
		e.mask = edgeMask
	}
	return e, l.control(unix.EPOLL_CTL_ADD, fd, e.mask)
}

// watch has the poller report what is wanted of the end; edge-triggered it reports everything anyway.
func (l *loop) watch(e *end) {
	if l.opt.edge || e.doomed {
		return
	}
	var mask uint32
	if e.readable() {
		mask |= unix.EPOLLIN
	}
	if e.holds() {
		mask |= unix.EPOLLOUT
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case e.unwatched && mask == 0, !e.unwatched && mask == e.mask:
		return
	case e.unwatched:
		op = unix.EPOLL_CTL_ADD
	}
	e.unwatched, e.mask = false, mask
	if errno := l.control(op, e.fd, mask); errno != 0 {
		l.doom(e)
	}
}

// hungUp is for an end of which both directions are over. If ours is over since the peer's end was
// passed on, nothing is broken: what the end sent may still lie in the kernel, or with the peer, which
// is slow. The poller would tell of it again and again, so the end leaves it until something is wanted.
func (l *loop) hungUp(e *end, events uint32) {
	switch {
	case e.doomed:
	case !e.eofPassed || events&unix.EPOLLERR != 0:
		l.doom(e)
	case !e.unwatched:
		e.unwatched, e.mask = true, 0
		_ = l.control(unix.EPOLL_CTL_DEL, e.fd, 0)
	}
}

// doom has a pair closed at the end of the turn: until then its descriptors are not given to others, so
// that events of this turn can not be taken for theirs.
func (l *loop) doom(e *end) {
	if e.doomed {
		return
	}
	e.doomed, e.peer.doomed = true, true
	l.doomed = append(l.doomed, e)
}

// closeDoomed closes the pairs whose time has come.
func (l *loop) closeDoomed() {
	for _, e := range l.doomed {
		e.ready, e.peer.ready = false, false
		_ = unix.Close(e.fd)
		_ = unix.Close(e.peer.fd)
	}
	l.doomed = l.doomed[:0]
}
