package mysql

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"sluice/codec"
)

// TestMoverChangeUser: behind a COM_CHANGE_USER that was agreed to, the session is another user's, at every cut.
func TestMoverChangeUser(t *testing.T) {
	const change = "\x11bob\x00\x14" + "12345678901234567890" + "sales\x00\x2e\x00mysql_native_password\x00\x06\x02ef\x02gh"
	x := facts{caps: capProtocol41 | capSecureConnection | capPluginAuth | capConnectAttrs, status: statusAutocommit}
	secrets := func(user string) codec.Secret {
		if user == "bob" {
			return codec.Secret{Password: "bobs"}
		}
		return codec.Secret{}
	}
	talks := []struct {
		name   string
		server []string
		agreed bool
	}{
		{"at once", []string{plainOK}, true},
		{"refused", []string{errOf(1045, "denied")}, false},
		{"behind a switch", []string{"\xfemysql_native_password\x00" + testSalt + "\x00", "", plainOK}, true},
		{"refused behind a switch", []string{"\xfemysql_native_password\x00" + testSalt + "\x00", "", errOf(1045, "denied")}, false},
	}
	for _, talk := range talks {
		for piece := range len(change) + 5 {
			m := newMover(x, nil, &codec.MoveOptions{Secret: secrets}, account{user: "app", proved: &proof{known: true}}, kindTiDB)
			seq := uint8(0)
			send := func(side codec.Side, payload string) {
				b := append(appendHeader(nil, len(payload), seq), payload...)
				seq++
				if err := feed(m, side, b, piece); err != nil {
					t.Fatal(err)
				}
			}
			send(codec.Client, change)
			for _, s := range talk.server {
				if s == "" {
					send(codec.Client, "01234567890123456789")
					continue
				}
				send(codec.Server, s)
			}
			a, want := m.account, account{user: "app"}
			if talk.agreed {
				want = account{user: "bob", database: "sales", collation: 46}
			}
			if a.user != want.user || a.database != want.database || a.collation != want.collation || m.change != nil || m.changing {
				t.Fatalf("%s, pieces of %d: %+v", talk.name, piece, a)
			}
			if talk.agreed && a.attrs.Value() != "\x02ef\x02gh" {
				t.Errorf("%s: attributes %q", talk.name, a.attrs.Value())
			}
			if s, ok := m.account.secret(m.opt); !ok || talk.agreed && s.password != "bobs" {
				t.Errorf("%s: secret %+v", talk.name, s)
			}
		}
	}
}

// TestMoverChangeUserLimits: of a COM_CHANGE_USER no more is kept than is needed, and one that can't be read
// makes the session immovable.
func TestMoverChangeUserLimits(t *testing.T) {
	x := facts{caps: capProtocol41 | capSecureConnection | capPluginAuth | capConnectAttrs, status: statusAutocommit}
	for _, test := range []struct{ name, payload, user string }{
		{"long attributes", "\x11bob\x00\x00db\x00\x2e\x00p\x00\xfd\x00\x00\x10" + strings.Repeat("x", 1<<20), "bob"},
		{"a long name", "\x11" + strings.Repeat("u", 1<<20) + "\x00\x00db\x00", ""},
		{"nothing", "\x11", ""},
		{"cut in the proof", "\x11bob\x00\x14abc", ""},
		{"only a name", "\x11bob\x00\x00", "bob"},
	} {
		m := newMover(x, nil, &codec.MoveOptions{}, account{user: "app"}, kindTiDB)
		b := append(appendHeader(nil, len(test.payload), 0), test.payload...)
		peak := 0
		for len(b) > 0 {
			n := min(len(b), 1000)
			if err := m.Client(b[:n]); err != nil {
				t.Fatal(err)
			}
			b, peak = b[n:], max(peak, cap(m.change))
		}
		if peak > 2*maxChangeKept {
			t.Errorf("%s: %d bytes are kept", test.name, peak)
		}
		if err := m.Server([]byte("\x07\x00\x00\x01" + plainOK)); err != nil {
			t.Fatal(err)
		}
		if m.account.user != test.user || (m.Pin() == pinCredentials) != (test.user == "") || m.Known() {
			t.Errorf("%s: user %q, pin %v", test.name, m.account.user, m.Pin())
		}
	}
	// Two at once.
	m := newMover(x, nil, &codec.MoveOptions{}, account{user: "app"}, kindTiDB)
	for range 2 {
		feed(m, codec.Client, []byte("\x09\x00\x00\x00\x11bob\x00\x00db\x00"), 0)
	}
	for range 2 {
		if err := m.Server([]byte("\x07\x00\x00\x01" + plainOK)); err != nil {
			t.Fatal(err)
		}
	}
	if m.Pin() != pinCredentials {
		t.Errorf("behind two at once the user is %q", m.account.user)
	}
}

