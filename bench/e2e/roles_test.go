package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"sluice/bench/e2e/wire"
)

// A role is something that the test program does in a process of its own, so that its descriptors and
// memory are not the test's: the test binary runs itself with roleVariable set.
const roleVariable = "E2E_ROLE"

// playRole does what role says until standard input ends.
func playRole(role string) {
	// The parent's end closes the pipe in any case; this is for a parent that was killed half-way.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	var err error
	switch role {
	case "idle-server":
		err = playIdleServer()
	case "idle-clients":
		err = playIdleClients()
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// untilDismissed waits for the end of standard input.
func untilDismissed() {
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadByte(); err != nil {
			return
		}
	}
}

// playIdleServer is a PostgreSQL server that lets everybody in and then only answers pings. It says
// its address.
func playIdleServer() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serveIdle(c)
			}()
		}
	}()
	fmt.Println(ln.Addr())
	untilDismissed()
	return nil
}

// serveIdle answers any query with an empty result.
func serveIdle(c net.Conn) {
	p, ok := wire.AcceptPG(c)
	if !ok {
		return
	}
	p.Welcome()
	for p.Until('Q') {
		p.Send(wire.Complete("SELECT 0"), wire.Ready('I'))
	}
}

// What the clients of playIdleClients are told by the environment.
const (
	clientsVariable = "E2E_CLIENTS" // how many
	addrVariable    = "E2E_ADDR"    // where they log in
)

// playIdleClients logs clients in, says "ready" and keeps them until it is dismissed.
func playIdleClients() error {
	n, err := strconv.Atoi(os.Getenv(clientsVariable))
	if err != nil {
		return err
	}
	conns := make([]*wire.PG, 0, n)
	for i := range n {
		c, err := wire.DialPG(os.Getenv(addrVariable))
		if err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
		c.Login()
		if err := c.Fault(); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
		conns = append(conns, c)
	}
	fmt.Println("ready")
	untilDismissed()
	for _, c := range conns {
		c.Conn.Close()
	}
	return nil
}
