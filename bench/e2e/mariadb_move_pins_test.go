package e2e

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"sluice/bench/e2e/real"
)

// mariaPins are ways to be bound to a server of MariaDB, the name that Sluice gives each, and what ends it; nothing
// does where that is missing.
var mariaPins = []struct {
	name, pin  string
	begin, end []string
}{
	{"temporary table", "temp-table", []string{"create temporary table tt (id int)"}, []string{"drop table tt"}},
	{"two of them", "temp-table", []string{"create temporary table if not exists `t 1` (id int)", "create or replace temporary table app.t2 select 1"},
		[]string{"drop temporary table if exists `t 1`, app.t2"}},
	{"temporary table in a batch", "temp-table", []string{"do 1; create temporary table tt (id int); do 2"}, []string{"drop table tt"}},
	{"temporary table by execute immediate", "temp-table", []string{"execute immediate 'create temporary table tt (id int)'"}, []string{"drop table tt"}},
	{"locked tables", "table-lock", []string{"lock tables moved read"}, []string{"unlock tables"}},
	{"locked tables, begin", "table-lock", []string{"lock table moved write"}, []string{"start transaction", "commit"}},
	{"global read lock", "read-lock", []string{"flush tables with read lock"}, []string{"unlock tables"}},
	{"backup", "backup-lock", []string{"backup stage start"}, []string{"backup stage end"}},
	{"backup lock", "backup-lock", []string{"backup lock moved"}, []string{"backup unlock"}},
	{"user lock", "user-lock", []string{"select get_lock('a', 1)", "do get_lock('a', 0)"}, []string{"select release_lock('A')", "do release_lock('a')"}},
	{"user locks", "user-lock", []string{"select get_lock(concat('a', 'b'), 1), get_lock ('c', 1)"}, []string{"select release_all_locks()"}},
	{"handler", "handler", []string{"handler moved open", "handler moved open as m2"}, []string{"handler moved close", "handler m2 close"}},
	{"xa", "xa", []string{"xa start 'x'", "xa end 'x'", "xa prepare 'x'"}, []string{"xa rollback 'x'"}},
	{"next transaction", "next-transaction", []string{"set transaction isolation level serializable"}, []string{"begin", "commit"}},
	{"text made at the server", "sql-prepare", []string{"prepare s from concat('select ', 1)"}, []string{"deallocate prepare s"}},
	{"statement under another mode", "statement", []string{`prepare s from 'select "a"'`, "set sql_mode = 'ANSI_QUOTES'"}, []string{"drop prepare s", "set sql_mode = default"}},
	{"configured function", "function", []string{"select secretive(1)"}, nil},
	{"configured procedure", "function", []string{"call secretive_too()"}, nil},
	{"hidden temporary table", "hidden", []string{"call makes_table()"}, nil},
	{"hidden statement", "hidden", []string{"call prepares()"}, nil},
	{"lock in a procedure", "procedure", []string{"create procedure locks() do get_lock('hidden', 1)", "call locks()"}, []string{"do release_lock('hidden')", "drop procedure locks"}},
	{"own thread id", "variable", []string{"set pseudo_thread_id = 99"}, nil},
}

// TestMariaDBPins binds a session in each way: it is named, the session stays although its server is drained, and
// leaves as soon as nothing binds it any more.
func TestMariaDBPins(t *testing.T) {
	every := ownMaria(t, 2)
	for _, d := range every {
		c := single(t, openMySQL(t, d.Addr, "app", ""))
		for _, q := range []string{
			"create function secretive(i int) returns int deterministic return i",
			"create procedure secretive_too() do 1",
			"create procedure makes_table() begin create temporary table out_of_sight (id int); end",
			"create procedure prepares() prepare out_of_sight from 'select 1'",
		} {
			mustMySQL(t, c, q)
		}
	}
	m := startMovingMaria(t, racy(t), every, "[cluster.migrate]", `retry-after = "100ms"`, `functions = ["secretive", "secretive_too"]`)
	for _, p := range mariaPins {
		t.Run(p.name, func(t *testing.T) {
			m.only(t, 0)
			c := single(t, openMySQL(t, m.addr, "app", "multiStatements=true"))
			for _, q := range p.begin {
				mustMySQL(t, c, q)
			}
			m.order(t, 1, "resume")
			m.order(t, 0, "drain")
			eventually(t, func() error {
				l, err := m.listed()
				if err == nil && (l.Pin != p.pin || l.PinReason == "") {
					err = fmt.Errorf("pin %q wanted: %+v", p.pin, l)
				}
				return err
			})
			await(t, m.Sluice, 1, "sluice_session_pins", fmt.Sprintf("pin=%q", p.pin))
			if got := at(t, c); got != real.Port(every[0].Addr) {
				t.Errorf("the session is at port %d all the same", got)
			}
			for _, q := range p.end {
				mustMySQL(t, c, q)
			}
			if p.end != nil {
				eventually(t, func() error {
					if at := at(t, c); at != real.Port(every[1].Addr) {
						l, _ := m.listed()
						return fmt.Errorf("it is still at port %d: %+v", at, l)
					}
					return nil
				})
			}
			hangUp(t, c)
			await(t, m.Sluice, 0, "sluice_sessions")
		})
	}
}

// hangUp ends a session whose connection its pool would keep otherwise.
func hangUp(t *testing.T, c *sql.Conn) {
	t.Helper()
	if err := c.Raw(func(any) error { return driver.ErrBadConn }); !errors.Is(err, driver.ErrBadConn) {
		t.Error(err)
	}
}
