package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls in this file never block, so they go to the kernel without telling Go's scheduler. Each is
// made again when a signal came in between: the runtime sends itself some.

// raw makes a call until no signal interrupts it.
func raw(call, a, b, c, d, e, f uintptr) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(call, a, b, c, d, e, f)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// read reads into b, which is not empty. It returns 0 at the end of the stream.
func (l *loop) read(fd int, b []byte) (int, unix.Errno) {
	for {
		var n uintptr
		var errno unix.Errno
		if l.opt.sendRecv {
			n, _, errno = unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		} else {
			n, _, errno = unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		}
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// write writes what the kernel takes of b, which is not empty: 0 if its buffer is full.
func (l *loop) write(fd int, b []byte) (int, unix.Errno) {
	for {
		var n uintptr
		var errno unix.Errno
		if l.opt.sendRecv {
			n, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		} else {
			n, _, errno = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		}
		switch errno {
		case 0:
			return int(n), 0
		case unix.EAGAIN:
			return 0, 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// acknowledge sets TCP_QUICKACK, which the kernel forgets again by itself:
// https://man7.org/linux/man-pages/man7/tcp.7.html
func (l *loop) acknowledge(fd int) {
	if l.opt.quickAck == quickAckLeft {
		return
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK,
		uintptr(unsafe.Pointer(&l.quickAck)), unsafe.Sizeof(l.quickAck), 0)
}

// control changes what the poller reports of a descriptor.
func (l *loop) control(op, fd int, mask uint32) unix.Errno {
	l.change = unix.EpollEvent{Events: mask, Fd: int32(fd)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.poller), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&l.change)), 0, 0)
	return errno
}

// accept takes one client from the kernel's queue.
func accept(listener int) (int, unix.Errno) {
	return raw(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
}
