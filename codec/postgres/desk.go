package postgres

import (
	"fmt"
	"strings"
	"unicode"

	"sluice/codec"
)

// Limits of a client of the admin console. Its commands are short, and it is answered one at a time.
const (
	deskMessageMax = 64 << 10  // bytes of one message, and so of a command's text
	deskInputMax   = 256 << 10 // bytes that are kept while a command is carried out
	deskNamesMax   = 64        // prepared statements with a name, and portals
)

// desk is the admin console's session with one client. Both ways of asking are understood, the simple
// one of psql and the extended one of most drivers. There are no parameters, as no command has any.
//
// Transactions are kept up as a form: drivers begin and end them without being asked to, and look at the
// status that ReadyForQuery tells.
//
// https://www.postgresql.org/docs/current/protocol-flow.html
type desk struct {
	cfg   *codec.DeskConfig
	in    []byte      // what the client has sent and is not used yet; never more than deskInputMax
	texts []string    // commands of the present Query that are still to be carried out
	now   deskCommand // the one that is being carried out, or answered

	tx       byte // as ReadyForQuery tells: 'I', 'T', 'E'
	skipping bool // everything up to the next Sync, as after an error in an extended query
	stmts    map[string]string
	portals  map[string]*deskPortal
}

// deskCommand is how far the present command has come.
type deskCommand struct {
	asked  bool // it is being carried out
	simple bool // it came by Query
	portal *deskPortal
	max    int // rows that this Execute may return; 0 = all
	answer deskAnswer
}

var _ codec.Desk = (*desk)(nil)
var _ codec.Desker = Protocol{}

// NewDesk returns the desk for a client of the admin console.
func (Protocol) NewDesk(cfg *codec.DeskConfig) codec.Desk {
	return &desk{cfg: cfg, tx: 'I', stmts: map[string]string{}, portals: map[string]*deskPortal{}}
}

// Introduction is what drivers expect to hear from a server. The version is that of a PostgreSQL with
// the same protocol: drivers decide by it what they may send.
func (d *desk) Introduction() codec.Introduction {
	return &introduction{report: &report{params: []codec.Param{
		{Name: "server_version", Value: "16.0 (Sluice " + d.cfg.Version + ")"},
		{Name: "server_encoding", Value: "UTF8"},
		{Name: "client_encoding", Value: "UTF8"},
		{Name: "DateStyle", Value: "ISO, MDY"},
		{Name: "IntervalStyle", Value: "postgres"},
		{Name: "TimeZone", Value: "UTC"},
		{Name: "integer_datetimes", Value: "on"},
		{Name: "standard_conforming_strings", Value: "on"},
		{Name: "is_superuser", Value: "off"},
		{Name: "default_transaction_read_only", Value: "off"},
		{Name: "in_hot_standby", Value: "off"},
	}}}
}

// Client takes bytes of the client.
func (d *desk) Client(p []byte, t *codec.Turn) (query string, ok, end bool, err error) {
	if len(d.in)+len(p) > deskInputMax {
		return "", false, true, codec.Error{Cond: codec.LimitOfClient,
			Text: "too much was sent while a command was carried out"}
	}
	d.in = append(d.in, p...)
	rest := d.in
	for !d.now.busy() && !end && err == nil {
		if len(d.texts) > 0 {
			text := d.texts[0]
			d.texts = d.texts[1:]
			query, ok = d.run(text, deskCommand{simple: true}, t)
			continue
		}
		var typ byte
		var body []byte
		if typ, body, rest, err = nextMessage(rest); typ == 0 {
			break
		}
		query, ok, end, err = d.message(typ, body, t)
	}
	if d.in = d.in[:copy(d.in, rest)]; len(d.in) == 0 && cap(d.in) > deskMessageMax {
		d.in = nil
	}
	return query, ok, end, err
}

// busy tells that the next command has to wait.
func (c *deskCommand) busy() bool { return c.asked || c.answer.open }

