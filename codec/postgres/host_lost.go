package postgres

import "sluice/codec"

// A server that is shut down, or ends its sessions as another one has crashed, says so before it closes the
// connection: by a FATAL error, or by a warning where it has no time for more. A client that goes on
// without it is not told: it has to do with the loss alone.
//
// https://www.postgresql.org/docs/current/server-shutdown.html

// isUneasy tells whether the client was told that something is committed which may have changed what is yet
// to be looked at: it can't be looked at without the server. c is the course of the batch at hand, but for
// what of it was answered.
func (h *host) isUneasy(c course) bool {
	c |= h.past
	if h.replied && h.owed.Len() > 0 {
		c |= course(h.owed.Front().Mark)
	}
	return c&(courseEnds|courseUnread) != 0 && h.guest.suspect&(wordLook|wordUnsure) != 0
}

// Withheld tells that the guest's client was not told what Ending says.
func (h *host) Withheld() bool { return h.withheld }

// withholds tells whether the client is not to be told the error at hand, which ends the connection. As long
// as nothing of the client's has been sent, it concerns nobody but the connection, whatever it is.
func (h *host) withholds() bool {
	g := h.guest
	if g == nil || h.gone || h.fate != fateKeep || !g.cfg.KeepOnLoss || g.cfg.Lasting {
		return false
	}
	return !h.started || isOut(parseError(h.body).state) && g.survives()
}

// notice takes a NoticeResponse. It goes to the client unless it is the server's last word.
func (h *host) notice(t *codec.Turn) {
	if said := parseError(h.body); said.severity == "WARNING" && isOut(said.state) && h.guest.survives() {
		h.warned = said.Error()
		return
	}
	out := h.client(t)
	out.End(append(appendHeader(out.Begin(), msgNotice, len(h.body)), h.body...))
}

// lastWords are what the server has said of its end, for the client's user; in the client's encoding, as
// all that the server tells it.
func (h *host) lastWords() string {
	switch {
	case h.ending && len(h.said) > headerSize:
		return "The server said: " + parseError(h.said[headerSize:]).Error()
	case h.warned != "":
		return "The server said: " + h.warned
	}
	return ""
}
