package postgres

import (
	"bytes"

	"sluice/codec"
)

// currval and lastval speak of what the session has drawn from sequences before. A host knows that of its
// present guest's doing if nobody else has used the session since it was begun or wiped, or as soon as
// the guest has drawn something itself, as far as its statements and their tags tell. Else the host is
// made to know nothing, so that the server says so, and tells nobody what another client has drawn.
//
// https://www.postgresql.org/docs/current/functions-sequence.html

// sequences is asked before a statement with those words is run.
func (g *guest) sequences(r *request, w words) codec.Need {
	if w&wordSequence != 0 {
		if need := g.sequence(r); need != codec.NeedBytes {
			return need
		}
	}
	if w&wordDraws != 0 && g.host != nil {
		g.host.drawn = true
	}
	return codec.NeedBytes
}

// sequence is asked before a statement that speaks of the past. Without a host, the last one is wanted,
// if nobody has had it since.
func (g *guest) sequence(r *request) codec.Need {
	h := g.host
	switch {
	case h == nil && !g.forsaken && !g.loss.block:
		return codec.NeedSame
	case h == nil:
		return codec.NeedHost
	case g.busy():
		return codec.NeedTurn
	case h.drawn || h.tx == codec.TxFailed:
	case g.group:
		r.s.cut(r.at)
		if err := h.runInGroup(discardSequences, owing{}, r.s.t); err != nil {
			g.fail = err
		}
		h.drawn = true
	case h.owed.Len() > 0:
		return g.wait(h.sent - 1)
	default:
		r.s.cut(r.at)
		h.write(oweOwn, flagSoft, discardSequences, r.s.t)
		h.drawn = true
	}
	g.forsaken = false
	g.pins |= wordSequence
	return codec.NeedBytes
}

const discardSequences = "DISCARD SEQUENCES"

// speaksOfSequences tells whether a text to be prepared may call currval or lastval, written as most do.
func speaksOfSequences(text []byte) bool {
	return (bytes.Contains(text, []byte("val(")) || bytes.Contains(text, []byte("VAL("))) &&
		scanText(text, nil)&wordSequence != 0
}

// mayDraw tells by its first letters that a statement may draw from a sequence without a word of it.
func mayDraw(text []byte) bool {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	for _, verb := range [...]string{"insert", "update", "merge", "with", "call", "do", "copy", "--", "/*"} {
		if len(text) > len(verb) && equalFold(text[:len(verb)], verb) {
			return true
		}
	}
	return false
}
