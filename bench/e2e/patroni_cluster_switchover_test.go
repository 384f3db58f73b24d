package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/bench/e2e/real"
)

// clock is a record of moments.
type clock struct {
	sync.Mutex
	at []time.Time
}

func (c *clock) tick() {
	now := time.Now()
	c.Lock()
	c.at = append(c.at, now)
	c.Unlock()
}

// longest is the longest time without any of the moments.
func longest(at []time.Time) time.Duration {
	slices.SortFunc(at, time.Time.Compare)
	var most time.Duration
	for i := 1; i < len(at); i++ {
		most = max(most, at[i].Sub(at[i-1]))
	}
	return most
}

// ownPause measures on the nodes themselves for how long none takes a write, until stop is called: what a
// change of leader costs without any proxy.
func ownPause(c *real.Patroni) (stop func() time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	var taken clock
	for _, n := range c.Nodes {
		done.Go(func() {
			for ctx.Err() == nil {
				writeTo(ctx, n, &taken)
			}
		})
	}
	return func() time.Duration {
		cancel()
		done.Wait()
		return longest(taken.at)
	}
}

// between is how often a node is asked whether it takes a write.
const between = 10 * time.Millisecond

// writeTo writes to a node over one connection for as long as that is open.
func writeTo(ctx context.Context, n *real.Node, taken *clock) {
	pace := time.NewTicker(between)
	defer pace.Stop()
	<-pace.C
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	conn, err := pgx.Connect(limited, n.DSN("postgres", "app"))
	cancel()
	if err != nil {
		return
	}
	defer conn.Close(context.Background())
	for ctx.Err() == nil && !conn.IsClosed() {
		// Before it leads a node refuses; one that waits for its replica for long has not taken it.
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		if _, err := conn.Exec(limited, "update own_pause set n = n + 1"); err == nil {
			taken.tick()
		}
		cancel()
		<-pace.C
	}
}

// load is a pgbench at work.
type load struct {
	name string
	dir  string
	out  string
	err  error
	done chan struct{}
}

// startLoad runs pgbench with 64 clients for some time at addr.
func startLoad(t *testing.T, name, addr string, length time.Duration, args ...string) *load {
	t.Helper()
	l := &load{name: name, dir: t.TempDir(), done: make(chan struct{})}
	args = append([]string{"-n", "-c", "64", "-j", "2", "-l", "--failures-detailed", "-T", strconv.Itoa(int(length / time.Second))}, args...)
	cmd := command{path: pgTool(t, "pgbench"), args: args, env: benchEnv(addr), dir: l.dir, limit: 10 * time.Minute}
	go func() {
		defer close(l.done)
		l.out, l.err = cmd.run(t)
	}()
	return l
}

func benchEnv(addr string) []string {
	return []string{"PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", real.Port(addr)), "PGUSER=scram", "PGDATABASE=bench",
		"PGPASSWORD=" + real.Password, "PGSSLMODE=disable"}
}

// ended says whether the time of the load is over.
func (l *load) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// works waits until the load has done something after a moment. It says whether it has, before it ended.
func (l *load) works(t *testing.T, after time.Time) bool {
	t.Helper()
	at := func() (n int) {
		all, err := l.moments()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.After(after) {
				n++
			}
		}
		return n
	}
	eventually(t, func() error {
		if !l.ended() && at() == 0 {
			return errors.New("pgbench does nothing")
		}
		return nil
	})
	if l.ended() && l.err != nil {
		t.Fatalf("pgbench %s: %v\n%s", l.name, l.err, tail(l.out, 2000))
	}
	return !l.ended()
}

// moments are those at which a transaction ended, by pgbench's log.
// https://www.postgresql.org/docs/current/pgbench.html
func (l *load) moments() (at []time.Time, err error) {
	files, err := filepath.Glob(filepath.Join(l.dir, "pgbench_log.*"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			words := strings.Fields(lines.Text())
			if len(words) < 6 || words[2] == "serialization" {
				continue // the last line may be half written
			}
			sec, err1 := strconv.ParseInt(words[4], 10, 64)
			usec, err2 := strconv.ParseInt(words[5], 10, 64)
			if errors.Join(err1, err2) == nil {
				at = append(at, time.Unix(sec, usec*1000))
			}
		}
		f.Close()
	}
	return at, nil
}

var (
	processed = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	failed    = regexp.MustCompile(`number of failed transactions: (\d+)`)
	aborted   = regexp.MustCompile(`(?m)client \d+ (?:script \d+ )?aborted.*`)
)

