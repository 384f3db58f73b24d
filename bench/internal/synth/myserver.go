package synth

import (
	"encoding/binary"
	"errors"
)

// myServer is the server's side of MySQL's protocol. It lets everybody in, whatever the response to
// its challenge is.
type myServer struct {
	caps     uint32 // of the client; 0 until it has responded to the greeting
	seq      uint8  // of the next packet
	status   uint16
	binary   bool // the rows under way are those of a prepared statement
	lastID   uint32
	prepared map[uint32]*statement
}

// myServerCaps is what the greeting offers.
const myServerCaps = myLongPassword | myLongFlag | myConnectWithDB | myProtocol41 | myTransactions |
	mySecureConnection | myPluginAuth | myConnectAttrs | myPluginAuthLenenc | myDeprecateEOF

// greet sends a HandshakeV10. Nobody looks at the salt.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
func (m *myServer) greet(r *reply) {
	m.status = myAutocommit
	at := len(r.out)
	r.out = append(appendPacket(r.out, 0, 0), 10)
	r.out = append(r.out, "8.0.40-synthetic\x00"...)
	r.out = append(r.out, 1, 0, 0, 0) // connection id
	r.out = append(r.out, "saltsalt\x00"...)
	r.out = binary.LittleEndian.AppendUint16(r.out, myServerCaps&0xffff)
	r.out = append(r.out, myUTF8MB4, byte(m.status), 0)
	r.out = binary.LittleEndian.AppendUint16(r.out, myServerCaps>>16)
	r.out = append(r.out, 21)
	r.out = append(r.out, make([]byte, 10)...)
	r.out = append(r.out, "saltsaltsalt\x00"...)
	r.out = append(r.out, myPlugin+"\x00"...)
	endPacket(r.out, at)
}

func (m *myServer) message(in []byte, r *reply) (int, error) {
	if len(in) < myHeaderLen {
		return 0, nil
	}
	size := myHeaderLen + packetLen(in)
	m.seq = in[3] + 1
	switch {
	case size > messageMax:
		return 0, m.refuse(r, errTooLong)
	case len(in) < size:
		return 0, nil
	}
	body := in[myHeaderLen:size]
	switch {
	case m.caps == 0:
		return size, m.respond(in[3], body, r)
	case len(body) == 0 || in[3] != 0:
		return size, m.refuse(r, errMalformed)
	}
	return size, m.command(body[0], body[1:], r)
}

// respond takes the response to the greeting.
func (m *myServer) respond(seq uint8, body []byte, r *reply) error {
	const fixed = 4 + 4 + 1 + 23 // flags, longest packet, collation, filler
	if seq != 1 || len(body) < fixed {
		return m.refuse(r, errMalformed)
	}
	m.caps = binary.LittleEndian.Uint32(body) & myServerCaps
	if m.caps&myProtocol41 == 0 {
		return m.refuse(r, errors.New("unsupported protocol version"))
	}
	m.ok(r)
	return nil
}

// command answers one command.
func (m *myServer) command(kind byte, body []byte, r *reply) error {
	c := cursor{b: body}
	switch kind {
	case comQuit:
		return errQuit
	case comInitDB, comPing, comChangeUser, comStmtReset, comResetConnection:
		m.ok(r)
	case comSetOption:
		m.eof(r)
	case comQuery:
		m.query(body, r)
	case comStmtPrepare:
		m.prepare(body, r)
	case comStmtExecute:
		m.execute(&c, r)
	case comStmtClose: // without an answer
		delete(m.prepared, c.little32())
	default:
		return m.refuse(r, errMessage)
	}
	if c.bad {
		return m.refuse(r, errMalformed)
	}
	return nil
}

func (m *myServer) query(text []byte, r *reply) {
	q := readQuestion(text)
	m.binary = false
	switch {
	case q.verb == verbUnknown || q.params > 0:
		m.fail(r, errSelect)
	case q.verb == verbEmpty:
		m.fail(r, errEmpty)
	case q.verb == verbSelect:
		m.result(r, q.number, q.size)
	default:
		m.done(r, q.verb)
	}
}

// errEmpty is what MySQL says, too, to a query without words.
var errEmpty = errors.New("query was empty")

// done ends a statement that has no result.
func (m *myServer) done(r *reply, v verb) {
	switch v {
	case verbBegin:
		m.status |= myInTrans
	case verbEnd:
		m.status &^= myInTrans
	}
	m.ok(r)
}

// result begins a result: one column, the first row, and filler.
func (m *myServer) result(r *reply, number []byte, size int) {
	r.out = append(appendPacket(r.out, 1, m.seq), 1) // one column
	m.seq++
	m.column(r, "answer")
	m.columnsEnd(r)
	m.row(r, len(number))
	r.out = append(r.out, number...)
	r.fill(m, size)
}

// column sends the definition of a column of text.
func (m *myServer) column(r *reply, name string) {
	at := len(r.out)
	r.out = appendPacket(r.out, 0, m.seq)
	r.out = append(r.out, 3, 'd', 'e', 'f', 0, 0, 0) // of no schema and no table
	r.out = append(append(r.out, byte(len(name))), name...)
	r.out = append(r.out, 0, 12, myUTF8MB4, 0) // under no other name; length of what follows
	r.out = append(r.out, 0, 0, 4, 0)          // at most 256 KiB: 64 Ki characters of four bytes
	r.out = append(r.out, myVarString, 1, 0)   // never NULL
	r.out = append(r.out, 0, 0, 0)
	endPacket(r.out, at)
	m.seq++
}

// columnsEnd stands behind definitions, unless the client does not want it.
func (m *myServer) columnsEnd(r *reply) {
	if m.caps&myDeprecateEOF == 0 {
		m.eof(r)
	}
}

// row begins a row with one column, which in a prepared statement's stands behind a byte of its kind
// and a map of NULLs.
func (m *myServer) row(r *reply, n int) {
	size := lenencWidth(n) + n
	if m.binary {
		r.out = append(appendPacket(r.out, 2+size, m.seq), 0, 0)
	} else {
		r.out = appendPacket(r.out, size, m.seq)
	}
	m.seq++
	r.out = appendLenenc(r.out, n)
}

func (m *myServer) last(r *reply, _ int) {
	if m.caps&myDeprecateEOF == 0 {
		m.eof(r)
		return
	}
	m.okAs(r, myEOF)
}

func (m *myServer) ok(r *reply) { m.okAs(r, myOK) }

// okAs sends an OK packet, which has another first byte at the end of rows.
func (m *myServer) okAs(r *reply, first byte) {
	r.out = appendPacket(r.out, 7, m.seq)
	r.out = append(r.out, first, 0, 0, byte(m.status), byte(m.status>>8), 0, 0)
	m.seq++
}

func (m *myServer) eof(r *reply) {
	r.out = append(appendPacket(r.out, 5, m.seq), myEOF, 0, 0, byte(m.status), byte(m.status>>8))
	m.seq++
}

// fail sends an ERR packet; 1105 is the error that has no number of its own.
func (m *myServer) fail(r *reply, err error) {
	const code = 1105
	at := len(r.out)
	r.out = append(appendPacket(r.out, 0, m.seq), myErr, code&0xff, code>>8)
	r.out = append(r.out, "#HY000"...)
	r.out = append(r.out, err.Error()...)
	endPacket(r.out, at)
	m.seq++
}

// refuse sends an ERR packet that ends the connection.
func (m *myServer) refuse(r *reply, err error) error {
	m.fail(r, err)
	return err
}
