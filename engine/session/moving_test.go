package session

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/engine"
)

// TestChannelsOfASessionThatMovesTwice: it hears what is notified where it is at last, and nothing of where it
// was for a moment.
func TestChannelsOfASessionThatMovesTwice(t *testing.T) {
	dbs := map[string]*fakePG{}
	for _, name := range []string{"db-a", "db-b"} {
		db := startFakePG(t, name)
		db.utf8.Store(true)
		dbs[db.addr()] = db
	}
	var list []*fakePG
	for _, db := range dbs {
		list = append(list, db)
	}
	s := startFunnel(t, nil, list...)
	c := login(t, s.addr("in"))
	c.query("listen news")
	one := s.only()
	home, other := one.backend, s.Backends()[0]
	if other == home {
		other = s.Backends()[1]
	}
	onLoop(t, one.on, func() {
		one.backend = other
		one.moveIn()
		one.backend = home
		one.moveIn()
	})
	eventually(t, "it was there", func() bool { return dbs[other.Addr()].notify("news", "old") == 1 })
	eventually(t, "that has ended", func() bool {
		ended := false
		onLoop(t, one.on, func() {
			hub := s.hubOf(s.hubSpec(other.Addr()))
			ended = hub.Channels() == 0
		})
		return ended
	})
	dbs[home.Addr()].notify("news", "new")
	for {
		kind, body := c.next()
		if kind != 'A' {
			t.Fatalf("got %c %q", kind, body)
		}
		if strings.HasSuffix(body, "new\x00") {
			break
		}
	}
	c.Close()
	s.expectCalm()
}

// hubSpec is the pool at that backend.
func (s *stand) hubSpec(addr string) *poolSpec {
	s.t.Helper()
	for _, spec := range s.pools.all() {
		if spec.backend.Addr() == addr {
			return spec
		}
	}
	s.t.Fatalf("no pool at %s", addr)
	return nil
}

// TestPoolTellsOfItsTrouble: that a pool can't open server connections is logged, once in a while and not each
// time.
func TestPoolTellsOfItsTrouble(t *testing.T) {
	db := startFakePG(t, "db-a")
	core, logged := observer.New(zapcore.WarnLevel)
	eng, err := engine.Start(engine.Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := New(eng, zap.New(core), zap.NewNop())
	t.Cleanup(func() { p.Close(); eng.Stop() })
	s := &stand{Proxy: p, t: t, setup: startFunnel(t, nil, db).setup}
	s.setup.Clusters[0].RetryTimeout = time.Minute
	s.apply()
	code := "53300" // too_many_connections
	db.refuse.Store(&code)
	c := connect(t, s.addr("in"))
	eventually(t, "it was tried often", func() bool { return db.logins.Load() > 5 })
	lines := logged.FilterMessage("a server connection could not be opened").All()
	if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error"].(string), "not now") ||
		lines[0].ContextMap()["user"] != "alice" {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
	c.Close()
}
