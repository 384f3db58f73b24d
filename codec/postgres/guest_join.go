package postgres

import (
	"encoding/binary"
	"strings"

	"sluice/codec"
)

// Attach joins the guest to a free host and makes that fit.
func (g *guest) Attach(hh codec.Host, t *codec.Turn) codec.Need {
	h := hh.(*host)
	g.join(h)
	if g.cfg.Lasting && g.intro != nil && g.special || sameSettings(h.settings, g.settings) {
		h.news(t)
		if g.loss.block {
			h.fail(t)
			return codec.NeedTurn
		}
		return codec.NeedBytes
	}
	h.change(g.settings, t)
	return codec.NeedTurn
}

// join links guest and host. Batches are numbered on, so that those of earlier hosts and guests are
// settled.
func (g *guest) join(h *host) {
	g.host, h.guest, h.shelf = h, g, g.shelf
	g.changes.clear()
	g.portal = namedChange{}
	h.early = h.early[:0]
	h.started, h.gone, h.uneasy = false, false, false
	g.unnamedPortal, g.namedPortals = 0, 0
	h.dropRecord()
	if h.last != g.id || h.blank {
		h.last, h.drawn, h.blank = g.id, h.blank, false
	}
	h.sent = max(h.sent, g.batch) + 1
	h.done = h.sent
	h.foreign = true
	g.await = 0
}

// Detach parts the guest from its host.
func (g *guest) Detach() {
	h := g.host
	if h == nil {
		return
	}
	g.batch = h.sent
	h.guest, g.host = nil, nil
	h.started = false
	g.group, g.forsaken, g.sole = false, false, false
}

// Host is the host at hand.
func (g *guest) Host() codec.Host {
	if g.host == nil {
		return nil
	}
	return g.host
}

// Ready tells, after NeedTurn, that the bytes left are welcome.
func (g *guest) Ready() bool {
	h := g.host
	return h == nil || g.fail != nil ||
		!h.busyOwn() && !g.hold && !h.curing && !h.turning && (g.await == 0 || h.done > g.await)
}

// busyOwn tells that settings are being changed or looked at, or a transaction made to fail.
func (h *host) busyOwn() bool {
	return h.changing || h.failing || h.looked&(wordSettings|wordNamed) != 0
}

// refused takes the server's refusal of the client's settings.
func (g *guest) refused(e codec.Error) {
	if g.intro == nil {
		g.introErr = e
		return
	}
	g.fail = e
}

// Introduce has the client's settings applied to a host, and looks what has become of them.
func (g *guest) Introduce(hh codec.Host, t *codec.Turn) {
	h := hh.(*host)
	g.join(h)
	if g.special {
		g.intro = &introduction{report: h.report}
		g.told = h.report
		return
	}
	g.startup = startupSettings(g.asked, h.major(), h.encoding())
	g.settings = g.startup
	g.custom.addSettings(g.startup) // pg_settings does not list them
	if sameSettings(h.settings, g.settings) {
		h.look(t, wordSettings)
		return
	}
	h.change(g.settings, t)
}

// major is the server's version.
func (h *host) major() int {
	v, _ := h.report.get("server_version")
	return majorVersion(v)
}

// encoding is that of the database.
func (h *host) encoding() string {
	v, _ := h.report.get("server_encoding")
	return v
}

// introduced takes the look at the settings that a client has asked for.
func (g *guest) introduced(h *host, res lookResult) {
	g.startup, g.settings = res.settings, res.settings
	g.role, g.user = res.role, res.user
	g.intro = &introduction{report: h.report, settings: res.settings, role: res.role, user: res.user}
	g.told = h.report
	g.custom.addSettings(g.startup)
}

// Introduction is what came of Introduce or Adopt.
func (g *guest) Introduction() (codec.Introduction, error) {
	if g.introErr != nil {
		return nil, g.introErr
	}
	if g.intro == nil {
		return nil, nil
	}
	return g.intro, nil
}

const applicationName = "application_name"

// Adopt takes over what a client that asked for the same was told. Only application_name is the
// client's own.
func (g *guest) Adopt(in codec.Introduction) {
	o := in.(*introduction)
	if name, ok := g.applicationName(); ok {
		o = g.shelf.named(o, name)
	}
	g.intro = o
	g.startup, g.settings = o.settings, o.settings
	g.role, g.user = o.role, o.user
	g.told = o.report
	g.custom.addSettings(g.startup)
}

// firstOf is for calls whose second result does not matter.
func firstOf(s string, _ bool) string { return s }

// applicationName is the name that the client has asked for; the last one counts.
func (g *guest) applicationName() (name string, ok bool) {
	for _, p := range g.asked {
		if strings.EqualFold(p.Name, applicationName) {
			name, ok = p.Value, true
		}
	}
	return name, ok
}

