package mysql

import (
	"errors"

	"sluice/codec"
)

// moveState is how far a move has come.
//
//	dial ─▶ greeting ─▶ tls ─▶ login ─▶ part ─▶ standBy ─▶ (commit) ─▶ ask ─▶ put ─▶ ready
//	                      │      ▲                                      │     ▲
//	                      │    work                                     └ login (TiDB)
//	                      └───────────────────────▶ standBy (TiDB)            anything ─▶ over
//
// TiDB takes a token of the old server in place of a password, so there the login waits for the answer.
type moveState uint8

const (
	moveDial     moveState = iota // a connection to the new server is due
	moveGreeting                  // its greeting is due
	moveTLS                       // the handshake with it is under way
	moveLogin                     // its word on the login is due
	moveWork                      // a proof is being computed
	movePart                      // it is asked what it is
	moveStandBy                   // Ask is due
	moveCommit                    // the old server ends the transaction
	moveAsk                       // the old server is asked for the state
	movePut                       // the new server is given the state
	moveReady                     // the session is at the new server
	moveOver                      // it stays where it was
)

// move carries one session to another server: a codec.Move.
type move struct {
	m       *Mover
	cfg     *codec.MoveConfig
	carrier carrier
	state   moveState
	out     [codec.Legs][]byte
	refusal error
	drop    int

	old oldLeg
	new newLeg
}

// NewMove begins a move.
func (m *Mover) NewMove(cfg *codec.MoveConfig) codec.Move {
	return &move{m: m, cfg: cfg, carrier: m.newCarrier()}
}

var errOldLost = errors.New("the old server was lost before it had told the session's state")

// fail ends the move in vain.
func (v *move) fail(err error) codec.Op {
	if v.state >= moveReady {
		return codec.OpClose
	}
	if v.state == moveAsk || v.state == movePut {
		v.m.refused(err)
	}
	v.refusal = err
	v.end(moveOver)
	return codec.OpClose
}

// end leaves the new server's side behind.
func (v *move) end(s moveState) {
	v.state = s
	if v.new.answers != nil {
		v.new.answers.close()
	}
	if s == moveOver {
		v.out[codec.LegNew] = nil
	}
	v.new = newLeg{id: v.new.id}
}

// Server takes bytes of the old or the new server.
func (v *move) Server(leg codec.Leg, p []byte) codec.Op {
	if leg == codec.LegOld {
		return v.fromOld(p)
	}
	if v.state >= moveReady {
		return codec.OpClose
	}
	return v.fromNew(p)
}

// Ask begins the part for which the client waits.
func (v *move) Ask(held []byte) codec.Op {
	switch {
	case v.state == moveStandBy, v.state == moveDial && v.cfg.AskOnly:
	default:
		return v.fail(errors.New("asked out of turn"))
	}
	if v.cfg.Lost {
		return v.answered()
	}
	v.old.open(v)
	if v.m.Busy() == "" {
		return v.question()
	}
	n, ok := v.m.beginAhead(held)
	if !ok {
		return v.fail(errors.New("the session is not at a safe point"))
	}
	v.state, v.old.begin = moveCommit, n
	v.old.send(v, commitText)
	return codec.OpMore
}

// question asks the old server for the state.
func (v *move) question() codec.Op {
	v.state, v.old.from = moveAsk, v.old.answers.i
	if v.cfg.AskOnly {
		if why := v.m.fragile(); why != nil {
			return v.fail(why)
		}
	}
	texts := v.carrier.ask(v)
	for _, text := range texts {
		v.old.send(v, text)
	}
	if len(texts) == 0 {
		return v.answered()
	}
	return codec.OpMore
}

// answered goes on when all is known that is to be put in place.
func (v *move) answered() codec.Op {
	if v.cfg.AskOnly {
		v.end(moveReady)
		return codec.OpReady
	}
	if v.late() {
		return v.login()
	}
	return v.put()
}

// put gives the new server the state.
func (v *move) put() codec.Op {
	commands := v.carrier.put()
	v.state = movePut
	if err := sendable(commands); err != nil {
		return v.fail(err)
	}
	if len(commands) == 0 {
		return v.done()
	}
	v.commands(commands)
	return codec.OpMore
}

// done has the follower follow the new server.
func (v *move) done() codec.Op {
	v.m.moved(v)
	v.end(moveReady)
	v.old.close()
	return codec.OpReady
}

// OldLost tells that the old server is gone.
func (v *move) OldLost() codec.Op {
	v.old.close()
	switch {
	case v.state == moveCommit:
		return v.fail(codec.Error{
			Cond: codec.TxUnknown,
			Text: "the server was lost while it committed a transaction: it may be committed or not",
		})
	case v.cfg.Lost || v.state == moveLogin && v.late() || v.state == movePut:
		return codec.OpMore
	}
	return v.fail(errOldLost)
}

// GiveUp ends the move in vain.
func (v *move) GiveUp() {
	if v.state < moveReady {
		v.end(moveOver)
	}
}

// Owes tells that the old server has not answered all yet.
func (v *move) Owes() bool { return v.old.owes() }

// Take returns the bytes to write to that leg.
func (v *move) Take(leg codec.Leg) []byte {
	b := v.out[leg]
	v.out[leg] = nil
	return b
}

// Drop is the length of the client's BEGIN if it has been answered.
func (v *move) Drop() int { return v.drop }

// Rest returns nil: a server that speaks unasked behind its last answer is not moved to.
func (v *move) Rest() []byte { return nil }

// Key is the connection id at the new server.
func (v *move) Key() codec.Key { return codec.Key{ID: v.new.id} }

// Refusal says why the move ended with OpClose.
func (v *move) Refusal() error { return v.refusal }

var (
	_ codec.Mover = (*Mover)(nil)
	_ codec.Move  = (*move)(nil)
)
