package tidb

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/router"
	"sluice/upstream"
)

// statusPort is a TiDB server's, as far as its figures need one. What else is asked of it is well.
type statusPort struct {
	*httptest.Server
	cpu   float64
	asked atomic.Int64 // for its figures
	hangs atomic.Bool
	over  chan struct{}
}

func startStatus(t *testing.T, cpu float64) *statusPort {
	t.Helper()
	s := &statusPort{cpu: cpu, over: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/status":
			_, _ = io.WriteString(w, `{"version":"v"}`)
		case "/metrics":
			s.asked.Add(1)
			if s.hangs.Load() {
				select {
				case <-s.over:
				case <-r.Context().Done():
				}
				return
			}
			fmt.Fprintf(w, "process_cpu_seconds_total %v\n", s.cpu)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(func() {
		close(s.over)
		s.Close()
	})
	return s
}

func (s *statusPort) addr() string { return s.Listener.Addr().String() }

// metered makes a cluster of backends with these specs, whose figures are read all the time.
func metered(t *testing.T, opt *Metrics, specs ...upstream.Spec) *upstream.Cluster {
	t.Helper()
	if opt != nil && opt.Interval == 0 {
		opt.Interval = 20 * time.Millisecond
	}
	if opt != nil && opt.Timeout == 0 {
		opt.Timeout = 5 * time.Second
	}
	o := upstream.Options{Name: "db", Protocol: silent{}, Backends: specs, Peers: true,
		Health: upstream.HealthOptions{Interval: time.Hour, Timeout: patience, Rise: 1, Fall: 1},
		Status: &upstream.StatusOptions{Interval: time.Hour, Timeout: patience}}
	if opt != nil {
		o.Metering = opt
	}
	c := upstream.NewCluster(o, zap.NewNop())
	t.Cleanup(func() { c.Close() })
	return c
}

// last is the CPU that a backend told last; -1 = it has told nothing.
func last(b *upstream.Backend) float64 {
	if all := b.Readings(); len(all) > 0 {
		return all[len(all)-1].CPU
	}
	return -1
}

func reads(t *testing.T, b *upstream.Backend, cpu float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s tells of %v s", b.Addr(), cpu), func() bool { return last(b) == cpu })
}

// TestReadStatusPorts: each is read; one that hangs, and one that is none, delay no other, and end with the cluster.
func TestReadStatusPorts(t *testing.T) {
	a, b, c := startStatus(t, 1), startStatus(t, 2), startStatus(t, 3)
	c.hangs.Store(true)
	cl := metered(t, &Metrics{Source: Status}, upstream.Spec{Addr: "a:1", Status: a.addr()}, upstream.Spec{Addr: "b:1", Status: b.addr()},
		upstream.Spec{Addr: "c:1", Status: c.addr()}, upstream.Spec{Addr: "d:1", Status: freeAddr(t)}, upstream.Spec{Addr: "e:1"})
	list := cl.Backends()
	reads(t, list[0], 1)
	eventually(t, "the others were read ten times", func() bool {
		return len(list[0].Readings()) >= 10 && len(list[1].Readings()) >= 10
	})
	if n := c.asked.Load(); n != 1 {
		t.Errorf("the one that hangs was asked %d times", n)
	}
	for _, b := range list[2:] {
		if len(b.Readings()) != 0 {
			t.Errorf("%s tells %v", b.Addr(), b.Readings())
		}
	}
	done := make(chan struct{})
	go func() { cl.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the end waits for the one that hangs")
	}
}

// TestReadAuto: Prometheus first; what it does not have is read at the status ports, and all of it when it has gone.
func TestReadAuto(t *testing.T) {
	p := startProm(t)
	a, b, c := startStatus(t, 1), startStatus(t, 2), startStatus(t, 3)
	p.set(a.addr(), 1, 100)
	p.set("tidb-2", 1, 300)
	p.set(b.addr(), 100, 200) // it has not been scraped for a while
	cl := metered(t, &Metrics{Prometheus: p.URL}, upstream.Spec{Addr: "a:1", Status: a.addr()},
		upstream.Spec{Addr: "b:1", Status: b.addr()}, upstream.Spec{Addr: "tidb-2.tidb:1", Name: "tidb-2", Status: c.addr()})
	list := cl.Backends()
	reads(t, list[0], 100)
	reads(t, list[1], 2)
	reads(t, list[2], 300)
	if n := a.asked.Load() + c.asked.Load(); n != 0 {
		t.Errorf("servers that Prometheus knows were asked %d times", n)
	}
	eventually(t, "Prometheus was asked some more times", func() bool { return p.count() > 30 })
	if n := len(list[0].Readings()); n != 1 {
		t.Errorf("one scrape gives %d readings", n)
	}
	p.Close()
	reads(t, list[0], 1)
	reads(t, list[2], 3)
}

// TestReadAutoBetween: a server that Prometheus scrapes just while it is asked is left alone by us, as it has its figures.
func TestReadAutoBetween(t *testing.T) {
	p, a := startProm(t), startStatus(t, 1)
	p.set(a.addr(), 5, 100)
	cl := metered(t, &Metrics{Prometheus: p.URL}, upstream.Spec{Addr: "a:1", Status: a.addr()})
	reads(t, cl.Backends()[0], 100)
	p.mu.Lock()
	p.between = func(p *fakeProm) { p.scraped[a.addr()] += 1e-3 }
	p.mu.Unlock()
	n := p.count()
	eventually(t, "Prometheus was asked some more times", func() bool { return p.count() > n+40 })
	if n := a.asked.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

// TestReadPrometheusAlone: the status ports are left alone.
func TestReadPrometheusAlone(t *testing.T) {
	p := startProm(t)
	a := startStatus(t, 1)
	cl := metered(t, &Metrics{Source: Prometheus, Prometheus: p.URL}, upstream.Spec{Addr: "a:1", Status: a.addr()})
	eventually(t, "Prometheus was asked some times", func() bool { return p.count() > 10 })
	p.set(a.addr(), 1, 100)
	reads(t, cl.Backends()[0], 100)
	if n := a.asked.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

// TestReadByPD: PD says where Prometheus is.
func TestReadByPD(t *testing.T) {
	e, p := anEtcd(t), startProm(t)
	host, port, _ := strings.Cut(p.Listener.Addr().String(), ":")
	n, _ := strconv.Atoi(port)
	e.put(promKey, fmt.Sprintf(`{"ip":%q,"port":%d}`, host, n))
	p.set("10.0.0.1:10080", 1, 100)
	pd := e.pd()
	cl := metered(t, &Metrics{Source: Prometheus, PD: &pd}, upstream.Spec{Addr: "a:1", Status: "10.0.0.1:10080"})
	reads(t, cl.Backends()[0], 100)
}

// TestMetricsUpdate: another source counts at once, and the same options change nothing.
func TestMetricsUpdate(t *testing.T) {
	a, p := startStatus(t, 1), startProm(t)
	p.set(a.addr(), 0, 100)
	opt := &Metrics{Source: Status, Interval: 20 * time.Millisecond, Timeout: patience}
	cl := metered(t, opt, upstream.Spec{Addr: "a:1", Status: a.addr()})
	reads(t, cl.Backends()[0], 1)
	o := *cl.Options()
	o.Metering = &Metrics{Source: Prometheus, Prometheus: p.URL, Interval: 20 * time.Millisecond, Timeout: patience}
	cl.Update(o)
	eventually(t, "Prometheus is asked", func() bool { return p.count() > 0 })
	m := o.Metering.Start(cl)
	defer m.Close()
	if m.Update(nil) {
		t.Error("it goes on by what it does not know")
	}
	pd, other := PD{Addrs: []string{"a:1"}}, PD{Addrs: []string{"a:1"}}
	x, y := Metrics{PD: &pd, Zone: "z"}, Metrics{PD: &other, Zone: "z"}
	if !x.same(&y) {
		t.Error("two equal ones are none")
	}
	other.Addrs = []string{"b:1"}
	if x.same(&y) || x.same(&Metrics{Zone: "z"}) {
		t.Error("two different ones are equal")
	}
}

// sluice is one of several Sluices in front of one cluster: a cluster, its meter and an admin side.
type sluice struct {
	*upstream.Cluster
	admin *httptest.Server
	told  atomic.Int64
	token string
	meter upstream.Meter
}

// startSluice starts one that reads the status ports together with the others of that etcd. shown is the address of
// its admin side as others see it; "" = the true one.
func startSluice(t *testing.T, e *etcd, zone, shown string, specs ...upstream.Spec) *sluice {
	t.Helper()
	s := &sluice{Cluster: metered(t, nil, specs...), token: rand.Text()} // each has its own
	s.admin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		since, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
		if !Shows(r, s.token) || r.URL.Path != PeerPath || r.URL.Query().Get("cluster") != "db" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.told.Add(1)
		_ = Tell(w, s.Cluster, since)
	}))
	t.Cleanup(s.admin.Close)
	if shown == "" {
		shown = s.admin.Listener.Addr().String()
	}
	pd := e.pd()
	pd.Timeout = time.Second
	m := &Metrics{Source: Status, Interval: 100 * time.Millisecond, Timeout: 5 * time.Second, PD: &pd, Cluster: "db", Zone: zone,
		Peer: shown, Token: s.token}
	s.meter = m.Start(s.Cluster)
	t.Cleanup(s.meter.Close)
	return s
}

