package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/lib/pq"

	"sluice/bench/e2e/drivers/go/paths"
)

// simple asks by the simple query protocol, as lib/pq does where there are no arguments.
func simple(p *paths.P) {
	db, end := open(p)
	defer end()
	rows, err := db.QueryContext(p, "select 1; select 2")
	p.Must(err)
	var got []int
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			var i int
			p.Must(rows.Scan(&i))
			got = append(got, i)
		}
	}
	p.Must(rows.Err())
	p.Equal("results", got, []int{1, 2})
	_, err = db.ExecContext(p, "select 1; select 1/0; select 2")
	state(p, err, "22012")
	p.Equal("after an error", one[int](p, db, "select 4"), 4)
}

// parameters asks with statements without a name. By default lib/pq prepares such a statement and waits
// for the answer before it binds values, so two servers may be at work for one query.
func parameters(p *paths.P) {
	n := busy(p, 3)
	for _, binary := range []string{"no", "yes"} {
		db, end := open(p, "binary_parameters="+binary)
		for i := range 100 {
			p.Equal("binary "+binary, one[string](p, db, "select coalesce($1::text, 'none') || $2::int", fmt.Sprint("x", i), i), fmt.Sprintf("x%d%d", i, i))
			p.Equal("binary "+binary, one[string](p, db, "select coalesce($1::text, 'none') || $2::int", nil, i), fmt.Sprintf("none%d", i))
		}
		end()
	}
	p.Must(n.End())
}

// prepared uses a statement again and again, in transactions and outside, while others keep servers busy.
func prepared(p *paths.P) {
	db, end := open(p)
	defer end()
	sum, err := db.PrepareContext(p, "select $1::bigint + $2::bigint, pg_backend_pid()")
	p.Must(err)
	n := busy(p, 3)
	var pids []int
	ask := func(s *sql.Stmt, i int64) {
		var got int64
		var pid int
		p.Must(s.QueryRowContext(p, i, i*i).Scan(&got, &pid))
		p.Equal("sum", got, i+i*i)
		pids = append(pids, pid)
	}
	for i := int64(0); i < 100 || !p.Moved(pids); i++ {
		tx, err := db.BeginTx(p, nil)
		p.Must(err)
		ask(tx.StmtContext(p, sum), i)
		ask(tx.StmtContext(p, sum), -i)
		p.Must(tx.Commit())
		ask(sum, 2*i)
	}
	p.Must(n.End())
}

// manyStatements has more statements with names than a server connection keeps for all.
func manyStatements(p *paths.P) {
	db, end := open(p)
	defer end()
	n := busy(p, 1)
	var all []*sql.Stmt
	for i := range 60 {
		s, err := db.PrepareContext(p, fmt.Sprintf("select $1::int + %d", i))
		p.Must(err)
		all = append(all, s)
	}
	for round := range 3 {
		for i, s := range all {
			var got int
			p.Must(s.QueryRowContext(p, round).Scan(&got))
			p.Equal("number", got, round+i)
		}
	}
	p.Must(n.End())
}

// closeStatement closes statements and prepares others of the same text.
func closeStatement(p *paths.P) {
	db, end := open(p)
	defer end()
	for i := range 30 {
		s, err := db.PrepareContext(p, fmt.Sprintf("select %d + $1::int", i%3))
		p.Must(err)
		var got int
		p.Must(s.QueryRowContext(p, i).Scan(&got))
		p.Equal("sum", got, i+i%3)
		p.Must(s.Close())
	}
	_, err := db.PrepareContext(p, "select no_such_column")
	state(p, err, "42703")
	p.Equal("after an error", one[int](p, db, "select $1::int", 4), 4)
}

func transaction(p *paths.P) {
	db, end := open(p)
	defer end()
	name, drop := table(p, db, "account", "n int primary key")
	defer drop()
	neighbours := busy(p, 2)
	begin := func(o *sql.TxOptions) *sql.Tx {
		tx, err := db.BeginTx(p, o)
		p.Must(err)
		return tx
	}
	insert := func(tx *sql.Tx, n int) error {
		_, err := tx.ExecContext(p, "insert into "+name+" values ($1)", n)
		return err
	}
	run := func(tx *sql.Tx, text string) {
		_, err := tx.ExecContext(p, text)
		p.Must(err)
	}

	tx := begin(nil)
	p.Must(insert(tx, 1))
	p.Must(tx.Commit())

	tx = begin(nil)
	p.Must(insert(tx, 2))
	p.Must(tx.Rollback())

	tx = begin(nil)
	p.Must(insert(tx, 3))
	run(tx, "savepoint here")
	p.Must(insert(tx, 4))
	state(p, insert(tx, 1), "23505")
	state(p, insert(tx, 9), "25P02")
	run(tx, "rollback to here")
	p.Must(tx.Commit())

	tx = begin(nil)
	p.Must(insert(tx, 5))
	state(p, insert(tx, 5), "23505")
	if err := tx.Commit(); err == nil {
		p.Fail("commit of a failed transaction succeeded")
	}

	tx = begin(&sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
	state(p, insert(tx, 6), "25006")
	p.Must(tx.Rollback())

	p.Equal("in the end", one[string](p, db, "select string_agg(n::text, ',' order by n) from "+name), "1,3")
	p.Must(neighbours.End())
}

// cursor reads through a cursor of the server, in pieces.
func cursor(p *paths.P) {
	db, end := open(p)
	defer end()
	n := busy(p, 2)
	tx, err := db.BeginTx(p, nil)
	p.Must(err)
	_, err = tx.ExecContext(p, "declare piece cursor for select i from generate_series(1, $1::int) i", 1000)
	p.Must(err)
	want := 1
	for before := 0; before != want; {
		before = want
		rows, err := tx.QueryContext(p, "fetch 70 from piece")
		p.Must(err)
		for rows.Next() {
			var got int
			p.Must(rows.Scan(&got))
			p.Equal("row", got, want)
			want++
		}
		p.Must(rows.Err())
	}
	p.Equal("rows", want, 1001)
	p.Must(tx.Commit())
	_, err = db.ExecContext(p, "fetch 1 from piece")
	state(p, err, "34000")
	p.Must(n.End())
}

// cancels has one client's query cancelled, as lib/pq does when a context ends, and never those of another.
// The query says by a notice that it has begun.
func cancels(p *paths.P) {
	plain, err := pq.NewConnector(dsn(p))
	p.Must(err)
	begun := make(chan struct{}, 1)
	db := sql.OpenDB(pq.ConnectorWithNoticeHandler(plain, func(*pq.Error) { begun <- struct{}{} }))
	defer db.Close()
	n := busy(p, 1)
	for range 3 {
		ctx, cancel := context.WithCancel(p)
		ended := make(chan error, 1)
		go func() {
			_, err := db.ExecContext(ctx, "do $$ begin raise notice 'begun'; perform pg_sleep(150); end $$")
			ended <- err
		}()
		select {
		case err := <-ended:
			p.Fail("the query ended by itself: %v", err)
		case <-begun:
		}
		cancel()
		state(p, <-ended, "57014")
		p.Equal("the next query", one[int](p, db, "select $1::int", 3), 3)
	}
	p.Must(n.End())
}