// TestMoverSetOption: multiple statements are allowed at the new server as they were at the old.
func TestMoverSetOption(t *testing.T) {
	for piece := range 8 {
		m := moverIn(t, classic, kindTiDB, "")
		for _, test := range []struct {
			payload string
			failed  bool
			want    bool
		}{
			{"\x1b\x00\x00", true, false}, {"\x1b\x00\x00", false, true}, {"\x1b\x01\x00", true, true}, {"\x1b\x01\x00", false, false},
			{"\x1b\x00\x00", false, true}, {"\x1b\x07\x00", false, true}, {"\x1b", false, true},
		} {
			if err := feed(m, codec.Client, append(appendHeader(nil, len(test.payload), 0), test.payload...), piece); err != nil {
				t.Fatal(err)
			}
			answer := "\x05\x00\x00\x01\xfe\x00\x00\x02\x00"
			if test.failed {
				e := errOf(1047, "unknown")
				answer = string(append(appendHeader(nil, len(e), 1), e...))
			}
			if err := feed(m, codec.Server, []byte(answer), piece); err != nil {
				t.Fatal(err)
			}
			if got := m.facts.caps&capMultiStatements != 0; got != test.want {
				t.Errorf("pieces of %d, %q, failed %t: %t", piece, test.payload, test.failed, got)
			}
		}
	}
}

// TestMarks: what a server would answer otherwise behind a command.
func TestMarks(t *testing.T) {
	clientWords["set"], clientWords["prepareset"] = "\x03set @x = 1", "\x16set @x = ?"
	tests := []struct {
		talk string
		want uint32
	}{
		{"c:select s:n1 s:def s:eof s:row s:eof", 0},
		{"c:begin s:okT c:insert s1:okT c:select s1:n1 s:def s:eofT s:row s:eofT", 0},
		{"c:ping s:ok c:stat s:text", 0},
		{"c:set s:ok", 1},
		{"c:set s:err", 1}, // part of it may have been done
		{"c:init s:ok", 1},
		{"c:prepare s:prep12 s:def*2 s:eof s:def s:eof", 1},
		{"c:prepare s:prep12 s:def*2 s:eof s:def s:eof c:exec s1:ok c:exec s1:ok", 1},
		{"c:prepareset s:prep00 c:exec s1:ok c:exec s1:ok", 3},
		{"c:prepareset s:prep00 c:close c:exec s1:err", 2},
		{"c:resetconn s:ok", 1},
		{"c:long c:reset s1:ok", 0},
	}
	for _, test := range tests {
		if got := moverIn(t, classic, kindTiDB, test.talk).Marks(); got != test.want {
			t.Errorf("%s: %d, want %d", test.talk, got, test.want)
		}
	}
	m := moverIn(t, classic, kindTiDB, "c:insert")
	if m.Server([]byte("\x07\x00\x00\x01\x00\x01\x09\x02\x00\x00\x00")); m.Marks() != 1 {
		t.Error("the id of a row that was inserted leaves no mark")
	}
}

