package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// A play is a conversation between clients, Sluice and servers, as lines of words:
//
//	c: Q(select 1)          the client sends
//	s? Q(select 1)          the server has got that, and nothing else
//	s: T D C(SELECT 1)      the server sends
//	c? T D C(SELECT 1)      the client has got that, and nothing else
//	s~ set_config           what the server has got holds that
//	free, busy=owed, …      what the machines must say now
//	detach, host 2, …       what the session does
//
// Words are messages by their type bytes. P(name;text), B(portal;statement), D(S;name), C(S;name) and
// E(portal) and F(function's OID) are the client's; Z(I), C(tag), E(state;text), S(name;value), D(kind;name;value), which is a row of a look, the server's.
type play struct {
	t         testing.TB
	cut       int // bytes of each piece; 0: whole
	shelf     *shelf
	cfg       *codec.GuestConfig
	hosts     map[string]*host
	guests    map[string]*guest
	host      *host // the one in the script's mind
	guest     *guest
	left      []byte
	need      codec.Need
	ending    error
	client    bytes.Buffer
	server    bytes.Buffer
	turn      codec.Turn
	abandoned string
	bereaved  string
}

// buffer is a peer that keeps what it gets.
type buffer struct{ to *bytes.Buffer }

func (b buffer) Write(p []byte) { b.to.Write(p) }

// asked is a gate whose login is over.
type askedGate struct {
	codec.Gate
	params  []codec.Param
	special codec.Param
}

func (g askedGate) Settings() []codec.Param { return g.params }
func (g askedGate) Special() codec.Param    { return g.special }

var reportedParams = []codec.Param{
	{Name: "client_encoding", Value: "UTF8"}, {Name: "server_encoding", Value: "UTF8"},
	{Name: "server_version", Value: "16.1"}, {Name: "TimeZone", Value: "UTC"}, {Name: "application_name"},
}

// newPlay sets the stage: clients and servers are made when a line first names them.
func newPlay(t testing.TB, cut int) *play {
	return &play{t: t, cut: cut, shelf: Protocol{}.NewShelf(codec.ShelfConfig{}).(*shelf),
		cfg:   &codec.GuestConfig{StatementMax: 1 << 16, Aside: true},
		hosts: map[string]*host{}, guests: map[string]*guest{}}
}

// plays runs a script as a whole and cut into pieces of several sizes.
func plays(t *testing.T, script string) {
	t.Helper()
	for _, cut := range []int{0, 1, 2, 3, 5, 7, 11} {
		p := newPlay(t, cut)
		p.run(script)
		if t.Failed() {
			return
		}
	}
}

func (p *play) run(script string) {
	p.t.Helper()
	p.onHost("1")
	p.onClient("1")
	for _, line := range strings.Split(script, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			p.line(line)
		}
	}
}

func (p *play) fail(line, format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("pieces of %d: %s: %s", p.cut, line, fmt.Sprintf(format, args...))
}

// onHost turns to a server.
func (p *play) onHost(name string) {
	if p.hosts[name] == nil {
		p.hosts[name] = newHost(&codec.OpenerConfig{PreparedMax: 2}, codec.Key{}, reportedParams)
	}
	p.host = p.hosts[name]
}

// onClient turns to a client, which is introduced already.
func (p *play) onClient(name string) {
	g := p.guests[name]
	if g == nil {
		g = p.shelf.NewGuest(askedGate{}, p.cfg, nil).(*guest)
		g.Adopt(&introduction{report: &report{params: reportedParams}})
		p.guests[name] = g
	}
	p.guest = g
	if g.host != nil {
		p.host = g.host
	}
}

// login turns to a new client, that asks for settings, and prepares its session with the host in mind.
func (p *play) login(line, settings string) {
	p.t.Helper()
	var params []codec.Param
	for _, s := range strings.Split(settings, ";") {
		name, value, _ := strings.Cut(s, "=")
		params = append(params, codec.Param{Name: name, Value: value})
	}
	p.guest = p.shelf.NewGuest(askedGate{params: params}, p.cfg, nil).(*guest)
	p.guests[fmt.Sprint("login ", len(p.guests))] = p.guest
	p.left, p.need = nil, codec.NeedBytes
	p.open()
	p.guest.Introduce(p.host, &p.turn)
	p.turn.Flush()
}

