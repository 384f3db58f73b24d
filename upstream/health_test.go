package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/codec/postgres"
	"sluice/codec/tcp"
)

// patience is longer than anything takes on a machine that stands still for seconds at a time. It is every
// time-out that is not what a test is about.
const patience = time.Minute

// TestJudge plays rows of good (+) and failed (-) checks with rise 2 and fall 3.
func TestJudge(t *testing.T) {
	tests := []struct {
		name, checks string
		want         Health
	}{
		{"nothing yet", "", Unknown},
		{"the first check decides", "+", Up},
		{"the first check decides for down, too", "-", Down},
		{"one failure is none", "+-", Up},
		{"two are none", "+--", Up},
		{"three in a row are", "+---", Down},
		{"a good one ends the row", "+--+--", Up},
		{"one good check is not enough", "-+", Down},
		{"two in a row are", "-++", Up},
		{"a failure ends that row", "-+-+", Down},
		{"down, up and down again", "-++---", Down},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &Cluster{log: zap.NewNop()}
			c.backends.Store(&[]*Backend{})
			c.opt.Store(&Options{Health: HealthOptions{Rise: 2, Fall: 3}})
			b := newBackend(c, Spec{Addr: "127.0.0.1:1"})
			row := 0
			for _, mark := range tt.checks {
				var err error
				if mark == '-' {
					err = errors.New("no")
				}
				row = c.judge(b, byGreeting, err, row)
			}
			if b.Health() != tt.want {
				t.Errorf("after %q: %v, want %v", tt.checks, b.Health(), tt.want)
			}
			made, failed := b.Checks()
			if int(made) != len(tt.checks) || int(failed) != strings.Count(tt.checks, "-") {
				t.Errorf("after %q: %d checks, %d failed", tt.checks, made, failed)
			}
			if b.Changed().IsZero() != (tt.want == Unknown) || (b.LastError() == "") != (failed == 0) {
				t.Errorf("after %q: changed %v, last error %q", tt.checks, b.Changed(), b.LastError())
			}
		})
	}
}

// TestHangingBackendHoldsUpNobody: one that accepts and never answers has its own clock, and its check
// is cut short when the cluster closes.
func TestHangingBackendHoldsUpNobody(t *testing.T) {
	hangs, well := startServer(t, silence), startServer(t, welcome)
	opt := options(hangs, well)
	opt.Health.Interval, opt.Health.Timeout = 10*time.Millisecond, time.Hour
	c := NewCluster(opt, zap.NewNop())
	eventually(t, "the healthy backend was checked ten times", func() bool {
		made, _ := c.Backends()[1].Checks()
		return made >= 10
	})
	if made, _ := c.Backends()[0].Checks(); made != 0 {
		t.Errorf("the check that hangs has ended %d times: %s", made, c.Backends()[0].LastError())
	}
	if h := c.Backends()[1].Health(); h != Up {
		t.Errorf("the healthy backend is %v", h)
	}
	closeSoon(t, c)
	expectNoChecker(t)
}

func TestCheckTimesOut(t *testing.T) {
	opt := options(startServer(t, silence))
	opt.Health.Timeout = 50 * time.Millisecond
	c := newCluster(t, opt)
	eventually(t, "the backend is down", func() bool { return c.Backends()[0].Health() == Down })
	if text := c.Backends()[0].LastError(); text == "" {
		t.Error("no word of why")
	}
}

// TestSuspectIsCheckedSoon: the next check by the clock is an hour away.
func TestSuspectIsCheckedSoon(t *testing.T) {
	s := startServer(t, welcome)
	c := newCluster(t, options(s))
	b := c.Backends()[0]
	eventually(t, "the backend is up", func() bool { return b.Health() == Up })
	s.stop()
	b.Suspect()
	eventually(t, "the backend is down", func() bool { return b.Health() == Down })
}

