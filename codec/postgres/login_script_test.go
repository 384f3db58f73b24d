package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// A login's conversation has the words of a script, and these:
//
//	GSS, SSL, CANCEL(secret)      the client's packets without a type byte
//	START(name,value,…), START32  StartupMessages of protocol 3.0 and 3.2
//	R(0), R(10,names…), R(11)…    the server's Authentication messages by their codes
//	p(mechanism,data), p(text)    the client's answers to them
//	E(state), N, v                the server's ErrorResponse and others
//	raw(text)                     bytes as they are, with \xNN
//	connected, client-tls(cert), server-tls(cert), refuse(condition), refused
//	                              what the caller tells the login
//	op=…                          what the login must ask for now ("More" if nothing)
//	client=…, server=…            what that side must have been sent since the last look
type loginScript struct {
	name   string
	client codec.TLSMode // towards clients
	server codec.TLSMode // towards servers
	script string
	whole  bool // pieces are given as they are: what is cut off would go to TLS
}

// meeting holds one login script.
type meeting struct {
	t     testing.TB
	cut   cutting
	login codec.Login
	op    codec.Op
	sent  [2][]byte
	held  [2][]byte // given while an op was carried out
	size  int       // bytes of the conversation
}

func (s loginScript) hold(t testing.TB, cut cutting) *meeting {
	m := &meeting{t: t, cut: cut}
	m.login = Protocol{}.NewLogin(&codec.LoginConfig{ClientTLS: s.client, ServerTLS: s.server})
	m.done(m.login.Start())
	side := codec.Client
	for i, word := range scriptWords(s.script) {
		name, arg := cutWord(word)
		switch {
		case word == ">":
			side = codec.Client
		case word == "<":
			side = codec.Server
		case isCheck(name):
			what, want, _ := strings.Cut(word, "=")
			if got := m.look(what); got != want {
				t.Fatalf("%s, word %d: %s is %s, want %s", cut.name, i, what, got, want)
			}
		case m.act(name, arg):
		default:
			b := packet(t, side, name, arg)
			m.size += len(b)
			for piece := range cut.pieces(b) {
				m.give(side, piece)
			}
		}
	}
	return m
}

// cutWord cuts name(arg).
func cutWord(word string) (name, arg string) {
	name, arg, _ = strings.Cut(strings.TrimSuffix(word, ")"), "(")
	return name, arg
}

// isCheck tells words that ask for something from words that do something.
func isCheck(name string) bool { return strings.Contains(name, "=") }

// give hands bytes over as a session does: not while an op is carried out.
func (m *meeting) give(side codec.Side, p []byte) {
	switch {
	case m.op == codec.OpClose || m.op == codec.OpCancel:
	case m.op != codec.OpMore:
		m.held[side] = append(m.held[side], p...)
	case side == codec.Client:
		m.done(m.login.Client(p))
	default:
		m.done(m.login.Server(p))
	}
}

// done takes what a call of the login gave.
func (m *meeting) done(op codec.Op) {
	m.op = op
	for s := range m.sent {
		m.sent[s] = append(m.sent[s], m.login.Take(codec.Side(s))...)
	}
	for s, p := range m.held {
		if len(p) > 0 && m.op == codec.OpMore {
			m.held[s] = nil
			m.give(codec.Side(s), p)
		}
	}
}

// act tells the login something; it reports false if name is no such thing.
func (m *meeting) act(name, arg string) bool {
	switch name {
	case "connected":
		m.done(m.login.Connected())
	case "client-tls":
		m.done(m.login.ClientSecured([]byte(arg)))
	case "server-tls":
		m.done(m.login.ServerSecured([]byte(arg)))
	case "refused":
		m.done(m.login.Refused())
	case "refuse":
		m.done(m.login.Refuse(codec.Error{Cond: conditionsByState[arg], Text: "no"}))
	default:
		return false
	}
	return true
}

var conditionsByState = map[string]codec.Condition{
	"53300": codec.TooManyConns, "57P01": codec.Shutdown, "08006": codec.LoginTimeout, "28000": codec.HostDenied,
}

