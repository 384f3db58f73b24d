package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// cancelOf is the request to cancel what a client's session runs.
func cancelOf(c *wire.PG) []byte {
	return wire.CancelRequest(uint32(c.Key[0])<<24|uint32(c.Key[1])<<16|uint32(c.Key[2])<<8|uint32(c.Key[3]), c.Key[4:])
}

// carry brings a cancel request to addr and waits for the end of the connection, which is all the answer
// that there is.
func carry(t *testing.T, addr string, request []byte) {
	t.Helper()
	h, err := wire.DialPG(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Conn.Close()
	h.Send(request)
	if h.Read("$"); h.Fault() != nil || h.String() != "# end of the connection" {
		t.Errorf("the answer to a cancel request: %s", h)
	}
}

// awaitRunning waits until n server processes run a query that contains text, and sleep in it.
func awaitRunning(t *testing.T, text string, n int) {
	t.Helper()
	c := connectPG(t, postgres(t, 0).Addr, "app")
	eventually(t, func() error {
		const count = "select count(*)::int from pg_stat_activity where position($1 in query) > 0 and state = 'active' and wait_event = 'PgSleep'"
		if got := one[int](t, c, count, text); got != n {
			return fmt.Errorf("%d of %d queries with %q run", got, n, text)
		}
		return nil
	})
}

// nap is a query that lasts until it is cancelled, and says nothing before.
func nap(name string) []byte {
	return wire.Query("do $$ begin perform pg_sleep(600); end $$; -- " + name)
}

// gets reads on up to the ReadyForQuery and compares.
func gets(t *testing.T, c *wire.PG, want ...string) {
	t.Helper()
	before := c.Len()
	c.Read("Z")
	if c.Fault() != nil {
		t.Errorf("%v, behind\n%s", c.Fault(), c.Since(before))
	}
	wants(t, c.Since(before), want...)
}

// TestFunnelCancel cancels queries: the right one or none.
func TestFunnelCancel(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 3", `auth.method = "trust"`)
	c, other := speaker(t, addr), speaker(t, addr)
	fine := func(t *testing.T) {
		t.Helper()
		for _, one := range []*wire.PG{c, other} {
			wants(t, answers(t, one, "Z", wire.Query("select 'fine'")), `fine"`, `Z "I"`)
		}
	}
	t.Run("31 a query that runs", func(t *testing.T) {
		c.Send(nap("basic"))
		awaitRunning(t, "-- basic", 1)
		carry(t, addr, cancelOf(c))
		gets(t, c, "57014", `Z "I"`)
		fine(t)
	})
	t.Run("31 a batch and not the one behind it", func(t *testing.T) {
		c.Send(wire.Extended("select 1"), wire.Extended("select pg_sleep(600) -- batch"), wire.Sync(), wire.Extended("select 'behind'"), wire.Sync())
		awaitRunning(t, "-- batch", 1)
		carry(t, addr, cancelOf(c))
		gets(t, c, "57014")
		gets(t, c, `behind"`)
		fine(t)
	})
	t.Run("31 a prepared statement", func(t *testing.T) {
		answers(t, c, "Z", wire.Parse("st", "select pg_sleep($1) -- prepared"), wire.Sync())
		for range 2 {
			c.Send(run("st", "600"), wire.Sync())
			awaitRunning(t, "-- prepared", 1)
			carry(t, addr, cancelOf(c))
			gets(t, c, "57014")
		}
		wants(t, answers(t, c, "Z", run("st", "0"), wire.Sync()), "SELECT 1")
	})
	t.Run("31 inside a transaction, which stays where it is", func(t *testing.T) {
		answers(t, c, "Z", wire.Query("begin"))
		c.Send(nap("transaction"))
		awaitRunning(t, "-- transaction", 1)
		carry(t, addr, cancelOf(c))
		gets(t, c, "57014", `Z "E"`)
		wants(t, answers(t, c, "Z", wire.Query("select 1")), "25P02")
		wants(t, answers(t, c, "Z", wire.Query("rollback")), "ROLLBACK", `Z "I"`)
		fine(t)
	})
	t.Run("31 a copy that waits for data", func(t *testing.T) {
		answers(t, c, "Z", wire.Query("create table if not exists cancelled_copy (a int)"))
		answers(t, c, "G", wire.Query("copy cancelled_copy from stdin"))
		carry(t, addr, cancelOf(c))
		c.Send(wire.CopyData("1\n"), wire.CopyDone())
		gets(t, c, "57014")
		fine(t)
		wants(t, answers(t, c, "Z", wire.Query("drop table cancelled_copy")), "DROP TABLE")
	})
	t.Run("31 nothing that runs", func(t *testing.T) {
		other.Send(nap("not mine"))
		awaitRunning(t, "-- not mine", 1)
		for range 5 {
			carry(t, addr, cancelOf(c))
		}
		answers(t, c, "Z", wire.Query("begin"))
		carry(t, addr, cancelOf(c))
		wants(t, answers(t, c, "Z", wire.Query("select 'goes on'")), `goes on"`, `Z "T"`)
		answers(t, c, "Z", wire.Query("commit"))
		awaitRunning(t, "-- not mine", 1)
		carry(t, addr, cancelOf(other))
		gets(t, other, "57014")
		fine(t)
	})
	t.Run("31 with a key that nobody has", func(t *testing.T) {
		c.Send(nap("wrong key"))
		awaitRunning(t, "-- wrong key", 1)
		for bit := range 64 {
			wrong := slices.Clone(cancelOf(c))
			wrong[8+bit/8] ^= 1 << (bit % 8)
			if bit%7 == 0 {
				carry(t, addr, wrong)
			}
		}
		carry(t, addr, wire.CancelRequest(0, []byte{0, 0, 0, 0}))
		awaitRunning(t, "-- wrong key", 1)
		carry(t, addr, cancelOf(c))
		gets(t, c, "57014")
		fine(t)
	})
	t.Run("31 with a request of the wrong length", func(t *testing.T) {
		whole := cancelOf(c)
		for _, body := range [][]byte{nil, whole[8:11], append(slices.Clone(whole[8:]), 'x')} {
			m := slices.Concat([]byte{0, 0, 0, byte(8 + len(body)), 0x04, 0xd2, 0x16, 0x2e}, body)
			h, err := wire.DialPG(addr)
			if err != nil {
				t.Fatal(err)
			}
			h.Send(m)
			if h.Read("$"); h.Fault() != nil {
				t.Errorf("%d bytes: %v", len(m), h.Fault())
			}
			h.Conn.Close()
		}
		fine(t)
	})
	t.Run("31 every client has a key of its own", func(t *testing.T) {
		seen := map[string]bool{string(c.Key): true, string(other.Key): true}
		for range 20 {
			n := speaker(t, addr)
			if seen[string(n.Key)] || len(n.Key) != 8 {
				t.Errorf("key %x", n.Key)
			}
			seen[string(n.Key)] = true
			n.End()
		}
	})
	t.Run("31 the key of a client that has gone", func(t *testing.T) {
		gone := speaker(t, addr)
		answers(t, gone, "Z", wire.Query("select 1"))
		gone.End()
		c.Send(nap("after another"))
		awaitRunning(t, "-- after another", 1)
		carry(t, addr, cancelOf(gone))
		awaitRunning(t, "-- after another", 1)
		carry(t, addr, cancelOf(c))
		gets(t, c, "57014")
	})
}

// TestFunnelCancelFull cancels where no server connection is free.
func TestFunnelCancelFull(t *testing.T) {
	t.Run("32 the query that holds the only server", func(t *testing.T) {
		s, addr := startFunnel(t, "pool-size = 1", `auth.method = "trust"`)
		c, waiting := speaker(t, addr), speaker(t, addr)
		c.Send(nap("holder"))
		awaitRunning(t, "-- holder", 1)
		waiting.Send(wire.Query("select 'my turn'"))
		await(t, s, 1, "sluice_pool_waiting")
		carry(t, addr, cancelOf(c))
		gets(t, c, "57014")
		gets(t, waiting, `my turn"`)
	})
	t.Run("32 a client that waits hits nobody", func(t *testing.T) {
		s, addr := startFunnel(t, "pool-size = 1", `auth.method = "trust"`)
		c, waiting := speaker(t, addr), speaker(t, addr)
		c.Send(nap("still mine"))
		awaitRunning(t, "-- still mine", 1)
		waiting.Send(wire.Query("select 'in the end'"))
		await(t, s, 1, "sluice_pool_waiting")
		carry(t, addr, cancelOf(waiting))
		awaitRunning(t, "-- still mine", 1)
		carry(t, addr, cancelOf(c))
		gets(t, c, "57014")
		gets(t, waiting, `Z "I"`)
		wants(t, answers(t, waiting, "Z", wire.Query("select 'fine'")), `fine"`)
	})
	t.Run("33 as many cancels as server connections, at once", func(t *testing.T) {
		_, addr := startFunnel(t, "pool-size = 5", `auth.method = "trust"`)
		var all []*wire.PG
		for range 5 {
			c := speaker(t, addr)
			c.Send(nap("one of five"))
			all = append(all, c)
		}
		awaitRunning(t, "-- one of five", 5)
		var asked sync.WaitGroup
		for i := range 10 { // each one twice
			asked.Go(func() { carry(t, addr, cancelOf(all[i%5])) })
		}
		asked.Wait()
		for _, c := range all {
			gets(t, c, "57014")
			wants(t, answers(t, c, "Z", wire.Query("select 'fine'")), `fine"`)
		}
		if n := super(t, postgres(t, 0), "select count(*)::text from pg_stat_activity where datname = 'app' and backend_type = 'client backend' and pid <> pg_backend_pid() and query ~ 'fine'"); n > "5" {
			t.Errorf("%s server connections", n)
		}
	})
}

// TestFunnelCancelRace lets a client cancel its own queries all the time, while another one uses the same
// server connection and must not be hit.
func TestFunnelCancelRace(t *testing.T) {
	_, addr := startFunnel(t, "pool-size = 1", `auth.method = "trust"`)
	victim, stranger := speaker(t, addr), speaker(t, addr)
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		defer close(done)
		for range 150 {
			victim.Ask("Z", wire.Query("select pg_sleep(0.002)"))
			if victim.Fault() != nil {
				t.Errorf("the one that is cancelled: %v", victim.Fault())
				return
			}
		}
	})
	for range 3 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					carry(t, addr, cancelOf(victim))
				}
			}
		})
	}
	asked := 0
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			before := stranger.Len()
			stranger.Ask("Z", wire.Query("select 'a stranger', pg_sleep(0.001)"))
			if got := stranger.Since(before); kinds(got) != "TDCZ" {
				t.Errorf("the stranger got\n%s", got)
				return
			}
			asked++
		}
	})
	all.Wait()
	t.Run("34 pitfall-29 cancels hit their own client", func(t *testing.T) {
		if n := strings.Count(victim.String(), "57014"); n == 0 || asked == 0 {
			t.Errorf("%d of 150 queries were cancelled, and the stranger asked %d times: nothing is shown", n, asked)
		}
	})
}

