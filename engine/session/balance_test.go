package session

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/router"
	"sluice/upstream"
)

// spreads has the cluster's sessions spread by those rules, looked at every 10 ms.
func spreads(spread router.Spread) func(*Setup) {
	return func(s *Setup) {
		s.Clusters[0].Balance = upstream.BalanceOptions{Spread: &spread, Interval: 10 * time.Millisecond}
	}
}

// byCount spreads sessions by their number, without a wait.
func byCount() router.Spread {
	return router.Spread{Policy: router.ByConnections, CountRatio: 1.2, Speeds: [router.Factors]float64{router.FactorConnection: 1e6}}
}

// TestSessionsAreSpread: sessions go to a backend that has come, up to the ratio and no further; what was decided and how
// the backends stand is told, by one line each.
func TestSessionsAreSpread(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, spreads(byCount()), a)
	var clients []*lineClient
	for range 20 {
		clients = append(clients, loginLines(t, s.addr("in")))
	}
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	eventually(t, "they are even", func() bool {
		at, to := s.backendOf(a), s.backendOf(b)
		return at.Outgoing() == 0 && at.Sessions()+to.Sessions() == 20 && float64(at.Sessions()) <= 1.2*float64(to.Sessions()+1)
	})
	there := s.backendOf(b).Sessions()
	if there > 10 {
		t.Errorf("%d of 20 have gone", there)
	}
	at := map[string]int{}
	for _, c := range clients {
		at[c.ask("who")]++
	}
	if at["b I"] != there || at["a I"] != 20-there {
		t.Errorf("they are at %v, %d should be at b", at, there)
	}
	list, moved := s.Decisions(), 0
	for _, d := range list {
		moved += d.Sessions
		if d.From != a.addr() || d.To != b.addr() || d.Reason != "connection" || d.Cluster != "pg" || d.Until.Before(d.Since) ||
			!strings.HasPrefix(d.Why, "connection: "+a.addr()+" has ") || strings.Contains(d.Why, "\n") {
			t.Errorf("a decision is %+v", d)
		}
	}
	if moved != there || len(list) != 1 {
		t.Errorf("%d decisions, by which %d moved; want one for %d", len(list), moved, there)
	}
	for _, one := range s.Backends() {
		eventually(t, "it is told how "+one.Addr()+" stands", func() bool {
			st := s.StandingOf(one)
			score, ok := st.Score["connection"]
			return ok && score == one.Sessions() && st.Explain != "" && !strings.Contains(st.Explain, "\n")
		})
	}
	text := s.figures()
	for _, line := range []string{"sluice_backend_score{", `factor="connection"} `, "sluice_backend_drained{"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s in the metrics", line)
		}
	}
	for _, c := range clients {
		c.Close()
	}
	s.expectEmpty()
}

// TestBalancedSessionsRest: for load alone, a session is not moved while it moves, nor soon behind a move that failed, nor
// for a minute behind one that did not, nor back for longer; for a reason that lets nobody stay it is.
func TestBalancedSessionsRest(t *testing.T) {
	a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
	s := startLines(t, fakeProto{}, func(set *Setup) { set.Clusters[0].Migrate.RetryAfter = time.Hour }, a)
	c := loginLines(t, s.addr("in"))
	c.expect("begin", "ok T")
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	one := s.only()
	relocate := func(from, to *fakeDB, f router.Factor) (n int) {
		onLoop(t, one.on, func() {
			n = one.on.relocate(s.backendOf(from), s.backendOf(to), f.String(), 10,
				func(x *Session) bool { return x.mayBalance(s.backendOf(to), f, "") })
		})
		return n
	}
	if n := relocate(a, b, router.FactorConnection); n != 1 {
		t.Fatalf("%d are moved", n)
	}
	if n := relocate(a, b, router.FactorConnection); n != 0 {
		t.Errorf("it is moved while it moves: %d", n)
	}
	if from, to := s.backendOf(a), s.backendOf(b); from.Score() != 0 || to.Score() != 1 || from.Sessions() != 1 {
		t.Errorf("while it moves the scores are %d and %d", from.Score(), to.Score())
	}
	c.expect("commit", "ok I")
	s.awaits("moved", 1)
	s.expectCounts(map[*fakeDB]int{a: 0, b: 1})
	ago := func(d time.Duration) {
		onLoop(t, one.on, func() { one.mob.past.moved -= int64(d) })
	}
	if n := relocate(b, a, router.FactorConnection); n != 0 {
		t.Errorf("it is moved again at once: %d", n)
	}
	ago(balanceRest)
	if n := relocate(b, a, router.FactorCPU); n != 0 {
		t.Errorf("it is moved back behind its rest: %d", n)
	}
	a.meet("login", fateRefuse)
	if n := relocate(b, a, router.FactorStatus); n != 1 {
		t.Errorf("it is not moved away from where it can't stay: %d", n)
	}
	s.awaits("refused", 1)
	s.expectCounts(map[*fakeDB]int{a: 0, b: 1})
	a.meet("nothing", fateServe)
	if n := relocate(b, a, router.FactorStatus); n != 0 {
		t.Errorf("it is tried again at once: %d", n)
	}
	onLoop(t, one.on, func() { one.mob.past.until = math.MinInt64 })
	ago(balanceReturn)
	if n := relocate(b, a, router.FactorCPU); n != 1 {
		t.Errorf("it is not moved back behind all rests: %d", n)
	}
	s.awaits("moved", 2)
	c.expect("who", "a I")
	c.Close()
	s.expectEmpty()
}

