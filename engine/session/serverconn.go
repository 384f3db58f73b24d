package session

import (
	"fmt"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream/pool"
)

// connState is where a server connection of a pool stands.
//
//	Opening ─▶ Idle ◀─▶ Joined ─▶ Leaving ─┐
//	            ▲ ▲────── Checking         │
//	            └─┴─────── Held ◀──────────┘
type connState uint8

const (
	connOpening  connState = iota // dialling and logging in
	connIdle                      // with the pool
	connJoined                    // a client has it
	connLeaving                   // its client has gone; it works its way back
	connChecking                  // it has to show that it is alive
	connHeld                      // free, but a cancel request may still hit it
	connLocating                  // its server has to tell its position
	connClosed
)

// String returns the state's name as it is shown to operators.
func (s connState) String() string {
	return [...]string{"login", "idle", "active", "leaving", "tested", "being_canceled", "tested", "closed"}[s]
}

// serverConn is one server connection of a pool. It belongs to one loop at a time.
type serverConn struct {
	pool.Entry
	id    uint64
	home  *home
	conn  *engine.Conn
	host  codec.Host // nil until logged in
	state connState
	at    *Session // the client that has it
	open  *openingConn

	cancels   int          // requests under way that may hit it
	stray     bool         // one of them has no known end: it may hit whoever has the connection then
	timer     engine.Timer // of opening, leaving and checking
	opened    int64        // engine.Nano
	joined    int64        // engine.Nano of the present unit's begin
	active    int64        // engine.Nano of the last bytes of the client at hand
	begun     int64        // engine.Nano of the present unit's begin, of many that a client may have before it parts; 0: none
	schema    uint64       // the schema's epoch that its statements are of
	heard     int64        // engine.Nano of the server's last bytes for the client at hand
	cancelled int64        // begin of the command that was cancelled since it took too long
	reset     bool         // the reset statement has to run before others may have it
}

// OnOpen begins the login at the server.
func (sc *serverConn) OnOpen(c *engine.Conn) {
	if sc.state != connOpening {
		c.Close()
		return
	}
	sc.conn = c
	c.Write(sc.home.spec.cluster.Options().Introduction())
	sc.openStep(sc.open.m.Start())
}

// OnData takes bytes of the server.
func (sc *serverConn) OnData(_ *engine.Conn, p []byte) {
	on := sc.home.on
	on.busy++
	switch {
	case sc.state == connOpening:
		sc.openBytes(p)
	case sc.state != connClosed:
		sc.fromServer(p)
	}
	on.busy--
	on.settle()
}

// OnRoom lets the client go on after the server has caught up.
func (sc *serverConn) OnRoom(*engine.Conn) {
	if s := sc.at; s != nil {
		s.readOn()
	}
}

// OnClose takes the connection out of its pool.
func (sc *serverConn) OnClose(_ *engine.Conn, err error) {
	on := sc.home.on
	on.busy++
	switch sc.state {
	case connOpening:
		sc.openFailed(fmt.Errorf("the server closed the connection during the login: %w", orEOF(err)))
	case connClosed:
		sc.home.part.Lost(&sc.Entry)
	default:
		sc.lost(err)
	}
	on.busy--
	on.settle()
}

// fromServer gives the host what the server said, and does what follows from it.
func (sc *serverConn) fromServer(p []byte) {
	on, s := sc.home.on, sc.at
	t := &on.turn
	t.Server.Open(sc.conn)
	if s != nil {
		s.clock.now = 0
		s.bst.toClient += uint64(len(p))
		sc.home.counts.sent += uint64(len(p))
		sc.heard = on.loop.Now()
		t.Client.Open(s.client)
	}
	if s == nil || s.sh.intro { // then the client is told by the gate
		t.Client.Open(nil)
	}
	err := sc.host.Server(p, t)
	t.Flush()
	if err != nil {
		sc.broken(err)
		return
	}
	if s != nil {
		if sc.host.Withheld() {
			sc.ends()
			return
		}
		if s.client.Full() {
			sc.conn.PauseReads() // until OnRoom of the client
		}
		s.afterHost(sc)
		return
	}
	sc.alone()
}

// alone goes on with a connection that no client has, after its server has spoken.
func (sc *serverConn) alone() {
	if ending, _ := sc.host.Ending(); ending {
		sc.close() // nobody is to get it in the moment before the server closes
		return
	}
	switch sc.state {
	case connIdle:
		if sc.host.Failed() != nil {
			sc.close()
		}
	case connLeaving:
		if err := sc.host.Failed(); err != nil {
			sc.close()
		} else if sc.host.Free() {
			sc.left()
		}
	case connChecking:
		if err := sc.host.Failed(); err != nil {
			sc.checked(false)
		} else if sc.host.Free() {
			sc.checked(true)
		}
	case connLocating:
		if sc.host.Failed() != nil {
			sc.close()
		} else if sc.host.Free() {
			sc.located()
		}
	}
}
