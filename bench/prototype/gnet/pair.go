package main

import (
	"net"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// side is one of the two connections of a pair. Once it is enrolled it belongs to the loop.
type side struct {
	peer *side
	gc   gnet.Conn // nil before it is open and once it is closed

	opened  bool
	over    bool // it is closed, or never was opened
	closing bool // it is closed as soon as what is buffered has left
	paused  bool // it is not read
	byHand  bool // what is buffered for it is sent by the scan, not by gnet: see mask
	watched bool // in relay.watched
	data    uint64
	known   bool // data is what the poller knows the descriptor by
}

// dialTimeout is how long a client waits for the server.
const dialTimeout = 5 * time.Second

// serve connects a client with the server. It blocks, so it has a goroutine of its own.
func (r *relay) serve(client net.Conn, server string) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: -1}
	behind, err := dialer.Dial("tcp", server)
	if err != nil {
		_ = client.Close()
		return
	}
	if client.RemoteAddr() == nil || behind.RemoteAddr() == nil { // reset already; gnet needs them
		_ = client.Close()
		_ = behind.Close()
		return
	}
	a, b := &side{}, &side{}
	a.peer, b.peer = b, a
	first, err := r.client.EnrollContext(behind, b)
	if err != nil || !b.opened { // gnet does not tell that the poller refused it
		_ = client.Close()
		return
	}
	if _, err := r.client.EnrollContext(client, a); err != nil || !a.opened {
		_ = client.Close()
		_ = first.Close()
	}
}
