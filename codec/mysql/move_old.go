package mysql

import "sluice/codec"

// commitText ends a transaction in place of a BEGIN, which does so by itself. It begins no other one and
// keeps the connection, whatever completion_type says.
//
// https://dev.mysql.com/doc/refman/8.0/en/commit.html
const commitText = "COMMIT AND NO CHAIN NO RELEASE"

// oldLeg is the talk with the server that the session is at. What it is asked is followed as a session's
// commands are, so that it is known when all is answered even where the answers are of no more use.
type oldLeg struct {
	shadow  *Follower // nil before Ask, and when the server is lost
	answers *reading  // nil when the answers are of no more use
	from    int       // number of the first answer that is the carrier's
	begin   int       // length of the client's BEGIN in whose place a transaction is ended
}

func (o *oldLeg) open(v *move) {
	o.shadow = newFollower(v.m.facts, nil)
	o.answers = newReading(&v.m.facts, v.m.answerRoom(), v.oldSaid)
}

// close forgets the server.
func (o *oldLeg) close() {
	if o.shadow != nil {
		o.shadow.Close()
	}
	if o.answers != nil {
		o.answers.close()
	}
	o.shadow, o.answers = nil, nil
}

func (o *oldLeg) owes() bool {
	return o.shadow != nil && (o.shadow.Owed() > 0 || o.shadow.Mid(codec.Server))
}

// send asks the old server.
func (o *oldLeg) send(v *move, text string) {
	b := appendQuery(nil, v.m.facts.caps, text)
	msg := appendCommand(nil, v.m.facts.caps, b)
	if o.shadow.Client(msg) != nil {
		return // it is refused only for what is never sent here
	}
	o.answers.expect(b[0])
	v.out[codec.LegOld] = append(v.out[codec.LegOld], msg...)
}

// fromOld takes bytes of the old server.
func (v *move) fromOld(p []byte) codec.Op {
	o := &v.old
	if o.shadow == nil {
		return codec.OpClose
	}
	var err error
	if o.answers != nil {
		if err = o.answers.server(p); err != nil {
			o.answers.close()
			o.answers = nil
		}
	}
	if wrong := o.shadow.Server(p); wrong != nil {
		o.close()
		return v.fail(wrong)
	}
	if o.shadow.Owed() == 0 {
		v.m.facts.status, v.m.inDoubt, v.m.erred = o.shadow.facts.status, o.shadow.inDoubt, o.shadow.erred
	}
	switch {
	case v.state >= moveReady:
		return codec.OpClose
	case err != nil:
		return v.fail(err)
	case !o.answers.over():
		return codec.OpMore
	case v.state == moveCommit:
		return v.question()
	case v.state == moveAsk:
		return v.answered()
	}
	return codec.OpMore
}

// oldSaid takes an answer of the old server. It is called for the COMMIT after the move is over, too: the
// client is owed the answer.
func (v *move) oldSaid(i int, r *answer) error {
	if v.old.begin > 0 && i == 0 {
		return v.committed(r)
	}
	if v.state != moveAsk {
		return nil
	}
	more, err := v.carrier.answered(i-v.old.from, r)
	for _, text := range more {
		v.old.send(v, text)
	}
	return err
}

// committed takes the answer to the COMMIT. An error is what the client's BEGIN would have been answered.
func (v *move) committed(r *answer) error {
	if r.err != nil {
		v.drop = v.old.begin
		v.out[codec.LegClient] = appendErr(nil, 1, true, r.err.no, r.err.text)
		return r.err
	}
	if r.status&statusInTrans != 0 {
		return errStillOpen
	}
	return nil
}
