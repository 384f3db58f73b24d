package e2e

import (
	"encoding/binary"
	"fmt"
	"strings"

	"sluice/bench/e2e/wire"
)

// preparedCases are the behaviours of prepared statements that a client sees. The number is the one of
// BEHAVIOURS.md. Their statements have the names that the neighbours use for theirs.
func preparedCases() []pgCase {
	sync, flush := wire.Sync(), wire.Flush()
	prepare := wire.Join(wire.Parse("st", "select $1::int + 1 as next"), sync)
	again := wire.Join(run("st", "41"), sync)
	var all []pgCase
	for _, part := range [][]pgCase{preparedUse(prepare, again), preparedDiscard(prepare, again), preparedLong(), {
		{name: "12 describe of an unknown name", want: []string{"26000", "34000"}, client: batches(
			wire.Join(wire.Describe('S', "unknown"), sync), "Z",
			wire.Join(wire.Describe('P', "unknown"), sync), "Z",
			wire.Join(run("st"), sync), "Z", // the neighbours' name
			wire.Query("select 1"), "Z")},
		{name: "12 an unknown name in a pipeline", want: []string{"26000"}, client: batches(
			wire.Join(wire.Extended("select 1"), wire.Describe('S', "st"), wire.Extended("select 2"), sync, wire.Extended("select 3"), sync), "ZZ")},
		{name: "13 a closed name is free", want: []string{`"\x00\x01\x00\x00\x00\x01b"`}, client: batches(
			prepare, "Z",
			wire.Join(wire.Close('S', "st"), sync), "Z", again, "Z",
			wire.Join(wire.Parse("st", "select 'b'"), run("st"), sync), "Z")},
		{name: "13 closing what is not there", client: batches(
			wire.Join(wire.Close('S', "st"), wire.Close('P', "st"), wire.Close('S', ""), wire.Close('P', ""), flush), "3333", sync, "Z")},
		{name: "13 close and prepare in one batch", want: []string{"26000"}, client: batches(
			prepare, "Z",
			wire.Join(wire.Close('S', "st"), wire.Parse("st", "select 'second'"), run("st"), wire.Close('S', "st"), run("st"), sync), "Z",
			wire.Join(wire.Parse("st", "select 'third'"), run("st"), sync), "Z")},
		{name: "13 close leaves open portals alone", client: batches(
			wire.Query("begin"), "Z",
			wire.Join(wire.Parse("st", "select * from generate_series(1, 5)"), wire.Bind("po", "st"), wire.Execute("po", 2), wire.Close('S', "st"), sync), "Z",
			wire.Join(wire.Execute("po", 0), sync), "Z", wire.Query("commit"), "Z")},
		{name: "17 a failed parse is forgotten", want: []string{"42601", "26000"}, client: batches(
			wire.Join(wire.Parse("st", "selekt 1"), sync), "Z", again, "Z",
			prepare, "Z", again, "Z")},
		{name: "17 a parse that fails on some servers only", want: []string{"42P01"}, client: batches(
			wire.Query("drop table if exists not_yet"), "Z",
			wire.Join(wire.Parse("st", "select count(*) from not_yet"), sync), "Z",
			wire.Query("create table not_yet (a int)"), "Z",
			wire.Join(wire.Parse("st", "select count(*) from not_yet"), run("st"), sync), "Z",
			wire.Query("drop table not_yet"), "Z", wire.Join(run("st"), sync), "Z",
			wire.Join(wire.Close('S', "st"), wire.Parse("st", "select 1"), run("st"), sync), "Z")},
		{name: "19 a name is not reused", want: []string{"42P05"}, client: batches(
			prepare, "Z", wire.Join(wire.Parse("st", "select 'other'"), sync), "Z", again, "Z",
			prepare, "Z", again, "Z")},
		{name: "19 a name is not reused in a transaction", want: []string{"42P05", `Z "E"`}, client: batches(
			prepare, "Z", wire.Query("begin"), "Z", prepare, "Z", again, "Z", wire.Query("rollback"), "Z", again, "Z")},
		{name: "19 a name is not reused by the other way to prepare", want: []string{"42P05", "sql"}, client: batches(
			prepare, "Z", wire.Query("prepare st as select 1"), "Z", wire.Query("execute st(41)"), "Z",
			wire.Query("deallocate st"), "Z", wire.Query("prepare st as select 'sql'"), "Z", prepare, "Z",
			wire.Join(run("st"), wire.Describe('S', "st"), sync), "Z")},
	}} {
		all = append(all, part...)
	}
	return all
}

