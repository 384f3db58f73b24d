package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockaddr turns an address into the kernel's form.
func sockaddr(a netip.AddrPort) (unix.Sockaddr, int) {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}, unix.AF_INET6
}

// listen opens the listening socket.
func listen(at netip.AddrPort) (int, error) {
	addr, family := sockaddr(at)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, addr)
	}
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listen on %v: %w", at, err)
	}
	return fd, nil
}

// onClient joins a new client with a connection to the server. The connect does not wait: what the
// client sends before it is through finds a full buffer and is held.
func (l *loop) onClient() error {
	fd, errno := accept(l.listener)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.ECONNABORTED:
		return nil
	default:
		return fmt.Errorf("accept: %w", errno)
	}
	behind, err := unix.Socket(l.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("socket: %w", err)
	}
	for _, s := range []int{fd, behind} {
		if err := l.configure(s); err != nil {
			return err
		}
	}
	if err := unix.Connect(behind, l.server); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		_ = unix.Close(behind)
		return nil // the client sees that the server is not there
	}
	return l.join(fd, behind)
}

// configure sets a connection's options.
func (l *loop) configure(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("TCP_NODELAY: %w", err)
	}
	return l.setBusyPoll(fd)
}

// setBusyPoll: https://man7.org/linux/man-pages/man7/socket.7.html
func (l *loop) setBusyPoll(fd int) error {
	if l.opt.busyPoll == 0 {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUSY_POLL, l.opt.busyPoll); err != nil {
		return fmt.Errorf("SO_BUSY_POLL: %w", err)
	}
	return nil
}

// join makes a pair of two connections.
func (l *loop) join(client, server int) error {
	a, errno := l.open(client)
	b, other := l.open(server)
	a.peer, b.peer = b, a
	for _, errno := range []unix.Errno{errno, other} {
		if errno != 0 {
			return fmt.Errorf("epoll: %w", errno)
		}
	}
	return nil
}