// TestOneReaderPerZone: of two Sluices in one zone one reads the status ports and the other has its figures; when it
// ends the other one reads.
func TestOneReaderPerZone(t *testing.T) {
	e := anEtcd(t)
	a := startStatus(t, 1)
	spec := upstream.Spec{Addr: "a:1", Status: a.addr(), Zone: "east"}
	first := startSluice(t, e, "east", "", spec)
	reads(t, first.Backends()[0], 1)
	key := readers + "db/east/owner"
	if got := e.value(key); got != first.admin.Listener.Addr().String() {
		t.Errorf("%s is %q", key, got)
	}
	second := startSluice(t, e, "east", "", spec)
	reads(t, second.Backends()[0], 1)
	eventually(t, "the second has asked some times", func() bool { return first.told.Load() > 5 })
	byTwo := a.asked.Load()
	eventually(t, "and the first was read some times", func() bool { return a.asked.Load() > byTwo+5 })
	mine, theirs := len(first.Backends()[0].Readings()), len(second.Backends()[0].Readings())
	if mine < 3 || theirs < 3 || second.told.Load() != 0 {
		t.Errorf("%d and %d readings; the second was asked %d times", mine, theirs, second.told.Load())
	}
	first.meter.Close()
	eventually(t, "the second owns it", func() bool { return e.value(key) == second.admin.Listener.Addr().String() })
	n := len(second.Backends()[0].Readings())
	eventually(t, "the second reads", func() bool { return len(second.Backends()[0].Readings()) > n+3 })
}

