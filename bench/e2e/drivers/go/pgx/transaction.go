package main

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/drivers/go/paths"
)

func transaction(p *paths.P) {
	c := open(p)
	defer shut(c)
	name, drop := table(p, c, "account", "n int primary key")
	defer drop()
	n := busy(p, 2)
	count := func(q interface {
		pgx.Tx
	}) int {
		return one[int](p, q, "select count(*)::int from "+name)
	}
	begin := func(o pgx.TxOptions) pgx.Tx {
		tx, err := c.BeginTx(p, o)
		p.Must(err)
		return tx
	}
	insert := func(tx pgx.Tx, n int) error {
		_, err := tx.Exec(p, "insert into "+name+" values ($1)", n)
		return err
	}

	tx := begin(pgx.TxOptions{})
	p.Must(insert(tx, 1))
	p.Must(tx.Commit(p))

	tx = begin(pgx.TxOptions{})
	p.Must(insert(tx, 2))
	p.Equal("within", count(tx), 2)
	p.Must(tx.Rollback(p))

	// A savepoint takes back what came after it, an error included.
	tx = begin(pgx.TxOptions{})
	p.Must(insert(tx, 3))
	point, err := tx.Begin(p)
	p.Must(err)
	p.Must(insert(point, 4))
	state(p, insert(point, 1), "23505")
	_, err = point.Exec(p, "select 1")
	state(p, err, "25P02")
	p.Must(point.Rollback(p))
	p.Equal("after the savepoint", count(tx), 2)
	p.Must(tx.Commit(p))

	// An error without one: COMMIT is a rollback then.
	tx = begin(pgx.TxOptions{})
	p.Must(insert(tx, 5))
	state(p, insert(tx, 5), "23505")
	if err := tx.Commit(p); !errors.Is(err, pgx.ErrTxCommitRollback) {
		p.Fail("commit of a failed transaction: %v", err)
	}

	tx = begin(pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
	p.Equal("isolation", one[string](p, tx, "show transaction_isolation"), "serializable")
	state(p, insert(tx, 6), "25006")
	p.Must(tx.Rollback(p))

	p.Equal("in the end", one[string](p, c, "select string_agg(n::text, ',' order by n) from "+name), "1,3")
	p.Must(n.End())
}

// cursor reads through a cursor of the server, in pieces.
func cursor(p *paths.P) {
	c := open(p)
	defer shut(c)
	n := busy(p, 2)
	tx, err := c.Begin(p)
	p.Must(err)
	_, err = tx.Exec(p, "declare piece cursor for select i from generate_series(1, $1::int) i", 1000)
	p.Must(err)
	want := 1
	for {
		rows, err := tx.Query(p, "fetch 70 from piece")
		p.Must(err)
		got, err := pgx.CollectRows(rows, pgx.RowTo[int])
		p.Must(err)
		for _, i := range got {
			p.Equal("row", i, want)
			want++
		}
		if len(got) < 70 {
			break
		}
	}
	p.Equal("rows", want, 1001)
	p.Must(tx.Commit(p))
	_, err = c.Exec(p, "fetch 1 from piece")
	state(p, err, "34000")
	p.Must(n.End())
}

// cancels has one client's query cancelled and never those of another.
func cancels(p *paths.P) {
	c := open(p)
	defer shut(c)
	n := busy(p, 1)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Exec(p, "select pg_sleep($1)", 150)
		ended <- err
	}()
	state(p, p.Cancelled(ended, func() error { return c.PgConn().CancelRequest(p) }), "57014")
	p.Equal("the next query", one[int](p, c, "select $1::int", 3), 3)
	p.Must(n.End())
}

// settings keeps those of two clients apart.
func settings(p *paths.P) {
	var both [2]*pgx.Conn
	zones := []string{"Asia/Tokyo", "America/New_York"}
	for i := range both {
		c := open(p)
		defer shut(c)
		both[i] = c
		schema := fmt.Sprintf("schema_pgx_%s_%d", p.Copy, i)
		do(p, c, "drop schema if exists "+schema+" cascade")
		do(p, c, "create schema "+schema)
		defer do(p, c, "drop schema "+schema+" cascade")
		do(p, c, "set search_path = "+schema)
		do(p, c, "set timezone = '"+zones[i]+"'")
		do(p, c, fmt.Sprintf("set application_name = 'client %d'", i))
		do(p, c, "create table place as select $1::text as name", schema)
	}
	for range 10 {
		for i, c := range both {
			p.Equal("name", one[string](p, c, "select name from place"), fmt.Sprintf("schema_pgx_%s_%d", p.Copy, i))
			p.Equal("TimeZone", one[string](p, c, "show timezone"), zones[i])
			p.Equal("application_name", one[string](p, c, "select current_setting($1)", "application_name"), fmt.Sprint("client ", i))
			noon := []string{"2020-01-01 12:00:00+09", "2020-01-01 12:00:00-05"}[i]
			p.Equal("noon", one[string](p, c, "select '2020-01-01 12:00'::timestamptz::text"), noon)
			p.Equal("reported", c.PgConn().ParameterStatus("TimeZone"), zones[i])
		}
		// What is undone, or for one transaction only, does not last.
		for _, set := range []string{"set timezone = 'UTC'; rollback", "set local timezone = 'UTC'; commit"} {
			do(p, both[0], "begin; "+set)
		}
	}
}
