package synth

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// loginsMax is how many clients log in at a time, so that no proxy sees more than its backlog takes.
	loginsMax = 64
	// patience is how long nothing at all may happen when something is due: longer than any proxy's or
	// machine's hiccup that would leave a result worth having.
	patience = 10 * time.Second
	// tickMax is how often that is looked at, in milliseconds.
	tickMax = 1000
	// fetchMax is the size of the buffer that answers are read into, in bytes.
	fetchMax = 256 << 10
)

// stopToken is what a wait reports when somebody wants the end.
const stopToken = -2

// client is all clients of a load: one thread, one event loop.
type client struct {
	ClientOptions
	protocol protocol
	poll     *poller
	stop     stopper
	to       unix.Sockaddr
	family   int
	conns    []*conn
	ready    int // clients that have logged in
	number   uint64
	owed     int           // questions without an answer
	patience time.Duration // as the constant
	heard    time.Duration // when there was progress last
	load     *load         // nil while clients log in, and for idle ones
	buffer   [fetchMax]byte
}

// firstNumber is that of the first question. It has the digits of all others, so that all are alike.
const firstNumber = 100_000_000_000

// run makes a load and says how it goes: "warm" (or "ready N") on a line of its own, then the result.
func run(o ClientOptions, say io.Writer) error {
	if err := checkLimit(o.Clients); err != nil {
		return err
	}
	c, err := newClient(o)
	if err != nil {
		return err
	}
	defer c.close()
	c.stop.onSignal()
	if err := c.loginAll(); err != nil {
		return err
	}
	if o.Idle {
		return c.idle(say)
	}
	result, err := c.work(say)
	if err != nil {
		return err
	}
	return result.write(say)
}

func newClient(o ClientOptions) (*client, error) {
	to, family, err := address(o.Addr)
	if err != nil {
		return nil, err
	}
	c := &client{ClientOptions: o, protocol: protocols[o.Protocol], to: to, family: family,
		number: firstNumber, patience: patience}
	if c.poll, err = newPoller(); err != nil {
		return nil, err
	}
	if c.stop, err = newStopper(); err == nil {
		err = c.poll.add(c.stop.fd, stopToken, readable|unix.EPOLLET)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close leaves the server as its protocol wants it.
func (c *client) close() {
	for _, k := range c.conns {
		if k.state == ready {
			_, _ = write(k.fd, c.protocol.goodbye)
		}
		_ = unix.Close(k.fd)
	}
	c.stop.close()
	c.poll.close()
}

// errStopped is the end that somebody asked for before the clients were ready.
var errStopped = errors.New("stopped while clients logged in")

// loginAll connects and logs in all clients, a few at a time.
func (c *client) loginAll() error {
	c.heard = c.poll.now()
	for c.ready < c.Clients {
		for len(c.conns) < c.Clients && len(c.conns)-c.ready < loginsMax {
			if err := c.open(); err != nil {
				return err
			}
		}
		stopped, err := c.turn(c.tick())
		if err != nil {
			return err
		}
		if stopped {
			return errStopped
		}
		if c.poll.now()-c.heard > c.patience {
			return fmt.Errorf("%d of %d clients have logged in, and none within the last %v", c.ready, c.Clients, c.patience)
		}
	}
	return nil
}

// tick is the longest wait while something is due, in milliseconds.
func (c *client) tick() int { return min(tickMax, int(c.patience/time.Millisecond)) }

func (c *client) open() error {
	fd, err := connect(c.to, c.family)
	if err != nil {
		return err
	}
	k := &conn{fd: fd, asker: c.protocol.asker(&c.ClientOptions), interest: writable, asked: make([]asked, c.Depth)}
	c.conns = append(c.conns, k)
	return c.poll.add(fd, len(c.conns)-1, writable)
}

// turn handles what has happened since the last one. It reports whether somebody wants the end.
func (c *client) turn(atMost int) (stopped bool, err error) {
	events, err := c.poll.wait(atMost)
	if err != nil {
		return false, err
	}
	for i := range events {
		switch token := int(events[i].Fd); token {
		case timerToken:
		case stopToken:
			stopped = true
		default:
			if err := c.handle(token, events[i].Events); err != nil {
				return false, fmt.Errorf("client %d of %d: %w", token+1, c.Clients, err)
			}
		}
	}
	return stopped, nil
}

// handle goes on with one client.
func (c *client) handle(token int, events uint32) error {
	k := c.conns[token]
	if k.state == connecting {
		if err := connected(k.fd); err != nil {
			return fmt.Errorf("connect to %s: %w", c.Addr, err)
		}
		k.state = loggingIn
		if err := c.feed(token, k, nil); err != nil {
			return err
		}
		return c.flush(token, k)
	}
	if events&^writable != 0 {
		n, errno := read(k.fd, c.buffer[:])
		switch {
		case errno == unix.EAGAIN:
			return nil
		case errno != 0:
			return errno
		case n == 0:
			return errors.New("the server hung up")
		}
		if err := c.feed(token, k, c.buffer[:n]); err != nil {
			return err
		}
	}
	return c.flush(token, k)
}

// feed takes what the server has said.
func (c *client) feed(token int, k *conn, in []byte) error {
	if len(k.in) > 0 {
		k.in = append(k.in, in...)
		in = k.in
	}
	now := c.poll.now()
	for first := true; first || len(in) > 0; first = false {
		used, done, err := k.message(in)
		if err != nil {
			return err
		}
		in = in[used:]
		if done {
			c.heard = now
			c.done(token, k, now)
		}
		if used == 0 {
			break
		}
	}
	k.in = append(k.in[:0], in...)
	return nil
}

// done notes a login or an answer.
func (c *client) done(token int, k *conn, now time.Duration) {
	if k.state == loggingIn {
		k.state = ready
		c.ready++
		return
	}
	c.owed--
	c.load.answered(k.answered(), now)
	if !c.load.asking {
		return
	}
	if c.load.pace != nil {
		c.load.pace.release(token)
		return
	}
	c.ask(k, now)
}

// ask asks the next question, which was due at that time. It is sent by the next flush.
func (c *client) ask(k *conn, due time.Duration) {
	k.ask(c.number, c.Bytes, due)
	c.number++
	c.owed++
}

// flush sends what one client has to say.
func (c *client) flush(token int, k *conn) error {
	interest, err := k.flush()
	if err != nil || interest == k.interest {
		return err
	}
	k.interest = interest
	return c.poll.change(k.fd, token, interest)
}

// idle keeps the clients until somebody wants the end.
func (c *client) idle(say io.Writer) error {
	c.stop.onInputEnd()
	if _, err := fmt.Fprintln(say, "ready", c.ready); err != nil {
		return err
	}
	for {
		if stopped, err := c.turn(-1); stopped || err != nil {
			return err
		}
	}
}
