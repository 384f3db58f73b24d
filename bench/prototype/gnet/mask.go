package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// gnet can not pause reading, so the mask of the descriptor is changed in its epoll instance. What the
// instance knows a descriptor by depends on gnet's build tags (its number, or a pointer to gnet's record,
// which stays where it is as long as the connection is open); the kernel tells it:
// https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html

// setMask makes the poller's mask agree with the side's state: reading unless paused, writing while
// bytes are buffered. It ends the process if it can not: without it memory is not bounded.
func (r *relay) setMask(s *side) {
	var mask uint32
	if !s.paused {
		mask |= unix.EPOLLIN | unix.EPOLLPRI
	}
	if !s.byHand && s.gc.OutboundBuffered() > 0 {
		mask |= unix.EPOLLOUT
	}
	err := r.identify(s)
	if err == nil {
		ev := unix.EpollEvent{Events: mask, Fd: int32(uint32(s.data)), Pad: int32(uint32(s.data >> 32))}
		err = unix.EpollCtl(r.poller, unix.EPOLL_CTL_MOD, s.gc.Fd(), &ev)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gnet: pause:", err)
		os.Exit(1)
	}
}

// identify finds out what the poller knows the side by; once for each that is ever paused.
func (r *relay) identify(s *side) error {
	if s.known {
		return nil
	}
	if r.poller == 0 {
		if err := r.findPoller(s.gc.Fd()); err != nil {
			return err
		}
	}
	data, ok := registered(r.poller, s.gc.Fd())
	if !ok {
		return fmt.Errorf("descriptor %d is not in the poller", s.gc.Fd())
	}
	s.data, s.known = data, true
	return nil
}

// findPoller finds the epoll instance in which a descriptor of gnet's is.
func (r *relay) findPoller(fd int) error {
	list, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		return err
	}
	for _, entry := range list {
		poller, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if _, ok := registered(poller, fd); ok {
			r.poller = poller
			return nil
		}
	}
	return fmt.Errorf("descriptor %d is in no poller", fd)
}

// registered returns what an epoll instance knows a descriptor by.
func registered(poller, fd int) (data uint64, ok bool) {
	f, err := os.Open(fmt.Sprintf("/proc/self/fdinfo/%d", poller))
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var target int
		var events uint32
		n, _ := fmt.Sscanf(lines.Text(), "tfd: %d events: %x data: %x", &target, &events, &data)
		if n == 3 && target == fd {
			return data, true
		}
	}
	return 0, false
}
