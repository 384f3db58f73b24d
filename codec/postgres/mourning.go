package postgres

import "sluice/codec"

// mourning is how a client is told of the loss of its host: it goes through what is owed, batch by batch.
type mourning struct {
	g     *guest
	h     *host
	t     *codec.Turn
	block block
	why   *regret
	open  bool // a batch has begun that is not at its end
	spoke bool // the client was told something
	knows bool // it was told why, or has heard of another error
}

// tell tells the client all that it is owed.
func (m *mourning) tell() {
	g, h := m.g, m.h
	if len(h.early) > 0 {
		h.tellEarly(m.t)
	}
	m.begin()
	for i := range h.owed.Len() {
		m.run(h.owed.At(i))
	}
	m.why = &regret{cond: codec.TxLost, detail: h.lastWords()}
	if m.block.maybe {
		m.why.cond = codec.TxUnknown
	}
	m.begin()
	for i := range h.owed.Len() {
		if d := h.owed.At(i); m.run(d) {
			m.answer(d)
		}
	}
	unaware := m.block.open && h.tx != codec.TxFailed && !g.loss.block
	g.loss.block = m.block.open
	switch {
	case h.deaf:
		g.loss.skipping = true
	case m.open:
		m.fail()
		g.loss.skipping = true
	case g.group, !m.spoke && unaware:
		g.loss.untold = m.why
	}
}

// begin puts the block to where the last answers have left it.
func (m *mourning) begin() {
	h := m.h
	open := m.g.InTransaction()
	m.block = block{open: open, firm: open, failed: h.tx == codec.TxFailed}
	if h.past&courseUnread != 0 || h.past&courseEnds != 0 {
		m.block.open = m.block.open && h.past&courseUnread != 0 || h.past&courseOpens != 0
		m.block.firm = false
	} else if h.past&courseRolls != 0 {
		m.block.open, m.block.firm = h.past&courseOpens != 0, false
	} else if h.past&courseOpens != 0 && !open {
		m.block = block{open: true, firm: true, fresh: true}
	}
	if h.past != 0 {
		m.block.failed = false
		m.block.maybe = !m.failed() && (h.past&(courseUnread|courseEnds) != 0 || h.past&courseRuns != 0 && !m.block.firm)
	}
	m.spoke, m.open = false, false
}

// failed tells that the batch at the front is known to have failed.
func (m *mourning) failed() bool { return m.h.erred || m.h.undone }

// run takes what may have been run for a debt. It tells whether a batch of the client ends with it.
func (m *mourning) run(d *debt) (ends bool) {
	if d.Act == codec.OwedSwallow || ownCode(d.Code) || d.Code == oweCopyEnd {
		return false
	}
	switch d.Code {
	case oweQuery, oweExecute, oweFunction:
		if d == m.h.owed.Front() && m.failed() {
			m.block.open = m.block.open || course(d.Mark)&courseOpens != 0
		} else if d.Act == codec.OwedForward {
			m.block.run(course(d.Mark))
		}
	}
	if m.open = !endsBatch(d.Code); m.open {
		return false
	}
	m.block.ended()
	return true
}

// answer tells the client what has become of a batch, whose end d is.
func (m *mourning) answer(d *debt) {
	g, h := m.g, m.h
	front := !m.spoke
	code := kindOf(d.Code)
	switch {
	case front && h.erred: // and the client was told
		m.knows = true
	case d.Code == oweQuery && course(d.Mark) == courseRolls && m.why.cond == codec.TxLost:
		if !front || !h.replied {
			m.t.Client.End(appendComplete(m.t.Client.Begin(), "ROLLBACK"))
		}
	default:
		m.t.Client.End(m.appendError(m.t.Client.Begin()))
	}
	m.spoke = true
	m.t.Client.Append('Z', 0, 0, 0, 5, m.block.status())
	if g.watch == nil {
		return
	}
	if !front || !h.replied {
		g.watch.OnReply(code)
	}
	if d.Flag&flagGroup != 0 {
		g.watch.OnDone(kindExtended, true)
	}
	g.watch.OnDone(code, true)
}

// fail tells the client the error for a batch that it has not ended yet.
func (m *mourning) fail() {
	if m.g.watch != nil && (m.spoke || !m.h.replied) {
		m.g.watch.OnReply(kindExtended)
	}
	m.t.Client.End(m.appendError(m.t.Client.Begin()))
	m.spoke = true
}

// status is what ReadyForQuery tells of the block.
func (b *block) status() byte {
	if b.open {
		return 'E'
	}
	return 'I'
}

// appendError appends the error for a batch: for the first one, and where more is not known, the loss
// itself; for those behind it, what a server says in a failed transaction.
func (m *mourning) appendError(dst []byte) []byte {
	knows := m.knows
	m.knows = true
	if knows && m.why.cond == codec.TxLost && m.block.open {
		return appendReport(dst, msgError, "ERROR", "25P02",
			"current transaction is aborted, commands ignored until end of transaction block", "", "")
	}
	return m.why.append(dst)
}

// append appends the error.
func (r *regret) append(dst []byte) []byte {
	text, hint := "the transaction was rolled back, as its server has gone", "It can be run again."
	if r.cond == codec.TxUnknown {
		text = "the server has gone, and it is not known whether the transaction was committed"
		hint = "Find out whether it was before it is run again."
	}
	return appendReport(dst, msgError, "ERROR", sqlState(r.cond), text, r.detail, hint)
}
