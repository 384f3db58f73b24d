package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

// A removal is a session that moves, from behind its login on. Its words are
//
//	old:, new:, client:         who speaks from here on; a client's bytes go to the old server, if they go on
//	its words                   as in a script behind a login, or in a login; and those of a server:
//	welcome(n)                  AuthenticationOk, parameters, key n, ReadyForQuery
//	answer(row;row;…)           the answer to the question. A row is its kind and values, with "," between them, and
//	                            "~" for spaces
//	types(i=oid;…)              the answer to the question for types
//	status(name,value)          ParameterStatus
//	parse(name,text,oid…), query(text)  a client's Parse; and Query, with "~" for spaces
//	move, move(lost), move(ask) a move begins
//	connected, tls, ask, oldlost, giveup
//	op=, owes=, busy=, known=, pin=, refusal=, key=, rest=, tells=, toold=, tonew=, gate(…)=
//	                            what has to be the case now; the bytes to a leg are those since the last look
type removal struct {
	t    testing.TB
	cut  cutting
	m    *movable
	v    codec.Move
	op   codec.Op
	sent [codec.Legs][]byte
	held []byte // of the new server, while an op was carried out
	size int
}

// settled is what a session is at a server before anything is done to it.
const settled = "X,,0;Z;R,,none;U,,ann"

// newMovableTest logs a session in whose user's password is known.
func newMovableTest(t testing.TB, opt *codec.MoveOptions, params ...string) *movable {
	t.Helper()
	if opt == nil {
		opt = &codec.MoveOptions{StateMax: 1 << 20, Secret: func(string) codec.Secret { return codec.Secret{Password: "pw"} }}
	}
	l := Protocol{}.NewLogin(&codec.LoginConfig{ClientTLS: codec.TLSDisable, ServerTLS: codec.TLSDisable, Move: opt})
	l.Start()
	if op := l.Client(appendStartup(nil, append([]string{"user", "ann", "database", "db"}, params...)...)); op != codec.OpDial {
		t.Fatalf("the startup gives %v", op)
	}
	l.Connected()
	if op := l.Server(packet(t, codec.Server, "R", "0")); op != codec.OpReady {
		t.Fatalf("the login gives %v: %v", op, l.Refusal())
	}
	m := l.Follower(nil).(*movable)
	if err := m.Server(messages(t, codec.Server, "SKZ")); err != nil {
		t.Fatal(err)
	}
	return m
}

func moveScript(t testing.TB, opt *codec.MoveOptions, text string, cut cutting) *removal {
	t.Helper()
	r := &removal{t: t, cut: cut, m: newMovableTest(t, opt)}
	speaker := "old:"
	for i, word := range scriptWords(text) {
		if strings.HasSuffix(word, ":") {
			speaker = word
			continue
		}
		if what, want, ok := cutCheck(word); ok {
			if got := r.look(what); got != want {
				t.Fatalf("%s, word %d: %s is %s, want %s", cut.name, i, what, got, want)
			}
			continue
		}
		name, arg := cutWord(word)
		if r.act(name, arg) {
			continue
		}
		b := r.bytes(speaker, name, arg)
		r.size += len(b)
		for p := range cut.pieces(b) {
			r.give(speaker, p)
		}
	}
	return r
}

// cutCheck cuts what has to be the case in two. gate(…) has words of its own in it.
func cutCheck(word string) (what, want string, ok bool) {
	if strings.HasPrefix(word, "gate(") {
		at := strings.LastIndex(word, ")=") + 1
		return word[:at], word[at+1:], true
	}
	what, want, ok = strings.Cut(word, "=")
	return what, want, ok && !strings.Contains(what, "(")
}

// act does something that is not a peer's word.
func (r *removal) act(name, arg string) bool {
	switch name {
	case "move":
		r.v = r.m.NewMove(&codec.MoveConfig{Lost: arg == "lost", AskOnly: arg == "ask"})
	case "connected":
		r.done(r.v.Connected())
	case "ask":
		r.done(r.v.Ask([]byte(arg)))
	case "oldlost":
		r.done(r.v.OldLost())
	case "giveup":
		r.v.GiveUp()
	case "worked":
		r.done(r.v.Worked())
	case "secured":
		r.done(r.v.Secured(nil))
	default:
		return false
	}
	return true
}

