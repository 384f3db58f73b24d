package synth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// myClient is the client's side of MySQL's protocol.
type myClient struct {
	user, database string
	size           int  // of the filler to ask for
	prepared       bool // ask by a prepared statement
	step           myStep
	eofs           bool // EOF stands behind definitions and rows
	statement      uint32
	skip           int // packets of the answer to the PREPARE still to come
	phase          myPhase
}

// myStep is what the login waits for.
type myStep uint8

const (
	awaitGreeting    myStep = iota
	awaitWelcome            // OK
	awaitPrepared           // the answer to COM_STMT_PREPARE
	awaitDefinitions        // and the definitions behind it
)

// myPhase is what an answer has come to.
type myPhase uint8

const (
	awaitCount  myPhase = iota // of columns
	awaitColumn                // its definition
	awaitEOF                   // behind that
	awaitRows                  // rows and their end
)

const myClientCaps = myLongPassword | myLongFlag | myProtocol41 | myTransactions | mySecureConnection | myPluginAuth

var errColumns = errors.New("wrong answer: it has not one column")

// myPacket cuts the first packet off in; used is 0 if it is not all there.
func myPacket(in []byte) (seq uint8, body []byte, used int, err error) {
	if len(in) < myHeaderLen {
		return 0, nil, 0, nil
	}
	size := myHeaderLen + packetLen(in)
	switch {
	case size > messageMax:
		return 0, nil, 0, errTooLong
	case len(in) < size:
		return 0, nil, 0, nil
	case size == myHeaderLen:
		return 0, nil, 0, errMalformed
	}
	return in[3], in[myHeaderLen:size], size, nil
}

func (m *myClient) login(in, out []byte) (used int, send []byte, done bool, err error) {
	seq, body, used, err := myPacket(in)
	if used == 0 || err != nil {
		return 0, out, false, err
	}
	if body[0] == myErr {
		return used, out, false, myError("login", body)
	}
	switch m.step {
	case awaitGreeting:
		m.step = awaitWelcome
		send, err = m.respond(body, out)
		return used, send, false, err
	case awaitWelcome:
		return m.welcome(seq, body, used, out)
	case awaitPrepared:
		c := cursor{b: body}
		c.byte()
		m.statement = c.little32()
		columns, params := c.little16(), c.little16()
		if c.bad {
			return used, out, false, errMalformed
		}
		m.step, m.skip = awaitDefinitions, m.definitions(columns)+m.definitions(params)
	default:
		m.skip--
	}
	return used, out, m.skip == 0, nil
}

// definitions is how many packets so many definitions take.
func (m *myClient) definitions(n int) int {
	if n > 0 && m.eofs {
		return n + 1
	}
	return n
}

// welcome takes the answer to the response.
func (m *myClient) welcome(seq uint8, body []byte, used int, out []byte) (int, []byte, bool, error) {
	switch {
	case body[0] == myOK && m.prepared:
		m.step = awaitPrepared
		return used, m.prepare(out), false, nil
	case body[0] == myOK:
		return used, out, true, nil
	case body[0] == myEOF: // another plugin: without a password they all take nothing
		return used, appendPacket(out, 0, seq+1), false, nil
	case body[0] == myMoreData && len(body) == 2 && body[1] == 3: // caching_sha2_password is content
		return used, out, false, nil
	}
	return used, out, false, errPassword
}

// respond answers the greeting.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
func (m *myClient) respond(greeting, out []byte) ([]byte, error) {
	c := cursor{b: greeting}
	version := c.byte()
	c.text()
	c.take(4 + 8 + 1) // id and salt
	offered := uint32(c.little16())
	c.take(1 + 2) // collation and status
	offered |= uint32(c.little16()) << 16
	if c.bad || version != 10 || offered&myProtocol41 == 0 {
		return out, errMalformed
	}
	caps := uint32(myClientCaps|myDeprecateEOF) & offered
	if m.database != "" {
		caps |= myConnectWithDB & offered
	}
	m.eofs = caps&myDeprecateEOF == 0
	at := len(out)
	out = binary.LittleEndian.AppendUint32(appendPacket(out, 0, 1), caps)
	out = binary.LittleEndian.AppendUint32(out, 1<<24)
	out = append(append(out, myUTF8MB4), make([]byte, 23)...)
	out = append(append(out, m.user...), 0)
	out = append(out, 0) // no password
	if caps&myConnectWithDB != 0 {
		out = append(append(out, m.database...), 0)
	}
	if caps&myPluginAuth != 0 {
		out = append(out, myPlugin+"\x00"...)
	}
	endPacket(out, at)
	return out, nil
}

