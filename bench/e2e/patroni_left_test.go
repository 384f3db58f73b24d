package e2e

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// What a change of the cluster has to end, and what it has not.

// TestPatroniSameHost has two members on one host: they are two, and one that goes takes nothing of the other
// with it.
func TestPatroniSameHost(t *testing.T) {
	f := newFakes(t)
	for _, name := range []string{"one", "two", "three"} {
		f.start(name, "127.0.0.2")
	}
	leader, two, three := f.member("one", "leader"), f.member("two", "replica"), f.member("three", "replica")
	f.Set(leader, two, three)
	replicas := real.FreeAddr()
	s := startFake(t, f.config()+listener("replicas", replicas, "fake", roles("async"), cutting))
	all := map[string]*real.LineClient{}
	for range 2 {
		c, name := lineSession(t, replicas)
		all[name] = c
	}
	if all["two"] == nil || all["three"] == nil {
		t.Fatalf("two sessions are with %v", all)
	}
	f.Set(leader, three)
	update(t, s)
	isLeft(t, all["two"])
	stays(t, all["three"], "three")
	lands(t, replicas, "three")
	for _, f := range f.servers {
		if f.Name != "three" {
			continue
		}
		if n, err := s.Metric("sluice_backend_sessions", `backend="`+f.Addr+`"`); err != nil || n != 1 {
			t.Errorf("%v sessions are counted on the one that stayed: %v", n, err)
		}
	}
}

// TestPatroniStalled takes a member away while a client of it does not read what it gets: the server is rid of
// the session at once, and so is Sluice before long.
func TestPatroniStalled(t *testing.T) {
	blocked, left := make(chan struct{}), make(chan error, 1)
	server := newScripted(t)
	server.perform(func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return // a health check
		}
		// A write that takes so long is one that nobody makes room for.
		for much := make([]byte, 1<<20); ; {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(much); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				left <- err
				return
			}
		}
		close(blocked)
		_ = c.SetWriteDeadline(time.Now().Add(soon))
		_, err := c.Write(make([]byte, 1<<30))
		left <- err
	})
	f := newFakes(t, "other")
	member := real.NewFakeMember("stalled", "replica", "streaming", server.addr)
	f.Set(member)
	addr := real.FreeAddr()
	s := startFake(t, f.config()+listener("replicas", addr, "fake", roles("async"), cutting))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-blocked:
	case err := <-left:
		t.Fatalf("the server never had to wait: %v", err)
	case <-time.After(soon):
		t.Fatal("the server never had to wait")
	}
	f.Set(f.member("other", "replica"))
	update(t, s)
	select {
	case err := <-left:
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server's connection is open: %v", err)
		}
	case <-time.After(soon):
		t.Fatal("the server still has its session")
	}
	await(t, s, 0, "sluice_sessions") // though the client never reads
	lands(t, addr, "other")
	if log := s.Log(); !strings.Contains(log, "a backend has gone") {
		t.Errorf("the log does not tell of it:\n%s", tail(log, 1500))
	}
}

// TestPatroniWaitersAreBounded has more clients of a funnel wait for a leader than may do so: one more is told
// that there are too many, and those that wait go on when there is a leader.
func TestPatroniWaitersAreBounded(t *testing.T) {
	f := newFakes(t)
	leader := real.NewFakeMember("one", "leader", "running", postgres(t, 0).Addr)
	f.Set(leader)
	addr := real.FreeAddr()
	s := startFake(t, fakeConfig{protocol: "postgres", urls: []string{f.api.URL()},
		cluster: []string{`failover-timeout = "5m"`, "failover-clients = 2"}}.String()+
		funnel("pg", addr, "fake", roles("leader"))+users("app"))
	first, second, third := connect(t, funnelDSN(addr, "app", "")), connect(t, funnelDSN(addr, "app", "")), connect(t, funnelDSN(addr, "app", ""))
	f.Set(leader.With("role", "replica", "state", "streaming"))
	update(t, s)
	await(t, s, 0, "sluice_backend_leads")
	waits := []<-chan error{asking(first, "select 1"), asking(second, "select 2")}
	await(t, s, 2, "sluice_failover_waiting", `cluster="fake"`)
	_, err := third.Exec(within(t, soon), "select 3")
	wantSQLState(t, err, "53300")
	f.Set(leader.With("timeline", 2))
	update(t, s)
	for _, w := range waits {
		if err := <-w; err != nil {
			t.Error(err)
		}
	}
	await(t, s, 0, "sluice_failover_waiting", `cluster="fake"`)
	await(t, s, 1, "sluice_failover_waits_total", `outcome="too_many"`)
}
