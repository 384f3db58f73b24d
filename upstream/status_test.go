package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/router"
)

const (
	goodStatus = `{"connections":3,"version":"8.0.11-TiDB-v8.5.6","git_hash":"x"}`
	withCert   = `{"security":{"session-token-signing-cert":"/etc/cert.pem"}}`
	noCert     = `{"security":{"session-token-signing-cert":""}}`
)

// port is a TiDB server's status port, whose answers can be changed.
type port struct {
	*httptest.Server
	status, config atomic.Pointer[http.HandlerFunc]
	asked          atomic.Int64 // for the status
	read           atomic.Int64 // for the configuration
	over           chan struct{}
}

func startPort(t *testing.T, secured bool) *port {
	t.Helper()
	p := &port{over: make(chan struct{})}
	p.says(goodStatus)
	p.configures(withCert)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { p.asked.Add(1); (*p.status.Load())(w, r) })
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, r *http.Request) { p.read.Add(1); (*p.config.Load())(w, r) })
	p.Server = httptest.NewUnstartedServer(mux)
	p.Server.Config.ErrorLog = nil
	if secured {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(func() {
		close(p.over)
		p.Close()
	})
	return p
}

func (p *port) addr() string { return p.Listener.Addr().String() }

func (p *port) does(h http.HandlerFunc) { p.status.Store(&h) }

func (p *port) says(text string) {
	p.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func (p *port) configures(text string) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	p.config.Store(&h)
}

// hangs has the status be answered never.
func (p *port) hangs() {
	p.does(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-p.over:
		}
	})
}

// fails has the status be answered by a code.
func (p *port) fails(code int) {
	p.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// statusOptions are those of a cluster whose servers greet, and whose status ports are looked at all the time.
func statusOptions(t *testing.T, ports ...string) Options {
	opt := options()
	opt.Status = &StatusOptions{Interval: 20 * time.Millisecond, Timeout: patience}
	for _, p := range ports {
		opt.Backends = append(opt.Backends, Spec{Addr: startServer(t, welcome).addr(), Status: p})
	}
	return opt
}

func upAndVersioned(t *testing.T, b *Backend) {
	t.Helper()
	eventually(t, "the backend is up and says its version", func() bool {
		return b.Health() == Up && b.Version() == "8.0.11-TiDB-v8.5.6"
	})
}

// TestStatusIsHealth: whatever is wrong with an answer of the status port takes the backend out, though its SQL port
// greets, and a good answer brings it back.
func TestStatusIsHealth(t *testing.T) {
	long := `{"version":"` + strings.Repeat("9", statusMax) + `"}`
	for name, tt := range map[string]struct {
		break_ func(*port)
		says   string
	}{
		"no JSON":             {func(p *port) { p.says("well") }, "no JSON"},
		"JSON of another one": {func(p *port) { p.says("{}") }, "names no version"},
		"version no text":     {func(p *port) { p.says(`{"version":7}`) }, "no JSON"},
		"empty version":       {func(p *port) { p.says(`{"version":""}`) }, "names no version"},
		"not found":           {func(p *port) { p.fails(404) }, "the answer's status is 404"},
		"a redirect": {func(p *port) {
			p.does(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/config", http.StatusFound) })
		}, "the answer's status is 302"},
		"too long": {func(p *port) { p.says(long) }, fmt.Sprintf("longer than %d bytes", statusMax)},
		"cut short": {func(p *port) {
			p.does(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, goodStatus)
			})
		}, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPort(t, false)
			c := newCluster(t, statusOptions(t, p.addr()))
			b := c.Backends()[0]
			upAndVersioned(t, b)
			tt.break_(p)
			eventually(t, "the backend is down", func() bool { return b.Health() == Down })
			if got := b.LastError(); !strings.Contains(got, tt.says) {
				t.Errorf("it says %q, want %q", got, tt.says)
			}
			if b.Closing() {
				t.Error("the backend counts as one that stops")
			}
			p.says(goodStatus)
			eventually(t, "the backend is up again", func() bool { return b.Health() == Up })
		})
	}
}

