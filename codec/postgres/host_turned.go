package postgres

import (
	"bytes"

	"sluice/codec"
)

// A server that has to be the primary may be turned into one that only reads, by its configuration, with
// its connections as they were. It then refuses a client's first write. What was refused so has had no
// effect, and is done elsewhere if nobody can tell the difference: if it is all that the client has sent,
// and was answered by nothing. Whose setting it is the server reports at the end of the batch, behind its
// refusal: so the client hears of that then, or not at all.

// readOnlyState is the SQLSTATE of a write in a transaction that only reads.
const readOnlyState = "\x00C25006\x00"

// turns tells whether the error at hand may be because the server has been turned.
func (h *host) turns() bool {
	if h.cfg.Part != codec.PartPrimary || !bytes.Contains(h.body, []byte(readOnlyState)) {
		return false
	}
	g := h.guest
	if g == nil || h.gone || !h.keptAlone() || !g.survives() || g.unsure || g.suspect&wordSettings != 0 {
		return false
	}
	for i := range h.owed.Len() {
		if course(h.owed.At(i).Mark)&(courseCalls|courseUnread) != 0 {
			return false // what it has committed before it was refused is done
		}
	}
	_, own := g.settings.get(readOnlyDefault)
	was, _ := h.fresh.get(readOnlyDefault)
	return !own && was != "on"
}

// turn withholds the error at hand until the end of the batch.
func (h *host) turn(t *codec.Turn) {
	h.turning = true
	h.refusal = append([]byte(nil), h.body...)
	if h.owed.Front().Code != oweQuery {
		h.skip(t)
	}
	h.owed.Front().Act = codec.OwedSwallow
}

// hasTurned is called at the end of such a batch. It returns true if the server has been turned: then the
// host is of no use any more. Otherwise the client is told the error.
func (h *host) hasTurned(status byte, t *codec.Turn) bool {
	if g := h.guest; g == nil || h.gone {
		h.turning = false
		return false
	}
	now, _ := h.report.get(readOnlyDefault)
	standby, _ := h.report.get(inHotStandby)
	if now == "on" || standby == "on" {
		h.ending, h.withheld = true, true
		h.said = append(appendHeader(nil, msgError, len(h.refusal)), h.refusal...)
		return true
	}
	h.turning = false
	d := h.owed.Front()
	d.Act = codec.OwedForward
	h.onReply(d.Code)
	h.erred = true
	h.body = h.refusal
	h.tellError(d.Ref, t)
	h.client(t).Append('Z', 0, 0, 0, 5, status)
	if d.Code == oweQuery {
		h.undo(0, 1, h.done, true)
	}
	return false
}

// keptAlone tells whether the client's work is one batch, which is kept, and nothing of it has been
// answered.
func (h *host) keptAlone() bool {
	g := h.guest
	if h.recording || len(h.record) == 0 || h.recordOf != h.done || h.sent != h.recordOf+1 ||
		h.tx != codec.TxIdle || g.group || g.left > 0 || h.replied || h.told || h.copying != copyNone {
		return false
	}
	for i := range h.owed.Len() {
		if d := h.owed.At(i); d.Flag&flagGroup != 0 || ownCode(d.Code) {
			return false
		}
	}
	return true
}

// keepQuery keeps a Query that may have to be done again: a BEGIN, or any where the server has to be the primary.
func (h *host) keepQuery(m []byte) {
	if h.tx != codec.TxIdle || h.owed.Len() > 0 || h.guest.group || len(m) > maxRecord {
		return
	}
	h.startRecord()
	h.recording = false
	h.record = append(h.record, m...)
}
