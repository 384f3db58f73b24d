package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/codec"
)

// modelClient is a client of the model: what it sends, and what came back.
type modelClient struct {
	guest  *guest
	wait   codec.Need
	rest   []byte // sent, but not used by the guest yet
	unsent []byte
	got    bytes.Buffer
	alone  *modelServer // a server of its own: what should come back
	log    []string
}

// model is two clients that share one server connection.
type model struct {
	t       *testing.T
	rng     *rand.Rand
	server  *modelServer
	host    *host
	clients []*modelClient
	last    *modelClient // whose the host was
	sets    bool         // they are busy with settings, rather than with all that there is
	err     error
}

type sinkFunc func(p []byte)

func (f sinkFunc) Write(p []byte) { f(p) }

// gateOf is a login that has ended, with the settings the client asked for.
type gateOf struct {
	codec.Gate
	params []codec.Param
}

func (g gateOf) Settings() []codec.Param { return g.params }
func (g gateOf) Special() codec.Param    { return codec.Param{} }

// TestModel runs random scripts of two clients over one server connection, with random cuts, and holds
// that each of them hears what a server of its own would have told it, byte by byte. Only the reports
// of settings may come at other places: there, the last word counts.
func TestModel(t *testing.T) {
	seeds := 1500
	if testing.Short() || raceDetector {
		seeds = 200
	}
	for seed := range seeds {
		if !runModel(t, uint64(seed), 12) {
			return
		}
	}
}

func runModel(t *testing.T, seed uint64, units int) bool {
	t.Helper()
	m := newModel(t, seed)
	for _, c := range m.clients {
		for range units {
			m.unit(c)
		}
		c.send(message('S', ""), query("rollback"), query("drop table t"), query("select pg_advisory_unlock(1)"),
			query("deallocate all"), query("show TimeZone"))
	}
	for steps := 0; m.err == nil && m.step(); steps++ {
		if steps > 100000 {
			m.err = fmt.Errorf("no end in sight")
		}
	}
	ok := m.err == nil
	for i, c := range m.clients {
		got, gotSaid := withoutStatus(c.got.Bytes())
		want, wantSaid := withoutStatus(c.alone.out)
		if m.err == nil && bytes.Equal(got, want) && maps.Equal(gotSaid, wantSaid) && c.guest.Host() == nil {
			continue
		}
		ok = false
		t.Errorf("seed %d, client %d: %v, needs %v, pin %q, busy %q\nsent %s\n got %s\nwant %s\nsaid %v, want %v", seed, i, m.err,
			c.wait, c.guest.Pin(), c.guest.Busy(), strings.Join(c.log, " | "), show(got), show(want), gotSaid, wantSaid)
	}
	return ok
}

// withoutStatus returns the messages but for ParameterStatus, and what those said last.
func withoutStatus(b []byte) (rest []byte, said map[string]string) {
	said = map[string]string{}
	for len(b) >= headerSize {
		n := min(1+int(binary.BigEndian.Uint32(b[1:])), len(b))
		if b[0] == 'S' {
			name, value, _ := strings.Cut(string(b[headerSize:n-1]), "\x00")
			said[name] = value
		} else {
			rest = append(rest, b[:n]...)
		}
		b = b[n:]
	}
	return append(rest, b...), said
}

// show writes messages as their types, with the words in some of them.
func show(b []byte) string {
	var out strings.Builder
	for len(b) >= headerSize {
		n := min(1+int(binary.BigEndian.Uint32(b[1:])), len(b))
		out.WriteByte(b[0])
		switch b[0] {
		case 'C', 'Z', 'E':
			fmt.Fprintf(&out, "(%s)", bytes.ReplaceAll(b[headerSize:n], []byte{0}, []byte{' '}))
		case 'D':
			fmt.Fprintf(&out, "(%s)", b[min(headerSize+6, n):n])
		}
		b = b[n:]
	}
	return out.String()
}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 4)), server: newModelServer(nil), sets: seed%3 == 1}
	var report []codec.Param
	for _, name := range modelReported {
		report = append(report, codec.Param{Name: name, Value: modelDefaults[name]})
	}
	report = append(report, codec.Param{Name: "server_version", Value: "15.1"})
	m.host = newHost(&codec.OpenerConfig{PreparedMax: m.rng.IntN(3) + 1}, codec.Key{}, report)
	shelf := Protocol{}.NewShelf(codec.ShelfConfig{Loop: 1})
	cfg := &codec.GuestConfig{StatementMax: 1 << 10}
	for i := range 2 {
		params := []codec.Param{{Name: "timezone", Value: fmt.Sprintf("zone%d", i)}, {Name: "user", Value: "me"}}
		c := &modelClient{alone: newModelServer(startupSettings(params, 15, "UTF8"))}
		c.guest = shelf.NewGuest(gateOf{params: params}, cfg, nil).(*guest)
		m.clients = append(m.clients, c)
		m.introduce(c)
	}
	return m
}

