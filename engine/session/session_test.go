package session

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/upstream"
)

func TestSessionIsRelayed(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	if tag, status := c.query("select"); tag != "db-a" || status != "I" {
		t.Errorf("query: %q %q", tag, status)
	}
	_, _ = c.Write(message('X', ""))
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("after Terminate: %v, want EOF", err)
	}
	c.Close()
	s.expectEmpty()
	sum, _ := s.snapshot()
	if n := sum.frontend("in").ended[ClientQuit]; n != 1 {
		t.Errorf("client_quit was counted %d times", n)
	}
	if n := sum.backend(s.Backends()[0]).kind(0).duration.total(); n != 1 {
		t.Errorf("%d commands were counted", n)
	}
}

// TestLeastConnections opens sessions and holds that they spread evenly.
func TestLeastConnections(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, nil, a, b)
	for range 10 {
		login(t, s.addr("in"))
	}
	if a.logins.Load() != 5 || b.logins.Load() != 5 {
		t.Errorf("sessions: %d and %d, want 5 and 5", a.logins.Load(), b.logins.Load())
	}
}

// TestBackendThatRefusesIsReplaced: the client must not hear of it.
func TestBackendThatRefusesIsReplaced(t *testing.T) {
	for _, code := range []string{"57P03", "53300"} {
		bad, good := startFakePG(t, "db-a"), startFakePG(t, "db-b")
		bad.refuse.Store(&code)
		s := startProxy(t, func(s *Setup) { s.Clusters[0].Health.Fall = 100 }, bad, good)
		for range 6 {
			if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
				t.Errorf("%s: the answer is from %s", code, tag)
			}
		}
	}
}

// TestBackendThatIsSilentIsReplaced: one that accepts and never speaks holds nobody up for longer than
// the connect time-out. The good one may have to be tried more than once, too.
func TestBackendThatIsSilentIsReplaced(t *testing.T) {
	bad, good := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	bad.silent.Store(true)
	s := startProxy(t, func(s *Setup) { s.Clusters[0].ConnectTimeout = 300 * time.Millisecond }, bad, good)
	for range 4 {
		if tag, _ := login(t, s.addr("in")).query("select"); tag != "db-b" {
			t.Errorf("the answer is from %s", tag)
		}
	}
}

// TestRefusalOfAllIsTold: with nobody left the client gets the server's own words.
func TestRefusalOfAllIsTold(t *testing.T) {
	db, code := startFakePG(t, "db-a"), "53300"
	db.refuse.Store(&code)
	s := startProxy(t, func(s *Setup) { s.Clusters[0].RetryTimeout = 500 * time.Millisecond }, db)
	connect(t, s.addr("in")).expectError("53300")
	s.expectEmpty()
}

func TestNoBackend(t *testing.T) {
	db := startFakePG(t, "db-a")
	db.stop()
	s := startProxy(t, func(s *Setup) { s.Clusters[0].RetryTimeout = 300 * time.Millisecond }, db)
	connect(t, s.addr("in")).expectError("08006")
	s.expectEmpty()
}

func TestLimits(t *testing.T) {
	db := startFakePG(t, "db-a")
	t.Run("listener", func(t *testing.T) {
		s := startProxy(t, func(s *Setup) { s.Frontends[0].MaxConnections = 2 }, db)
		a, _ := login(t, s.addr("in")), login(t, s.addr("in"))
		connect(t, s.addr("in")).expectError("53300")
		a.Close()
		eventually(t, "a place is free", func() bool { return s.Clients() == 1 })
		login(t, s.addr("in"))
	})
	t.Run("whole proxy", func(t *testing.T) {
		s := startProxy(t, func(s *Setup) { s.Limits.MaxConnections = 1 }, db)
		login(t, s.addr("in"))
		connect(t, s.addr("in")).expectError("53300")
	})
	t.Run("denied host", func(t *testing.T) {
		s := startProxy(t, func(s *Setup) {
			s.Frontends[0].Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}, db)
		connect(t, s.addr("in")).expectError("28000")
		s.expectEmpty()
	})
	t.Run("login time-out", func(t *testing.T) {
		s := startProxy(t, func(s *Setup) { s.Frontends[0].LoginTimeout = 200 * time.Millisecond }, db)
		c, err := net.Dial("tcp", s.addr("in"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("a client that says nothing: %v, want EOF", err)
		}
		c.Close()
		s.expectEmpty()
	})
	t.Run("idle time-out", func(t *testing.T) {
		s := startProxy(t, func(s *Setup) { s.Frontends[0].IdleTimeout = 200 * time.Millisecond }, db)
		login(t, s.addr("in")).expectError("57P05")
		s.expectEmpty()
	})
}

// TestCancel: a cancel request reaches the server of the session that it names, and no other.
func TestCancel(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, nil, a, b)
	for range 2 { // one session on each: both have process id 1
		c := login(t, s.addr("in"))
		tag, _ := c.query("select")
		x, err := net.Dial("tcp", s.addr("in"))
		if err != nil {
			t.Fatal(err)
		}
		body := binary.BigEndian.AppendUint32(nil, 16)
		body = binary.BigEndian.AppendUint32(body, 80877102)
		_, _ = x.Write(append(body, c.key...))
		_, _ = io.Copy(io.Discard, x)
		x.Close()
		for _, f := range []*fakePG{a, b} {
			want := int64(0)
			if f.name == tag {
				want = 1
			}
			if got := f.cancels.Swap(0); got != want {
				t.Errorf("session on %s: %s got %d cancel requests", tag, f.name, got)
			}
		}
	}
}

