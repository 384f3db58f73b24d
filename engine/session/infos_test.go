package session

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestInfosOfALogin: a client that has connected and says nothing can be shown too.
func TestInfosOfALogin(t *testing.T) {
	s := startFunnel(t, nil, startFakePG(t, "db-a"))
	c, err := net.Dial("tcp", s.addr("in"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is there", func() bool {
		list := s.ClientInfos(10)
		return len(list) == 1 && list[0].State == "login" && list[0].Addr.String() == c.LocalAddr().String()
	})
	s.Sessions(10)
	s.PoolInfos()
	s.DatabaseStats()
	c.Close()
	s.expectCalm()
}

// TestInfosOfChaos: whatever stage clients and server connections are in, they can be shown.
func TestInfosOfChaos(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) {
		watched(s)
		s.Frontends[0].Sharing = trusting(9) // on both loops
		s.Frontends[0].Sharing.Pool.CheckAfter = time.Millisecond
	}, db)
	addr, over := s.addr("in"), make(chan struct{})
	var all sync.WaitGroup
	var shown, worked atomic.Int64
	for id := range 20 {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if rand.IntN(4) == 0 {
					halfALogin(addr)
				} else if g, err := arrive(addr, id); err == nil {
					_ = g.work(addr)
					worked.Add(1)
				}
			}
		})
	}
	all.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			switch rand.IntN(3) {
			case 0:
				db.cutAll()
			case 1:
				_ = s.Reconnect("")
			case 2:
				s.setup.Frontends[0].Sharing = trusting(1 + rand.IntN(24))
				s.apply()
			}
			time.Sleep(time.Millisecond)
		}
	})
	eventually(t, "all was shown, often", func() bool {
		s.ClientInfos(100)
		s.ServerInfos()
		s.PoolInfos()
		s.Sessions(100)
		s.DatabaseStats()
		s.Prepared()
		s.WriteMetrics(io.Discard)
		return shown.Add(1) >= 100 && worked.Load() >= 20
	})
	close(over)
	all.Wait()
	s.expectCalm()
}

// halfALogin connects, says a part of what a client says, and goes.
func halfALogin(addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	words := []byte("\x00\x00\x00\x19\x00\x03\x00\x00user\x00alice\x00\x00\x00\x00\x00")
	_, _ = c.Write(words[:rand.IntN(len(words))])
	time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
}
