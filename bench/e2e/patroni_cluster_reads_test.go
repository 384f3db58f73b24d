package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// testPatroniReads has transactions that say that they only read go to replicas, and see there what their
// sessions have written before, even where a replica does not replay any more.
func testPatroniReads(t *testing.T) {
	c := debian(t)
	p := partsOf(t, c)
	freshTable(t, p.leader, "own", "client int, n int")
	addr := map[string]string{}
	config := patroniCluster(c, nil)
	for _, way := range []string{"wait", "leader"} {
		addr[way] = real.FreeAddr()
		lines := []string{roles("leader"), "pool-size = 10", `read-only-roles = ["sync", "async"]`, fmt.Sprintf("read-own-writes = %q", way)}
		if way == "wait" {
			lines = append(lines, `read-wait = "300ms"`)
		}
		config += funnel(way, addr[way], "pg", lines...)
	}
	startSluice(t, racy(t), config+users("app"))
	if err := c.WaitReady(); err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"wait", "leader"} {
		t.Run(way, func(t *testing.T) {
			dsn := funnelDSN(addr[way], "app", "")
			on := ownWrites(t, c, dsn, 30)
			if on[p.sync.Name]+on[p.async.Name] == 0 {
				t.Errorf("no read was at a replica: %v", on)
			}
			t.Logf("reads by node: %v", on)
			for _, n := range []*real.Node{p.sync, p.async} {
				if err := n.PauseReplay(); err != nil {
					t.Fatal(err)
				}
			}
			resume := sync.OnceFunc(func() {
				for _, n := range []*real.Node{p.sync, p.async} {
					if err := n.ResumeReplay(); err != nil {
						t.Error(err)
					}
				}
			})
			defer resume()
			if on = ownWrites(t, c, dsn, 3); on[p.sync.Name]+on[p.async.Name] != 0 {
				t.Errorf("reads at replicas that do not replay: %v", on)
			}
			resume()
		})
	}
}

// ownWrites has clients write and then read, some times each. It returns the number of reads by the node
// that they were at.
func ownWrites(t *testing.T, c *real.Patroni, dsn string, times int) map[string]int {
	t.Helper()
	var mu sync.Mutex
	on := map[string]int{}
	var clients sync.WaitGroup
	for id := range 6 {
		conn := connect(t, dsn)
		do(t, conn, "delete from own where client = $1", id)
		clients.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), soon)
			defer cancel()
			for n := 1; n <= times; n++ {
				at, rows, err := writeAndRead(ctx, conn, id, n)
				if err != nil {
					t.Errorf("client %d: %v", id, err)
					return
				}
				if rows != n {
					t.Errorf("client %d sees %d of its %d writes at %s", id, rows, n, nodeAt(c, at))
				}
				mu.Lock()
				on[nodeAt(c, at)]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return on
}

// writeAndRead writes a row and says where the transaction behind it was, and how many rows it saw.
func writeAndRead(ctx context.Context, conn *pgx.Conn, client, n int) (at string, rows int, err error) {
	if _, err := conn.Exec(ctx, "insert into own values ($1, $2)", client, n); err != nil {
		return "", 0, fmt.Errorf("write: %w", err)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return "", 0, fmt.Errorf("begin: %w", err)
	}
	if err := tx.QueryRow(ctx, whereSQL).Scan(&at); err != nil {
		return "", 0, fmt.Errorf("read: %w", err)
	}
	if err := tx.QueryRow(ctx, "select count(*) from own where client = $1", client).Scan(&rows); err != nil {
		return "", 0, fmt.Errorf("read: %w", err)
	}
	return at, rows, tx.Commit(ctx)
}

// testPatroniReadsFollow has the lead change while clients write and read: nobody misses what it has
// written, wherever it reads.
func testPatroniReadsFollow(t *testing.T) {
	c := debian(t)
	p := partsOf(t, c)
	freshTable(t, p.leader, "own", "client int, n int")
	addr := real.FreeAddr()
	startSluice(t, racy(t), patroniCluster(c, nil, watched(c))+funnel("pool", addr, "pg", roles("leader"), "pool-size = 10",
		`read-only-roles = ["sync", "async"]`, `read-own-writes = "wait"`)+users("app"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var clients sync.WaitGroup
	for id := range 4 {
		conn := connect(t, funnelDSN(addr, "app", ""))
		clients.Go(func() {
			pace := time.NewTicker(between)
			defer pace.Stop()
			for n := 1; ctx.Err() == nil; n++ {
				<-pace.C
				at, rows, err := writeAndRead(context.Background(), conn, id, n)
				if err != nil || rows != n {
					t.Errorf("client %d: %d rows of %d at %s: %v", id, rows, n, nodeAt(c, at), err)
					return
				}
			}
		})
	}
	if _, err := c.Switchover(p.leader, p.sync); err != nil {
		t.Error(err)
	}
	if err := c.WaitReady(); err != nil {
		t.Error(err)
	}
	cancel()
	clients.Wait()
}