// TestReadersOfZones: each zone is read by its own owner, one without by the first of them, and all know all.
func TestReadersOfZones(t *testing.T) {
	e := anEtcd(t)
	east, west, north := startStatus(t, 1), startStatus(t, 2), startStatus(t, 3)
	specs := []upstream.Spec{{Addr: "a:1", Status: east.addr(), Zone: "east"}, {Addr: "b:1", Status: west.addr(), Zone: "west"},
		{Addr: "c:1", Status: north.addr(), Zone: "north/1"}}
	x := startSluice(t, e, "east", "", specs...)
	y := startSluice(t, e, "west", "", specs...)
	for _, s := range []*sluice{x, y} {
		for i, b := range s.Backends() {
			reads(t, b, float64(i+1))
		}
	}
	eventually(t, "both have asked each other", func() bool { return x.told.Load() > 5 && y.told.Load() > 5 })
}

// TestOwnerIsAway: an owner whose admin side can't be reached is no reason to know nothing.
func TestOwnerIsAway(t *testing.T) {
	e := ownEtcd(t)
	a := startStatus(t, 1)
	e.put(readers+"db/east/owner", freeAddr(t), readers+"db/x%zz/owner", "a:1", readers+"db/y/owner", "no address",
		readers+"db/z/owner", strings.Repeat("a", peerMax)+":1", readers+"db/east/token", "no token\r\n")
	s := startSluice(t, e, "east", "", upstream.Spec{Addr: "a:1", Status: a.addr(), Zone: "east"})
	reads(t, s.Backends()[0], 1)
	e.crash()
	n := a.asked.Load()
	eventually(t, "without PD it reads for itself", func() bool { return a.asked.Load() > n+3 })
}

// TestFalseOwner: whoever writes an address of his own into PD is told nothing there but the token that he has found
// beside it.
func TestFalseOwner(t *testing.T) {
	e := ownEtcd(t)
	a := startStatus(t, 1)
	shown := make(chan string, 100)
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case shown <- fmt.Sprint(r.Header):
		default:
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(trap.Close)
	e.put(readers+"db/west/owner", trap.Listener.Addr().String(), readers+"db/west/token", "stolen")
	s := startSluice(t, e, "east", "", upstream.Spec{Addr: "a:1", Status: a.addr(), Zone: "west"})
	reads(t, s.Backends()[0], 1) // all the same
	for range 2 {
		if got := <-shown; !strings.Contains(got, "[Bearer stolen]") || strings.Contains(got, s.token) || strings.Contains(got, "Basic") {
			t.Errorf("it shows %s", got)
		}
	}
}

