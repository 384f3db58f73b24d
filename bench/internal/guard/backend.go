package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// patience is how long one message may be under way. It is long: a machine with other work slows
// valgrind down, which must not make a count fail.
const patience = 3 * time.Minute

// backend is a server that has one answer. It has a goroutine for each connection, in this process.
type backend struct {
	load     load
	await    func() error // called before each answer
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool
	stopped bool
	err     error // the first that was not an end of a connection
}

// startBackend listens on a free loopback port. Before each answer it calls await.
func startBackend(l load, await func() error) (*backend, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{load: l, await: await, listener: ln, conns: map[net.Conn]bool{}}
	b.work.Go(b.accept)
	return b, nil
}

func (b *backend) addr() string { return b.listener.Addr().String() }

func (b *backend) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return // stopped
		}
		b.mu.Lock()
		b.conns[c] = true
		stopped := b.stopped
		b.mu.Unlock()
		if stopped {
			c.Close()
			return
		}
		b.work.Go(func() { b.serve(c) })
	}
}

// serve answers the queries of one connection.
func (b *backend) serve(c net.Conn) {
	defer func() {
		c.Close()
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	if !b.load.accept(c) {
		return
	}
	if b.load.reply != nil {
		if err := b.converse(c); err != nil && !errors.Is(err, net.ErrClosed) {
			b.fail(fmt.Errorf("backend: %w", err))
		}
		return
	}
	got := make([]byte, len(b.load.request))
	for {
		if err := receive(c, got, b.load.request); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				b.fail(fmt.Errorf("backend: %w", err))
			}
			return
		}
		if err := b.await(); err != nil {
			b.fail(fmt.Errorf("backend: %w", err))
			return
		}
		if err := send(c, b.load.answer); err != nil {
			b.fail(fmt.Errorf("backend: %w", err))
			return
		}
	}
}

func (b *backend) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

// stop ends it, and says what went wrong.
func (b *backend) stop() error {
	b.listener.Close()
	b.mu.Lock()
	b.stopped = true
	for c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.work.Wait()
	return b.err
}

// send writes a message to c.
func send(c net.Conn, message []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Write(message)
	return err
}

// receive fills got from c and compares it with what is due. A goodbye, which is shorter than any
// request, ends with the connection: io.ErrUnexpectedEOF is the regular end.
func receive(c net.Conn, got, want []byte) error {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c, got); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return io.EOF
		}
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("got %q; want %q", got, want)
	}
	return nil
}
