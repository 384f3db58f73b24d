package session

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// freeAddr is an address at which nobody listens, for settings that have to name a port.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// frontend is the frontend with that name.
func (s *stand) frontend(name string) *Frontend {
	s.t.Helper()
	for _, fe := range s.Frontends() {
		if fe.Name() == name {
			return fe
		}
	}
	s.t.Fatalf("no frontend %q", name)
	return nil
}

// knocking is a client that connects again and again until it is told to stop.
type knocking struct {
	stop, done chan struct{}
	end        sync.Once
	served     atomic.Int64 // logins that came to their end
}

// knock connects to addr all the time. No connection may be refused or cut off; a client that met the
// frontend that is removed is told so, and no other way to be turned away is taken.
func knock(t *testing.T, addr string) *knocking {
	k := &knocking{stop: make(chan struct{}), done: make(chan struct{})}
	t.Cleanup(k.wait)
	go func() {
		defer close(k.done)
		for {
			select {
			case <-k.stop:
				return
			default:
			}
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Errorf("dial %s: %v", addr, err)
				return
			}
			ok, err := served(hello(t, nc))
			nc.Close()
			if err != nil {
				t.Errorf("login at %s: %v", addr, err)
				return
			}
			if ok {
				k.served.Add(1)
			}
		}
	}()
	return k
}

// served tells whether a client gets through its login, or else is told that its listener is gone.
func served(c *client) (bool, error) {
	for {
		kind, body, err := readMessage(c.r)
		switch {
		case err != nil:
			return false, err
		case kind == 'Z':
			return true, nil
		case kind == 'E' && strings.Contains(body, "C57P01\x00"):
			return false, nil
		case kind == 'E':
			return false, errors.New(body)
		}
	}
}

// wait ends the knocking.
func (k *knocking) wait() {
	k.end.Do(func() { close(k.stop) })
	<-k.done
}

// TestListenerRenamed: the socket goes to the new listener, clients come in all the time, and the
// sessions of the old one leave at a safe point.
func TestListenerRenamed(t *testing.T) {
	s := startProxy(t, nil, startFakePG(t, "db-a"))
	addr := freeAddr(t)
	set := s.setup.Frontends[0]
	set.Name, set.Listen = "name-0", addr
	s.setup.Frontends = append(s.setup.Frontends[:1:1], set)
	s.apply()
	bystander := login(t, s.addr("in"))
	k := knock(t, addr)
	for i := range 10 {
		idle, busy := login(t, addr), login(t, addr)
		busy.query("begin")
		old := s.frontend(s.setup.Frontends[1].Name)
		s.setup.Frontends[1].Name = "name-" + string(rune('1'+i))
		s.setup.Frontends[1].Backlog = i
		s.apply()
		idle.expectError("57P01")
		busy.query("select")
		busy.query("commit")
		busy.expectError("57P01")
		bystander.query("select")
		c := login(t, addr)
		c.query("select")
		if got := s.frontend(s.setup.Frontends[1].Name).Clients(); got < 1 {
			t.Errorf("the new listener has %d clients", got)
		}
		c.Close()
		eventually(t, "the old listener has no client", func() bool { return old.Clients() == 0 })
		if old.Addr() != nil {
			t.Errorf("the old listener is still at %v", old.Addr())
		}
	}
	eventually(t, "a client was served meanwhile", func() bool { return k.served.Load() > 0 })
	k.wait()
}

