package session

import (
	"container/list"
	"context"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// mobile is what a session has besides if it can go on at another server.
type mobile struct {
	mover codec.Mover
	past  *past // nil until a move was tried, or put off

	// Of the keeper (move_keep.go).
	still int64  // engine.Nano at which it was seen first that nothing was asked any more
	seen  uint32 // commands at the last look
	asked uint32 // Marks when the state was asked for last, if tried
	at    uint32 // seen at that time
	tried bool
	firm  bool  // that was as far as to ask the server
	waits bool  // to be asked
	held  uint8 // times in a row that the answer came too late
}

// past is what a session remembers of its moves.
type past struct {
	moves   uint32            // made
	arrived int64             // engine.Nano at which the present backend was chosen, and
	moved   int64             // at which the session came there; 0: it has not moved
	from    *upstream.Backend // where it came from
	order   bool              // it was asked for by name

	err    string       // why the last one came to nothing; "" if it did not
	pin    codec.Pin    // what bound it at the last try, which holds as long as
	pinned uint32       // these are its Marks
	until  int64        // engine.Nano before which none is tried after one that failed
	retry  engine.Timer // looks again whether the session is to leave its backend
	armed  bool         // retry is
	late   bool         // it should have left its backend by now: cut off as soon as the move under way is over

	alias   codec.Key // under which the server knows it, if that is another key than the client's
	aliased bool      // alias is in the registry
}

// history returns what the session remembers of its moves, to be added to.
func (m *mobile) history() *past {
	if m.past == nil {
		m.past = &past{}
	}
	return m.past
}

// moveStage is how far a move is; doc.go draws it.
type moveStage uint8

const (
	moveQueued    moveStage = iota // others of the loop are first
	moveSeeking                    // the server is lost, and there is no backend at present
	moveDialling                   // a connection to the new server is being made
	movePreparing                  // the machine works with the new server
	moveStandBy                    // for a safe point
	moveAsked                      // the client waits
	moveOwing                      // it has come to nothing, but something has to end first: Work, or the old server's answers
	moveOver
)

// String returns the stage for people.
func (m moveStage) String() string {
	return [...]string{"queued", "seeking", "dialling", "preparing", "standing by", "asked", "owing", "over"}[m]
}

// moving is one move of a session, from the wish to its end.
type moving struct {
	s     *Session
	why   string // a label in the metrics
	order bool   // it was asked for by name, and not by the state of the session's backend
	stage moveStage
	from  *upstream.Backend
	to    *upstream.Backend // nil: the router picks one when its time has come
	aimed bool              // to is joined, and from parts
	led   bool              // to led when it was chosen
	since int64             // engine.Nano at which to was chosen
	opt   *upstream.Options // in force when it was dialled

	m       codec.Move
	cfg     codec.MoveConfig
	op      codec.Op // of m, being carried out
	asked   bool     // Ask was called: the old server's bytes are m's
	done    bool     // m has ended by itself
	dialled bool     // it counts among the pending server connections
	working bool     // m is in the hands of another goroutine
	oldGone bool     // the old server's connection has ended
	oldTold bool     // and m knows
	oldErr  error    // why
	unsure  bool     // it was ending the transaction for the move, and nobody knows whether it has
	conn    *engine.Conn
	leg     *newSide
	early   [codec.Legs][]byte // bytes that came while op was carried out
	stop    context.CancelFunc // of the dial
	timer   engine.Timer       // deadline of the stage
	turns   *turns             // among which it is; nil: it needs none
	slot    bool               // it has its turn
	lined   *list.Element      // its place among those that wait for their turn, or whose moment has come; nil: it waits for neither
	place   *list.List
	inside  int64 // engine.Nano at which the line has let it in; 0: it has not
	hurts   bool  // its client works, and waits
	result  moveResult

	wait  engine.Timer // deadline of what the client waits for, or the end of a rest of the gate
	open  bool         // the gate rests: the client has waited for long enough
	held  []byte       // client bytes that wait, in order
	began int64        // engine.Nano at which the client began to wait; 0: it does not

	seek *seeking // of a session that has lost its server; else nil

	counted *routeStats // where it is among those under way; nil: nowhere
	slow    bool        // the keeper has given its place to another
}

// orderPatience is how long a session that is to be moved for balance may take to a safe point.
const orderPatience = time.Minute

// movable tells whether the session may move by what is known now.
func (s *Session) movable() bool {
	return s.stage == stageRelay && s.mob != nil && s.leaving == nil && s.cluster.Options().Migrate.Move != nil
}

// startMobile prepares a session that has just logged in for moves.
func (s *Session) startMobile(opt *codec.MoveOptions) {
	mover, ok := s.follow.(codec.Mover)
	if !ok || opt == nil {
		return
	}
	s.mob = &mobile{mover: mover, still: engine.Nano()}
	s.on.keep(s)
}

// lookForTranslator notes whether what passes has to be translated from now on.
func (s *Session) lookForTranslator() {
	if s.translate, _ = s.follow.(codec.Translator); s.translate != nil && !s.translate.Translates() {
		s.translate = nil
	}
}

// moveTo has the session go to another backend at its next safe point; to nil has the router pick one. A move that
// is under way to a different one is given up for it, unless the client waits for it already. It tells whether the
// session will be tried to be moved there.
func (s *Session) moveTo(to *upstream.Backend, why string) bool {
	switch {
	case !s.movable(), s.pin().Name != "", s.resting(), to == s.backend, to != nil && to.Fits(s.want()) != "":
		return false
	}
	if mv := s.mv; mv != nil {
		switch {
		case mv.settled():
			return false
		case to == nil && (mv.to == nil || mv.to.Fits(s.want()) == ""), to == mv.to:
			mv.rename(why, to != nil)
			return true
		}
		mv.abandon(moveReplaced, nil)
		if s.mv != nil || s.stage != stageRelay {
			return false
		}
	}
	mv := &moving{s: s, why: why, from: s.backend}
	if to != nil {
		mv.order = true
		to.Join()
		mv.aim(to)
	}
	s.mv = mv
	s.on.moves.enter(mv)
	return true
}

// rename gives a move that is under way another reason.
func (mv *moving) rename(why string, order bool) {
	if mv.aimed {
		mv.unpend()
	}
	mv.why = why
	if mv.aimed {
		mv.s.on.stats.moves.pend(mv)
	}
	if mv.order && !order && mv.stage == moveStandBy {
		mv.s.on.loop.Disarm(&mv.timer) // of a wish that could wait no longer
	}
	mv.order = order
}

// resting tells that the session is not tried again yet, behind a move that has failed.
func (s *Session) resting() bool { return s.mob.past != nil && engine.Nano() < s.mob.past.until }

// pin is what binds the session to its server, by what is known now.
func (s *Session) pin() codec.Pin {
	pin := s.mob.mover.Pin()
	if h := s.mob.past; h != nil && pin.Name == "" && h.pin.Name != "" && h.pinned == s.mob.mover.Marks() {
		return h.pin
	}
	return pin
}

// tryLater has the session look again whether it is to leave its backend, when it may be moved again.
func (s *Session) tryLater() {
	if s.mob == nil {
		return
	}
	h := s.mob.history()
	if h.armed {
		return
	}
	h.armed = true
	h.retry.Fn = func() {
		h.armed = false
		s.review(nil)
	}
	pause := max(asDuration(h.until-engine.Nano()), s.cluster.Options().Migrate.RetryAfter/8)
	s.on.loop.Arm(&h.retry, pause)
}

// relocate has up to n sessions go from one backend to another, the oldest first: those that are not moving,
// pinned or resting after a move that failed, that to is fit for and that may, if given, is true of. It returns how
// many will be tried. On the loop.
func (on *loopState) relocate(from, to *upstream.Backend, why string, n int, may func(*Session) bool) (started int) {
	for s := on.list.next; s != &on.list && started < n; {
		next := s.next
		if s.backend == from && s.mv == nil && s.sh == nil && (may == nil || may(s)) && s.moveTo(to, why) {
			started++
		}
		s = next
	}
	return started
}

// aim counts the session in at b, where it is joined already, and among those that part from where it is.
func (mv *moving) aim(b *upstream.Backend) {
	mv.to, mv.aimed, mv.led, mv.since = b, true, b.Leads(), engine.Nano()
	mv.from.Parting(1)
	mv.s.on.stats.moves.pend(mv)
}

// unaim takes that back. arrived: the session is at the new backend now.
func (mv *moving) unaim(arrived bool) {
	if !mv.aimed {
		return
	}
	mv.aimed = false
	mv.from.Parting(-1)
	mv.unpend()
	if arrived {
		mv.from.Release()
	} else {
		mv.to.Release()
	}
}

// settled tells that a move can't be given up for another one: the client waits for it, or it ends already.
func (mv *moving) settled() bool { return mv.stage >= moveAsked || mv.seek != nil }

// holds tells that the client waits for the move, whatever it says.
func (mv *moving) holds() bool { return mv.seek != nil || mv.asked }