// TestShare is who reads what.
func TestShare(t *testing.T) {
	c := metered(t, nil, upstream.Spec{Addr: "e:1", Zone: "east"}, upstream.Spec{Addr: "w:1", Zone: "west"},
		upstream.Spec{Addr: "n:1", Zone: "north"}, upstream.Spec{Addr: "o:1"})
	for _, tt := range []struct {
		zones string
		zone  string
		mine  bool
		want  string
	}{
		{"east", "east", true, "e:1 n:1 o:1 w:1"},
		{"east west", "east", true, "e:1 n:1 o:1"},
		{"east west", "west", true, "w:1"},
		{"east west", "west", false, ""},
		{" east", "", true, "n:1 o:1 w:1"},
		{"south", "south", true, "e:1 n:1 o:1 w:1"},
	} {
		o := owners{}
		for _, z := range strings.Split(tt.zones, " ") {
			o[z] = "10.0.0.1:3080"
		}
		var got []string
		for b := range o.of(c.Backends(), tt.zone, tt.mine) {
			got = append(got, b.Addr())
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q, in %q: %v, want %s", tt.zones, tt.zone, got, tt.want)
		}
	}
}

// TestSeat: it is kept by who has it, given back at the end, and free for others when its lease is lost.
func TestSeat(t *testing.T) {
	e := anEtcd(t)
	pd := e.pd()
	seatOf := func(peer string) *seat {
		return newSeat(e.Client, &Metrics{PD: &pd, Cluster: "a b", Zone: "z/1", Peer: peer, Interval: time.Second})
	}
	claim := func(s *seat, owner string, mine bool) {
		t.Helper()
		got, err := s.claim(context.Background())
		if err != nil || !maps.Equal(got, owners{"z/1": owner}) && owner != "" || s.mine != mine {
			t.Errorf("%v, mine %v: %v", got, s.mine, err)
		}
	}
	a, b := seatOf("10.0.0.1:3080"), seatOf("10.0.0.2:3080")
	claim(a, "", true)
	claim(a, "10.0.0.1:3080", true)
	claim(b, "10.0.0.1:3080", false)
	if got := e.value("/sluice/metric_reader/a%20b/z%2F1/owner"); got != "10.0.0.1:3080" {
		t.Errorf("the key is %q", got)
	}
	a.leave()
	claim(b, "", true)
	claim(a, "10.0.0.2:3080", false)
	if _, err := e.Revoke(context.Background(), b.lease); err != nil {
		t.Fatal(err)
	}
	claim(a, "", true)
	claim(b, "10.0.0.1:3080", false)
	twin := seatOf("10.0.0.1:3080") // another process that shows the same address
	claim(twin, "10.0.0.1:3080", false)
}