// TestFragile: behind a statement whose count of rows, warnings or error the client may still ask for, a session is not
// asked for the sake of Known; nor, at TiDB, behind a SET TRANSACTION for the next transaction, which a question uses up.
func TestFragile(t *testing.T) {
	clientWords["set"], clientWords["setnext"] = "\x03set @x = 1", "\x03SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
	clientWords["commit"], clientWords["setall"] = "\x03commit", "\x03set session transaction isolation level serializable"
	const rows, warned, many = "\x07\x00\x00\x01\x00\x02\x00\x02\x00\x00\x00", "\x07\x00\x00\x01\x00\x00\x00\x02\x00\x01\x00", "\x09\x00\x00\x01\x00\xfc\x00\x01\x00\x02\x00\x00\x00"
	for _, test := range []struct {
		talk, answer  string
		tidb, mariadb bool
	}{
		{"c:set s:ok", "", false, false},
		{"c:insert", rows, true, true},
		{"c:insert", many, true, true},
		{"c:insert s:ok", "", false, false},
		{"c:insert", warned, false, true},
		{"c:insert s:err", "", false, true},
		{"c:insert s:err c:select s:n1 s:def s:eof s:row s:eof", "", false, false},
		{"c:setnext s:ok", "", true, false}, // (MariaDB: a pin)
		{"c:setnext s:err", "", false, true},
		{"c:setnext s:ok c:begin s:okT c:commit s:ok", "", false, false},
		{"c:setall s:ok", "", false, false},
	} {
		for kind, want := range map[serverKind]bool{kindTiDB: test.tidb, kindMariaDB: test.mariadb} {
			m := moverIn(t, classic, kind, test.talk)
			if err := m.Server([]byte(test.answer)); err != nil {
				t.Fatal(err)
			}
			if got := m.fragile(); (got != nil) != want {
				t.Errorf("%s, %s %q: %v", kind, test.talk, test.answer, got)
			}
		}
	}
	m := moverIn(t, classic, kindTiDB, "c:insert")
	if err := m.Server([]byte(rows)); err != nil {
		t.Fatal(err)
	}
	for _, s := range parseTalk(t, "c:select s:n1 s:def s:eof s:row s:eof").steps {
		if err := feed(m, s.from, s.bytes, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.fragile(); err != nil {
		t.Errorf("behind the next statement: %v", err)
	}
}

// TestKnown: a session is known without its server if it has done nothing since its login, or since it was asked
// about, and somebody can log in for it.
func TestKnown(t *testing.T) {
	r := newRun(t, &script{cfg: codec.MoveConfig{AskOnly: true}})
	r.m.marks = 0
	if r.m.Known() {
		t.Error("known without a secret")
	}
	r.m.account.proved = &proof{password: "secret", known: true}
	if !r.m.Known() {
		t.Error("a fresh session is not known")
	}
	set := appendCommand(nil, 0, []byte("\x03set @x = 1"))
	ok := []byte("\x07\x00\x00\x01" + plainOK)
	if r.m.Client(set); r.m.Known() {
		t.Error("known behind a SET")
	}
	r.m.Server(ok)
	if op := r.run(); op != codec.OpReady || !r.m.Known() {
		t.Fatalf("asked: %v, %v, known %t", op, r.v.Refusal(), r.m.Known())
	}
	if len(r.log) != 1 || r.m.own != nil {
		t.Errorf("asked only, but %q", r.log)
	}
	r.alive()
	if !r.m.Known() {
		t.Error("not known behind a ping")
	}
	r.m.Client(set)
	r.m.Server(ok)
	if r.m.Known() {
		t.Error("known behind another SET")
	}
}

// TestMoveLost: a session outlives its server if it is known, by the password.
func TestMoveLost(t *testing.T) {
	lost := codec.MoveConfig{Lost: true}
	secret := &proof{password: "secret", known: true}
	t.Run("as asked for last", func(t *testing.T) {
		r := newRun(t, &script{cfg: codec.MoveConfig{AskOnly: true}})
		r.m.account.proved = secret
		r.run()
		r.s.cfg, r.log, r.op = lost, nil, codec.OpMore
		op := r.run()
		want := append([]string{`new: app by mysql_native_password, 20 bytes, db "shop", attrs "\x02ab\x02cd", collation 46`}, tidbMoved[2:]...)
		if op != codec.OpReady || fmt.Sprintf("%q", r.log) != fmt.Sprintf("%q", want) {
			t.Errorf("%v, %v:\n%s", op, r.v.Refusal(), strings.Join(r.log, "\n"))
		}
		r.alive()
	})
	t.Run("nothing done since the login", func(t *testing.T) {
		r := newRun(t, &script{cfg: lost})
		r.m.account.proved, r.m.marks = secret, 0
		op := r.run()
		want := `new: app by mysql_native_password, 20 bytes, db "first", attrs "\x02ab\x02cd", collation 45`
		if op != codec.OpReady || len(r.log) != 1 || r.log[0] != want {
			t.Errorf("%v, %v: %q", op, r.v.Refusal(), r.log)
		}
		r.alive()
	})
	t.Run("not known", func(t *testing.T) {
		r := newRun(t, &script{cfg: lost})
		r.m.account.proved = secret
		if op := r.run(); op != codec.OpClose || r.v.Refusal() != errNotKnown {
			t.Errorf("%v, %v", op, r.v.Refusal())
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		r := newRun(t, &script{cfg: lost, say: map[string][]string{atLogin: {errOf(1045, "denied")}}})
		r.m.account.proved, r.m.marks = secret, 0
		if op := r.run(); op != codec.OpClose || !strings.Contains(r.v.Refusal().Error(), "1045") {
			t.Errorf("%v, %v", op, r.v.Refusal())
		}
	})
}

// TestMoverCost: a session that may be moved allocates nothing per command, and takes little memory.
func TestMoverCost(t *testing.T) {
	for _, kind := range []serverKind{kindTiDB, kindMariaDB} {
		for _, e := range exchanges {
			command, answer := exchange(t, e.talk)
			m := moverIn(t, classic, kind, "")
			if n := testing.AllocsPerRun(200, func() {
				if m.Client(command) != nil || m.Server(answer) != nil || m.Busy() != "" {
					t.Fatal("not followed")
				}
			}); n != 0 {
				t.Errorf("%s, %s: %v allocations", kind, e.name, n)
			}
		}
	}
	if n := unsafe.Sizeof(Mover{}); n > 768 {
		t.Errorf("a mover has %d bytes", n)
	}
}

func BenchmarkFollowMover(b *testing.B) {
	for _, e := range exchanges {
		b.Run(e.name, func(b *testing.B) {
			command, answer := exchange(b, e.talk)
			m := moverIn(b, classic, kindTiDB, "")
			b.ReportAllocs()
			for b.Loop() {
				m.Intercept(command)
				m.Client(command)
				if m.Server(answer) != nil {
					b.Fatal("not followed")
				}
			}
		})
	}
}