// TestManySuspectsAreNoFlood: thousands of sessions that lose a backend have it checked a few times.
func TestManySuspectsAreNoFlood(t *testing.T) {
	s := startServer(t, welcome)
	c := newCluster(t, options(s))
	b := c.Backends()[0]
	start := time.Now()
	eventually(t, "four checks", func() bool {
		for range 1000 {
			b.Suspect()
		}
		made, _ := b.Checks()
		return made >= 4
	})
	if took := time.Since(start); took < 3*checkGap {
		t.Errorf("four checks within %v, want at least %v", took, 3*checkGap)
	}
}

// TestConnectIsEnough: a protocol without a check of its own.
func TestConnectIsEnough(t *testing.T) {
	s := startServer(t, silence)
	opt := options(s)
	opt.Protocol = tcp.Protocol{}
	c := newCluster(t, opt)
	eventually(t, "the backend is up", func() bool { return c.Backends()[0].Health() == Up })
	s.stop()
	c.Backends()[0].Suspect()
	eventually(t, "the backend is down", func() bool { return c.Backends()[0].Health() == Down })
}

// TestDialByName: a name may have addresses at which nobody listens, and the time is shared by all.
func TestDialByName(t *testing.T) {
	s := startServer(t, silence)
	_, port, _ := net.SplitHostPort(s.addr())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := dial(ctx, "localhost:"+port)
	if err != nil {
		t.Fatalf("localhost: %v", err)
	}
	conn.Close()
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:no-such-port", "no-such-name.invalid:1"} {
		if conn, err := dial(ctx, addr); err == nil || conn != nil {
			t.Errorf("%s: no connection %t, error %v", addr, conn == nil, err)
		}
	}
}

// TestNobodyListens: an operator reads what happened, and not what netpoll makes of it.
func TestNobodyListens(t *testing.T) {
	s := startServer(t, silence)
	addr := s.addr()
	s.stop()
	err := probe(t.Context(), addr, &listener{}, nil, patience)
	if want := "dial tcp " + addr + ": the connection was refused"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestAnswerLimit reaches the limit of what a backend may say in a check.
func TestAnswerLimit(t *testing.T) {
	s := startServer(t, func(c net.Conn) {
		for _, err := c.Write(make([]byte, 4096)); err == nil; _, err = c.Write(make([]byte, 4096)) {
		}
	})
	err := probe(t.Context(), s.addr(), &listener{}, nil, patience)
	if err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got %v", err)
	}
}

// listener is a probe that is never done.
type listener struct{}

func (*listener) Start() []byte                                { return nil }
func (*listener) Server([]byte) (send []byte, _ bool, _ error) { return nil, false, nil }

// welcome lets everybody in, as PostgreSQL does.
func welcome(c net.Conn) {
	if _, err := c.Read(make([]byte, 1024)); err == nil {
		_, _ = c.Write([]byte("R\x00\x00\x00\x08\x00\x00\x00\x00"))
	}
}

// silence accepts and says nothing until the peer goes.
func silence(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// options are those of a cluster of PostgreSQL servers that is checked once an hour.
func options(servers ...*server) Options {
	opt := Options{Name: "test", Protocol: postgres.Protocol{},
		Health: HealthOptions{Interval: time.Hour, Timeout: patience, Rise: 1, Fall: 1}}
	for _, s := range servers {
		opt.Backends = append(opt.Backends, Spec{Addr: s.addr()})
	}
	return opt
}

func newCluster(t *testing.T, opt Options) *Cluster {
	c := NewCluster(opt, zap.NewNop())
	t.Cleanup(func() { closeSoon(t, c) })
	return c
}

// closeSoon closes a cluster, which must not wait for what hangs.
func closeSoon(t *testing.T, c *Cluster) {
	t.Helper()
	done := make(chan struct{})
	go func() { c.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Close waits for a check that hangs")
	}
}

// expectNoChecker holds that no backend is checked any more.
func expectNoChecker(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	eventually(t, "no goroutine checks a backend", func() bool {
		text := string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(text, "upstream.(*Cluster).check(") && !strings.Contains(text, "upstream.(*Cluster).watchStatus(")
	})
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("never came true: %s", what)
}
