package session

import (
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/router"
	"sluice/upstream/pool"
)

// Limits of asking for positions.
const (
	// gaugeEvery is how often a replica that is behind is asked how far it is by now.
	gaugeEvery = 10 * time.Millisecond
	// gaugeWaits bounds the sessions that wait for one gauge. One more reads at its own home.
	gaugeWaits = 10_000
)

// gauge asks the server of a home for its position, on one of its server connections at a time, for all
// sessions of the loop that need to know.
//
//	await ─▶ ask ─ Get ─▶ question ─▶ answered ─▶ tell ─▶ each session: goes on, or stays
//	          ▲                                    │
//	          └───── at once, or in 10 ms ◀────────┘ while sessions stay
type gauge struct {
	h     *home
	known bool // of the newest answer
	at    codec.Position
	asked int64 // engine.Nano before the question was sent

	sc     *serverConn // that is being asked; nil: none is
	sent   int64       // engine.Nano before the question on its way was sent
	waiter pool.Waiter // for a server connection to ask
	timer  engine.Timer
	urgent bool // somebody has to know more than the last answer, however far the server is

	head, tail *Session // who waits, the first one first
	n          int
}

// gauge is that of the home, made when it is first needed.
func (h *home) gauge() *gauge {
	if h.where == nil {
		g := &gauge{h: h}
		g.waiter.Grant = func(e *pool.Entry) { g.question(e.User.(*serverConn)) }
		g.waiter.Fail = func(error) { h.on.loop.Run(func() { h.on.around(g.fail) }) }
		g.timer.Fn = func() { h.on.around(g.ask) }
		h.where = g
	}
	return h.where
}

// await has the unit wait for the answer to a question that is sent from now on.
func (s *Session) await(g *gauge, forFloor bool) step {
	r, mode := s.sh.reads, s.sharing().OwnWrites
	if r.since == 0 {
		r.since = engine.Nano()
	}
	left := s.readLeft()
	if g.n >= gaugeWaits || mode == OwnWritesWait && left <= 0 {
		return s.readAtOwn(readBehind)
	}
	if mode == OwnWritesWait {
		if r.timer.Fn == nil {
			r.timer.Fn = func() { s.on.around(s.awaitedTooLong) }
		}
		s.on.loop.Arm(&r.timer, left)
	}
	r.forFloor = forFloor
	g.push(s)
	if !g.asks() {
		s.on.loop.Disarm(&g.timer)
		g.ask()
	}
	return stepWait
}

// awaitedTooLong has the unit done at the session's own home.
func (s *Session) awaitedTooLong() {
	if r := s.sh.reads; r.at != nil {
		r.at.remove(s)
		s.readAtOwn(readBehind)
		s.again()
	}
}

// asks tells that a question is on its way, or waits for a server connection.
func (g *gauge) asks() bool { return g.sc != nil || g.waiter.Waits() }

// ask asks the server, if there is somebody who wants to know.
func (g *gauge) ask() {
	if g.n == 0 || g.asks() {
		return
	}
	if e := g.h.part.Get(&g.waiter); e != nil {
		g.question(e.User.(*serverConn))
	}
}

// question asks on a server connection.
func (g *gauge) question(sc *serverConn) {
	on := g.h.on
	host, ok := sc.host.(codec.Locator)
	if !ok || g.n == 0 {
		g.h.part.Put(&sc.Entry)
		if g.n > 0 {
			on.loop.Run(func() { on.around(g.fail) })
		}
		return
	}
	sc.state = connLocating
	g.sc, g.sent = sc, engine.Nano()
	t := &on.ownTurn // a session's may be under way
	t.Client.Open(nil)
	t.Server.Open(sc.conn)
	host.Locate(t)
	t.Flush()
	sc.timer.Fn = func() { on.around(sc.close) }
	on.loop.Arm(&sc.timer, g.h.spec.cluster.Options().ConnectTimeout)
}

// located takes the answer.
func (sc *serverConn) located() {
	g := sc.home.where
	sc.home.on.loop.Disarm(&sc.timer)
	g.at, g.known = sc.host.(codec.Locator).Position()
	g.asked, g.sc = g.sent, nil
	sc.giveBack()
	g.tell(g.n)
}

// lost takes note that the server connection that was asked has ended.
func (g *gauge) lost() {
	g.sc = nil
	g.fail()
}

// fail tells those who wait that there is no answer to be had.
func (g *gauge) fail() {
	g.known = false
	g.tell(g.n)
}

// tell tells the first n of those who wait, a few in each turn of the loop, and sees to the next question.
func (g *gauge) tell(n int) {
	on := g.h.on
	k := min(n, someSessions)
	for ; k > 0 && g.head != nil; k-- {
		s := g.head
		g.remove(s)
		s.hears(g)
	}
	switch rest := n - someSessions; {
	case rest > 0 && g.n > 0:
		on.loop.Run(func() { on.around(func() { g.tell(min(rest, g.n)) }) })
	case g.n == 0 || g.asks():
	case g.urgent:
		g.urgent = false
		g.ask()
	default:
		on.loop.Arm(&g.timer, gaugeEvery)
	}
}

// hears goes on with a session that has waited for a position, or has it wait on.
func (s *Session) hears(g *gauge) {
	r := s.sh.reads
	late := g.asked <= r.after
	if r.forFloor {
		late = g.asked <= r.wrote
	}
	switch {
	case r.forFloor && (!g.known || g.at.Replica), !r.forFloor && !s.trusts(g):
		s.readAtOwn(readUnfit)
		s.again()
	case late:
		g.push(s)
		g.urgent = true
	case r.forFloor, g.at.Log >= r.floor:
		s.readAgain()
	case s.sharing().OwnWrites == OwnWritesWait:
		g.push(s)
	default:
		s.readAtOwn(readBehind)
		s.again()
	}
}

// trusts tells that a server told its position which is what the session reads from.
func (s *Session) trusts(g *gauge) bool {
	return g.known && (g.at.Replica || s.sharing().ReadRoles.Has(router.Leader))
}

// push puts a session at the end of those who wait.
func (g *gauge) push(s *Session) {
	r := s.sh.reads
	r.at, r.prev = g, g.tail
	if g.tail == nil {
		g.head = s
	} else {
		g.tail.sh.reads.next = s
	}
	g.tail = s
	g.n++
}

// remove takes a session out of those who wait.
func (g *gauge) remove(s *Session) {
	r := s.sh.reads
	if r.prev == nil {
		g.head = r.next
	} else {
		r.prev.sh.reads.next = r.next
	}
	if r.next == nil {
		g.tail = r.prev
	} else {
		r.next.sh.reads.prev = r.prev
	}
	r.at, r.next, r.prev = nil, nil, nil
	g.n--
}