// TestListenersSwap: two listeners change addresses and keep their sessions; a client meets the one
// that its address belongs to.
func TestListenersSwap(t *testing.T) {
	s := startProxy(t, nil, startFakePG(t, "db-a"))
	one, two := s.setup.Frontends[0], s.setup.Frontends[0]
	one.Name, one.Listen = "one", freeAddr(t)
	two.Name, two.Listen = "two", freeAddr(t)
	s.setup.Frontends = []Settings{one, two}
	s.apply()
	c := login(t, one.Listen)
	knocks := []*knocking{knock(t, one.Listen), knock(t, two.Listen)}
	for range 10 {
		sets := slices.Clone(s.setup.Frontends)
		sets[0].Listen, sets[1].Listen = sets[1].Listen, sets[0].Listen
		s.setup.Frontends = sets
		s.apply()
		for _, set := range sets {
			if got := s.addr(set.Name); got != set.Listen {
				t.Errorf("%s is at %s, want %s", set.Name, got, set.Listen)
			}
		}
		login(t, one.Listen).query("select")
		login(t, two.Listen).query("select")
		c.query("select")
	}
	for _, k := range knocks {
		eventually(t, "a client was served meanwhile", func() bool { return k.served.Load() > 0 })
		k.wait()
	}
	sets := slices.Clone(s.setup.Frontends)
	sets[0].MaxConnections, sets[0].Listen, sets[1].Listen = 1, sets[1].Listen, sets[0].Listen
	s.setup.Frontends = sets
	s.apply() // one has a session already
	connect(t, sets[0].Listen).expectError("53300")
	login(t, sets[1].Listen)
}

// TestListenerOverlap: an address that overlaps with one in use is refused with the reason, and nothing
// changes, not even what could have.
func TestListenerOverlap(t *testing.T) {
	s := startProxy(t, nil, startFakePG(t, "db-a"))
	set := s.setup.Frontends[0]
	set.Listen = freeAddr(t)
	s.setup.Frontends = []Settings{set}
	s.apply()
	c := login(t, set.Listen)
	_, port, _ := net.SplitHostPort(set.Listen)
	moved, fresh := set, set
	moved.Listen = "0.0.0.0:" + port
	fresh.Name, fresh.Listen = "fresh", freeAddr(t)
	setup := s.setup
	setup.Frontends = []Settings{fresh, moved}
	err := s.Apply(setup)
	if err == nil || !errors.Is(err, unix.EADDRINUSE) ||
		!strings.Contains(err.Error(), `this process's own listener "in"`) ||
		!strings.Contains(err.Error(), "a restart, or two reloads") {
		t.Errorf("Apply: %v", err)
	}
	c.query("select")
	login(t, set.Listen)
	if n := len(s.Frontends()); n != 1 {
		t.Errorf("%d listeners, want 1", n)
	}
	if nc, err := net.Dial("tcp", fresh.Listen); err == nil {
		nc.Close()
		t.Error("the new listener is open")
	}
	s.setup.Frontends = []Settings{fresh} // the first of two reloads
	s.apply()
	s.setup.Frontends = []Settings{fresh, moved}
	s.apply()
	login(t, set.Listen)
}

// TestForeignAddress: a socket of somebody else is not said to be one of ours.
func TestForeignAddress(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	setup := s.setup
	setup.Frontends = slices.Clone(setup.Frontends)
	setup.Frontends[0].Listen = db.addr()
	err := s.Apply(setup)
	if !errors.Is(err, unix.EADDRINUSE) || strings.Contains(err.Error(), "own listener") {
		t.Errorf("Apply: %v", err)
	}
	login(t, s.addr("in"))
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		want     string
		wantOnly bool
		has      string
		hasOnly  bool
		overlap  bool
	}{
		{"127.0.0.1:7", false, "127.0.0.1:7", false, true},
		{"127.0.0.1:7", false, "127.0.0.1:8", false, false},
		{"127.0.0.1:7", false, "127.0.0.2:7", false, false},
		{"0.0.0.0:7", false, "127.0.0.1:7", false, true},
		{"127.0.0.1:7", false, "0.0.0.0:7", false, true},
		{"0.0.0.0:7", false, "[::1]:7", false, false},
		{":7", false, "127.0.0.1:7", false, true},
		{":7", true, "127.0.0.1:7", false, false},
		{":7", true, "[::]:7", false, true},
		{"127.0.0.1:7", false, "[::]:7", true, false},
		{"0.0.0.0:7", false, "[::]:7", true, false},
		{"0.0.0.0:7", false, "[::]:7", false, true},
		{"[::1]:7", false, "[::]:7", true, true},
	}
	for _, tt := range tests {
		at, err := net.ResolveTCPAddr("tcp", tt.has)
		if err != nil {
			t.Fatal(err)
		}
		if got := overlap(tt.want, tt.wantOnly, tt.hasOnly, at); got != tt.overlap {
			t.Errorf("%+v: got %t", tt, got)
		}
	}
}