// nextMessage cuts the first message off; typ is 0 if it is not whole yet.
func nextMessage(p []byte) (typ byte, body, rest []byte, err error) {
	var c cutter
	typ, size, rest, ok := c.header(p)
	switch {
	case !ok:
		return 0, nil, p, nil
	case !clientRules[typ].allows(size):
		return 0, nil, p, codec.Error{Cond: codec.ProtocolError, Text: "the message is not one of a client's"}
	case size > deskMessageMax:
		return 0, nil, p, codec.Error{Cond: codec.LimitOfClient,
			Text: fmt.Sprintf("a message to the admin console is longer than %d bytes", deskMessageMax)}
	}
	n := int(size) - 4
	if len(rest) < n {
		return 0, nil, p, nil
	}
	return typ, rest[:n], rest[n:], nil
}

// message acts on one message of the client.
func (d *desk) message(typ byte, body []byte, t *codec.Turn) (query string, ok, end bool, err error) {
	switch typ {
	case 'X':
		return "", false, true, nil
	case 'S':
		d.skipping = false
		d.ready(t)
		return "", false, false, nil
	case 'Q', 'F':
		d.skipping = false
	}
	switch {
	case d.skipping:
	case typ == 'Q':
		err = d.simple(body, t)
	case typ == 'F':
		d.report(deskFault("0A000", "the admin console has no functions"), t)
		d.ready(t)
	case typ == 'H' || typ == 'd' || typ == 'c' || typ == 'f':
		// Everything is sent at once; and COPY's messages without a COPY mean nothing.
	default:
		query, ok, err = d.extended(typ, body, t)
	}
	return query, ok, false, err
}

// simple takes a Query apart.
func (d *desk) simple(body []byte, t *codec.Turn) error {
	r := deskReader{rest: body}
	text := r.text()
	if !r.done() {
		return errDeskMessage
	}
	delete(d.stmts, "")
	delete(d.portals, "")
	if d.texts = splitCommands(text); len(d.texts) == 0 {
		d.texts = []string{""}
	}
	return nil
}

// run begins a command: it is answered here if it concerns nothing but this session, else it is to be
// carried out elsewhere.
func (d *desk) run(text string, c deskCommand, t *codec.Turn) (query string, ok bool) {
	d.now = c
	a, own := d.own(text)
	if own {
		d.put(a, t)
		return "", false
	}
	d.now.asked = true
	return text, true
}

// own answers what concerns the client's transaction alone, and the empty command.
func (d *desk) own(text string) (a deskResult, own bool) {
	word := firstWord(text)
	switch {
	case word == "":
		return deskResult{}, true
	case endsTransaction(text):
		tag := "ROLLBACK"
		if d.tx != 'E' && (word == "COMMIT" || word == "END") {
			tag = "COMMIT"
		}
		d.tx = 'I'
		return deskResult{Answer: codec.Answer{Tag: tag}}, true
	case d.tx == 'E':
		return errDeskAborted, true
	case word == "BEGIN":
		d.tx = 'T'
		return deskResult{Answer: codec.Answer{Tag: "BEGIN"}}, true
	case word == "START":
		d.tx = 'T'
		return deskResult{Answer: codec.Answer{Tag: "START TRANSACTION"}}, true
	}
	return deskResult{}, false
}

// endsTransaction tells whether a command may be given in a failed transaction.
func endsTransaction(text string) bool {
	word := firstWord(text)
	return word == "COMMIT" || word == "END" || word == "ROLLBACK" || word == "ABORT"
}

// firstWord is a command's first word, in capitals.
func firstWord(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		text = text[:i]
	}
	return strings.ToUpper(text)
}

// AppendError appends e as a message that ends the session.
func (d *desk) AppendError(dst []byte, e codec.Error) []byte {
	return appendFatal(dst, sqlState(e.Cond), e)
}