func preparedUse(prepare, again []byte) []pgCase {
	sync := wire.Sync()
	number := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	return []pgCase{
		{name: "01 parameters and results as text", want: []string{`"\x00\x01\x00\x00\x00\x0242"`}, client: batches(
			prepare, "Z", again, "Z", again, "Z", wire.Join(run("st", "-1"), run("st", "\x00"), sync), "Z")},
		{name: "01 parameters and results in binary", want: []string{`"\x00\x01\x00\x00\x00\x04\x00\x00\x00*"`}, client: batches(
			prepare, "Z",
			wire.Join(wire.BindBinary("", "st", number(41)), wire.Describe('P', ""), wire.Execute("", 0), sync), "Z",
			wire.Join(wire.BindBinary("", "st", nil), wire.Execute("", 0), sync), "Z",
			wire.Join(wire.BindBinary("", "st", number(41)[:3]), wire.Execute("", 0), sync), "Z",
			again, "Z")},
		{name: "01 null, empty and long parameters", client: batches(
			wire.Join(wire.Parse("st", "select $1::text is null, length($1), md5($2)"), sync), "Z",
			wire.Join(run("st", "\x00", ""), run("st", "", "\x00"), run("st", strings.Repeat("a", 3000), strings.Repeat("\xc3\xa9", 1500)), sync), "Z")},
		{name: "01 the shape of a statement is told", want: []string{"t "}, client: batches(
			prepare, "Z", wire.Join(wire.Describe('S', "st"), sync), "Z",
			wire.Join(wire.Parse("typed", "select $1, $2 || 'x' as joined, now()", 23, 0), wire.Describe('S', "typed"), sync), "Z",
			wire.Join(wire.Parse("none", "set application_name to 'x'"), wire.Describe('S', "none"), wire.Close('S', "none"), sync), "Z",
			wire.Join(wire.Bind("po", "typed", "1", "two"), wire.Describe('P', "po"), sync), "Z")},
		{name: "01 the same text under two names", client: batches(
			prepare, "Z", wire.Join(wire.Parse("other", "select $1::int + 1 as next"), sync), "Z",
			wire.Join(run("other", "1"), wire.Close('S', "other"), sync), "Z", again, "Z")},
		{name: "01 the same name in and out of a transaction", client: batches(
			prepare, "Z", wire.Query("begin"), "Z", again, "Z", wire.Query("commit"), "Z", again, "Z")},
		{name: "01 a name that looks like one of Sluice's own", client: batches(
			wire.Join(wire.Parse("sluice_0_1", "select 'mine'"), wire.Parse("S_1", "select 'mine too'"), sync), "Z",
			wire.Join(run("sluice_0_1"), run("S_1"), sync), "Z", wire.Join(wire.Parse("sluice_0_1", "select 2"), sync), "Z",
			wire.Query("execute sluice_0_1"), "Z", wire.Query("select name, statement from pg_prepared_statements where name = 'nowhere'"), "Z")},
		{name: "01 arrays, composites and domains", client: batches(
			wire.Join(wire.Parse("st", "select $1::int[], row($2::text, $3::date), $4::jsonb -> 'k'"), wire.Describe('S', "st"), sync), "Z",
			wire.Join(run("st", "{1,NULL,3}", `quo"te`, "2026-11-22", `{"k": [1, 2]}`), sync), "Z", wire.Join(run("st", "{1,", "", "today", "{}"), sync), "Z")},
	}
}

