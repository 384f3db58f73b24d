package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/codec"
)

// mortal is a client whose servers die, at any moment: with what they were sent read or not, and what they
// said heard or not. What they have committed stays.
type mortal struct {
	rng    *rand.Rand
	shelf  codec.Shelf
	guest  *guest
	host   *host
	server *modelServer
	inbox  []byte // sent to the server, and not read by it

	wait   codec.Need
	waits  bool // the guest waited when its host was lost: it has something to go on with
	rest   []byte
	unsent []byte
	got    bytes.Buffer
	stored map[string]int // how often each mark was committed
	sent   [][]string     // the client's batches: their statements
	deaths int
	ended  bool // the session could not go on
	err    error
}

// TestModelDeaths runs random work of a client while its servers die, and holds that the client is told the
// truth: each batch is answered once, with one error at most; what it was told is done is done once, what
// it was told is rolled back is not, and nothing is done twice.
func TestModelDeaths(t *testing.T) {
	seeds := 3000
	if testing.Short() || raceDetector {
		seeds = 300
	}
	died, ended := 0, 0
	for seed := range seeds {
		m := newMortal(uint64(seed))
		m.live(60)
		if m.err == nil {
			m.err = m.judge()
		}
		if m.err != nil {
			t.Fatalf("seed %d: %v\nsent %q\ngot %s", seed, m.err, m.sent, show(m.got.Bytes()))
		}
		if died += m.deaths; m.ended {
			ended++
		}
	}
	if died < 2*seeds || ended > died/3 {
		t.Errorf("%d servers died, %d sessions ended with one", died, ended)
	}
	t.Logf("%d servers died, %d sessions ended with one", died, ended)
}

func newMortal(seed uint64) *mortal {
	m := &mortal{rng: rand.New(rand.NewPCG(seed, 9)), stored: map[string]int{}}
	m.shelf = Protocol{}.NewShelf(codec.ShelfConfig{Loop: 1})
	m.guest = m.shelf.NewGuest(askedGate{}, &codec.GuestConfig{StatementMax: 1 << 10, KeepOnLoss: true}, nil).(*guest)
	m.guest.Adopt(&introduction{report: m.newServer(), role: "none", user: "me"})
	return m
}

// newServer has a server come up, and returns what it reports.
func (m *mortal) newServer() *report {
	m.server, m.inbox = newModelServer(nil), nil
	m.server.keep = func(marks ...string) {
		for _, mark := range marks {
			m.stored[mark]++
		}
	}
	var list []codec.Param
	for _, name := range modelReported {
		list = append(list, codec.Param{Name: name, Value: modelDefaults[name]})
	}
	list = append(list, codec.Param{Name: "server_version", Value: "15.1"})
	m.host = newHost(&codec.OpenerConfig{PreparedMax: m.rng.IntN(3) + 1}, codec.Key{}, list)
	return &report{params: list}
}

// live has the client work for so many batches.
func (m *mortal) live(batches int) {
	for steps := 0; m.err == nil && !m.ended; steps++ {
		if steps > 100000 {
			m.err = fmt.Errorf("no end in sight: needs %v, busy %q", m.wait, m.guest.Busy())
		}
		owed := len(m.sent) - bytes.Count(m.got.Bytes(), []byte("Z\x00\x00\x00\x05"))
		if len(m.sent) < batches && len(m.unsent) == 0 && owed <= m.rng.IntN(3) {
			m.batch(len(m.sent) == batches-1)
		}
		if !m.step() {
			return
		}
	}
}

// step does one thing that can be done; false if there is none.
func (m *mortal) step() bool {
	var can []func()
	if len(m.inbox) > 0 {
		can = append(can, func() {
			n := m.some(len(m.inbox))
			m.server.feed(m.inbox[:n])
			m.inbox = m.inbox[n:]
		})
	}
	if len(m.server.out) > 0 {
		can = append(can, func() { m.speak(m.some(len(m.server.out))) })
	}
	if m.mayGo() {
		can = append(can, m.goOn)
	}
	if len(can) == 0 {
		return false
	}
	if m.rng.IntN(60) == 0 {
		m.die()
		return true
	}
	can[m.rng.IntN(len(can))]()
	if h := m.host; m.guest.Host() != nil && h.Free() && m.wait != codec.NeedTurn && len(m.rest) == 0 {
		m.guest.Detach()
	}
	return true
}

// some is how much of n bytes goes at once.
func (m *mortal) some(n int) int {
	if m.rng.IntN(2) == 0 {
		return n
	}
	return 1 + m.rng.IntN(n)
}

func (m *mortal) turn(call func(*codec.Turn)) {
	var t codec.Turn
	t.Client.Open(sinkFunc(func(p []byte) { m.got.Write(p) }))
	t.Server.Open(sinkFunc(func(p []byte) { m.inbox = append(m.inbox, p...) }))
	call(&t)
	t.Flush()
}

