package synth

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Interest in a descriptor. An end of the peer is always told.
const (
	readable = unix.EPOLLIN
	writable = unix.EPOLLOUT
)

// eventsMax is how many descriptors one wait can report.
const eventsMax = 256

// poller is a level-triggered epoll instance with a clock. Tokens tell descriptors apart.
type poller struct {
	fd     int
	timer  int
	armed  time.Duration // when the timer fires; 0 if it does not
	epoch  time.Time
	events [eventsMax]unix.EpollEvent
}

// timerToken is what a wait reports when the timer has fired.
const timerToken = -1

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("timer: %w", err)
	}
	p := &poller{fd: fd, timer: timer, epoch: time.Now()}
	// Edge-triggered, so that nobody has to read the timer: each time it is set it fires anew.
	if err := p.add(timer, timerToken, readable|unix.EPOLLET); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.timer)
	_ = unix.Close(p.fd)
}

// now is the time since the poller was made.
func (p *poller) now() time.Duration { return time.Since(p.epoch) }

func (p *poller) add(fd, token int, interest uint32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, token, interest)
}

func (p *poller) change(fd, token int, interest uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, token, interest)
}

func (p *poller) control(op, fd, token int, interest uint32) error {
	ev := unix.EpollEvent{Events: interest, Fd: int32(token)}
	if err := unix.EpollCtl(p.fd, op, fd, &ev); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// arm lets the next wait end at that time, at the latest. A time gone by ends it at once; 0 disarms.
func (p *poller) arm(at time.Duration) error {
	if at == p.armed {
		return nil
	}
	p.armed = at
	var spec unix.ItimerSpec
	if at > 0 {
		spec.Value = unix.NsecToTimespec(max(1, int64(at-p.now())))
	}
	if err := unix.TimerfdSettime(p.timer, 0, &spec, nil); err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	return nil
}

// wait returns what has happened, after at most that many milliseconds (-1: as long as it takes). The
// events are valid until the next wait.
func (p *poller) wait(atMost int) ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(p.fd, p.events[:], atMost)
	if err != nil && err != unix.EINTR {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	events := p.events[:max(0, n)]
	for i := range events {
		if events[i].Fd == timerToken {
			p.armed = 0
		}
	}
	return events, nil
}