func (m *myClient) prepare(out []byte) []byte {
	text := "SELECT ?"
	if m.size > 0 {
		text = "SELECT ?, ?"
	}
	return append(append(appendPacket(out, 1+len(text), 0), comStmtPrepare), text...)
}

func (m *myClient) ask(out []byte, number uint64, size int) []byte {
	at := len(out)
	if !m.prepared {
		out = appendQuestion(append(appendPacket(out, 0, 0), comQuery), number, size)
		endPacket(out, at)
		return out
	}
	out = binary.LittleEndian.AppendUint32(append(appendPacket(out, 0, 0), comStmtExecute), m.statement)
	out = append(out, 0, 1, 0, 0, 0) // no cursor, once
	out = append(out, 0, 1)          // nothing is NULL; types follow
	out = append(out, myVarString, 0)
	if size > 0 {
		out = append(out, myVarString, 0)
	}
	out = myValue(out, number)
	if size > 0 {
		out = myValue(out, uint64(size))
	}
	endPacket(out, at)
	return out
}

// myValue appends a number as text of less than 251 bytes.
func myValue(out []byte, v uint64) []byte {
	at := len(out)
	out = strconv.AppendUint(append(out, 0), v, 10)
	out[at] = byte(len(out) - at - 1)
	return out
}

func (m *myClient) answer(in []byte, c *check) (used int, done bool, err error) {
	if c.left > 0 {
		used, err = c.fill(in)
		return used, false, err
	}
	if m.phase == awaitRows && c.rows > 0 {
		if used, is, err := m.fillerRow(in, c); is || used == 0 || err != nil {
			return used, false, err
		}
	}
	_, body, used, err := myPacket(in)
	if used == 0 || err != nil {
		return 0, false, err
	}
	if body[0] == myErr {
		return used, false, myError(fmt.Sprintf("question %d", c.number), body)
	}
	switch m.phase {
	case awaitCount:
		m.phase = awaitColumn
		if len(body) != 1 || body[0] != 1 {
			return used, false, errColumns
		}
	case awaitColumn:
		m.phase = awaitRows
		if m.eofs {
			m.phase = awaitEOF
		}
	case awaitEOF:
		m.phase = awaitRows
		if body[0] != myEOF {
			return used, false, errUnasked
		}
	case awaitRows:
		if body[0] == myEOF {
			m.phase = awaitCount
			return used, true, c.end()
		}
		return used, false, m.numberRow(body, c)
	}
	return used, false, nil
}

// rowFront is what stands in front of the column in a row.
func (m *myClient) rowFront() int {
	if m.prepared {
		return 2
	}
	return 0
}

func (m *myClient) numberRow(body []byte, c *check) error {
	v := cursor{b: body}
	v.take(m.rowFront())
	text := v.lenencText()
	if v.bad || len(v.b) > 0 {
		return errMalformed
	}
	return c.first(text)
}

// fillerRow takes what stands in front of the filler in a row; is false means that the packet is
// something else.
func (m *myClient) fillerRow(in []byte, c *check) (used int, is bool, err error) {
	const frontMax = 2 + 4 // of a row, with a length-encoded integer
	if len(in) < myHeaderLen+1 {
		return 0, false, nil
	}
	if first := in[myHeaderLen]; first == myErr || first == myEOF {
		return 1, false, nil
	}
	size := packetLen(in)
	front := in[myHeaderLen:min(len(in), myHeaderLen+min(size, frontMax))]
	if len(front) < min(size, frontMax) {
		return 0, false, nil
	}
	v := cursor{b: front}
	v.take(m.rowFront())
	n := v.lenenc()
	used = len(front) - len(v.b)
	if v.bad || used+n != size {
		return 0, true, errMalformed
	}
	return myHeaderLen + used, true, c.row(n)
}

// myError puts an ERR packet into words.
func myError(when string, body []byte) error {
	c := cursor{b: body}
	c.byte()
	code := c.little16()
	return fmt.Errorf("%s: the server says %d %s", when, code, c.b)
}