// look says how the login stands, in the words of a script.
func (m *meeting) look(what string) string {
	switch what {
	case "op":
		return m.op.String()
	case "client", "server":
		side := codec.Client
		if what == "server" {
			side = codec.Server
		}
		sent := m.sent[side]
		m.sent[side] = nil
		return describe(sent, side)
	case "rest":
		return fmt.Sprintf("%q,%q", m.login.Rest(codec.Client), m.login.Rest(codec.Server))
	case "user":
		return m.login.User() + "@" + m.login.Database()
	case "refusal":
		return strings.ReplaceAll(fmt.Sprint(m.login.Refusal()), " ", "_")
	}
	return "unknown"
}

// packet returns the bytes of a word.
func packet(t testing.TB, side codec.Side, name, arg string) []byte {
	t.Helper()
	list := strings.Split(arg, ",")
	switch {
	case name == "GSS":
		return []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}
	case name == "SSL":
		return []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	case name == "CANCEL":
		return Protocol{}.AppendCancel(nil, codec.Key{ID: 7, Secret: arg})
	case name == "START":
		return appendStartup(nil, list...)
	case name == "START32":
		b := appendStartup(nil, list...)
		b[7] = 2
		return b
	case name == "raw":
		return []byte(unquote(t, arg))
	case name == "R":
		var code uint32
		fmt.Sscan(list[0], &code)
		body := string(binary.BigEndian.AppendUint32(nil, code))
		for _, mechanism := range list[1:] {
			body += mechanism + "\x00"
		}
		if len(list) > 1 {
			body += "\x00"
		}
		return message('R', body)
	case name == "p" && len(list) > 1:
		data := strings.Join(list[1:], ",")
		return message('p', list[0]+"\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len(data))))+data)
	case name == "p":
		return message('p', arg+"\x00")
	case name == "E":
		return message('E', "SFATAL\x00VFATAL\x00C"+arg+"\x00Mno\x00\x00")
	case name == "v":
		return message('v', "\x00\x03\x00\x00\x00\x00\x00\x00")
	}
	return messages(t, side, name+map[bool]string{true: "(" + arg + ")"}[arg != ""])
}

func unquote(t testing.TB, s string) string {
	t.Helper()
	var b strings.Builder
	for len(s) > 0 {
		if rest, ok := strings.CutPrefix(s, `\x`); ok {
			var n byte
			if _, err := fmt.Sscanf(rest[:2], "%02x", &n); err != nil {
				t.Fatal(err)
			}
			b.WriteByte(n)
			s = rest[2:]
			continue
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}

// describe names what was sent to a side, in the words of a script where there are some.
func describe(b []byte, to codec.Side) string {
	var out []string
	for len(b) > 0 {
		if to == codec.Server && b[0] == 0 {
			n := binary.BigEndian.Uint32(b)
			out = append(out, describeStartup(b[:n]))
			b = b[n:]
			continue
		}
		if len(b) < headerSize || b[1] != 0 {
			out = append(out, string(b[:1])) // the answer to SSL and GSS
			b = b[1:]
			continue
		}
		n := binary.BigEndian.Uint32(b[1:])
		body := b[headerSize : 1+n]
		switch b[0] {
		case 'E':
			out = append(out, "E("+parseError(body).state+")")
		case 'R':
			list := strings.Split(strings.TrimRight(string(body[4:]), "\x00"), "\x00")
			out = append(out, strings.TrimSuffix(fmt.Sprintf("R(%d,%s", body[3], strings.Join(list, ",")), ",")+")")
		default:
			out = append(out, string(b[:1]))
		}
		b = b[1+n:]
	}
	return strings.Join(out, ",")
}

func describeStartup(b []byte) string {
	switch binary.BigEndian.Uint32(b[4:]) {
	case codeTLS:
		return "SSL"
	case 3<<16 | 2:
		return "START32"
	case 3 << 16:
		return "START"
	}
	return "?"
}
