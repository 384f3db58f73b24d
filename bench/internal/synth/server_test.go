package synth

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

// startServer runs a server within the test and returns its address.
func startServer(t *testing.T, a func() answerer) string {
	t.Helper()
	s, addr, err := newServer("127.0.0.1:0", a)
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	ended := make(chan error)
	go func() {
		var err error
		for err == nil && !stop.Load() {
			err = s.turn(20)
		}
		ended <- err
	}()
	t.Cleanup(func() {
		stop.Store(true)
		if err := <-ended; err != nil {
			t.Errorf("the server: %v", err)
		}
		s.close()
	})
	return addr
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestPgx has a driver of the field talk to the server in each of its ways.
func TestPgx(t *testing.T) {
	ctx := limited(t)
	addr := startServer(t, protocols[Postgres].answerer)
	c, err := pgx.Connect(ctx, "postgres://anybody@"+addr+"/anything")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	for name, mode := range map[string]pgx.QueryExecMode{
		"cached": pgx.QueryExecModeCacheStatement, "described": pgx.QueryExecModeDescribeExec,
		"one go": pgx.QueryExecModeExec,
	} {
		var got string
		if err := c.QueryRow(ctx, "SELECT $1", mode, "4711").Scan(&got); err != nil || got != "4711" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	const size = 3*rowMax + 5
	for name, q := range map[string][]any{
		"simple":   {fmt.Sprintf("select 42, %d;", size), pgx.QueryExecModeSimpleProtocol},
		"extended": {"SELECT $1, $2", "42", fmt.Sprint(size)},
	} {
		rows, err := c.Query(ctx, q[0].(string), q[1:]...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		values, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkFiller(t, name, values, size)
	}
	for query, tag := range map[string]string{"BEGIN": "BEGIN", "set a = b": "set", "commit": "commit", "-- nothing": ""} {
		if got, err := c.Exec(ctx, query); err != nil || got.String() != tag {
			t.Errorf("%s: %q, %v; want %q", query, got, err, tag)
		}
	}
	look, err := c.Query(ctx, "SELECT 'S'::text, s.name FROM pg_catalog.pg_settings s", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(look, func(row pgx.CollectableRow) (string, error) {
		var kind, name, value string
		err := row.Scan(&kind, &name, &value)
		return kind + name + "=" + value, err
	})
	if got := strings.Join(found, " "); err != nil || got != "R=6e6f6e65 U=616e79626f6479" { // none, anybody
		t.Errorf("what is set in the session: %q, %v", got, err)
	}
	if _, err := c.Exec(ctx, "SELECT now()"); err == nil || !strings.Contains(err.Error(), errSelect.Error()) {
		t.Errorf("got %v; want %v", err, errSelect)
	}
	if tx, err := c.Begin(ctx); err != nil || c.PgConn().TxStatus() != 'T' || tx.Rollback(ctx) != nil || c.PgConn().TxStatus() != 'I' {
		t.Errorf("a transaction: %v, status %c", err, c.PgConn().TxStatus())
	}
	batch := &pgx.Batch{}
	for i := range 10 {
		batch.Queue("SELECT $1", fmt.Sprint(i))
	}
	answers := c.SendBatch(ctx, batch)
	defer answers.Close()
	for i := range 10 {
		var got string
		if err := answers.QueryRow().Scan(&got); err != nil || got != fmt.Sprint(i) {
			t.Errorf("question %d of a pipeline: %q, %v", i, got, err)
		}
	}
}

// TestGoSQLDriver has a driver of the field talk to the server in each of its ways.
func TestGoSQLDriver(t *testing.T) {
	ctx := limited(t)
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName, cfg.Net = "anybody", "any password", "anything", "tcp"
	cfg.Addr = startServer(t, protocols[MySQL].answerer)
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	const size = 2*rowMax + 300
	for name, q := range map[string][]any{
		"text":     {fmt.Sprintf("SELECT 42, %d", size)},
		"prepared": {"SELECT ?, ?", "42", fmt.Sprint(size)},
		"integers": {"SELECT ?, ?", int64(42), int64(size)},
	} {
		rows, err := db.QueryContext(ctx, q[0].(string), q[1:]...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var values []string
		for rows.Next() {
			var v string
			if err := rows.Scan(&v); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			values = append(values, v)
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkFiller(t, name, values, size)
	}
	if _, err := db.ExecContext(ctx, "SET a = 1"); err != nil {
		t.Error(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	for _, query := range []string{"SELECT now()", "-- nothing"} {
		if _, err := db.ExecContext(ctx, query); err == nil {
			t.Errorf("%s was answered", query)
		}
	}
}

// checkFiller checks the rows of an answer to question 42.
func checkFiller(t *testing.T, name string, rows []string, size int) {
	t.Helper()
	if len(rows) != 1+rowsOf(size) || rows[0] != "42" {
		t.Errorf("%s: %d rows, the first %.10q", name, len(rows), rows[0])
		return
	}
	got := strings.Join(rows[1:], "")
	want := strings.Repeat(string(filler), size/rowMax) + string(filler[:size%rowMax])
	if got != want {
		t.Errorf("%s: %d bytes of filler, and not the right ones", name, len(got))
	}
}
