package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	chunk = 64 << 10 // bytes that one read can bring, and one end can have to write in a turn
	// arena is what the reads of a turn fill when writes come later. It is small enough to stay in a
	// cache; when it is full, the writes come at once.
	arena     = 16 * chunk
	eventsMax = 256 // events taken per wait
	// edgeReads bounds the reads of one connection per event: who has more comes again after the
	// others.
	edgeReads = 16
)

// loop is the relay: everything in it belongs to one goroutine.
type loop struct {
	opt      options
	poller   int
	listener int
	server   unix.Sockaddr
	family   int // of server

	ends    []*end // by descriptor; an end is used again with its descriptor
	events  [eventsMax]unix.EpollEvent
	doomed  []*end  // one of each pair that is closed at the end of the turn
	again   []*end  // to be read once more, although no event will say so
	spare   []*end  // storage for again
	waiting []write // that come at the end of the turn

	buffer []byte // what is read: a chunk, or an arena if writes come later
	filled int    // bytes of buffer that wait to be written
	pipe   pipe

	change   unix.EpollEvent // for control
	quickAck int32           // for acknowledge
	spinTime time.Duration
}

// newLoop listens and makes ready to relay.
func newLoop(o options) (*loop, error) {
	l := &loop{opt: o, poller: -1, listener: -1, pipe: pipe{-1, -1}, buffer: make([]byte, chunk)}
	l.spinTime = time.Duration(o.spin) * time.Microsecond
	if o.coalesce {
		l.buffer = make([]byte, arena)
	}
	if o.quickAck == quickAckOn {
		l.quickAck = 1
	}
	l.server, l.family = sockaddr(o.server)
	if err := l.openOwn(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// openOwn opens the poller, the listening socket and the pipe.
func (l *loop) openOwn() (err error) {
	if l.poller, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if l.opt.splice {
		if l.pipe, err = newPipe(); err != nil {
			return err
		}
	}
	if l.listener, err = listen(l.opt.listen); err != nil {
		return err
	}
	if err := l.setBusyPoll(l.listener); err != nil {
		return err // before there are clients
	}
	if errno := l.control(unix.EPOLL_CTL_ADD, l.listener, unix.EPOLLIN); errno != 0 {
		return fmt.Errorf("epoll: %w", errno)
	}
	return nil
}

// close lets go of the descriptors that the loop opened for itself.
func (l *loop) close() {
	for _, fd := range []int{l.poller, l.listener, l.pipe.in, l.pipe.out} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// turn waits and does what there is to do. An error ends the relay.
func (l *loop) turn() error {
	n, errno := l.wait()
	if errno != 0 {
		return fmt.Errorf("epoll: %w", errno)
	}
	for i := range l.events[:n] {
		ev := &l.events[i]
		if int(ev.Fd) == l.listener {
			if err := l.onClient(); err != nil {
				return err
			}
			continue
		}
		l.onEvent(l.ends[ev.Fd], ev.Events)
	}
	l.readAgain()
	l.writeWaiting()
	l.closeDoomed()
	return nil
}

// onEvent deals with what the poller says of an end.
func (l *loop) onEvent(e *end, events uint32) {
	if events&unix.EPOLLOUT != 0 && e.holds() {
		l.drain(e)
	}
	const over = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	switch {
	case l.opt.edge:
		if events&(unix.EPOLLIN|over) == 0 {
			return
		}
		e.ready = true
		e.ending = e.ending || events&over != 0
		if events&unix.EPOLLERR != 0 && (e.eof || e.peer.holds()) {
			l.doom(e) // nobody would read the error
			return
		}
		l.pull(e)
	case events&unix.EPOLLIN != 0:
		l.pull(e)
	case events&over != 0:
		l.hungUp(e, events)
	}
}

// readAgain reads those that had more than their share of an earlier turn, or that were not read while
// their peer was full.
func (l *loop) readAgain() {
	if len(l.again) == 0 {
		return
	}
	list := l.again
	l.again = l.spare[:0]
	for _, e := range list {
		e.queued = false
		if e.ready {
			l.pull(e)
		}
	}
	l.spare = list
}

// comeAgain has an end read in the next turn.
func (l *loop) comeAgain(e *end) {
	if !e.queued {
		e.queued = true
		l.again = append(l.again, e)
	}
}
