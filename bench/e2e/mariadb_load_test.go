package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// comeToMaria has clients log in at addr with state of their own. None of it is what their transactions would change.
func comeToMaria(t *testing.T, addr string) func(ctx context.Context, i int) (citizen, error) {
	t.Helper()
	db := openMySQL(t, addr, "app", "")
	db.SetMaxIdleConns(0)
	return func(ctx context.Context, i int) (citizen, error) {
		s, err := newStatefulMaria(ctx, db, i)
		if err != nil {
			return nil, err
		}
		for _, q := range []string{
			"set timestamp = default", "set insert_id = 0", "set session transaction isolation level read committed, read write",
			"set sql_mode = default", "set foreign_key_checks = 1",
		} {
			if _, err := s.ExecContext(ctx, q); err != nil {
				return nil, fmt.Errorf("%s: %w", q, err)
			}
		}
		st, err := s.PrepareContext(ctx, "insert into app.moved (note) values (?)")
		if err != nil {
			return nil, err
		}
		s.statements = append(s.statements, st)
		return workerMaria{s}, nil
	}
}

// workerMaria is a client of a crowd.
type workerMaria struct{ *statefulMaria }

// look is that of its state, without the last insert id.
func (w workerMaria) look(ctx context.Context) (string, error) {
	got, err := w.lookBy(ctx, strings.Replace(portraitMaria, "last_insert_id(), ", "", 1), false)
	return got, err
}

// transact does one transaction, of statements prepared and not, and counts what it has written.
func (w workerMaria) transact(ctx context.Context, n int) error {
	tx, err := w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.StmtContext(ctx, w.statements[3]).ExecContext(ctx, fmt.Sprint("in transaction ", n)); err != nil {
		return fmt.Errorf("prepared insert: %w", err)
	}
	var id, found int64
	if err := tx.QueryRowContext(ctx, "select last_insert_id()").Scan(&id); err != nil {
		return fmt.Errorf("last insert id: %w", err)
	}
	if err := tx.QueryRowContext(ctx, "select count(*) from app.moved where id = ?", id).Scan(&found); err != nil || found != 1 {
		return fmt.Errorf("row %d is there %d times: %w", id, found, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	var last int64
	if err := w.QueryRowContext(ctx, "select last_insert_id()").Scan(&last); err != nil || last != id {
		return fmt.Errorf("the last insert id is %d, not %d: %w", last, id, err)
	}
	return nil
}

// TestMariaDBRollingRestart restarts all servers in turn under 200 sessions, and no client has an error.
func TestMariaDBRollingRestart(t *testing.T) {
	every := ownMaria(t, 3)
	for _, d := range every {
		prepareSysbench(t, sysbenchArgs(d.Addr))
	}
	m := startMovingMaria(t, racy(t), every)
	const people, threads = 150, 50
	stop := sysbenchOn(t, sysbenchArgs(m.addr), threads)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sysbench says:\n%s", tail(stop(), 3000))
		}
	})
	crowd := startCrowd(t, people, comeToMaria(t, m.addr), func(client int, err error) {
		if err != nil {
			t.Errorf("client %d: %v", client, err)
		}
	})
	await(t, m.Sluice, people+threads, "sluice_sessions")
	for i, d := range every {
		m.order(t, i, "drain")
		await(t, m.Sluice, 0, "sluice_backend_sessions", fmt.Sprintf("backend=%q", d.Addr))
		if err := d.Process.Stop(syscall.SIGTERM, soon); err != nil {
			t.Fatal(err)
		}
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
		m.order(t, i, "resume")
		await(t, m.Sluice, 1, "sluice_backend_up", fmt.Sprintf("backend=%q", d.Addr))
		crowd.worksOn(t)
	}
	await(t, m.Sluice, people+threads, "sluice_sessions")
	crowd.stop()
	if complains(stop()) {
		t.Error("sysbench has had an error")
	}
	noneLost(t, m.Sluice)
	moved, err := m.Metric("sluice_migrations_total", `result="moved"`)
	if err != nil || moved < people+threads {
		t.Errorf("%v moves, %v", moved, err)
	}
	t.Logf("%v moves, %d rounds of %d clients beside %d threads of sysbench", moved, crowd.rounds.Load(), people, threads)
}

// TestMariaDBKilled kills a server under load. Sessions at rest, whose state is known, live on; each other's client gets
// one clear error; and the numbers say how many.
func TestMariaDBKilled(t *testing.T) {
	every := ownMaria(t, 2)
	m := startMovingMaria(t, racy(t), every, "[cluster.migrate]", `keep-state = "100ms"`, "[cluster.balance]", `policy = "off"`)
	m.only(t, 0)
	const people, quiet = 40, 20
	var mu sync.Mutex
	var deaths []error
	crowd := startCrowd(t, people, comeToMaria(t, m.addr), func(_ int, err error) {
		if err != nil {
			mu.Lock()
			deaths = append(deaths, err)
			mu.Unlock()
		}
	})
	atRest, looks := make([]*statefulMaria, quiet), make([]string, quiet)
	db := openMySQL(t, m.addr, "rest", "")
	for i := range atRest {
		var err error
		if atRest[i], err = newStatefulMaria(within(t, soon), db, i); err != nil {
			t.Fatal(err)
		}
		if looks[i], err = atRest[i].look(within(t, soon), i/2%2 == 1); err != nil {
			t.Fatal(err)
		}
	}
	m.order(t, 1, "resume")
	known(t, moving{Sluice: m.Sluice}, "rest", quiet)
	if err := every[0].Process.Stop(syscall.SIGKILL, soon); err != nil {
		t.Fatal(err)
	}
	for i, s := range atRest {
		if got, err := s.look(within(t, soon), i/2%2 == 1); err != nil || got != looks[i] {
			t.Errorf("session %d, at rest: %v\n got %s\nwant %s", i, err, got, looks[i])
		}
	}
	await(t, m.Sluice, 0, "sluice_backend_sessions", fmt.Sprintf("backend=%q", every[0].Addr))
	crowd.stop()
	mu.Lock()
	defer mu.Unlock()
	for _, err := range deaths {
		if !clearLoss(err) {
			t.Errorf("a client hears %v", err)
		}
	}
	var losses [4]float64
	eventually(t, func() (err error) { // what is kept counts when it has arrived
		sum := 0.0
		for i, result := range []string{"kept", "idle", "not_run", "unknown"} {
			if losses[i], err = m.Metric("sluice_losses_total", fmt.Sprintf("result=%q", result)); err != nil {
				losses[i] = 0 // there is none
			}
			sum += losses[i]
		}
		if sum != people+quiet {
			return fmt.Errorf("%d sessions, and the losses count %v", people+quiet, losses)
		}
		return nil
	})
	// Those who were at rest when their session was lost may have left without a look.
	if kept := losses[0]; kept < quiet || float64(len(deaths)) > people+quiet-kept {
		t.Errorf("kept, idle, not run, unknown: %v; %d clients had an error", losses, len(deaths))
	}
	t.Logf("of %d busy clients %d had an error, of %d at rest none; kept, idle, not run, unknown: %v", people, len(deaths), quiet, losses)
}
