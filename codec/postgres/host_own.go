package postgres

import (
	"strings"

	"sluice/codec"
)

// settle is called when nothing is owed any more. If a transaction is over in which the session's state
// may have changed, the server is asked for it; if it is not what the client is to have, it is changed.
func (h *host) settle(t *codec.Turn) {
	g := h.guest
	switch {
	case h.gone && h.doubt == 0:
		h.leave(t)
	case h.doubt > 0 && (h.gone || g != nil && !g.group && g.left == 0):
		h.write(oweProbe, 0, "", t)
	case g == nil || h.tx != codec.TxIdle || g.group || g.left > 0 || g.fail != nil || g.introErr != nil || g.cfg.Lasting || h.failed != nil:
	case g.suspect&wordLook != 0 && h.blind:
		g.hold = false
	case g.suspect&wordLook != 0 && h.lookDue() != 0:
		h.look(t, g.suspect&wordLook)
	case !sameSettings(h.settings, g.settings):
		h.change(g.settings, t)
	default:
		g.unsure, g.hold, h.uneasy = false, false, false
		g.changes.clear()
		h.news(t)
	}
}

// look asks the server for parts of the session's state.
func (h *host) look(t *codec.Turn, w words) {
	g := h.guest
	g.pins |= g.suspect & wordUnsure
	g.suspect &^= w | wordUnsure // what comes behind the look is for the next one
	g.unsure = g.unsure || w&wordSettings != 0
	h.looked = w
	names := &g.custom
	if w&wordNamed != 0 {
		names = &customNames{list: h.unknown()}
	}
	h.looking.start(w, names)
	h.write(oweLook, 0, string(appendLook(nil, w, names)), t)
}

// change gives the session other settings, all of them or none.
func (h *host) change(to *settings, t *codec.Turn) {
	h.next = to
	h.changing = true
	h.write(oweSwitch, 0, string(appendSwitch(nil, h.settings, to)), t)
}

// ownFailed takes an error in answer to a Query of Sluice's own.
func (h *host) ownFailed(d debt) {
	if d.Flag&flagSoft == 0 {
		h.ownError = string(appendHeader(nil, msgError, len(h.body))) + string(h.body)
	}
}

// ownDone takes the end of the answer to a Query of Sluice's own.
func (h *host) ownDone(d debt, t *codec.Turn) {
	said := h.ownError
	h.ownError = ""
	switch d.Code {
	case oweSwitch:
		h.changed(said, t)
	case oweLook:
		h.seen(said)
	case oweFail:
		h.hasFailed()
	case owePosition:
		h.position.ok = h.position.ok && said == ""
	case oweOwn:
		if said != "" {
			h.failed = codec.Error{Cond: codec.BackendLost, Text: "a statement of Sluice's own failed: " + parseError([]byte(said)[headerSize:]).Error(), Raw: said}
		}
	}
}

// patience is the number of times that a change of settings is tried which is cut short.
const patience = 3

// patient is how a change of settings is not cut short: the time-out in force is still the last client's.
var patient = newSettings([]setting{{"statement_timeout", "0"}})

// changed takes the end of a change of settings.
func (h *host) changed(said string, t *codec.Turn) {
	to := h.next
	h.next, h.changing = nil, false
	g := h.guest
	if said != "" && g != nil && !h.gone && h.tries < patience && strings.Contains(said, "\x00C57014\x00") {
		h.tries++
		h.change(patient.over(h.settings), t)
		return
	}
	if said == "" && h.tries > 0 && g != nil && !h.gone && !sameSettings(to, g.settings) {
		h.settings = to
		h.change(g.settings, t)
		return
	}
	h.tries = 0
	if said != "" {
		if g != nil {
			g.refused(codec.Error{Cond: codec.ProtocolError, Text: "the session's settings were refused by the server", Raw: said})
		}
		return
	}
	h.settings = to
	if g == nil || h.gone {
		return
	}
	g.unsure = false
	if g.intro == nil {
		h.look(t, wordSettings)
		return
	}
	h.news(t)
	if g.loss.block {
		h.fail(t)
	}
}

// news tells the client of what the server reports otherwise than the client was told.
func (h *host) news(t *codec.Turn) {
	g := h.guest
	if g.told == h.report || g.told == nil {
		return
	}
	out := h.client(t)
	b := out.Begin()
	n := len(b)
	b = h.report.appendNews(b, g.told, g.sole)
	out.End(b)
	if g.sole && len(b) == n {
		return
	}
	if len(b) == n && len(h.report.params) == len(g.told.params) {
		h.report = g.told // one copy will do, and is told from others at a glance
		return
	}
	g.told = h.report
}

// seen takes the end of a look. If it has failed, there is another one after the next transaction.
func (h *host) seen(said string) {
	g, w := h.guest, h.looked
	h.looked = 0
	if g == nil || h.gone {
		return
	}
	if said != "" || h.lookErr != nil {
		h.lookErr = nil
		if g.intro == nil {
			g.introErr = codec.Error{Cond: codec.BackendLost, Text: "the session's settings could not be read", Raw: said}
			return
		}
		g.blind, h.blind = true, true
		g.changes.rough = true
		g.suspect |= w
		return
	}
	res := h.looking.result()
	g.blind = false
	g.pins = g.pins&^w | res.pins
	if g.custom.isFull() {
		g.pins |= wordUnsure
	}
	if w&wordNamed != 0 {
		h.takeChanges(res.named)
	}
	if w&wordSettings == 0 {
		return
	}
	g.changes.clear()
	h.settings = res.settings
	g.unsure = false
	if g.intro == nil {
		g.introduced(h, res)
		return
	}
	g.settings = res.settings.over(g.startup)
	g.pins &^= pinRole
	if res.role != g.role || res.user != g.user {
		g.pins |= pinRole
	}
}

// pinRole is the pin of a session that acts in another role than that of its login.
const pinRole words = 1 << 31

// pinAlone is the pin of a session that has a named statement which is not shared, until all are dropped.
const pinAlone words = 1 << 30
