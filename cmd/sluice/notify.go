package main

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// notify tells systemd of the service's state, if it has asked to be told,
// https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html. A supervisor that can't be
// reached is not a reason to stop serving.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' {
		path = "\x00" + path[1:] // the abstract name space
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}

// monotonicMicros is CLOCK_MONOTONIC in microseconds, which systemd compares a reload's begin with.
func monotonicMicros() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return t.Nano() / 1000
}
