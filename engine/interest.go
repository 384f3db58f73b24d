package engine

import (
	"errors"

	"golang.org/x/sys/unix"
)

// gnet v2.10 can't pause reading (its issue 712). It can be had without a change to gnet: the interest
// mask of a descriptor is a property of the epoll instance, and anybody in the process who knows that
// instance may set it. gnet's default build registers a descriptor with data == fd and the masks below;
// interest_test.go holds this against the gnet version in go.mod.

const (
	readMask  = unix.EPOLLIN | unix.EPOLLPRI
	writeMask = unix.EPOLLOUT
)

// findPoller returns the epoll instance with which fd is registered. epoll_ctl(2) itself tells: of all
// descriptors only that instance accepts a change of fd's mask.
func findPoller(fd int) (int, error) {
	for ep := 0; ep < pollerSearch; ep++ {
		if ep != fd && setMask(ep, fd, readMask) == nil {
			return ep, nil
		}
	}
	return -1, errors.New("engine: gnet's epoll instance was not found; reads could not be paused")
}

// pollerSearch bounds the search: pollers are opened at the start, so their numbers are small unless
// the process inherited very many descriptors.
const pollerSearch = 1 << 16

// setMask sets the interest mask of fd in the epoll instance ep.
func setMask(ep, fd int, mask uint32) error {
	return unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Fd: int32(fd), Events: mask})
}

// setInterest makes the poller's mask agree with the connection's state: reading unless paused,
// writing while bytes are buffered.
//
// When gnet has sent all that was buffered it arms reading again by itself, paused or not, and so reads
// once more before OnTraffic can disarm it. Once that has happened in a pause, writing is not armed any
// more but done by hand, or each time would add another read buffer to what is held.
func (c *Conn) setInterest() {
	if c.gc == nil {
		return
	}
	var mask uint32
	if c.reads() {
		mask = readMask
	}
	switch {
	case c.writesByHand():
		c.watch()
	case c.gc.OutboundBuffered() > 0:
		mask |= writeMask
	}
	_ = setMask(c.loop.epfd, c.fd, mask)
}

// reads tells whether bytes of the socket are wanted now.
func (c *Conn) reads() bool {
	switch {
	case c.phase != phaseOpen:
		return c.phase == phaseDraining
	case c.tls != nil && !c.tls.ready:
		return !c.tls.choked // a pause concerns OnData, not the handshake
	}
	return !c.paused && !c.held
}

// writesByHand tells whether buffered bytes are sent by the scan and not by gnet.
func (c *Conn) writesByHand() bool {
	return c.gc != nil && !c.reads() && c.gc.InboundBuffered() > 0 && c.gc.OutboundBuffered() > 0
}
