package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

const (
	// The most that Sluice may have in memory, whatever its peers do.
	residentMax = 150 << 20
	stalled     = 50 // clients or servers that stop in the middle
	// resultRows rows of 1000 bytes are the 200 MB that each of them is in the middle of.
	resultRows = 200_000
	// noise is what a query may take longer through Sluice than straight to the server, on a busy machine
	// with two cores, before it tells anything.
	noise = 10 * time.Millisecond
)

// TestBackPressureSlowReaders has clients that stop reading in the middle of long results. What they
// don't read must stay with the servers, and others must not feel it.
func TestBackPressureSlowReaders(t *testing.T) {
	addr := real.FreeAddr()
	s := startSluice(t, plain(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+listener("pg", addr, "pg"))

	// All ask, read a little and stop.
	readers := make([]*reader, stalled)
	for i := range readers {
		readers[i] = newReader(t, addr)
		readers[i].read(t, 2<<20)
	}
	// They have stopped once all their servers wait to be read from.
	direct := connectPG(t, postgres(t, 0).Addr, "app")
	eventually(t, func() error {
		n := one[int](t, direct, "select count(*)::int from pg_stat_activity where wait_event = 'ClientWrite'")
		if n != stalled {
			return fmt.Errorf("%d of %d servers wait", n, stalled)
		}
		return nil
	})
	wantResident(t, s)
	othersAreFree(t, addr)
	wantResident(t, s)

	// Some go on and get every byte; the others leave.
	for i, r := range readers {
		if i < 2 {
			r.finish(t)
		}
		r.conn.Close()
	}
	wantResident(t, s)
	await(t, s, 0, "sluice_sessions")
	await(t, s, 0, "sluice_server_connections", `state="active"`)
}

func wantResident(t *testing.T, s *real.Sluice) {
	t.Helper()
	got, err := real.ResidentBytes(s.PID)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Sluice has %d MiB in memory", got>>20)
	if got > residentMax {
		t.Errorf("Sluice has %d MiB in memory, more than %d", got>>20, residentMax>>20)
	}
}

// reader reads one long result and checks it.
type reader struct {
	conn net.Conn
	in   io.Reader
	rows int
}

func newReader(t *testing.T, addr string) *reader {
	t.Helper()
	c, err := wire.DialPG(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Conn.Close() })
	c.Login()
	c.Send(wire.Query(fmt.Sprintf("copy (select lpad(i::text, 999, 'x') from generate_series(1, %d) i) to stdout", resultRows)))
	c.Read("H")
	if err := c.Fault(); err != nil {
		t.Fatal(err)
	}
	return &reader{conn: c.Conn, in: c.Reader()}
}

// read reads n bytes' worth of rows.
func (r *reader) read(t *testing.T, n int) {
	t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(10 * time.Minute))
	for ; n > 0; n -= 1000 {
		kind, body, err := wire.ReadMsg(r.in)
		if err != nil {
			t.Fatalf("after %d rows: %v", r.rows, err)
		}
		r.rows++
		if number := strings.TrimLeft(string(body[900:]), "x"); kind != 'd' || len(body) != 1000 || number != fmt.Sprintf("%d\n", r.rows) {
			t.Fatalf("row %d is %q with %d bytes, that end in %q", r.rows, kind, len(body), number)
		}
	}
}

// finish reads the rest of the rows and the end of the answer.
func (r *reader) finish(t *testing.T) {
	t.Helper()
	r.read(t, (resultRows-r.rows)*1000)
	for _, want := range []byte("cCZ") {
		if kind, _, err := wire.ReadMsg(r.in); kind != want || err != nil {
			t.Fatalf("%q (%v) at the end, want %q", kind, err, want)
		}
	}
}

// othersAreFree fails the test if short queries through Sluice take much longer than those that go straight
// to the server at the same time. A busy machine may be in their way now and then, but not each time.
func othersAreFree(t *testing.T, addr string) {
	t.Helper()
	var through, straight time.Duration
	for range 5 {
		through, straight = p99(t, addr, postgres(t, 0).Addr)
		t.Logf("99 of 100 queries of others are answered within %v, straight from the server within %v", through, straight)
		if through <= 3*straight+noise {
			return
		}
	}
	t.Errorf("others wait for up to %v, and straight to the server for %v", through, straight)
}

