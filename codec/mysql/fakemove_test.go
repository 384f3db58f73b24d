package mysql

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unique"

	"sluice/codec"
)

// moveSteps are the places of a move at which a fake server can be told to do something else.
const (
	atGreeting = "greeting"
	atLogin    = "login"
	atCommit   = "commit"
	atShow     = "show"
	atMode     = "mode"
	atStates   = "states"
)

// script is what a pair of fake TiDBs does in a move. Entries of say replace a server's answer at a place by
// payloads; nil there: it says nothing.
type script struct {
	x       facts // of the session
	caps    uint32
	version string
	states  string // "" = usualJSON
	token   string
	status  uint16 // in the answer to SET SESSION_STATES
	opt     codec.MoveOptions
	cfg     codec.MoveConfig
	say     map[string][]string
	held    string // bytes held back for the move
	piece   int    // the length of the pieces in which bytes come; 0 = whole
	lost    string // the old server is lost when this place is reached
	giveUp  string // the move is given up when this place is reached
}

const usualJSON = `{"current-db": "shop", "prepared-stmts": {"1": {"text": "select 'it\\\"s'", "types": "/Q=="}}, "status": 2, ` +
	`"sys-vars": {"character_set_connection": "utf8mb4", "character_set_results": "utf8mb4", "character_set_server": "utf8mb4", ` +
	`"collation_connection": "utf8mb4_general_ci", "collation_server": "utf8mb4_bin", "sql_mode": "ANSI_QUOTES"}}`

const testToken = `{"username": "app", "signature": "` // goes on with more than 255 bytes

func tokenOf() string { return testToken + strings.Repeat("x", 300) + `"}` }

const tidbCaps = capLongPassword | capConnectWithDB | capCompress | capProtocol41 | capSSL | capSecureConnection |
	capPluginAuth | capDeprecateEOF | capZstd | capQueryAttributes | capConnectAttrs | capMultiStatements | capOptionalMetadata

// moveRun is one move between the two.
type moveRun struct {
	t   testing.TB
	s   *script
	m   *Mover
	v   *move
	op  codec.Op
	log []string // what the servers were sent

	seq    uint8 // of the next packet of the new server's login
	client []byte
	secure bool // TLS with the new server is up
	ok     bool // the new server has agreed to the login
	gone   bool // the old server is lost
	over   bool // given up
	late   bool // the old server answers when it is told to only
	owing  [][]byte
}

func newRun(t testing.TB, s *script) *moveRun {
	if s.opt.StateMax == 0 {
		s.opt.StateMax = 64 << 10
	}
	if s.x.caps == 0 {
		s.x = facts{key: 7, caps: capProtocol41 | capDeprecateEOF, status: statusAutocommit}
	}
	if s.caps == 0 {
		s.caps = tidbCaps
	}
	if s.version == "" {
		s.version = "8.0.11-TiDB-v8.5.6"
	}
	if s.states == "" {
		s.states = usualJSON
	}
	if s.token == "" {
		s.token = tokenOf()
	}
	a := account{user: "app", database: "first", attrs: unique.Make("\x02ab\x02cd"), maxPacket: 1 << 24, collation: 45, zstdLevel: 3}
	r := &moveRun{t: t, s: s, m: newMover(s.x, nil, &s.opt, a, kindTiDB)}
	r.m.marks = 1
	return r
}

// rows is a result set of one row, in the framing that was agreed on.
func (r *moveRun) rows(values ...string) []string {
	def := "\x03def\x00\x00\x00\x01x\x00\x0c\x2d\x00\x00\x04\x00\x00\xf5\x00\x00\x00\x00\x00"
	out := []string{string([]byte{byte(len(values))})}
	status := string([]byte{byte(r.s.x.status)})
	if r.s.x.caps&capOptionalMetadata != 0 {
		out[0] += "\x01"
	}
	var row []byte
	for _, v := range values {
		out = append(out, def)
		row = append(appendLenenc(row, uint64(len(v))), v...)
	}
	if r.s.x.caps&capDeprecateEOF == 0 {
		eof := "\xfe\x00\x00" + status + "\x00"
		return append(out, eof, string(row), eof)
	}
	return append(out, string(row), "\xfe\x00\x00"+status+"\x00\x00\x00")
}

const plainOK = "\x00\x00\x00\x02\x00\x00\x00"

