package main

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	forever = -1
	// rawSleep is the longest sleep that Go's scheduler does not know of, in milliseconds: it can
	// not stop the loop meanwhile.
	rawSleep = 1
)

// wait returns how many events there are. It sleeps if there is nothing else to do; 0 is a sleep that
// was cut short.
func (l *loop) wait() (int, unix.Errno) {
	if len(l.again) > 0 {
		return l.look(0)
	}
	switch {
	case l.opt.spin > 0:
		if n, errno := l.spin(); n > 0 || errno != 0 {
			return n, errno
		}
	case l.opt.poll:
		if n, errno := l.look(0); n > 0 || errno != 0 {
			return n, errno
		}
	}
	if l.opt.yield {
		runtime.Gosched()
	}
	if l.opt.blockRaw {
		return l.look(rawSleep)
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.poller), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), forever&(1<<32-1), 0, 0)
	return counted(n, errno)
}

// look waits for at most some milliseconds, and Go's scheduler does not know.
func (l *loop) look(atMost int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.poller), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), uintptr(atMost), 0, 0)
	return counted(n, errno)
}

func counted(n uintptr, errno unix.Errno) (int, unix.Errno) {
	switch errno {
	case 0:
		return int(n), 0
	case unix.EINTR:
		return 0, 0
	}
	return 0, errno
}

// spin looks again and again until there is something or its time is over.
func (l *loop) spin() (int, unix.Errno) {
	begun := time.Now()
	for {
		n, errno := l.look(0)
		if n > 0 || errno != 0 || time.Since(begun) >= l.spinTime {
			return n, errno
		}
	}
}