// TestStatusRefused: nobody listens at the status port.
func TestStatusRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	b := newCluster(t, statusOptions(t, ln.Addr().String())).Backends()[0]
	eventually(t, "the backend is down", func() bool { return b.Health() == Down })
}

// TestGreetingStillCounts: the status port is well, the SQL port is not.
func TestGreetingStillCounts(t *testing.T) {
	p := startPort(t, false)
	opt := statusOptions(t)
	s := startServer(t, welcome)
	opt.Backends = []Spec{{Addr: s.addr(), Status: p.addr()}}
	b := newCluster(t, opt).Backends()[0]
	upAndVersioned(t, b)
	s.stop()
	b.Suspect()
	eventually(t, "the backend is down", func() bool { return b.Health() == Down })
	was := p.asked.Load()
	eventually(t, "the status was asked some more times", func() bool { return p.asked.Load() > was+3 })
	if b.Health() != Down {
		t.Error("a good status has brought it back")
	}
}

// TestSlowStatus is answered within the time-out, or not.
func TestSlowStatus(t *testing.T) {
	p := startPort(t, false)
	slow := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(200 * time.Millisecond) // what is slow takes its time
		_, _ = io.WriteString(w, goodStatus)
	}
	p.does(slow)
	opt := statusOptions(t, p.addr())
	c := newCluster(t, opt)
	b := c.Backends()[0]
	upAndVersioned(t, b)
	short := opt
	short.Status = &StatusOptions{Interval: 20 * time.Millisecond, Timeout: 50 * time.Millisecond}
	c.Update(short)
	eventually(t, "the backend is down", func() bool { return b.Health() == Down })
	if got := b.LastError(); !strings.Contains(got, "no answer within 50ms") {
		t.Errorf("it says %q", got)
	}
}

// TestHangingStatusHoldsUpNobody: neither another backend nor the greeting of its own, and it is cut short when the
// cluster closes.
func TestHangingStatusHoldsUpNobody(t *testing.T) {
	hangs, well := startPort(t, false), startPort(t, false)
	hangs.hangs()
	opt := statusOptions(t, hangs.addr(), well.addr())
	opt.Health.Interval, opt.Health.Timeout = 10*time.Millisecond, patience
	c := NewCluster(opt, zap.NewNop())
	eventually(t, "the port that is well was asked ten times", func() bool { return well.asked.Load() >= 10 })
	eventually(t, "the other backend was greeted ten times", func() bool {
		made, _ := c.Backends()[0].Checks()
		return made >= 10
	})
	if n := hangs.asked.Load(); n != 1 {
		t.Errorf("the port that hangs was asked %d times", n)
	}
	closeSoon(t, c)
	expectNoChecker(t)
}

// TestClosing: a server that is told to stop says so by a 500 while it still greets. That is told at once, nobody is
// sent there any more, and its health is not concerned.
func TestClosing(t *testing.T) {
	p, other := startPort(t, false), startPort(t, false)
	opt := statusOptions(t, p.addr(), other.addr())
	var told atomic.Int64
	opt.Changed = func(*Cluster) { told.Add(1) }
	c := newCluster(t, opt)
	b := c.Backends()[0]
	upAndVersioned(t, b)
	upAndVersioned(t, c.Backends()[1])
	any := router.Want{Roles: router.AnyRole}
	if why := b.Fits(any); why != "" {
		t.Fatalf("unfit: %s", why)
	}
	changes, tellings := c.Changes(), told.Load()
	p.fails(http.StatusInternalServerError)
	eventually(t, "the backend is about to stop", b.Closing)
	eventually(t, "that is told", func() bool { return told.Load() > tellings })
	if why := b.Fits(any); why != "shutdown" || c.Changes() == changes {
		t.Errorf("Fits says %q, %d changes", why, c.Changes()-changes)
	}
	for range 10 {
		got, _ := c.Pick(any, nil)
		if got == nil || got == b {
			t.Fatal("a session was sent to the server that stops")
		}
		got.Release()
	}
	if b.Health() != Up {
		t.Errorf("it is %v: it greets", b.Health())
	}
	p.says(goodStatus)
	eventually(t, "the backend serves again", func() bool { return !b.Closing() })
	if why := b.Fits(any); why != "" {
		t.Errorf("Fits says %q", why)
	}
}

