package e2e

import (
	"fmt"
	"strings"

	"sluice/bench/e2e/wire"
)

// copyCases are the behaviours of COPY. The table is a real one: a temporary one would keep the client
// on its server connection.
func copyCases() []pgCase {
	sync, flush := wire.Sync(), wire.Flush()
	const in = "copy copied from stdin"
	data := wire.Join(wire.CopyData("1\tone\n2\tt"), wire.CopyData("wo\n"))
	done := wire.CopyDone()
	prepared := wire.Join(wire.Parse("cp", in), sync)
	start := wire.Join(wire.Bind("", "cp"), wire.Execute("", 0))
	unnamed := wire.Join(wire.Parse("", in), wire.Bind("", ""), wire.Execute("", 0))
	count := wire.Query("select count(*), sum(a) from copied")

	// with runs pairs of batches around a table of its own.
	with := func(pairs ...any) func(*wire.PG, lane) {
		pairs = append([]any{wire.Query("drop table if exists copied; create table copied (a int primary key, b text)"), "Z"}, pairs...)
		return batches(append(pairs, count, "Z", wire.Query("drop table copied"), "Z")...)
	}
	return []pgCase{
		{name: "25 copy in by a simple query", want: []string{"COPY 2"}, client: with(
			wire.Query(in), "G", wire.Join(data, done), "Z")},
		{name: "25 copy in by a simple query in one piece", want: []string{"COPY 2"}, client: with(
			wire.Join(wire.Query(in), data, done, wire.Query("select 'behind'")), "ZZ")},
		{name: "25 copy in by the extended protocol", want: []string{"COPY 2"}, client: with(
			wire.Join(unnamed, flush), "G", wire.Join(data, done, sync), "Z")},
		{name: "25 copy in by a prepared statement", want: []string{"COPY 2"}, client: with(
			prepared, "Z", wire.Join(start, sync), "G", wire.Join(data, done, sync), "Z",
			wire.Join(start, wire.CopyData("3\tthree\n"), done, sync), "Z")},
		{name: "25 copies one after the other in one query", want: []string{"COPY 1", "COPY 0"}, client: with(
			wire.Query(in+"; "+in+"; select 'end'"), "G", wire.Join(wire.CopyData("1\ta\n"), done), "G", done, "Z")},
		{name: "25 copy in without data", want: []string{"COPY 0"}, client: with(
			wire.Query(in), "G", done, "Z", wire.Join(unnamed, done, sync), "Z")},
		{name: "25 copy in with pauses", want: []string{"COPY 3"}, client: func(c *wire.PG, _ lane) {
			with(wire.Query(in), "G", wire.CopyData("1\ta\n"), "", wire.CopyData("2\tb\n")[:6], "", wire.CopyData("2\tb\n")[6:], "",
				wire.CopyData("3\tc\n"), "", done, "Z")(c, lane{})
		}},
		{name: "26 an error before the end of the data", want: []string{"22P02"}, client: with(
			wire.Query(in), "G", wire.CopyData("x\ty\n"), "Z", wire.Join(data, done), "", wire.Query("select 'fine'"), "Z")},
		{name: "26 an error before the end, extended", want: []string{"22P02"}, client: with(
			wire.Join(unnamed, flush), "G", wire.CopyData("x\ty\n"), "E", wire.Join(data, done, sync), "Z", wire.Query("select 'fine'"), "Z")},
		{name: "26 an error before the end, prepared", want: []string{"22P02"}, client: with(
			prepared, "Z", wire.Join(start, flush), "G", wire.CopyData("x\ty\n"), "E", wire.Join(data, done), "", sync, "Z",
			wire.Join(start, data, done, sync), "Z")},
		{name: "26 the client gives up", want: []string{"57014", "changed my mind"}, client: with(
			wire.Query(in), "G", wire.Join(data, wire.CopyFail("changed my mind")), "Z",
			wire.Join(unnamed, flush), "G", wire.Join(data, wire.CopyFail("changed my mind"), sync), "Z")},
		{name: "27 an error behind the end of the data", want: []string{"23505"}, client: with(
			wire.Query(in), "G", wire.Join(wire.CopyData("1\ta\n1\tb\n"), done), "Z", wire.Query("select 'fine'"), "Z")},
		{name: "27 an error behind the end, extended", want: []string{"23503"}, client: with(
			wire.Query("create table of_copied (a int references copied deferrable initially deferred)"), "Z",
			wire.Join(wire.Parse("", "copy of_copied from stdin"), wire.Bind("", ""), wire.Execute("", 0), flush), "G",
			wire.Join(wire.CopyData("7\n"), done, sync), "Z", wire.Query("drop table of_copied"), "Z")},
		{name: "27 an error behind the end, prepared", want: []string{"23505"}, client: with(
			prepared, "Z", wire.Join(start, wire.CopyData("1\ta\n1\tb\n"), done, sync), "GZ", wire.Join(start, data, done, sync), "GZ")},
		{name: "27 an error before a copy starts", want: []string{"42P01"}, client: with(
			wire.Query("copy nowhere from stdin"), "Z", wire.Join(data, done), "", wire.Query("select 'fine'"), "Z",
			wire.Join(wire.Extended("copy nowhere from stdin"), data, done, sync), "Z")},
		{name: "28 copy out by a simple query", want: []string{"H ", "2\\tb\\n", "COPY 3"}, client: batches(
			wire.Query("copy (values (1, 'a'), (2, 'b'), (3, null)) to stdout"), "Z", wire.Query("copy (values (1, 'a')) to stdout csv header; select 1"), "Z")},
		{name: "28 copy out by the extended protocol", want: []string{"COPY 2"}, client: batches(
			wire.Join(wire.Extended("copy (select generate_series(1, 2)) to stdout"), wire.Extended("select 1"), sync), "Z",
			wire.Join(wire.Parse("cp", "copy (select 'neighbour') to stdout binary"), run("cp"), sync, run("cp"), sync), "ZZ")},
		{name: "28 an error in the middle of a copy out", want: []string{"22012"}, client: batches(
			wire.Query("copy (select 1/(3 - i) from generate_series(1, 9) i) to stdout"), "Z",
			wire.Join(wire.Extended("copy (select 1/(3 - i) from generate_series(1, 9) i) to stdout"), wire.Extended("select 1"), sync), "Z", wire.Query("select 1"), "Z")},
		{name: "28 copy out that fills buffers", long: true, want: []string{"COPY 3000"}, client: batches(
			wire.Query("copy (select i, repeat('o', i % 900) from generate_series(1, 3000) i) to stdout"), "Z")},
		{name: "29 a late end of the data", want: []string{"22P02"}, client: with(
			wire.Query(in), "G", wire.CopyData("x\ty\n"), "Z", // the server is idle, and the neighbours have it
			done, "", wire.Query("select 'fine'"), "Z",
			wire.Query(in), "G", wire.CopyData("x\ty\n"), "Z", wire.Join(data, wire.CopyFail("late")), "", wire.Join(wire.Extended("select 'fine'"), sync), "Z")},
		{name: "29 data and its end out of the blue", client: with(
			wire.Join(data, done, wire.CopyFail("nothing")), "", wire.Query("select 'fine'"), "Z", wire.Join(done, data, wire.Extended("select 'fine'"), sync), "Z")},
		{name: "29 a late end behind an error of the extended protocol", want: []string{"22P02"}, client: with(
			wire.Join(unnamed, flush), "G", wire.CopyData("x\ty\n"), "E", sync, "Z", wire.Join(data, done), "", wire.Query("select 'fine'"), "Z")},
		{name: "30 an error inside a transaction", want: []string{"22P02", `Z "E"`, "ROLLBACK"}, client: with(
			wire.Query("begin"), "Z", wire.Query("insert into copied values (9, 'undone')"), "Z", wire.Query(in), "G", wire.CopyData("x\ty\n"), "Z",
			wire.Join(data, done), "", wire.Query("select 1"), "Z", wire.Query("commit"), "Z")},
		{name: "30 an error inside a transaction, extended", want: []string{"22P02", `Z "E"`, "ROLLBACK"}, client: with(
			wire.Query("begin"), "Z", wire.Join(unnamed, flush), "G", wire.CopyData("x\ty\n"), "E", wire.Join(done, sync), "Z", wire.Query("commit"), "Z")},
		{name: "30 copies in a transaction that lasts", want: []string{"COPY 2"}, client: with(
			wire.Query("begin"), "Z", wire.Query(in), "G", wire.Join(data, done), "Z", wire.Query("savepoint s"), "Z",
			wire.Query(in), "G", wire.CopyData(fmt.Sprintf("3\t%s\n", strings.Repeat("c", 2000))), "", wire.CopyFail("no"), "Z", wire.Query("rollback to s"), "Z",
			wire.Query(in), "G", wire.Join(wire.CopyData("4\td\n"), done), "Z", wire.Query("commit"), "Z")},
	}
}
