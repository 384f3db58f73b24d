package postgres

import (
	"bytes"
	"maps"
	"slices"

	"sluice/codec"
)

// warm asks the new server the question while the client is served yet. What it answers is what a session has there
// before anything is put in place; and its next answer, for which the client waits, takes a third of the time, as it
// knows its own catalogs by then.
func (v *move) warm() {
	t := &v.m.tracker
	v.stage = moveWarming
	v.put.steps = []putStep{putCheck}
	v.answer.start(&t.names, t.opt.StateMax)
	v.out[codec.LegNew] = appendQuery(v.out[codec.LegNew], string(appendQuestion(nil, &t.names)))
}

// put is what is on its way to the new server.
type put struct {
	names   []string // of types that are looked up
	types   typeOIDs
	unnamed []byte // the Parse of the unnamed statement
	steps   []putStep
	at      int // steps that are done
}

// putStep is what one ReadyForQuery of the new server answers.
type putStep uint8

const (
	putLookup   putStep = iota // the OIDs of types
	putLoad                    // a library
	putSettings                // settings, user and role
	putParse                   // statements by Parse
	putPrepare                 // a statement by SQL
	putEncoding                // client_encoding and statement_timeout, which have been put away before
	putCheck                   // the question
	putUnnamed                 // the unnamed statement
)

// begin begins to put the state in place.
func (v *move) begin() codec.Op {
	v.put = put{types: typeOIDs{}, names: slices.Collect(maps.Values(v.state.names))}
	if len(v.put.names) == 0 {
		return v.place()
	}
	v.stage = moveResolving
	v.put.steps = []putStep{putLookup}
	v.out[codec.LegNew] = appendQuery(v.out[codec.LegNew], string(appendLookup(nil, v.put.names)))
	return codec.OpMore
}

// place sends the whole state.
func (v *move) place() codec.Op {
	v.stage = movePutting
	t := &v.m.tracker
	p := &v.put
	p.steps, p.at = nil, 0
	out := p.appendLoads(v.out[codec.LegNew], t.loaded)
	if !v.state.pristine && v.state.differs(v.base, nil) != "" {
		var ok bool
		if out, ok = p.appendState(out, v.state, t.user); !ok {
			return v.refuse(codec.PinError{Pin: pinPrepared})
		}
		for _, x := range v.state.settings { // of modules that need not be loaded there yet
			t.names.add([]byte(x.name))
		}
		if t.names.isFull() {
			return v.refuse(codec.PinError{Pin: pinSettings})
		}
		out = appendQuery(out, string(appendQuestion(nil, &t.names)))
		p.steps = append(p.steps, putCheck)
		v.answer.start(&t.names, t.opt.StateMax)
	}
	if len(t.unnamed.raw) > 0 {
		var ok bool
		if p.unnamed, ok = v.state.withTypes(t.unnamed.raw, p.types); !ok {
			return v.refuse(codec.PinError{Pin: pinUnnamed})
		}
		out = append(append(out, p.unnamed...), syncMessage...)
		p.steps = append(p.steps, putUnnamed)
	}
	v.out[codec.LegNew] = out
	if len(p.steps) == 0 {
		return v.finish()
	}
	return codec.OpMore
}

// readNew takes bytes of the new server, behind its login.
func (v *move) readNew(p []byte) codec.Op {
	op := v.now()
	err := v.fresh.feed(p, func(msg []byte, big bool) bool {
		op = v.newMessage(msg, big)
		return op == codec.OpMore
	})
	if err != nil {
		return v.refuse(codec.Error{Cond: codec.ServerNotSupport, Text: err.Error()})
	}
	return op
}

// newMessage takes a message of the new server. Its notices are about what the client has not done.
func (v *move) newMessage(msg []byte, big bool) codec.Op {
	switch msg[0] {
	case msgNotice:
	case msgParameter:
		if !big {
			v.report.put(msg)
		}
	case msgError:
		return v.newFailed(msg)
	case 'D':
		return v.newRow(msg, big)
	case msgReady:
		return v.newReady(msg)
	}
	return v.now()
}

// step is what the new server answers at present.
func (v *move) step() (s putStep, ok bool) {
	if v.put.at < len(v.put.steps) {
		return v.put.steps[v.put.at], true
	}
	return 0, false
}

// newFailed takes an error of the new server.
func (v *move) newFailed(msg []byte) codec.Op {
	said := parseError(msg[headerSize:])
	step, ok := v.step()
	switch {
	case said.severity == "FATAL" || said.severity == "PANIC" || !ok:
		return v.refuse(codec.Error{Cond: codec.NoBackend, Text: said.Error(), Raw: string(bytes.Clone(msg))})
	case step == putParse || step == putPrepare:
		return v.refuse(pinFor(pinPrepared, said))
	case step == putUnnamed:
		return v.refuse(pinFor(pinUnnamed, said))
	case step == putLoad:
		return v.refuse(pinFor(pinLoad, said))
	}
	return v.refuse(codec.Error{Cond: codec.ProtocolError,
		Text: "the session's state was refused by the new server: " + said.Error()})
}

// pinFor is a pin that the new server's words are the reason for.
func pinFor(p codec.Pin, said *serverError) error {
	p.Reason += ": " + said.Error()
	return codec.PinError{Pin: p}
}

// newRow takes a row of the new server.
func (v *move) newRow(msg []byte, big bool) codec.Op {
	switch step, _ := v.step(); {
	case v.stage == moveResolving:
		if big || !v.put.types.takeType(msg[headerSize:], v.put.names) {
			return v.refuse(codec.PinError{Pin: pinPrepared}) // there is no such type
		}
	case step == putCheck:
		v.row(msg, big)
	}
	return v.now()
}

// newReady takes a ReadyForQuery of the new server.
func (v *move) newReady(msg []byte) codec.Op {
	step, ok := v.step()
	if !ok || msg[headerSize] != 'I' {
		return v.refuse(codec.Error{Cond: codec.ServerNotSupport, Text: "the new server is not where it should be"})
	}
	v.put.at++
	switch step {
	case putLookup:
		return v.place()
	case putCheck:
		if op := v.compare(); op != codec.OpMore {
			return op
		}
	}
	if v.put.at == len(v.put.steps) {
		return v.finish()
	}
	return codec.OpMore
}

// compare takes the new server's answer to the question.
func (v *move) compare() codec.Op {
	state, err := v.answer.result()
	switch {
	case err != nil:
		return v.refuse(err)
	case v.stage == moveWarming:
		v.base = state
		v.stage = moveStandBy
		return codec.OpStandBy
	}
	if what := v.state.differs(state, v.put.types); what != "" {
		return v.refuse(codec.Error{Cond: codec.ProtocolError,
			Text: "the session would not be the same at the new server: " + what + " would differ"})
	}
	return codec.OpMore
}

// finish has the follower follow the new server. The client is told what that reports otherwise.
func (v *move) finish() codec.Op {
	f, t := &v.m.follower, &v.m.tracker
	v.stage = moveDone
	v.out[codec.LegClient] = v.report.appendNews(v.out[codec.LegClient], &t.told)
	t.told = v.report
	t.told.share()
	if v.put.unnamed != nil {
		t.unnamed.raw = v.put.unnamed
	}
	t.learn(v.state.at(v.put.types), v.marks, v.begun)
	f.server, f.fatal = cutter{}, fatal{}
	f.ending = false
	return codec.OpReady
}
