package mysql

import (
	"fmt"
	"slices"
)

// probeUser is the default name for health checks. It needs no account: to be refused is an answer.
const probeUser = "sluice"

// maxProbeRounds bounds what a server may ask in a health check.
const maxProbeRounds = 8

// probe is a health check: it takes the greeting and logs in without a password. To be refused is
// enough, and better than to hang up behind the greeting: servers count that as an error of the host's
// and block it after max_connect_errors of them in a row. (MariaDB 10.11 with a limit of 5, from an
// address that is not the server's own: the sixth connection that only took the greeting got ERR 1129;
// forty of these checks, all refused with 1045, were never blocked.)
//
// https://dev.mysql.com/doc/refman/8.0/en/host-cache.html
type probe struct {
	user   string
	in     []byte
	seq    uint8
	rounds int
	plugin string
	sent   bool // the response to the greeting

	greeting []byte // see Greeting
}

func newProbe(user string) *probe {
	if user == "" {
		user = probeUser
	}
	return &probe{user: user}
}

// Start returns nil: the server speaks first.
func (p *probe) Start() []byte { return nil }

// Server takes what the server sent.
func (p *probe) Server(b []byte) (send []byte, done bool, err error) {
	p.in = append(p.in, b...)
	for len(p.in) >= headerLen {
		n := int(packetLen(p.in))
		if n > maxGreeting {
			return send, true, fmt.Errorf("a packet of %d bytes is not part of a login", n)
		}
		if p.in[3] != p.seq {
			return send, true, fmt.Errorf("packet %d where %d was due", p.in[3], p.seq)
		}
		if len(p.in) < headerLen+n {
			break
		}
		p.seq++
		payload := p.in[headerLen : headerLen+n]
		p.in = p.in[headerLen+n:]
		var reply []byte
		if reply, done, err = p.packet(payload); reply != nil {
			send = append(send, reply...)
		}
		if done {
			return send, true, err
		}
	}
	return send, false, nil
}

// packet takes one packet of the server.
func (p *probe) packet(b []byte) (send []byte, done bool, err error) {
	if p.rounds++; p.rounds > maxProbeRounds || len(b) == 0 {
		return nil, true, fmt.Errorf("the login does not come to an end")
	}
	switch {
	case b[0] == 0xff:
		no, text := parseErr(b)
		if no.code == tooMany || p.sent && !slices.Contains(unfitCodes, no.code) {
			return nil, true, nil
		}
		return nil, true, fmt.Errorf("%d (%s) %s", no.code, no.state, text)
	case !p.sent:
		g, ok := parseGreeting(b)
		if !ok {
			return nil, true, fmt.Errorf("no greeting of protocol 4.1")
		}
		p.sent, p.plugin = true, g.plugin
		p.hear(g)
		return p.respond(g), false, nil
	case b[0] == 0x00:
		return []byte{1, 0, 0, 0, comQuit}, true, nil
	case b[0] == 0xfe:
		p.plugin, _ = lastString(b[1:])
	case len(b) == 2 && b[0] == 0x01 && b[1] == sha2Fast:
		return nil, false, nil
	}
	return p.reply(noPassword(p.plugin)), false, nil
}

// noPassword is what clients send for a plugin when they have no password.
func noPassword(plugin string) []byte {
	if plugin == nativePlugin {
		return nil
	}
	return []byte{0}
}

// reply frames a packet of the client.
func (p *probe) reply(payload []byte) []byte {
	b := append(appendHeader(nil, len(payload), p.seq), payload...)
	p.seq++
	return b
}

// respond builds the response to a greeting.
func (p *probe) respond(g greeting) []byte {
	const wanted = capLongPassword | capProtocol41 | capSecureConnection | capPluginAuth
	b := make([]byte, responseMin, responseMin+len(p.user)+40)
	putResponseCaps(b, g.caps&wanted, 0)
	b[7] = 1  // at most 16 MiB in a packet
	b[8] = 45 // utf8mb4
	b = append(append(b, p.user...), 0)
	auth := noPassword(p.plugin)
	b = append(append(b, byte(len(auth))), auth...)
	if g.caps&capPluginAuth != 0 {
		b = append(append(b, p.plugin...), 0)
	}
	return p.reply(b)
}

// tooMany is the error of a server all of whose connections are in use. It is up: taking it out would
// only add the time until it is let in again to the time until a connection is free.
const tooMany = 1040

// unfitCodes are the words of a server that can't take anybody at present: it shuts down, is offline, or
// does not want this host. Whatever else it says behind its greeting concerns the name or the way to
// log in, and a server that says so is well.
//
//   - https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
//   - https://mariadb.com/kb/en/mariadb-error-code-reference/
var unfitCodes = []uint16{1053, 1077, 1129, 1130, 1203, 1927, 3032}
