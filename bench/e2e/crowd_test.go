package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// citizen is a client of a crowd, with state of its own.
type citizen interface {
	// look returns all that can be seen of the state.
	look(ctx context.Context) (string, error)
	// transact does transaction n, and changes nothing of what look returns.
	transact(ctx context.Context, n int) error
	Close() error
}

// A crowd are clients with state of their own, each of which works without a pause and looks at its state again
// and again: it must always be what it was.
type crowd struct {
	done   chan struct{}
	wg     sync.WaitGroup
	rounds atomic.Int64
	// mourn is what a client's error is reported to; a nil error is the end of a client that has had none.
	mourn func(client int, err error)
}

// startCrowd has n clients come, one after the other, and work.
func startCrowd(t *testing.T, n int, come func(ctx context.Context, i int) (citizen, error), mourn func(client int, err error)) *crowd {
	t.Helper()
	c := &crowd{done: make(chan struct{}), mourn: mourn}
	t.Cleanup(c.stop)
	for i := range n {
		one, err := come(within(t, soon), i)
		if err != nil {
			t.Fatal(err)
		}
		c.wg.Go(func() {
			defer one.Close()
			c.mourn(i, c.work(one))
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
func (c *crowd) work(one citizen) error {
	ctx := context.Background()
	want, err := one.look(ctx)
	for n := 1; err == nil; n++ {
		select {
		case <-c.done:
			return nil
		default:
		}
		if err = one.transact(ctx, n); err != nil {
			return fmt.Errorf("transaction %d: %w", n, err)
		}
		var got string
		if got, err = one.look(ctx); err == nil && got != want {
			err = fmt.Errorf("its state has changed behind transaction %d:\n got %s\nwant %s", n, got, want)
		}
		c.rounds.Add(1)
	}
	return err
}

// sysbenchOn starts sysbench's transactions, with prepared statements, until the test is over. args say where. It
// returns what ends it and gives its output.
func sysbenchOn(t *testing.T, args []string, threads int) (stop func() string) {
	t.Helper()
	bench := tool(t, "sysbench", "sysbench")
	var out strings.Builder
	args = append([]string{"oltp_read_write"}, args...)
	cmd := exec.Command(bench, append(args, "--table-size=1000", "--threads="+fmt.Sprint(threads), "--time=600", "--db-ps-mode=auto", "run")...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
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

// prepareSysbench loads its tables, where args say.
func prepareSysbench(t *testing.T, args []string) {
	t.Helper()
	bench := tool(t, "sysbench", "sysbench")
	args = append(append([]string{"oltp_read_write"}, args...), "--table-size=1000")
	command{path: bench, args: append(args, "cleanup")}.output(t)
	command{path: bench, args: append(args, "prepare")}.output(t)
}

// complains tells whether sysbench has reported an error.
func complains(out string) bool {
	return strings.Contains(out, "FATAL") || strings.Contains(out, "ERROR") || strings.Contains(out, "error 2013")
}
