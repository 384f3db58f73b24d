package synth

import (
	"encoding/binary"
	"strconv"
)

// Prepared statements of MySQL's protocol.
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html

// Types of parameters besides text.
const (
	myLongLong = 0x08
	myVarChar  = 0x0f
	myString   = 0xfe
)

func (m *myServer) prepare(text []byte, r *reply) {
	s := prepared(text)
	switch {
	case s.verb == verbUnknown:
		m.fail(r, errSelect)
		return
	case s.verb == verbEmpty:
		m.fail(r, errEmpty)
		return
	case len(m.prepared) >= statementsMax:
		m.fail(r, errStatement)
		return
	case m.prepared == nil:
		m.prepared = map[uint32]*statement{}
	}
	m.lastID++
	m.prepared[m.lastID] = s
	columns := 0
	if s.verb == verbSelect {
		columns = 1
	}
	r.out = append(appendPacket(r.out, 12, m.seq), myOK)
	r.out = binary.LittleEndian.AppendUint32(r.out, m.lastID)
	r.out = append(r.out, byte(columns), 0, byte(s.params), 0, 0, 0, 0)
	m.seq++
	for range s.params {
		m.column(r, "?")
	}
	if s.params > 0 {
		m.columnsEnd(r)
	}
	if columns > 0 {
		m.column(r, "answer")
		m.columnsEnd(r)
	}
}

func (m *myServer) execute(c *cursor, r *reply) {
	id := c.little32()
	c.take(1 + 4) // flags and the number of iterations, which is 1
	s := m.prepared[id]
	switch {
	case c.bad:
		return
	case s == nil:
		m.fail(r, errStatement)
		return
	}
	values, ok := s.values(c)
	switch {
	case c.bad:
		return
	case !ok:
		m.fail(r, errParameter)
		return
	case s.verb != verbSelect:
		m.done(r, s.verb)
		return
	}
	var p portal
	if err := p.set(s, values[0], values[1]); err != nil {
		m.fail(r, err)
		return
	}
	m.binary = true
	m.result(r, p.number[:p.digits], p.size)
}

// values reads the parameters of an execution. It does not take other types than text and integers of
// eight bytes.
func (s *statement) values(c *cursor) (values [2][]byte, ok bool) {
	if s.params == 0 {
		return values, true
	}
	null := c.byte()
	if c.byte() == 1 {
		for i := range s.params {
			s.types[i] = c.byte()
			c.byte() // its flags
		}
	}
	for i := range s.params {
		switch s.types[i] {
		case myLongLong:
			b := c.take(8)
			if b == nil {
				return values, false
			}
			values[i] = strconv.AppendInt(nil, int64(binary.LittleEndian.Uint64(b)), 10)
		case myVarChar, myVarString, myString:
			values[i] = c.lenencText()
		default:
			return values, false
		}
	}
	return values, null == 0
}
