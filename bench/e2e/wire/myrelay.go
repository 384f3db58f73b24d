package wire

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// MyRelay passes MySQL connections on to one server, packet by packet and without compression. It ends TLS on the
// way, so that it sees each packet, and does with it what its script says: it stands for a server that fails at one
// step of a conversation.
type MyRelay struct {
	Addr string

	ln     net.Listener
	to     string
	cert   tls.Certificate
	script atomic.Pointer[func(Passing) Fate]
	mu     sync.Mutex
	conns  map[net.Conn]bool // towards clients
	closed bool
	wg     sync.WaitGroup
}

// Passing is a packet on its way.
type Passing struct {
	FromServer bool
	Login      bool   // it belongs to the login
	First      bool   // it is the first of a command, or of what answers it
	User       string // that logs in, or has; "" in the greeting
	Token      bool   // the login is by a session token of TiDB
	Payload    []byte
}

// Command returns the text of a COM_QUERY, "" for all else.
func (p Passing) Command() string {
	if p.FromServer || p.Login || !p.First || len(p.Payload) == 0 || p.Payload[0] != ComQuery {
		return ""
	}
	return string(p.Payload[1:])
}

// Fate is what becomes of a packet.
type Fate int

// The fates of packets.
const (
	Pass   Fate = iota // on to the other side
	Hang               // it and all behind it go nowhere; the connections stay
	Cut                // both connections are closed
	Refuse             // the client gets an error in its place, or as an answer to it
)

// NewMyRelay starts a relay to the server at to, which shows cert to clients that want TLS. Its first script passes all.
func NewMyRelay(to string, cert tls.Certificate) (*MyRelay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &MyRelay{Addr: ln.Addr().String(), ln: ln, to: to, cert: cert, conns: make(map[net.Conn]bool)}
	r.Script(func(Passing) Fate { return Pass })
	r.wg.Go(r.serve)
	return r, nil
}

// Script has fate decide on all packets from now on, on several goroutines.
func (r *MyRelay) Script(fate func(Passing) Fate) { r.script.Store(&fate) }

// Open is the number of connections that pass through it now.
func (r *MyRelay) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// Close ends the relay and all that passes through it.
func (r *MyRelay) Close() {
	r.ln.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *MyRelay) serve() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			c.Close()
			return
		}
		r.conns[c] = true
		r.mu.Unlock()
		r.wg.Go(func() {
			r.pass(c)
			c.Close()
			r.mu.Lock()
			delete(r.conns, c)
			r.mu.Unlock()
		})
	}
}

// pass serves one connection to its end.
func (r *MyRelay) pass(c net.Conn) {
	s, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer s.Close()
	m := &myPassage{relay: r, client: c, server: s, answered: make(chan struct{})}
	m.login.Store(true)
	if !m.step(true) { // the greeting
		return
	}
	head, response, err := readPacket(c)
	if err != nil {
		return
	}
	if len(response) == 32 && binary.LittleEndian.Uint32(response)&SSL != 0 {
		if head, response, err = m.secure(head, response); err != nil {
			return
		}
	}
	m.read(response)
	if !m.deliver(false, head, response) {
		return
	}
	done := make(chan struct{})
	r.wg.Go(func() {
		defer close(done)
		for m.step(true) {
		}
		m.endLogin()
		c.Close() // which ends the other direction
	})
	for m.step(false) {
	}
	s.Close()
	<-done
}

// myPassage is one connection through a MyRelay.
type myPassage struct {
	relay          *MyRelay
	client, server net.Conn
	user           string
	token          bool
	login          atomic.Bool
	answered       chan struct{}  // closed when login ends
	hung           [2]atomic.Bool // a direction that leads nowhere: from the client, from the server
	mu             sync.Mutex     // held to write to the client
}

// secure passes the request for TLS on, takes up TLS with both sides, and reads the client's next packet.
func (m *myPassage) secure(head [4]byte, request []byte) ([4]byte, []byte, error) {
	if _, err := m.server.Write(append(head[:], request...)); err != nil {
		return head, nil, err
	}
	m.client = tls.Server(m.client, &tls.Config{Certificates: []tls.Certificate{m.relay.cert}})
	// Who the server is does not matter to a test's own relay.
	m.server = tls.Client(m.server, &tls.Config{InsecureSkipVerify: true})
	return readPacket(m.client)
}

// read learns who logs in from a HandshakeResponse41.
func (m *myPassage) read(response []byte) {
	if len(response) < 33 {
		return
	}
	end := 32
	for end < len(response) && response[end] != 0 {
		end++
	}
	m.user = string(response[32:end])
	const plugin = "tidb_session_token"
	for i := end; i+len(plugin) <= len(response); i++ {
		m.token = m.token || string(response[i:i+len(plugin)]) == plugin
	}
}

// endLogin has commands go on.
func (m *myPassage) endLogin() {
	if m.login.CompareAndSwap(true, false) {
		close(m.answered)
	}
}

// step passes one packet on. false: the connection is over.
func (m *myPassage) step(fromServer bool) bool {
	from := m.client
	if fromServer {
		from = m.server
	}
	head, payload, err := readPacket(from)
	if err != nil {
		return false
	}
	return m.deliver(fromServer, head, payload)
}

func (m *myPassage) deliver(fromServer bool, head [4]byte, payload []byte) bool {
	way := 0
	if fromServer {
		way = 1
	}
	if m.hung[way].Load() {
		return true
	}
	if !fromServer && head[3] == 0 {
		<-m.answered // a command that was sent ahead of the login's end: servers come to it behind that, too
	}
	login := m.login.Load()
	first := !fromServer && head[3] == 0 || fromServer && head[3] == 1
	fate := (*m.relay.script.Load())(Passing{FromServer: fromServer, Login: login, First: first, User: m.user, Token: m.token, Payload: payload})
	if login && fromServer && m.user != "" && len(payload) > 0 && (payload[0] == 0 || payload[0] == 0xff) {
		defer m.endLogin()
	}
	switch fate {
	case Hang:
		m.hung[way].Store(true)
		if fromServer {
			m.endLogin() // nobody will see it, and the client is to be read until it leaves
		}
		return true
	case Cut:
		return false
	case Refuse:
		seq := head[3]
		if !fromServer {
			seq++
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		_, err := m.client.Write(Packet(seq, ERR(1105, "HY000", "refused by the test")))
		return err == nil && !login
	}
	var to io.Writer = m.server
	if fromServer {
		m.mu.Lock()
		defer m.mu.Unlock()
		to = m.client
	}
	_, err := to.Write(append(head[:], payload...))
	return err == nil
}
