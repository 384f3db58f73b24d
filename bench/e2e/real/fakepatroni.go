package real

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// FakeCluster is what a Patroni cluster keeps in its store, without a cluster: the members that FakePatroni
// tells of. All hosts of one cluster tell the same.
type FakeCluster struct {
	mu      sync.Mutex
	members []FakeMember
	top     map[string]any
}

// FakeMember is a member as Patroni tells of it (https://patroni.readthedocs.io/en/latest/rest_api.html): the
// fields of its JSON, of which any may be odd.
type FakeMember map[string]any

// NewFakeMember is a member whose PostgreSQL is at addr.
func NewFakeMember(name, role, state, addr string) FakeMember {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	m := FakeMember{"name": name, "role": role, "state": state, "host": host, "port": n, "timeline": 1}
	if role != "leader" {
		m["lag"] = 0
	}
	return m
}

// With returns the member with fields changed: name, value, and so on. A field of the value nil is left out.
func (m FakeMember) With(fields ...any) FakeMember {
	m = maps.Clone(m)
	for i := 0; i < len(fields); i += 2 {
		name := fields[i].(string)
		if m[name] = fields[i+1]; fields[i+1] == nil {
			delete(m, name)
		}
	}
	return m
}

// Set has the cluster consist of these members from now on.
func (c *FakeCluster) Set(members ...FakeMember) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = members
}

// Tell sets a field beside the members, such as scheduled_switchover; nil takes it away.
func (c *FakeCluster) Tell(field string, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	top := maps.Clone(c.top)
	if top == nil {
		top = map[string]any{}
	}
	if top[field] = value; value == nil {
		delete(top, field)
	}
	c.top = top
}

// json is the answer to GET /cluster.
func (c *FakeCluster) json() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := maps.Clone(c.top)
	if all == nil {
		all = map[string]any{}
	}
	all["members"] = c.members
	if c.members == nil {
		all["members"] = []FakeMember{}
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return b
}

// FakePatroni is the REST API of one member of a FakeCluster.
type FakePatroni struct {
	Addr    string
	cluster *FakeCluster
	access  FakeAccess
	server  *http.Server

	mu       sync.Mutex
	state    FakeState
	requests map[string]int // by path
	refused  int
}

// FakeAccess says who may ask a FakePatroni.
type FakeAccess struct {
	TLS            *tls.Config // nil: it speaks none
	User, Password string      // of the basic authentication; "" = everybody may
}

// FakeState is how well a FakePatroni works.
type FakeState struct {
	Delay  time.Duration  // before each answer
	Status int            // of all answers, which are empty then; 0: they are good
	Mute   bool           // the connection ends without an answer, as when Patroni can't reach its store
	Body   string         // in place of the answer to GET /cluster; "" = the truth
	Own    map[string]any // the answer to GET /patroni; nil: there is no such page
}

// Serve starts a member's API on a free port of 127.0.0.1.
func (c *FakeCluster) Serve(access FakeAccess) (*FakePatroni, error) {
	p := &FakePatroni{cluster: c, access: access, Addr: FreeAddr(), requests: map[string]int{}}
	return p, p.Start()
}

// Start has it listen again, behind a Stop.
func (p *FakePatroni) Start() error {
	ln, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return err
	}
	if p.access.TLS != nil {
		ln = tls.NewListener(ln, p.access.TLS)
	}
	server := &http.Server{Handler: http.HandlerFunc(p.answer), ErrorLog: silent}
	server.SetKeepAlivesEnabled(false) // Patroni speaks HTTP/1.0
	p.server = server
	go func() { _ = server.Serve(ln) }()
	return nil
}

// Stop has it refuse connections, and cuts those that there are.
func (p *FakePatroni) Stop() { _ = p.server.Close() }

// URL is where it is asked.
func (p *FakePatroni) URL() string {
	scheme := "http"
	if p.access.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + p.Addr
}

// Be has it work so from now on.
func (p *FakePatroni) Be(s FakeState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
}

// Requests is how many requests for path there were, all of which had the right to be made.
func (p *FakePatroni) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[path]
}

// Refused is how many requests came without the right user and password.
func (p *FakePatroni) Refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

func (p *FakePatroni) answer(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	p.mu.Lock()
	right := user == p.access.User && password == p.access.Password
	if right {
		p.requests[r.URL.Path]++
	} else {
		p.refused++
	}
	s := p.state
	p.mu.Unlock()
	if s.Delay > 0 {
		select {
		case <-time.After(s.Delay):
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case !right:
		w.WriteHeader(http.StatusUnauthorized)
	case s.Mute:
		panic(http.ErrAbortHandler)
	case s.Status != 0:
		w.WriteHeader(s.Status)
	case r.URL.Path == "/cluster" && s.Body != "":
		fmt.Fprint(w, s.Body)
	case r.URL.Path == "/cluster":
		_, _ = w.Write(p.cluster.json())
	case r.URL.Path == "/patroni" && s.Own != nil:
		_ = json.NewEncoder(w).Encode(s.Own)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}
