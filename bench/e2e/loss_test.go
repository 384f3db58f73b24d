package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// TestFunnelLossTruth holds what clients are told when their server connections are cut against what the
// server has done: what is told to be rolled back is not there, what is told to be done is there once, and
// nothing is there twice.
func TestFunnelLossTruth(t *testing.T) {
	pg := postgres(t, 0)
	op := connectPG(t, pg.Addr, "app")
	lossTables(t, op)
	axe, err := startAxe(pg.Addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(axe.close)
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), cluster("pg", "postgres", []string{axe.addr})+
		funnel("pool", addr, "pg", "pool-size = 6", `auth.method = "trust"`)+users("app"))
	const clients, batches = 8, 300
	var all [clients]lossClient
	var wg sync.WaitGroup
	for i := range all {
		c := &all[i]
		c.no, c.rng = i, rand.New(rand.NewPCG(7, uint64(i)))
		wg.Go(func() {
			for c.err == nil && len(c.sent) < batches {
				c.session(addr, batches)
			}
		})
	}
	wg.Wait()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	axe.close()
	stored := lossStored(t, op)
	for i := range all {
		c := &all[i]
		if c.err != nil {
			t.Errorf("client %d: %v\nsent %q", i, c.err, c.sent[max(0, len(c.sent)-4):])
		}
		if err := c.compare(stored); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
		t.Logf("client %d: %d sessions, states of errors %v", i, c.sessions, c.states)
	}
	t.Logf("%d connections cut", axe.cuts)
	if axe.cuts < 20 {
		t.Errorf("only %d connections were cut", axe.cuts)
	}
}

