package synth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// An asker is the client's side of a protocol for one connection.
type asker interface {
	// login takes the first message of in and returns its length, 0 if it is not all there. Before the
	// first one it is called without any if the client speaks first. It appends to out what is to be
	// said; done says that questions may be asked.
	login(in, out []byte) (used int, send []byte, done bool, err error)
	// ask appends a question.
	ask(out []byte, number uint64, size int) []byte
	// answer takes the next piece of in, which is not empty, and returns its length, 0 if more must be
	// there to make sense of it; done says that it was the end of an answer.
	answer(in []byte, c *check) (used int, done bool, err error)
}

// pgClient is the client's side of PostgreSQL's protocol.
type pgClient struct {
	user, database string
	started        bool
	prepared       bool // ask by a prepared statement
	preparing      bool // and that is under way
	size           int  // of the filler to ask for
}

var (
	errPassword = errors.New("login: the server asks for a password")
	errUnasked  = errors.New("a message that nothing asked for")
)

func (p *pgClient) login(in, out []byte) (used int, send []byte, done bool, err error) {
	if !p.started {
		p.started = true
		return 0, p.startup(out), false, nil
	}
	kind, body, used, err := pgMessage(in)
	if used == 0 || err != nil {
		return 0, out, false, err
	}
	switch kind {
	case 'R':
		if len(body) < 4 || binary.BigEndian.Uint32(body) != 0 {
			return used, out, false, errPassword
		}
	case 'S', 'K', 'N', 'v', '1':
	case 'E':
		return used, out, false, pgError("login", body)
	case 'Z':
		if !p.prepared || p.preparing {
			return used, out, true, nil
		}
		p.preparing = true
		return used, p.prepare(out), false, nil
	default:
		return used, out, false, fmt.Errorf("login: %w: %q", errUnasked, kind)
	}
	return used, out, false, nil
}

// pgMessage cuts the first message off in; used is 0 if it is not all there.
func pgMessage(in []byte) (kind byte, body []byte, used int, err error) {
	if len(in) < pgHeaderLen {
		return 0, nil, 0, nil
	}
	size := 1 + uint64(binary.BigEndian.Uint32(in[1:]))
	switch {
	case size < pgHeaderLen:
		return 0, nil, 0, errMalformed
	case size > messageMax:
		return 0, nil, 0, errTooLong
	case uint64(len(in)) < size:
		return 0, nil, 0, nil
	}
	return in[0], in[pgHeaderLen:size], int(size), nil
}

func (p *pgClient) startup(out []byte) []byte {
	at := len(out)
	out = binary.BigEndian.AppendUint32(append(out, 0, 0, 0, 0), pgVersion)
	for _, text := range []string{"user", p.user, "database", p.database} {
		out = append(append(out, text...), 0)
	}
	out = append(out, 0)
	binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at))
	return out
}

// pgStatement is the name of the prepared statement.
const pgStatement = "q\x00"

func (p *pgClient) prepare(out []byte) []byte {
	text := "SELECT $1\x00"
	if p.size > 0 {
		text = "SELECT $1, $2\x00"
	}
	out = pgBegin(out, 'P', len(pgStatement)+len(text)+2)
	out = append(append(out, pgStatement...), text...)
	return append(out, 0, 0, 'S', 0, 0, 0, 4)
}

// pgBegin begins a message with a body of n bytes.
func pgBegin(out []byte, kind byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(out, kind), uint32(4+n))
}

func (p *pgClient) ask(out []byte, number uint64, size int) []byte {
	at := len(out)
	if !p.prepared {
		out = append(out, 'Q', 0, 0, 0, 0)
		out = append(appendQuestion(out, number, size), 0)
		binary.BigEndian.PutUint32(out[at+1:], uint32(len(out)-at-1))
		return out
	}
	out = append(append(out, 'B', 0, 0, 0, 0, 0), pgStatement...) // to the unnamed portal
	out = append(out, 0, 0)                                       // all parameters as text
	if size > 0 {
		out = pgValue(pgValue(append(out, 0, 2), number), uint64(size))
	} else {
		out = pgValue(append(out, 0, 1), number)
	}
	out = append(out, 0, 0) // the result as text
	binary.BigEndian.PutUint32(out[at+1:], uint32(len(out)-at-1))
	out = append(out, 'E', 0, 0, 0, 9, 0, 0, 0, 0, 0)
	return append(out, 'S', 0, 0, 0, 4)
}

// pgValue appends a parameter.
func pgValue(out []byte, v uint64) []byte {
	at := len(out)
	out = strconv.AppendUint(append(out, 0, 0, 0, 0), v, 10)
	binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4))
	return out
}

func (p *pgClient) answer(in []byte, c *check) (used int, done bool, err error) {
	if c.left > 0 {
		used, err = c.fill(in)
		return used, false, err
	}
	if in[0] == 'D' && c.rows > 0 {
		used, err = pgFillerRow(in, c)
		return used, false, err
	}
	kind, body, used, err := pgMessage(in)
	if used == 0 || err != nil {
		return 0, false, err
	}
	switch kind {
	case 'D':
		const front = 2 + 4
		if len(body) < front || binary.BigEndian.Uint16(body) != 1 || int(binary.BigEndian.Uint32(body[2:])) != len(body)-front {
			return used, false, errMalformed
		}
		return used, false, c.first(body[front:])
	case 'T', 'C', '2', 'N', 'S':
		return used, false, nil
	case 'Z':
		return used, true, c.end()
	case 'E':
		return used, false, pgError(fmt.Sprintf("question %d", c.number), body)
	}
	return used, false, fmt.Errorf("%w: %q", errUnasked, kind)
}

// pgFillerRow takes what stands in front of the filler in a row.
func pgFillerRow(in []byte, c *check) (used int, err error) {
	const front = pgHeaderLen + 2 + 4
	if len(in) < front {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(in[7:])
	if binary.BigEndian.Uint32(in[1:]) != 4+2+4+n || binary.BigEndian.Uint16(in[5:]) != 1 {
		return 0, errMalformed
	}
	return front, c.row(int(n))
}

// pgError puts an ErrorResponse into words.
//
// https://www.postgresql.org/docs/current/protocol-error-fields.html
func pgError(when string, body []byte) error {
	var state, text []byte
	c := cursor{b: body}
	for kind := c.byte(); kind != 0; kind = c.byte() {
		switch field := c.text(); kind {
		case 'C':
			state = field
		case 'M':
			text = field
		}
	}
	return fmt.Errorf("%s: the server says %s: %s", when, state, text)
}
