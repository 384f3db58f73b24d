package synth

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// pgServer is the server's side of PostgreSQL's protocol, version 3.0. It lets everybody in.
//
//   - https://www.postgresql.org/docs/current/protocol-flow.html
//   - https://www.postgresql.org/docs/current/protocol-message-formats.html
type pgServer struct {
	started  bool
	skipping bool // an extended query failed: everything up to the next Sync is skipped
	status   byte // of the transaction, for ReadyForQuery
	extended bool // the result under way belongs to an extended query
	unnamed  *statement
	named    map[string]*statement
	portal   portal // the unnamed one
	user     string // who has logged in
}

// Codes that stand in place of a version in the first message.
const (
	pgCancel    = 80877102
	pgSSL       = 80877103
	pgGSS       = 80877104
	pgVersion   = 3 << 16 // 3.0; the low half is the minor version
	pgStartLen  = 8
	pgHeaderLen = 5
	pgTextOID   = 25
)

func (p *pgServer) greet(*reply) {}

func (p *pgServer) message(in []byte, r *reply) (int, error) {
	if !p.started {
		return p.startup(in, r)
	}
	if len(in) < pgHeaderLen {
		return 0, nil
	}
	size := 1 + uint64(binary.BigEndian.Uint32(in[1:]))
	switch {
	case size < pgHeaderLen:
		return 0, p.refuse(r, "08P01", errMalformed)
	case size > messageMax:
		return 0, p.refuse(r, "54000", errTooLong)
	case uint64(len(in)) < size:
		return 0, nil
	}
	return int(size), p.command(in[0], in[pgHeaderLen:size], r)
}

// startup takes what comes before the first message that has a type.
func (p *pgServer) startup(in []byte, r *reply) (int, error) {
	if len(in) < pgStartLen {
		return 0, nil
	}
	size := binary.BigEndian.Uint32(in)
	if size < pgStartLen || size > messageMax {
		return 0, errMalformed
	}
	if uint32(len(in)) < size {
		return 0, nil
	}
	switch code := binary.BigEndian.Uint32(in[4:]); {
	case code == pgSSL || code == pgGSS:
		r.out = append(r.out, 'N')
	case code == pgCancel:
		return 0, errQuit // nothing here takes long enough to be cancelled
	case code>>16 != pgVersion>>16:
		return 0, p.refuse(r, "0A000", errors.New("unsupported protocol version"))
	default:
		p.user = startupUser(in[pgStartLen:size])
		p.start(code, r)
	}
	return int(size), nil
}

// startupUser finds the user's name among the parameters of a startup message; "" if there is none.
func startupUser(params []byte) string {
	c := cursor{b: params}
	for {
		name := c.text()
		if len(name) == 0 {
			return ""
		}
		if value := c.text(); string(name) == "user" {
			return string(value)
		}
	}
}

// start lets the client in.
func (p *pgServer) start(version uint32, r *reply) {
	p.started, p.status = true, 'I'
	if version > pgVersion {
		// NegotiateProtocolVersion: 3.0, and no option is refused.
		r.out = append(r.out, 'v', 0, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 0)
	}
	r.out = append(r.out, 'R', 0, 0, 0, 8, 0, 0, 0, 0)
	for _, kv := range pgParameters {
		r.out = binary.BigEndian.AppendUint32(append(r.out, 'S'), uint32(4+len(kv[0])+1+len(kv[1])+1))
		r.out = append(append(r.out, kv[0]...), 0)
		r.out = append(append(r.out, kv[1]...), 0)
	}
	r.out = append(r.out, 'K', 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 2)
	p.ready(r)
}

// pgParameters are those that drivers and poolers look at.
var pgParameters = [][2]string{
	{"server_version", "15.0"}, {"server_encoding", "UTF8"}, {"client_encoding", "UTF8"},
	{"DateStyle", "ISO, MDY"}, {"IntervalStyle", "postgres"}, {"TimeZone", "UTC"},
	{"integer_datetimes", "on"}, {"standard_conforming_strings", "on"}, {"application_name", ""},
}

func (p *pgServer) ready(r *reply) { r.out = append(r.out, 'Z', 0, 0, 0, 5, p.status) }

