package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// drainStage is Sluice with an idle session of each protocol and one in a transaction.
type drainStage struct {
	s      *real.Sluice
	idle   *wire.PG
	myIdle *wire.MySQL
	busy   *pgx.Conn
}

func startDrain(t *testing.T, timeout string) drainStage {
	t.Helper()
	pgAddr, myAddr := real.FreeAddr(), real.FreeAddr()
	s, err := real.StartSluice(racy(t), t.TempDir(), section("[engine]", fmt.Sprintf("shutdown-timeout = %q", timeout))+
		cluster("pg", "postgres", []string{postgres(t, 0).Addr})+cluster("my", "mysql", []string{mariadb(t, 0).Addr})+
		listener("pg", pgAddr, "pg")+listener("my", myAddr, "my"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Process.Stop(syscall.SIGKILL, shutdownPatience)
		if t.Failed() || strings.Contains(s.Log(), "DATA RACE") {
			t.Errorf("Sluice's log:\n%s", tail(s.Log(), 5000))
		}
	})
	d := drainStage{s: s, busy: connectPG(t, pgAddr, "app"), myIdle: loginMySQL(t, myAddr, wire.Usual)}
	if d.idle, err = wire.DialPG(pgAddr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.idle.Conn.Close() })
	d.idle.Login()
	do(t, d.busy, "begin")
	return d
}

func (d drainStage) terminate(t *testing.T) {
	t.Helper()
	if err := d.s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// wantIdleEnded waits until the idle sessions have been told that Sluice stops.
func (d drainStage) wantIdleEnded(t *testing.T) {
	t.Helper()
	d.idle.Read("$")
	if d.idle.Fault() != nil || !d.idle.Contains("57P01") {
		t.Errorf("the idle PostgreSQL session saw\n%s", d.idle.String())
	}
	d.myIdle.Closed()
	if d.myIdle.Fault() != nil || !d.myIdle.Contains("error 1053") {
		t.Errorf("the idle MySQL session saw\n%s", d.myIdle.String())
	}
}

// wantExit waits for the process to end.
func (d drainStage) wantExit(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-d.s.Done():
	case <-time.After(within):
		t.Fatalf("Sluice still runs after %v", within)
	}
}

// TestDrain stops Sluice: idle sessions end at once, one in a transaction may finish it.
func TestDrain(t *testing.T) {
	t.Parallel() // most of it is waiting
	d := startDrain(t, "10m")
	d.terminate(t)
	d.wantIdleEnded(t)
	if got := one[int](t, d.busy, "select 41 + 1"); got != 42 {
		t.Errorf("in the transaction: %d", got)
	}
	// Nobody new gets in.
	if err := selectOne(d.idle.Conn.RemoteAddr().String()); err == nil {
		t.Error("a new connection got in")
	}
	do(t, d.busy, "commit")
	d.wantExit(t, soon)
	if code := d.s.ExitCode(); code != 0 {
		t.Errorf("code %d after a graceful stop", code)
	}
	if _, err := d.busy.Exec(context.Background(), "select 1"); err == nil {
		t.Error("the session goes on behind its transaction")
	}
}

// TestDrainTimeout has a transaction outlast the patience of a graceful stop.
func TestDrainTimeout(t *testing.T) {
	t.Parallel() // most of it is waiting
	d := startDrain(t, "1s")
	d.terminate(t)
	d.wantIdleEnded(t)
	d.wantExit(t, soon)
	if code := d.s.ExitCode(); code != 0 {
		t.Errorf("code %d after a stop that had to force", code)
	}
	_, err := d.busy.Exec(context.Background(), "select 1")
	if err == nil {
		t.Error("the session survived")
	}
}

// TestDrainTwice has the second signal end Sluice at once.
func TestDrainTwice(t *testing.T) {
	t.Parallel() // most of it is waiting
	d := startDrain(t, "10m")
	d.terminate(t)
	d.wantIdleEnded(t)
	d.terminate(t)
	d.wantExit(t, soon)
}
