package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// comeTo has clients log in at addr with state of their own.
func comeTo(t *testing.T, addr string) func(ctx context.Context, i int) (citizen, error) {
	t.Helper()
	db := openMySQL(t, addr, "app", "")
	db.SetMaxIdleConns(0)
	return func(ctx context.Context, i int) (citizen, error) {
		s, err := newStateful(ctx, db, i)
		return worker{s}, err
	}
}

// worker is a client of a crowd.
type worker struct{ *stateful }

// look is that of its state, without the last insert id.
func (w worker) look(ctx context.Context) (string, error) {
	got, err := w.stateful.look(ctx)
	return unnumbered(got), err
}

// transact does one transaction, of statements prepared and not, and counts what it has written.
func (w worker) transact(ctx context.Context, n int) error {
	tx, err := w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.StmtContext(ctx, w.statements[2]).ExecContext(ctx, fmt.Sprint("in transaction ", n)); err != nil {
		return fmt.Errorf("prepared insert: %w", err)
	}
	var id, found int64
	if err := tx.QueryRowContext(ctx, "select last_insert_id()").Scan(&id); err != nil {
		return fmt.Errorf("last insert id: %w", err)
	}
	if err := tx.QueryRowContext(ctx, "select count(*) from app.counted where id = ?", id).Scan(&found); err != nil || found != 1 {
		return fmt.Errorf("row %d is there %d times: %w", id, found, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// unnumbered is a look without the last insert id, which a transaction changes.
func unnumbered(look string) string {
	head, rest, _ := strings.Cut(look, " text: ")
	if i := strings.LastIndexByte(head, '|'); i >= 0 {
		head = head[:i]
	}
	return head + rest
}

// ownInstances starts n instances for a test that stops them.
func ownInstances(t *testing.T, n int, options real.TiDBOptions) []*real.TiDB {
	t.Helper()
	every := make([]*real.TiDB, n)
	for i := range every {
		every[i] = ownTiDB(t, options)
	}
	prepareStateful(t, every)
	return every
}

// TestTiDBRollingRestart restarts all instances in turn under 200 sessions, and no client has an error.
func TestTiDBRollingRestart(t *testing.T) {
	every := ownInstances(t, 3, tidbOptions())
	for _, d := range every {
		prepareSysbench(t, sysbenchArgs(d.Addr))
	}
	m := startMoving(t, racy(t), every)
	const people, threads = 150, 50
	stop := sysbenchOn(t, sysbenchArgs(m.addr), threads)
	crowd := startCrowd(t, people, comeTo(t, m.addr), func(client int, err error) {
		if err != nil {
			t.Errorf("client %d: %v", client, err)
		}
	})
	await(t, m.Sluice, people+threads, "sluice_sessions")
	for _, d := range every {
		m.drain(t, d)
		if err := d.Restart(); err != nil {
			t.Fatal(err)
		}
		m.order(t, d, "resume")
		await(t, m.Sluice, 1, "sluice_backend_up", fmt.Sprintf("backend=%q", d.Addr))
		crowd.worksOn(t)
	}
	await(t, m.Sluice, people+threads, "sluice_sessions")
	crowd.stop()
	out := stop()
	if complains(out) {
		t.Errorf("sysbench says:\n%s", tail(out, 4000))
	}
	if err := drives(out); err != nil {
		t.Error(err)
	}
	noneLost(t, m.Sluice)
	moved, err := m.Metric("sluice_migrations_total", `result="moved"`)
	if err != nil || moved < people+threads {
		t.Errorf("%v moves of %d sessions: %v", moved, people+threads, err)
	}
	t.Logf("%d rounds of %d clients beside %d threads of sysbench; %v moves", crowd.rounds.Load(), people, threads, moved)
}

// TestTiDBLeaves has an instance leave by itself, as TiDB does when it is asked to end: its status port says so for a
// while in which it serves on. All sessions have gone elsewhere before it has ended, without an order to Sluice.
func TestTiDBLeaves(t *testing.T) {
	options := tidbOptions()
	options.GracefulWait = 15 * time.Second
	for _, way := range []string{"status", "pd"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			every := ownInstances(t, 2, options)
			m := moving{addr: real.FreeAddr(), every: every}
			m.Sluice = startSluice(t, racy(t), leavingConfig(t, m, way))
			await(t, m.Sluice, 2, "sluice_backend_up")
			crowd := startCrowd(t, 40, comeTo(t, m.addr), func(client int, err error) {
				if err != nil {
					t.Errorf("client %d: %v", client, err)
				}
			})
			defer crowd.stop()
			for _, d := range every { // one of them comes back in between
				if err := d.Terminate(); err != nil {
					t.Fatal(err)
				}
				m.sessions(t, d, 0)
				select {
				case <-d.Done():
					t.Error("the instance has ended before its sessions had left")
				default:
				}
				<-d.Done()
				if err := d.Start(); err != nil {
					t.Fatal(err)
				}
				await(t, m.Sluice, 2, "sluice_backend_up")
			}
			crowd.stop()
			t.Logf("%d rounds of work", crowd.rounds.Load())
		})
	}
}

// leavingConfig is Sluice's configuration before instances whose status it knows from a list, or from PD.
func leavingConfig(t *testing.T, m moving, way string) string {
	t.Helper()
	quick := []string{"[cluster.status]", `interval = "300ms"`}
	if way == "status" {
		var backends []string
		for _, d := range m.every {
			backends = append(backends, fmt.Sprintf("{ addr = %q, status = %q }", d.Addr, d.Status))
		}
		return strings.Replace(tidbDoor(m.addr, []string{"PLACE"}, quick...), `{ addr = "PLACE" }`, strings.Join(backends, ", "), 1)
	}
	store, err := real.StartEtcd(filepath.Join(t.TempDir(), "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Stop() })
	for _, d := range m.every {
		if err := d.Register(store); err != nil {
			t.Fatal(err)
		}
	}
	config := tidbDoor(m.addr, nil, append(quick, "[cluster.pd]", fmt.Sprintf("addrs = [%q]", store.Addr))...)
	config = strings.Replace(config, `discovery = "static"`, `discovery = "pd"`, 1)
	return strings.Replace(config, "backends = []\n", "", 1)
}

// TestTiDBKilled kills an instance under load. Sessions at rest, whose state is known, live on; each other's client gets one
// clear error; and the metrics count both.
func TestTiDBKilled(t *testing.T) {
	every := ownInstances(t, 2, tidbOptions())
	m := moving{addr: real.FreeAddr(), every: every}
	config := tidbDoor(m.addr, []string{every[0].Addr, every[1].Addr}, "[cluster.migrate]", `keep-state = "100ms"`,
		"[cluster.balance]", `policy = "off"`) +
		userSection("app", "password", real.Password) + userSection("sha", "password", real.Password)
	m.Sluice = startSluice(t, racy(t), config)
	await(t, m.Sluice, 2, "sluice_backend_up")
	m.only(t, 0)

	const people, quiet = 40, 20
	var mu sync.Mutex
	var deaths []error
	crowd := startCrowd(t, people, comeTo(t, m.addr), func(_ int, err error) {
		if err != nil {
			mu.Lock()
			deaths = append(deaths, err)
			mu.Unlock()
		}
	})
	atRest := make([]*stateful, quiet)
	looks := make([]string, quiet)
	db := openMySQL(t, m.addr, "sha", "tls=ours")
	for i := range atRest {
		var err error
		if atRest[i], err = newStateful(within(t, soon), db, i); err != nil {
			t.Fatal(err)
		}
		if looks[i], err = atRest[i].look(within(t, soon)); err != nil {
			t.Fatal(err)
		}
	}
	m.order(t, every[1], "resume")
	known(t, m, "sha", quiet)
	if err := every[0].Kill(); err != nil {
		t.Fatal(err)
	}
	for i, s := range atRest {
		if got, err := s.look(within(t, soon)); err != nil || got != looks[i] {
			t.Errorf("session %d, at rest: %v\n got %s\nwant %s", i, err, got, looks[i])
		}
	}
	m.sessions(t, every[0], 0)
	crowd.worksOn(t) // who has lost a session hears of it, and all others go on
	crowd.stop()
	mu.Lock()
	defer mu.Unlock()
	told := map[string]int{} // how many clients hear what
	for _, err := range deaths {
		if !clearLoss(err) {
			t.Errorf("a client hears %v", err)
		}
		switch text := err.Error(); {
		case strings.Contains(text, "is not known"):
			told["unknown"]++
		case strings.Contains(text, "changed nothing"), strings.Contains(text, "rolled back"):
			told["not_run"]++
		default:
			told["idle"]++
		}
	}
	lost := 0.0
	for _, how := range []string{"idle", "not_run", "unknown"} {
		n, err := m.Metric("sluice_losses_total", fmt.Sprintf("result=%q", how))
		if err != nil {
			t.Fatal(err)
		}
		if int(n) != told[how] {
			t.Errorf("%v sessions count as %s, and %d clients heard that", n, how, told[how])
		}
		lost += n
	}
	kept, err := m.Metric("sluice_losses_total", `result="kept"`)
	if err != nil || int(lost) != len(deaths) || int(kept) != people+quiet-len(deaths) {
		t.Errorf("%v sessions count as lost and %v as kept (%v), and %d of %d clients had an error", lost, kept, err, len(deaths), people+quiet)
	}
	t.Logf("of %d busy clients %d had an error, of %d at rest none: %v", people, len(deaths), quiet, told)
}

// known waits until Sluice knows the state of all n sessions of user without asking their server.
func known(t *testing.T, m moving, user string, n int) {
	t.Helper()
	eventually(t, func() error {
		page, err := m.Get("/api/sessions")
		if err != nil {
			return err
		}
		var all []struct {
			User  string `json:"user"`
			Known bool   `json:"known"`
		}
		if err := json.Unmarshal([]byte(page), &all); err != nil {
			return err
		}
		found := 0
		for _, s := range all {
			if s.User == user && s.Known {
				found++
			}
		}
		if found != n {
			err = fmt.Errorf("of %d sessions of %s the state of %d is known", n, user, found)
		}
		return err
	})
}

// clearLoss tells errors that say what has happened: the server's, or that of a COMMIT whose outcome nobody knows.
func clearLoss(err error) bool {
	var dead *net.OpError
	text := err.Error()
	return !errors.As(err, &dead) && !errors.Is(err, sql.ErrConnDone) &&
		(strings.Contains(text, "1105") || strings.Contains(text, "2013") || strings.Contains(text, "lost"))
}