// preparedDiscard are the ways in which a client gives its statements up.
func preparedDiscard(prepare, again []byte) []pgCase {
	sync := wire.Sync()
	other := wire.Join(wire.Parse("st", "select 'other' || $1::int"), sync)
	return []pgCase{
		{name: "02 deallocate all frees the names", want: []string{"DEALLOCATE ALL", "26000", "other41"}, client: batches(
			prepare, "Z", wire.Query("DEALLOCATE ALL"), "Z", again, "Z", other, "Z", again, "Z")},
		{name: "02 deallocate all in the extended protocol", want: []string{"DEALLOCATE ALL", "26000", "other41"}, client: batches(
			prepare, "Z", wire.Join(wire.Extended("deallocate prepare all"), sync), "Z", again, "Z", other, "Z", again, "Z")},
		{name: "02 deallocate all among other statements", want: []string{"DEALLOCATE ALL", "26000", "other41"}, client: batches(
			prepare, "Z", wire.Query("select 1; deallocate all; select 2"), "Z", again, "Z", other, "Z", again, "Z")},
		{name: "02 deallocate all in a pipeline", want: []string{"DEALLOCATE ALL", "26000", "other41"}, client: batches(
			wire.Join(prepare, again, wire.Query("deallocate all"), again, other, again), "ZZZZZZ")},
		{name: "02 deallocate all is not undone by a rollback", want: []string{"26000"}, client: batches(
			prepare, "Z", wire.Query("begin"), "Z", wire.Query("deallocate all"), "Z", wire.Query("rollback"), "Z", again, "Z", prepare, "Z")},
		{name: "02 deallocate all in a failed transaction", want: []string{"25P02"}, client: batches(
			prepare, "Z", wire.Query("begin; select 1/0"), "Z", wire.Query("deallocate all"), "Z", wire.Query("rollback"), "Z", again, "Z")},
		{name: "02 deallocate of one statement", want: []string{"DEALLOCATE", "26000"}, client: batches(
			prepare, "Z", wire.Join(wire.Parse("St", "select 'capital'"), sync), "Z",
			wire.Query("DEALLOCATE ST"), "Z", again, "Z", wire.Join(run("St"), sync), "Z",
			wire.Query(`deallocate "St"`), "Z", wire.Join(run("St"), sync), "Z", wire.Query("deallocate st"), "Z")},
		{name: "03 discard all frees the names", want: []string{"DISCARD ALL", "26000", "other41"}, client: batches(
			prepare, "Z", wire.Query("DISCARD ALL"), "Z", again, "Z", other, "Z", again, "Z")},
		{name: "03 discard all in the extended protocol", want: []string{"DISCARD ALL", "26000", "other41"}, client: batches(
			prepare, "Z", wire.Join(wire.Extended("discard all"), sync), "Z", again, "Z", other, "Z", again, "Z")},
		{name: "03 discard all behind other requests", want: []string{"DISCARD ALL", "26000", "other41"}, client: batches(
			wire.Join(prepare, again, wire.Query("discard all"), again, other, again), "ZZZZZZ")},
		{name: "03 discard all fails in a transaction", want: []string{"25001"}, client: batches(
			prepare, "Z", wire.Query("begin"), "Z", wire.Query("discard all"), "Z", wire.Query("rollback"), "Z", again, "Z",
			wire.Query("select 1; discard all"), "Z", again, "Z")},
		{name: "03 discard all takes settings back to those of the login", want: []string{"Asia/Baku", "Pacific/Fiji"}, client: backToLogin("discard all")},
		{name: "03 reset all takes settings back to those of the login", want: []string{"Asia/Baku", "Pacific/Fiji"}, client: backToLogin("reset all")},
		{name: "03 reset of one setting", want: []string{"Asia/Baku", "Pacific/Fiji"}, client: backToLogin("reset timezone; reset search_path")},
		{name: "03 other kinds of discard keep the statements", want: []string{"DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES"}, client: batches(
			prepare, "Z", wire.Query("discard plans"), "Z", again, "Z", wire.Query("discard temp; discard sequences"), "Z", again, "Z")},
	}
}

// backToLogin changes settings and takes them back.
func backToLogin(how string) func(*wire.PG, lane) {
	return func(c *wire.PG, _ lane) {
		c.Login("TimeZone", "Asia/Baku", "application_name", "at login")
		for _, sql := range []string{"set timezone to 'Pacific/Fiji'", "set application_name to 'later'", "set search_path to pg_catalog", "set client_encoding to latin1",
			"show timezone", how, "show timezone", "show application_name", "show search_path", "show client_encoding", "begin", how, "rollback", "show timezone"} {
			c.Ask("Z", wire.Query(sql))
		}
		c.End()
	}
}

