package e2e

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"sluice/bench/e2e/wire"
)

// q is a client that logs in and asks simple queries one after the other.
func q(queries ...string) func(*wire.PG, lane) {
	return func(c *wire.PG, _ lane) {
		c.Login()
		for _, sql := range queries {
			c.Ask("Z", wire.Query(sql))
		}
		c.End()
	}
}

// batches is a client that logs in and sends batches, each in one piece, and reads what until says.
func batches(pairs ...any) func(*wire.PG, lane) {
	return func(c *wire.PG, _ lane) {
		c.Login()
		for i := 0; i < len(pairs); i += 2 {
			c.Ask(pairs[i+1].(string), pairs[i].([]byte))
		}
		c.End()
	}
}

// run binds and executes a named statement.
func run(name string, params ...string) []byte {
	return wire.Join(wire.Bind("", name, params...), wire.Execute("", 0))
}

func pgCases() []pgCase {
	var all []pgCase
	for _, part := range [][]pgCase{pgExtendedCases(), pgSessionCases(), pgCopyCases(), pgLoginCases(), pgScriptedCases()} {
		all = append(all, part...)
	}
	return all
}

func pgExtendedCases() []pgCase {
	sync, flush := wire.Sync(), wire.Flush()
	return []pgCase{
		{name: "pitfall-01-pipelined-sync", want: []string{`"SELECT 1\x00"`},
			client: batches(wire.Join(wire.Extended("select 1"), sync, wire.Extended("select 2"), sync, wire.Query("select 3"), wire.Extended("select 4"), sync), "ZZZZ")},
		{name: "pitfall-02-flush", client: batches(
			wire.Join(wire.Parse("", "select 1"), wire.Describe('S', ""), flush), "1tT",
			wire.Join(wire.Bind("", ""), flush), "2",
			wire.Join(wire.Execute("", 0), flush), "DC", flush, "", sync, "Z")},
		{name: "pitfall-03-error-in-batch", want: []string{"42P01"}, client: batches(
			wire.Join(wire.Extended("select 1"), wire.Extended("select * from nowhere"), wire.Extended("select 2"), sync), "Z",
			wire.Query("select 3"), "Z")},
		{name: "pitfall-04-delayed-sync", want: []string{"22012"}, client: batches(
			wire.Join(wire.Extended("select 1/0"), flush), "E",
			wire.Join(wire.Extended("select 2"), wire.Describe('S', "nothing"), flush), "",
			wire.Close('S', "x"), "", sync, "Z", wire.Query("select 3"), "Z")},
		{name: "pitfall-08-unnamed-statement", want: []string{"26000"}, client: batches(
			wire.Join(wire.Parse("", "select 1"), wire.Parse("", "select 2"), run(""), wire.Parse("", "select 3"), run(""), sync), "Z",
			wire.Join(run(""), sync), "Z", wire.Query("select 4"), "Z", wire.Join(run(""), sync), "Z")},
		{name: "pitfall-09-portal-suspended", want: []string{"s \"\""}, client: batches(
			wire.Join(wire.Parse("st", "select * from generate_series(1, 7)"), wire.Bind("po", "st"), wire.Execute("po", 3), flush), "s",
			wire.Join(wire.Execute("po", 3), flush), "s",
			wire.Join(wire.Close('P', "po"), wire.Describe('S', "st"), flush), "3T",
			sync, "Z",
			wire.Query("begin"), "Z",
			wire.Join(wire.Bind("po", "st"), wire.Execute("po", 5), sync), "Z", // a transaction keeps the portal over Sync
			wire.Join(wire.Execute("po", 5), sync), "Z",
			wire.Query("commit"), "Z",
			wire.Join(wire.Execute("po", 5), sync), "Z")},
		{name: "pitfall-10-describe-before-bind", client: batches(
			wire.Join(wire.Parse("", "begin"), wire.Describe('S', ""), wire.Bind("", ""), wire.Execute("", 0), sync), "Z",
			wire.Join(wire.Extended("select 1"), sync), "Z", wire.Query("rollback"), "Z"), want: []string{"BEGIN", `Z "T"`}},
		{name: "pitfall-11-statement-name-reuse", want: []string{"42P05"}, client: batches(
			wire.Join(wire.Parse("st", "select 1"), sync), "Z", wire.Join(wire.Parse("st", "select 2"), sync), "Z",
			wire.Join(run("st"), wire.Close('S', "st"), wire.Parse("st", "select 2"), run("st"), sync), "Z")},
		{name: "pitfall-12-cached-plan", want: []string{"0A000"}, client: batches(
			wire.Query("create temp table plan (a int); insert into plan values (1)"), "Z",
			wire.Join(wire.Parse("st", "select * from plan"), run("st"), sync), "Z",
			wire.Query("alter table plan add b int"), "Z", wire.Join(run("st"), sync), "Z", wire.Query("select 1"), "Z")},
		{name: "pitfall-13-parameter-types", want: []string{"t "}, client: batches(
			wire.Join(wire.Parse("a", "select $1", 23), wire.Parse("b", "select $1", 25), wire.Describe('S', "a"), wire.Describe('S', "b"),
				run("a", "7"), run("b", "seven"), run("b", "\x00"), sync), "Z",
			wire.Join(run("a", "seven"), sync), "Z")},
		{name: "pitfall-14-sql-prepare", want: []string{"26000"}, client: batches(
			wire.Query("prepare st (int) as select $1 + 1; execute st(1)"), "Z", wire.Join(run("st", "2"), sync), "Z",
			wire.Query("deallocate all"), "Z", wire.Join(run("st", "2"), sync), "Z",
			wire.Join(wire.Parse("st", "select 5"), sync), "Z", wire.Query("execute st"), "Z", wire.Query("discard all"), "Z",
			wire.Join(run("st"), sync), "Z")},
		{name: "pitfall-26-partial-delivery", client: func(c *wire.PG, l lane) {
			c.Login()
			c.Send(wire.Parse("", "select pg_sleep(0.01)"))
			c.Send(wire.Bind("", "")[:3]) // a message that stays incomplete for a while
			ask(l, "select pg_sleep(0.05)")
			c.Send(wire.Bind("", "")[3:])
			ask(l, "select pg_sleep(0.05)")
			c.Ask("Z", wire.Execute("", 0), sync)
			c.End()
		}},
		{name: "pitfall-27-function-call", want: []string{"V ", "42883"}, client: batches(
			wire.FunctionCall(177, "20", "22"), "Z", wire.FunctionCall(1, "x"), "Z",
			wire.Join(wire.FunctionCall(177, "1", "2"), wire.Query("select 3"), wire.FunctionCall(177, "3", "4")), "ZZZ")},
		{name: "pitfall-28-many-statements", want: []string{`I ""`, "INSERT 0 1"}, client: q(
			"create temp table many (a int); insert into many values (1); select * from many; select 2",
			"", ";;", "insert into many values (2); select 1/0; select 3", "select count(*) from many", "begin; select 1; commit; select 2")},
		{name: "pitfall-53-empty-query", want: []string{`I ""`}, client: batches(
			wire.Query(""), "Z", wire.Join(wire.Extended(""), sync), "Z", wire.Join(sync, sync, wire.Query(";"), sync), "ZZZZ")},
		{name: "pitfall-25-long-messages", long: true, want: []string{"4000006 bytes"}, client: func(c *wire.PG, _ lane) {
			c.Login()
			c.Ask("Z", wire.Query("select repeat('long', 1000000)"))
			c.Ask("Z", wire.Extended("select length($1::text), $1::text", strings.Repeat("xyz", 1_000_000)), sync)
			c.Ask("Z", wire.Query("select '"+strings.Repeat("z", 3_000_000)+"'::text, 1/0"))
			c.Ask("Z", wire.Query("select repeat('a', i * 10) from generate_series(1, 2000) i"))
			c.End()
		}},
	}
}