// TestClosingIsFoundOnHurry: by the clock the next look is an hour away; sessions that lose their server know first.
func TestClosingIsFoundOnHurry(t *testing.T) {
	for name, hint := range map[string]func(*Backend){
		"a session has lost it":    (*Backend).Suspect,
		"something in the cluster": func(b *Backend) { b.Cluster().Hurry() },
	} {
		t.Run(name, func(t *testing.T) {
			p := startPort(t, false)
			opt := statusOptions(t, p.addr())
			opt.Status.Interval = time.Hour
			b := newCluster(t, opt).Backends()[0]
			upAndVersioned(t, b)
			p.fails(http.StatusInternalServerError)
			hint(b)
			eventually(t, "the backend is about to stop", b.Closing)
		})
	}
}

// TestCanSign: it is taken for true until it is known, asked for once as long as the port is there, anew behind a
// time when it was not, and what was known stays when there is no answer. Other backends are not concerned.
func TestCanSign(t *testing.T) {
	p, other := startPort(t, false), startPort(t, false)
	p.configures(noCert)
	opt := statusOptions(t, p.addr(), other.addr())
	opt.Backends = append(opt.Backends, Spec{Addr: startServer(t, welcome).addr()})
	c := newCluster(t, opt)
	b := c.Backends()[0]
	eventually(t, "it is known that it can't sign", func() bool { return !b.CanSign() })
	was := p.asked.Load()
	eventually(t, "the status was asked some more times", func() bool { return p.asked.Load() > was+5 })
	if n := p.read.Load(); n != 1 {
		t.Errorf("the configuration was asked for %d times", n)
	}
	if !c.Backends()[1].CanSign() || !c.Backends()[2].CanSign() {
		t.Error("others can't sign either")
	}
	again := func(config string) {
		n := p.read.Load()
		p.fails(404)
		eventually(t, "the backend is down", func() bool { return b.Health() == Down })
		p.configures(config)
		p.says(goodStatus)
		eventually(t, "the configuration was asked for", func() bool { return p.read.Load() > n && b.Health() == Up })
	}
	for _, odd := range []string{"", "{", "{}", `{"security":{}}`, `{"security":7}`, `{"x":"` + strings.Repeat("x", configMax) + `"}`} {
		again(odd)
		if b.CanSign() {
			t.Errorf("%.20q has made it sign", odd)
		}
	}
	again(withCert)
	eventually(t, "it can sign", b.CanSign)
}

// TestStatusComesAndGoes: a backend whose status port is not known any more is judged by its greeting alone.
func TestStatusComesAndGoes(t *testing.T) {
	p := startPort(t, false)
	p.fails(404)
	p.configures(noCert)
	opt := statusOptions(t, p.addr())
	opt.Health.Interval = 20 * time.Millisecond
	c := newCluster(t, opt)
	b := c.Backends()[0]
	eventually(t, "the backend is down", func() bool { return b.Health() == Down })
	without := opt
	without.Backends = []Spec{{Addr: b.Addr()}}
	c.Update(without)
	eventually(t, "the backend is up", func() bool { return b.Health() == Up })
	p.fails(http.StatusInternalServerError)
	c.Update(opt)
	eventually(t, "the backend is about to stop", b.Closing)
	c.Update(without)
	eventually(t, "it is not any more", func() bool { return !b.Closing() })
}