func errOf(code uint16, text string) string {
	return string(appendErr(nil, 0, true, errNumber{code, "HY000"}, text)[headerLen:])
}

// frame makes packets of payloads, as one frame in a compressed session.
func (r *moveRun) frame(seq uint8, compressed bool, payloads []string) []byte {
	var b []byte
	for _, p := range payloads {
		b = append(appendHeader(b, len(p), seq), p...)
		seq++
	}
	if compressed {
		b = pack(r.t, r.s.x.caps&capCompress == 0, true, 1, b)
	}
	return b
}

func (r *moveRun) compressed() bool { return r.s.x.caps&(capCompress|capZstd) != 0 }

// answer is what is said at a place.
func (r *moveRun) answer(at string, usual ...string) []string {
	if said, ok := r.s.say[at]; ok {
		return said
	}
	return usual
}

// give hands bytes of a server to the move, in pieces.
func (r *moveRun) give(leg codec.Leg, b []byte) {
	for len(b) > 0 && !r.over {
		n := len(b)
		if r.s.piece > 0 {
			n = min(n, r.s.piece)
		}
		r.step(r.v.Server(leg, b[:n]))
		b = b[n:]
		if leg == codec.LegNew && r.op == codec.OpClose {
			return
		}
	}
}

// reach notes that a place is reached and tells whether the server is to answer.
func (r *moveRun) reach(at string) bool {
	if r.s.lost == at {
		r.gone = true
		r.step(r.v.OldLost())
	}
	if r.s.giveUp == at {
		r.v.GiveUp()
		r.over = true
	}
	return !r.over
}

// step does what the move asks for.
func (r *moveRun) step(op codec.Op) {
	r.op = op
	r.sent()
	switch op {
	case codec.OpServerTLS:
		r.secure = true
		r.step(r.v.Secured(nil))
	case codec.OpWork:
		r.v.Work()
		r.step(r.v.Worked())
	}
}

// sent plays the servers for what the move has written.
func (r *moveRun) sent() {
	old, fresh := bytes.Clone(r.v.Take(codec.LegOld)), bytes.Clone(r.v.Take(codec.LegNew))
	r.client = append(r.client, r.v.Take(codec.LegClient)...)
	if len(old) > 0 && r.op == codec.OpClose && !r.over {
		r.t.Errorf("%d bytes for the old server at the end", len(old))
	}
	for len(old) > 0 {
		payload, rest := r.command(old)
		old = rest
		r.oldServer(payload)
	}
	for len(fresh) > 0 {
		if r.ok || r.seq == 0xff {
			payload, rest := r.command(fresh)
			fresh = rest
			r.newServer(payload)
			continue
		}
		n := int(packetLen(fresh))
		if fresh[3] != r.seq {
			r.t.Fatalf("login packet %d, want %d", fresh[3], r.seq)
		}
		payload := fresh[headerLen : headerLen+n]
		fresh = fresh[headerLen+n:]
		r.seq++
		if len(payload) == responseMin && binary.LittleEndian.Uint32(payload)&capSSL != 0 {
			r.log = append(r.log, "new: TLS")
			continue
		}
		// What comes behind the response is a command already.
		behind := fresh
		fresh = nil
		r.login(payload)
		for len(behind) > 0 && !r.over && r.ok {
			payload, rest := r.command(behind)
			behind = rest
			r.newServer(payload)
		}
	}
}

// command takes a command, which has to be framed as the session is.
func (r *moveRun) command(b []byte) (payload, rest []byte) {
	if r.compressed() {
		if n := int(packetLen(b)); b[3] != 0 || b[4]|b[5]|b[6] != 0 || n != headerLen+int(packetLen(b[frameHeaderLen:])) {
			r.t.Fatalf("frame % x", b[:min(len(b), 16)])
		}
		b = b[frameHeaderLen:]
	}
	n := int(packetLen(b))
	if b[3] != 0 {
		r.t.Fatalf("command with sequence id %d", b[3])
	}
	return b[headerLen : headerLen+n], b[headerLen+n:]
}

// textOf is the statement of a COM_QUERY.
func (r *moveRun) textOf(payload []byte) string {
	if payload[0] != comQuery {
		r.t.Fatalf("command %#x", payload[0])
	}
	text := payload[1:]
	if r.s.x.caps&capQueryAttributes != 0 {
		if text[0] != 0 || text[1] != 1 {
			r.t.Fatalf("no attributes in front of %q", text)
		}
		text = text[2:]
	}
	return string(text)
}

