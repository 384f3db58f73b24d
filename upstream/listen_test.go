package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/zap"

	"sluice/codec"
)

// ear keeps what it hears.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) take(from uint32, channel, payload string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, fmt.Sprint(from, " ", channel, " ", payload))
}

func (e *ear) has(want ...string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Equal(e.heard, want)
}

func newHub(t *testing.T, s *fakePG) *Hub {
	t.Helper()
	c := pgCluster(t, s)
	h := NewHub(c, c.Backends()[0], "shop", "app", codec.Secret{Password: "geheim"}, zap.NewNop())
	t.Cleanup(h.Close)
	return h
}

// subscribe subscribes an ear of its own.
func subscribe(t *testing.T, h *Hub, channel string) (*ear, func()) {
	t.Helper()
	e := &ear{}
	cancel, err := h.Subscribe(channel, e.take)
	if err != nil {
		t.Fatalf("%s: %v", channel, err)
	}
	return e, cancel
}

// TestHub: many hear several channels over one connection, each its own; the server is told of a channel
// once, and told when nobody wants it any more.
func TestHub(t *testing.T) {
	s := startFakePG(t)
	h := newHub(t, s)
	a1, stopA1 := subscribe(t, h, "a")
	a2, stopA2 := subscribe(t, h, "a")
	b, stopB := subscribe(t, h, `B "x"; drop`)
	if n := s.notify("a", "1"); n != 1 {
		t.Errorf("%d connections", n)
	}
	s.notify(`B "x"; drop`, "2")
	s.notify("c", "3")
	s.notify("a", "4")
	eventually(t, "everybody hears theirs", func() bool {
		return a1.has("7 a 1", "7 a 4") && a2.has("7 a 1", "7 a 4") && b.has(`7 B "x"; drop 2`)
	})

	stopA1()
	stopA1() // says nothing twice
	s.notify("a", "5")
	eventually(t, "who stays hears", func() bool { return a2.has("7 a 1", "7 a 4", "7 a 5") })
	if !a1.has("7 a 1", "7 a 4") {
		t.Errorf("who has gone hears: %v", a1.heard)
	}
	stopA2()
	stopB()
	want := []string{`listen "a"`, `listen "B ""x""; drop"`, `unlisten "B ""x""; drop"`, `unlisten "a"`}
	eventually(t, "the server is told", func() bool { _, got := s.seen(); return len(got) == len(want) })
	_, got := s.seen()
	slices.Sort(got[2:])
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.startups[0]; len(s.startups) != 1 || p["user"] != "app" || p["database"] != "shop" || p["client_encoding"] != "UTF8" {
		t.Errorf("logins: %v", s.startups)
	}
}

// TestHubLongNames: a name is cut as servers cut it, so that notifications find it.
func TestHubLongNames(t *testing.T) {
	s := startFakePG(t)
	h := newHub(t, s)
	for _, tt := range []struct{ name, cut string }{
		{strings.Repeat("n", 63), strings.Repeat("n", 63)},
		{strings.Repeat("n", 64) + "x", strings.Repeat("n", 63)},
		{strings.Repeat("n", 62) + "é", strings.Repeat("n", 62)},
		{strings.Repeat("n", 61) + "éé", strings.Repeat("n", 61) + "é"},
	} {
		e, stop := subscribe(t, h, tt.name)
		s.notify(tt.cut, "x")
		eventually(t, tt.cut+" is heard", func() bool { return e.has("7 " + tt.cut + " x") })
		stop()
	}
}

// TestHubFull: the channels have a limit; one that is heard already is no new one.
func TestHubFull(t *testing.T) {
	s := startFakePG(t)
	h := newHub(t, s)
	subscribe(t, h, "a")
	h.mu.Lock()
	for i := len(h.channels); i < hubChannels; i++ {
		h.channels[fmt.Sprint("other", i)] = &hubChannel{heard: true, sinks: []*hubSink{{}}}
	}
	h.mu.Unlock()
	if _, err := h.Subscribe("b", func(uint32, string, string) {}); !errors.Is(err, errHubFull) {
		t.Errorf("one too many: %v", err)
	}
	again, _ := subscribe(t, h, "a")
	s.notify("a", "1")
	eventually(t, "it is heard", func() bool { return again.has("7 a 1") })
}

// TestHubComesBack: after a loss everything is heard again, without a word of the subscribers.
func TestHubComesBack(t *testing.T) {
	s := startFakePG(t)
	h := newHub(t, s)
	a, _ := subscribe(t, h, "a")
	b, _ := subscribe(t, h, "b")
	s.cut()
	eventually(t, "both are listened to again", func() bool { _, got := s.seen(); return len(got) == 4 })
	eventually(t, "it waits", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.wake != nil && h.channels["b"].heard })
	s.notify("a", "1")
	s.notify("b", "2")
	eventually(t, "both are heard again", func() bool { return a.has("7 a 1") && b.has("7 b 2") })
	if n := s.logins(); n != 2 {
		t.Errorf("%d logins", n)
	}
}

