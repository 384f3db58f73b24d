package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
)

// readStage is a primary with a hot standby behind it, and Sluice in front with a listener for each way in which
// transactions that only read see what their session wrote.
type readStage struct {
	sluice           *real.Sluice
	primary, standby *real.Postgres
	at               map[string]string // addresses of the listeners: off, wait, brisk, leader
}

// applyDelay is how far the standby is behind: so far that nobody reads what has just been written.
const applyDelay = "recovery_min_apply_delay = '250ms'"

func startReadStage(t *testing.T) *readStage {
	t.Helper()
	r := &readStage{at: map[string]string{}}
	var err error
	dir := filepath.Join(stage.dir, t.Name())
	if r.primary, err = real.StartPostgres(dir, stage.ca, stage.cert); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopServer(t, r.primary) })
	if r.standby, err = r.primary.StartStandby(dir+"-standby", applyDelay); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopServer(t, r.standby) })
	config := strings.Replace(cluster("pg", "postgres", []string{r.primary.Addr, r.standby.Addr}),
		fmt.Sprintf("%q, role = \"leader\"", r.standby.Addr), fmt.Sprintf("%q, role = \"async\"", r.standby.Addr), 1) + users("app")
	for name, lines := range map[string][]string{
		"off":    {`read-own-writes = "off"`},
		"wait":   {`read-own-writes = "wait"`, `read-wait = "1m"`},
		"brisk":  {`read-own-writes = "wait"`, `read-wait = "8s"`},
		"short":  {`read-own-writes = "wait"`, `read-wait = "1ms"`},
		"leader": {`read-own-writes = "leader"`},
	} {
		r.at[name] = real.FreeAddr()
		config += funnel(name, r.at[name], "pg", append(lines, `roles = ["leader"]`, `read-only-roles = ["async"]`,
			`auth.method = "trust"`, "pool-size = 6")...)
	}
	r.sluice = startSluice(t, racy(t), config)
	c := connect(t, r.primary.DSN("app", "app"))
	if _, err := c.Exec(t.Context(), "create table numbers (id int primary key, n int)"); err != nil {
		t.Fatal(err)
	}
	r.settled(t)
	return r
}

// stopServer ends a server of a test's own.
func stopServer(t *testing.T, pg *real.Postgres) {
	if err := pg.Stop(); err != nil {
		t.Error(err)
	}
}

// settled waits until the standby has replayed all that the primary has written.
func (r *readStage) settled(t *testing.T) {
	t.Helper()
	primary, standby := connect(t, r.primary.DSN("app", "app")), connect(t, r.standby.DSN("app", "app"))
	eventually(t, func() error {
		var lsn string
		if err := primary.QueryRow(t.Context(), "select pg_current_wal_flush_lsn()::text").Scan(&lsn); err != nil {
			return err
		}
		var there bool
		err := standby.QueryRow(t.Context(), "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn", lsn).Scan(&there)
		if err == nil && !there {
			err = fmt.Errorf("the standby is behind %s", lsn)
		}
		return err
	})
}

// readOnly are the transactions that say that they only read.
var readOnly = pgx.TxOptions{AccessMode: pgx.ReadOnly}

// number reads a number in a transaction that says that it only reads, and tells whether the standby did it.
func number(ctx context.Context, c *pgx.Conn, id int) (n int, standby bool, err error) {
	tx, err := c.BeginTx(ctx, readOnly)
	if err != nil {
		return 0, false, err
	}
	err = tx.QueryRow(ctx, "select coalesce((select n from numbers where id = $1), 0), pg_is_in_recovery()", id).Scan(&n, &standby)
	if err != nil {
		return 0, false, err
	}
	return n, standby, tx.Commit(ctx)
}

// setNumber writes a number.
func setNumber(ctx context.Context, c *pgx.Conn, id, n int) error {
	_, err := c.Exec(ctx, "insert into numbers values ($1, $2) on conflict (id) do update set n = excluded.n", id, n)
	return err
}