// IntroductionKey is equal for clients that have asked for the same.
func (g *guest) IntroductionKey() string {
	var key []byte
	for _, p := range g.asked {
		value := p.Value
		if strings.EqualFold(p.Name, applicationName) {
			if _, ok := canonicalName(value, 0, ""); ok {
				value = ""
			}
		}
		key = append(key, p.Name...)
		key = append(key, 0)
		key = append(append(key, value...), 0)
	}
	return string(key)
}

// Forsaken answers NeedSame.
func (g *guest) Forsaken() { g.forsaken = true }

// Aside tells what NeedAside asks for.
func (g *guest) Aside() codec.Aside { return g.aside }

// Pin names what binds the guest to its host.
func (g *guest) Pin() string {
	switch {
	case g.cfg.Lasting || g.pins == 0 && !g.blind && !g.large:
		return ""
	case g.blind:
		return "unknown"
	case g.large:
		return "large-statement"
	}
	for _, p := range pins {
		if g.pins&p.words != 0 {
			return p.name
		}
	}
	return ""
}

// pins has the names of what binds.
var pins = []struct {
	words words
	name  string
}{
	{wordLocks, "advisory-lock"},
	{wordTemp, "temp-table"},
	{wordCursors, "cursor"},
	{wordPrepared, "prepared"},
	{wordListen, "listen"},
	{wordSequence, "currval"},
	{wordUnsure, "settings"},
	{pinRole, "role"},
	{pinAlone, "large-statement"},
}

// Busy names what keeps this moment from being a safe point.
func (g *guest) Busy() string {
	h := g.host
	switch {
	case g.left > 0 || len(g.buf) > 0:
		return "message"
	case h == nil && g.loss.skipping:
		return "owed"
	case h == nil && g.loss.block:
		return "failed-transaction"
	case h == nil:
		return ""
	case h.copying == copyBoth:
		return "replication"
	case h.copying != copyNone || h.doubt > 0:
		return "copy"
	case h.owed.Len() > 0 || g.group || h.deaf:
		return "owed"
	case h.in.mid():
		return "message"
	case h.tx == codec.TxFailed:
		return "failed-transaction"
	case h.tx == codec.TxOpen:
		return "transaction"
	case g.Pin() != "":
		return "pinned"
	}
	return ""
}

// Owed is the number of messages whose answer is not complete.
func (g *guest) Owed() int {
	if g.host == nil {
		return 0
	}
	return g.host.owed.Len()
}

// InTransaction tells that a transaction is open.
func (g *guest) InTransaction() bool {
	return g.loss.block || g.host != nil && g.host.tx != codec.TxIdle
}

// Mid tells that the stream to the client stands inside a message.
func (g *guest) Mid() bool {
	return g.host != nil && g.host.in.left > 0 && g.host.fate < fateKeep
}

// AppendError appends an ErrorResponse of severity FATAL, or a server's own words.
func (g *guest) AppendError(dst []byte, e codec.Error) []byte {
	if said, ok := asFatal(e.Raw); ok {
		return append(dst, said...)
	}
	return appendFatal(dst, sqlState(e.Cond), e)
}

// AppendNotice appends a NoticeResponse.
func (g *guest) AppendNotice(dst []byte, text string) []byte {
	start := len(dst)
	dst = append(dst, msgNotice, 0, 0, 0, 0)
	dst = appendField(dst, 'S', "NOTICE")
	dst = appendField(dst, 'V', "NOTICE")
	dst = appendField(dst, 'C', "00000")
	dst = appendField(dst, 'M', text)
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// AppendNotification appends a NotificationResponse.
func (g *guest) AppendNotification(dst []byte, from uint32, channel, payload string) []byte {
	dst = appendHeader(dst, 'A', 4+len(channel)+1+len(payload)+1)
	dst = binary.BigEndian.AppendUint32(dst, from)
	dst = append(append(dst, channel...), 0)
	return append(append(dst, payload...), 0)
}

// Notify sends the client a message that it did not ask for.
func (g *guest) Notify(msg []byte, t *codec.Turn) bool {
	if g.Mid() {
		return false
	}
	t.Client.Append(msg...)
	return true
}

// Prepared is the number of the client's prepared statements.
func (g *guest) Prepared() int { return len(g.names) }

// Close gives back what the guest holds on its shelf.
func (g *guest) Close() {
	for _, n := range g.names {
		g.shelf.release(n.st)
	}
	clear(g.names)
	if g.unnamed.st != nil {
		g.shelf.release(g.unnamed.st)
		g.unnamed.st = nil
	}
}