// TestStatusTLS: what each mode makes of a port with TLS, and of one without.
func TestStatusTLS(t *testing.T) {
	secured, plain := startPort(t, true), startPort(t, false)
	trust := x509.NewCertPool()
	trust.AddCert(secured.Certificate())
	good, bad := &tls.Config{RootCAs: trust}, &tls.Config{RootCAs: x509.NewCertPool()}
	for name, tt := range map[string]struct {
		mode codec.TLSMode
		cfg  *tls.Config
		port *port
		want Health
	}{
		"full":                  {codec.TLSVerifyFull, good, secured, Up},
		"full, trusts somebody": {codec.TLSVerifyFull, bad, secured, Down},
		"full, plain":           {codec.TLSVerifyFull, good, plain, Down},
		"require, plain":        {codec.TLSRequire, &tls.Config{InsecureSkipVerify: true}, plain, Down},
		"require":               {codec.TLSRequire, &tls.Config{InsecureSkipVerify: true}, secured, Up},
		"prefer":                {codec.TLSPrefer, &tls.Config{InsecureSkipVerify: true}, secured, Up},
		"prefer, plain":         {codec.TLSPrefer, &tls.Config{InsecureSkipVerify: true}, plain, Up},
		"disable":               {codec.TLSDisable, nil, secured, Down},
	} {
		t.Run(name, func(t *testing.T) {
			opt := statusOptions(t, tt.port.addr())
			opt.Status.TLSMode, opt.Status.TLS = tt.mode, tt.cfg
			c := newCluster(t, opt)
			b := c.Backends()[0]
			eventually(t, "the port was looked at", func() bool { return b.opinion(byStatus) != Unknown })
			if got := b.opinion(byStatus); got != tt.want {
				t.Errorf("it is %v: %s", got, b.LastError())
			}
		})
	}
}

// TestReadings: in their order, without what is known already, as long as they are new enough, and no more than a
// number of them.
func TestReadings(t *testing.T) {
	b := newBackend(&Cluster{}, Spec{Addr: "a:1"})
	if got := b.Readings(); got != nil {
		t.Errorf("readings of nothing: %v", got)
	}
	now := time.Now()
	at := func(ago time.Duration) router.Reading {
		return router.Reading{At: now.Add(-ago), CPU: ago.Seconds(), Procs: math.NaN()}
	}
	b.Join()
	b.Join()
	b.AddReadings(now, at(3*time.Minute), at(time.Minute), at(30*time.Second))
	kept := b.Readings()
	if len(kept) != 2 || kept[0].CPU != 60 || kept[1].CPU != 30 || kept[0].Sessions != 2 {
		t.Errorf("%+v", kept)
	}
	b.AddReadings(now, at(45*time.Second), at(30*time.Second), at(10*time.Second))
	if got := b.Readings(); len(got) != 3 || got[2].CPU != 10 {
		t.Errorf("%+v", got)
	}
	if len(kept) != 2 {
		t.Error("what was given out has changed")
	}
	b.AddReadings(now.Add(100*time.Second), at(5*time.Second))
	if got := b.Readings(); len(got) != 2 || got[0].CPU != 10 {
		t.Errorf("%+v", got)
	}
	for i := range 2 * readingsMax {
		b.AddReadings(now, at(-time.Duration(i)*time.Millisecond))
	}
	if got := b.Readings(); len(got) != readingsMax || !got[len(got)-1].At.Equal(now.Add((2*readingsMax-1)*time.Millisecond)) {
		t.Errorf("%d readings", len(got))
	}
}

