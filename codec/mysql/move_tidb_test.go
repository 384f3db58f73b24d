package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

var (
	moveClassic    = facts{key: 7, caps: capProtocol41, status: statusAutocommit}
	moveModern     = facts{key: 7, caps: capProtocol41 | capDeprecateEOF | capMultiStatements, status: statusAutocommit}
	moveAttributes = facts{key: 7, caps: capProtocol41 | capQueryAttributes | capOptionalMetadata, status: statusAutocommit}
	moveNoCommit   = facts{key: 7, caps: capProtocol41 | capDeprecateEOF}
	moveZlib       = facts{key: 7, caps: capProtocol41 | capCompress, status: statusAutocommit}
	moveZstd       = facts{key: 7, caps: capProtocol41 | capDeprecateEOF | capZstd, status: statusAutocommit}
)

// tidbMoved is what the servers are sent in a move.
var tidbMoved = []string{
	"old: SHOW SESSION_STATES",
	fmt.Sprintf(`new: app by tidb_session_token, %d bytes, db "shop", attrs "\x02ab\x02cd", collation 46`, len(tokenOf())),
	"new: SET sql_mode='ANSI_QUOTES'",
	`new: SET SESSION_STATES '{"current-db": "shop", "prepared-stmts": {"1": {"text": "select ''it\\\\\\"s''", "types": "/Q=="}}, ` +
		`"status": 2, "sys-vars": {"character_set_results": "utf8mb4", ` +
		`"collation_connection": "utf8mb4_general_ci", "collation_server": "utf8mb4_bin", "sql_mode": "ANSI_QUOTES"}}'`,
}

// TestMoveTiDB moves sessions of all framings, with and without TLS, with the servers' bytes cut everywhere.
func TestMoveTiDB(t *testing.T) {
	for _, x := range []facts{moveClassic, moveModern, moveAttributes, moveNoCommit, moveZlib, moveZstd} {
		for _, tls := range []codec.TLSMode{codec.TLSDisable, codec.TLSRequire} {
			for piece := range 40 {
				r := newRun(t, &script{x: x, cfg: codec.MoveConfig{TLS: tls}, piece: piece})
				if op := r.run(); op != codec.OpReady {
					t.Fatalf("caps %#x, TLS %d, pieces of %d: %v, %v", x.caps, tls, piece, op, r.v.Refusal())
				}
				want := slices.Clone(tidbMoved)
				if tls != codec.TLSDisable {
					want = slices.Insert(want, 0, "new: TLS")
				}
				if !slices.Equal(r.log, want) {
					t.Fatalf("caps %#x, TLS %d, pieces of %d: sent\n%s\nwant\n%s", x.caps, tls, piece,
						strings.Join(r.log, "\n"), strings.Join(want, "\n"))
				}
				if k, _ := r.m.Key(); k.ID != 7 || r.v.Key().ID != 1000 || r.m.facts.serverTLS != (tls != 0) || len(r.client) > 0 {
					t.Fatalf("key %v, at the server %v, TLS %t, client %q", k, r.v.Key(), r.m.facts.serverTLS, r.client)
				}
				r.alive()
			}
		}
	}
}

// TestMoveTiDBWithoutDatabase: where the current database was dropped, the login is without one. (TiProxy logs
// in with the database of the login then, and the session can't leave.)
func TestMoveTiDBWithoutDatabase(t *testing.T) {
	r := newRun(t, &script{states: strings.Replace(usualJSON, `"current-db": "shop", `, "", 1)})
	if op := r.run(); op != codec.OpReady || !strings.Contains(r.log[1], `db ""`) {
		t.Errorf("%v, %v: %q", op, r.v.Refusal(), r.log)
	}
}

// TestMoveTiDBQuotes: the state's literal is quoted by the session's own sql_mode, which is set before it.
func TestMoveTiDBQuotes(t *testing.T) {
	states := `{"prepared-stmts": {"1": {"text": "select 'a\\b'"}}, "sys-vars": {"sql_mode": "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"}}`
	r := newRun(t, &script{states: states})
	want := []string{
		"new: SET sql_mode='NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
		`new: SET SESSION_STATES '{"prepared-stmts": {"1": {"text": "select ''a\\b''"}}, "sys-vars": {"sql_mode": "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"}}'`,
	}
	if op := r.run(); op != codec.OpReady || !slices.Equal(r.log[2:], want) {
		t.Errorf("%v, %v:\n%s\nwant\n%s", op, r.v.Refusal(), strings.Join(r.log, "\n"), strings.Join(want, "\n"))
	}
}