// p99 is the time within which 99 of 100 short queries are answered, by two ways in turn, with four clients
// at work.
func p99(t *testing.T, addr, other string) (one, two time.Duration) {
	t.Helper()
	ctx := within(t, 2*soon)
	var mu sync.Mutex
	var all [2][]time.Duration
	var clients sync.WaitGroup
	for range 4 {
		ways := []*pgx.Conn{connectPG(t, addr, "app"), connectPG(t, other, "app")}
		clients.Go(func() {
			for i := range 1000 {
				start := time.Now()
				if _, err := ways[i%2].Exec(ctx, "select 1"); err != nil {
					t.Error(err)
					return
				}
				took := time.Since(start)
				mu.Lock()
				all[i%2] = append(all[i%2], took)
				mu.Unlock()
			}
		})
		defer func() {
			for _, c := range ways {
				_ = c.Close(context.Background())
			}
		}()
	}
	clients.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for i := range all {
		slices.Sort(all[i])
	}
	return all[0][len(all[0])*99/100], all[1][len(all[1])*99/100]
}

// TestBackPressureStoppedServers copies into servers that have stopped reading. What they don't take
// must stay with the clients; once the servers go on, everything arrives.
func TestBackPressureStoppedServers(t *testing.T) {
	addr := real.FreeAddr()
	s := startSluice(t, plain(t), cluster("pg", "postgres", []string{postgres(t, 0).Addr})+listener("pg", addr, "pg"))

	conns := make([]*pgx.Conn, stalled)
	pids := make([]int, stalled)
	for i := range conns {
		conns[i] = connectPG(t, addr, "app")
		do(t, conns[i], "create temp table sink (line text)")
		pids[i] = one[int](t, conns[i], "select pg_backend_pid()")
	}
	resume := func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	defer resume()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	// Each client has 200 MB to send; most will be told to stop early once they have been stuck.
	enough := make(chan struct{})
	sources := make([]*source, stalled)
	results := make(chan error, stalled)
	for i, c := range conns {
		sources[i] = &source{rows: resultRows}
		if i >= 2 {
			sources[i].enough = enough
		}
		go func() {
			tag, err := c.PgConn().CopyFrom(context.Background(), sources[i], "copy sink from stdin")
			if err == nil && tag.RowsAffected() != int64(sources[i].sent()) {
				err = fmt.Errorf("client %d: %d rows arrived of %d", i, tag.RowsAffected(), sources[i].sent())
			}
			results <- err
		}()
	}
	// All are stuck once no source has been asked for more for a while.
	last, since := -1, time.Now()
	eventually(t, func() error {
		total := 0
		for _, src := range sources {
			total += src.sent()
		}
		if total != last {
			last, since = total, time.Now()
		}
		if time.Since(since) < 500*time.Millisecond {
			return errors.New("clients still send")
		}
		return nil
	})
	t.Logf("%d clients are stuck after %d MB together", stalled, last/1000)
	wantResident(t, s)
	othersAreFree(t, addr)

	resume()
	close(enough)
	for range conns {
		select {
		case err := <-results:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Minute):
			t.Fatal("a copy does not end")
		}
	}
	wantResident(t, s)
	for i, c := range conns[:3] {
		if got := one[int](t, c, "select count(*)::int from sink where length(line) = 999"); got != sources[i].sent() {
			t.Errorf("%d rows in the table, %d were sent", got, sources[i].sent())
		}
	}
}

// source is a file of rows of 1000 bytes that ends early if told that it is enough.
type source struct {
	rows   int
	enough chan struct{}

	mu   sync.Mutex
	done int
}

var sourceRow = strings.Repeat("y", 999) + "\n"

func (s *source) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Read gives whole rows only.
func (s *source) Read(p []byte) (int, error) {
	select {
	case <-s.enough:
		return 0, io.EOF
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for ; s.done < s.rows && len(p)-n >= len(sourceRow); s.done++ {
		n += copy(p[n:], sourceRow)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