// TestReadsSeeOwnWrites has sessions write and then read, over and over, while the standby is a little behind
// all the time.
func TestReadsSeeOwnWrites(t *testing.T) {
	r := startReadStage(t)
	t.Run("off", func(t *testing.T) {
		if stale, standby := r.writeAndRead(t, "off", 0); stale == 0 || standby == 0 {
			t.Errorf("%d stale reads, %d of the standby: the test shows nothing", stale, standby)
		}
	})
	t.Run("wait", func(t *testing.T) {
		if stale, standby := r.writeAndRead(t, "wait", 100); stale > 0 || standby != sessions*rounds {
			t.Errorf("%d stale reads, %d of the standby, want 0 and %d", stale, standby, sessions*rounds)
		}
	})
	t.Run("short", func(t *testing.T) {
		if stale, standby := r.writeAndRead(t, "short", 200); stale > 0 || standby == sessions*rounds {
			t.Errorf("%d stale reads, %d of the standby", stale, standby)
		}
	})
	t.Run("leader", func(t *testing.T) {
		if stale, standby := r.writeAndRead(t, "leader", 300); stale > 0 || standby == sessions*rounds {
			t.Errorf("%d stale reads, %d of the standby", stale, standby)
		}
		r.settled(t)
		c := connect(t, funnelDSN(r.at["leader"], "app", ""))
		if n, standby, err := number(t.Context(), c, 300); n != rounds || !standby || err != nil {
			t.Errorf("behind all writes: %d, of the standby: %v, %v", n, standby, err)
		}
	})
	for _, result := range []string{"replica", "behind"} {
		if n, err := r.sluice.Metric("sluice_reads_total", `listener="leader"`, fmt.Sprintf("result=%q", result)); err != nil || n == 0 {
			t.Errorf("reads of the listener leader with result %s: %v, %v", result, n, err)
		}
	}
	if n, err := r.sluice.Metric("sluice_read_wait_seconds_count", `listener="wait"`); err != nil || n < sessions*rounds {
		t.Errorf("%v reads have waited, %v", n, err)
	}
}

// sessions write and read at a time, so many rounds each.
const (
	sessions = 16
	rounds   = 15
)

// writeAndRead counts the reads that did not see what their session wrote, and those that the standby did.
func (r *readStage) writeAndRead(t *testing.T, listener string, from int) (stale, standby int) {
	t.Helper()
	type result struct {
		stale, standby int
		err            error
	}
	results := make(chan result, sessions)
	for id := from; id < from+sessions; id++ {
		c := connect(t, funnelDSN(r.at[listener], "app", ""))
		go func() {
			var res result
			for n := 1; n <= rounds && res.err == nil; n++ {
				if res.err = setNumber(t.Context(), c, id, n); res.err != nil {
					break
				}
				got, there, err := number(t.Context(), c, id)
				if res.err = err; got != n {
					res.stale++
				}
				if there {
					res.standby++
				}
			}
			results <- res
		}()
	}
	for range sessions {
		res := <-results
		if res.err != nil {
			t.Error(res.err)
		}
		stale, standby = stale+res.stale, standby+res.standby
	}
	return stale, standby
}

