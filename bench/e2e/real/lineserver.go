package real

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"time"
)

// silent is for servers whose clients do what has to be complained of.
var silent = log.New(io.Discard, "", 0)

// LineServer is a server of lines, which stands for a database where the protocol does not matter: PING is
// answered by PONG, NAME by NAME: and its name.
type LineServer struct {
	Name, Addr string

	ln    net.Listener
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// NewLineServer starts a server on a free port of host, which is a loopback address.
func NewLineServer(name, host string) (*LineServer, error) {
	return NewLineServerAt(name, net.JoinHostPort(host, "0"))
}

// NewLineServerAt starts a server at addr.
func NewLineServerAt(name, addr string) (*LineServer, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &LineServer{Name: name, Addr: ln.Addr().String(), ln: ln, conns: map[net.Conn]bool{}}
	go s.serve()
	return s, nil
}

// Close ends the server and its connections.
func (s *LineServer) Close() {
	s.ln.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *LineServer) serve() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		go s.talk(c)
	}
}

func (s *LineServer) talk(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}()
	in := bufio.NewScanner(c)
	for in.Scan() {
		answer := "?"
		switch in.Text() {
		case "PING":
			answer = "PONG"
		case "NAME":
			answer = "NAME:" + s.Name
		}
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return
		}
	}
}

// LineClient is a connection to a LineServer.
type LineClient struct {
	net.Conn
	in *bufio.Reader
}

// DialLine connects to addr.
func DialLine(addr string) (*LineClient, error) {
	c, err := net.DialTimeout("tcp", addr, goAway)
	if err != nil {
		return nil, err
	}
	return &LineClient{c, bufio.NewReader(c)}, nil
}

// Ask sends a line and returns the answer; io.EOF: the connection has ended.
func (c *LineClient) Ask(line string) (string, error) {
	_ = c.SetDeadline(time.Now().Add(goAway))
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	answer, err := c.in.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// Server asks for the name of the server that the connection ends at.
func (c *LineClient) Server() (string, error) {
	answer, err := c.Ask("NAME")
	name, ok := strings.CutPrefix(answer, "NAME:")
	if err == nil && !ok {
		err = fmt.Errorf("the server says %q", answer)
	}
	return name, err
}
