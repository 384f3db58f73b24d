package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// waits are the three ways in which a loop may come to its events.
var waits = []struct {
	name string
	set  func(l *Loop)
}{
	{"raw", func(l *Loop) { l.turns.raw = true }},
	{"known to the scheduler", func(l *Loop) { l.turns.raw = false }},
	{"gnet's", func(l *Loop) { l.turns.on = false }},
}

// eachWait runs a test on a loop of its own for each of the ways.
func eachWait(t *testing.T, test func(t *testing.T, l *Loop)) {
	for _, w := range waits {
		t.Run(w.name, func(t *testing.T) {
			l := one(t)
			on(t, l, func() { w.set(l) })
			test(t, l)
		})
	}
}

// echo answers each message with itself and tells of the connection's end.
func echo(t testing.TB, l *Loop) (far *net.TCPConn, ended chan error) {
	ended = make(chan error, 1)
	_, far = connect(t, l, hooks{
		data:  func(c *Conn, p []byte) { c.Write(p) },
		close: func(_ *Conn, err error) { ended <- err },
	})
	return far, ended
}

// say sends a message and reads its echo: afterwards the loop is on turns of its own, if at all.
func say(t testing.TB, far net.Conn) {
	t.Helper()
	p := []byte("message")
	if _, err := far.Write(p); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, p); err != nil || string(p) != "message" {
		t.Fatalf("the echo is %q, %v", p, err)
	}
}

// TestAlarm holds what is known of gnet's eventfd against the gnet version in go.mod: that it is found,
// on each of several loops, and the mask with which it is registered.
func TestAlarm(t *testing.T) {
	for _, l := range start(t, Options{Loops: 3}).Loops() {
		on(t, l, func() {
			if !l.turns.on {
				t.Errorf("loop %d leaves all to gnet", l.id)
				return
			}
			fresh := findAlarm(l.epfd, l.turns.alarm) // anything else that is registered: the anchor
			if fresh == l.turns.alarm || l.turns.conns[fresh] == nil {
				t.Errorf("loop %d has the descriptors %d and %d", l.id, l.turns.alarm, fresh)
			}
			if err := setMask(l.epfd, fresh, readMask); err != nil {
				t.Error(err)
			}
			if target, err := readlink(l.turns.alarm); err != nil || target != "anon_inode:[eventfd]" {
				t.Errorf("the alarm is %q, %v", target, err)
			}
		})
	}
	poller, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(poller)
	if fd := findAlarm(poller, -1); fd != -1 {
		t.Errorf("descriptor %d is in an empty poller", fd)
	}
}

func readlink(fd int) (string, error) {
	buf := make([]byte, 64)
	n, err := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd), buf)
	return string(buf[:max(n, 0)]), err
}

// TestAlarmMask compares the mask that is set anew each time with the one that gnet has set.
func TestAlarmMask(t *testing.T) {
	l := start(t, Options{Loops: 1, gnetTurns: true}).Loops()[0]
	on(t, l, func() {
		anchor := -1
		for fd, c := range l.turns.conns {
			if c != nil {
				anchor = fd
			}
		}
		for fd := range pollerSearch {
			if target, err := readlink(fd); fd != anchor && err == nil && target == "anon_inode:[eventfd]" &&
				registered(t, l.epfd, fd) {
				if got := mask(t, l.epfd, fd); got != alarmMask {
					t.Errorf("gnet's mask is %#x, ours %#x", got, uint32(alarmMask))
				}
				return
			}
		}
		t.Error("gnet's eventfd is not there")
	})
}

// registered tells whether a poller knows a descriptor, without a change to it.
func registered(t testing.TB, ep, fd int) bool {
	err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{})
	if err == nil {
		err = unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, fd, nil)
		if err != nil {
			t.Error(err)
		}
		return false
	}
	return errors.Is(err, unix.EEXIST)
}

// TestOwnTurns shows that the loop reads by itself from the second message on, and gnet no more.
func TestOwnTurns(t *testing.T) {
	l := one(t)
	own := make(chan bool, 1)
	_, far := connect(t, l, hooks{data: func(c *Conn, p []byte) {
		own <- unsafe.SliceData(p) == unsafe.SliceData(l.turns.buf)
		c.Write(p)
	}})
	for i := range 5 {
		_, _ = far.Write([]byte("message"))
		if got := await(t, own, "a message"); i > 0 && !got {
			t.Errorf("message %d was read by gnet", i)
		}
	}
}

// TestReadBufferSize wants the sizes that gnet takes, too.
func TestReadBufferSize(t *testing.T) {
	for want, size := range map[int]int{1: 1024, 1024: 1024, 1025: 2048, 65536: 65536, 65537: 131072} {
		if got := readBufferSize(want); got != size {
			t.Errorf("of %d it makes %d, want %d", want, got, size)
		}
	}
}

// TestGnetHasItsTurn tells gnet to do something while the loop sleeps on a turn of its own: the alarm
// is the only sign of it, and it must not be lost.
func TestGnetHasItsTurn(t *testing.T) {
	eachWait(t, func(t *testing.T, l *Loop) {
		far, _ := echo(t, l)
		for range 100 {
			say(t, far)
			done := make(chan struct{})
			task := gnet.RunnableFunc(func(context.Context) error { close(done); return nil })
			if err := l.el.Execute(context.Background(), task); err != nil {
				t.Fatal(err)
			}
			await(t, done, "a task of gnet's own")
		}
	})
}

