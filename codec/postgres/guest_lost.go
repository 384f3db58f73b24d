package postgres

import "sluice/codec"

// A client that has lost its transaction block is in a failed transaction, as it would be behind any other
// error in one. It has no host. What it then sends is answered as a server answers it in a failed
// transaction: by a server, which is put in one by a statement of Sluice's own that fails, so that each
// message gets the very answer that is its due. Only the plain end of the transaction needs no server.
//
// A client that was idle when its host was lost is told of it by the answer to its next statement, in
// place of what a server says in a failed transaction.

// sqlFail puts a session into a failed transaction. It is one Query, so that nothing is left open if BEGIN
// itself fails. The name is for those who read the server's log.
const sqlFail = `BEGIN;ROLLBACK TO SAVEPOINT "the transaction was lost with its former server"`

// fail puts the session into a failed transaction.
func (h *host) fail(t *codec.Turn) {
	h.failing = true
	h.write(oweFail, flagSoft, sqlFail, t)
}

// hasFailed takes the end of that.
func (h *host) hasFailed() {
	h.failing = false
	if g := h.guest; g != nil && !h.gone && h.tx != codec.TxFailed {
		g.fail = codec.Error{Cond: codec.BackendLost, Text: "the transaction was lost with its server, and another server would not go on from there"}
	}
}

// actLost acts on a message of a client that has lost its host and has none. done is false if the message
// is to be acted on as any other.
func (g *guest) actLost(typ byte, r *request) (done bool, more int) {
	l := &g.loss
	switch typ {
	case 'X', 'S', 'H', 'd', 'c', 'f':
		return false, 0
	}
	switch {
	case l.skipping:
	case typ == 'Q':
		return g.queryLost(r)
	case l.untold == nil:
		return false, 0
	case typ == 'F':
		g.answerLost(kindFunction, "", r)
	default:
		if (typ == 'P' || typ == 'B') && l.block {
			if more, rolls := g.rollsBack(typ, r); more > 0 || rolls {
				return false, more
			}
		}
		l.replied = l.replied && g.group
		if g.enterGroup(nil); g.watch != nil && !l.replied {
			g.watch.OnReply(kindExtended)
		}
		r.s.t.Client.End(l.untold.append(r.s.t.Client.Begin()))
		l.untold, l.skipping = nil, true
		l.set()
	}
	g.leaveOut(r)
	return true, 0
}

// orLost acts on a message of a client that has no host and a loss.
func (g *guest) orLost(typ byte, r *request) (more int, need codec.Need, err error) {
	if done, more := g.actLost(typ, r); done || more > 0 {
		return more, codec.NeedBytes, nil
	}
	return g.act(typ, r)
}

// leaveOut keeps a message from the server.
func (g *guest) leaveOut(r *request) {
	r.s.skip(r.at, r.at+len(r.m))
	g.drop = true
}

// rollsBack tells whether a Parse or Bind is of a ROLLBACK, which needs no word on what is lost any more.
func (g *guest) rollsBack(typ byte, r *request) (more int, rolls bool) {
	if !r.whole() && r.total <= maxQueryHead {
		return r.total, false
	}
	c := courseUnread
	_, next := r.cstring(headerSize)
	switch {
	case next == 0:
	case typ == 'P':
		if text, end := r.cstring(next); end > 0 {
			c = courseOf(text)
		}
	default:
		if name, end := r.cstring(next); end > 0 {
			c = g.courseNamed(name)
		}
	}
	if c != courseRolls {
		return 0, false
	}
	g.loss.untold = nil
	g.loss.set()
	return 0, true
}

// courseNamed is the course of a prepared statement.
func (g *guest) courseNamed(name []byte) course {
	st := g.unnamed.st
	if len(name) > 0 {
		st = nil
		if n := g.find(name); n != nil {
			st = n.st
		}
	}
	if st == nil {
		return courseUnread
	}
	return st.course
}

// queryLost acts on a Query of a client that has no host and a loss. The plain end of the lost block is
// told; the client may not take COMMIT for done when it does not know of the loss.
func (g *guest) queryLost(r *request) (done bool, more int) {
	l := &g.loss
	c := courseUnread
	if r.whole() {
		c = courseOf(r.m[headerSize : r.total-1])
	} else if r.total <= maxQueryHead {
		return false, r.total
	}
	tag := ""
	switch {
	case l.block && (c == courseRolls || c == courseEnds && l.untold == nil):
		tag = "ROLLBACK"
		l.block, l.untold = false, nil
	case l.untold == nil:
		return false, 0
	case c == courseEnds:
		l.block = false
	}
	g.answerLost(kindQuery, tag, r)
	g.leaveOut(r)
	return true, 0
}

// answerLost answers a command without a server: with a tag, or with the error that the client is yet to be
// told.
func (g *guest) answerLost(k codec.Kind, tag string, r *request) {
	l, out := &g.loss, &r.s.t.Client
	if g.leaveGroup(k, nil)&flagGroup != 0 && g.watch != nil {
		g.watch.OnDone(kindExtended, true)
	}
	g.unnamed = g.noUnnamed()
	if tag != "" {
		out.End(appendComplete(out.Begin(), tag))
	} else {
		out.End(l.untold.append(out.Begin()))
		l.untold = nil
	}
	l.set()
	out.Append('Z', 0, 0, 0, 5, g.statusAlone())
	if g.watch != nil {
		g.watch.OnReply(k)
		g.watch.OnDone(k, tag == "")
	}
}

// syncAlone acts on a Sync without a host: there is nothing to be synchronised but what the client knows.
// group tells whether it ends one.
func (g *guest) syncAlone(r *request, group bool) {
	l, out := &g.loss, &r.s.t.Client
	failed, told := l.skipping, l.skipping || l.replied && group
	if group && l.untold != nil {
		out.End(l.untold.append(out.Begin()))
		failed, l.untold = true, nil
	}
	l.skipping, l.replied = false, false
	l.set()
	out.Append('Z', 0, 0, 0, 5, g.statusAlone())
	if g.watch != nil {
		if !told {
			g.watch.OnReply(kindExtended)
		}
		g.watch.OnDone(kindExtended, failed)
	}
}

// statusAlone is what ReadyForQuery tells without a host.
func (g *guest) statusAlone() byte {
	if g.loss.block {
		return 'E'
	}
	return 'I'
}
