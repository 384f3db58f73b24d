package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/upstream"
)

// Of TestFailoverChaos: how many changes there are, and how many clients.
const (
	failovers        = 600
	failoverSessions = 24
)

// does sends a query and reads its answer; ok false: it was an error, behind which the session goes on.
func (g *guestAtWork) does(sql string) (ok bool, err error) {
	_ = g.SetDeadline(time.Now().Add(patience))
	if _, err := g.Write(message('Q', sql+"\x00")); err != nil {
		return false, err
	}
	for ok = true; ; {
		kind, body, err := readMessage(g.r)
		switch {
		case err != nil:
			return false, err
		case kind == 'E':
			ok = false
		case kind == 'C' && strings.HasPrefix(sql, "echo") && body != sql+"\x00":
			panic(fmt.Sprintf("got %q, want %q", body, sql))
		case kind == 'Z':
			return ok, nil
		}
	}
}

// lives does one thing of those that clients do.
func (g *guestAtWork) lives(random *rand.Rand) error {
	g.n++
	echo := fmt.Sprintf("echo %d/%d", g.id, g.n)
	var list []string
	switch random.IntN(7) {
	case 0, 1:
		list = []string{echo}
	case 2:
		list = []string{"write"}
	case 3, 4:
		list = []string{"begin", echo, "write", "commit"}
	case 5, 6:
		list = []string{"begin read only", "read", "commit"}
	}
	for i, sql := range list {
		ok, err := g.does(sql)
		if err != nil {
			return err
		}
		if !ok && len(list) > 2 && i < len(list)-1 {
			_, err := g.does("rollback")
			return err
		}
	}
	return nil
}

// disturb does one thing of those that happen to a cluster.
func (s *stand) disturb(f *fakeFinder, dbs []*fakePG, random *rand.Rand) {
	switch random.IntN(16) {
	case 0:
		dbs[random.IntN(len(dbs))].cutAll()
	case 1:
		dbs[random.IntN(len(dbs))].shutDown("57P01")
	case 2:
		f.finds.Hold("a switchover", time.Hour)
	case 3:
		f.finds.EndHold()
	case 4:
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Millisecond)
		_ = s.Pause(ctx, "")
		cancel()
		_ = s.Resume("")
	case 5:
		_ = s.Reconnect("")
	case 6:
		for i := range s.setup.Frontends {
			s.setup.Frontends[i].Sharing = s.setup.Frontends[i].Sharing.resized(1 + random.IntN(12))
			s.setup.Frontends[i].DrainTimeout = time.Duration(random.IntN(2)) * 20 * time.Millisecond
		}
		s.apply()
	case 7:
		if random.IntN(8) == 0 {
			_ = s.Kill("")
			_ = s.Resume("")
		}
	case 8:
		s.UpdateClusters(s.t.Context())
	default:
		f.found(anyView(dbs, random)...)
		for _, db := range dbs {
			db.log.replica.Store(*db.standby.Load() == "on")
		}
	}
}

// resized is the same with pools of that size.
func (sh *Sharing) resized(size int) *Sharing {
	other := *sh
	other.Access, other.guests = trusting(size).Access, nil
	return &other
}

// expectCounted holds that each backend counts the sessions that are there, and no others.
func (s *stand) expectCounted() {
	s.t.Helper()
	var wrong string
	if !comesTrue(func() bool { wrong = s.miscounted(); return wrong == "" }) {
		s.t.Fatal(wrong)
	}
}

