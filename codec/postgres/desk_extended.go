package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"

	"sluice/codec"
)

// deskPortal is a command with its parameters bound, of which the admin console's have none.
type deskPortal struct {
	text    string
	columns []codec.Column // nil: no table
	formats []uint16       // of the columns: none, one for all, or one each
	run     bool           // it was executed
	tag     string         // what that came to
	rows    [][]any        // that have not been fetched yet
}

// errDeskMessage is what a message gets whose body is not what its type says.
var errDeskMessage = codec.Error{Cond: codec.ProtocolError, Text: "invalid message format"}

// extended acts on one message of the extended query.
func (d *desk) extended(typ byte, body []byte, t *codec.Turn) (query string, ok bool, err error) {
	r := deskReader{rest: body}
	switch typ {
	case 'P':
		name, text := r.text(), r.text()
		r.skip(4 * int(r.number())) // types of parameters: none will be bound
		if r.done() {
			d.parse(name, text, t)
		}
	case 'B':
		d.bind(&r, t)
	case 'D':
		kind, name := r.byte(), r.text()
		if r.done() {
			d.describe(kind, name, t)
		}
	case 'C':
		kind, name := r.byte(), r.text()
		if r.done() {
			d.close(kind, name, t)
		}
	case 'E':
		name, limit := r.text(), int(int32(r.number32()))
		if r.done() {
			query, ok = d.execute(name, limit, t)
		}
	}
	if !r.done() {
		return "", false, errDeskMessage
	}
	return query, ok, nil
}

// parse keeps the text of a prepared statement.
func (d *desk) parse(name, text string, t *codec.Turn) {
	texts := splitCommands(text)
	_, known := d.stmts[name]
	switch {
	case len(texts) > 1:
		d.fail(deskFault("42601", "cannot insert multiple commands into a prepared statement"), t)
		return
	case known && name != "":
		d.fail(deskFault("42P05", fmt.Sprintf("prepared statement %q already exists", name)), t)
		return
	case len(d.stmts) >= deskNamesMax && !known:
		d.fail(deskFault("54000", "too many prepared statements"), t)
		return
	}
	text = strings.Join(texts, "")
	if d.tx == 'E' && !endsTransaction(text) {
		d.fail(errDeskAborted, t)
		return
	}
	d.stmts[name] = text
	t.Client.AppendString("1\x00\x00\x00\x04")
}

// bind makes a portal.
func (d *desk) bind(r *deskReader, t *codec.Turn) {
	portal, name := r.text(), r.text()
	r.skip(2 * int(r.number())) // formats of parameters
	params := int(r.number())
	for range params {
		if n := int32(r.number32()); n > 0 {
			r.skip(int(n))
		}
	}
	packed := r.take(2 * int(r.number()))
	if !r.done() {
		return
	}
	formats := make([]uint16, len(packed)/2)
	for i := range formats {
		formats[i] = binary.BigEndian.Uint16(packed[2*i:])
	}
	text, known := d.stmts[name]
	columns := d.columns(text)
	_, again := d.portals[portal]
	switch {
	case !known:
		d.fail(unknownStatement(name), t)
	case params > 0:
		d.fail(deskFault("08P01", fmt.Sprintf("bind message supplies %d parameters, but the command has none", params)), t)
	case len(formats) > 1 && len(formats) != len(columns):
		d.fail(deskFault("08P01", fmt.Sprintf("bind message has %d result formats but the command has %d columns",
			len(formats), len(columns))), t)
	case again && portal != "":
		d.fail(deskFault("42P03", fmt.Sprintf("cursor %q already exists", portal)), t)
	case len(d.portals) >= deskNamesMax && !again:
		d.fail(deskFault("54000", "too many portals"), t)
	default:
		for _, f := range formats {
			if f > 1 {
				d.fail(deskFault("22023", fmt.Sprintf("unsupported format code: %d", f)), t)
				return
			}
		}
		d.portals[portal] = &deskPortal{text: text, columns: columns, formats: formats}
		t.Client.AppendString("2\x00\x00\x00\x04")
	}
}

// columns are those of a command's table.
func (d *desk) columns(text string) []codec.Column {
	if d.cfg.Columns == nil || text == "" {
		return nil
	}
	return d.cfg.Columns(text)
}

// describe tells what a statement or a portal will return.
func (d *desk) describe(kind byte, name string, t *codec.Turn) {
	text, prepared := d.stmts[name]
	p, bound := d.portals[name]
	switch {
	case kind == 'S' && prepared:
		t.Client.AppendString("t\x00\x00\x00\x06\x00\x00") // no parameters
		t.Client.End(appendDescription(t.Client.Begin(), d.columns(text), nil))
	case kind == 'S':
		d.fail(unknownStatement(name), t)
	case kind == 'P' && bound:
		t.Client.End(appendDescription(t.Client.Begin(), p.columns, p.formats))
	case kind == 'P':
		d.fail(unknownPortal(name), t)
	default:
		d.fail(deskFault("08P01", fmt.Sprintf("invalid DESCRIBE message subtype %d", kind)), t)
	}
}

// close forgets a statement or a portal; that there is none is no error.
func (d *desk) close(kind byte, name string, t *codec.Turn) {
	switch kind {
	case 'S':
		delete(d.stmts, name)
	case 'P':
		delete(d.portals, name)
	default:
		d.fail(deskFault("08P01", fmt.Sprintf("invalid CLOSE message subtype %d", kind)), t)
		return
	}
	t.Client.AppendString("3\x00\x00\x00\x04")
}

// execute begins a portal's command, or goes on with its rows.
func (d *desk) execute(name string, limit int, t *codec.Turn) (query string, ok bool) {
	p, known := d.portals[name]
	if !known {
		d.fail(unknownPortal(name), t)
		return "", false
	}
	c := deskCommand{portal: p, max: max(limit, 0)}
	if p.run {
		d.now = c
		d.now.answer = deskAnswer{open: true, left: c.max}
		for d.More(t) {
			// At once: the caller knows only of answers that it has given.
		}
		return "", false
	}
	p.run = true
	return d.run(p.text, c, t)
}

func unknownStatement(name string) deskResult {
	return deskFault("26000", fmt.Sprintf("prepared statement %q does not exist", name))
}

func unknownPortal(name string) deskResult {
	return deskFault("34000", fmt.Sprintf("portal %q does not exist", name))
}

// deskReader reads the fields of a message's body. Behind the end there are zeros, and done is false.
type deskReader struct {
	rest  []byte
	short bool
}

// take returns the next n bytes, or nil.
func (r *deskReader) take(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.short = nil, true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *deskReader) skip(n int) { r.take(n) }

func (r *deskReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *deskReader) number() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *deskReader) number32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// text reads a string up to its NUL. What is no UTF-8 in it is replaced.
func (r *deskReader) text() string {
	for i, c := range r.rest {
		if c == 0 {
			s := string(r.rest[:i])
			r.rest = r.rest[i+1:]
			return strings.ToValidUTF8(s, "\uFFFD")
		}
	}
	r.rest, r.short = nil, true
	return ""
}

// done tells that the body held all that was read, and nothing else.
func (r *deskReader) done() bool { return !r.short && len(r.rest) == 0 }