// introduce logs a client in.
func (m *model) introduce(c *modelClient) {
	m.t.Helper()
	m.turn(c, func(t *codec.Turn) { c.guest.Introduce(m.host, t) })
	for m.err == nil && (!m.host.Free() || len(m.server.out) > 0) {
		if len(m.server.out) == 0 {
			m.t.Fatal("the host is not free after the introduction")
		}
		m.speak()
	}
	c.guest.Detach()
	if in, err := c.guest.Introduction(); in == nil || err != nil || m.err != nil {
		m.t.Fatal("the introduction has failed:", in, err, m.err)
	}
	c.got.Reset()
}

// turn runs a call of a machine.
func (m *model) turn(c *modelClient, call func(*codec.Turn)) {
	var t codec.Turn
	if c != nil {
		t.Client.Open(sinkFunc(func(p []byte) { c.got.Write(p) }))
	}
	t.Server.Open(sinkFunc(m.server.feed))
	call(&t)
	t.Flush()
}

// speak has the host read a piece of what the server has said.
func (m *model) speak() {
	n := 1 + m.rng.IntN(min(len(m.server.out), 60))
	if m.rng.IntN(3) == 0 {
		n = len(m.server.out)
	}
	p := bytes.Clone(m.server.out[:n])
	m.server.out = m.server.out[n:]
	var c *modelClient
	for _, x := range m.clients {
		if x.guest.Host() != nil {
			c = x
		}
	}
	m.turn(c, func(t *codec.Turn) {
		if err := m.host.Server(p, t); err != nil {
			m.err = err
		}
	})
}

// step does one thing that can be done; false if there is none.
func (m *model) step() bool {
	var can []func()
	if len(m.server.out) > 0 {
		can = append(can, m.speak)
	}
	for _, c := range m.clients {
		if m.mayGo(c) {
			can = append(can, func() { m.goOn(c) })
		}
	}
	if len(can) == 0 {
		return false
	}
	can[m.rng.IntN(len(can))]()
	for _, c := range m.clients {
		if c.guest.Host() != nil && m.host.Free() && c.wait != codec.NeedTurn && (len(c.rest) == 0 || m.rng.IntN(2) == 0) {
			c.guest.Detach()
			m.last = c
		}
	}
	return true
}

// mayGo tells whether a client's bytes can be given to its guest, or a host to the guest.
func (m *model) mayGo(c *modelClient) bool {
	switch c.wait {
	case codec.NeedHost, codec.NeedSame:
		return m.idle()
	case codec.NeedTurn:
		return c.guest.Ready()
	}
	return len(c.unsent) > 0
}

// idle tells that nobody has the host.
func (m *model) idle() bool {
	for _, c := range m.clients {
		if c.guest.Host() != nil {
			return false
		}
	}
	return true
}

// goOn gives a client what it waits for, or its guest the next bytes.
func (m *model) goOn(c *modelClient) {
	if c.wait == codec.NeedSame && m.last != c {
		c.guest.Forsaken()
		c.wait = codec.NeedBytes
	}
	if c.wait == codec.NeedHost || c.wait == codec.NeedSame {
		m.turn(c, func(t *codec.Turn) { c.wait = c.guest.Attach(m.host, t) })
		if c.wait == codec.NeedTurn {
			return
		}
	}
	if len(c.unsent) > 0 && c.wait == codec.NeedBytes {
		n := 1 + m.rng.IntN(min(len(c.unsent), 80))
		c.rest = append(c.rest, c.unsent[:n]...)
		c.unsent = c.unsent[n:]
	}
	p := bytes.Clone(c.rest)
	m.turn(c, func(t *codec.Turn) {
		n, need, err := c.guest.Client(p, t)
		c.rest, c.wait = c.rest[n:], need
		if err != nil {
			m.err = err
		}
	})
}

// send adds messages to what a client sends, and to what its own server has read.
func (c *modelClient) send(b ...[]byte) {
	for _, p := range b {
		c.unsent = append(c.unsent, p...)
		c.alone.feed(p)
		if p[0] == 'S' {
			c.log = append(c.log, "S")
		} else {
			c.log = append(c.log, fmt.Sprintf("%c %q", p[0], bytes.Trim(p[headerSize:], "\x00")))
		}
	}
}

func query(text string) []byte { return message('Q', text+"\x00") }

// one returns one of some texts.
func (m *model) one(list ...string) string { return list[m.rng.IntN(len(list))] }