// TestEnrollAmongTraffic registers sockets while others keep the loop at work.
func TestEnrollAmongTraffic(t *testing.T) {
	eachWait(t, func(t *testing.T, l *Loop) {
		var talk sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			far, _ := echo(t, l)
			talk.Go(func() {
				for p := make([]byte, 7); ; {
					select {
					case <-stop:
						return
					default:
					}
					_, err := far.Write(p)
					if err == nil {
						_, err = io.ReadFull(far, p)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 200 {
			far, ended := echo(t, l)
			say(t, far)
			far.Close()
			await(t, ended, "the end of a connection")
		}
		close(stop)
		talk.Wait()
		on(t, l, func() {
			if due := l.turns.due.Load(); due != 0 {
				t.Errorf("gnet is thought to have %d things to do", due)
			}
		})
	})
}

// TestEnds ends connections while the loop sleeps: it is told the same whoever reads.
func TestEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(t *testing.T, far *net.TCPConn)
		want error
	}{
		{"FIN", func(_ *testing.T, far *net.TCPConn) { far.Close() }, io.EOF},
		{"FIN behind bytes", func(_ *testing.T, far *net.TCPConn) { _, _ = far.Write([]byte("bye")); _ = far.CloseWrite() }, io.EOF},
		{"RST", func(t *testing.T, far *net.TCPConn) { reset(t, far) }, unix.ECONNRESET},
	}
	eachWait(t, func(t *testing.T, l *Loop) {
		for _, tt := range tests {
			far, ended := echo(t, l)
			say(t, far)
			tt.end(t, far)
			if err := await(t, ended, "the end"); !errors.Is(err, tt.want) {
				t.Errorf("%s: OnClose was told %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

// TestCollectorIsNotKeptWaiting has Go's collector stop the world while loops sleep and while they work.
func TestCollectorIsNotKeptWaiting(t *testing.T) {
	eachWait(t, func(t *testing.T, l *Loop) {
		far, _ := echo(t, l)
		for range 20 {
			say(t, far)
			done := make(chan struct{})
			go func() { runtime.GC(); close(done) }()
			await(t, done, "a collection")
		}
	})
}

// TestSleepersKeepNothing lets every loop fall asleep: goroutines run all the same, although there are
// as many loops as may run Go code at a time, and timers are on time.
func TestSleepersKeepNothing(t *testing.T) {
	e := start(t, Options{Loops: runtime.GOMAXPROCS(0)})
	for _, l := range e.Loops() {
		far, _ := echo(t, l)
		say(t, far)
	}
	for range 50 {
		done := make(chan struct{})
		time.AfterFunc(time.Millisecond, func() { close(done) })
		await(t, done, "a timer")
	}
	for _, l := range e.Loops() {
		on(t, l, func() {
			if l.turns.raw {
				t.Errorf("loop %d keeps one of %d that may run", l.id, runtime.GOMAXPROCS(0))
			}
		})
	}
}

// TestStopAsleep stops an engine whose loops sleep on turns of their own.
func TestStopAsleep(t *testing.T) {
	e := start(t, Options{Loops: 2})
	for _, l := range e.Loops() {
		far, _ := echo(t, l)
		say(t, far)
	}
	stopped := make(chan struct{})
	go func() { e.Stop(); close(stopped) }()
	await(t, stopped, "the end of Stop")
}

// TestBackPressureEachWay relays more than the buffers hold to a reader that is slower than the sender.
func TestBackPressureEachWay(t *testing.T) {
	const size = 32 << 20
	eachWait(t, func(t *testing.T, l *Loop) {
		r := newRelay(t, l)
		sum := make(chan uint32, 1)
		go func() {
			s, err := send(r.far[1], size)
			if err != nil {
				t.Error(err)
			}
			sum <- s
		}()
		untilOn(t, l, "the relay is full", func() bool { return l.Counts().Pauses > 0 })
		got, err := receive(r.far[0], size)
		if err != nil {
			t.Fatal(err)
		}
		if want := await(t, sum, "the sender"); got != want {
			t.Errorf("checksum %x, want %x", got, want)
		}
		on(t, l, func() {
			if r.peak > 1<<20 {
				t.Errorf("the relay held %d bytes", r.peak)
			}
		})
	})
}

// TestNow stands still while a handler runs and for the events that came with its own, and is right
// again for the next.
func TestNow(t *testing.T) {
	eachWait(t, func(t *testing.T, l *Loop) {
		type span struct{ first, second, after int64 }
		spans := make(chan span, 1)
		_, far := connect(t, l, hooks{data: func(*Conn, []byte) {
			s := span{first: l.Now()}
			for Nano() == s.first { // time passes
			}
			s.second, s.after = l.Now(), Nano()
			spans <- s
		}})
		last := int64(0)
		for range 5 {
			before := Nano()
			_, _ = far.Write([]byte("message"))
			s := await(t, spans, "a message")
			if s.first != s.second || s.first <= last || s.first > s.after || s.first < before {
				t.Errorf("sent at %d, handled at %d (%d), done at %d; before it %d", before, s.first, s.second, s.after, last)
			}
			last = s.first
		}
	})
}