// TestLeaving: a backend whose key has gone is closing as long as it has sessions, and gone without; back again, it
// is as before.
func TestLeaving(t *testing.T) {
	a := startServer(t, welcome)
	d := &fakeDiscovery{}
	c, _, changes := discovered(t, d)
	spec := Spec{Addr: a.addr(), Role: router.Leader}
	d.finder.to.Found([]Spec{spec})
	any := router.Want{Roles: router.AnyRole}
	b, why := c.Pick(any, nil)
	if b == nil {
		t.Fatal(why)
	}
	leaving := spec
	leaving.Leaving = true
	was := changes.Load()
	d.finder.to.Found([]Spec{leaving})
	if !b.Closing() || b.Fits(any) != "shutdown" || b.Gone() || changes.Load() == was {
		t.Errorf("closing %v, Fits %q, gone %v, told %d times", b.Closing(), b.Fits(any), b.Gone(), changes.Load()-was)
	}
	d.finder.to.Found([]Spec{spec})
	if b.Closing() || b.Fits(any) != "" {
		t.Errorf("back: closing %v, Fits %q", b.Closing(), b.Fits(any))
	}
	d.finder.to.Found([]Spec{leaving})
	b.Release()
	d.finder.to.Found([]Spec{leaving})
	if !b.Gone() || len(c.Backends()) != 0 {
		t.Errorf("without sessions: gone %v, %d backends", b.Gone(), len(c.Backends()))
	}
	d.finder.to.Found([]Spec{leaving})
	if len(c.Backends()) != 0 {
		t.Error("who is leaving has come")
	}
}

// fakeMetering counts what is asked of it.
type fakeMetering struct {
	kind   string
	starts int
	meter  *fakeMeter
}

type fakeMeter struct {
	kind          string
	updates, ends int
}

func (m *fakeMetering) Start(*Cluster) Meter {
	m.starts++
	m.meter = &fakeMeter{kind: m.kind}
	return m.meter
}

func (m *fakeMeter) Update(d Metering) bool {
	m.updates++
	return d.(*fakeMetering).kind == m.kind
}
func (m *fakeMeter) Close() { m.ends++ }

// TestMetering: one is at work at a time, it is updated if it can, and ends with the cluster.
func TestMetering(t *testing.T) {
	opt := options()
	a, same, other := &fakeMetering{kind: "a"}, &fakeMetering{kind: "a"}, &fakeMetering{kind: "b"}
	opt.Metering = a
	c := NewCluster(opt, zap.NewNop())
	opt.Metering = same
	c.Update(opt)
	if a.starts != 1 || same.starts != 0 || a.meter.updates != 1 || a.meter.ends != 0 {
		t.Errorf("updated: %+v %+v", a, a.meter)
	}
	opt.Metering = other
	c.Update(opt)
	if a.meter.ends != 1 || other.starts != 1 {
		t.Errorf("replaced: %+v %+v", a.meter, other)
	}
	opt.Metering = nil
	c.Update(opt)
	if other.meter.ends != 1 {
		t.Errorf("taken away: %+v", other.meter)
	}
	opt.Metering = other
	c.Update(opt)
	closeSoon(t, c)
	if other.starts != 2 || other.meter.ends != 1 {
		t.Errorf("closed: %+v %+v", other, other.meter)
	}
}

// TestStatusConnectionsEnd: with the options by which they were made, and not when they have been idle for long.
func TestStatusConnectionsEnd(t *testing.T) {
	var open atomic.Int64
	p := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(goodStatus))
	}))
	p.Config.ConnState = func(_ net.Conn, is http.ConnState) {
		switch is {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	p.Start()
	t.Cleanup(p.Close)
	opt := statusOptions(t, p.Listener.Addr().String())
	opt.Status.Interval = time.Hour
	c := newCluster(t, opt)
	upAndVersioned(t, c.Backends()[0])
	if open.Load() == 0 {
		t.Error("no connection is kept")
	}
	began := time.Now()
	next := opt
	next.Status = &StatusOptions{Interval: time.Hour, Timeout: patience}
	c.Update(next)
	eventually(t, "the connections of the old options end", func() bool { return open.Load() == 0 })
	if took := time.Since(began); took > statusIdle/2 {
		t.Errorf("that took %v", took)
	}
}
