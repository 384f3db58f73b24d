package engine

import (
	"errors"
	"net"
	"testing"
)

// wrapped hides a connection's descriptor.
type wrapped struct{ net.Conn }

// TestEnrollFailures enrolls what can't be: failed comes, the connection is closed and not counted.
func TestEnrollFailures(t *testing.T) {
	stopped, err := Start(Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	stopped.Stop()
	running := one(t)
	tests := []struct {
		name string
		loop *Loop
		prep func(nc *net.TCPConn) net.Conn
		want error
	}{
		{"closed already", running, func(nc *net.TCPConn) net.Conn { nc.Close(); return nc }, net.ErrClosed},
		{"no descriptor", running, func(nc *net.TCPConn) net.Conn { return wrapped{nc} }, nil},
		{"stopped loop", stopped.Loops()[0], func(nc *net.TCPConn) net.Conn { return nc }, net.ErrClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near, far := loopback(t)
			failed := make(chan error, 2)
			h := &hooks{
				open:  func(*Conn) { t.Error("OnOpen") },
				close: func(*Conn, error) { t.Error("OnClose") },
			}
			tt.loop.Enroll(tt.prep(near), h, func(err error) { failed <- err })
			err := await(t, failed, "failed")
			if err == nil || (tt.want != nil && !errors.Is(err, tt.want)) {
				t.Errorf("failed got %v, want %v", err, tt.want)
			}
			if _, err := far.Read(make([]byte, 1)); err == nil {
				t.Error("the connection was not closed")
			}
			if tt.loop.Conns() != 0 || len(failed) > 0 {
				t.Errorf("%d connections are counted; %d more calls", tt.loop.Conns(), len(failed))
			}
		})
	}
}

// TestEnrollDuringStop enrolls on the loop when Stop has begun and no look will come any more. gnet
// registers the socket on that very loop, so that Enroll must not wait for its answer.
func TestEnrollDuringStop(t *testing.T) {
	l := one(t)
	near, _ := loopback(t)
	opened := make(chan struct{})
	on(t, l, func() {
		l.enrolments.Lock()
		l.enrolments.stopped = true
		l.enrolments.Unlock()
		h := &hooks{open: func(*Conn) { close(opened) }}
		l.Enroll(near, h, func(err error) { t.Errorf("enroll: %v", err) })
	})
	await(t, opened, "OnOpen")
}

// TestCloseInOnOpen ends a connection as soon as it is there: it is told once, and not as a failure.
func TestCloseInOnOpen(t *testing.T) {
	l := one(t)
	for _, end := range []func(*Conn){(*Conn).Close, (*Conn).CloseFlushed} {
		closed := make(chan error, 2)
		_, far := connect(t, l, hooks{
			open:  func(c *Conn) { c.Write([]byte("no")); end(c) },
			data:  func(*Conn, []byte) { t.Error("OnData") },
			close: func(_ *Conn, err error) { closed <- err },
		})
		far.Close()
		if err := await(t, closed, "OnClose"); err != nil {
			t.Errorf("OnClose got %v", err)
		}
		on(t, l, func() {})
		if len(closed) > 0 || l.Conns() != 0 {
			t.Errorf("%d more OnClose, %d connections counted", len(closed), l.Conns())
		}
	}
}

// TestUnzoned gives a connection between link-local addresses: the zone's letters, which others use,
// must not be gnet's to write to.
func TestUnzoned(t *testing.T) {
	near, _ := loopback(t)
	if same, err := unzoned(near); err != nil || same != net.Conn(near) {
		t.Errorf("a connection without zones was changed: %v, %v", same, err)
	}
	addr := near.RemoteAddr().(*net.TCPAddr)
	addr.Zone = "lo" // as if
	fresh, err := unzoned(near)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if addr.Zone != "lo" || zone(fresh.RemoteAddr()) != "" || fresh == net.Conn(near) {
		t.Errorf("old %v, new %v", addr, fresh.RemoteAddr())
	}
	if _, err := near.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the old connection is not closed: %v", err)
	}
	if _, err := fresh.Write([]byte{1}); err != nil {
		t.Errorf("the new connection: %v", err)
	}
}