// TestMoveTiDBPins: what binds a session is told by its name, and the session goes on. The name is remembered
// until the session does something.
func TestMoveTiDBPins(t *testing.T) {
	cannot := func(why string) map[string][]string {
		return map[string][]string{atShow: {errOf(8146, "cannot migrate the current session: "+why)}}
	}
	tests := []struct {
		name, pin string
		s         script
		once      bool
	}{
		{"temporary table", "temp-table", script{say: cannot("session has local temporary tables")}, false},
		{"lock", "user-lock", script{say: cannot("session has advisory locks")}, false},
		{"table lock", "table-lock", script{say: cannot("session has locked tables")}, false},
		{"expired password", "sandbox", script{say: cannot("session is in sandbox mode")}, false},
		{"long data", "long-data", script{say: cannot("prepared statements have bound params")}, false},
		{"cursor", "cursor", script{say: cannot("prepared statements have unfetched rows")}, false},
		{"variable", "variable", script{say: cannot("session has set invisible variable 'x'")}, false},
		{"no certificate", "token", script{say: cannot("no certificate or key file to sign the data")}, true},
		{"wrong key", "token", script{say: cannot("not supported private key type 'x' for signing")}, true},
		{"no token", "token", script{token: "null"}, true},
		{"old server", "server", script{say: map[string][]string{atShow: {errOf(1064, "syntax")}}}, false},
		{"large state", "state-size", script{opt: codec.MoveOptions{StateMax: 100}}, false},
		{"literal", "sql-mode", script{states: `{"prepared-stmts": {"1": {"name": "p", "text": "select 'x'"}}, "sys-vars": {"sql_mode": "NO_BACKSLASH_ESCAPES"}}`}, false},
		{"character set", "charset", script{states: `{"prepared-stmts": {"1": {"text": "select ?"}}, "sys-vars": {"character_set_results": "gbk"}}`}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRun(t, &test.s)
			op := r.run()
			var pin codec.PinError
			if op != codec.OpClose || !errors.As(r.v.Refusal(), &pin) || pin.Name != test.pin {
				t.Fatalf("%v: %v", op, r.v.Refusal())
			}
			if got := r.m.Pin(); got.Name != test.pin != test.once {
				t.Errorf("pin is %q", got)
			}
			r.alive()
			if feed(r.m, codec.Client, appendCommand(nil, r.s.x.caps, appendQuery(nil, r.s.x.caps, "SET @x = 1")), 0) != nil {
				t.Error("not followed")
			}
			if got := r.m.Pin(); got.Name != "" {
				t.Errorf("behind a SET the pin is %q", got)
			}
		})
	}
}

// TestMoveTiDBModes: a session that has changed its sql_mode since it prepared a statement that the mode gives
// its sense is bound; another one is not.
func TestMoveTiDBModes(t *testing.T) {
	tests := []struct {
		name, text string
		commands   []string
		pinned     bool
	}{
		{"changed since", `select \"a\"`, []string{"\x16select \"a\"", "\x03SET sql_mode=''"}, true},
		{"in one of several", `select \"a\"`, []string{"\x16select \"a\"", "\x03SELECT 1; SET sql_mode=''"}, true},
		{"named", `select \"a\"`, []string{"\x03PREPARE p FROM 'x'", "\x03SET SQL_MODE=''"}, true},
		{"before", `select \"a\"`, []string{"\x03SET sql_mode=''", "\x16select \"a\""}, false},
		{"looked at", `select \"a\"`, []string{"\x16select \"a\"", "\x03SELECT @@sql_mode"}, false},
		{"nothing depends on it", `select a`, []string{"\x16select a", "\x03SET sql_mode=''"}, false},
	}
	for _, test := range tests {
		states := strings.Replace(usualJSON, `select 'it\\\"s'`, test.text, 1)
		r := newRun(t, &script{states: states})
		for _, c := range test.commands {
			answer := plainOK
			if c[0] == comStmtPrepare {
				answer = "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			}
			if r.m.Client(r.frame(0, false, []string{c})) != nil || r.m.Server(r.frame(1, false, []string{answer})) != nil {
				t.Fatal("not followed")
			}
		}
		op := r.run()
		var pin codec.PinError
		if pinned := op == codec.OpClose && errors.As(r.v.Refusal(), &pin) && pin.Name == "sql-mode"; pinned != test.pinned {
			t.Errorf("%s: %v, %v", test.name, op, r.v.Refusal())
		}
	}
}