// statement returns a statement that has rows, sets something or fails.
func (m *model) statement() string {
	if m.sets {
		return m.one("fail", "show work_mem", "show search_path", "show TimeZone", "show app.id", "set app.id = 3",
			"set TimeZone = "+m.one("A", "B"), "set work_mem = "+m.one("1MB", "2MB"), "set search_path = c",
			"reset work_mem", "reset search_path", "set session work_mem = 3MB; select 1")
	}
	return m.one("select 1", "select 22", "show TimeZone", "show app.id",
		"show search_path", "show application_name", "show work_mem", "rows 3", "fail", "broken",
		"set TimeZone = "+m.one("A", "B"), "set search_path = "+m.one("a", "b"), "set app.id = "+m.one("1", "2"),
		"set work_mem = 1MB", "set application_name = me", "reset search_path", "reset work_mem")
}

// block returns a statement, or one that begins or ends a transaction.
func (m *model) block(c *modelClient) string {
	switch m.rng.IntN(4) {
	case 0:
		return m.one("begin", "commit", "rollback")
	case 1:
		if c.alone.tx != 'I' {
			return m.one("commit", "rollback")
		}
	}
	return m.statement()
}

// unit has a client send something.
func (m *model) unit(c *modelClient) {
	kind := m.rng.IntN(12)
	if m.sets {
		kind = [...]int{1, 1, 1, 3, 7}[m.rng.IntN(5)]
	}
	switch kind {
	case 0:
		c.send(query(m.one("folded TimeZone", "folded search_path")))
	case 1, 2:
		c.send(query(m.block(c)))
	case 3:
		c.send(query(m.block(c) + "; " + m.statement() + ";" + m.one("", "commit")))
	case 4:
		c.send(query(m.one("create temp table t", "drop table t", "select pg_advisory_lock(1)",
			"select pg_advisory_unlock(1)", "select temp_or_lock", "select temp_or_lock", "")))
	case 5:
		name := m.one("a", "b")
		if c.alone.tx == 'E' {
			name = "q" // as in extended
		}
		c.send(query(m.one("prepare "+name+" as select 5", "execute "+name, "deallocate "+name, "deallocate all")))
	case 6:
		m.copyIn(c)
	default:
		for range 1 + m.rng.IntN(5) {
			m.extended(c)
		}
		c.send(message('S', ""))
	}
}

// extended has a client send some messages of the extended protocol.
func (m *model) extended(c *modelClient) {
	name, portal := m.one("", "a", "b", "c"), m.one("", "", "p")
	if c.alone.tx == 'E' {
		// In a failed transaction no statement can be prepared on a connection that lacks it: its name
		// is then neither taken nor described, as it would be on a connection of the client's own.
		name = ""
	}
	bind := message('B', portal+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00")
	execute := message('E', portal+"\x00\x00\x00\x00"+m.one("\x00", "\x00", "\x02"))
	describe := message('D', m.one("S"+name, "P"+portal)+"\x00")
	switch m.rng.IntN(10) {
	case 9:
		// Its value is that of the setting when it is parsed. A client that changes the setting after
		// that, and uses the statement again, may find it parsed anew; so this one is used at once.
		c.send(message('P', "\x00folded "+m.one("TimeZone", "search_path")+"\x00\x00\x00"),
			message('B', "\x00\x00\x00\x00\x00\x00\x00\x00"), message('E', "\x00\x00\x00\x00\x00"),
			message('P', "\x00select 7\x00\x00\x00"))
	case 0, 1:
		c.send(message('P', name+"\x00"+m.block(c)+"\x00\x00\x00"))
	case 2:
		c.send(message('P', name+"\x00"+m.statement()+"\x00\x00\x00"), bind, execute)
	case 3, 4:
		c.send(bind, describe, execute)
	case 5:
		c.send(describe)
	case 6:
		c.send(message('C', m.one("S"+name, "P"+portal)+"\x00"))
	case 7:
		c.send(message('H', ""))
	case 8:
		c.send(message('S', ""))
	}
	if c.alone.copy != 0 { // the statement was that of a copyIn before
		c.send(message('c', ""))
	}
}

// copyIn has a client send data, which may be bad.
func (m *model) copyIn(c *modelClient) {
	end := message('c', "")
	if m.rng.IntN(4) == 0 {
		end = message('f', "no\x00")
	}
	data := func() {
		for range m.rng.IntN(4) {
			c.send(message('d', m.one("good", "good", "good", "bad")))
		}
	}
	if m.rng.IntN(2) == 0 {
		c.send(query(m.one("copy", "copy; select 1")))
		data()
		c.send(end)
		return
	}
	c.send(message('P', "\x00copy\x00\x00\x00"), message('B', "\x00\x00\x00\x00\x00\x00\x00\x00"),
		message('E', "\x00\x00\x00\x00\x00"))
	if m.rng.IntN(3) == 0 {
		c.send(message('S', ""))
	}
	data()
	c.send(end, message('S', ""))
}
