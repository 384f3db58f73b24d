package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// testPatroniSplit kills the leader's Patroni, while its PostgreSQL goes on and says that it leads. Once
// there is a new leader, nothing is sent to the old one any more.
func testPatroniSplit(t *testing.T) {
	c := debian(t)
	p := partsOf(t, c)
	freshTable(t, p.leader, "ledger", "id bigint, part int, at timestamptz default clock_timestamp()")
	addr, proxy := real.FreeAddr(), real.FreeAddr()
	// There is nothing that tells Sluice but what it asks for.
	startSluice(t, racy(t), patroniCluster(c, nil)+
		funnel("leader", addr, "pg", roles("leader"), "pool-size = 5")+
		listener("proxy", proxy, "pg", roles("leader"), `drain-timeout = "0s"`)+users("app"))
	l := newLedger()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var working sync.WaitGroup
	var writers []*writer
	for range 8 {
		w := &writer{ledger: l, conn: connect(t, funnelDSN(addr, "app", ""))}
		writers = append(writers, w)
		working.Go(func() {
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			w.work(ctx, pace.C)
		})
	}
	direct := connect(t, funnelDSN(proxy, "app", ""))
	if got := nodeOf(t, c, direct); got != p.leader.Name {
		t.Fatalf("a client of the leader's listener is on %s", got)
	}
	if err := p.leader.KillPatroni(); err != nil {
		t.Fatal(err)
	}
	var leader *real.Node
	eventually(t, func() (err error) {
		if leader, err = c.Leader(); err == nil && leader == p.leader {
			err = errors.New("the old one still leads")
		}
		return err
	})
	eventually(t, func() error { // it may be on the way to be one
		var standby bool
		err := leader.Query("select pg_is_in_recovery()", &standby)
		if err == nil && standby {
			err = errors.New("it does not lead yet")
		}
		return err
	})
	before := l.count(committed)
	eventually(t, func() error {
		if got := l.count(committed); got < before+100 {
			return fmt.Errorf("%d transactions since the change of leader", got-before)
		}
		return nil
	})
	// The old one still takes what it gets, but gets nothing.
	var standby bool
	if err := p.leader.Query("select pg_is_in_recovery()", &standby); err != nil || standby {
		t.Errorf("the old leader does not lead for itself: %v", err)
	}
	eventually(t, func() error {
		var n int
		err := p.leader.Query("select count(*) from pg_stat_activity where usename = 'app'", &n)
		if err == nil && n != 0 {
			err = fmt.Errorf("%d sessions of Sluice are on the old leader", n)
		}
		return err
	})
	if _, err := direct.Exec(within(t, soon), "insert into ledger values (-1, 0)"); err == nil {
		t.Error("a session of the old leader goes on")
	}
	reaches(t, c, funnelDSN(proxy, "app", ""), leader.Name)
	cancel()
	working.Wait()
	for _, err := range l.wrong {
		t.Error(err)
	}
	lost, uncertain := 0, 0
	for _, w := range writers {
		lost, uncertain = lost+w.lost, uncertain+w.uncertain
	}
	t.Logf("%d transactions committed, %d rolled back, %d of unknown outcome; nothing was committed for %v",
		l.count(committed), lost, uncertain, longest(l.taken.at).Round(time.Millisecond))
	l.check(t, leader)
}
