package postgres

import (
	"encoding/binary"
	"strconv"

	"sluice/codec"
)

// deskPart is how much of an answer is written at a time, in bytes; one row may go beyond it.
const deskPart = 64 << 10

// deskResult is an answer, and the SQLSTATE of its error where that has no condition of its own.
type deskResult struct {
	codec.Answer
	state string
}

// deskFault returns an error that belongs to the protocol alone.
func deskFault(state, text string) deskResult {
	return deskResult{codec.Answer{Err: &codec.Error{Text: text}}, state}
}

var errDeskAborted = deskFault("25P02",
	"current transaction is aborted, commands ignored until end of transaction block")

// deskAnswer is the rows that are being written.
type deskAnswer struct {
	open bool
	left int // rows that may still be returned by this Execute; 0 = all, unless none is left
}

// Answer tells the client what came of the command that was carried out for it.
func (d *desk) Answer(a codec.Answer, t *codec.Turn) (more bool) {
	if !d.now.asked {
		panic("postgres: an answer to a desk that asked for none")
	}
	d.now.asked = false
	r := deskResult{Answer: a}
	if a.Err != nil {
		r.state = sqlState(a.Err.Cond)
	}
	return d.put(r, t)
}

// put writes the answer to the present command, or its first part.
func (d *desk) put(a deskResult, t *codec.Turn) (more bool) {
	c := &d.now
	if a.Err != nil {
		d.texts = nil
		if c.simple {
			d.report(a, t)
			d.ready(t)
		} else {
			d.fail(a, t)
		}
		return false
	}
	b := t.Client.Begin()
	if a.Note != nil {
		b = appendReport(b, msgNotice, "NOTICE", "00000", a.Note.Text, a.Note.Detail, "")
	}
	if c.simple {
		c.portal = &deskPortal{} // Query goes through the unnamed portal, as in a server
		if a.Table != nil {
			b = appendDescription(b, a.Table.Columns, nil)
		}
	}
	t.Client.End(b)
	c.portal.tag = a.Tag
	if a.Table != nil {
		c.portal.columns, c.portal.rows = a.Table.Columns, a.Table.Rows
	}
	c.answer = deskAnswer{open: true, left: c.max}
	return d.More(t)
}

// More writes the next part of the answer.
func (d *desk) More(t *codec.Turn) (more bool) {
	a, p := &d.now.answer, d.now.portal
	for written := 0; len(p.rows) > 0; {
		if written >= deskPart {
			return true
		}
		b := t.Client.Begin()
		before := len(b)
		b = appendDataRow(b, p.columns, p.formats, p.rows[0])
		written += len(b) - before
		t.Client.End(b)
		p.rows = p.rows[1:]
		if a.left > 0 {
			if a.left--; a.left == 0 {
				t.Client.AppendString("s\x00\x00\x00\x04") // PortalSuspended
				a.open = false
				return false
			}
		}
	}
	t.Client.End(appendComplete(t.Client.Begin(), p.tag))
	p.rows = nil
	last := d.now.simple && len(d.texts) == 0
	d.now = deskCommand{}
	if last {
		d.ready(t)
	}
	return false
}

// fail is what an error does in an extended query: the client is told, and what it sends up to its Sync
// is skipped.
func (d *desk) fail(a deskResult, t *codec.Turn) {
	d.report(a, t)
	d.skipping = true
}

// report tells the client an error.
func (d *desk) report(a deskResult, t *codec.Turn) {
	if d.tx == 'T' {
		d.tx = 'E'
	}
	t.Client.End(appendReport(t.Client.Begin(), msgError, "ERROR", a.state, a.Err.Text, "", a.Err.Hint))
}

// ready tells the client that it is its turn. Portals live as long as the transaction.
func (d *desk) ready(t *codec.Turn) {
	if d.tx == 'I' {
		clear(d.portals)
	}
	t.Client.Append('Z', 0, 0, 0, 5, d.tx)
}

// appendReport appends an ErrorResponse or NoticeResponse.
//
// https://www.postgresql.org/docs/current/protocol-error-fields.html
func appendReport(dst []byte, typ byte, severity, state, text, detail, hint string) []byte {
	start := len(dst)
	dst = append(dst, typ, 0, 0, 0, 0)
	dst = appendField(dst, 'S', severity)
	dst = appendField(dst, 'V', severity)
	dst = appendField(dst, 'C', state)
	dst = appendField(dst, 'M', text)
	if detail != "" {
		dst = appendField(dst, 'D', detail)
	}
	if hint != "" {
		dst = appendField(dst, 'H', hint)
	}
	return endMessage(append(dst, 0), start)
}

// endMessage writes the length of a message that begins at start and ends with dst.
func endMessage(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// appendComplete appends CommandComplete, or EmptyQueryResponse if nothing was asked.
func appendComplete(dst []byte, tag string) []byte {
	if tag == "" {
		return append(dst, 'I', 0, 0, 0, 4)
	}
	start := len(dst)
	dst = append(dst, 'C', 0, 0, 0, 0)
	dst = append(dst, tag...)
	return endMessage(append(dst, 0), start)
}

// deskType is how a type of column is told: its OID and its size in bytes.
//
// https://www.postgresql.org/docs/current/catalog-pg-type.html
var deskType = [...]struct {
	oid  uint32
	size int16
}{
	codec.ColumnText: {25, -1},
	codec.ColumnInt:  {23, 4},
	codec.ColumnBig:  {20, 8},
}

// appendDescription appends RowDescription, or NoData if there are no columns.
func appendDescription(dst []byte, columns []codec.Column, formats []uint16) []byte {
	if columns == nil {
		return append(dst, 'n', 0, 0, 0, 4)
	}
	start := len(dst)
	dst = append(dst, 'T', 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for i, c := range columns {
		dst = append(dst, c.Name...)
		dst = append(dst, 0, 0, 0, 0, 0, 0, 0) // no column of a table in a catalogue
		dst = binary.BigEndian.AppendUint32(dst, deskType[c.Type].oid)
		dst = binary.BigEndian.AppendUint16(dst, uint16(deskType[c.Type].size))
		dst = append(dst, 0xff, 0xff, 0xff, 0xff) // no type modifier
		dst = binary.BigEndian.AppendUint16(dst, formatOf(formats, i))
	}
	return endMessage(dst, start)
}

// formatOf is the format of column i: 0 text, 1 binary.
func formatOf(formats []uint16, i int) uint16 {
	switch len(formats) {
	case 0:
		return 0
	case 1:
		return formats[0]
	}
	return formats[i] // bind has seen to it that there is one for each column
}

// appendDataRow appends one row.
func appendDataRow(dst []byte, columns []codec.Column, formats []uint16, row []any) []byte {
	start := len(dst)
	dst = append(dst, 'D', 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for i, c := range columns {
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		switch v := row[i].(type) {
		case nil:
			binary.BigEndian.PutUint32(dst[at:], 0xffffffff)
			continue
		case string:
			dst = append(dst, v...)
		case int64:
			dst = appendInteger(dst, v, c.Type, formatOf(formats, i))
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return endMessage(dst, start)
}

// appendInteger appends a number in one of its formats.
func appendInteger(dst []byte, v int64, typ codec.ColumnType, format uint16) []byte {
	switch {
	case format == 0 || typ == codec.ColumnText:
		return strconv.AppendInt(dst, v, 10)
	case typ == codec.ColumnInt:
		return binary.BigEndian.AppendUint32(dst, uint32(v))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(v))
}
