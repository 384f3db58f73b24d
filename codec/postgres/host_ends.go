package postgres

import "sluice/codec"

// Reset runs the statement that wipes the session's state.
func (h *host) Reset(query string, t *codec.Turn) {
	h.write(oweOwn, 0, query, t)
	h.settings = nil
	h.Forget()
}

// Check has the server show that it is alive.
func (h *host) Check(query string, t *codec.Turn) { h.write(oweOwn, 0, query, t) }

// Abandon takes note that the client of the guest at hand has gone.
func (h *host) Abandon(t *codec.Turn) (cancel, ok bool) {
	g := h.guest
	if g == nil || h.ending || h.failed != nil || h.in.mid() && h.owed.Len() == 0 {
		return false, false
	}
	if g.left > 0 && !g.drop {
		return false, false // the server waits for the rest of a message
	}
	return false, false
}

// leave works the way back to a free host when the client has gone.
func (h *host) leave(t *codec.Turn) {}
