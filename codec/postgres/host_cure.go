package postgres

import (
	"bytes"

	"sluice/codec"
)

// A statement that was prepared before a change of the schema may fail with "cached plan must not
// change result type". On a connection of its own the client would have prepared it after the change.
// So statements are prepared anew, and the batch is run again if nobody can tell the difference: if it
// began outside a transaction, the client has sent nothing behind it, and has been told nothing of it
// but ParseComplete; and if the batch asks for the shape of its rows, so that the client does not read
// them by what it was told before.

// maxRecord bounds, in bytes, a batch that can be run again.
const maxRecord = 16 << 10

// startRecord begins to keep the client's batch.
func (h *host) startRecord() {
	h.record, h.recorded, h.recordOf = h.record[:0], 0, h.sent
	h.ones, h.others, h.shaped, h.told = 0, false, false, false
	h.recording = !h.curing && h.tx == codec.TxIdle && h.owed.Len() == 0
}

// recordMessage notes that a message belongs to the batch; it is kept with those next to it. The batch
// ends with the Sync.
func (h *host) recordMessage(r *request, typ byte) {
	s := r.s
	if h.recorded += r.total; h.recorded > maxRecord {
		h.record, h.recording, s.mark = h.record[:0], false, 0
		return
	}
	if s.mark == 0 {
		s.mark = r.at + 1
	}
	switch typ {
	case 'D':
		h.shaped = true
	case 'S':
		h.keepRecord(s, r.at+r.total)
		h.recording = false
	}
}

// keepRecord keeps what is marked in a source up to a place there.
func (h *host) keepRecord(s *source, to int) {
	h.record = append(h.record, s.p[s.mark-1:to]...)
	s.mark = 0
}

// record keeps what is marked in a source, which is about to go, up to a place there.
func (g *guest) record(s *source, to int) {
	if s.mark > 0 && g.host != nil && g.host.recording {
		g.host.keepRecord(s, to)
	}
	s.mark = 0
}

// count notes that the client is told something of its batch.
func (h *host) count(typ byte) {
	if typ == '1' {
		h.ones++
	} else {
		h.others = true
	}
}

// isCachedPlan tells whether the error at hand is that of a plan that does not fit the schema any
// more. The routine is named where the text may be translated.
func (h *host) isCachedPlan() bool {
	return bytes.Contains(h.body, []byte("\x00C0A000\x00")) &&
		bytes.Contains(h.body, []byte("\x00RRevalidateCachedQuery\x00"))
}

// dropRecord forgets what is kept: it is of no other client's.
func (h *host) dropRecord() { h.record, h.recording, h.told = h.record[:0], false, false }

// cure has statements prepared anew. It returns true if the batch at hand is to be run again.
func (h *host) cure(d *debt) bool {
	if st := d.Ref.st; st == nil || !st.old { // else the change is known
		h.Forget()
	}
	g := h.guest
	if g == nil || h.gone || g.cfg.Lasting || g.group || g.left > 0 || h.tx != codec.TxIdle {
		return false
	}
	if h.recording || len(h.record) == 0 || h.recordOf != h.done || h.others || !h.shaped {
		return false
	}
	for i := range h.owed.Len() {
		if h.owed.At(i).Code == oweSync && i != h.owed.Len()-1 {
			return false
		}
	}
	if h.owed.At(h.owed.Len()-1).Code != oweSync {
		return false
	}
	h.curing = true
	return true
}

// rerun runs the batch again. What it defined is defined anew.
func (h *host) rerun(t *codec.Turn) {
	g := h.guest
	if g == nil || h.gone {
		h.curing = false
		return
	}
	for name, n := range g.names {
		if n.batch == h.sent-1 {
			delete(g.names, name)
			g.shelf.release(n.st)
		}
	}
	h.mute = h.ones
	watch, buf, want := g.watch, g.buf, g.want
	g.watch, g.buf, g.want = nil, nil, 0
	batch := h.record
	h.record = nil
	h.curing = false
	h.client(t)
	h.again = true
	n, need, err := g.Client(batch, t)
	h.again = false
	if err == nil && (n < len(batch) || need != codec.NeedBytes) {
		err = codec.Error{Cond: codec.Internal, Text: "a batch could not be run again after a change of the schema"}
	}
	if err != nil && g.fail == nil {
		g.fail = err
	}
	h.mute = 0
	g.watch, g.buf, g.want = watch, buf, want
	h.record = batch[:0]
}