// TestNothingIsSpread: with policy off, while the process drains, and among backends that a session does not fit.
func TestNothingIsSpread(t *testing.T) {
	off := byCount()
	off.Policy = router.Unbalanced
	for name, change := range map[string]func(*Setup){
		"policy off": spreads(off),
		"no moves":   func(s *Setup) { spreads(byCount())(s); s.Clusters[0].Migrate.Move = nil },
		"another tag": func(s *Setup) {
			spreads(byCount())(s)
			s.Frontends[0].Tags = []router.TagRule{{Name: "of", Value: "b", Not: true}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := startFakeDB(t, "a", 100), startFakeDB(t, "b", 200)
			s := startLines(t, fakeProto{}, change, a)
			for range 6 {
				loginLines(t, s.addr("in"))
			}
			specs := lineSpecs(a, b)
			specs[1].Tags = map[string]string{"of": "b"}
			s.setup.Clusters[0].Backends = specs
			s.apply()
			eventually(t, "the new one is seen", func() bool {
				return s.StandingOf(s.backendOf(b)).Explain != "nothing is balanced" || name == "policy off"
			})
			s.looksAgain(t, 2)
			if n := s.backendOf(b).Score(); n != 0 || len(s.Decisions()) > 0 {
				t.Errorf("%d sessions went there: %+v", n, s.Decisions())
			}
		})
	}
}

// TestDecisionsAreBounded: what goes on is one decision and one line of the log, however often it is ordered; neither has
// more than its bound.
func TestDecisionsAreBounded(t *testing.T) {
	a := startFakeDB(t, "a", 100)
	s := startLines(t, fakeProto{}, nil, a)
	core, logged := observer.New(zapcore.InfoLevel)
	log, c, now := zap.New(core), s.Clusters()[0], time.Now()
	note := func(from, why string) {
		s.balancing.note(c, &router.Order{From: from, To: "to", Factor: router.FactorCPU, Why: why}, 2, now, log)
	}
	for i := range 1000 {
		note("from", fmt.Sprint("time ", i))
		now = now.Add(decisionSpan / 2)
	}
	list := s.Decisions()
	if len(list) != 1 || list[0].Sessions != 2000 || list[0].Why != "time 999" || list[0].Until.Sub(list[0].Since) != 999*decisionSpan/2 {
		t.Errorf("it was decided %+v", list)
	}
	now = now.Add(decisionSpan)
	note("from", "again")
	if n := logged.FilterMessage("sessions are moved").Len(); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
	for i := range 3 * decisionsMax {
		note(fmt.Sprint("from ", i), "once")
	}
	if list = s.Decisions(); len(list) != decisionsMax || list[0].From != fmt.Sprint("from ", 3*decisionsMax-1) {
		t.Errorf("%d decisions, the last one %+v", len(list), list[0])
	}
	if n := logged.Len(); n != 1+decisionLines {
		t.Errorf("%d lines, want %d", n, 1+decisionLines)
	}
}

// looksAgain waits until the balancer has looked n times more.
func (s *stand) looksAgain(t *testing.T, n int) {
	t.Helper()
	s.balancing.mu.Lock()
	var one *balance
	for _, one = range s.balancing.of {
	}
	s.balancing.mu.Unlock()
	for range n {
		was := one.last.Load()
		eventually(t, "it looks again", func() bool { return one.last.Load() != was })
	}
}