// TestHubRefused: what the server says of a channel is for who asked; others are not concerned.
func TestHubRefused(t *testing.T) {
	s := startFakePG(t)
	s.deaf = func(command string) string {
		if command == `listen ""` {
			return "42601"
		}
		return ""
	}
	h := newHub(t, s)
	good, _ := subscribe(t, h, "good")
	_, err := h.Subscribe("", func(uint32, string, string) { t.Error("heard") })
	said, ok := errors.AsType[codec.Error](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var msg pgproto3.ErrorResponse
	if err := msg.Decode([]byte(said.Raw[5:])); err != nil || msg.Code != "42601" || said.Raw[0] != 'E' {
		t.Errorf("got %q, %v", said.Raw, err)
	}
	s.notify("good", "1")
	eventually(t, "the other is heard", func() bool { return good.has("7 good 1") })
	if n := s.logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// TestHubUnreachable: without a server a subscription fails and nothing is left of it; with one, the next
// succeeds.
func TestHubUnreachable(t *testing.T) {
	s := startFakePG(t)
	var locked atomic.Bool
	locked.Store(true)
	s.refuse = func(map[string]string) string {
		if locked.Load() {
			return "28P01"
		}
		return ""
	}
	h := newHub(t, s)
	_, err := h.Subscribe("a", func(uint32, string, string) {})
	if said, ok := errors.AsType[codec.Error](err); !ok || said.Raw == "" {
		t.Errorf("got %v", err)
	}
	h.mu.Lock()
	if len(h.channels) != 0 || h.running {
		t.Errorf("left: %v, running %v", h.channels, h.running)
	}
	h.mu.Unlock()
	locked.Store(false)
	e, _ := subscribe(t, h, "a")
	s.notify("a", "1")
	eventually(t, "it is heard", func() bool { return e.has("7 a 1") })
	// While the server is away, who is new is told at once; who was there stays.
	locked.Store(true)
	s.cut()
	eventually(t, "the loss is noticed", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return !h.channels["a"].heard })
	if _, err := h.Subscribe("b", func(uint32, string, string) {}); err == nil {
		t.Error("a subscription while the server is away")
	}
	locked.Store(false)
	eventually(t, "it is heard again", func() bool {
		s.notify("a", "2")
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Contains(e.heard, "7 a 2")
	})
}

// TestHubStandby: a channel that was heard and is now refused (the server is a standby) does not make
// Sluice connect without a pause.
func TestHubStandby(t *testing.T) {
	s := startFakePG(t)
	var standby atomic.Bool
	s.deaf = func(string) string {
		if standby.Load() {
			return "25006"
		}
		return ""
	}
	h := newHub(t, s)
	e, _ := subscribe(t, h, "a")
	standby.Store(true)
	began := time.Now()
	s.cut()
	eventually(t, "two attempts", func() bool { return s.logins() >= 3 })
	if took := time.Since(began); took < 2*hubRetryMin {
		t.Errorf("two attempts in %v", took)
	}
	standby.Store(false)
	eventually(t, "it is heard again", func() bool {
		s.notify("a", "1")
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Contains(e.heard, "7 a 1")
	})
}

// TestHubRace: a channel that nobody wants any more is wanted again while the server is told.
func TestHubRace(t *testing.T) {
	s := startFakePG(t)
	inside, release := make(chan struct{}), make(chan struct{})
	s.hold = func(command string) {
		if strings.HasPrefix(command, "unlisten") {
			close(inside)
			<-release
		}
	}
	h := newHub(t, s)
	_, stop := subscribe(t, h, "a")
	stop()
	<-inside
	e := &ear{}
	done := make(chan error)
	go func() { _, err := h.Subscribe("a", e.take); done <- err }()
	eventually(t, "it is subscribed", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.channels["a"].sinks) == 1 })
	select {
	case <-done:
		t.Error("it was told that it hears, while the server is told otherwise")
	default:
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.notify("a", "1")
	eventually(t, "it is heard", func() bool { return e.has("7 a 1") })
	if _, got := s.seen(); !slices.Equal(got, []string{`listen "a"`, `unlisten "a"`, `listen "a"`}) {
		t.Errorf("the server was told %q", got)
	}
}

// TestHubIdle: without a channel the connection is closed after a while, and opened again for the next.
func TestHubIdle(t *testing.T) {
	s := startFakePG(t)
	h := newHub(t, s)
	h.idle = time.Millisecond
	for i := range 3 {
		e, stop := subscribe(t, h, "a")
		s.notify("a", "1")
		eventually(t, "it is heard", func() bool { return e.has("7 a 1") })
		stop()
		eventually(t, "the connection is closed", func() bool { return s.open() == 0 })
		if n := s.logins(); n != i+1 {
			t.Errorf("%d logins", n)
		}
	}
	eventually(t, "nothing runs", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return !h.running })
}

// TestHubClose: who waits is told, and nothing is left.
func TestHubClose(t *testing.T) {
	s := startFakePG(t)
	inside, release := make(chan struct{}), make(chan struct{})
	s.hold = func(string) { close(inside); <-release }
	h := newHub(t, s)
	done := make(chan error)
	go func() { _, err := h.Subscribe("a", func(uint32, string, string) {}); done <- err }()
	<-inside
	h.Close()
	if err := <-done; !errors.Is(err, errHubClosed) {
		t.Errorf("got %v", err)
	}
	close(release)
	eventually(t, "nothing runs", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return !h.running })
	if _, err := h.Subscribe("a", func(uint32, string, string) {}); !errors.Is(err, errHubClosed) {
		t.Errorf("after Close: %v", err)
	}
	eventually(t, "the connection is closed", func() bool { return s.open() == 0 })
}

// TestHubChurn: many come and go at once, and those who stay hear every notification once.
func TestHubChurn(t *testing.T) {
	s := startFakePG(t)
	h := newHub(t, s)
	e, _ := subscribe(t, h, "c3")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 25 {
				cancel, err := h.Subscribe(fmt.Sprint("c", (i+j)%5), func(uint32, string, string) {})
				if err != nil {
					t.Error(err)
					return
				}
				cancel()
			}
		})
	}
	var want []string
	for i := range 50 {
		s.notify("c3", fmt.Sprint(i))
		want = append(want, fmt.Sprint("7 c3 ", i))
	}
	all.Wait()
	eventually(t, "all is heard", func() bool { return e.has(want...) })
	if n := s.logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}
