package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

// replayServers play a pair of MariaDBs at the level of a carrier: what is asked is answered without a wire.
type replayServers struct {
	c       *replayCarrier
	version string
	wrong   int               // number of the answer that comes out otherwise; -1: none
	how     func(*answer)     // what is wrong with it
	vars    map[string]string // of the session
	moved   map[string]string // what the new server tells instead
	user    map[string]string // its user variables
	log     []string
	n       int
}

// usualVars are variables of a session: the global value is that of an upper-case twin, or the same.
func usualVars() map[string]string {
	return map[string]string{"autocommit": "1", "sql_mode": "ANSI", "sort_buffer_size": "99328", "SORT_BUFFER_SIZE": "65536",
		"character_set_client": "utf8mb4", "character_set_results": "utf8mb4", "wait_timeout": "600", "insert_id": "5"}
}

func (s *replayServers) value(name string, fresh bool) (session, global string) {
	session = s.vars[name]
	if v, ok := s.moved[name]; ok && fresh {
		session = v
	}
	if global = s.vars[strings.ToUpper(name)]; global == "" {
		global = s.vars[name]
	}
	return session, global
}

// answer answers a statement.
func (s *replayServers) answer(text string, fresh bool) *answer {
	r := &answer{status: statusAutocommit}
	row := func(values ...string) {
		var fields []field
		for _, v := range values {
			fields = append(fields, field(v))
		}
		r.rows = append(r.rows, fields)
	}
	names := []string{}
	for name := range s.vars {
		if name == strings.ToLower(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	switch {
	case strings.Contains(text, "SYSTEM_VARIABLES"):
		for _, name := range names {
			session, global := s.value(name, fresh)
			kind, scope := "VARCHAR", "SESSION"
			switch name {
			case "autocommit":
				kind, session, global = "BOOLEAN", "ON", "ON"
			case "insert_id":
				kind, scope = "BIGINT UNSIGNED", "SESSION ONLY"
			case "sort_buffer_size", "wait_timeout":
				kind = "BIGINT UNSIGNED"
			}
			row(name, kind, scope, session, global, s.version)
		}
	case strings.HasPrefix(text, "SELECT @@version"):
		values := []string{s.version, "utf8mb4"}
		for _, name := range names {
			session, global := s.value(name, fresh)
			if values = append(values, session); name != "insert_id" {
				values = append(values, global)
			}
		}
		row(values...)
	case strings.Contains(text, "DATABASE()"):
		row("shop", "teller", "1", "7", "1.5")
	case strings.Contains(text, "SESSION_STATUS"):
		row("COM_PREPARE_SQL", "1")
	case strings.Contains(text, "USER_VARIABLES"):
		for _, name := range []string{"n", "s"} {
			row(name, "INT")
		}
	case text == "SELECT BINARY @@timestamp"+limit:
		row("2.5")
	case strings.HasPrefix(text, "SELECT @`n`"):
		r.rows = [][]field{{field("1"), field(s.user["n"]), field("binary"), field("2"), field(s.user["s"]), field("binary")}}
		r.defs = make([][]byte, 6)
	}
	return s.spoil(r)
}

func (s *replayServers) spoil(r *answer) *answer {
	if s.n++; s.n-1 == s.wrong {
		s.how(r)
	}
	return r
}

// run moves the session; the error is that of the carrier.
func (s *replayServers) run() error {
	asked := s.c.ask(nil)
	for i := 0; i < len(asked); i++ {
		more, err := s.c.answered(i, s.answer(asked[i], false))
		if err != nil {
			return err
		}
		asked = append(asked, more...)
	}
	put := s.c.put()
	for i := 0; i < len(put); i++ {
		r := &answer{}
		switch text := string(put[i][1:]); put[i][0] {
		case comQuery:
			s.log = append(s.log, text)
			r = s.answer(text, true)
		case comStmtPrepare:
			s.log = append(s.log, "prepare "+text)
			r = s.spoil(&answer{stmt: 100 + uint32(i), params: 1})
		default:
			s.log = append(s.log, fmt.Sprintf("%#x %s", put[i][0], text))
			r = s.spoil(r)
		}
		more, err := s.c.placed(i, r)
		if err != nil {
			return err
		}
		put = append(put, more...)
	}
	return nil
}

// replayed is a session with a statement prepared in each way, and the servers for it.
func replayed(t *testing.T) (*Mover, *replayServers) {
	t.Helper()
	m := newMover(classic, nil, &codec.MoveOptions{StateMax: 64 << 10},
		account{user: "app", database: "shop", proved: &proof{known: true}}, kindMariaDB)
	m.thread = 7
	say := func(payload string, answers ...string) {
		t.Helper()
		if err := m.Client(append(appendHeader(nil, len(payload), 0), payload...)); err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			if err := m.Server(append(appendHeader(nil, len(a), uint8(i+1)), a...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	say("\x16select ?", "\x00\x03\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", "\x03def\x00\x00\x00\x01?\x00\x0c\x2d\x00\x00\x04\x00\x00\xf5\x00\x00\x00\x00\x00", "\xfe\x00\x00\x02\x00")
	say("\x03prepare p from 'select 1'", plainOK)
	say("\x03set @n = 1, @s = 2", plainOK)
	if m.Busy() != "" || len(m.keep.stmts) != 1 || len(m.keep.named) != 1 {
		t.Fatalf("busy %q, %d statements, %d named", m.Busy(), len(m.keep.stmts), len(m.keep.named))
	}
	s := &replayServers{version: "10.11", wrong: -1, vars: usualVars(), user: map[string]string{"n": "-3", "s": "4"}}
	s.c = newReplayCarrier(m).(*replayCarrier)
	return m, s
}

// TestReplayMoves: what is said to the new server, with servers asked in full and by names.
func TestReplayMoves(t *testing.T) {
	for _, short := range []bool{false, true} {
		lastLearnt.Store(nil)
		if short {
			_, s := replayed(t)
			if err := s.run(); err != nil || lastLearnt.Load() == nil {
				t.Fatal(err)
			}
		}
		m, s := replayed(t)
		if err := s.run(); err != nil {
			t.Fatalf("short %t: %v\n%s", short, err, strings.Join(s.log, "\n"))
		}
		said := strings.Join(s.log, "\n")
		for _, want := range []string{"SET ROLE `teller`", "SESSION sql_mode='ANSI'", "SESSION autocommit=1", "SET SESSION sort_buffer_size=99328",
			"SET @`n`:=-3,@`s`:=4", "prepare select ?", "prepare p from 'select 1'", "0x2 shop", "SET SESSION insert_id=5"} {
			if !strings.Contains(said, want) {
				t.Errorf("short %t: %s is missing in\n%s", short, want, said)
			}
		}
		if strings.Contains(said, "SET SESSION wait_timeout") || strings.Contains(said, "STATUS") {
			t.Errorf("short %t: too much is said:\n%s", short, said)
		}
		if got := strings.Contains(said, "SYSTEM_VARIABLES"); got && short {
			t.Errorf("the server is asked in full:\n%s", said)
		}
		s.c.apply(&m.Follower)
		st := m.keep.stmts[m.keep.last.id]
		if st == nil || st.client != 3 || st.id < 100 || !m.Translates() {
			t.Errorf("short %t: the statement is %+v", short, st)
		}
		execute := []byte("\x0a\x00\x00\x00\x17\x03\x00\x00\x00\x00\x01\x00\x00\x00")
		if out := m.ToServer(execute); binary.LittleEndian.Uint32(out[headerLen+1:]) != st.id {
			t.Errorf("the id at the server is % x", out)
		}
	}
}

// TestReplayLearntNot: a server of another version, or without a variable, or that answers in another character set
// is asked in full, in the same move.
func TestReplayLearntNot(t *testing.T) {
	for name, spoil := range map[string]func(*answer){
		"version": func(r *answer) { r.rows[0][0] = field("11.4") },
		"unknown": func(r *answer) {
			*r = answer{err: &serverFail{no: errNumber{1193, "HY000"}, text: "Unknown system variable"}}
		},
		"encoding":  func(r *answer) { r.rows[0][1] = field("\x00u\x00t\x00f") },
		"utf32":     func(r *answer) { r.rows[0][1] = field("utf32") },
		"lossy":     func(r *answer) { r.rows[0][4] = field("?") },
		"not ASCII": func(r *answer) { r.rows[0][4] = field("\xc3\xa4") },
		"columns":   func(r *answer) { r.rows[0] = r.rows[0][1:] },
	} {
		lastLearnt.Store(nil)
		_, s := replayed(t)
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		total := s.n
		for at := range total {
			_, s := replayed(t)
			lastLearnt.Load().uses.Store(0)
			s.how = func(r *answer) {
				if len(r.rows) == 1 && len(r.rows[0]) > 10 {
					spoil(r)
				}
			}
			if s.wrong = at; s.run() != nil {
				t.Errorf("%s, answer %d: the move fails", name, at)
			}
		}
	}
}

// TestReplayFails has each answer of the servers be an ERR, or of another shape, in turn: the move ends with an error, or
// can do without; and the session is what it was.
func TestReplayFails(t *testing.T) {
	ways := map[string]func(*answer){
		"an ERR":   func(r *answer) { *r = answer{err: &serverFail{no: errNumber{1105, "HY000"}, text: "no"}} },
		"nothing":  func(r *answer) { *r = answer{stmt: r.stmt, params: 7} },
		"a column": func(r *answer) { *r = answer{stmt: r.stmt, params: 7, rows: [][]field{{field("x")}}} },
		"two rows": func(r *answer) { r.rows = append(r.rows, r.rows...); r.params = 7 },
	}
	lastLearnt.Store(nil)
	_, s := replayed(t)
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
	total, failed := s.n, 0
	for name, how := range ways {
		for at := range total {
			for _, short := range []bool{false, true} {
				if !short {
					lastLearnt.Store(nil)
				}
				m, s := replayed(t)
				s.wrong, s.how = at, how
				err := s.run()
				if err == nil {
					continue
				}
				failed++
				st := m.keep.stmts[3]
				if st == nil || st.id != 3 || st.client != 3 || st.unbound || len(m.keep.named) != 1 || m.Translates() || m.Pin().Name != "" {
					t.Errorf("%s for answer %d: the session is not what it was: %+v", name, at, m.keep)
				}
				s.wrong, s.c = -1, newReplayCarrier(m).(*replayCarrier)
				if again := s.run(); again != nil {
					t.Errorf("%s for answer %d, and then none: %v", name, at, again)
				}
			}
		}
	}
	if failed < total {
		t.Errorf("of %d answers only %d matter", total, failed)
	}
}

// TestReplayCompared: a new server that tells another state is not moved to.
func TestReplayCompared(t *testing.T) {
	for _, name := range []string{"sql_mode", "sort_buffer_size", "wait_timeout", "autocommit", "insert_id"} {
		lastLearnt.Store(nil)
		_, warm := replayed(t)
		if err := warm.run(); err != nil { // which has variables asked for by name
			t.Fatal(err)
		}
		_, s := replayed(t)
		s.moved = map[string]string{name: "0"}
		err := s.run()
		var p codec.PinError
		if name == "wait_timeout" { // the first value of a session need not be the global one
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.As(err, &p) || !strings.Contains(p.Reason, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
