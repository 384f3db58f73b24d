package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// readers are clients that ask one after the other which node they are on, until they are stopped.
type readers struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	asked  int
	on     map[string]int // answers by node
	errs   []error
}

// whereSQL names the node that a session is on.
const whereSQL = "select current_setting('listen_addresses') || ':' || current_setting('port')"

// startReaders has n clients read at dsn.
func startReaders(t *testing.T, c *real.Patroni, dsn string, n int) *readers {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &readers{cancel: cancel, on: map[string]int{}}
	names := map[string]string{}
	for _, node := range c.Nodes {
		names[node.Addr] = node.Name
	}
	for range n {
		conn := connect(t, dsn)
		r.done.Go(func() {
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			for ctx.Err() == nil {
				<-pace.C
				var addr string
				if err := conn.QueryRow(context.Background(), whereSQL).Scan(&addr); err != nil {
					r.mu.Lock()
					r.errs = append(r.errs, err)
					r.mu.Unlock()
					return
				}
				r.mu.Lock()
				r.on[names[addr]]++
				r.asked++
				r.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// stop ends the readers and returns what went wrong.
func (r *readers) stop() error {
	r.cancel()
	r.done.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.errs...)
}

// fresh waits for n more answers and returns those of each node among the ones since it was called.
func (r *readers) fresh(t *testing.T, n int) map[string]int {
	t.Helper()
	r.mu.Lock()
	clear(r.on)
	from := r.asked
	r.mu.Unlock()
	eventually(t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.errs != nil {
			return fmt.Errorf("%w: %w", real.ErrNever, errors.Join(r.errs...))
		}
		if got := r.asked - from; got < n {
			return fmt.Errorf("%d answers of %d", got, n)
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	on := map[string]int{}
	for node, n := range r.on {
		on[node] = n
	}
	return on
}

// usedAgain waits until a new client comes to n. Those that are elsewhere stay where they are.
func usedAgain(t *testing.T, c *real.Patroni, dsn string, n *real.Node) *pgx.Conn {
	t.Helper()
	var conn *pgx.Conn
	eventually(t, func() (err error) {
		if conn, err = pgx.Connect(within(t, soon), dsn); err != nil {
			return err
		}
		if nodeOf(t, c, conn) != n.Name {
			_ = conn.Close(context.Background())
			return fmt.Errorf("%s is not used again", n.Name)
		}
		return nil
	})
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// heardOf waits until s has asked how far n is, and was told that it is where the leader is.
func heardOf(t *testing.T, s *real.Sluice, n *real.Node) {
	t.Helper()
	first, err := s.Metric("sluice_discovery_polls_total")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		polls, err := s.Metric("sluice_discovery_polls_total")
		if err != nil {
			return err
		}
		lag, err := s.Metric("sluice_backend_lag_bytes", n.Addr)
		if err == nil && (polls < first+2 || lag > 64<<10) { // the first may have begun before
			err = fmt.Errorf("%s is %v bytes behind, %v polls later", n.Name, lag, polls-first)
		}
		return err
	})
}

// testPatroniLag has a replica fall behind: its sessions leave it at the next poll that tells of it, the
// others notice nothing, and it is used again only when it has caught up.
func testPatroniLag(t *testing.T) {
	c := debian(t)
	p := partsOf(t, c)
	freshTable(t, p.leader, "bulk", "text text")
	if err := c.WaitReady(); err != nil {
		t.Fatal(err)
	}
	pool, proxy := real.FreeAddr(), real.FreeAddr()
	limits := []string{roles("sync", "async"), `max-lag = "1MiB"`, "lag-return = 1"}
	s := startSluice(t, racy(t), patroniCluster(c, nil)+funnel("pool", pool, "pg", append(limits, "pool-size = 10", `drain-timeout = "5m"`)...)+
		listener("proxy", proxy, "pg", append(limits, `drain-timeout = "0s"`)...)+users("app"))
	reaches(t, c, funnelDSN(pool, "app", ""), p.sync.Name, p.async.Name)
	reaches(t, c, funnelDSN(proxy, "app", ""), p.sync.Name, p.async.Name)

	const rows = 1600 // of a kilobyte each
	shared := startReaders(t, c, funnelDSN(pool, "app", ""), 8)
	stays, leaves := map[*pgx.Conn]bool{}, map[*pgx.Conn]bool{}
	for range 8 {
		conn := connect(t, funnelDSN(proxy, "app", ""))
		if nodeOf(t, c, conn) == p.async.Name {
			leaves[conn] = true
		} else {
			stays[conn] = true
		}
	}
	if len(stays) == 0 || len(leaves) == 0 {
		t.Fatalf("%d and %d sessions on the two replicas", len(stays), len(leaves))
	}

	if err := p.async.PauseReplay(); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceValue(p.async.ResumeReplay)
	t.Cleanup(func() {
		if err := resume(); err != nil {
			t.Error(err)
		}
	})
	// Each piece is applied by the replica that is well, and Sluice knows of it, before the next is written, or it
	// would lag too: Patroni asks its nodes one after the other.
	const pieces = 4
	for range pieces {
		if err := p.leader.Exec("app", fmt.Sprintf("set synchronous_commit = remote_apply; "+
			"insert into bulk select repeat(md5(n::text), 30) from generate_series(1, %d) n", rows/pieces)); err != nil {
			t.Fatal(err)
		}
		heardOf(t, s, p.sync)
	}
	start := time.Now()
	eventually(t, func() error {
		if on := shared.fresh(t, 40); on[p.async.Name] != 0 {
			return fmt.Errorf("%d of 40 answers are of the replica that is behind", on[p.async.Name])
		}
		return nil
	})
	t.Logf("nothing was asked of the replica %v after it had fallen behind", time.Since(start).Round(time.Millisecond))
	for conn := range leaves {
		_, err := conn.Exec(within(t, soon), "select 1")
		wantSQLState(t, err, "57P01")
	}
	for conn := range stays {
		do(t, conn, "select 1")
	}
	reaches(t, c, funnelDSN(proxy, "app", ""), p.sync.Name)

	if err := resume(); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{pool, proxy} {
		conn := usedAgain(t, c, funnelDSN(addr, "app", ""), p.async)
		if got := one[int](t, conn, "select count(*) from bulk"); got != rows {
			t.Errorf("the replica has %d rows of %d as it is used again", got, rows)
		}
	}
	if err := shared.stop(); err != nil {
		t.Error(err)
	}
	for conn := range stays {
		do(t, conn, "select 1")
	}
}
