package main

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/bench/internal/child"
)

// TestTurnDoesNotAllocate: under no idea does a question and its answer cost an allocation, be they
// short or as long as a read.
func TestTurnDoesNotAllocate(t *testing.T) {
	for _, flags := range allowed(t) {
		t.Run(flags, func(t *testing.T) {
			client, server := relayed(t, strings.Fields(flags))
			for _, size := range []int{100, chunk} {
				message := make([]byte, size)
				roundTrip := func() {
					pass(t, client, server, message)
					pass(t, server, client, message)
				}
				if n := testing.AllocsPerRun(20, roundTrip); n > 0 {
					t.Errorf("%d bytes: %v allocations", size, n)
				}
			}
		})
	}
}

// pass sends a message from one end to the other.
func pass(t *testing.T, from, to net.Conn, message []byte) {
	if _, err := from.Write(message); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, message); err != nil {
		t.Fatal(err)
	}
}

// relayed runs a loop and returns a client and the server behind it.
func relayed(t *testing.T, flags []string) (client, server net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	runLoop(t, append(flags, addr, l.Addr().String()), addr)
	for _, open := range []func() (net.Conn, error){func() (net.Conn, error) { return net.Dial("tcp", addr) }, l.Accept} {
		c, err := open()
		if err == nil {
			t.Cleanup(func() { c.Close() })
			err = c.SetDeadline(time.Now().Add(2 * time.Minute))
		}
		if err != nil {
			t.Fatal(err)
		}
		client, server = server, c
	}
	return client, server
}

// runLoop has a loop turn on a goroutine until the test ends.
func runLoop(t *testing.T, args []string, addr string) {
	o, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	relay, err := newLoop(o)
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil && !stop.Load() {
			err = relay.turn()
		}
		ended <- err
	}()
	t.Cleanup(func() {
		stop.Store(true)
		if c, err := net.Dial("tcp", addr); err == nil { // it may sleep
			c.Close()
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		relay.close()
	})
}
