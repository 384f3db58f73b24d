package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
)

// TestFIFO has many clients share one server connection, whatever they do at the same time.
func TestFIFO(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	fifo := strings.Replace(funnel("one", addr, "pg"), `mode = "funnel"`, `mode = "fifo"`, 1)
	startSluice(t, racy(t), cluster("pg", "postgres", []string{pg.Addr})+fifo+users("app"))
	var pids sync.Map
	eachClient(t, addr, 30, func(id int, c *pgconn.PgConn) error {
		for n := range 10 {
			all, err := c.Exec(t.Context(), fmt.Sprintf("begin; select pg_backend_pid(), %d; commit", id*100+n)).ReadAll()
			if err != nil {
				return err
			}
			pids.Store(string(all[1].Rows[0][0]), true)
			if got := string(all[1].Rows[0][1]); got != fmt.Sprint(id*100+n) {
				return fmt.Errorf("got %s", got)
			}
		}
		return nil
	})
	n := 0
	pids.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d server connections, want 1", n)
	}
}

// TestFairness has clients ask as fast as they can over server connections that two loops share. Who waits
// longest is served first, so none falls behind. What a machine with other work does to some clients for a
// while evens out over several rounds; what the pool does to a client does not.
func TestFairness(t *testing.T) {
	pg := postgres(t, 0)
	addr := real.FreeAddr()
	startSluice(t, plain(t), section("[engine]", "loops = 2")+cluster("pg", "postgres", []string{pg.Addr})+
		funnel("pool", addr, "pg", "pool-size = 16")+users("app"))
	const clients, round, rounds, fair = 200, 20_000, 10, 0.8
	conns := make([]*pgconn.PgConn, clients)
	for id := range conns {
		conns[id] = connect(t, funnelDSN(addr, "app", "")).PgConn()
	}
	done := make([]int, clients)
	for i := 0; i < rounds && !t.Failed() && (i == 0 || slowest(done) < fair); i++ {
		var asked atomic.Int64
		var all sync.WaitGroup
		begin := make(chan struct{})
		for id, c := range conns {
			all.Go(func() {
				<-begin
				for asked.Add(1) <= round {
					if _, err := c.Exec(t.Context(), "select 1").ReadAll(); err != nil {
						t.Errorf("client %d: %v", id, err)
						return
					}
					done[id]++
				}
			})
		}
		close(begin)
		all.Wait()
	}
	share := slowest(done)
	t.Logf("the slowest client had %.2f of the mean", share)
	if share < fair {
		t.Errorf("the slowest client had %.2f of the mean, want %v", share, fair)
	}
}

// slowest is the least of all numbers, as a part of their mean.
func slowest(all []int) float64 {
	sum := 0
	for _, n := range all {
		sum += n
	}
	return float64(slices.Min(all)*len(all)) / float64(sum)
}

// eachClient has clients that log in at a funnel do something at the same time.
func eachClient(t *testing.T, addr string, clients int, do func(id int, c *pgconn.PgConn) error) {
	t.Helper()
	var all sync.WaitGroup
	for id := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			c, err := pgconn.Connect(t.Context(), funnelDSN(addr, "app", ""))
			if err != nil {
				t.Errorf("client %d: %v", id, err)
				return
			}
			defer c.Close(context.Background())
			if err := do(id, c); err != nil {
				t.Errorf("client %d: %v", id, err)
			}
		}()
	}
	all.Wait()
}