// ask runs a query on a connection of its own, to let something happen or time pass.
func ask(l lane, sql string) {
	h, err := wire.DialPG(l.addr)
	if err != nil {
		return
	}
	h.Login()
	h.Ask("Z", wire.Query(sql))
	h.End()
}

func pgSessionCases() []pgCase {
	return []pgCase{
		{name: "pitfall-15-discard-all", want: []string{"25001", "DISCARD ALL"}, client: q("set search_path to pg_catalog", "set application_name to 'other'",
			"discard all", "show search_path", "show application_name", "begin", "discard all", "rollback")},
		{name: "pitfall-16-failed-transaction", want: []string{`Z "E"`, "25P02"}, client: q("begin", "select 1/0", "select 1", "commit", "select 2")},
		{name: "pitfall-17-rollback-of-set", client: q("set application_name to 'before'", "begin", "set application_name to 'inside'", "savepoint s",
			"set application_name to 'deeper'", "rollback to s", "show application_name", "rollback", "show application_name",
			"begin", "set local application_name to 'local'", "show application_name", "commit", "show application_name"),
			want: []string{"inside", "deeper", "local"}},
		{name: "pitfall-18-set-transaction", want: []string{"serializable"}, client: q("begin", "set transaction isolation level serializable", "show transaction_isolation", "commit",
			"show transaction_isolation", "set transaction read only", "set role postgres", "select current_user", "reset role", "set constraints all deferred")},
		{name: "pitfall-19-parameter-status", want: []string{`S "client_encoding\x00LATIN1\x00"`}, client: q("set client_encoding to 'latin1'", "set timezone to 'Asia/Tokyo'",
			"set datestyle to 'German'", "begin; set application_name to 'x'; rollback", "reset all")},
		{name: "pitfall-21-listen-notify", want: []string{"A "}, client: func(c *wire.PG, l lane) {
			c.Login()
			c.Ask("Z", wire.Query("listen difference"))
			c.Ask("Z", wire.Query("notify difference, 'from myself'"))
			ask(l, "notify difference, 'from another'")
			c.Read("A")
			c.Ask("Z", wire.Query("select 1"))
			c.End()
		}},
		{name: "pitfall-30-cancel", want: []string{"57014"}, client: func(c *wire.PG, l lane) {
			c.Login()
			// A query that says nothing before its end, whenever the cancel comes.
			c.Send(wire.Query("create temp table nap as select 1 as n from pg_sleep(600)"))
			stop := make(chan struct{})
			go cancelUntil(stop, l, c.Key)
			c.Read("E")
			close(stop)
			c.Read("Z")
			c.End()
		}},
		{name: "pitfall-42-server-dies-in-transaction", want: []string{"57P01", "end of the connection"}, client: func(c *wire.PG, _ lane) {
			c.Login()
			c.Ask("Z", wire.Query("begin"))
			c.Ask("$", wire.Query("select pg_terminate_backend(pg_backend_pid())"))
		}},
		{name: "pitfall-43-statement-timeout", want: []string{"57014", `Z "E"`}, client: q("begin", "set local statement_timeout to '20ms'", "select pg_sleep(600)", "rollback",
			"show statement_timeout", "select 1")},
		{name: "pitfall-47-canonical-settings", want: []string{"ISO, DMY"}, client: q("set datestyle to iso, dmy", "set timezone to 'europe/paris'", `set search_path to "$user", 'Odd "name"', public`,
			"show search_path", "set timezone to interval '-08:00' hour to minute", "show timezone")},
		{name: "pitfall-49-session-bound", want: []string{"CREATE TABLE", "DECLARE CURSOR"}, client: q("create temp table mine (id serial, v int)", "insert into mine (v) values (7), (8)",
			"select currval('mine_id_seq'), lastval()", "select pg_advisory_lock(4242)", "select pg_advisory_unlock(4242)",
			"begin; declare held cursor with hold for select * from mine; commit", "fetch 1 from held", "fetch 5 from held", "close held")},
		{name: "pitfall-51-exported-snapshot", want: []string{"SET\\x00"}, client: func(c *wire.PG, l lane) {
			c.Login()
			h, err := wire.DialPG(l.addr)
			if err != nil {
				c.Fail(err)
				return
			}
			h.Login()
			h.Ask("Z", wire.Query("begin isolation level repeatable read"))
			h.Ask("Z", wire.Query("select pg_export_snapshot()"))
			id := regexp.MustCompile(`[0-9A-F]{8}-[0-9A-F]{8}-\d+`).FindString(h.String())
			c.Ask("Z", wire.Query("begin isolation level repeatable read"))
			c.Ask("Z", wire.Query("set transaction snapshot '"+id+"'"))
			c.Ask("Z", wire.Query("select 1"))
			c.End()
			h.End()
		}},
		{name: "pitfall-56-not-utf8", want: []string{"22021"}, client: q("select 'caf\xe9'", "set client_encoding to 'latin1'", "select 'caf\xe9', length('caf\xe9')",
			"set standard_conforming_strings to off", `select 'it\'s'`, "select $tag$ ; ' $tag$")},
	}
}

