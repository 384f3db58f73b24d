package e2e

import "sluice/bench/e2e/wire"

// npgsqlReset is what a driver sends in front of the first request of a connection that its own pool has
// lent out again, in one piece with that request.
const npgsqlReset = "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP"

// sharedCases are conversations in which what one request does to the session matters to the next one,
// which may come behind it without a pause, or behind the requests of others.
func sharedCases() []pgCase {
	sync := wire.Sync()
	extended := func(sql string, params ...string) []byte { return wire.Join(wire.Extended(sql, params...), sync) }
	parse := func(name, sql string) []byte { return wire.Join(wire.Parse(name, sql), sync) }
	back := func(name string, how []byte, until string) pgCase {
		return pgCase{name: name, want: []string{"Asia/Baku", "Pacific/Fiji"}, client: func(c *wire.PG, _ lane) {
			c.Login("TimeZone", "Asia/Baku", "search_path", "pg_catalog", "application_name", "at login")
			c.Ask("Z", wire.Query("set timezone to 'Pacific/Fiji'"))
			c.Ask("Z", wire.Query("set search_path to public"))
			c.Ask("Z", wire.Query("show timezone"))
			c.Ask(until+"ZZ", how, extended("select current_setting('TimeZone'), current_setting('search_path')"), wire.Query("show application_name"))
			c.Ask("Z", wire.Query("show timezone"))
			c.End()
		}}
	}
	return []pgCase{
		{name: "shared: a temporary table hides another one", client: batches(
			wire.Query("drop table if exists hidden; create table hidden (a int); insert into hidden values (1)"), "Z",
			wire.Query("create temp table seen (a int); drop table seen"), "Z",
			wire.Join(wire.Parse("a", "select count(*) from hidden"), run("a"), sync), "Z",
			wire.Query("create temp table hidden (a int)"), "Z",
			wire.Join(wire.Parse("b", "select count(*) from hidden"), run("b"), sync), "Z",
			wire.Join(wire.Parse("c", "insert into hidden values (2), (3)"), run("c"), run("b"), sync), "Z",
			extended("select count(*), min(a) from hidden"), "Z",
			wire.Query("drop table hidden"), "Z",
			wire.Join(wire.Parse("d", "select count(*) from hidden"), run("d"), run("b"), sync), "Z",
			wire.Query("drop table hidden"), "Z")},
		back("shared: a driver's reset with a request behind it", wire.Query(npgsqlReset), "Z"),
		back("shared: discard all with a request behind it", wire.Query("discard all"), "Z"),
		back("shared: reset all by the extended protocol with a request behind it", extended("reset all"), "Z"),
		back("shared: set to default with a request behind it",
			wire.Join(wire.Query("set search_path to default"), wire.Query("set time zone default")), "ZZ"),
		{name: "shared: prepared statements among others", want: []string{"I am a", "42P05", "26000"}, client: batches(
			parse("a", "select 'I am a'"), "Z",
			wire.Query("begin; execute a; commit"), "Z",
			wire.Join(run("a"), sync), "Z",
			wire.Query("select 1; prepare a as select 2; select 3"), "Z",
			wire.Query("select 1; deallocate a; select 3"), "Z",
			wire.Join(run("a"), sync), "Z",
			wire.Query("prepare a as select 'again'; execute a"), "Z",
			parse("a", "select 4"), "Z",
			wire.Join(run("a"), sync), "Z",
			wire.Query("deallocate all"), "Z",
			parse("a", "select 'free'"), "Z",
			wire.Join(run("a"), sync), "Z")},
		{name: "shared: prepared by SQL and run among others", want: []string{"by SQL"}, client: batches(
			wire.Query(`prepare "A b" as select 'by SQL'`), "Z",
			wire.Query(`select 1; execute "A b"; select 2`), "Z",
			wire.Join(run("A b"), sync), "Z",
			wire.Query(`deallocate "A b"; select 1`), "Z",
			wire.Join(run("A b"), sync), "Z")},
		{name: "shared: deallocate all with statements behind it in one group", want: []string{"DEALLOCATE ALL", "26000"}, client: batches(
			parse("a", "select 'known'"), "Z",
			wire.Join(wire.Extended("deallocate all"), wire.Parse("b", "select 'known'"), run("b"), sync), "Z",
			wire.Join(run("b"), sync), "Z",
			wire.Join(run("a"), sync), "Z",
			wire.Join(wire.Extended("discard all"), wire.Parse("c", "select 'known'"), run("c"), sync), "Z",
			wire.Join(run("b"), sync), "Z", wire.Join(run("c"), sync), "Z")},
		{name: "shared: what EXECUTE sets", want: []string{"nowhere", "again"}, client: batches(
			wire.Query("prepare s(text) as select set_config('search_path', $1, false)"), "Z",
			wire.Query("execute s('nowhere')"), "Z", wire.Query("show search_path"), "Z",
			parse("p", "select set_config('application_name', 'again', false)"), "Z",
			wire.Query("execute p"), "Z", wire.Query("show application_name"), "Z",
			wire.Query("explain (analyze, costs off, timing off, summary off) execute s('public')"), "Z", wire.Query("show search_path"), "Z")},
		{name: "shared: what EXECUTE locks", client: batches(
			wire.Query("prepare l as select pg_advisory_lock(4711)"), "Z",
			wire.Query("execute l"), "Z",
			wire.Query("select count(*) from pg_locks where locktype = 'advisory' and objid = 4711 and pid = pg_backend_pid()"), "Z",
			wire.Query("select pg_advisory_unlock(4711)"), "Z",
			wire.Query("select pg_advisory_unlock(4711)"), "Z")},
		{name: "shared: a name that is taken by what does not work any more", want: []string{"42P05", "42601"}, client: batches(
			wire.Query("drop table if exists short_lived; create table short_lived (a int)"), "Z",
			parse("a", "select * from short_lived"), "Z",
			wire.Query("drop table short_lived"), "Z",
			parse("a", "select 1"), "Z", parse("a", "selekt"), "Z",
			wire.Query("begin"), "Z", wire.Query("select 1/0"), "Z", parse("a", "select 1"), "Z", parse("a", "rollback"), "Z", wire.Query("rollback"), "Z",
			wire.Join(wire.Close('S', "a"), wire.Parse("a", "select 2"), run("a"), sync), "Z")},
	}
}
