package main

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/drivers/go/paths"
)

// pipeline sends batches of statements, prepared by the driver on the way, and of Syncs.
func pipeline(p *paths.P) {
	c := open(p)
	defer shut(c)
	name, drop := table(p, c, "batch", "n int primary key")
	defer drop()
	n := busy(p, 2)
	for round := range 5 {
		var b pgx.Batch
		for i := range 100 {
			b.Queue("insert into "+name+" values ($1)", round*100+i)
			b.Queue(fmt.Sprintf("select $1::int * %d", i%7), i)
		}
		results := c.SendBatch(p, &b)
		for i := range 100 {
			_, err := results.Exec()
			p.Must(err)
			var got int
			p.Must(results.QueryRow().Scan(&got))
			p.Equal("answer", got, i*(i%7))
		}
		p.Must(results.Close())
	}
	p.Equal("rows", one[int](p, c, "select count(*)::int from "+name), 500)

	// Each Sync ends a transaction, so what follows it may be done by another server connection.
	line := c.PgConn().StartPipeline(p)
	for i := range 30 {
		line.SendQueryParams("select $1::int + 1", [][]byte{fmt.Append(nil, i)}, nil, nil, nil)
		p.Must(line.Sync())
	}
	for i := range 30 {
		result, err := line.GetResults()
		p.Must(err)
		p.Equal("answer", string(result.(*pgconn.ResultReader).Read().Rows[0][0]), fmt.Sprint(i+1))
		result, err = line.GetResults()
		p.Must(err)
		p.Equal("a Sync", result, any(&pgconn.PipelineSync{}))
	}
	p.Must(line.Close())
	p.Must(n.End())
}

// pipelineError has a statement fail within a batch: all of the batch is undone.
func pipelineError(p *paths.P) {
	c := open(p)
	defer shut(c)
	name, drop := table(p, c, "broken", "n int primary key")
	defer drop()
	for range 5 {
		var b pgx.Batch
		for _, n := range []int{1, 2, 1, 3} {
			b.Queue("insert into "+name+" values ($1)", n)
		}
		state(p, c.SendBatch(p, &b).Close(), "23505")
		p.Equal("rows", one[int](p, c, "select count(*)::int from "+name), 0)
	}

	line := c.PgConn().StartPipeline(p)
	line.SendPrepare("good", "select 1", nil)
	line.SendPrepare("bad", "select no_such_column", nil)
	line.SendPrepare("skipped", "select 2", nil)
	p.Must(line.Sync())
	line.SendQueryPrepared("good", nil, nil, nil)
	p.Must(line.Sync())
	line.SendQueryPrepared("skipped", nil, nil, nil)
	p.Must(line.Sync())
	var states []string
	for syncs := 0; syncs < 3; {
		result, err := line.GetResults()
		if reader, ok := result.(*pgconn.ResultReader); ok {
			err = reader.Read().Err
		}
		var e *pgconn.PgError
		if errors.As(err, &e) {
			states = append(states, e.Code)
		} else {
			p.Must(err)
		}
		if _, ok := result.(*pgconn.PipelineSync); ok {
			syncs++
		}
	}
	p.Must(line.Close())
	p.Equal("errors", states, []string{"42703", "26000"})
	p.Equal("after them", one[int](p, c, "select $1::int", 9), 9)
}