// TestServerCrash: the client is told, and only that one.
func TestServerCrash(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, nil, a, b)
	by := map[string]*client{}
	for range 2 {
		c := login(t, s.addr("in"))
		tag, _ := c.query("select")
		by[tag] = c
	}
	a.stop()
	by["db-a"].expectError("08006")
	if tag, _ := by["db-b"].query("select"); tag != "db-b" {
		t.Errorf("the other session: %q", tag)
	}
}

// TestBackendRemoved: its idle session ends, the one in a transaction may finish it, the others are
// not touched.
func TestBackendRemoved(t *testing.T) {
	a, b := startFakePG(t, "db-a"), startFakePG(t, "db-b")
	s := startProxy(t, nil, a, b)
	by := map[string][]*client{}
	for range 4 {
		c := login(t, s.addr("in"))
		tag, _ := c.query("select")
		by[tag] = append(by[tag], c)
	}
	idle, busy := by["db-a"][0], by["db-a"][1]
	busy.query("begin")

	s.setup.Clusters[0].Backends = specs(b)
	s.apply()
	idle.expectError("57P01")
	if tag, status := busy.query("select"); tag != "db-a" || status != "T" {
		t.Errorf("in the transaction: %q %q", tag, status)
	}
	busy.query("commit")
	busy.expectError("57P01")
	for _, c := range by["db-b"] {
		c.query("select")
	}
}

// TestListenerReload: other listeners come and go without a trace in this one's sessions.
func TestListenerReload(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	for range 20 {
		other := s.setup.Frontends[0]
		other.Name = "other"
		s.setup.Frontends = append(s.setup.Frontends[:1:1], other)
		s.apply()
		o := login(t, s.addr("other"))
		s.setup.Frontends = s.setup.Frontends[:1]
		s.apply()
		o.expectError("57P01")
		c.query("select")
	}
	t.Run("a socket that can't be had changes nothing", func(t *testing.T) {
		setup := s.setup
		other := setup.Frontends[0]
		other.Name, other.Listen = "other", s.addr("in")
		setup.Frontends = []Settings{other}
		if err := s.Apply(setup); err == nil || !strings.Contains(err.Error(), `listener "other"`) {
			t.Errorf("Apply: %v", err)
		}
		c.query("select")
		login(t, s.addr("in"))
	})
}

func TestDrain(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	idle, busy, stuck := login(t, s.addr("in")), login(t, s.addr("in")), login(t, s.addr("in"))
	busy.query("begin")
	stuck.query("begin")
	ctx, timeIsUp := context.WithCancel(t.Context())
	done := make(chan int)
	go func() { done <- s.Drain(ctx) }()
	idle.expectError("57P01")
	busy.query("select")
	busy.query("commit")
	busy.expectError("57P01")
	timeIsUp()
	stuck.expectError("57P01")
	if forced := <-done; forced != 1 {
		t.Errorf("%d sessions were forced, want 1", forced)
	}
	s.expectEmpty()
}

// TestRelayAllocatesNothing counts allocations of the whole process over many round trips.
func TestRelayAllocatesNothing(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	ask, answer := message('Q', "select\x00"), make([]byte, len(message('C', "db-a\x00"))+6)
	trip := func() {
		_, _ = c.Write(ask)
		if _, err := io.ReadFull(c.r, answer); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		trip()
	}
	const n = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		trip()
	}
	runtime.ReadMemStats(&after)
	// The fake server allocates for each message that it reads and writes; the relay must add nothing
	// to the few of them.
	perTrip := float64(after.Mallocs-before.Mallocs) / n
	direct := fakeAllocs(t, db)
	if perTrip > direct+0.1 {
		t.Errorf("a round trip makes %.2f allocations, without the relay %.2f", perTrip, direct)
	}
}

