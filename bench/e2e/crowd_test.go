package e2e

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// citizen is a client of a crowd, with state of its own.
type citizen interface {
	// look returns all that can be seen of the state.
	look(ctx context.Context) (string, error)
	// transact does transaction n, and changes nothing of what look returns.
	transact(ctx context.Context, n int) error
	Close() error
}

// A crowd are clients with state of their own, each of which works and looks at its state again and again: it must
// always be what it was. A few work without a pause, the others as an application does that has more connections than
// it needs at a time; all of them together leave the machine some time for what the test is about.
type crowd struct {
	done   chan struct{}
	wg     sync.WaitGroup
	rounds atomic.Int64
	each   []atomic.Int64 // the rounds of each client; gone for one that has ended
	// mourn is what a client's error is reported to; a nil error is the end of a client that has had none.
	mourn func(client int, err error)
}

const (
	// restless is how many clients there are for one that makes no pauses.
	restless = 40
	// pace is how often each of the others works.
	pace = time.Second
	// gone is what a client has worked that has ended.
	gone = math.MaxInt64
)

// startCrowd has n clients come, one after the other, and then work.
func startCrowd(t *testing.T, n int, come func(ctx context.Context, i int) (citizen, error), mourn func(client int, err error)) *crowd {
	t.Helper()
	c := &crowd{done: make(chan struct{}), each: make([]atomic.Int64, n), mourn: mourn}
	all := make([]citizen, n)
	for i := range all {
		one, err := come(within(t, soon), i)
		if err != nil {
			t.Fatalf("client %d comes: %v", i, err)
		}
		t.Cleanup(func() { _ = one.Close() })
		all[i] = one
	}
	t.Cleanup(c.stop)
	for i, one := range all {
		c.wg.Go(func() {
			err := c.work(one, i)
			_ = one.Close()
			c.each[i].Store(gone)
			c.mourn(i, err)
		})
	}
	return c
}

// stop ends all clients and waits.
func (c *crowd) stop() {
	select {
	case <-c.done:
	default:
		close(c.done)
	}
	c.wg.Wait()
}

// work is one client, to its end or its first error.
func (c *crowd) work(one citizen, i int) error {
	ctx := context.Background()
	want, err := one.look(ctx)
	for n := 1; err == nil; n++ {
		if c.rest(i, n) {
			return nil
		}
		if err = one.transact(ctx, n); err != nil {
			return fmt.Errorf("transaction %d: %w", n, err)
		}
		var got string
		if got, err = one.look(ctx); err == nil && got != want {
			err = fmt.Errorf("its state has changed behind transaction %d:\n got %s\nwant %s", n, got, want)
		}
		c.rounds.Add(1)
		c.each[i].Add(1)
	}
	return err
}

// rest is the pause before a client's round n. It tells whether the client is to end.
func (c *crowd) rest(i, n int) (over bool) {
	pause := pace
	switch {
	case i%restless == 0:
		pause = 0
	case n == 1: // they take turns
		pause = pace * time.Duration(i) / time.Duration(len(c.each))
	}
	select {
	case <-c.done:
		return true
	case <-time.After(pause):
		return false
	}
}

// worksOn waits until each client that is still there has done one more round, from begin to end.
func (c *crowd) worksOn(t *testing.T) {
	t.Helper()
	before := make([]int64, len(c.each))
	for i := range before {
		before[i] = c.each[i].Load()
	}
	eventually(t, func() error {
		for i := range before {
			if now := c.each[i].Load(); now < before[i]+2 && now != gone && before[i] != gone {
				return fmt.Errorf("client %d stands still behind %d rounds", i, now)
			}
		}
		return nil
	})
}

// noneLost holds that no session has ended by its server, or been cut off from it.
func noneLost(t *testing.T, s *real.Sluice) {
	t.Helper()
	for _, outcome := range []string{"server_lost", "server_closed", "drained", "forced"} {
		n, err := s.Metric("sluice_connections_closed_total", fmt.Sprintf("outcome=%q", outcome))
		if err != nil || n > 0 {
			t.Errorf("%v sessions have ended as %s: %v", n, outcome, err)
		}
	}
}

// sysbenchRate is how many transactions sysbench does in a second, each of about 20 statements.
const sysbenchRate = 20

// sysbenchOn starts sysbench's transactions, with prepared statements, until the test is over. args say where. It
// returns what ends it and gives its output. Sysbench itself ends at the first error but those of a transaction that
// met another one: a server's deadlock and the like.
func sysbenchOn(t *testing.T, args []string, threads int) (stop func() string) {
	t.Helper()
	bench := tool(t, "sysbench", "sysbench")
	out := &output{}
	args = append([]string{"oltp_read_write"}, args...)
	args = append(args, "--table-size=1000", fmt.Sprint("--threads=", threads), "--time=600", "--db-ps-mode=auto",
		fmt.Sprint("--rate=", sysbenchRate), "--report-interval=1", "run")
	cmd := exec.Command(bench, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	eventually(t, func() error { return drives(out.String()) })
	return func() string {
		select {
		case <-ended:
		default:
			_ = cmd.Process.Kill()
			<-ended
		}
		return out.String()
	}
}

// output is what a program that still runs has written.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// sysbenchSecond is what sysbench says of each second.
var sysbenchSecond = regexp.MustCompile(`(?m)^\[ [0-9.]+s \] .*tps: ([0-9.]+) .*reconn/s: ([0-9.]+)`)

// drives says why sysbench has not worked in some second of the last few.
func drives(out string) error {
	seconds := sysbenchSecond.FindAllStringSubmatch(out, -1)
	for _, s := range seconds[max(0, len(seconds)-5):] {
		if tps, err := strconv.ParseFloat(s[1], 64); err == nil && tps > 0 {
			return nil
		}
	}
	return fmt.Errorf("sysbench does nothing: %s", tail(out, 1000))
}

// prepareSysbench loads its tables, where args say.
func prepareSysbench(t *testing.T, args []string) {
	t.Helper()
	bench := tool(t, "sysbench", "sysbench")
	args = append(append([]string{"oltp_read_write"}, args...), "--table-size=1000")
	command{path: bench, args: append(args, "cleanup")}.output(t)
	command{path: bench, args: append(args, "prepare")}.output(t)
}

// complains tells whether sysbench has reported an error, or that it had to connect again.
func complains(out string) bool {
	for _, s := range sysbenchSecond.FindAllStringSubmatch(out, -1) {
		if again, err := strconv.ParseFloat(s[2], 64); err != nil || again > 0 {
			return true
		}
	}
	return strings.Contains(out, "FATAL") || strings.Contains(out, "ERROR") || strings.Contains(out, "error 2013")
}
