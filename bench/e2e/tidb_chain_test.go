package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// A chainer does one transaction behind another without a gap: what follows a transaction's end has been asked before
// anything else could happen. step writes number n into app.chained.
type chainer struct {
	name string
	step func(ctx context.Context, c *sql.Conn, n int) error
	end  string // what ends the last transaction
}

// writeChained writes n twice over, so that a transaction has more than one statement.
func writeChained(ctx context.Context, c *sql.Conn, name string, n int) error {
	if _, err := c.ExecContext(ctx, "insert into app.chained values (?, 0)", name+"-"); err != nil {
		return err
	}
	_, err := c.ExecContext(ctx, "update app.chained set n = ?, name = ? where name = ?", n, name, name+"-")
	return err
}

func chainers() []chainer {
	between := func(name, begin, end string) chainer {
		return chainer{name, func(ctx context.Context, c *sql.Conn, n int) error {
			if _, err := c.ExecContext(ctx, begin); err != nil {
				return err
			}
			err := writeChained(ctx, c, name, n)
			if err == nil && end != "" {
				_, err = c.ExecContext(ctx, end)
			}
			return err
		}, "commit"}
	}
	return []chainer{
		between("begin-commit", "begin", "commit"),
		between("comments", "/* next */ start transaction", "commit -- done"),
		between("begin-begin", "begin", ""),
		between("autocommit-off", "set autocommit = 0", "commit"),
		{"prepared", preparedStep, "commit"},
	}
}

// preparedStep has a prepared statement of its own for each order, as sysbench has.
func preparedStep(ctx context.Context, c *sql.Conn, n int) error {
	for _, q := range []string{"begin", "commit"} {
		st, err := c.PrepareContext(ctx, q)
		if err != nil {
			return err
		}
		defer st.Close()
		if _, err := st.ExecContext(ctx); err != nil {
			return err
		}
		if q == "begin" {
			if err := writeChained(ctx, c, "prepared", n); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestTiDBChained moves sessions that begin a transaction as soon as the one before it is at its end, three times under
// way; and each transaction is done, once.
func TestTiDBChained(t *testing.T) {
	every := trio(t)[:2]
	for _, d := range every {
		c := single(t, openMySQL(t, d.Addr, "app", ""))
		mustMySQL(t, c, "drop table if exists chained")
		mustMySQL(t, c, "create table chained (name varchar(20), n int, primary key (name, n))")
	}
	m := startMoving(t, racy(t), every)
	m.only(t, 0)
	done := make(chan struct{})
	var chains sync.WaitGroup
	steps := make([]int, len(chainers()))
	for i, way := range chainers() {
		c := single(t, openMySQL(t, m.addr, "app", ""))
		chains.Go(func() {
			ctx := context.Background()
			for n := 1; ; n++ {
				if err := way.step(ctx, c, n); err != nil {
					t.Errorf("%s: transaction %d: %v", way.name, n, err)
					return
				}
				steps[i] = n
				select {
				case <-done:
					if _, err := c.ExecContext(ctx, way.end); err != nil {
						t.Errorf("%s: %v", way.name, err)
					}
					return
				default:
				}
			}
		})
	}
	m.sessions(t, every[0], len(steps))
	for round := range 3 {
		m.swap(t, round%2, 1-round%2)
	}
	close(done)
	chains.Wait()
	for i, way := range chainers() {
		total := 0
		for _, d := range every {
			var n int
			c := single(t, openMySQL(t, d.Addr, "app", ""))
			if err := c.QueryRowContext(within(t, soon), "select count(*) from chained where name = ?", way.name).Scan(&n); err != nil {
				t.Fatal(err)
			}
			total += n
		}
		if total != steps[i] {
			t.Errorf("%s: %d of %d transactions were done", way.name, total, steps[i])
		}
	}
}

// TestTiDBPipelined has clients that don't wait for the answer to COMMIT before they send the next BEGIN. One that
// sends all at once moves where it takes a breath.
func TestTiDBPipelined(t *testing.T) {
	every := trio(t)[:2]
	m := startMoving(t, racy(t), every)
	m.only(t, 0)
	c := loginMySQL(t, m.addr, wire.Usual)
	c.Query("begin")
	m.order(t, every[1], "resume")
	m.order(t, every[0], "drain")
	query := func(q string) []byte { return wire.Packet(0, append([]byte{wire.ComQuery}, q...)) }
	deadline := time.Now().Add(soon)
	for n := 0; m.at(t, every[0]) > 0; n++ {
		if time.Now().After(deadline) {
			t.Fatal("the session does not move")
		}
		c.SendRaw(wire.Join(query("select 1"), query("commit"), query("begin"), query(fmt.Sprintf("select 'number %d'", n))))
		for range 4 {
			c.Reply()
		}
		if err := c.Fault(); err != nil {
			t.Fatal(err)
		}
	}
	c.Query("commit")
	if got := portOf(c); got != portText(every[1]) {
		t.Errorf("the session is at %s, want it at %s", got, portText(every[1]))
	}
	c.End()
}

// TestTiDBCommitAhead has a transaction fail at the COMMIT that is done in place of its client's next BEGIN: the client
// hears that as the answer to the BEGIN, no transaction is begun, and the session moves behind it.
func TestTiDBCommitAhead(t *testing.T) {
	every := trio(t)[:2]
	everywhere(t, every, "create table if not exists disputed (id int primary key, n int)", "replace into disputed values (1, 0)")
	m := startMoving(t, racy(t), every)
	m.only(t, 0)
	c := loginMySQL(t, m.addr, wire.Usual)
	c.Query("begin optimistic")
	c.Query("update app.disputed set n = 1 where id = 1")
	everywhere(t, every[:1], "update app.disputed set n = 2 where id = 1") // who comes first
	m.order(t, every[1], "resume")
	m.order(t, every[0], "drain")
	eventually(t, func() error {
		page, err := m.Get("/api/sessions")
		if err == nil && !strings.Contains(page, "standing by") {
			err = fmt.Errorf("the move is not ready: %s", page)
		}
		return err
	})
	if answer := heard(c, orders("begin")); !strings.Contains(answer, "Write conflict") {
		t.Errorf("the client hears %s", answer)
	}
	// What an error leaves of a transaction is not certain. The next answer says it: there is none, so the session moves.
	c.Query("select concat('port ', @@port, '.')")
	m.sessions(t, every[0], 0)
	if got := portOf(c); got != portText(every[1]) {
		t.Errorf("the session is at %s, want it at %s", got, portText(every[1]))
	}
	c.End()
	for i, want := range []string{"2", "0"} {
		if got := value(t, single(t, openMySQL(t, every[i].Addr, "app", "")), "select n from disputed"); got != want {
			t.Errorf("instance %d has n = %s, want %s", i, got, want)
		}
	}
}

// at is how many sessions d has at the moment.
func (m moving) at(t *testing.T, d *real.TiDB) int {
	t.Helper()
	n, err := m.Metric("sluice_backend_sessions", fmt.Sprintf("backend=%q", d.Addr))
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}
