package real

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

// Relay passes connections on to one address, in pieces of a chosen size. It stands in front of and
// behind a proxy under test, so that the proxy sees each stream cut where no peer would cut it.
type Relay struct {
	Addr string

	ln    net.Listener
	to    string
	cut   Cut
	mu    sync.Mutex
	conns map[net.Conn]bool
	held  chan struct{} // closed at the end of a Hold; nil = nothing is held
	wg    sync.WaitGroup
}

// Cut says how large the next piece may be. Each direction of each connection calls its own.
type Cut func() func() int

// EveryByte sends each byte on its own.
func EveryByte() func() int { return func() int { return 1 } }

// AtRandom cuts pieces of up to limit bytes, mostly short ones, the same for the same seed.
func AtRandom(seed uint64, limit int) Cut {
	var mu sync.Mutex
	next := seed
	return func() func() int {
		mu.Lock()
		next++
		r := rand.New(rand.NewPCG(seed, next))
		mu.Unlock()
		return func() int { return 1 + r.IntN(1+r.IntN(limit)) }
	}
}

// smallPiece is the size up to which a piece gets a moment of its own on the way. Larger ones follow
// each other at once: there the cuts count, not that each piece is read alone.
const smallPiece = 16

// NewRelay starts a relay to the address to.
func NewRelay(to string, cut Cut) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{Addr: ln.Addr().String(), ln: ln, to: to, cut: cut, conns: make(map[net.Conn]bool)}
	r.wg.Add(1)
	go r.serve()
	return r, nil
}

// Close ends the relay and all that passes through it.
func (r *Relay) Close() {
	r.ln.Close()
	r.Release()
	r.mu.Lock()
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// Hold has the relay pass nothing on, and yet take connections and what they send: who is behind it seems
// to be there and says no word.
func (r *Relay) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = make(chan struct{})
	}
}

// Release ends Hold.
func (r *Relay) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		close(r.held)
		r.held = nil
	}
}

// wait returns when nothing is held.
func (r *Relay) wait() {
	r.mu.Lock()
	held := r.held
	r.mu.Unlock()
	if held != nil {
		<-held
	}
}

func (r *Relay) serve() {
	defer r.wg.Done()
	for {
		a, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.wg.Add(1)
		go func() {
			defer r.wg.Done()
			r.pass(a)
		}()
	}
}

// pass relays one connection until both directions have ended. An end in one direction is passed on
// as such: the other may still have something to say.
func (r *Relay) pass(a net.Conn) {
	defer r.forget(a)
	r.keep(a)
	r.wait() // or who is behind would be kept busy by clients that say nothing
	b, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer r.forget(b)
	r.keep(b)
	done := make(chan struct{})
	go func() {
		r.pump(b, a)
		close(done)
	}()
	r.pump(a, b)
	<-done
}

func (r *Relay) keep(c net.Conn) {
	r.mu.Lock()
	r.conns[c] = true
	r.mu.Unlock()
}

func (r *Relay) forget(c net.Conn) {
	c.Close()
	r.mu.Lock()
	delete(r.conns, c)
	r.mu.Unlock()
}

// pause is a sleep of the thread and not of the goroutine, because the runtime's shortest on an idle
// machine is a millisecond: twenty times as long.
func pause() { _ = syscall.Nanosleep(&syscall.Timespec{Nsec: 1000}, nil) }

// pump copies from src to dst in pieces. A reset on the way is passed on as a reset.
func (r *Relay) pump(dst, src net.Conn) {
	cut := r.cut()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		r.wait()
		for p := buf[:n]; len(p) > 0; {
			k := min(cut(), len(p))
			if _, werr := dst.Write(p[:k]); werr != nil {
				// The other direction may still carry a last word: leave it alone.
				_, _ = io.Copy(io.Discard, src)
				return
			}
			p = p[k:]
			if k <= smallPiece && len(p) > 0 {
				pause() // lets the reader have this piece before the next
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				_ = dst.(*net.TCPConn).SetLinger(0)
				dst.Close()
				return
			}
			_ = dst.(*net.TCPConn).CloseWrite()
			return
		}
	}
}