// command answers one message.
func (p *pgServer) command(kind byte, body []byte, r *reply) error {
	switch kind {
	case 'X':
		return errQuit
	case 'S':
		p.skipping = false
		p.ready(r)
		return nil
	}
	if p.skipping {
		return nil
	}
	c := cursor{b: body}
	var err error
	switch kind {
	case 'Q':
		return p.query(body, r)
	case 'P':
		err = p.parse(&c, r)
	case 'B':
		err = p.bind(&c, r)
	case 'D':
		err = p.describe(&c, r)
	case 'E':
		err = p.execute(&c, r)
	case 'C':
		err = p.forget(&c, r)
	case 'H': // Flush: everything is sent at once anyway
	default:
		return p.refuse(r, "08P01", errMessage)
	}
	if c.bad {
		return p.refuse(r, "08P01", errMalformed)
	}
	if err != nil {
		p.skipping = true
		p.fail(r, "0A000", err)
	}
	return nil
}

// fail sends an ErrorResponse.
func (p *pgServer) fail(r *reply, state string, err error) {
	at := len(r.out)
	r.out = append(r.out, 'E', 0, 0, 0, 0)
	r.out = append(r.out, "SERROR\x00VERROR\x00C"...)
	r.out = append(append(r.out, state...), "\x00M"...)
	r.out = append(append(r.out, err.Error()...), 0, 0)
	binary.BigEndian.PutUint32(r.out[at+1:], uint32(len(r.out)-at-1))
}

// refuse sends an ErrorResponse that ends the connection.
func (p *pgServer) refuse(r *reply, state string, err error) error {
	p.fail(r, state, err)
	return err
}

// query answers a simple query.
func (p *pgServer) query(body []byte, r *reply) error {
	c := cursor{b: body}
	text := c.text()
	q := readQuestion(text)
	if c.bad {
		return p.refuse(r, "08P01", errMalformed)
	}
	p.extended = false
	switch {
	case q.verb == verbUnknown && isLook(text):
		p.look(r)
		return nil // with the end
	case q.verb == verbUnknown || q.params > 0:
		p.fail(r, "0A000", errSelect)
	case q.verb == verbSelect:
		r.out = append(r.out, pgColumn...)
		p.result(r, q.number, q.size)
		return nil // and the end follows the filler
	default:
		p.done(r, &q)
	}
	p.ready(r)
	return nil
}

// pgColumn is the RowDescription of all results: one column of text.
var pgColumn = pgColumns("answer")

// pgColumns makes a RowDescription of columns of text.
func pgColumns(names ...string) []byte {
	b := []byte{'T', 0, 0, 0, 0, 0, byte(len(names))}
	for _, name := range names {
		b = append(append(b, name...), 0)
		b = append(b, 0, 0, 0, 0, 0, 0)       // from no table
		b = append(b, 0, 0, 0, pgTextOID)     // type
		b = append(b, 0xff, 0xff)             // of any length
		b = append(b, 0xff, 0xff, 0xff, 0xff) // without a modifier
		b = append(b, 0, 0)                   // as text
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return b
}

// result begins a result: its first row, and filler.
func (p *pgServer) result(r *reply, number []byte, size int) {
	p.row(r, len(number))
	r.out = append(r.out, number...)
	r.fill(p, size)
}

// row begins a DataRow with one column.
func (p *pgServer) row(r *reply, n int) {
	r.out = binary.BigEndian.AppendUint32(append(r.out, 'D'), uint32(4+2+4+n))
	r.out = binary.BigEndian.AppendUint32(append(r.out, 0, 1), uint32(n))
}

func (p *pgServer) last(r *reply, rows int) {
	at := len(r.out)
	r.out = append(r.out, 'C', 0, 0, 0, 0)
	r.out = append(strconv.AppendInt(append(r.out, "SELECT "...), int64(1+rows), 10), 0)
	binary.BigEndian.PutUint32(r.out[at+1:], uint32(len(r.out)-at-1))
	if !p.extended {
		p.ready(r)
	}
}

// done ends a statement that has no result.
func (p *pgServer) done(r *reply, q *question) {
	switch q.verb {
	case verbEmpty:
		r.out = append(r.out, 'I', 0, 0, 0, 4)
		return
	case verbBegin:
		p.status = 'T'
	case verbEnd:
		p.status = 'I'
	}
	r.out = binary.BigEndian.AppendUint32(append(r.out, 'C'), uint32(4+len(q.word)+1))
	r.out = append(append(r.out, q.word...), 0)
}
