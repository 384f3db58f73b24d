package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sluice/codec"
)

// maxProbe bounds what a health check gathers of a server's first message, in bytes. The fields
// that count stand at the front of an ErrorResponse.
const maxProbe = 4096

// errProbe is the verdict on a peer that answers, but not as a PostgreSQL server does.
var errProbe = errors.New("postgres: the answer to the health check is not PostgreSQL's")

// probe asks a server to begin a login and looks at its first message. It never logs in: a server
// that asks for a password or refuses the user is up.
type probe struct {
	user string
	in   []byte
}

var _ codec.Probe = (*probe)(nil)

func newProbe(user string) *probe {
	if user == "" {
		user = "sluice"
	}
	return &probe{user: user}
}

// Start returns a StartupMessage.
func (p *probe) Start() []byte {
	return appendStartup(nil,
		"user", p.user, "database", p.user, "application_name", "sluice health check")
}

// Server judges the server by its first message.
func (p *probe) Server(b []byte) (send []byte, done bool, err error) {
	p.in = append(p.in, b[:min(len(b), maxProbe-len(p.in))]...)
	if len(p.in) < headerSize {
		return nil, false, nil
	}
	size := binary.BigEndian.Uint32(p.in[1:])
	switch p.in[0] {
	case msgAuth:
		return p.authentication(size)
	case msgError:
		return p.refusal(size)
	}
	return nil, true, errProbe
}

// authentication accepts any Authentication message. If the server let us in at once, it is told
// that we leave, which spares it a line in its log.
func (p *probe) authentication(size uint32) (send []byte, done bool, err error) {
	if size < 8 || size > maxAuthMessage {
		return nil, true, errProbe
	}
	if len(p.in) < headerSize+4 {
		return nil, false, nil
	}
	if binary.BigEndian.Uint32(p.in[headerSize:]) == authOk {
		return []byte{msgTerminate, 0, 0, 0, 4}, true, nil
	}
	return nil, true, nil
}

// tooMany is the SQLSTATE of a server all of whose connections are in use.
const tooMany = "53300"

// refusal tells a server that can't take anybody from one that does not want this user. A full
// server is up: taking it out would only add the time until it is let in again to the time until a
// connection is free.
func (p *probe) refusal(size uint32) (send []byte, done bool, err error) {
	if size < 5 || size > maxAuthMessage {
		return nil, true, errProbe
	}
	body := p.in[headerSize:]
	if uint32(len(body)) < size-4 && len(p.in) < maxProbe {
		return nil, false, nil
	}
	body = body[:min(len(body), int(size-4))]
	if e := parseError(body); e.state != tooMany && cantTakeUs(e.state) {
		return nil, true, fmt.Errorf("postgres: %w", e)
	}
	return nil, true, nil
}
