package engine

import (
	"math/bits"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// turns lets a loop go on by itself, from the end of one of gnet's calls to the next thing that only
// gnet can do. It waits in gnet's own epoll instance and reads the sockets as gnet would.
//
// gnet, when it finds no event, yields to Go's scheduler before it sleeps. That wakes another thread,
// which looks for goroutines to run, finds none and sleeps again: at a third of the peak rate this was
// 2.2 to 2.6 context switches for a query instead of 1.1 to 1.3, and a fifth of the CPU. It also looks
// twice for each batch of events, once without waiting. Here a turn is what it is in a loop on bare
// epoll: one wait, one read for each socket that is ready.
//
// Nothing is taken from gnet: sockets are registered, closed and have their unsent bytes buffered by
// it. Its epoll instance is level-triggered, so that an event that is left alone here comes up again
// when gnet looks. Left alone is all but plain reading and writing: the end of a stream, errors,
// descriptors that are not ours. One event is not level-triggered: that of gnet's alarm, the eventfd by
// which gnet is told to register a socket or to stop. Who saw it has to raise it again, and before the
// loop sleeps it has to know that gnet has not been told anything: that is counted in due.
type turns struct {
	on     bool
	raw    bool    // waits without telling Go's scheduler
	conns  []*Conn // of the loop, by descriptor
	before uint64  // the loop's count of events at the last signal
	buf    []byte  // what is read; OnData borrows it
	events [batch]unix.EpollEvent
	alarm  int          // gnet's eventfd
	due    atomic.Int32 // what gnet was told, or is about to be, and has not done
}

// batch is how many events are taken at once, as many as gnet begins with.
const batch = 128

// fewEvents is what a loop with next to nothing to do has between two signals.
const fewEvents = 16

// alarmMask is the interest with which gnet has registered its eventfd.
const alarmMask = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET

// noSignals is the setting of Go's runtime without which a raw wait would not end for the collector.
// https://pkg.go.dev/runtime#hdr-Environment_Variables
const noSignals = "asyncpreemptoff"

// initTurns has the loop go on by itself from now on. It is called before the loop has a second
// connection. If gnet's alarm is not found, and so gnet is not what it was, gnet does all by itself.
func (l *Loop) initTurns(anchor int) {
	t := &l.turns
	if t.alarm = findAlarm(l.epfd, anchor); t.alarm < 0 {
		return
	}
	t.buf = make([]byte, readBufferSize(l.opt.ReadBuffer))
	t.raw = runtime.GOMAXPROCS(0) > l.opt.Loops && !strings.Contains(os.Getenv("GODEBUG"), noSignals)
	t.on = true
}

// findAlarm returns the one descriptor besides anchor that is registered with a new poller, or -1.
func findAlarm(ep, anchor int) int {
	for fd := range pollerSearch {
		if fd != anchor && setMask(ep, fd, alarmMask) == nil {
			return fd
		}
	}
	return -1
}

// readBufferSize is what gnet makes of the wanted size of its buffer.
func readBufferSize(want int) int {
	const least = 1024
	return max(least, 1<<bits.Len(uint(want-1)))
}

// enter notes a connection by its descriptor, forget the end of it.
func (t *turns) enter(c *Conn) {
	for len(t.conns) <= c.fd {
		t.conns = append(t.conns, nil)
	}
	t.conns[c.fd] = c
}

func (t *turns) forget(c *Conn) {
	if c.fd < len(t.conns) && t.conns[c.fd] == c {
		t.conns[c.fd] = nil
	}
}

// goOn takes turns until there is something for gnet to do. It is the last thing that happens in one
// of gnet's calls, and no handler is under way.
//
// An end of the wait without an event is a signal, by which Go's scheduler asks for the thread: the way
// back through gnet's loop gives it up.
func (l *Loop) goOn() {
	for l.turns.due.Load() == 0 {
		n := l.waitEvents()
		if n <= 0 {
			return
		}
		l.now = 0
		left := 0
		for i := range n {
			if !l.event(&l.turns.events[i]) {
				left++
			}
		}
		if left > 0 {
			return
		}
	}
}

// waitEvents sleeps until there are events and returns how many, less than 1 if a signal ended it.
//
// A wait by a raw system call does not tell Go's scheduler, which takes the loop for a goroutine that
// runs. A wait that it knows of would have its watchdog look every few hundred microseconds at what
// became of the call: a tenth of the CPU of a loop that has some work, but not much. The price of the
// raw wait is that the loop keeps one of GOMAXPROCS, so there have to be more than loops. It does not
// keep it from the collector, nor for long from anything else: the collector at once, and the watchdog
// every 10 ms, sends a signal, which ends the wait (https://go.dev/src/runtime/preempt.go). A loop that
// had next to no events between two signals goes on with waits that the scheduler knows of.
//
// The call is epoll_pwait(2) without a mask: not every architecture has epoll_wait.
func (l *Loop) waitEvents() int {
	t := &l.turns
	events := uintptr(unsafe.Pointer(&t.events))
	const forever = ^uintptr(0)
	for t.raw {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd), events, batch, forever, 0, 0)
		if errno == 0 {
			return int(n)
		}
		busy := l.events-t.before >= fewEvents
		t.before = l.events
		if !busy {
			break
		}
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd), events, batch, forever, 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

// event deals with one event and tells whether it could.
func (l *Loop) event(ev *unix.EpollEvent) bool {
	t := &l.turns
	fd := int(ev.Fd)
	if fd == t.alarm {
		_ = setMask(l.epfd, fd, alarmMask)
		return false
	}
	if fd >= len(t.conns) || t.conns[fd] == nil || ev.Events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0 {
		return false
	}
	c := t.conns[fd]
	l.enter()
	if ev.Events&unix.EPOLLOUT != 0 {
		_ = c.gc.Flush() // an error has closed the connection: lost was called
	}
	done := true
	if ev.Events&unix.EPOLLIN != 0 && c.gc != nil {
		done = c.read()
	}
	l.leave()
	return done
}

// read takes from the socket what one turn may and tells whether the connection is none of gnet's
// business now: it sees to the end of a stream.
func (c *Conn) read() bool {
	if !c.reads() {
		c.setInterest() // gnet armed reading again after it had sent what was buffered
		return true
	}
	if c.gc.InboundBuffered() > 0 {
		return false
	}
	buf := c.loop.turns.buf
	n, errno := readNow(c.fd, buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return true
	case errno != 0:
		c.fail(os.NewSyscallError("read", errno))
		return true
	case n == 0:
		return false
	}
	c.received(buf[:n])
	return true
}

// readNow reads what is there. As writeNow it does not tell the scheduler.
func readNow(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
