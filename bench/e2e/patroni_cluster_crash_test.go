package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// outcome is what a client knows of a transaction.
type outcome int

const (
	committed  outcome = iota
	rolledBack         // certainly
	unknown            // it may be either
)

// ledger is what clients were told of each transaction, by its number.
type ledger struct {
	sync.Mutex
	last  atomic.Int64
	told  map[int64]outcome
	rows  map[int64]int // that it has if it is committed
	wrong []error
	taken clock
}

func newLedger() *ledger { return &ledger{told: map[int64]outcome{}, rows: map[int64]int{}} }

func (l *ledger) enter(id int64, rows int, o outcome) {
	l.Lock()
	defer l.Unlock()
	l.told[id], l.rows[id] = o, rows
}

func (l *ledger) complain(err error) {
	l.Lock()
	defer l.Unlock()
	l.wrong = append(l.wrong, err)
}

// count is the number of transactions with an outcome.
func (l *ledger) count(o outcome) (n int) {
	l.Lock()
	defer l.Unlock()
	for _, told := range l.told {
		if told == o {
			n++
		}
	}
	return n
}

// check holds what clients were told against the table: nothing that was acknowledged is missing, nothing
// that was rolled back is there, and nothing is there in part or twice.
func (l *ledger) check(t *testing.T, n *real.Node) {
	t.Helper()
	conn := connect(t, n.DSN("postgres", "app"))
	rows, err := conn.Query(within(t, soon), "select id, count(*) from ledger group by id")
	if err != nil {
		t.Fatal(err)
	}
	there := map[int64]int{}
	var id int64
	var count int
	if _, err := pgx.ForEachRow(rows, []any{&id, &count}, func() error { there[id] = count; return nil }); err != nil {
		t.Fatal(err)
	}
	for id, o := range l.told {
		got, whole := there[id], l.rows[id]
		switch {
		case o == committed && got != whole:
			t.Errorf("transaction %d was acknowledged: %d of its %d rows are there", id, got, whole)
		case o == rolledBack && got != 0:
			t.Errorf("transaction %d was rolled back, its client was told: %d of its %d rows are there", id, got, whole)
		case o == unknown && got != 0 && got != whole:
			t.Errorf("transaction %d: %d of its %d rows are there", id, got, whole)
		}
		delete(there, id)
	}
	if len(there) != 0 {
		t.Errorf("there are transactions that nobody sent: %v", there)
	}
}

// writer is a client that never connects anew.
type writer struct {
	ledger *ledger
	conn   *pgx.Conn
	// errors that its transactions ended with
	lost, uncertain int
}

// statements is how many rows a transaction of several statements has.
const statements = 3

// work does transactions until ctx ends, in the ways in turn.
func (w *writer) work(ctx context.Context, pace <-chan time.Time) {
	ways := []func(id int64) error{w.alone, w.block, w.pipeline}
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-pace:
		case <-ctx.Done():
			return
		}
		id := w.ledger.last.Add(1)
		rows := statements
		if i%len(ways) == 0 {
			rows = 1
		}
		err := ways[i%len(ways)](id)
		switch code := sqlState(err); {
		case err == nil:
			w.ledger.enter(id, rows, committed)
			w.ledger.taken.tick()
		case code == "40001":
			w.lost++
			w.ledger.enter(id, rows, rolledBack)
		case code == "40003":
			w.uncertain++
			w.ledger.enter(id, rows, unknown)
		default:
			w.ledger.enter(id, rows, unknown)
			w.ledger.complain(fmt.Errorf("transaction %d, way %d: %w", id, i%len(ways), err))
		}
		if w.conn.IsClosed() {
			w.ledger.complain(fmt.Errorf("the connection was lost with transaction %d, way %d: %w", id, i%len(ways), err))
			return
		}
	}
}

const insert = "insert into ledger values ($1, $2)"

// alone is a statement that is a transaction by itself.
func (w *writer) alone(id int64) error {
	_, err := w.conn.Exec(context.Background(), insert, id, 0)
	return err
}