// result is what pgbench has counted.
func (l *load) result(t *testing.T) (good, bad int) {
	t.Helper()
	<-l.done
	read := func(r *regexp.Regexp) int {
		m := r.FindStringSubmatch(l.out)
		if m == nil {
			t.Fatalf("pgbench %s: %v\n%s", l.name, l.err, tail(l.out, 3000))
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return read(processed), read(failed)
}

// flawless fails the test if any client saw an error, and returns the number of transactions.
func (l *load) flawless(t *testing.T) int {
	t.Helper()
	good, bad := l.result(t)
	if l.err != nil || bad != 0 || aborted.MatchString(l.out) || good == 0 {
		t.Errorf("pgbench %s: %v, %d transactions, %d failed:\n%s", l.name, l.err, good, bad, tail(l.out, 3000))
	}
	return good
}

// benchDatabase makes pgbench's tables anew, and the one that ownPause writes to.
func benchDatabase(t *testing.T, c *real.Patroni) {
	t.Helper()
	p := partsOf(t, c)
	freshTable(t, p.leader, "own_pause", "n bigint")
	if err := p.leader.Exec("app", "insert into own_pause values (0)"); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"drop database if exists bench with (force)", "create database bench owner scram"} {
		if err := p.leader.Exec("postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := strings.Cut(p.leader.Addr, ":")
	env := append(benchEnv(p.leader.Addr), "PGHOST="+host, "PGPORT="+port)
	command{path: pgTool(t, "pgbench"), args: []string{"-i", "-s", "10", "-q"}, env: env}.output(t)
	if err := c.WaitReady(); err != nil {
		t.Fatal(err)
	}
}

// balanced fails the test unless the database has what n transactions of pgbench leave, not one more or
// less.
func balanced(t *testing.T, c *real.Patroni, n int) {
	t.Helper()
	p := partsOf(t, c)
	conn := connect(t, p.leader.DSN("scram", "bench"))
	var accounts, tellers, branches, history int64
	var rows int
	err := conn.QueryRow(within(t, soon), `select (select sum(abalance) from pgbench_accounts),
		(select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches),
		(select coalesce(sum(delta), 0) from pgbench_history), (select count(*) from pgbench_history)`).Scan(
		&accounts, &tellers, &branches, &history, &rows)
	if err != nil {
		t.Fatal(err)
	}
	if accounts != history || tellers != history || branches != history || rows != n {
		t.Errorf("sums of accounts %d, tellers %d, branches %d, history %d: want them equal; %d transactions, of which pgbench knows %d",
			accounts, tellers, branches, history, rows, n)
	}
}

// changed is what a change of leader cost.
type changed struct{ command, own, pause time.Duration }

// underLoad has the lead change several times under a read-write load and a read-only one of 64 clients
// each.
type underLoad struct {
	c              *real.Patroni
	leader, others string // addresses of the listeners
	mode           string // pgbench's -M
	changes        int
	announce       func()                                                    // is called before each change; nil = it comes unannounced
	by             func(from, to *real.Node) (took time.Duration, err error) // changes the leader; nil = patronictl does
}

// run returns the loads, which have ended, and what each change cost. The loads are made longer until the
// changes all fall into them.
func (u underLoad) run(t *testing.T) (write, read *load, cost []changed) {
	t.Helper()
	for length := 11 * time.Second; ; length *= 2 {
		write = startLoad(t, "read-write "+u.mode, u.leader, length*time.Duration(u.changes), "-M", u.mode, "-R", "300")
		read = startLoad(t, "read-only "+u.mode, u.others, length*time.Duration(u.changes), "-S", "-M", u.mode, "-R", "600")
		inTime := write.works(t, time.Time{}) && read.works(t, time.Time{})
		cost = nil
		var windows [][2]time.Time
		for range u.changes {
			start := time.Now()
			stop := sync.OnceValue(ownPause(u.c))
			t.Cleanup(func() { stop() })
			p := partsOf(t, u.c)
			if u.announce != nil {
				u.announce()
			}
			by := u.by
			if by == nil {
				by = u.c.Switchover
			}
			took, err := by(p.leader, p.sync)
			if err != nil {
				t.Fatal(err)
			}
			over := time.Now()
			inTime = inTime && write.works(t, over) && read.works(t, over)
			cost = append(cost, changed{command: took, own: stop()})
			windows = append(windows, [2]time.Time{start, time.Now()})
			if err := u.c.WaitReady(); err != nil {
				t.Fatal(err)
			}
		}
		<-write.done
		<-read.done
		if inTime {
			at, err := write.moments()
			if err != nil {
				t.Fatal(err)
			}
			for i := range cost {
				cost[i].pause = longest(slices.DeleteFunc(slices.Clone(at), func(m time.Time) bool {
					return m.Before(windows[i][0]) || m.After(windows[i][1])
				}))
			}
			return write, read, cost
		}
		if length > time.Minute {
			t.Fatal("the cluster takes too long to change its leader")
		}
		t.Logf("the loads were too short for %d changes of leader: once more", u.changes)
		benchDatabase(t, u.c)
	}
}

// sluicePause is by how much longer clients of a funnel may wait than the servers themselves take.
const sluicePause = 500 * time.Millisecond

// testPatroniSwitchover has the lead change under load with etcd watched: no client sees an error in any of
// the ways to send a query, and nothing is lost.
func testPatroniSwitchover(t *testing.T) {
	c := debian(t)
	leader, others := real.FreeAddr(), real.FreeAddr()
	s := startSluice(t, racy(t), patroniCluster(c, nil, watched(c))+
		funnel("leader", leader, "pg", roles("leader"), "pool-size = 20", `auth.method = "trust"`)+
		funnel("others", others, "pg", roles("sync", "async"), "pool-size = 20", `auth.method = "trust"`)+users("scram"))
	least := time.Hour
	switches := func(mode string, changes int) {
		t.Helper()
		benchDatabase(t, c)
		write, read, cost := underLoad{c: c, leader: leader, others: others, mode: mode, changes: changes}.run(t)
		n := write.flawless(t)
		t.Logf("%s: %d transactions that wrote, %d that read", mode, n, read.flawless(t))
		balanced(t, c, n)
		for _, one := range cost {
			t.Logf("%s: patronictl took %v; no server took a write for %v, no client for %v", mode,
				one.command.Round(time.Millisecond), one.own.Round(time.Millisecond), one.pause.Round(time.Millisecond))
			least = min(least, one.pause-one.own)
		}
	}
	switches("simple", 1)
	switches("extended", 1)
	switches("prepared", 2) // one behind the other under the same load
	anew(t, func() error {  // it may be the machine that has paused
		if least > sluicePause {
			switches("simple", 1)
		}
		if least > sluicePause {
			return fmt.Errorf("the longest pause of a client was at least %v longer than the servers' own, want %v", least, sluicePause)
		}
		return nil
	})
	await(t, s, 0, "sluice_sessions")
}

// testPatroniSwitchoverPolled is testPatroniSwitchover without the watch: transactions that were under way
// as the old leader stopped are lost, each by one error that says so, and nothing else.
func testPatroniSwitchoverPolled(t *testing.T) {
	c := debian(t)
	benchDatabase(t, c)
	leader, others := real.FreeAddr(), real.FreeAddr()
	startSluice(t, racy(t), patroniCluster(c, nil)+
		funnel("leader", leader, "pg", roles("leader"), "pool-size = 20", `auth.method = "trust"`)+
		funnel("others", others, "pg", roles("sync", "async"), "pool-size = 20", `auth.method = "trust"`)+users("scram"))
	write, read, cost := underLoad{c: c, leader: leader, others: others, mode: "extended", changes: 1}.run(t)
	read.flawless(t)
	good, bad := write.result(t)
	ends := aborted.FindAllString(write.out, -1)
	t.Logf("%d transactions, %d rolled back (40001), %d of unknown outcome (40003); no server took a write for %v, no client for %v",
		good, bad, len(ends), cost[0].own.Round(time.Millisecond), cost[0].pause.Round(time.Millisecond))
	for _, end := range ends {
		if strings.Contains(end, "connection") {
			t.Errorf("a client lost its connection: %s", end)
		}
	}
	if bad+len(ends) > 64 {
		t.Errorf("%d errors for 64 clients", bad+len(ends))
	}
}

// testPatroniNewerSwitchover has a Patroni with quorum commit change its leader under a few writers.
func testPatroniNewerSwitchover(t *testing.T, c *real.Patroni) {
	addr := real.FreeAddr()
	startSluice(t, racy(t), patroniCluster(c, nil, watched(c))+funnel("leader", addr, "pg", roles("leader"), "pool-size = 5")+users("app"))
	from, err := c.Leader()
	if err != nil {
		t.Fatal(err)
	}
	freshTable(t, from, "newer", "id bigint")
	var wrote sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	var taken clock
	for w := range 8 {
		conn := connect(t, funnelDSN(addr, "app", ""))
		wrote.Go(func() {
			pace := time.NewTicker(between)
			defer pace.Stop()
			for ctx.Err() == nil {
				<-pace.C
				if _, err := conn.Exec(context.Background(), "insert into newer values ($1)", w); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				taken.tick()
			}
		})
	}
	to := c.Nodes[0]
	if to == from {
		to = c.Nodes[1]
	}
	freshTable(t, from, "own_pause", "n bigint")
	if err := from.Exec("app", "insert into own_pause values (0)"); err != nil {
		t.Fatal(err)
	}
	stop := ownPause(c)
	took, err := c.Switchover(from, to)
	if err != nil {
		t.Error(err)
	}
	if err := c.WaitReady(); err != nil {
		t.Error(err)
	}
	own := stop()
	cancel()
	wrote.Wait()
	t.Logf("patronictl took %v; no server took a write for %v, no client for %v", took.Round(time.Millisecond),
		own.Round(time.Millisecond), longest(taken.at).Round(time.Millisecond))
	var rows int
	if err := to.Query("select count(*) from newer", &rows); err != nil || rows != len(taken.at) {
		t.Errorf("%d rows of %d, %v", rows, len(taken.at), err)
	}
}

// sqlState is the code of an error that a server or Sluice sent, "" if it is none.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