// slowCancels is a way to a server on which cancel requests are held up.
type slowCancels struct {
	addr string
	came chan struct{} // one for each request that has come
	free chan struct{} // closed: let them go on
}

func newSlowCancels(t *testing.T, to string) *slowCancels {
	t.Helper()
	w := &slowCancels{came: make(chan struct{}, 100), free: make(chan struct{})}
	s := newScripted(t)
	w.addr = s.addr
	s.perform(func(c net.Conn) {
		head := make([]byte, 8)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		if string(head[4:]) == string(wire.CancelRequest(0, nil)[4:8]) {
			w.came <- struct{}{}
			<-w.free
		}
		b, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer b.Close()
		if _, err := b.Write(head); err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(b, c)
			_ = b.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(c, b)
	})
	return w
}

func (w *slowCancels) funnel(t *testing.T, more ...string) (s *real.Sluice, addr string) {
	t.Helper()
	addr = real.FreeAddr()
	lines := append([]string{"pool-size = 1", `auth.method = "trust"`, `admin-users = ["app"]`}, more...)
	s = startSluice(t, racy(t), cluster("pg", "postgres", []string{w.addr}, "[cluster.health]", `interval = "1h"`, "rise = 1")+
		funnel("pool", addr, "pg", lines...)+users("app"))
	return s, addr
}