// fakeAllocs is what a round trip to the fake server allocates without a relay.
func fakeAllocs(t *testing.T, db *fakePG) float64 {
	c := login(t, db.addr())
	ask, answer := message('Q', "select\x00"), make([]byte, len(message('C', "db-a\x00"))+6)
	return testing.AllocsPerRun(2000, func() {
		_, _ = c.Write(ask)
		if _, err := io.ReadFull(c.r, answer); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDeepPipeline sends far more commands than the limit ahead of their answers.
func TestDeepPipeline(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	const n = 3 * owedHigh
	go func() {
		ask := message('Q', "select\x00")
		for range n / 16 {
			_, _ = c.Write([]byte(strings.Repeat(string(ask), 16)))
		}
	}()
	for i := range n {
		if kind, _ := c.next(); kind != 'C' {
			t.Fatalf("answer %d: %c", i, kind)
		}
		c.next()
	}
	sum, _ := s.snapshot()
	if got := sum.backend(s.Backends()[0]).kind(0).duration.total(); got != n {
		t.Errorf("%d commands were counted, want %d", got, n)
	}
}

// TestGarbage: bytes that are not of the protocol cost their own connection only.
func TestGarbage(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	c := login(t, s.addr("in"))
	for _, bytes := range []string{"GET / HTTP/1.0\r\n\r\n", "\x00\x00\x00\x00", "\xff\xff\xff\xff\x00\x00",
		"\x16\x03\x01\x00\x05hello", "\x00\x00\x00\x08\x12\x34\x56\x78"} {
		x, err := net.Dial("tcp", s.addr("in"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = x.Write([]byte(bytes))
		_ = x.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, x); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %v", bytes, err)
		}
		x.Close()
	}
	bad := login(t, s.addr("in"))
	_, _ = bad.Write([]byte("\x01\x02\x03\x04\x05\x06\x07\x08"))
	bad.expectError("08P01")
	c.query("select")
	c.Close()
	s.expectEmpty()
}

func TestRegistry(t *testing.T) {
	r := newRegistry()
	a, b := &upstream.Backend{}, &upstream.Backend{}
	k1 := r.reserve(7, target{backend: a, server: codec.Key{ID: 7}})
	k2 := r.reserve(7, target{backend: b, server: codec.Key{ID: 7}})
	if k1.ID != 7 || k2.ID < ownIDs {
		t.Errorf("reserved %d and %d", k1.ID, k2.ID)
	}
	if got, ok := r.find(k2); !ok || got.backend != b || got.server.ID != 7 {
		t.Errorf("find: %+v %t", got, ok)
	}
	r.next = 1<<32 - 1
	if k := r.reserve(7, target{}); k.ID != ownIDs {
		t.Errorf("after the last id: %d", k.ID)
	}
	r.remove(k1)
	if k := r.reserve(7, target{}); k.ID != 7 {
		t.Errorf("a free id was not given: %d", k.ID)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	tests := []struct {
		d      time.Duration
		bucket int
	}{
		{-time.Second, 0}, {0, 0}, {1, 0}, {bucketMin, 0}, {bucketMin + 1, 1}, {2 * bucketMin, 1},
		{2*bucketMin + 1, 2}, {bucketMin << 21, 21}, {bucketMin<<21 + 1, 22}, {time.Hour, 22},
	}
	for _, tt := range tests {
		h = histogram{}
		h.observe(int64(tt.d))
		if h.count[tt.bucket] != 1 {
			t.Errorf("%v is not in bucket %d: %v", tt.d, tt.bucket, h.count)
		}
	}
}

// TestTimingOfPipelines: commands beyond those timed one by one count from the last begin known.
func TestTimingOfPipelines(t *testing.T) {
	s := &Session{bst: &backendStats{}}
	for i := range 20 {
		s.clock.now = int64(i+1) * int64(time.Second)
		s.OnCommand(0, nil)
	}
	for i := range 20 {
		s.clock.now = int64(100 * time.Second)
		s.OnReply(0)
		wantBegin := int64(min(i+1, timedOpen)) * int64(time.Second)
		if got := s.clock.now - s.clock.reply; got != wantBegin {
			t.Errorf("command %d counts from %v, want %v", i, time.Duration(got), time.Duration(wantBegin))
		}
		s.OnDone(0, i%2 == 0)
	}
	if k := s.bst.kind(0); k.duration.total() != 20 || k.failed != 10 {
		t.Errorf("counted %d, failed %d", k.duration.total(), k.failed)
	}
}

func TestMetrics(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startProxy(t, nil, db)
	login(t, s.addr("in")).query("select")
	var b strings.Builder
	s.WriteMetrics(&b)
	for _, want := range []string{
		`sluice_sessions{listener="in"} 1`,
		`sluice_server_connections{state="active"} 1`,
		`sluice_commands_total{cluster="pg",backend="` + db.addr() + `",command="query"} 1`,
		`sluice_backend_up{cluster="pg",backend="` + db.addr() + `"} 1`,
		`sluice_loop_answered{loop="1"} 1`,
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}
