package patroni

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice/upstream"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// fake is one host's API. It says what the test has it say, and hangs where it is told to.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	serve http.HandlerFunc
	asked atomic.Int64 // requests for /cluster
}

// newFake makes a host; begin makes its server from a handler.
func newFake(t *testing.T, begin func(http.Handler) *httptest.Server) *fake {
	t.Helper()
	f := &fake{serve: http.NotFound}
	f.Server = begin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cluster" {
			f.asked.Add(1)
		}
		f.mu.Lock()
		serve := f.serve
		f.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(f.stop)
	return f
}

// stop is a crash.
func (f *fake) stop() {
	f.CloseClientConnections()
	f.Close()
}

func startFake(t *testing.T) *fake { return newFake(t, httptest.NewServer) }

// does has every request answered by serve from now on.
func (f *fake) does(serve http.HandlerFunc) {
	f.mu.Lock()
	f.serve = serve
	f.mu.Unlock()
}

// says has GET /cluster answered with members from now on, and GET /patroni with nothing.
func (f *fake) says(members ...string) {
	body := answerOf(members...)
	f.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/cluster" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	})
}

// hangs has it take requests and not answer before they are given up.
func (f *fake) hangs() {
	f.does(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

func answerOf(members ...string) string { return `{"members":[` + strings.Join(members, ",") + `]}` }

// member is one as GET /cluster spells it, at 10.0.0.1 if its name is "1". api may be "".
func member(name string, role Role, timeline int, api string) string {
	if api != "" {
		api = fmt.Sprintf(`,"api_url":%q`, api+"/patroni")
	}
	state := "streaming"
	if role.leads() {
		state = "running"
	}
	return fmt.Sprintf(`{"name":%q,"role":%q,"state":%q,"host":"10.0.0.%s","port":5432,"timeline":%d,"lag":0%s}`,
		name, role, state, name, timeline, api)
}

// found takes what a Poller tells.
type found struct {
	mu    sync.Mutex
	lists [][]string
	specs []upstream.Spec
	holds []string
}

func (f *found) Found(list []upstream.Spec) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.specs = list
	f.lists = append(f.lists, lines(list))
}

func (f *found) Hold(why string, _ time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = append(f.holds, why)
}

func (f *found) EndHold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = append(f.holds, "end")
}

// Held: whoever has begun a hold last has not ended it.
func (f *found) Held() (why string, held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.holds); n > 0 && f.holds[n-1] != "end" {
		return f.holds[n-1], true
	}
	return "", false
}

// held is what was said of holds.
func (f *found) held() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.holds)
}

// last is the list told last, and how many were.
func (f *found) last() ([]string, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lists) == 0 {
		return nil, 0
	}
	return f.lists[len(f.lists)-1], len(f.lists)
}

// leader is the name of the member told last to lead; "" = none, "?" = nothing was told.
func (f *found) leader() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lists) == 0 {
		return "?"
	}
	for _, s := range f.specs {
		if s.Role == routerRoles[Leader] {
			return s.Name
		}
	}
	return ""
}

// usual are options with long times: whatever happens by them happens for another reason.
func usual(fakes ...*fake) *Options {
	opt := &Options{Interval: time.Hour, Timeout: patience, Hedge: patience, Learn: true, States: usualStates}
	for _, f := range fakes {
		opt.Hosts = append(opt.Hosts, f.URL)
	}
	return opt
}

// began is a Poller at work on its test's behalf.
type began struct {
	*Poller
	*found
	logs *observer.ObservedLogs
}

// startPoller begins to poll and ends it with the test.
func startPoller(t *testing.T, opt *Options) *began {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	opt.Log = zap.New(core)
	f := &found{}
	p := opt.Start(f).(*Poller)
	t.Cleanup(p.Close)
	return &began{p, f, logs}
}

// refreshed polls and expects the leader that is then told.
func (b *began) refreshed(t *testing.T, when, leader string) {
	t.Helper()
	b.Refresh(t.Context())
	if got := b.leader(); got != leader {
		t.Errorf("%s: the leader is %q, want %q; %+v", when, got, leader, b.Status())
	}
}

// expectNoGoroutine waits until nothing of this package runs any more, but the test itself.
func expectNoGoroutine(t *testing.T) {
	t.Helper()
	eventually(t, "all goroutines have ended", func() bool {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		return !slices.ContainsFunc([]string{"patroni.(*Poller)", "patroni.(*client)", "patroni.(*positions)", "patroni.(*watch)"},
			func(ours string) bool { return strings.Contains(string(buf), ours) })
	})
}
