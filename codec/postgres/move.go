package postgres

import (
	"errors"

	"sluice/codec"
)

// moveStage is how far a move has come.
//
//	begin ─▶ login ─▶ warming ─▶ standBy ─▶ asking ─▶ resolving ─▶ putting ─▶ done
//	   └─ with AskOnly ────────────────────▶─┘ └──────────▶───────────┘
//
// Any stage may go to closed.
type moveStage uint8

const (
	moveBegin     moveStage = iota
	moveLogin               // at the new server
	moveWarming             // the new server is asked what a session is before anything is put in place
	moveStandBy             // logged in; Ask is due
	moveAsking              // the old server's answer is due
	moveResolving           // the new server is asked what types are called there
	movePutting             // the state is being put in place, and checked
	moveDone
	moveClosed // in vain
)

// move carries a session from one server to another. It asks the old server what the session keeps there, in one
// Query, and puts that in place at the new one by one batch, the last of which is the same question: if the answers
// are the same, the session is.
type move struct {
	m      *movable
	cfg    *codec.MoveConfig
	stage  moveStage
	opener *opener

	old, fresh messageReader
	out        [codec.Legs][]byte

	owed    []oldStep // what the old server has yet to answer
	oldGone bool
	fatal   []byte // with what words the old server has ended the session

	answer answerReader  // of the new server, then of the old one, then of the new one
	failed *serverError  // what the old server said in place of an answer
	marks  uint32        // when the question was asked; likewise begun
	begun  uint32        //
	base   *sessionState // what a session at the new server is before anything is put in place
	state  *sessionState
	put    put
	report told // what the new server has reported
	key    codec.Key

	refusal error
}

var (
	errNotAskable = errors.New("the session is in the middle of something")
	errNotKnown   = codec.Error{Cond: codec.BackendLost, Text: "the server has gone, and what the session kept there is not known"}
)

// NewMove begins a move.
func (m *movable) NewMove(cfg *codec.MoveConfig) codec.Move {
	v := &move{m: m, cfg: cfg}
	v.old.max = 2*m.opt.StateMax + minMessage // rows are in hex
	v.fresh.max = v.old.max
	return v
}

// Connected begins the login at the new server, as the client has logged in at the old one.
func (v *move) Connected() codec.Op {
	if v.stage != moveBegin || v.cfg.AskOnly {
		return v.refuse(errNotAskable)
	}
	t := &v.m.tracker
	if pin := t.pin(); pin.Name != "" {
		return v.refuse(codec.PinError{Pin: pin})
	}
	cfg := &codec.OpenerConfig{User: t.user, Database: t.database, TLS: v.cfg.TLS, Part: v.cfg.Part, AuthClear: v.cfg.AuthClear}
	if t.secret != nil {
		cfg.Secret = *t.secret
	}
	v.opener = &opener{cfg: cfg, random: fillRandom, startup: t.startup}
	v.stage = moveLogin
	return v.opened(v.opener.Start())
}

// Server takes bytes of the old or the new server.
func (v *move) Server(leg codec.Leg, p []byte) codec.Op {
	switch {
	case leg == codec.LegOld:
		return v.readOld(p)
	case v.stage == moveLogin:
		return v.opened(v.opener.Server(p))
	}
	return v.readNew(p)
}

// Secured tells that TLS with the new server is up.
func (v *move) Secured(cert []byte) codec.Op {
	if v.stage != moveLogin {
		return v.refuse(errNotAskable)
	}
	return v.opened(v.opener.ServerSecured(cert))
}

// Work derives keys from the password.
func (v *move) Work() {
	if v.opener != nil {
		v.opener.Work()
	}
}

// Worked goes on with the login.
func (v *move) Worked() codec.Op {
	if v.stage != moveLogin {
		return v.now()
	}
	return v.opened(v.opener.Worked())
}

// opened takes what a step of the login has come to.
func (v *move) opened(op codec.Op) codec.Op {
	o := v.opener
	v.out[codec.LegNew] = append(v.out[codec.LegNew], o.Take()...)
	switch op {
	case codec.OpClose:
		if o.lacking {
			return v.refuse(codec.PinError{Pin: pinCredentials})
		}
		return v.refuse(o.Refusal())
	case codec.OpReady:
	default:
		return op
	}
	for _, p := range o.reported {
		v.report.put(appendStatus(nil, p))
	}
	v.key = o.key
	v.warm()
	return v.readNew(o.Rest())
}

// Ask has the old server asked for the session's state; or takes what is known of it, if there is no such server
// any more.
func (v *move) Ask([]byte) codec.Op {
	t := &v.m.tracker
	switch pin := t.pin(); {
	case v.stage == moveClosed:
		return codec.OpClose
	case v.stage != moveStandBy && !(v.cfg.AskOnly && v.stage == moveBegin) || !v.m.Askable(nil):
		return v.refuse(errNotAskable)
	case pin.Name != "":
		return v.refuse(codec.PinError{Pin: pin})
	case v.cfg.Lost, v.oldGone, !v.cfg.AskOnly && t.isKnown() && t.knownAt == t.begun:
		return v.takeKnown()
	}
	v.ask()
	return codec.OpMore
}

// takeKnown goes on with what is known of the session.
func (v *move) takeKnown() codec.Op {
	t := &v.m.tracker
	if v.cfg.AskOnly || !t.isKnown() {
		return v.refuse(errNotKnown)
	}
	v.state, v.marks, v.begun = t.known, t.marks, t.begun
	return v.begin()
}

// GiveUp ends the move in vain.
func (v *move) GiveUp() {
	v.refuse(nil)
}

// Owes tells whether the old server has not answered all yet, or stands inside a message that was begun here.
func (v *move) Owes() bool { return !v.oldGone && (len(v.owed) > 0 || v.old.mid()) }

// Take returns the bytes to write to a leg and forgets them.
func (v *move) Take(leg codec.Leg) []byte {
	b := v.out[leg]
	v.out[leg] = nil
	return b
}

// Drop is 0: nothing that is held back is ever seen to.
func (v *move) Drop() int { return 0 }

// Rest returns what the new server has sent behind the end of the move.
func (v *move) Rest() []byte {
	if v.stage != moveDone {
		return nil
	}
	return v.fresh.in
}

// Key is the new server's key for the session.
func (v *move) Key() codec.Key { return v.key }

// Refusal says why the move has ended in vain.
func (v *move) Refusal() error { return v.refusal }

// now is the Op of a stage in which nothing is to be done.
func (v *move) now() codec.Op {
	if v.stage == moveClosed {
		return codec.OpClose
	}
	return codec.OpMore
}

// refuse ends the move in vain.
func (v *move) refuse(why error) codec.Op {
	if v.stage == moveClosed {
		return codec.OpClose
	}
	v.refusal = why
	v.stage = moveClosed
	if _, ok := why.(codec.PinError); ok {
		v.m.pinned = true
	}
	v.out[codec.LegNew] = nil
	v.put, v.state, v.fresh = put{}, nil, messageReader{}
	return codec.OpClose
}
