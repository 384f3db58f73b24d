package session

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/router"
	"sluice/upstream"
)

// chaosViews is how many views of a cluster follow each other in TestTopologyChaos.
const chaosViews = 1000

// TestTopologyChaos: clients come, work and go while roles, states and lags change at random. When that is over
// nobody is where it does not fit, whoever comes gets to the right place, and nothing is left behind.
func TestTopologyChaos(t *testing.T) {
	shapes := map[string]func(*testing.T, *fakeFinder) *stand{
		"proxy":  func(t *testing.T, f *fakeFinder) *stand { return startProxy(t, discovered(f, nil)) },
		"funnel": func(t *testing.T, f *fakeFinder) *stand { return startSharing(t, f, nil) },
		"at once": func(t *testing.T, f *fakeFinder) *stand {
			return startProxy(t, discovered(f, func(s *Setup) { s.Frontends[0].DrainTimeout, s.Frontends[1].DrainTimeout = 0, 0 }))
		},
	}
	for name, start := range shapes {
		t.Run(name, func(t *testing.T) {
			f := &fakeFinder{}
			s := start(t, f)
			dbs := startMembers(t, "db-a", "db-b", "db-d")
			random := rand.New(rand.NewPCG(5, 6))
			over := make(chan struct{})
			var clients sync.WaitGroup
			var answers atomic.Int64
			for i := range 6 {
				addr := s.addr([]string{"in", "reads"}[i%2])
				clients.Go(func() { restless(t, addr, rand.New(rand.NewPCG(7, uint64(i))), over, &answers) })
			}
			for range chaosViews {
				f.found(anyView(dbs, random)...)
				if random.IntN(4) == 0 {
					s.settled()
				}
			}
			leaderAt(dbs, 0)
			f.found(member(dbs[0], router.Leader), behind(dbs[1], 0), behind(dbs[2], 0))
			s.settled()
			s.expectFit()
			eventually(t, "the clients get on with their work", func() bool { return answers.Load() >= chaosViews })
			close(over)
			clients.Wait()
			if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-a" {
				t.Errorf("the leader is %s", tag)
			}
			if tag, _ := login(t, s.addr("reads")).query("select"); tag == "db-a" {
				t.Error("replicas are read at the leader")
			}
		})
	}
}

// leaderAt has the servers say which of them leads; -1: none.
func leaderAt(dbs []*fakePG, at int) {
	for i, db := range dbs {
		db.leads(i == at)
	}
}

// anyView is a view of a cluster with at most one leader, and with lags and states at random.
func anyView(dbs []*fakePG, random *rand.Rand) (list []upstream.Spec) {
	leader := random.IntN(len(dbs)+1) - 1
	leaderAt(dbs, leader)
	for i, db := range dbs {
		is := behind(db, uint64(random.IntN(1500)))
		switch {
		case i == leader:
			is = member(db, router.Leader)
		case random.IntN(6) == 0:
			continue // it is not there
		case random.IntN(6) == 0:
			is.Out, is.State = "its state is starting", "starting"
		case random.IntN(3) == 0:
			is.Role = router.Sync
		}
		list = append(list, is)
	}
	return list
}

// restless connects, works and goes again, whatever it is told, until the end.
func restless(t *testing.T, addr string, random *rand.Rand, over <-chan struct{}, answers *atomic.Int64) {
	for {
		select {
		case <-over:
			return
		default:
		}
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		stop := make(chan struct{})
		go func() { // so that one that waits for a leader is not waited for
			select {
			case <-over:
			case <-stop:
			}
			nc.Close()
		}()
		answers.Add(work(hello(t, nc), random))
		close(stop)
	}
}

// work does a few transactions, until it is told of an error or has had enough, and returns how many answers came.
func work(c *client, random *rand.Rand) (answers int64) {
	text := []string{"begin", "select", "commit"}
	for i := range 1 + random.IntN(30) {
		for {
			kind, _, err := readMessage(c.r)
			if err != nil {
				return answers
			}
			if kind == 'Z' {
				break
			}
		}
		answers++
		if _, err := c.Write(message('Q', text[i%len(text)]+"\x00")); err != nil {
			return answers
		}
	}
	return answers
}

// expectFit holds that every session that has a backend is fit for it, or is about to leave it.
func (s *stand) expectFit() {
	s.t.Helper()
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for _, one := range on.all() {
				at, ok := one.post()
				if !ok {
					continue
				}
				if why := at.backend.Fits(one.want()); why != "" && one.leaving == nil && one.sh == nil {
					s.t.Errorf("session %d of %s is at %s, which does not fit: %s", one.id, one.fe.name, at.backend.Addr(), why)
				}
			}
		})
	}
}
