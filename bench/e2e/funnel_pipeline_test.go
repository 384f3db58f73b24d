package e2e

import (
	"fmt"
	"strings"

	"sluice/bench/e2e/wire"
)

// pipelineCases are the behaviours of several requests on the way at one time.
func pipelineCases() []pgCase {
	sync, flush := wire.Sync(), wire.Flush()
	parse := func(names ...string) []byte {
		var b []byte
		for _, n := range names {
			b = append(b, wire.Parse(n, "select 'I am "+n+"', $1::int")...)
		}
		return b
	}
	runs := func(names ...string) []byte {
		var b []byte
		for _, n := range names {
			b = append(b, run(n, "7")...)
		}
		return b
	}
	return []pgCase{
		{name: "08 more statements than are kept", want: []string{"I am e"}, client: batches(
			wire.Join(parse("a", "b", "c", "d", "e"), sync), "Z",
			wire.Join(runs("a"), sync), "Z", wire.Join(runs("e"), sync), "Z", wire.Join(runs("b"), sync), "Z",
			wire.Join(runs("a", "b", "c", "d", "e"), sync), "Z", wire.Join(runs("e", "d", "c", "b", "a"), sync), "Z")},
		{name: "08 more statements than are kept in a transaction", client: batches(
			wire.Query("begin"), "Z", wire.Join(parse("a", "b", "c"), runs("c", "b", "a"), sync), "Z", wire.Join(runs("b", "c", "a"), sync), "Z",
			wire.Query("commit"), "Z", wire.Join(runs("a", "c", "b"), sync), "Z")},
		{name: "08 an open portal of a statement that is not kept", client: batches(
			wire.Query("begin"), "Z",
			wire.Join(wire.Parse("a", "select * from generate_series(1, 9)"), wire.Bind("po", "a"), wire.Execute("po", 2), sync), "Z",
			wire.Join(parse("b", "c", "d"), runs("b", "c", "d"), sync), "Z",
			wire.Join(wire.Execute("po", 0), sync), "Z", wire.Query("commit"), "Z")},
		{name: "09 statements given up in a pipeline that fails", want: []string{"22P02"}, client: batches(
			wire.Join(parse("a", "b"), sync), "Z",
			wire.Join(parse("c"), run("a", "wrong"), parse("d", "e"), runs("a"), sync), "Z",
			wire.Join(runs("a"), sync), "Z", wire.Join(runs("b"), sync), "Z", wire.Join(runs("c"), sync), "Z", wire.Join(runs("d"), sync), "Z",
			wire.Join(parse("d", "e"), runs("e", "d", "c", "b", "a"), sync), "Z")},
		{name: "09 a pipeline that fails at its first message", want: []string{"26000"}, client: batches(
			wire.Join(parse("a", "b"), sync), "Z",
			wire.Join(run("nothing"), parse("c", "d"), runs("a", "b"), sync, runs("b", "a"), sync), "ZZ",
			wire.Join(parse("c", "d"), runs("d", "c", "a"), sync), "Z")},
		{name: "10 statements prepared and run in one batch", client: batches(
			wire.Join(parse("a", "b"), runs("a", "b", "a"), wire.Describe('S', "b"), wire.Close('S', "a"), runs("b"), sync), "Z")},
		{name: "10 many batches in one piece", client: batches(
			wire.Join(parse("a"), sync, runs("a"), sync, parse("b"), runs("b", "a"), sync, wire.Query("select 1"), runs("b"), sync, sync), "ZZZZZZ")},
		{name: "10 batches with flush between", client: batches(
			wire.Join(parse("a"), flush), "1", wire.Join(wire.Bind("", "a", "7"), flush), "2", wire.Join(wire.Execute("", 0), flush), "C",
			wire.Join(runs("a"), flush), "C", wire.Join(parse("b"), runs("b"), flush), "C", sync, "Z")},
		{name: "10 transactions in a pipeline", client: batches(
			wire.Join(wire.Query("begin"), runs("a"), sync, wire.Query("rollback"), parse("a"), sync, wire.Query("begin"), runs("a"), sync, wire.Query("commit"),
				wire.Extended("begin"), runs("a"), wire.Extended("commit"), sync), "ZZZZZZZZ")},
		{name: "10 the unnamed statement between named ones", client: batches(
			wire.Join(parse("a"), wire.Extended("select 'unnamed 1'"), runs("a"), wire.Bind("", ""), wire.Execute("", 0), sync), "Z",
			wire.Join(wire.Bind("", ""), wire.Describe('P', ""), wire.Execute("", 0), sync), "Z",
			wire.Join(runs("a"), wire.Describe('S', ""), sync), "Z")},
		{name: "15 an error ends its batch and no other", want: []string{"22012"}, client: batches(
			wire.Join(wire.Extended("select 1"), wire.Extended("select 1/0"), wire.Extended("select 2"), sync, wire.Extended("select 3"), sync), "ZZ")},
		{name: "15 an error in bind", want: []string{"22P02", "08P01"}, client: batches(
			wire.Join(parse("a"), runs("a"), run("a", "x"), runs("a"), sync, runs("a"), sync), "ZZ",
			wire.Join(run("a"), runs("a"), sync, runs("a"), sync), "ZZ")},
		{name: "15 errors one after the other", want: []string{"22012", "42P01", "42601"}, client: batches(
			wire.Join(wire.Extended("select 1/0"), sync, wire.Extended("select * from nowhere"), sync, wire.Extended("selekt"), sync, runs("nothing"), sync,
				wire.Query("select 1/0; select 2"), wire.Extended("select 'fine'"), sync), "ZZZZZZ")},
		{name: "15 an error in a pipelined transaction", want: []string{"25P02", "ROLLBACK"}, client: batches(
			wire.Join(wire.Extended("begin"), sync, wire.Extended("select 1/0"), sync, wire.Extended("select 1"), sync, wire.Extended("commit"), sync,
				wire.Extended("select 2"), sync), "ZZZZZ")},
		{name: "16 more messages between an error and its sync", want: []string{"22012"}, client: batches(
			wire.Join(parse("a"), wire.Extended("select 1/0"), flush), "E",
			wire.Join(parse("b"), runs("a"), wire.Describe('S', "a"), wire.Close('S', "a"), flush), "",
			wire.Join(runs("b"), sync), "Z",
			wire.Join(runs("a"), sync), "Z", wire.Join(runs("b"), sync), "Z", wire.Join(parse("b"), runs("b"), sync), "Z")},
		{name: "16 a simple query instead of the sync", want: []string{"22012"}, client: batches(
			wire.Join(wire.Extended("select 1/0"), flush), "E", wire.Query("select 'skipped'"), "", wire.Join(wire.Extended("select 'skipped'"), sync), "Z",
			wire.Query("select 'seen'"), "Z")},
		{name: "18 a failed parse ends the pipeline", want: []string{"42601", "26000"}, client: batches(
			wire.Join(parse("a"), wire.Parse("bad", "selekt"), parse("b"), runs("a", "b"), sync), "Z",
			wire.Join(runs("a"), sync), "Z", wire.Join(run("bad"), sync), "Z", wire.Join(runs("b"), sync), "Z",
			wire.Join(parse("b", "bad"), runs("b", "bad", "a"), sync), "Z")},
		{name: "18 the same parse fails twice in one pipeline", want: []string{"42P01"}, client: batches(
			wire.Join(wire.Parse("x", "select * from nowhere"), sync, wire.Parse("x", "select * from nowhere"), run("x"), sync, wire.Parse("x", "select 1"), run("x"), sync), "ZZZ")},
		{name: "20 half a parse in the buffer", client: func(c *wire.PG, _ lane) {
			c.Login()
			m := wire.Join(wire.Query("select 'in front'"), parse("a"), runs("a"), sync)
			for _, at := range []int{29, 30, 33, 36, 40, len(m) - 9} {
				c.Send(m[:at])
				c.Read("Z")
				c.Ask("Z", m[at:])
				c.Ask("Z", wire.Close('S', "a"), sync)
			}
			c.End()
		}, want: []string{"in front", "I am a"}},
		{name: "20 half a message while others use the pool", client: func(c *wire.PG, _ lane) {
			c.Login()
			m := wire.Join(parse("a"), runs("a"), sync, runs("a"), sync)
			for _, at := range []int{1, 4, 7, 20, 50, len(m) - 3} {
				c.Ask("", m[:at])
				c.Ask("ZZ", m[at:])
				c.Ask("Z", wire.Close('S', "a"), sync)
			}
			c.End()
		}, want: []string{"I am a"}},
		{name: "21 flushes behind answers that fill the buffer", want: []string{"D 5006 bytes"}, client: batches(
			wire.Join(wire.Parse("big", "select repeat('z', $1::int)"), run("big", "900"), flush), "C",
			wire.Join(run("big", "1015"), flush), "C", wire.Join(run("big", "1024"), flush, run("big", "5000"), flush), "CC",
			wire.Join(run("big", "1"), flush), "C", sync, "Z")},
		{name: "21 a pipeline that fills the buffer", long: true, client: func(c *wire.PG, _ lane) {
			c.Login()
			c.Ask("Z", wire.Parse("big", "select $1::text"), sync)
			var m []byte
			for i := range 200 {
				m = append(m, run("big", strings.Repeat(fmt.Sprint(i), 40))...)
				m = append(m, flush...)
			}
			c.Ask(strings.Repeat("C", 200), m)
			c.Ask("Z", sync)
			c.End()
		}},
		{name: "22 a pause before the last sync", client: func(c *wire.PG, _ lane) {
			c.Login()
			c.Ask("Z", wire.Join(parse("a"), sync))
			c.Ask("", runs("a")) // the answer may or may not come before the sync
			c.Ask("Z", sync)
			c.Ask("Z", runs("a"), sync, runs("a")) // one Sync is answered, one is still to come
			c.Ask("Z", sync)
			c.End()
		}},
		{name: "22 a pause inside a transaction", client: func(c *wire.PG, _ lane) {
			c.Login()
			c.Ask("ZZ", wire.Query("begin"), parse("a"), sync)
			c.Ask("", runs("a"))
			c.Ask("ZZ", sync, wire.Query("commit"))
			c.Ask("Z", runs("a"), sync)
			c.End()
		}},
	}
}