// bytes are a word of a peer's.
func (r *removal) bytes(speaker, name, arg string) []byte {
	list := strings.Split(arg, ",")
	switch name {
	case "welcome":
		b := packet(r.t, codec.Server, "R", "0")
		b = append(b, message('S', "TimeZone\x00Asia/Tokyo\x00")...)
		b = append(b, message('S', "server_version\x0015.1\x00")...)
		b = append(b, message('K', "\x00\x00\x00"+string(arg[0]-'0')+"keys")...)
		return append(b, message('Z', "I")...)
	case "answer":
		b := message('C', "SET\x00")
		for row := range strings.SplitSeq(arg, ";") {
			v := append(strings.Split(row, ","), "", "", "")[:4]
			b = append(b, message('T', "\x00\x00")...)
			for i := 1; i < 4; i++ {
				if i > 1 || v[0] != "C" && v[0] != "Y" {
					v[i] = hex.EncodeToString([]byte(strings.ReplaceAll(v[i], "~", " ")))
				}
			}
			b = append(b, message('D', string(dataRow(v...)))...)
		}
		return append(b, messages(r.t, codec.Server, "CZ")...)
	case "types":
		b := message('T', "\x00\x00")
		for row := range strings.SplitSeq(arg, ";") {
			i, oid, _ := strings.Cut(row, "=")
			b = append(b, message('D', string(dataRow(i, oid)))...)
		}
		return append(b, messages(r.t, codec.Server, "CZ")...)
	case "status":
		return message('S', list[0]+"\x00"+list[1]+"\x00")
	case "notice":
		return message('N', "S"+arg+"\x00V"+arg+"\x00C00000\x00Mlook\x00\x00")
	case "big":
		return append([]byte{arg[0]}, binary.BigEndian.AppendUint32(nil, 3<<20)...)
	case "parse":
		return parseOf(list[0], strings.ReplaceAll(list[1], "_", " "), list[2:]...)
	}
	if name == "query" {
		return message('Q', strings.ReplaceAll(arg, "~", " ")+"\x00")
	}
	arg = strings.ReplaceAll(arg, "_", " ")
	switch {
	case speaker == "client:" && name != "raw":
		return messages(r.t, codec.Client, name+map[bool]string{true: "(" + arg + ")"}[arg != ""])
	}
	return packet(r.t, codec.Server, name, arg)
}

// parseOf is a Parse with types by their OIDs.
func parseOf(name, text string, oids ...string) []byte {
	body := binary.BigEndian.AppendUint16([]byte(name+"\x00"+text+"\x00"), uint16(len(oids)))
	for _, s := range oids {
		var oid uint32
		fmt.Sscan(s, &oid)
		body = binary.BigEndian.AppendUint32(body, oid)
	}
	return message('P', string(body))
}

// give hands a piece over as a session does.
func (r *removal) give(speaker string, p []byte) {
	var err error
	switch {
	case speaker == "new:" && r.v == nil:
		err = r.m.Server(p)
	case speaker == "new:" && (r.op == codec.OpReady || r.op == codec.OpClose || r.op == codec.OpStandBy && len(p) > 0):
		r.held = append(r.held, p...)
	case speaker == "new:":
		r.done(r.v.Server(codec.LegNew, p))
	case speaker == "old:" && r.v != nil && (r.v.Owes() || r.asked()):
		r.done(r.v.Server(codec.LegOld, p))
	case speaker == "old:":
		err = r.m.Server(p)
	default:
		err = r.m.Client(p)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", r.cut.name, err)
	}
}

// asked tells that the old server's bytes are the move's.
func (r *removal) asked() bool {
	v := r.v.(*move)
	return v.stage == moveAsking || v.stage == moveResolving || v.stage == movePutting
}

func (r *removal) done(op codec.Op) {
	r.op = op
	for leg := range r.sent {
		r.sent[leg] = append(r.sent[leg], r.v.Take(codec.Leg(leg))...)
	}
	if op == codec.OpWork {
		r.v.Work()
		r.done(r.v.Worked())
	}
}