// speak has the host read what the server has said.
func (m *mortal) speak(n int) {
	p := bytes.Clone(m.server.out[:n])
	m.server.out = m.server.out[n:]
	m.turn(func(t *codec.Turn) {
		if err := m.host.Server(p, t); err != nil {
			m.err = err
		}
	})
	if ending, _ := m.host.Ending(); ending {
		m.lose()
	}
}

// die has the server die: in silence, or with a word.
func (m *mortal) die() {
	m.deaths++
	switch m.rng.IntN(4) {
	case 0:
		m.server.feed(m.inbox)
		m.server.out = m.server.out[:m.rng.IntN(len(m.server.out)+1)]
	case 1:
		m.server.say('N', "SWARNING\x00VWARNING\x00C57P02\x00Mcrash\x00\x00")
	case 2:
		m.server.say('E', "SFATAL\x00VFATAL\x00C57P01\x00Mshutting down\x00\x00")
	case 3:
		m.server.out = nil
	}
	m.inbox = nil
	server := m.server
	for len(server.out) > 0 && m.server == server && m.err == nil {
		m.speak(m.some(len(server.out)))
	}
	if m.server == server {
		m.lose()
	}
}

// lose does what a session does when its server connection is lost.
func (m *mortal) lose() {
	var again []byte
	switch h := m.host; {
	case m.guest.Host() == nil:
	case !h.Started():
		m.guest.Detach()
	default:
		ok := false
		m.turn(func(t *codec.Turn) {
			t.Server.Open(nil)
			again, ok = m.guest.Bereave(t)
		})
		m.ended = !ok
	}
	if m.guest.Host() != nil && !m.ended || m.guest.Owed() > 0 && !m.ended {
		m.err = fmt.Errorf("the guest is not parted from its host")
	}
	m.rest = append(again, m.rest...)
	m.waits = m.waits || m.wait != codec.NeedBytes
	m.wait = codec.NeedBytes
	m.newServer()
}

// mayGo tells whether the guest can be given bytes, or a host.
func (m *mortal) mayGo() bool {
	if m.wait == codec.NeedTurn {
		return m.guest.Ready()
	}
	return m.waits || m.wait != codec.NeedBytes || len(m.unsent)+len(m.rest) > 0
}

// goOn gives the guest what it waits for.
func (m *mortal) goOn() {
	if m.wait == codec.NeedHost || m.wait == codec.NeedSame {
		m.turn(func(t *codec.Turn) { m.wait = m.guest.Attach(m.host, t) })
		if m.wait == codec.NeedTurn {
			return
		}
	}
	if m.wait == codec.NeedBytes {
		n := min(m.some(len(m.unsent)+1), len(m.unsent))
		m.rest = append(m.rest, m.unsent[:n]...)
		m.unsent = m.unsent[n:]
	}
	m.waits = false
	p := bytes.Clone(m.rest)
	m.turn(func(t *codec.Turn) {
		n, need, err := m.guest.Client(p, t)
		m.rest, m.wait = m.rest[n:], need
		if err != nil {
			m.err = err
		}
	})
}

// batch has the client send some statements.
func (m *mortal) batch(last bool) {
	var texts []string
	for range 1 + m.rng.IntN(3) {
		texts = append(texts, m.statement())
	}
	if last {
		texts = []string{"rollback", "show work_mem"}
	}
	m.sent = append(m.sent, texts)
	switch {
	case last || m.rng.IntN(2) == 0:
		for i, text := range texts {
			m.extended(text, i)
		}
		m.unsent = append(m.unsent, message('S', "")...)
	default:
		m.unsent = append(m.unsent, query(strings.Join(texts, "; "))...)
	}
}

func (m *mortal) extended(text string, i int) {
	name := ""
	if m.rng.IntN(3) == 0 {
		name = fmt.Sprint("s", len(m.sent), "_", i)
	}
	m.unsent = append(m.unsent, message('P', name+"\x00"+text+"\x00\x00\x00")...)
	if m.rng.IntN(3) == 0 {
		m.unsent = append(m.unsent, message('H', "")...)
	}
	m.unsent = append(m.unsent, message('B', "\x00"+name+"\x00\x00\x00\x00\x00\x00\x00")...)
	m.unsent = append(m.unsent, message('E', "\x00\x00\x00\x00\x00")...)
}

func (m *mortal) statement() string {
	switch m.rng.IntN(12) {
	case 0, 1, 2:
		return "begin"
	case 3, 4:
		return "commit"
	case 5:
		return "rollback"
	case 6:
		return "fail"
	case 7:
		return "select 1"
	case 8:
		return fmt.Sprintf("set work_mem = %d", m.rng.IntN(1000))
	}
	return fmt.Sprintf("write %d.%d", len(m.sent), m.rng.IntN(1<<30))
}

// belief is what a client believes of its work, by what it was told.
type belief struct {
	tx     byte
	block  []string            // done in the open block
	fate   map[string]string   // of each mark: "done", "undone", "unknown"
	values map[string]struct{} // that work_mem may have
	saved  map[string]struct{} // and had before the block
}

