package synth

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below never block, so they go to the kernel without telling Go's scheduler, which would
// cost as much again as a small one of them.

// read reads into b, which is not empty. It returns 0 at the end of the stream.
func read(fd int, b []byte) (int, unix.Errno) {
	return retried(unix.SYS_READ, fd, unsafe.Pointer(&b[0]), len(b))
}

// write writes what the kernel takes of b, which is not empty.
func write(fd int, b []byte) (int, unix.Errno) {
	return retried(unix.SYS_WRITE, fd, unsafe.Pointer(&b[0]), len(b))
}

// write2 writes what the kernel takes of a and then b, neither of which is empty.
func write2(fd int, a, b []byte) (int, unix.Errno) {
	parts := [2]unix.Iovec{{Base: &a[0]}, {Base: &b[0]}}
	parts[0].SetLen(len(a))
	parts[1].SetLen(len(b))
	return retried(unix.SYS_WRITEV, fd, unsafe.Pointer(&parts), len(parts))
}

func retried(call uintptr, fd int, p unsafe.Pointer, size int) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(p), uintptr(size))
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// backlog is how many connections may wait to be accepted: more than a client has under way.
const backlog = 4096

// listen opens a listening socket and returns the address that it got.
func listen(addr string) (fd int, bound string, err error) {
	to, family, err := address(addr)
	if err != nil {
		return -1, "", err
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, "", fmt.Errorf("socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, to)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, "", fmt.Errorf("listen on %s: %w", addr, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return -1, "", fmt.Errorf("listen on %s: %w", addr, err)
	}
	return fd, addressText(name), nil
}

// connect begins to connect; the socket is writable when that has ended.
func connect(to unix.Sockaddr, family int) (fd int, err error) {
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", limitSaid(err))
	}
	noDelay(fd)
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// connected returns how the connect of a socket ended.
func connected(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return err
}

// noDelay sends every write at once. A socket that is not TCP has no such option and needs none.
func noDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// address resolves host:port, both in figures.
func address(addr string) (unix.Sockaddr, int, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, 0, fmt.Errorf("address %q to connect to or to listen on: %w", addr, err)
	}
	if ip := a.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}, unix.AF_INET6, nil
}

func addressText(name unix.Sockaddr) string {
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	}
	return ""
}

// spareDescriptors are those that a process needs besides one for each connection.
const spareDescriptors = 32

// checkLimit reports whether this process may open that many connections. Go raises the soft limit to
// the hard one at its start, so what stands here is all there is.
func checkLimit(connections int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of descriptors: %w", err)
	}
	if need := uint64(connections) + spareDescriptors; need > limit.Cur {
		return fmt.Errorf("%d clients need %d descriptors; this process may have %d (ulimit -n)", connections, need, limit.Cur)
	}
	return nil
}

// limitSaid adds the limit to an error that says that it is reached.
func limitSaid(err error) error {
	var limit unix.Rlimit
	if err == unix.EMFILE && unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		return fmt.Errorf("%w: this process may have %d descriptors (ulimit -n)", err, limit.Cur)
	}
	return err
}