// look says how things stand.
func (r *removal) look(what string) string {
	if arg, ok := strings.CutPrefix(what, "gate("); ok {
		var b []byte
		for word := range strings.FieldsSeq(strings.TrimSuffix(arg, ")")) {
			name, arg := cutWord(word + ")")
			b = append(b, r.bytes("client:", name, strings.TrimSuffix(arg, ")"))...)
		}
		return fmt.Sprint(r.m.Gate(b))
	}
	switch what {
	case "op":
		return r.op.String()
	case "owes":
		return fmt.Sprint(r.v.Owes())
	case "busy":
		return cmpOr(r.m.Busy(), "-")
	case "askable":
		return fmt.Sprint(r.m.Askable(nil))
	case "known":
		return fmt.Sprint(r.m.Known())
	case "undone":
		return fmt.Sprint(r.m.Undone())
	case "pin":
		return cmpOr(r.m.Pin().Name, "-")
	case "key":
		return fmt.Sprint(r.v.Key().ID)
	case "rest":
		return fmt.Sprintf("%q", append(slices.Clone(r.v.Rest()), r.held...))
	case "tells":
		return r.taken(codec.LegClient)
	case "toold":
		return r.taken(codec.LegOld)
	case "tonew":
		return r.taken(codec.LegNew)
	case "refusal":
		return refusalOf(r.v.Refusal())
	}
	return "unknown"
}

// refusalOf is a pin's name, or a condition.
func refusalOf(err error) string {
	var pin codec.PinError
	var e codec.Error
	switch {
	case err == nil:
		return "-"
	case errors.As(err, &pin):
		return "pin:" + pin.Name
	case errors.As(err, &e):
		return map[codec.Condition]string{codec.NoBackend: "NoBackend", codec.AuthDenied: "AuthDenied", codec.BackendLost: "BackendLost",
			codec.ServerNotSupport: "ServerNotSupport", codec.ProtocolError: "ProtocolError"}[e.Cond]
	}
	return strings.ReplaceAll(err.Error(), " ", "_")
}

// taken names what a peer was sent, in short.
func (r *removal) taken(leg codec.Leg) string {
	b := r.sent[leg]
	r.sent[leg] = nil
	var out []string
	for len(b) > 0 {
		if b[0] == 0 {
			n := binary.BigEndian.Uint32(b)
			out, b = append(out, describeStartup(b[:n])), b[n:]
			continue
		}
		n := 1 + binary.BigEndian.Uint32(b[1:])
		typ, body := b[:1], string(b[headerSize:n])
		b = b[n:]
		word := string(typ)
		switch {
		case word == "Q" && strings.Contains(body, "pg_prepared_statement()"):
			word = "ASK"
		case word == "Q" && strings.HasPrefix(body, sqlAskBegin):
			word = "DETAILS"
		case word == "Q" && strings.Contains(body, "to_regtype"):
			word = "TYPES"
		case word == "Q" && strings.HasPrefix(body, sqlPutAway):
			word = "SETTINGS"
		case word == "Q" && strings.Contains(body, "'client_encoding'"):
			word = "ENCODING"
		case word == "Q":
			word = "Q(" + strings.TrimSuffix(strings.ReplaceAll(body, " ", "_"), "\x00") + ")"
		case word == "P":
			list := strings.SplitN(body, "\x00", 3)
			for oids := []byte(list[2][2:]); len(oids) > 0; oids = oids[4:] {
				list[2] = fmt.Sprint(binary.BigEndian.Uint32(oids))
			}
			word += "(" + strings.ReplaceAll(strings.Join(list, ","), " ", "_") + ")"
			word = strings.ReplaceAll(word, ",\x00\x00)", ")")
		case leg == codec.LegClient && word == "S":
			word += "(" + strings.ReplaceAll(strings.TrimRight(body, "\x00"), "\x00", ",") + ")"
		}
		out = append(out, word)
	}
	return cmpOr(strings.Join(out, ","), "-")
}
