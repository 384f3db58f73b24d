package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
)

// postgresProxy starts Sluice before one server and returns its address.
func postgresProxy(t *testing.T) (addr string, s *real.Sluice) {
	t.Helper()
	addr = real.FreeAddr()
	s = startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+listener("pg", addr, "pg"))
	return addr, s
}

// psqlEnv makes libpq's programs connect to addr as user to the database "app".
func psqlEnv(addr, user string, more ...string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return append([]string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + user, "PGDATABASE=app", "PGPASSWORD=" + real.Password,
		"PGSSLMODE=disable", "PGSSLROOTCERT=" + stage.ca.CertFile}, more...)
}

// TestPostgresPrograms runs the programs that come with PostgreSQL.
func TestPostgresPrograms(t *testing.T) {
	addr, s := postgresProxy(t)
	env := psqlEnv(addr, "app")

	t.Run("psql", func(t *testing.T) { testPsql(t, env) })
	t.Run("large-objects", func(t *testing.T) { testPsqlLargeObjects(t, env) })
	t.Run("pg_isready", func(t *testing.T) {
		wants(t, command{path: pgTool(t, "pg_isready"), env: env}.output(t), "accepting connections")
	})
	t.Run("pg_dump", func(t *testing.T) { testPgDump(t, env, postgres(t, 0).Addr) })
	t.Run("pgbench", func(t *testing.T) { testPgbench(t, env) })
	t.Run("pg_recvlogical", func(t *testing.T) { testRecvlogical(t, env) })

	// Nobody is left.
	await(t, s, 0, "sluice_sessions")
}

// testPsql runs a script from a file that copies a table out and in again, and one with an error.
func testPsql(t *testing.T, env []string) {
	psql := pgTool(t, "psql")
	script := `
drop table if exists fruit, more_fruit;
create table fruit (id int primary key, name text);
insert into fruit select i, 'fruit number ' || i from generate_series(1, 20000) i;
create table more_fruit (like fruit);
\copy fruit to 'fruit.csv' csv
\copy more_fruit from 'fruit.csv' csv
select 'same: ' || (select md5(string_agg(f::text, ',' order by id)) from fruit f)
                 = 'same: ' || (select md5(string_agg(m::text, ',' order by id)) from more_fruit m);
begin; delete from fruit; rollback;
select 'left: ' || count(*) from fruit;
do $$ begin raise notice 'a word from the server'; end $$;
select 1 as one \gset
\echo one is :one
`
	out := command{path: psql, args: []string{"-X", "-v", "ON_ERROR_STOP=1", "-f", "-"}, env: env, stdin: script}.output(t)
	wants(t, out, "COPY 20000\nCOPY 20000", " t\n", "left: 20000", "NOTICE:  a word from the server", "one is 1")

	// An error is the server's own, and ends the script with psql's code.
	out = command{path: psql, args: []string{"-X", "-v", "ON_ERROR_STOP=1", "-c", "select 1/0"}, env: env}.failure(t)
	wants(t, out, "ERROR:  division by zero")

	// A fatal refusal at login is the server's own too.
	out = command{path: psql, args: []string{"-X", "-d", "nowhere", "-c", "select 1"}, env: env}.failure(t)
	wants(t, out, `FATAL:  database "nowhere" does not exist`)
}

// testPsqlLargeObjects stores a file as a large object, by function calls of the protocol, and reads it back.
func testPsqlLargeObjects(t *testing.T, env []string) {
	script := `
\! head -c 3000000 /dev/urandom > in.bin
\lo_import in.bin
\lo_export :LASTOID out.bin
\! cmp in.bin out.bin && echo the same
\lo_unlink :LASTOID
`
	out := command{path: pgTool(t, "psql"), args: []string{"-X", "-v", "ON_ERROR_STOP=1"}, env: env, stdin: script}.output(t)
	wants(t, out, "lo_import", "lo_export", "the same", "lo_unlink")
}