// TestReadsForms sends what says that it only reads in all the ways that drivers have.
func TestReadsForms(t *testing.T) {
	r := startReadStage(t)
	ctx := t.Context()
	where := func(c *pgx.Conn, begin string) string {
		t.Helper()
		if begin != "" {
			if _, err := c.Exec(ctx, begin); err != nil {
				t.Fatalf("%s: %v", begin, err)
			}
		}
		var standby bool
		if err := c.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
			t.Fatal(err)
		}
		if begin != "" {
			if _, err := c.Exec(ctx, "commit"); err != nil {
				t.Fatal(err)
			}
		}
		return map[bool]string{true: "standby", false: "primary"}[standby]
	}
	c := connect(t, funnelDSN(r.at["off"], "app", ""))
	for begin, want := range map[string]string{
		"begin read only": "standby", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY": "standby",
		"begin": "primary", "begin read write": "primary", "begin isolation level serializable read only": "primary", "": "primary",
	} {
		if got := where(c, begin); got != want {
			t.Errorf("%q: the %s, want the %s", begin, got, want)
		}
	}
	t.Run("default", func(t *testing.T) {
		byDefault := connect(t, funnelDSN(r.at["off"], "app", "&options=-cdefault_transaction_read_only%3Don"))
		set := connect(t, funnelDSN(r.at["off"], "app", ""))
		if _, err := set.Exec(ctx, "set session characteristics as transaction read only"); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]*pgx.Conn{"at the login": byDefault, "by SET": set} {
			for begin, want := range map[string]string{"": "standby", "begin": "standby", "begin read write": "primary"} {
				if got := where(c, begin); got != want {
					t.Errorf("%s, %q: the %s, want the %s", name, begin, got, want)
				}
			}
		}
	})
	t.Run("pipeline", func(t *testing.T) {
		for _, prepared := range []bool{false, true, true} {
			if got := pipelined(t, c.PgConn(), prepared); got != "t" {
				t.Errorf("prepared %v: in recovery: %q", prepared, got)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		tx, err := c.BeginTx(ctx, readOnly)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, "insert into numbers values (-1, 1)"); !strings.HasPrefix(codeOf(err), "25006 ") {
			t.Errorf("a write: %v", err)
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		if err := setNumber(ctx, c, -1, 1); err != nil {
			t.Errorf("a write behind it: %v", err)
		}
	})
}

// pipelined sends BEGIN READ ONLY in front of a query and has both synchronised by one Sync, as pgJDBC does. The
// begin may be a prepared statement.
func pipelined(t *testing.T, c *pgconn.PgConn, prepared bool) string {
	t.Helper()
	ctx := t.Context()
	if prepared {
		if _, err := c.Prepare(ctx, "begin_read_only", "BEGIN READ ONLY", nil); err != nil && !strings.Contains(err.Error(), "42P05") {
			t.Fatal(err)
		}
	}
	p := c.StartPipeline(ctx)
	if prepared {
		p.SendQueryPrepared("begin_read_only", nil, nil, nil)
	} else {
		p.SendQueryParams("BEGIN READ ONLY", nil, nil, nil, nil)
	}
	p.SendQueryParams("select pg_is_in_recovery()", nil, nil, nil, nil)
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	got := ""
	for {
		results, err := p.GetResults()
		if err != nil {
			t.Fatal(err)
		}
		reader, ok := results.(*pgconn.ResultReader)
		if !ok {
			break
		}
		if read := reader.Read(); read.Err != nil {
			t.Fatal(read.Err)
		} else if len(read.Rows) > 0 {
			got = string(read.Rows[0][0])
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(ctx, "commit").ReadAll(); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestReadsBehindSegment: where the log goes on in a new file, the primary's position is behind that file's
// header, to which no standby comes before there is a record.
func TestReadsBehindSegment(t *testing.T) {
	r := startReadStage(t)
	c, admin := connect(t, funnelDSN(r.at["brisk"], "app", "")), connect(t, r.primary.DSN("postgres", "postgres"))
	for n := 1; n <= 5; n++ {
		if err := setNumber(t.Context(), c, 1, n); err != nil {
			t.Fatal(err)
		}
		var into string
		err := admin.QueryRow(t.Context(), "select pg_current_wal_insert_lsn()::text from (select pg_switch_wal()) s").Scan(&into)
		if err != nil {
			t.Fatal(err)
		}
		if got, standby, err := number(t.Context(), c, 1); got != n || !standby || err != nil {
			t.Errorf("the log at %s: read %d, of the standby: %v, %v; want %d of the standby", into, got, standby, err, n)
		}
	}
}
