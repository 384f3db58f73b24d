package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// TestFunnelRolling has one process take over from another at the same address, so that no client finds
// the door closed.
func TestFunnelRolling(t *testing.T) {
	t.Parallel() // most of it is waiting
	addr := real.FreeAddr()
	config := "[engine]\nreuse-port = true\n\n" + cluster("pg", "postgres", []string{postgres(t, 0).Addr}) +
		funnel("pool", addr, "pg", `admin-users = ["app"]`, "pool-size = 3") + users("app")
	dsn := funnelDSN(addr, "app", "")
	// served logs in as often as a client may have come to the old process by chance.
	served := func(t *testing.T) {
		t.Helper()
		for range 10 {
			c := connect(t, dsn)
			do(t, c, "select 1")
			if err := c.Close(within(t, soon)); err != nil {
				t.Error(err)
			}
		}
	}
	t.Run("38 by an order of the admin", func(t *testing.T) {
		first := startSluice(t, racy(t), config)
		stays := connect(t, dsn)
		do(t, stays, "select 1")
		second := startSluice(t, racy(t), config)
		wants(t, command{path: racy(t), args: []string{"ctl", "--addr", "http://" + first.Admin, "shutdown", "wait-for-clients"}}.output(t), "SHUTDOWN")
		eventually(t, func() error {
			if _, err := first.Get("/api/debug/health"); err == nil {
				return errors.New("the first one still says that it is well")
			}
			return nil
		})
		served(t)
		await(t, first, 1, "sluice_sessions")
		do(t, stays, "select 1")
		if err := stays.Close(within(t, soon)); err != nil {
			t.Error(err)
		}
		awaitEnd(t, first)
		await(t, second, 0, "sluice_sessions")
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("39 by a signal", func(t *testing.T) {
		first := startSluice(t, racy(t), config)
		busy, idle := connect(t, dsn), connect(t, dsn)
		do(t, idle, "select 1")
		do(t, busy, "begin")
		do(t, busy, "select 1")
		second := startSluice(t, racy(t), config)
		if err := first.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			_, err := idle.Exec(within(t, soon), "select 1")
			if err == nil {
				return errors.New("the idle client is still with the first one")
			}
			return nil
		})
		served(t)
		do(t, busy, "select 1")
		do(t, busy, "commit")
		awaitEnd(t, first)
		await(t, second, 0, "sluice_sessions")
	})
}

// stopping is a funnel with a client in a transaction, which holds a graceful stop up.
func stopping(t *testing.T) (s *real.Sluice, addr string, busy *pgx.Conn) {
	t.Helper()
	s, addr = startConsole(t)
	busy = connect(t, funnelDSN(addr, "app", ""))
	do(t, busy, "begin")
	do(t, busy, "select 1")
	return s, addr, busy
}

// TestFunnelShutdown ends the process in each way that there is. Most of it is waiting, so all is done at
// one time.
func TestFunnelShutdown(t *testing.T) {
	t.Parallel() // most of it is waiting
	t.Run("49 a client that is paused is let go", func(t *testing.T) {
		t.Parallel()
		_, addr := startConsole(t)
		op, c := operator(t, addr), connect(t, funnelDSN(addr, "app", ""))
		do(t, c, "select 1")
		tell(t, op, "PAUSE app")
		asked := asking(c, "select 1")
		poolWaits(t, op, 1)
		tell(t, op, "SHUTDOWN WAIT_FOR_SERVERS")
		select {
		case err := <-asked:
			if err == nil {
				t.Error("it was served in the pause")
			}
		case <-time.After(soon):
			t.Error("it still waits")
		}
	})
	t.Run("49 a client that comes while it stops", func(t *testing.T) {
		t.Parallel()
		s, addr, busy := stopping(t)
		tell(t, operator(t, addr), "SHUTDOWN WAIT_FOR_SERVERS")
		eventually(t, func() error {
			n, err := pgx.Connect(within(t, soon), funnelDSN(addr, "app", ""))
			if err == nil {
				_ = n.Close(context.Background())
				return errors.New("it was let in")
			}
			return nil
		})
		do(t, busy, "commit")
		awaitEnd(t, s)
	})
	t.Run("50 clients are served until they go", func(t *testing.T) {
		t.Parallel()
		s, addr, busy := stopping(t)
		idle := connect(t, funnelDSN(addr, "app", "&timezone=Asia/Baku"))
		do(t, idle, "select 1")
		tell(t, operator(t, addr), "SHUTDOWN WAIT_FOR_CLIENTS")
		for range 5 {
			if got := one[string](t, idle, "show timezone"); got != "Asia/Baku" {
				t.Error(got)
			}
		}
		do(t, busy, "commit")
		do(t, busy, "select 1")
		for _, c := range []*pgx.Conn{idle, busy} {
			select {
			case <-s.Done():
				t.Fatal("the process has ended before its clients")
			default:
			}
			if err := c.Close(within(t, soon)); err != nil {
				t.Error(err)
			}
		}
		awaitEnd(t, s)
	})
	t.Run("51 RESUME during the stop lets clients come to their end", func(t *testing.T) {
		t.Parallel()
		s, addr := startConsole(t)
		op, c := operator(t, addr), connect(t, funnelDSN(addr, "app", ""))
		do(t, c, "select 1")
		tell(t, op, "PAUSE app")
		asked := asking(c, "select 1")
		poolWaits(t, op, 1)
		tell(t, op, "SHUTDOWN WAIT_FOR_CLIENTS")
		pending(t, "a query in the pause", asked)
		tell(t, op, "RESUME app")
		if err := <-asked; err != nil {
			t.Error(err)
		}
		if err := c.Close(within(t, soon)); err != nil {
			t.Error(err)
		}
		awaitEnd(t, s)
	})
	for _, tt := range []struct {
		name          string
		first, second syscall.Signal
	}{
		{"52 SIGTERM twice", syscall.SIGTERM, syscall.SIGTERM},
		{"52 SIGINT twice", syscall.SIGINT, syscall.SIGINT},
		{"52 SIGTERM and SIGINT", syscall.SIGTERM, syscall.SIGINT},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _, busy := stopping(t)
			if err := s.Signal(tt.first); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				if !strings.Contains(s.Log(), "stopping") {
					return errors.New("it does not stop")
				}
				return nil
			})
			do(t, busy, "select 1") // the first one waits for the transaction
			if err := s.Signal(tt.second); err != nil {
				t.Fatal(err)
			}
			awaitEnd(t, s)
			logs(t, s, "stopping at once")
			if _, err := busy.Exec(within(t, soon), "select 1"); err == nil {
				t.Error("the transaction goes on")
			}
		})
	}
	t.Run("52 a signal while clients are waited for", func(t *testing.T) {
		t.Parallel()
		s, addr, busy := stopping(t)
		tell(t, operator(t, addr), "SHUTDOWN WAIT_FOR_CLIENTS")
		do(t, busy, "select 1")
		if err := s.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, s)
	})
	t.Run("52 the same signal over and over", func(t *testing.T) {
		t.Parallel()
		s, _, _ := stopping(t)
		eventually(t, func() error {
			select {
			case <-s.Done():
				return nil
			default:
				_ = s.Signal(syscall.SIGTERM)
				return errors.New("it is still there")
			}
		})
		if code := s.ExitCode(); code != 0 {
			t.Error(fmt.Sprint("exit code ", code))
		}
	})
}
