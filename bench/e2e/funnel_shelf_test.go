package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/wire"
)

// held counts the prepared statements of Sluice's on the pool's only server connection, but for the one
// that asks.
const held = "select count(*)::int from pg_prepared_statements where name ~ '^sluice_' and statement !~ 'pg_prepared_statements'"

// heldNow asks by a simple query, which prepares nothing.
func heldNow(t *testing.T, c *pgx.Conn) int {
	t.Helper()
	var n int
	if err := c.QueryRow(within(t, soon), held, pgx.QueryExecModeSimpleProtocol).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFunnelShelf looks at the server for the statements that Sluice keeps there.
func TestFunnelShelf(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1", "prepared-max = 5", `auth.method = "trust"`)
	look := connect(t, funnelDSN(addr, "app", ""))
	prepare := func(t *testing.T, c *pgx.Conn, name, text string) {
		t.Helper()
		if _, err := c.Prepare(within(t, soon), name, text); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("01 clients with the same text share one statement", func(t *testing.T) {
		for i := range 10 {
			c := connect(t, funnelDSN(addr, "app", ""))
			prepare(t, c, fmt.Sprint("name", i), "select 'shared'")
			if got := one[string](t, c, fmt.Sprint("name", i)); got != "shared" {
				t.Error(got)
			}
		}
		if n := heldNow(t, look); n != 1 {
			t.Errorf("%d statements on the server, want 1", n)
		}
	})
	t.Run("08 no more than prepared-max are kept", func(t *testing.T) {
		c := connect(t, funnelDSN(addr, "app", ""))
		for i := range 12 {
			prepare(t, c, fmt.Sprint("st", i), fmt.Sprintf("select 'statement %d'", i))
			if got := one[string](t, c, fmt.Sprint("st", i)); got != fmt.Sprint("statement ", i) {
				t.Error(got)
			}
			if n := heldNow(t, look); n > 5 {
				t.Fatalf("%d statements on the server", n)
			}
		}
		for i := range 12 {
			if got := one[string](t, c, fmt.Sprint("st", i)); got != fmt.Sprint("statement ", i) {
				t.Error(got)
			}
		}
		if n := heldNow(t, look); n != 5 {
			t.Errorf("%d statements on the server, want 5", n)
		}
	})
	t.Run("08 those that are used stay", func(t *testing.T) {
		c := connect(t, funnelDSN(addr, "app", ""))
		prepare(t, c, "hot", "select prepare_time::text from pg_prepared_statements where statement ~ 'the hot one'")
		first := one[string](t, c, "hot")
		for i := range 12 {
			prepare(t, c, fmt.Sprint("cold", i), fmt.Sprintf("select 'cold %d'", i))
			do(t, c, fmt.Sprint("cold", i))
			if got := one[string](t, c, "hot"); got != first {
				t.Fatalf("behind %d others it was made anew: %s, %s", i+1, first, got)
			}
		}
	})
	t.Run("13 a closed statement stays for the next client", func(t *testing.T) {
		c := connect(t, funnelDSN(addr, "app", ""))
		prepare(t, c, "st", "select 'stays'")
		if err := c.Deallocate(within(t, soon), "st"); err != nil {
			t.Fatal(err)
		}
		if got := one[int](t, look, "select count(*)::int from pg_prepared_statements where statement = 'select ''stays'''"); got != 1 {
			t.Errorf("%d of it on the server", got)
		}
	})
	t.Run("02 deallocate all of one client leaves the others theirs", func(t *testing.T) {
		a, b := speaker(t, addr), speaker(t, addr)
		for _, c := range []*wire.PG{a, b} {
			answers(t, c, "Z", wire.Parse("st", "select 'both have it'"), wire.Sync())
		}
		for _, text := range []string{"deallocate all", "discard all", "select 1; deallocate all"} {
			answers(t, a, "Z", wire.Query(text))
			wants(t, answers(t, a, "Z", run("st"), wire.Sync()), "26000")
			wants(t, answers(t, b, "Z", run("st"), wire.Sync()), "both have it")
			answers(t, a, "Z", wire.Parse("st", "select 'again'"), wire.Sync())
		}
	})
	t.Run("17 what failed to parse is not kept", func(t *testing.T) {
		c := speaker(t, addr)
		for range 10 {
			wants(t, answers(t, c, "Z", wire.Parse("bad", "selekt"), wire.Sync()), "42601")
		}
		wants(t, answers(t, c, "Z", wire.Parse("bad", "select 'good'"), run("bad"), wire.Sync()), "good")
		if n := heldNow(t, look); n > 5 {
			t.Errorf("%d statements on the server", n)
		}
	})
	t.Run("with none kept, a name binds its client to the server", func(t *testing.T) {
		s, addr := startFunnel(t, "pool-size = 2", "prepared-max = 0", `auth.method = "trust"`)
		a, b := speaker(t, addr), speaker(t, addr)
		answers(t, a, "Z", wire.Parse("st", "select 'of a'"), wire.Sync())
		answers(t, b, "Z", wire.Parse("st", "select 'of b'"), wire.Sync())
		await(t, s, 2, "sluice_pool_server_connections", `state="active"`)
		wants(t, answers(t, a, "Z", run("st"), wire.Sync()), "of a")
		wants(t, answers(t, b, "Z", run("st"), wire.Sync()), "of b")
		answers(t, a, "Z", wire.Query("deallocate all"))
		answers(t, b, "Z", wire.Query("discard all"))
		await(t, s, 0, "sluice_pool_server_connections", `state="active"`)
	})
}

// TestFunnelPipelines has many clients send long pipelines over a few server connections that keep few
// statements, with failures in some.
func TestFunnelPipelines(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 2", "prepared-max = 3", `auth.method = "trust"`)
	t.Run("11 each answer belongs to its question", func(t *testing.T) {
		var all sync.WaitGroup
		for id := range 6 {
			all.Go(func() {
				if err := pipelines(addr, id); err != nil {
					t.Errorf("client %d: %v", id, err)
				}
			})
		}
		all.Wait()
	})
}

// pipelines asks a thousand questions in pipelines of fifty, by statements whose names others use too.
func pipelines(addr string, id int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, funnelDSN(addr, "app", ""))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	const names = 7
	for i := range names {
		if _, err := c.Prepare(ctx, fmt.Sprint("st", i), fmt.Sprintf("select '%d.%d.' || 12 / $1::int", id, i)); err != nil {
			return err
		}
	}
	for round := range 20 {
		p := c.PgConn().StartPipeline(ctx)
		param := func(i int) int { // every 20th fails: each is in a batch of its own
			if (i+round)%20 == 0 {
				return 0
			}
			return 1 + (i+round)%4
		}
		for i := range 50 {
			p.SendQueryPrepared(fmt.Sprint("st", i%names), [][]byte{fmt.Append(nil, param(i))}, nil, nil)
			if err := p.Sync(); err != nil {
				return err
			}
		}
		for i := range 50 {
			if err := answered(p, id, i%names, param(i)); err != nil {
				return fmt.Errorf("round %d, question %d: %w", round, i, err)
			}
		}
		if err := p.Close(); err != nil {
			return err
		}
	}
	return nil
}

// answered reads the answer to one question, and the end of its batch.
func answered(p *pgconn.Pipeline, id, name, param int) error {
	got, err := p.GetResults()
	if err == nil {
		reader, ok := got.(*pgconn.ResultReader)
		if !ok {
			return fmt.Errorf("got %T", got)
		}
		r := reader.Read()
		if err = r.Err; err == nil {
			want := fmt.Sprintf("%d.%d.%d", id, name, 12/max(1, param))
			if param == 0 || len(r.Rows) != 1 || string(r.Rows[0][0]) != want {
				return fmt.Errorf("got %q, want %s", r.Rows, want)
			}
		}
	}
	if err != nil && (param != 0 || codeOf(err) != "22012 division by zero") {
		return err
	}
	if got, err = p.GetResults(); err != nil {
		return err
	}
	if _, ok := got.(*pgconn.PipelineSync); !ok {
		return fmt.Errorf("behind the answer: %T", got)
	}
	return nil
}

// TestFunnelLatency: what is asked for in a pipeline comes as soon as the server has it, and not with what
// follows.
func TestFunnelLatency(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1", `auth.method = "trust"`)
	c := speaker(t, addr)
	for _, end := range []struct {
		name string
		m    []byte
	}{{"flush", wire.Flush()}, {"sync", wire.Sync()}} {
		t.Run("23 an answer does not wait for the next one, behind "+end.name, func(t *testing.T) {
			lock := connectPG(t, postgres(t, 0).Addr, "app")
			do(t, lock, "select pg_advisory_lock(23)")
			c.Send(wire.Extended("select 'early'"), end.m, wire.Extended("select 'late' from pg_advisory_xact_lock(23)"), wire.Sync())
			before := c.Len()
			c.Read("C") // comes while the second one waits for the lock
			if c.Fault() != nil {
				t.Fatal(c.Fault())
			}
			wants(t, c.Since(before), "early")
			if n := one[int](t, lock, "select count(*)::int from pg_locks where locktype = 'advisory' and objid = 23 and not granted"); n > 1 {
				t.Errorf("%d wait for the lock", n)
			}
			do(t, lock, "select pg_advisory_unlock(23)")
			gets(t, c, map[string]string{"flush": "late", "sync": `Z "I"`}[end.name])
			if end.name == "sync" {
				gets(t, c, "late")
			}
		})
	}
	t.Run("23 a thousand small answers take no pauses", func(t *testing.T) {
		// A pause of TCP's (Nagle and a delayed acknowledgement) is 40 ms. A machine with other work takes as
		// long now and then, but not for three of four.
		anew(t, func() error {
			took := make([]time.Duration, 1000)
			for i := range took {
				began := time.Now()
				c.Ask("Z", wire.Extended("select 1"), wire.Sync())
				took[i] = time.Since(began)
			}
			if c.Fault() != nil {
				return c.Fault()
			}
			slices.Sort(took)
			if most := took[len(took)*3/4]; most > 30*time.Millisecond {
				return fmt.Errorf("three of four take up to %v", most)
			}
			return nil
		})
	})
	t.Run("24 parses and binds are counted", func(t *testing.T) {
		_, addr := startConsole(t)
		op := operator(t, addr)
		a, b := connect(t, funnelDSN(addr, "app", "")), connect(t, funnelDSN(addr, "app", ""))
		for _, c := range []*pgx.Conn{a, b} {
			if _, err := c.Prepare(within(t, soon), "st", "select $1::int"); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if got := one[int](t, c, "st", i); got != i {
					t.Error(got)
				}
			}
		}
		checkCounts(t, op, 2, 1, 6)
	})
}

func checkCounts(t *testing.T, op *pgx.Conn, clientParses, serverParses, binds int64) {
	t.Helper()
	r := rowWhere(t, op, "SHOW STATS", map[string]any{"database": "app"})
	for name, want := range map[string]int64{"total_client_parse_count": clientParses, "total_server_parse_count": serverParses, "total_bind_count": binds} {
		if r[name] != want {
			t.Errorf("%s is %v, want %d", name, r[name], want)
		}
	}
}