// cancelUntil sends cancel requests until stop is closed: the first ones may come before the query.
func cancelUntil(stop chan struct{}, l lane, key []byte) {
	for {
		h, err := wire.DialPG(l.addr)
		if err != nil {
			return
		}
		h.Send(wire.CancelRequest(uint32(key[0])<<24|uint32(key[1])<<16|uint32(key[2])<<8|uint32(key[3]), key[4:]))
		h.Read("$") // no answer but the end
		h.Conn.Close()
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func pgCopyCases() []pgCase {
	const make = "create temp table cp (a int, b text)"
	sync := wire.Sync()
	in := wire.Join(wire.Parse("", "copy cp from stdin"), wire.Bind("", ""), wire.Execute("", 0))
	return []pgCase{
		{name: "pitfall-22-copy-in-failure", want: []string{"22P02", "57014"}, client: batches(
			wire.Query(make), "Z",
			wire.Query("copy cp from stdin"), "G",
			wire.CopyData("not a number\tx\n"), "Z", // simple protocol: ready at once
			wire.Join(wire.CopyData("1\tlate\n"), wire.CopyDone(), wire.CopyFail("later")), "", // to be dropped by the server
			wire.Query("select count(*) from cp"), "Z",
			wire.Join(in, sync), "G", // extended protocol: ready after Sync
			wire.Join(wire.CopyData("wrong\ty\n"), wire.CopyData("2\tlate\n"), wire.CopyDone()), "E", sync, "Z",
			wire.Query("copy cp from stdin"), "G", wire.Join(wire.CopyData("1\tx\n"), wire.CopyFail("changed my mind")), "Z",
			wire.Query("select count(*) from cp"), "Z")},
		{name: "pitfall-24-sync-inside-copy", want: []string{"COPY 2"}, client: batches(
			wire.Query(make), "Z",
			wire.Join(in, sync), "G",
			wire.Join(wire.CopyData("1\tone\n"), sync, wire.Flush(), wire.CopyData("2\ttwo\n"), wire.CopyDone(), sync), "CZ",
			wire.Join(in, wire.CopyData("3\tthree\n"), wire.CopyDone(), sync, wire.Query("select * from cp order by a")), "ZZ")},
		{name: "copy-out-and-errors", long: true, want: []string{"H ", "c "}, client: batches(
			wire.Query("copy (select i, repeat('x', 200) from generate_series(1, 20000) i) to stdout"), "Z",
			wire.Query("copy (select 1/(1000 - i) from generate_series(1, 2000) i) to stdout"), "Z",
			wire.Join(wire.Extended("copy (select 1) to stdout"), wire.Extended("select 2"), sync), "Z")},
		{name: "copy-in-large", long: true, want: []string{"COPY 30000"}, client: func(c *wire.PG, _ lane) {
			c.Login()
			c.Ask("Z", wire.Query(make))
			c.Ask("G", wire.Query("copy cp from stdin"))
			var b strings.Builder
			for i := range 30_000 {
				fmt.Fprintf(&b, "%d\t%s\n", i, strings.Repeat("y", i%300))
				if b.Len() > 70_000 {
					c.Send(wire.CopyData(b.String()))
					b.Reset()
				}
			}
			c.Ask("Z", wire.CopyData(b.String()), wire.CopyDone())
			c.Ask("Z", wire.Query("select count(*), sum(a), md5(string_agg(b, '' order by a)) from cp"))
			c.End()
		}},
	}
}

func pgLoginCases() []pgCase {
	refused := func(params ...string) func(*wire.PG, lane) {
		return func(c *wire.PG, _ lane) {
			c.Send(wire.Startup(wire.V30, params...))
			c.Read("$")
		}
	}
	return []pgCase{
		{name: "pitfall-34-negotiate-protocol-version", want: []string{"v ", "_pq_.no_such"}, client: func(c *wire.PG, _ lane) {
			c.Send(wire.Startup(wire.V32, "user", "app", "database", "app", "_pq_.no_such", "1"))
			c.Read("Z")
			c.Ask("Z", wire.Query("select 1"))
			c.End()
		}},
		{name: "pitfall-37-gssenc-first", want: []string{`byte "N"`}, client: func(c *wire.PG, _ lane) {
			// A server built with GSSAPI would say yes; Sluice has no such encryption to offer.
			c.Send(wire.GSSENCRequest())
			c.Byte()
			c.Login()
			c.End()
		}, server: func(p *wire.PGPeer) {
			p.Welcome()
			p.Gone()
		}},
		{name: "pitfall-40-unknown-user", want: []string{"28000", "end of the connection"}, client: refused("user", "stranger", "database", "app")},
		{name: "pitfall-40-unknown-database", want: []string{"3D000", "end of the connection"}, client: refused("user", "app", "database", "nowhere")},
		{name: "pitfall-45-fresh-parameters", want: []string{"German"}, client: func(c *wire.PG, l lane) {
			ask(l, "alter role postgres set datestyle to 'German'")
			c.Send(wire.Startup(wire.V30, "user", "postgres", "database", "app"))
			c.Read("Z")
			c.End()
			ask(l, "alter role postgres reset datestyle")
		}},
		{name: "pitfall-48-unknown-setting", want: []string{"42704"}, client: refused("user", "app", "database", "app", "no_such_setting", "1")},
		{name: "pitfall-54-end-without-terminate", client: func(c *wire.PG, _ lane) {
			c.Login()
			c.Ask("Z", wire.Query("select 1"))
			_ = c.Conn.(*net.TCPConn).CloseWrite()
			c.Read("$")
		}, want: []string{"end of the connection"}},
		{name: "pitfall-55-long-startup", want: []string{`"DateStyle\x00SQL, DMY\x00"`}, client: func(c *wire.PG, _ lane) {
			c.Login("application_name", strings.Repeat("long", 1200), "options", `-c datestyle=SQL,DMY -c search_path="a\ b\\c" --geqo=off`)
			c.Ask("Z", wire.Query("show search_path"))
			c.Ask("Z", wire.Query("show geqo"))
			c.End()
		}},
		{name: "pitfall-55-replication-spellings", want: []string{"systemid"}, client: func(c *wire.PG, _ lane) {
			for _, spelling := range []string{"database", "true", "on", "1", "off"} {
				h, err := wire.DialPG(c.Conn.RemoteAddr().String())
				if err != nil {
					c.Fail(err)
					return
				}
				h.Login("replication", spelling)
				h.Ask("Z", wire.Query("IDENTIFY_SYSTEM"))
				c.Note("replication=%s knows systemid: %v", spelling, h.Contains("systemid"))
				h.End()
			}
		}},
	}
}

func pgScriptedCases() []pgCase {
	var cancelled atomic.Pointer[[]byte]
	longKey := []byte(strings.Repeat("secret--", 8))
	return []pgCase{
		{name: "pitfall-19-unasked-parameter-status", want: []string{"reloaded"},
			server: func(p *wire.PGPeer) {
				p.Welcome()
				p.Until('Q')
				p.Send(wire.Complete("SELECT 0"), wire.Ready('I'), wire.ParameterStatus("application_name", "reloaded"))
				p.Until('Q')
				p.Send(wire.ParameterStatus("a", "b"), wire.OneColumn("c"), wire.ParameterStatus("x", "y"), wire.Row([]byte("v")), wire.Complete("SELECT 1"), wire.Ready('I'))
				p.Gone()
			},
			client: func(c *wire.PG, _ lane) {
				c.Login()
				c.Ask("ZS", wire.Query("one"))
				c.Ask("Z", wire.Query("two"))
				c.End()
			}},
		{name: "pitfall-20-fatal-at-idle", want: []string{"57P01", "careful", "end of the connection"},
			server: func(p *wire.PGPeer) {
				p.Welcome()
				p.Until('Q')
				p.Send(wire.Complete("SELECT 0"), wire.Ready('I'))
				p.Send(wire.Failure('N', "WARNING", "01000", "careful"))
				p.Send(wire.Failure('E', "FATAL", "57P01", "terminating connection due to administrator command"))
			},
			client: func(c *wire.PG, _ lane) {
				c.Login()
				c.Ask("Z", wire.Query("one"))
				c.Read("$")
			}},
		{name: "pitfall-23-copy-both", want: []string{"W ", "last words"}, server: serveCopyBoth, client: func(c *wire.PG, _ lane) {
			c.Login("replication", "database")
			c.Ask("W", wire.Query("START_REPLICATION"))
			for range 20 {
				c.Send(wire.CopyData("status " + strings.Repeat("s", 100)))
			}
			c.Read("ddd")
			c.Ask("cCZ", wire.CopyDone())
			c.Ask("Z", wire.Query("and on"))
			c.End()
		}},
		{name: "pitfall-23-copy-both-ended-by-server", want: []string{"W ", "cannot go on"}, client: func(c *wire.PG, _ lane) {
			c.Login("replication", "database")
			c.Ask("W", wire.Query("START_REPLICATION"))
			c.Read("E")
			c.Ask("Z", wire.CopyData("late"), wire.CopyDone())
			c.End()
		}, server: func(p *wire.PGPeer) {
			p.Welcome()
			p.Until('Q')
			p.Send(wire.Msg('W', []byte{0, 0, 0}), wire.CopyData("x"), wire.Failure('E', "ERROR", "58P01", "cannot go on"))
			p.Until('c')
			p.Send(wire.Ready('I'))
			p.Gone()
		}},
		{name: "pitfall-32-long-cancel-key", want: []string{"57014"}, client: func(c *wire.PG, l lane) {
			c.Send(wire.Startup(wire.V32, "user", "app", "database", "app"))
			c.Read("Z")
			c.Send(wire.Query("sleep"))
			stop := make(chan struct{})
			go cancelUntil(stop, l, c.Key)
			c.Read("Z")
			close(stop)
			c.End()
		}, server: func(p *wire.PGPeer) {
			if p.Cancel != nil {
				cancelled.Store(&p.Cancel)
				return
			}
			cancelled.Store(nil)
			p.Send(wire.AuthOK(), wire.BackendKey(4711, longKey), wire.Ready('I'))
			p.Until('Q')
			for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				if k := cancelled.Load(); k != nil && string(*k) == "\x00\x00\x12\x67"+string(longKey) {
					p.Send(wire.Failure('E', "ERROR", "57014", "canceling statement due to user request"), wire.Ready('I'))
					p.Gone()
					return
				}
			}
		}},
		{name: "pitfall-33-no-cancel-key", want: []string{"no key here"},
			server: func(p *wire.PGPeer) {
				p.Send(wire.AuthOK(), wire.Ready('I'))
				p.Until('Q')
				p.Send(wire.Complete("no key here"), wire.Ready('I'))
				p.Gone()
			},
			client: func(c *wire.PG, _ lane) {
				c.Login()
				c.Ask("Z", wire.Query("one"))
				c.End()
			}},
		{name: "pitfall-07-error-then-fatal", want: []string{"XX000", "57P01"},
			server: func(p *wire.PGPeer) {
				p.Welcome()
				p.Until('S')
				p.Send(wire.Msg('1', nil), wire.Failure('E', "ERROR", "XX000", "internal"), wire.Failure('E', "FATAL", "57P01", "shutting down"))
			},
			client: func(c *wire.PG, _ lane) {
				c.Login()
				c.Ask("$", wire.Extended("x"), wire.Sync())
			}},
		{name: "pitfall-42-server-vanishes-in-message", want: []string{"D "},
			server: func(p *wire.PGPeer) {
				p.Welcome()
				p.Until('Q')
				p.Send(wire.OneColumn("c"), wire.Row([]byte("whole")), wire.Row([]byte("not whole"))[:9])
			},
			client: func(c *wire.PG, _ lane) {
				c.Login()
				c.Ask("$", wire.Query("one"))
			}},
	}
}

// serveCopyBoth streams in both directions; it ends after the client has.
func serveCopyBoth(p *wire.PGPeer) {
	p.Welcome()
	p.Until('Q')
	p.Send(wire.Msg('W', []byte{0, 0, 0}))
	for range 50 {
		p.Send(wire.CopyData("change " + strings.Repeat("c", 50)))
	}
	p.Until('c')
	p.Send(wire.CopyData("last words"), wire.Msg('c', nil), wire.Complete("START_STREAMING"), wire.Ready('I'))
	p.Until('Q')
	p.Send(wire.Complete("SELECT 0"), wire.Ready('I'))
	p.Gone()
}