// lossTables makes the ledger of marks, and a procedure that commits in its midst.
func lossTables(t *testing.T, op *pgx.Conn) {
	t.Helper()
	for _, text := range []string{
		"drop table if exists loss_ledger",
		"create table loss_ledger (mark text)",
		"create or replace procedure loss_keep(a text, b text) language plpgsql as " +
			"$$begin insert into loss_ledger values (a); commit; insert into loss_ledger values (b); end$$",
	} {
		if _, err := op.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}

// lossStored waits until nobody is at work any more who came after op, and returns how often each mark is there.
// Those who came before are of other tests: a server at work does not notice that its client has gone.
func lossStored(t *testing.T, op *pgx.Conn) map[string]int {
	t.Helper()
	eventually(t, func() error {
		const others = "select coalesce(string_agg(state || ': ' || query, '; '), '') from pg_stat_activity " +
			"where datname = 'app' and usename = 'app' and backend_start > " +
			"(select backend_start from pg_stat_activity where pid = pg_backend_pid())"
		if work := one[string](t, op, others); work != "" {
			return fmt.Errorf("sessions are still there: %s", work)
		}
		return nil
	})
	rows, err := op.Query(t.Context(), "select mark, count(*)::int from loss_ledger group by mark")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]int{}
	for rows.Next() {
		var mark string
		var n int
		if err := rows.Scan(&mark, &n); err != nil {
			t.Fatal(err)
		}
		stored[mark] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return stored
}

// axe passes connections on to a server, and cuts each one when so many bytes have gone one way or the other.
type axe struct {
	addr string
	ln   net.Listener
	to   string
	wg   sync.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand
	cuts  int
	ended bool
	conns []net.Conn
}

func startAxe(to string, seed uint64) (*axe, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &axe{addr: ln.Addr().String(), ln: ln, to: to, rng: rand.New(rand.NewPCG(seed, 0))}
	a.wg.Go(a.serve)
	return a, nil
}

func (a *axe) serve() {
	for {
		c, err := a.ln.Accept()
		if err != nil {
			return
		}
		d, err := net.Dial("tcp", a.to)
		if err != nil {
			c.Close()
			continue
		}
		a.mu.Lock()
		if a.ended {
			c.Close()
			d.Close()
		}
		a.conns = append(a.conns, c, d)
		out, in := 900+a.rng.IntN(4000), 1200+a.rng.IntN(4000)
		a.mu.Unlock()
		a.wg.Go(func() { a.pass(d, c, out) })
		a.wg.Go(func() { a.pass(c, d, in) })
	}
}

// pass copies so many bytes, and ends both connections then.
func (a *axe) pass(dst, src net.Conn, n int) {
	_, err := io.CopyN(dst, src, int64(n))
	if err == nil {
		a.mu.Lock()
		a.cuts++
		a.mu.Unlock()
	}
	dst.Close()
	src.Close()
}

func (a *axe) close() {
	a.ln.Close()
	a.mu.Lock()
	a.ended = true
	for _, c := range a.conns {
		c.Close()
	}
	a.mu.Unlock()
	a.wg.Wait()
}

// lossClient is a client that does random work, and keeps what it was told of it.
type lossClient struct {
	lossBelief
	no       int
	rng      *rand.Rand
	sent     [][]string // batches: their statements
	sessions int
	states   map[string]int // of errors
	err      error
}

// session works until the session ends, or all batches are sent. Up to three batches are on their way at a
// time.
func (c *lossClient) session(addr string, batches int) {
	pg, err := wire.DialPG(addr)
	if err != nil {
		c.err = err
		return
	}
	defer pg.Conn.Close()
	if pg.Login(); pg.Fault() != nil {
		c.err = pg.Fault()
		return
	}
	c.sessions++
	c.lossBelief.begin()
	r := pg.Reader()
	read := len(c.sent)
	for c.err == nil && (len(c.sent) < batches || read < len(c.sent)) {
		if len(c.sent) < batches && len(c.sent)-read <= c.rng.IntN(3) {
			pg.Send(c.batch())
			continue
		}
		code, over, err := c.answer(c.sent[read], r)
		if c.states == nil {
			c.states = map[string]int{}
		}
		if read++; code != "" {
			c.states[code]++
		}
		if c.err = err; over || err != nil {
			for _, texts := range c.sent[read:] {
				c.settle("unknown", marksOf(texts))
			}
			return
		}
	}
	c.settle("undone", c.block)
	pg.Ask("Z", wire.Query("rollback"))
}

// batch makes some statements up, and how they are sent.
func (c *lossClient) batch() []byte {
	var texts []string
	if c.rng.IntN(10) == 0 {
		texts = []string{fmt.Sprintf("call loss_keep('%s', '%s')", c.mark(0), c.mark(1))}
	} else {
		for i := range 1 + c.rng.IntN(4) {
			texts = append(texts, c.statement(i))
		}
	}
	c.sent = append(c.sent, texts)
	if c.rng.IntN(2) == 0 {
		return wire.Query(strings.Join(texts, []string{";", "; ", " ;\n-- a;\n"}[c.rng.IntN(3)]))
	}
	var b []byte
	for i, text := range texts {
		b = append(b, c.extended(text, i)...)
	}
	return append(b, wire.Sync()...)
}

// extended sends a statement by the extended protocol, with names or without.
func (c *lossClient) extended(text string, i int) []byte {
	name, portal := "", ""
	if c.rng.IntN(3) == 0 {
		name = fmt.Sprint("s", len(c.sent), "_", i)
	}
	if c.rng.IntN(3) == 0 {
		portal = fmt.Sprint("p", len(c.sent), "_", i)
	}
	b := wire.Join(wire.Parse(name, text), wire.Bind(portal, name))
	if c.rng.IntN(3) == 0 {
		b = append(b, wire.Flush()...)
	}
	return append(b, wire.Execute(portal, 0)...)
}

func (c *lossClient) mark(i int) string { return fmt.Sprintf("%d.%d.%d", c.no, len(c.sent), i) }

func (c *lossClient) statement(i int) string {
	if i == 0 && c.tx == 'E' && c.rng.IntN(2) == 0 {
		return "rollback"
	}
	switch c.rng.IntN(26) {
	case 0, 1, 2, 3:
		return "begin"
	case 4, 5:
		return "commit"
	case 6:
		return "rollback"
	case 7:
		return "commit and chain"
	case 8:
		return "select 1/0"
	case 9:
		return "commit prepared 'nothing'"
	case 10:
		return `select 'a\b'`
	case 11:
		return fmt.Sprintf("create function loss_%d_%d_%d() returns int begin atomic select 1; end", c.no, len(c.sent), i)
	}
	return fmt.Sprintf("insert into loss_ledger values ('%s')", c.mark(i))
}