// block is a transaction of several statements, each of which waits for its answer.
func (w *writer) block(id int64) error {
	tx, err := w.conn.Begin(context.Background())
	if err != nil {
		return err
	}
	for i := range statements {
		if _, err := tx.Exec(context.Background(), insert, id, i); err != nil {
			// It was told of the end: to go on is its own mistake, to leave has to work.
			if _, again := tx.Exec(context.Background(), "select 1"); sqlState(again) != "25P02" {
				err = errors.Join(err, fmt.Errorf("then a statement in the failed transaction: %w", again))
				w.ledger.complain(err)
			}
			if left := tx.Rollback(context.Background()); left != nil {
				w.ledger.complain(fmt.Errorf("the rollback behind it: %w", left))
			}
			return err
		}
	}
	return tx.Commit(context.Background())
}

// pipeline is a transaction whose statements are sent at one time.
func (w *writer) pipeline(id int64) error {
	batch := &pgx.Batch{}
	for i := range statements {
		batch.Queue(insert, id, i)
	}
	return w.conn.SendBatch(context.Background(), batch).Close()
}

// testPatroniCrash kills the leader's PostgreSQL under load. With a patience of 0 Patroni has a replica
// take over at once, with a longer one it starts the server anew, which leads again. In the latter case it
// is the postmaster alone that is killed, and what it has started ends by itself.
func testPatroniCrash(t *testing.T, patience int) {
	c := debian(t)
	p := partsOf(t, c)
	if err := c.Change(fmt.Sprintf(`{"primary_start_timeout": %d}`, patience)); err != nil {
		t.Fatal(err)
	}
	freshTable(t, p.leader, "ledger", "id bigint, part int, at timestamptz default clock_timestamp()")
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), patroniCluster(c, nil, watched(c))+
		funnel("leader", addr, "pg", roles("leader"), "pool-size = 10", `auth.method = "trust"`)+users("app"))

	l := newLedger()
	dsn := funnelDSN(addr, "app", "")
	idle, resting := connect(t, dsn+"&timezone=Asia/Baku"), connect(t, dsn)
	do(t, idle, "select 1")
	do(t, resting, "begin")
	do(t, resting, insert, l.last.Add(1), 0)
	l.enter(l.last.Load(), 1, rolledBack)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var working sync.WaitGroup
	var writers []*writer
	for range 32 {
		w := &writer{ledger: l, conn: connect(t, dsn)}
		writers = append(writers, w)
		working.Go(func() {
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			w.work(ctx, pace.C)
		})
	}
	// more waits until n more transactions have been committed.
	more := func(n int) {
		t.Helper()
		n += l.count(committed)
		eventually(t, func() error {
			if got := l.count(committed); got < n {
				return fmt.Errorf("%d transactions of %d", got, n)
			}
			return nil
		})
	}
	more(500)
	kill := p.leader.KillServer
	if patience > 0 {
		kill = p.leader.KillPostgres
	}
	if err := kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		leader, err := c.Leader()
		if err != nil {
			return err
		}
		if patience == 0 && leader == p.leader {
			return errors.New("the old one still leads")
		}
		return nil
	})
	more(500)
	if err := c.Mend(); err != nil {
		t.Error(err)
	}
	more(100)
	cancel()
	working.Wait()

	if got := one[string](t, idle, "show timezone"); got != "Asia/Baku" {
		t.Errorf("the idle client's time zone is %s now", got)
	}
	if _, err := resting.Exec(within(t, soon), "select 1"); sqlState(err) != "40001" {
		t.Errorf("the client whose transaction rested was told %v", err)
	}
	do(t, resting, "rollback")
	do(t, resting, "select 1")

	lost, uncertain := 0, 0
	for i, w := range writers {
		lost, uncertain = lost+w.lost, uncertain+w.uncertain
		if w.lost+w.uncertain > 1 {
			t.Errorf("client %d saw %d errors of one crash", i, w.lost+w.uncertain)
		}
	}
	for _, err := range l.wrong {
		t.Error(err)
	}
	t.Logf("%d transactions committed, %d rolled back, %d of unknown outcome; nothing was committed for %v",
		l.count(committed), lost, uncertain, longest(l.taken.at).Round(time.Millisecond))
	leader := partsOf(t, c).leader
	if (patience == 0) == (leader == p.leader) {
		t.Errorf("%s leads, and %s led", leader.Name, p.leader.Name)
	}
	l.check(t, leader)
	await(t, s, 34, "sluice_sessions")
}