// TestFunnelCancelLate holds cancel requests up on their way to the server.
func TestFunnelCancelLate(t *testing.T) {
	t.Run("34 pitfall-29 a server is kept back until the cancel is over", func(t *testing.T) {
		w := newSlowCancels(t, postgres(t, 0).Addr)
		_, addr := w.funnel(t)
		c, next, op := speaker(t, addr), speaker(t, addr), operator(t, addr)
		answers(t, c, "Z", wire.Query("select pg_advisory_xact_lock(34)")) // the pool's server is there
		lock := connectPG(t, postgres(t, 0).Addr, "app")
		do(t, lock, "select pg_advisory_lock(34)")
		c.Send(wire.Query("select 'ends by itself' from pg_advisory_xact_lock(34)"))
		asked := make(chan struct{})
		go func() { carry(t, addr, cancelOf(c)); close(asked) }()
		<-w.came
		do(t, lock, "select pg_advisory_unlock(34)")
		gets(t, c, "ends by itself")
		next.Send(wire.Query("select 'not hit', pg_sleep(0.05)"))
		eventually(t, func() error {
			r := rowWhere(t, op, "SHOW POOLS", map[string]any{"database": "app"})
			if r["sv_being_canceled"] != int32(1) || r["cl_waiting"] != int32(1) {
				return fmt.Errorf("SHOW POOLS: %v", r)
			}
			return nil
		})
		close(w.free)
		gets(t, next, `not hit`)
		<-asked
		if r := rowWhere(t, op, "SHOW POOLS", map[string]any{"database": "app"}); r["sv_being_canceled"] != int32(0) || r["sv_idle"] != int32(1) {
			t.Errorf("SHOW POOLS: %v", r)
		}
	})
	t.Run("35 a cancel that takes too long is given up, and its server connection with it", func(t *testing.T) {
		w := newSlowCancels(t, postgres(t, 0).Addr)
		_, addr := w.funnel(t, `cancel-timeout = "200ms"`)
		c, next := speaker(t, addr), speaker(t, addr)
		lock := connectPG(t, postgres(t, 0).Addr, "app")
		do(t, lock, "select pg_advisory_lock(35)")
		c.Send(wire.Query("select pg_backend_pid() as pid from pg_advisory_xact_lock(35)"))
		asked := make(chan struct{})
		go func() { carry(t, addr, cancelOf(c)); close(asked) }()
		<-w.came
		do(t, lock, "select pg_advisory_unlock(35)")
		before := c.Len()
		gets(t, c, "D ")
		<-asked // the canceller is told nothing more, in time
		first := c.Since(before)
		got := answers(t, next, "Z", wire.Query("select pg_backend_pid() as pid"))
		if line(got, 'D') == line(first, 'D') || line(got, 'D') == "" {
			t.Errorf("a server that a cancel may still hit was handed out:\n%s\n%s", first, got)
		}
		next.Send(wire.Query("select 'not hit', pg_sleep(0.05)"))
		close(w.free)
		gets(t, next, "not hit")
	})
	t.Run("35 a server that can't be reached for a cancel", func(t *testing.T) {
		w := newSlowCancels(t, postgres(t, 0).Addr)
		_, addr := w.funnel(t, `cancel-timeout = "100ms"`)
		c := speaker(t, addr)
		c.Send(wire.Query("select 'on its own', pg_sleep(0.5)"))
		eventually(t, func() error {
			if one[int](t, connectPG(t, postgres(t, 0).Addr, "app"), "select count(*)::int from pg_stat_activity where query ~ '^select .on its own'") == 0 {
				return errors.New("not yet")
			}
			return nil
		})
		carry(t, addr, cancelOf(c))
		gets(t, c, "on its own")
		close(w.free)
	})
}

// line returns the first line of a transcript that is a message of that type.
func line(lines string, kind byte) string {
	for l := range strings.Lines(lines) {
		if l[0] == kind {
			return strings.TrimSpace(l)
		}
	}
	return ""
}

// TestFunnelCancelTLS sends the request over TLS.
func TestFunnelCancelTLS(t *testing.T) {
	addr := real.FreeAddr()
	startSluice(t, racy(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+
		funnel("pool", addr, "pg", `auth.method = "trust"`, tlsTable("listener", "prefer", stage.cert))+users("app"))
	t.Run("pitfall-30-cancel-in-tls", func(t *testing.T) { testCancelInTLS(t, addr) })
}
