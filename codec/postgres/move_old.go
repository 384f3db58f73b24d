package postgres

import (
	"bytes"
	"slices"
	"strings"

	"sluice/codec"
)

// oldStep is what one ReadyForQuery of the old server answers.
type oldStep uint8

const (
	oldQuestion oldStep = iota
	oldDetails          // the second question
	oldUnnamed          // the unnamed statement, put back
)

// ask sends the question to the old server.
func (v *move) ask() {
	t := &v.m.tracker
	v.stage = moveAsking
	v.marks, v.begun = t.marks, t.begun
	v.answer.start(&t.names, t.opt.StateMax)
	v.askOld(oldQuestion, appendQuestion(nil, &t.names))
}

// askOld sends a Query to the old server. Like any other it takes the unnamed statement away, which is put back behind
// it.
func (v *move) askOld(step oldStep, text []byte) {
	out := appendQuery(v.out[codec.LegOld], string(text))
	v.owed = append(v.owed, step)
	if raw := v.m.unnamed.raw; len(raw) > 0 {
		out = append(append(out, raw...), syncMessage...)
		v.owed = append(v.owed, oldUnnamed)
	}
	v.out[codec.LegOld] = out
}

// readOld takes bytes of the old server. What it says to the client at any time goes to the client.
func (v *move) readOld(p []byte) codec.Op {
	op := v.now()
	err := v.old.feed(p, func(msg []byte, big bool) bool {
		if o := v.oldMessage(msg, big); o != codec.OpMore {
			op = o
		}
		return true
	})
	if err != nil {
		v.owed, v.old = nil, messageReader{}
		return v.refuse(codec.Error{Cond: codec.ServerNotSupport, Text: err.Error()})
	}
	return op
}

// oldMessage takes a message of the old server.
func (v *move) oldMessage(msg []byte, big bool) codec.Op {
	switch msg[0] {
	case msgParameter:
		if !big {
			v.m.told.put(msg)
			v.tell(msg)
		}
	case 'A':
		if !big {
			v.tell(msg)
		}
	case msgNotice:
		if !big && !isOwnNotice(msg[headerSize:]) {
			v.tell(msg)
		}
	case msgError:
		v.oldFailed(msg)
	case 'D':
		if v.asking() {
			v.row(msg, big)
		}
	case msgReady:
		return v.oldReady(msg)
	}
	return codec.OpMore
}

// asking tells that the old server answers a question.
func (v *move) asking() bool {
	return v.stage == moveAsking && len(v.owed) > 0 && v.owed[0] != oldUnnamed
}

// tell passes a message on to the client.
func (v *move) tell(msg []byte) { v.out[codec.LegClient] = append(v.out[codec.LegClient], msg...) }

// isOwnNotice tells a notice that the question has caused, from one that comes at any time: those of servers that
// are told to say everything they do (client_min_messages), and those for people who watch them.
//
// https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-CLIENT-MIN-MESSAGES
func isOwnNotice(body []byte) bool {
	severity := parseError(body).severity
	return strings.HasPrefix(severity, "DEBUG") || severity == "LOG" || severity == "INFO"
}

// oldFailed takes an error of the old server: in place of an answer, or at its end.
func (v *move) oldFailed(msg []byte) {
	said := parseError(msg[headerSize:])
	switch {
	case said.severity == "FATAL" || said.severity == "PANIC":
		v.fatal = bytes.Clone(msg)
	case v.asking():
		v.failed = said
	case len(v.owed) > 0 && v.owed[0] == oldUnnamed:
		v.m.unnamed = unnamedStatement{} // it can't be made any more, and is gone
	}
}

// row takes a row of an answer.
func (v *move) row(msg []byte, big bool) {
	if big {
		v.answer.setPin(pinSize)
		return
	}
	v.answer.row(msg[headerSize:])
}

// oldReady takes a ReadyForQuery.
func (v *move) oldReady(msg []byte) codec.Op {
	if len(v.owed) == 0 {
		return v.now()
	}
	asking, step := v.asking(), v.owed[0]
	v.owed = v.owed[1:]
	switch {
	case !asking:
		return v.doneAsking()
	case v.failed != nil:
		return v.refuse(codec.Error{Cond: codec.BackendLost,
			Text: "the server would not say what the session keeps: " + v.failed.Error()})
	case msg[headerSize] != 'I':
		return v.refuse(errNotAskable)
	case step == oldQuestion && v.answer.err == nil && v.answer.pin.Name == "":
		types := v.answer.state.ownTypes()
		for _, oid := range ownTypes(v.m.unnamed.raw) {
			if !slices.Contains(types, oid) {
				types = append(types, oid)
			}
		}
		if len(types) > 0 || v.answer.temp {
			v.askOld(oldDetails, appendDetails(nil, types, v.answer.temp))
			return codec.OpMore
		}
	}
	return v.learned()
}

// learned takes what the old server has answered.
func (v *move) learned() codec.Op {
	t := &v.m.tracker
	state, err := v.answer.result()
	if err != nil {
		if pin, ok := err.(codec.PinError); ok {
			t.found, t.foundAt = &pin.Pin, t.begun
		}
		return v.refuse(err)
	}
	t.learn(state, v.marks, v.begun)
	v.state = state
	if v.cfg.AskOnly {
		return v.doneAsking()
	}
	return v.begin()
}

// doneAsking ends a move that is to ask alone.
func (v *move) doneAsking() codec.Op {
	if v.stage == moveAsking && v.cfg.AskOnly && len(v.owed) == 0 && v.state != nil {
		v.stage = moveDone
		return codec.OpReady
	}
	return v.now()
}

// OldLost tells that the old server is gone.
func (v *move) OldLost() codec.Op {
	v.oldGone = true
	v.owed, v.old = nil, messageReader{}
	switch {
	case v.stage == moveClosed:
		return codec.OpClose
	case v.stage >= moveResolving, v.stage != moveAsking && !v.cfg.AskOnly && v.m.isKnown():
		return codec.OpMore
	case v.stage == moveAsking && !v.cfg.AskOnly && v.m.isKnown():
		return v.takeKnown()
	}
	if v.fatal != nil {
		v.tell(v.fatal)
		v.m.ending = true
	}
	return v.refuse(errNotKnown)
}