// TestTellAndHear: what one tells another hears, by its own clock, what is not known as such.
func TestTellAndHear(t *testing.T) {
	spec := upstream.Spec{Addr: "a:1", Status: "a:2"}
	from, to := metered(t, nil, spec), metered(t, nil, spec)
	now := time.Now()
	old, young := unread(now.Add(-20*time.Second)), unread(now.Add(-5*time.Second))
	old.CPU, young.CPU, young.KVTotal = 1, 2, 7
	from.Backends()[0].AddReadings(now, old, young)
	tell := func(since int64) string {
		var text strings.Builder
		if err := Tell(&text, from, since); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	for range 2 { // the second time nothing is new
		if err := hear([]byte(tell(0)), to); err != nil {
			t.Fatal(err)
		}
	}
	got := to.Backends()[0].Readings()
	if len(got) != 2 || got[0].CPU != 1 || got[1].CPU != 2 || got[1].KVTotal != 7 || !math.IsNaN(got[0].KVTotal) {
		t.Fatalf("%+v", got)
	}
	if d := got[1].At.Sub(young.At); d < -time.Second || d > time.Second {
		t.Errorf("it is %v apart", d)
	}
	if text := tell(young.At.UnixMilli()); strings.Contains(text, "cpu") {
		t.Errorf("nothing is newer, but it tells %s", text)
	}
	if since, ok := oldest(to); !ok || since > young.At.UnixMilli() {
		t.Errorf("asks for what is newer than %d: %v", since, ok)
	}
	late := metered(t, nil, spec)
	const skewed = `{"now":1000000,"backends":{"a:1":[{"at":999000,"cpu":5}],"b:1":[{"at":999000,"cpu":5}]}}`
	if err := hear([]byte(skewed), late); err != nil || last(late.Backends()[0]) != 5 {
		t.Errorf("a clock that is years behind: %v, %v", last(late.Backends()[0]), err)
	}
}

// TestHearOdd: what makes no sense is passed over.
func TestHearOdd(t *testing.T) {
	c := metered(t, nil, upstream.Spec{Addr: "a:1", Status: "a:2"})
	many := `{"now":5000,"backends":{"a:1":[` + strings.TrimSuffix(strings.Repeat(`{"at":1000,"cpu":1},`, peersReadings+1), ",") + `]}}`
	var crowd strings.Builder
	for i := range peersBackends {
		fmt.Fprintf(&crowd, `"x%d:1":[],`, i)
	}
	for text, fails := range map[string]bool{
		"{": true, "[]": true, `{"backends":7}`: true,
		"{}": false, `{"now":1000,"backends":{"a:1":[{"at":2000,"cpu":1},{"at":-9999999,"cpu":1}]}}`: false,
		many: false,
		`{"now":5000,"backends":{` + crowd.String() + `"a:1":[{"at":1000,"cpu":1}]}}`: true,
	} {
		if err := hear([]byte(text), c); (err != nil) != fails {
			t.Errorf("%.60s: %v", text, err)
		}
		if got := c.Backends()[0].Readings(); len(got) != 0 {
			t.Errorf("%.60s gives %v", text, got)
		}
	}
}

// TestHearInOrder: readings that come late or twice are not taken for new ones.
func TestHearInOrder(t *testing.T) {
	c := metered(t, nil, upstream.Spec{Addr: "a:1", Status: "a:2"})
	b := c.Backends()[0]
	now := time.Now()
	b.AddReadings(now, router.Reading{At: now.Add(-10 * time.Second), CPU: 1})
	if err := hear([]byte(`{"now":100000,"backends":{"a:1":[{"at":89000,"cpu":0},{"at":90100,"cpu":1},{"at":95000,"cpu":2}]}}`), c); err != nil {
		t.Fatal(err)
	}
	if got := b.Readings(); len(got) != 2 || got[1].CPU != 2 {
		t.Errorf("%+v", got)
	}
}

// TestReloadsLeaveNothing: whatever changes, and however often, at the end there is no goroutine, no lease and no key.
func TestReloadsLeaveNothing(t *testing.T) {
	one, two := etcdNo(t, 0), etcdNo(t, 1)
	a, p := startStatus(t, 1), startProm(t)
	_, number, _ := strings.Cut(a.addr(), ":")
	status, _ := strconv.Atoi(number)
	for _, e := range []*etcd{one, two} {
		e.server("127.0.0.1:1", infoOf("127.0.0.1", status, `{"zone":"east"}`))
	}
	before := runtime.NumGoroutine()
	opt := func(i int) upstream.Options {
		pd := []*etcd{one, two}[i%2].pd()
		d := &Options{PD: pd, ZoneLabel: "zone"}
		if i%3 > 0 {
			d.Register = &Registration{Addr: ownAddr, StatusPort: i % 3}
		}
		m := &Metrics{Interval: 10 * time.Millisecond, Timeout: patience, PD: &pd, Cluster: "db", Zone: "east", Peer: freeAddr(t), Source: Source(i % 3)}
		if i%4 == 0 {
			m.Prometheus = p.URL
		}
		return upstream.Options{Name: "db", Protocol: silent{}, Peers: true, Discovery: d, Metering: m,
			Health: upstream.HealthOptions{Interval: time.Hour, Timeout: patience, Rise: 1, Fall: 1},
			Status: &upstream.StatusOptions{Interval: 10 * time.Millisecond, Timeout: patience}}
	}
	now := opt(0)
	c := upstream.NewCluster(now, zap.NewNop())
	for i := 1; i <= 24; i++ {
		if m := now.Metering.(*Metrics); i%2 == 0 {
			eventually(t, "the server is found", func() bool { return len(c.Backends()) == 1 })
			if n := len(c.Backends()[0].Readings()); m.Source != Prometheus {
				eventually(t, "its figures are read", func() bool { return len(c.Backends()[0].Readings()) > n })
			}
		}
		now = opt(i)
		c.Update(now)
	}
	c.Close()
	a.CloseClientConnections()
	p.CloseClientConnections()
	eventually(t, "all that was begun has ended", func() bool { return runtime.NumGoroutine() <= before })
	for _, e := range []*etcd{one, two} {
		r, err := e.Leases(context.Background())
		if err != nil || len(r.Leases) > 0 || e.value(ownInfo) != "" {
			t.Errorf("left in etcd: %v, %q: %v", r, e.value(ownInfo), err)
		}
	}
}
