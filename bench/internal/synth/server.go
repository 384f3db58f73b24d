package synth

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

const (
	// readMax is the size of the buffer that everything is read into, in bytes.
	readMax = 64 << 10
	// messageMax is the longest message that either side takes, in bytes, header included and rows of
	// filler apart: more than PostgreSQL's limit of a startup message, less than readMax.
	messageMax = 16 << 10
)

var (
	errQuit    = errors.New("the client left")
	errTooLong = fmt.Errorf("a message is longer than %d bytes", messageMax)
)

// session is one client of the server.
type session struct {
	fd       int
	answerer answerer
	reply    reply
	in       []byte // read and not yet answered; less than readMax + messageMax
	interest uint32
	leaving  bool // to be closed once everything has been sent
}

// server is the synthetic server: one thread, all clients. It keeps no log: a client that breaks the
// protocol is told so in it, and hung up on.
type server struct {
	poll     *poller
	listener int
	answerer func() answerer
	sessions []*session // by descriptor
	buffer   [readMax]byte
}

// newServer makes a server that listens at addr and returns the address it got.
func newServer(addr string, a func() answerer) (s *server, bound string, err error) {
	p, err := newPoller()
	if err != nil {
		return nil, "", err
	}
	listener, bound, err := listen(addr)
	if err != nil {
		p.close()
		return nil, "", err
	}
	s = &server{poll: p, listener: listener, answerer: a}
	if err := p.add(listener, listener, readable); err != nil {
		s.close()
		return nil, "", err
	}
	return s, bound, nil
}

func (s *server) close() {
	for _, c := range s.sessions {
		if c != nil {
			s.drop(c)
		}
	}
	_ = unix.Close(s.listener)
	s.poll.close()
}

// serve runs a server until something ends it. It says where it listens once it does.
func serve(o ServerOptions, say io.Writer) error {
	s, bound, err := newServer(o.Listen, protocols[o.Protocol].answerer)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := fmt.Fprintln(say, "listening on", bound); err != nil {
		return err
	}
	for {
		if err := s.turn(-1); err != nil {
			return err
		}
	}
}

// turn handles what has happened since the last one.
func (s *server) turn(atMost int) error {
	events, err := s.poll.wait(atMost)
	if err != nil {
		return err
	}
	for i := range events {
		fd := int(events[i].Fd)
		switch {
		case fd == s.listener:
			if err := s.accept(); err != nil {
				return err
			}
		case fd >= 0 && s.sessions[fd] != nil:
			s.ready(s.sessions[fd], events[i].Events)
		}
	}
	return nil
}

// accept takes in who waits.
func (s *server) accept() error {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		default:
			return fmt.Errorf("accept: %w", limitSaid(err))
		}
		noDelay(fd)
		if err := s.poll.add(fd, fd, readable); err != nil {
			return err
		}
		for len(s.sessions) <= fd {
			s.sessions = append(s.sessions, nil)
		}
		c := &session{fd: fd, answerer: s.answerer(), interest: readable}
		s.sessions[fd] = c
		c.answerer.greet(&c.reply)
		s.advance(c, nil)
	}
}

func (s *server) drop(c *session) {
	s.sessions[c.fd] = nil
	_ = unix.Close(c.fd)
}

// ready goes on with a client that can be written to, if something waits for that, or else read from.
func (s *server) ready(c *session, events uint32) {
	if c.interest == writable {
		if events&writable == 0 {
			s.drop(c) // it has gone, and nothing can be sent
			return
		}
		s.advance(c, c.in)
		return
	}
	n, errno := read(c.fd, s.buffer[:])
	switch {
	case errno == unix.EAGAIN:
	case errno != 0 || n == 0:
		s.drop(c)
	case len(c.in) > 0:
		c.in = append(c.in, s.buffer[:n]...)
		s.advance(c, c.in)
	default:
		s.advance(c, s.buffer[:n])
	}
}

// advance sends what is due and answers what stands in in, as far as the client takes the answers.
func (s *server) advance(c *session, in []byte) {
	for {
		in = c.answer(in)
		paused := c.reply.full()
		all, errno := c.reply.send(c.fd, c.answerer)
		if errno != 0 || all && c.leaving {
			s.drop(c)
			return
		}
		if !all {
			s.await(c, writable)
			break
		}
		if !paused {
			s.await(c, readable)
			break
		}
	}
	c.in = append(c.in[:0], in...)
}

// answer answers whole messages until they end or the client has enough. It returns the rest.
func (c *session) answer(in []byte) []byte {
	for len(in) > 0 && !c.leaving && !c.reply.full() {
		used, err := c.answerer.message(in, &c.reply)
		if err == nil && used == 0 {
			break
		}
		c.leaving = err != nil
		in = in[used:]
	}
	if c.leaving {
		return nil
	}
	return in
}

// await changes what the next event has to be.
func (s *server) await(c *session, interest uint32) {
	if c.interest == interest {
		return
	}
	c.interest = interest
	if s.poll.change(c.fd, c.fd, interest) != nil {
		s.drop(c)
	}
}