func (r *moveRun) oldServer(payload []byte) {
	text := r.textOf(payload)
	r.log = append(r.log, "old: "+text)
	at, usual := atShow, r.rows(r.s.states, r.s.token)
	if text == commitText {
		at, usual = atCommit, []string{plainOK}
	}
	if !r.reach(at) && !r.late {
		return
	}
	if r.gone {
		return
	}
	said := r.frame(1, r.compressed(), r.answer(at, usual...))
	if r.late {
		r.owing = append(r.owing, said)
		return
	}
	r.give(codec.LegOld, said)
}

func (r *moveRun) newServer(payload []byte) {
	text := r.textOf(payload)
	r.log = append(r.log, "new: "+text)
	at, status := atStates, r.s.status
	if status == 0 {
		status = r.s.x.status & statusAutocommit
	}
	ok := string([]byte{0, 0, 0, byte(status), byte(status >> 8), 0, 0})
	if strings.HasPrefix(text, "SET sql_mode") {
		at, ok = atMode, plainOK
	}
	if r.op == codec.OpClose || !r.reach(at) {
		return
	}
	r.give(codec.LegNew, r.frame(1, r.compressed(), r.answer(at, ok)))
}

// login judges a response and agrees to it.
func (r *moveRun) login(payload []byte) {
	resp, ok := parseResponse(payload)
	if !ok {
		r.t.Fatalf("response %q", payload)
	}
	a := newAccount(&resp)
	r.log = append(r.log, fmt.Sprintf("new: %s by %s, %d bytes, db %q, attrs %q, collation %d", resp.user, resp.plugin,
		len(resp.auth), resp.database, a.attrs.Value(), a.collation))
	if resp.plugin == tokenPlugin && string(resp.auth) != r.s.token {
		r.t.Errorf("token %q", resp.auth)
	}
	if got := resp.caps&capSSL != 0; got != r.secure {
		r.t.Errorf("TLS is %t, the response says %t", r.secure, got)
	}
	const about = lateFlags &^ capMultiFactor
	if got := resp.caps &^ about; got != r.m.facts.caps&^about {
		r.t.Errorf("flags %#x, agreed on are %#x", got, r.m.facts.caps)
	}
	if !r.reach(atLogin) {
		return
	}
	said := r.answer(atLogin, plainOK)
	if r.ok = len(said) > 0 && len(said[0]) > 0 && said[0][0] == 0; r.ok {
		r.give(codec.LegNew, r.frame(r.seq, false, said))
		return
	}
	r.give(codec.LegNew, r.frame(r.seq, false, said))
	r.seq += uint8(len(said))
}

// run plays a move to its end, or to where a server says nothing.
func (r *moveRun) run() codec.Op {
	r.v = r.m.NewMove(&r.s.cfg).(*move)
	if r.s.cfg.AskOnly {
		r.step(r.v.Ask(nil))
		return r.op
	}
	r.step(r.v.Connected())
	if r.op == codec.OpMore {
		g := greetingOf(r.s.caps, 0, nativePlugin)
		g = append(append([]byte{10}, r.s.version...), g[bytes.IndexByte(g, 0):]...)
		r.seq = 1
		if r.reach(atGreeting) {
			r.give(codec.LegNew, r.frame(0, false, r.answer(atGreeting, string(g))))
		}
	}
	if r.op == codec.OpStandBy {
		held := []byte(r.s.held)
		if !r.m.Askable(held) {
			r.t.Fatalf("not askable: %s", r.m.Busy())
		}
		r.step(r.v.Ask(held))
	}
	return r.op
}

// alive fails unless the session goes on as if nothing had been.
func (r *moveRun) alive() {
	r.t.Helper()
	if r.v.Owes() {
		r.t.Error("the old server still owes")
	}
	if busy := r.m.Busy(); busy != "" {
		r.t.Errorf("busy is %q", busy)
	}
	ping, ok := r.frame(0, false, []string{"\x0e"}), r.frame(1, false, []string{plainOK})
	if r.compressed() {
		ping, ok = pack(r.t, false, false, 0, ping), pack(r.t, false, false, 1, ok)
	}
	if err := r.m.Client(ping); err != nil {
		r.t.Error(err)
	}
	if err := r.m.Server(ok); err != nil || r.m.Busy() != "" {
		r.t.Errorf("a ping: %v, busy %q", err, r.m.Busy())
	}
}