// preparedLong are messages and names that no buffer holds.
func preparedLong() []pgCase {
	sync := wire.Sync()
	text := func(n int) string { return "select $1::int + 1 /*" + strings.Repeat("x", max(0, n-23)) + "*/" }
	all := []pgCase{
		{name: "04 a statement longer than the buffer", long: true, want: []string{`"\x00\x01\x00\x00\x00\x0242"`}, client: batches(
			wire.Join(wire.Parse("st", text(5000)), sync), "Z", wire.Join(run("st", "41"), sync), "Z",
			wire.Join(wire.Parse("", text(5000)), run("", "1"), sync), "Z", wire.Join(wire.Parse("x", text(5001)), run("x", "1"), run("st", "1"), sync), "Z")},
		{name: "04 a statement much longer than the buffer", long: true, want: []string{`"\x00\x01\x00\x00\x00\x0242"`}, client: batches(
			wire.Join(wire.Parse("st", text(300_000)), sync), "Z", wire.Join(run("st", "41"), sync), "Z", wire.Join(run("st", "41"), wire.Close('S', "st"), sync), "Z")},
		{name: "04 a statement too long to be shared", long: true, want: []string{`"\x00\x01\x00\x00\x00\x0242"`, "26000"}, client: batches(
			wire.Join(wire.Parse("st", text(1_100_000)), sync), "Z", wire.Join(run("st", "41"), sync), "Z", wire.Join(wire.Parse("st", "select 1"), sync), "Z",
			wire.Join(wire.Close('S', "st"), sync), "Z", wire.Join(run("st", "41"), sync), "Z", wire.Query("discard all"), "Z", wire.Query("select 1"), "Z")},
		{name: "05 parameters longer than the buffer", long: true, want: []string{`"\x00\x01\x00\x00\x00\x045000"`}, client: batches(
			wire.Join(wire.Parse("st", "select length($1)"), sync), "Z", wire.Join(run("st", strings.Repeat("p", 5000)), sync), "Z",
			wire.Join(wire.Extended("select length($1), $1 = $2", strings.Repeat("p", 4000), strings.Repeat("p", 4000)), sync), "Z")},
		{name: "05 parameters much longer than the buffer", long: true, want: []string{"1000000"}, client: batches(
			wire.Join(wire.Parse("st", "select length($1) + $2::int"), sync), "Z",
			wire.Join(run("st", strings.Repeat("p", 999_999), "1"), run("st", strings.Repeat("q", 70_000), "2"), sync), "Z")},
		{name: "07 a long statement while settings change", long: true, client: func(c *wire.PG, _ lane) {
			c.Login("TimeZone", "Europe/Oslo", "application_name", strings.Repeat("n", 60), "search_path", "public, pg_catalog")
			for i := range 4 {
				name := fmt.Sprint("st", i)
				c.Ask("Z", wire.Parse(name, "select current_setting('TimeZone'), $1::int /*"+strings.Repeat("y", 2500)+"*/"), sync)
				c.Ask("Z", run(name, "7"), sync)
				c.Ask("Z", wire.Query(fmt.Sprintf("set timezone to 'Etc/GMT+%d'", i+1)))
				c.Ask("Z", run(name, "7"), sync)
				c.Ask("Z", wire.Extended("select current_setting('search_path') /*"+strings.Repeat("z", 2500)+"*/"), sync)
			}
			c.End()
		}, want: []string{"Europe/Oslo", "Etc/GMT+3"}},
		{name: "14 a name longer than the buffer", long: true, want: []string{`"\x00\x01\x00\x00\x00\x0242"`, "E 4101 bytes"}, client: func(c *wire.PG, _ lane) {
			name := strings.Repeat("name", 1000)
			c.Login()
			c.Ask("Z", wire.Parse(name, text(30)), sync)
			c.Ask("Z", run(name, "41"), wire.Describe('S', name), sync)
			c.Ask("Z", run("x"+name, "41"), sync)
			c.Ask("Z", run(name+"x", "41"), sync) // the server compares the first 63 bytes
			c.Ask("Z", wire.Parse(name, text(30)), sync)
			c.Ask("Z", wire.Close('S', name), run(name, "41"), sync)
			c.End()
		}},
		{name: "14 the name of a portal longer than the buffer", long: true, want: []string{"s \"\"", "E 4288 bytes"}, client: func(c *wire.PG, _ lane) {
			name := strings.Repeat("portal", 700)
			c.Login()
			c.Ask("Z", wire.Parse("st", "select * from generate_series(1, $1)"), wire.Bind(name, "st", "3"), wire.Describe('P', name), wire.Execute(name, 2),
				wire.Execute(name, 2), wire.Close('P', name), sync)
			c.Ask("Z", wire.Execute(name, 2), sync)
			c.End()
		}},
	}
	// All sizes about the multiples of the smallest buffer, where a message's end and the buffer's meet.
	all = append(all, pgCase{name: "06 statements of one to four times the buffer", long: true, client: func(c *wire.PG, _ lane) {
		c.Login()
		for _, n := range aboutMultiples {
			c.Ask("Z", wire.Parse("st", text(n)), run("st", "41"), wire.Close('S', "st"), sync)
		}
		c.End()
	}}, pgCase{name: "06 parameters of one to four times the buffer", long: true, client: func(c *wire.PG, _ lane) {
		c.Login()
		c.Ask("Z", wire.Parse("st", "select length($1), md5($1)"), sync)
		for _, n := range aboutMultiples {
			c.Ask("Z", run("st", strings.Repeat("p", n)), sync)
		}
		c.End()
	}}, pgCase{name: "06 simple queries of one to four times the buffer", long: true, client: func(c *wire.PG, _ lane) {
		c.Login()
		for _, n := range aboutMultiples {
			c.Ask("Z", wire.Query("select '"+strings.Repeat("s", n)+"'"))
		}
		c.End()
	}})
	return all
}

// aboutMultiples are sizes around one to four times the smallest read buffer.
var aboutMultiples = func() (sizes []int) {
	for k := 1; k <= 4; k++ {
		for d := -60; d <= 10; d += 7 {
			sizes = append(sizes, k*1024+d)
		}
	}
	return sizes
}()