func (p *play) line(line string) {
	p.t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "c:":
		p.send(line, wire(p.t, codec.Client, rest))
	case "s:":
		p.answer(line, wire(p.t, codec.Server, rest))
	case "c?":
		p.compare(line, &p.client, wire(p.t, codec.Server, rest))
	case "s?":
		p.compare(line, &p.server, wire(p.t, codec.Client, rest))
	case "s~":
		if !bytes.Contains(p.server.Bytes(), []byte(rest)) {
			p.fail(line, "got  %s", unwire(p.server.Bytes()))
		}
		p.server.Reset()
	case "host":
		p.onHost(rest)
	case "unit":
		p.cfg.SingleStatements = rest == "statement"
		p.cfg.Lasting = rest == "session"
		if rest == "short" {
			p.cfg.StatementMax = 5
		}
	case "client":
		p.left = nil
		p.onClient(rest)
	case "detach":
		if !p.host.Free() {
			p.fail(line, "the host is not free: %s, pin %q", p.guest.Busy(), p.guest.Pin())
		}
		p.guest.Detach()
	case "prepared-max":
		p.host.cfg = &codec.OpenerConfig{PreparedMax: int(rest[0] - '0')}
	case "login":
		p.login(line, rest)
	case "reset", "check":
		p.open()
		if verb == "reset" {
			p.host.Reset(rest, &p.turn)
		} else {
			p.host.Check(rest, &p.turn)
		}
		p.turn.Flush()
	case "forget":
		p.host.Forget()
	case "keep": // sessions go on when their host is lost
		p.cfg.KeepOnLoss = true
	case "part":
		p.host.cfg = &codec.OpenerConfig{PreparedMax: 2, Part: codec.PartPrimary}
	case "half": // of a row
		p.answer(line, message('D', "\x00\x01\x00\x00\x00\x01x")[:7])
	case "lost":
		p.lost(line, rest)
	case "abandon":
		p.open()
		cancel, ok := p.host.Abandon(&p.turn)
		p.turn.Flush()
		p.abandoned = fmt.Sprintf("%v %v", cancel, ok)
	default:
		p.check(line)
	}
}

// check compares what the machines say.
func (p *play) check(line string) {
	p.t.Helper()
	what, want, _ := strings.Cut(line, "=")
	got := ""
	switch what {
	case "free":
		got, want = fmt.Sprint(p.host.Free()), "true"
	case "taken":
		got, want = fmt.Sprint(p.host.Free()), "false"
	case "pin":
		got = p.guest.Pin()
	case "busy":
		got = p.guest.Busy()
	case "need":
		got = p.need.String()
	case "owed":
		got = fmt.Sprint(p.guest.Owed())
	case "prepared":
		got = fmt.Sprint(p.host.Prepared())
	case "ending":
		got = fmt.Sprint(firstBool(p.host.Ending()))
	case "failed":
		got = fmt.Sprint(p.host.Failed() != nil)
	case "started":
		got = fmt.Sprint(p.host.Started())
	case "altered":
		got = fmt.Sprint(p.host.SchemaChanged())
	case "abandoned":
		got = p.abandoned
	case "withheld":
		got = fmt.Sprint(p.host.Withheld())
	case "bereaved":
		got = p.bereaved
	case "intx":
		got = fmt.Sprint(p.guest.InTransaction())
	case "error":
		got = fmt.Sprint(p.ending)
	case "refused":
		_, err := p.guest.Introduction()
		got = fmt.Sprint(err)
	case "settings":
		for _, s := range p.guest.settings.all() {
			got += s.name + "=" + s.value + ";"
		}
	case "aside":
		got = strings.TrimSpace(fmt.Sprintf("%d %s", p.guest.Aside().Kind, p.guest.Aside().Name))
	default:
		p.fail(line, "no such line")
	}
	if got != want {
		p.fail(line, "got %q", got)
	}
}

func firstBool(b bool, _ []byte) bool { return b }

// lost has the host in mind lost, and goes on with the one of that name.
func (p *play) lost(line, next string) {
	p.t.Helper()
	p.open()
	p.turn.Server.Open(nil)
	if !p.host.Started() {
		p.guest.Detach()
		p.bereaved = "detached"
	} else {
		again, ok := p.guest.Bereave(&p.turn)
		p.bereaved = fmt.Sprint(ok)
		if len(again) > 0 {
			p.bereaved = "again"
		}
		p.left = append(again, p.left...)
	}
	p.turn.Flush()
	p.server.Reset()
	if p.bereaved == "false" {
		return
	}
	p.onHost(next)
	p.need = codec.NeedBytes
	if p.turn.Server.Open(nil); len(p.left) > 0 || p.guest.Host() == nil {
		p.feed(line)
	}
}

// open sets up the turn.
func (p *play) open() {
	p.turn.Client.Open(buffer{&p.client})
	p.turn.Server.Open(buffer{&p.server})
}

// pieces cuts b.
func (p *play) pieces(b []byte) [][]byte {
	if p.cut == 0 {
		return [][]byte{b}
	}
	var out [][]byte
	for len(b) > p.cut {
		out = append(out, b[:p.cut])
		b = b[p.cut:]
	}
	return append(out, b)
}

// send gives the guest bytes of its client, as a session does.
func (p *play) send(line string, b []byte) {
	p.t.Helper()
	for _, piece := range p.pieces(b) {
		p.left = append(p.left, piece...)
		if p.need != codec.NeedTurn {
			p.feed(line)
		}
	}
}

