package synth

import (
	"bytes"
	"encoding/binary"
)

// cursor reads the fields of one message in order. The first one that is not there spoils it: from
// then on it yields zeros, and bad says so. What it returns shares memory with the message.
type cursor struct {
	b   []byte
	bad bool
}

// take returns the next n bytes.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.bad = nil, true
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

// uint16 and uint32 are PostgreSQL's, big-endian.
func (c *cursor) uint16() int {
	if b := c.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// little16 and little32 are MySQL's.
func (c *cursor) little16() int {
	if b := c.take(2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) little32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// text returns what stands before the next zero byte, and skips that.
func (c *cursor) text() []byte {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.b, c.bad = nil, true
		return nil
	}
	out := c.b[:i]
	c.b = c.b[i+1:]
	return out
}

// lenenc returns a length-encoded integer of MySQL; that of a NULL spoils the cursor.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
func (c *cursor) lenenc() int {
	width := 0
	switch first := c.byte(); first {
	case 0xfc:
		width = 2
	case 0xfd:
		width = 3
	case 0xfb, 0xfe, 0xff: // NULL, a length that no message here can have, an error
		c.bad = true
		return 0
	default:
		return int(first)
	}
	n := 0
	for i, b := range c.take(width) {
		n |= int(b) << (8 * i)
	}
	return n
}

// lenencText returns a length-encoded string of MySQL.
func (c *cursor) lenencText() []byte { return c.take(c.lenenc()) }
