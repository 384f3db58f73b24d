package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
)

// connectPG connects pgx to addr as user on the database "app". It is closed with the test.
func connectPG(t *testing.T, addr, user string, options ...string) *pgx.Conn {
	t.Helper()
	c, err := dialPGX(addr, user, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func dialPGX(addr, user string, options ...string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	host, port, _ := net.SplitHostPort(addr)
	words := append([]string{"host=" + host, "port=" + port, "user=" + user, "dbname=app", "sslmode=disable",
		"password='" + real.Password + "'"}, options...)
	return pgx.Connect(ctx, strings.Join(words, " "))
}

// within is a context for a step of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// one returns the single value of a query.
func one[T any](t *testing.T, c *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := c.QueryRow(within(t, soon), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func do(t *testing.T, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(within(t, soon), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestPostgresDriver does with pgx what applications do.
func TestPostgresDriver(t *testing.T) {
	addr, s := postgresProxy(t)
	t.Run("batch", func(t *testing.T) { testBatch(t, connectPG(t, addr, "app")) })
	t.Run("pipeline", func(t *testing.T) { testPipeline(t, connectPG(t, addr, "app")) })
	t.Run("prepared", func(t *testing.T) { testPrepared(t, connectPG(t, addr, "app")) })
	t.Run("copy", func(t *testing.T) { testCopy(t, connectPG(t, addr, "app")) })
	t.Run("large-object", func(t *testing.T) { testLargeObject(t, connectPG(t, addr, "app")) })
	t.Run("notify", func(t *testing.T) { testNotify(t, connectPG(t, addr, "app"), connectPG(t, addr, "app")) })
	t.Run("slow-reader", func(t *testing.T) { testSlowReader(t, connectPG(t, addr, "app"), 200_000) })
	t.Run("errors", func(t *testing.T) { testErrors(t, connectPG(t, addr, "app")) })
	t.Run("logins", func(t *testing.T) {
		for _, user := range []string{"app", "scram", "md5user"} {
			if got := one[string](t, connectPG(t, addr, user), "select current_user::text"); got != user {
				t.Errorf("logged in as %q, want %q", got, user)
			}
		}
		_, err := dialPGX(addr, "scram", "password=wrong")
		wantSQLState(t, err, "28P01")
	})
	await(t, s, 0, "sluice_sessions")
}

func wantSQLState(t *testing.T, err error, want string) {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != want {
		t.Errorf("error %v, want SQLSTATE %s", err, want)
	}
}

// testBatch sends many statements at once, one of them wrong.
func testBatch(t *testing.T, c *pgx.Conn) {
	var b pgx.Batch
	for i := range 500 {
		b.Queue("select $1::int * 2", i)
	}
	results := c.SendBatch(within(t, soon), &b)
	for i := range 500 {
		var got int
		if err := results.QueryRow().Scan(&got); err != nil || got != 2*i {
			t.Fatalf("answer %d is %d (%v)", i, got, err)
		}
	}
	if err := results.Close(); err != nil {
		t.Fatal(err)
	}

	b = pgx.Batch{}
	b.Queue("select 1")
	b.Queue("select 1/0")
	b.Queue("select 3")
	err := c.SendBatch(within(t, soon), &b).Close()
	wantSQLState(t, err, "22012")
	if got := one[int](t, c, "select 4"); got != 4 {
		t.Errorf("got %d after a failed batch", got)
	}
}

// testPipeline has several Syncs under way; an error skips to the next one.
func testPipeline(t *testing.T, c *pgx.Conn) {
	p := c.PgConn().StartPipeline(within(t, soon))
	for i := range 50 {
		text := "select 'answer " + fmt.Sprint(i) + "'"
		if i == 20 {
			text = "select 1/0"
		}
		p.SendQueryParams(text, nil, nil, nil, nil)
		p.SendQueryParams("select 'second'", nil, nil, nil, nil)
		if err := p.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	answers, syncs, failed := 0, 0, 0
	for syncs < 50 {
		r, err := p.GetResults()
		if err != nil {
			wantSQLState(t, err, "22012")
			failed++
			continue
		}
		switch r := r.(type) {
		case *pgconn.ResultReader:
			res := r.Read()
			if res.Err != nil {
				wantSQLState(t, res.Err, "22012")
				failed++
				continue
			}
			answers++
		case *pgconn.PipelineSync:
			syncs++
		case nil:
			t.Fatalf("the pipeline ended after %d Syncs", syncs)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if answers != 98 || failed != 1 {
		t.Errorf("%d answers and %d errors, want 98 and 1", answers, failed)
	}
}

func testPrepared(t *testing.T, c *pgx.Conn) {
	ctx := within(t, soon)
	d, err := c.Prepare(ctx, "sum", "select $1::bigint + $2::bigint")
	if err != nil || len(d.ParamOIDs) != 2 {
		t.Fatalf("prepare: %v, %v", d, err)
	}
	for i := range int64(200) {
		if got := one[int64](t, c, "sum", i, i*i); got != i+i*i {
			t.Fatalf("%d + %d = %d", i, i*i, got)
		}
	}
	if err := c.Deallocate(ctx, "sum"); err != nil {
		t.Fatal(err)
	}
}

// testCopy copies rows in and out and compares them.
func testCopy(t *testing.T, c *pgx.Conn) {
	ctx := within(t, 5*time.Minute)
	do(t, c, "create temp table goods (id bigint, name text)")
	const rows = 100_000
	n, err := c.CopyFrom(ctx, pgx.Identifier{"goods"}, []string{"id", "name"}, pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
		return []any{int64(i), fmt.Sprintf("name %d", i)}, nil
	}))
	if err != nil || n != rows {
		t.Fatalf("%d rows copied in: %v", n, err)
	}
	sum := sha256.New()
	if _, err := c.PgConn().CopyTo(ctx, sum, "copy (select * from goods order by id) to stdout"); err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	for i := range rows {
		fmt.Fprintf(want, "%d\tname %d\n", i, i)
	}
	if string(sum.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("what was copied out is not what was copied in")
	}

	// A copy that the client gives up fails as a statement and leaves the session good.
	_, err = c.PgConn().CopyFrom(ctx, io.MultiReader(strings.NewReader("1\tx\n"), brokenReader{}), "copy goods from stdin")
	if err == nil {
		t.Error("a broken copy succeeded")
	}
	if got := one[int](t, c, "select count(*)::int from goods"); got != rows {
		t.Errorf("%d rows after a broken copy, want %d", got, rows)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the file is broken") }

func testLargeObject(t *testing.T, c *pgx.Conn) {
	ctx := within(t, 5*time.Minute)
	data := strings.Repeat("a large object has no shape of its own. ", 100_000)
	var oid uint32
	err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		los := tx.LargeObjects()
		var err error
		if oid, err = los.Create(ctx, 0); err != nil {
			return err
		}
		lo, err := los.Open(ctx, oid, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(lo, data); err != nil {
			return err
		}
		if _, err := lo.Seek(0, io.SeekStart); err != nil {
			return err
		}
		got, err := io.ReadAll(lo)
		if err == nil && string(got) != data {
			err = fmt.Errorf("read %d bytes that are not the %d written", len(got), len(data))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	do(t, c, "select lo_unlink($1)", oid)
}

// testNotify waits idle for a notification, which the server sends unasked.
func testNotify(t *testing.T, listener, speaker *pgx.Conn) {
	do(t, listener, "listen news")
	done := make(chan error, 1)
	go func() {
		n, err := listener.WaitForNotification(within(t, soon))
		if err == nil && (n.Channel != "news" || n.Payload != "it rains") {
			err = fmt.Errorf("heard %+v", n)
		}
		done <- err
	}()
	do(t, speaker, "notify news, 'it rains'")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// testSlowReader reads a result of that many rows of 1 kB with pauses and checks every byte.
func testSlowReader(t *testing.T, c *pgx.Conn, rows int) {
	ctx := within(t, 10*time.Minute)
	sum, total := sha256.New(), 0
	w := writerFunc(func(p []byte) (int, error) {
		sum.Write(p)
		if before := total >> 23; (total+len(p))>>23 != before { // every 8 MiB
			time.Sleep(20 * time.Millisecond)
		}
		total += len(p)
		return len(p), nil
	})
	const width = 1000
	sql := fmt.Sprintf("copy (select lpad(i::text, %d, 'x') from generate_series(1, %d) i) to stdout", width, rows)
	if _, err := c.PgConn().CopyTo(ctx, w, sql); err != nil {
		t.Fatal(err)
	}
	want, pad := sha256.New(), strings.Repeat("x", width)
	for i := 1; i <= rows; i++ {
		n := fmt.Sprint(i)
		io.WriteString(want, pad[len(n):])
		io.WriteString(want, n)
		io.WriteString(want, "\n")
	}
	if total != rows*(width+1) || string(sum.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("%d bytes came with another checksum than the %d sent", total, rows*(width+1))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// testErrors has errors of several kinds reach the client as the server's own.
func testErrors(t *testing.T, c *pgx.Conn) {
	ctx := within(t, soon)
	for sql, state := range map[string]string{
		"select 1/0":                 "22012",
		"selec":                      "42601",
		"select * from no_such":      "42P01",
		"set statement_timeout = -5": "22023",
	} {
		_, err := c.Exec(ctx, sql)
		wantSQLState(t, err, state)
	}
	// In a transaction an error keeps failing until the rollback.
	do(t, c, "begin")
	_, err := c.Exec(ctx, "select 1/0")
	wantSQLState(t, err, "22012")
	_, err = c.Exec(ctx, "select 1")
	wantSQLState(t, err, "25P02")
	do(t, c, "rollback")
	if got := one[int](t, c, "select 1"); got != 1 {
		t.Errorf("select 1 = %d", got)
	}
}

// TestPostgresCancel cancels queries of sessions on two servers, of which only the right one may be
// hit.
func TestPostgresCancel(t *testing.T) {
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr, postgres(t, 1).Addr})+
		listener("pg", addr, "pg"))
	await(t, s, 2, "sluice_backend_up")
	testCancel(t, addr)
}

// testCancel cancels queries of some sessions and none of others; Sluice at addr has both servers.
func testCancel(t *testing.T, addr string, options ...string) {
	const sessions = 8
	conns := make([]*pgx.Conn, sessions)
	ports := make(map[int]int)
	for i := range conns {
		conns[i] = connectPG(t, addr, "app", options...)
		ports[one[int](t, conns[i], "select current_setting('port')::int")]++
	}
	if len(ports) != 2 {
		t.Fatalf("sessions by server: %v, want some on both", ports)
	}

	// Every session waits for a lock; the even ones are cancelled.
	var holders [2]*pgx.Conn
	for i := range holders {
		holders[i] = connectPG(t, postgres(t, i).Addr, "app")
		do(t, holders[i], "select pg_advisory_lock(31)")
	}
	var answers [sessions]chan error
	for i, c := range conns {
		answers[i] = make(chan error, 1)
		go func() {
			_, err := c.Exec(within(t, 2*soon), "select pg_advisory_xact_lock_shared(31)")
			answers[i] <- err
		}()
	}
	eventually(t, func() error {
		waiting := 0
		for _, c := range holders {
			waiting += one[int](t, c, "select count(*)::int from pg_locks where locktype = 'advisory' and objid = 31 and not granted")
		}
		if waiting != sessions {
			return fmt.Errorf("%d of %d sessions wait", waiting, sessions)
		}
		return nil
	})
	for i := 0; i < sessions; i += 2 {
		if err := conns[i].PgConn().CancelRequest(within(t, soon)); err != nil {
			t.Errorf("cancel of session %d: %v", i, err)
		}
	}
	for i := 0; i < sessions; i += 2 {
		wantSQLState(t, <-answers[i], "57014")
	}
	for _, c := range holders {
		do(t, c, "select pg_advisory_unlock(31)")
	}
	for i := 1; i < sessions; i += 2 {
		if err := <-answers[i]; err != nil {
			t.Errorf("session %d was not to be cancelled: %v", i, err)
		}
	}
	// The sessions are still good.
	for _, c := range conns {
		if got := one[int](t, c, "select 7"); got != 7 {
			t.Errorf("select 7 = %d", got)
		}
	}
}