func (s *stand) miscounted() (wrong string) {
	there := map[*upstream.Backend]int{}
	for _, b := range s.Backends() {
		there[b] = 0
	}
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for _, one := range on.all() {
				if one.backend != nil {
					there[one.backend]++
				}
				if r := one.sh.reads; r != nil && r.to.backend != nil {
					there[r.to.backend]++
				}
				if one.sh.waits() || one.sh.at != nil {
					wrong += fmt.Sprintf("session %d is at work: %s; ", one.id, one.busy())
				}
			}
			for spec := range on.homes {
				if spec.dropped.Load() {
					wrong += fmt.Sprintf("the pool of %s at %s was dropped, and is there; ", spec.fe, spec.backend.Addr())
				}
			}
			if len(on.shelves) > len(on.homes) {
				wrong += fmt.Sprintf("%d shelves for %d homes; ", len(on.shelves), len(on.homes))
			}
		})
	}
	for b, n := range there {
		if b.Sessions() != n {
			wrong += fmt.Sprintf("%s counts %d sessions, and has %d; ", b.Addr(), b.Sessions(), n)
		}
	}
	if n := s.Failover()["pg"].Waiting; n != 0 {
		wrong += fmt.Sprintf("%d are taken to wait for a backend; ", n)
	}
	return wrong
}

// TestFailoverChaos: clients write, read and go while leaders come and go, work is held, servers crash and
// operators give orders. When there is peace each has its answer, and everybody is counted where it is.
func TestFailoverChaos(t *testing.T) {
	dbs := startMembers(t, "db-a", "db-b", "db-d")
	f := &fakeFinder{}
	s := startSharing(t, f, func(s *Setup) {
		for i := range s.Frontends {
			sh := trusting(3)
			sh.KeepOnLoss, sh.ReadRoles = true, only(router.Async, router.Sync)
			sh.OwnWrites, sh.ReadWait = []OwnWrites{OwnWritesWait, OwnWritesLeader}[i%2], 20*time.Millisecond
			s.Frontends[i].Sharing = sh
		}
		s.Frontends[1].Roles = router.AnyRole
		s.Clusters[0].FailoverClients = failoverSessions * 3 / 4
	})
	peace := func() {
		_ = s.Resume("")
		f.finds.EndHold()
		leaderAt(dbs, 0)
		for i, db := range dbs {
			db.log.replica.Store(i > 0)
		}
		f.found(member(dbs[0], router.Leader), behind(dbs[1], 0), behind(dbs[2], 0))
		s.settled()
	}
	peace()
	over, leave := make(chan struct{}), make(chan struct{})
	var rest, all sync.WaitGroup
	var lived, lost atomic.Int64
	rest.Add(failoverSessions)
	for id := range failoverSessions {
		random := rand.New(rand.NewPCG(11, uint64(id)))
		addr := s.addr([]string{"in", "reads"}[id%2])
		all.Go(func() {
			var g *guestAtWork
			var err error
			for running := true; running; {
				select {
				case <-over:
					running = false // but once more, now that there is peace
				default:
				}
				for g == nil {
					if g, err = arrive(addr, id); err != nil {
						lost.Add(1)
						if strings.Contains(err.Error(), "timeout") {
							t.Error(err)
						}
					}
				}
				if err := g.lives(random); err != nil {
					if strings.Contains(err.Error(), "timeout") {
						t.Errorf("client %d waits for ever: %v", id, err)
					}
					g.Close()
					g = nil
					lost.Add(1)
					continue
				}
				if lived.Add(1); random.IntN(20) == 0 {
					_, _ = g.Write(message('Q', []string{"begin\x00", "begin read only\x00", "write\x00"}[random.IntN(3)]))
					g.Close()
					g = nil
				}
			}
			rest.Done()
			<-leave
			if g != nil {
				g.Close()
			}
		})
	}
	random := rand.New(rand.NewPCG(12, 13))
	for range failovers {
		s.disturb(f, dbs, random)
		if s.settled(); random.IntN(2) == 0 {
			time.Sleep(time.Millisecond) // some peace
		}
	}
	peace()
	before := lived.Load()
	eventually(t, "the clients get on with their work", func() bool { return lived.Load() >= before+failoverSessions })
	close(over)
	rest.Wait()
	s.settled()
	s.expectCounted()
	t.Logf("%d lived, %d lost; %+v", lived.Load(), lost.Load(), s.Failover()["pg"])
	close(leave)
	all.Wait()
	s.expectCalm()
}