// feed gives the guest what is left, and what it needs.
func (p *play) feed(line string) {
	p.t.Helper()
	for {
		p.open()
		in := append([]byte(nil), p.left...) // its own, so that a use after the turn shows
		n, need, err := p.guest.Client(in, &p.turn)
		p.turn.Flush()
		clear(in)
		p.left, p.need, p.ending = p.left[n:], need, err
		if err != nil {
			return
		}
		switch need {
		case codec.NeedHost:
			if !p.host.Free() || p.host.guest != nil {
				p.fail(line, "the host is not free")
			}
			if p.need = p.guest.Attach(p.host, &p.turn); p.need == codec.NeedTurn {
				p.turn.Flush()
				return
			}
		case codec.NeedSame:
			p.guest.Forsaken()
		case codec.NeedAside:
			p.guest.Answered(nil, &p.turn)
			p.turn.Flush()
			p.need = codec.NeedBytes
		default:
			return
		}
	}
}

// answer gives the host bytes of its server.
func (p *play) answer(line string, b []byte) {
	p.t.Helper()
	for _, piece := range p.pieces(b) {
		p.open()
		in := append([]byte(nil), piece...)
		if err := p.host.Server(in, &p.turn); err != nil {
			p.fail(line, "%v", err)
		}
		p.turn.Flush()
		clear(in)
		if p.need == codec.NeedTurn && p.guest.Ready() {
			p.feed(line)
		}
	}
}

func (p *play) compare(line string, got *bytes.Buffer, want []byte) {
	p.t.Helper()
	if !bytes.Equal(got.Bytes(), want) {
		p.fail(line, "got  %s", unwire(got.Bytes()))
	}
	got.Reset()
}

// wire makes messages of words.
func wire(t testing.TB, side codec.Side, text string) (out []byte) {
	t.Helper()
	for _, word := range scriptWords(text) {
		for len(word) > 0 {
			typ, arg := word[0], ""
			if word = word[1:]; strings.HasPrefix(word, "(") {
				end := closing(word)
				arg, word = word[1:end], word[end+1:]
			}
			a := append(strings.Split(arg, ";"), "", "", "")
			out = append(out, message(typ, wireBody(side, typ, arg, a))...)
		}
	}
	return out
}

// closing returns the place of the parenthesis that closes the first one.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s) - 1
}

func wireBody(side codec.Side, typ byte, arg string, a []string) string {
	if side == codec.Client {
		switch typ {
		case 'Q':
			return arg + "\x00"
		case 'P':
			return a[0] + "\x00" + a[1] + "\x00\x00\x00"
		case 'B':
			return a[0] + "\x00" + a[1] + "\x00\x00\x00\x00\x00\x00\x00" + a[2]
		case 'D', 'C':
			return a[0] + a[1] + "\x00"
		case 'E':
			return arg + "\x00\x00\x00\x00\x00"
		case 'F':
			oid := 1234
			if arg != "" {
				_, _ = fmt.Sscan(arg, &oid)
			}
			return string(binary.BigEndian.AppendUint32(nil, uint32(oid))) + "\x00\x00\x00\x00\x00\x01"
		case 'f':
			return arg + "\x00"
		}
		return arg
	}
	switch typ {
	case 'C':
		return arg + "\x00"
	case 'T':
		return "\x00\x00"
	case 'D':
		if arg == "" {
			return "\x00\x00"
		}
		row := []byte{0, 3}
		for _, s := range []string{a[0], a[1], hex.EncodeToString([]byte(a[2]))} {
			row = append(binary.BigEndian.AppendUint32(row, uint32(len(s))), s...)
		}
		return string(row)
	case 't':
		return "\x00\x00"
	case 'G', 'H', 'W':
		return "\x00\x00\x00"
	case 'V':
		return "\xff\xff\xff\xff"
	case 'E', 'N':
		if a[2] == "" {
			a[2] = "ERROR"
		}
		if a[3] != "" {
			a[3] = "R" + a[3] + "\x00"
		}
		if len(a) > 8 { // a detail and a hint in place of a routine
			a[3] = "H" + a[5] + "\x00"
			if a[4] != "" {
				a[3] = "D" + a[4] + "\x00" + a[3]
			}
		}
		return "S" + a[2] + "\x00V" + a[2] + "\x00C" + a[0] + "\x00M" + a[1] + "\x00" + a[3] + "\x00"
	case 'S':
		return a[0] + "\x00" + a[1] + "\x00"
	case 'A':
		return "\x00\x00\x00\x07" + a[0] + "\x00" + a[1] + "\x00"
	}
	return arg
}

// unwire shows messages in a failure's text.
func unwire(b []byte) string {
	var out strings.Builder
	for len(b) >= headerSize {
		n := int(binary.BigEndian.Uint32(b[1:]))
		if n < 4 || 1+n > len(b) {
			break
		}
		fmt.Fprintf(&out, "%c(%q) ", b[0], b[headerSize:1+n])
		b = b[1+n:]
	}
	if len(b) > 0 {
		fmt.Fprintf(&out, "and %q", b)
	}
	return out.String()
}
