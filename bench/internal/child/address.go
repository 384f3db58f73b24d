package child

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// Free ports are looked for below the range from which the kernel takes the ports of outgoing
// connections (32768 upward by default): a port from inside it could be taken by any client between
// the look and the use. Those from 22000 on are for the tests against real servers, which run at the same
// time.
const (
	portFirst = 12000
	portLast  = 22000
	portTries = 200
)

// FreeAddress returns a loopback address, host:port, on which nothing listens.
func FreeAddress() (string, error) {
	for range portTries {
		port := portFirst + rand.IntN(portLast-portFirst)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		return addr, nil
	}
	return "", fmt.Errorf("no free port found in %d tries from %d to %d", portTries, portFirst, portLast)
}

// Port is the port of an address that FreeAddress returned.
func Port(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	return port
}

// pollEvery is how often a condition is looked at.
const pollEvery = 20 * time.Millisecond

// Until calls ready until it returns nil. It gives up when ctx ends or when p, if not nil, ends, and
// says what the last answer was.
func Until(ctx context.Context, p *Process, ready func() error) error {
	var ended <-chan struct{}
	if p != nil {
		ended = p.Done()
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			if e := p.Err(); e != nil {
				return e
			}
			return fmt.Errorf("%s: ended early", p.name)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Accepts reports whether something accepts connections at addr: nil if it does.
func Accepts(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