// testPgDump dumps a schema through Sluice and directly: the same text.
func testPgDump(t *testing.T, env []string, direct string) {
	psql, dump := pgTool(t, "psql"), pgTool(t, "pg_dump")
	setup := `create schema if not exists shop;
drop table if exists shop.item;
create table shop.item (id serial primary key, name text not null unique, price numeric check (price > 0));
insert into shop.item (name, price) select 'item ' || i, i from generate_series(1, 5000) i;`
	command{path: psql, args: []string{"-X", "-v", "ON_ERROR_STOP=1", "-c", setup}, env: env}.output(t)

	args := []string{"--schema=shop"}
	through := command{path: dump, args: args, env: env}.output(t)
	directly := command{path: dump, args: args, env: psqlEnv(direct, "app")}.output(t)
	if dumpText(through) != dumpText(directly) {
		t.Errorf("pg_dump writes %d bytes through Sluice and %d directly, or other ones", len(through), len(directly))
	}
	wants(t, through, "CREATE TABLE shop.item", "item 5000", "PostgreSQL database dump complete")
}

// dumpText is a dump without the lines that newer versions make up anew each time.
func dumpText(s string) string {
	var keep []string
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "")
}

// testPgbench runs both of pgbench's workloads by each way to send a query.
func testPgbench(t *testing.T, env []string) {
	pgbench := pgTool(t, "pgbench")
	command{path: pgbench, args: []string{"-i", "-s", "2", "-q"}, env: env}.output(t)
	for _, mode := range []string{"simple", "extended", "prepared"} {
		t.Run(mode, func(t *testing.T) {
			out := command{path: pgbench, args: []string{"-n", "-S", "-M", mode, "-c", "12", "-j", "2", "-t", "250"}, env: env}.output(t)
			wants(t, out, "processed: 3000/3000", "failed transactions: 0")
			out = command{path: pgbench, args: []string{"-n", "-M", mode, "-c", "10", "-j", "2", "-t", "20"}, env: env}.output(t)
			wants(t, out, "processed: 200/200", "failed transactions: 0")
			// With -C each transaction has a connection of its own.
			out = command{path: pgbench, args: []string{"-n", "-S", "-M", mode, "-C", "-c", "10", "-j", "2", "-t", "10"}, env: env}.output(t)
			wants(t, out, "processed: 100/100")
		})
	}
	// A pipeline, with an error in none of it.
	script := `\startpipeline
select 1;
select abalance from pgbench_accounts where aid = 7;
select 2;
\endpipeline
`
	t.Run("pipeline", func(t *testing.T) {
		out := command{path: pgbench, env: env, stdin: script,
			args: []string{"-n", "-M", "prepared", "-f", "/dev/stdin", "-c", "10", "-j", "2", "-t", "50"}}.output(t)
		wants(t, out, "processed: 500/500", "failed transactions: 0")
	})
}

// testRecvlogical receives a change by logical replication: a stream in both directions at once.
func testRecvlogical(t *testing.T, env []string) {
	recv, psql := pgTool(t, "pg_recvlogical"), pgTool(t, "psql")
	sql := func(text string) string {
		return command{path: psql, args: []string{"-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"}, env: env, stdin: text}.output(t)
	}
	sql("drop table if exists news; create table news (id int primary key, text text);")
	command{path: recv, args: []string{"--slot=e2e", "--create-slot", "--plugin=test_decoding", "-d", "app"}, env: env}.output(t)
	defer command{path: recv, args: []string{"--slot=e2e", "--drop-slot", "-d", "app"}, env: env}.run(t)

	sql("insert into news select i, 'headline ' || i from generate_series(1, 3000) i;")
	end := strings.TrimSpace(sql("select pg_current_wal_insert_lsn();"))
	sql("insert into news values (0, 'after the end');")
	out := command{path: recv, args: []string{"--slot=e2e", "--start", "-f", "-", "-d", "app", "--endpos=" + end, "--no-loop"}, env: env}.output(t)
	for i := 1; i <= 3000; i += 499 {
		wants(t, out, fmt.Sprintf("table public.news: INSERT: id[integer]:%d text[text]:'headline %d'", i, i))
	}
}