// judge reads what the client was told, and compares it with what is.
func (m *mortal) judge() error {
	b := &belief{tx: 'I', fate: map[string]string{}, values: map[string]struct{}{modelDefaults["work_mem"]: {}}}
	stream := m.got.Bytes()
	for i, texts := range m.sent {
		var err error
		if stream, err = b.batch(texts, stream); err != nil {
			if m.ended && (len(stream) == 0 || err == errFatal) {
				return m.compare(b)
			}
			return fmt.Errorf("batch %d: %w", i, err)
		}
	}
	if len(stream) > 0 && !m.ended {
		return fmt.Errorf("more than was asked for: %s", show(stream))
	}
	return m.compare(b)
}

// compare holds the belief against what was committed.
func (m *mortal) compare(b *belief) error {
	for mark, n := range m.stored {
		if fate := b.fate[mark]; n > 1 || n > 0 && fate == "undone" {
			return fmt.Errorf("%q is there %d times, and the client takes it for %q", mark, n, fate)
		}
	}
	for mark, fate := range b.fate {
		if fate == "done" && m.stored[mark] == 0 {
			return fmt.Errorf("%q is taken for done, and is not there", mark)
		}
	}
	return nil
}

var errFatal = errors.New("a fatal error")

// batch reads the answer to one batch.
func (b *belief) batch(texts []string, stream []byte) (rest []byte, err error) {
	var alone []string // done outside a block
	code := ""
	for len(stream) >= headerSize {
		n := 1 + int(binary.BigEndian.Uint32(stream[1:]))
		if n > len(stream) {
			break
		}
		typ, body := stream[0], stream[headerSize:n]
		stream = stream[n:]
		switch {
		case typ == 'Z':
			return stream, b.ends(body[0], code, alone, texts)
		case typ == 'S' || typ == 'N':
		case code != "":
			return stream, fmt.Errorf("%q behind an error", typ)
		case typ == 'E':
			if code = parseError(body).state; parseError(body).severity != "ERROR" {
				return stream, errFatal
			}
		case typ == 'D' && texts[0] == "show work_mem":
			if _, ok := b.values[string(body[6:])]; !ok {
				return stream, fmt.Errorf("work_mem is %q, not one of %v", body[6:], b.values)
			}
		case typ == 'C':
			if len(texts) == 0 {
				return stream, fmt.Errorf("too many answers")
			}
			alone = b.done(texts[0], string(body[:len(body)-1]), alone)
			texts = texts[1:]
		}
	}
	return nil, fmt.Errorf("no end")
}

// done takes the answer to a statement.
func (b *belief) done(text, tag string, alone []string) []string {
	verb, arg, _ := strings.Cut(text, " ")
	switch verb {
	case "begin":
		if b.tx == 'I' {
			b.tx, b.block, alone = 'T', append(b.block, alone...), nil
			if b.saved == nil {
				b.saved = b.values
			}
		}
	case "commit", "rollback":
		fate := "done"
		if tag == "ROLLBACK" {
			fate = "undone"
			if b.saved != nil {
				b.values = b.saved
			}
		}
		b.settle(fate, b.block, alone)
		b.tx, b.block, b.saved, alone = 'I', nil, nil, nil
	case "write":
		if b.tx == 'I' {
			return append(alone, arg)
		}
		b.block = append(b.block, arg)
	case "set":
		if b.saved == nil {
			b.saved = b.values
		}
		b.values = map[string]struct{}{arg[strings.LastIndexByte(arg, ' ')+1:]: {}}
	}
	return alone
}

// ends takes the end of a batch: texts are the statements that were not answered.
func (b *belief) ends(status byte, code string, alone, texts []string) error {
	var open []string
	for _, text := range texts {
		if mark, ok := strings.CutPrefix(text, "write "); ok {
			open = append(open, mark)
		}
		if value, ok := strings.CutPrefix(text, "set work_mem = "); ok && code == "40003" {
			b.values = with(b.values, value)
		}
	}
	switch code {
	case "":
		if len(texts) > 0 {
			return fmt.Errorf("%q were not answered", texts)
		}
		b.settle("done", alone)
	case "40003":
		b.settle("unknown", b.block, alone, open)
		for value := range b.saved {
			b.values = with(b.values, value)
		}
		b.block = nil
	default:
		b.settle("undone", b.block, alone, open)
		if b.block = nil; b.saved != nil {
			b.values = b.saved
		}
	}
	if status == 'I' {
		b.saved = nil
	}
	if len(b.block) > 0 && status != 'T' || status == 'T' && code != "" {
		return fmt.Errorf("status %q behind %q with %q in the block", status, code, b.block)
	}
	b.tx = status
	return nil
}

func with(set map[string]struct{}, value string) map[string]struct{} {
	all := map[string]struct{}{value: {}}
	for v := range set {
		all[v] = struct{}{}
	}
	return all
}

func (b *belief) settle(fate string, lists ...[]string) {
	for _, list := range lists {
		for _, mark := range list {
			b.fate[mark] = fate
		}
	}
}
