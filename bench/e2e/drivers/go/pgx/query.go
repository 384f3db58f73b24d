package main

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/drivers/go/paths"
)

// simple asks by the simple query protocol.
func simple(p *paths.P) {
	c := open(p, "default_query_exec_mode=simple_protocol")
	defer shut(c)
	results, err := c.PgConn().Exec(p, "select 1; select 'two', 2; ; select 3 where false").ReadAll()
	p.Must(err)
	p.Equal("results", len(results), 3)
	p.Equal("second", string(results[1].Rows[0][0]), "two")
	p.Equal("third", results[2].CommandTag.String(), "SELECT 0")
	p.Equal("with an argument", one[string](p, c, "select $1 || 'b'", "it's a\\"), `it's a\b`)
	do(p, c, "")
	_, err = c.Exec(p, "select 1; select 1/0; select 2")
	state(p, err, "22012")
	p.Equal("after an error", one[int](p, c, "select 4"), 4)
}

// parameters asks with statements without a name, described and not.
func parameters(p *paths.P) {
	n := busy(p, 2)
	for _, mode := range []string{"exec", "describe_exec", "cache_describe"} {
		c := open(p, "default_query_exec_mode="+mode)
		for i := range 50 {
			p.Equal(mode, one[string](p, c, "select coalesce($1::text, 'none') || $2::int", fmt.Sprint("x", i), i), fmt.Sprintf("x%d%d", i, i))
			p.Equal(mode, one[string](p, c, "select coalesce($1::text, 'none') || $2::int", nil, i), fmt.Sprintf("none%d", i))
		}
		shut(c)
	}
	p.Must(n.End())
}

// prepared uses a statement again and again, in transactions and outside, while others keep servers busy.
func prepared(p *paths.P) {
	c := open(p)
	defer shut(c)
	d, err := c.Prepare(p, "sum", "select $1::bigint + $2::bigint, pg_backend_pid()")
	p.Must(err)
	p.Equal("parameters", len(d.ParamOIDs), 2)
	n := busy(p, 3)
	var pids []int
	ask := func(q pgx.Tx, i int64) {
		var sum int64
		var pid int
		p.Must(q.QueryRow(p, "sum", i, i*i).Scan(&sum, &pid))
		p.Equal("sum", sum, i+i*i)
		pids = append(pids, pid)
	}
	for i := int64(0); i < 100 || !p.Moved(pids); i++ {
		p.Must(p.Err())
		p.Must(pgx.BeginFunc(p, c, func(tx pgx.Tx) error {
			ask(tx, i)
			ask(tx, -i)
			return nil
		}))
		p.Equal("outside", one[int64](p, c, "select $1::bigint * 2", i), 2*i)
	}
	p.Must(n.End())
}

// manyStatements has more statements with names than a server connection keeps for all.
func manyStatements(p *paths.P) {
	c := open(p)
	defer shut(c)
	n := busy(p, 1)
	const count = 60
	for i := range count {
		_, err := c.Prepare(p, fmt.Sprint("number ", i), fmt.Sprintf("select $1::int + %d", i))
		p.Must(err)
	}
	for round := range 3 {
		for i := range count {
			p.Equal("number", one[int](p, c, fmt.Sprint("number ", i), round), round+i)
		}
	}
	p.Must(n.End())
}

// closeStatement closes statements and uses their names for others.
func closeStatement(p *paths.P) {
	c := open(p)
	defer shut(c)
	for i := range 10 {
		_, err := c.Prepare(p, "again", fmt.Sprintf("select %d + $1::int", i))
		p.Must(err)
		p.Equal("again", one[int](p, c, "again", 1), i+1)
		p.Must(c.Deallocate(p, "again"))
	}
	err := c.PgConn().ExecPrepared(p, "again", nil, nil, nil).Read().Err
	state(p, err, "26000")
	_, err = c.Prepare(p, "last", "select 5")
	p.Must(err)
	p.Must(c.DeallocateAll(p))
	state(p, c.PgConn().ExecPrepared(p, "last", nil, nil, nil).Read().Err, "26000")
	_, err = c.Prepare(p, "last", "select 6")
	p.Must(err)
	p.Equal("last", one[int](p, c, "last"), 6)
	_, err = c.PgConn().Prepare(p, "last", "select 7", nil)
	state(p, err, "42P05")
	p.Equal("last", one[int](p, c, "last"), 6)
}

// schemaChange changes the table that a prepared statement reads, which a server's own client is told of
// by an error. Where server connections are shared, the statement is made anew.
func schemaChange(p *paths.P) {
	c, other := open(p), open(p)
	defer shut(c)
	defer shut(other)
	name, drop := table(p, other, "changing", "a int")
	defer drop()
	do(p, other, "insert into "+name+" values (1)")
	_, err := c.Prepare(p, "all", "select * from "+name)
	p.Must(err)
	for i := range 3 {
		answer := c.PgConn().ExecPrepared(p, "all", nil, nil, nil).Read()
		if i > 0 && !p.Shared {
			state(p, answer.Err, "0A000")
		} else {
			p.Must(answer.Err)
			p.Equal("columns", len(answer.Rows[0]), i+1)
		}
		do(p, other, fmt.Sprintf("alter table %s add column b%d int", name, i))
	}
	p.Equal("the connection is good", one[int](p, c, "select 1"), 1)
}
