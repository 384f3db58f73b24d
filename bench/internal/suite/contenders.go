package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/bench/internal/child"
)

// Contender is one way for a client to reach a server.
type Contender struct {
	Name  string
	About string
	// Databases are the protocols that it speaks; none = it moves bytes of any.
	Databases []Database
	// TLS is what it can do where clients or the server ask for TLS.
	TLS tlsSkill
	// Remarks are what a reader of its figures has to know, by scenario.
	Remarks map[string]string
	// Pools tells that its clients can share server connections, each for a transaction.
	Pools bool
	// Guest takes part where its program is found, or given by Options.Programs; nobody misses it.
	Guest bool

	program string // its program's name; "" = none is looked for
	// preparedFrom is the first version that shares server connections between clients with prepared
	// statements; unprepared tells that the program at hand is older.
	preparedFrom version
	unprepared   bool
	// start starts what stands in between; nil = there is nothing.
	start func(ctx context.Context, at station) (running, error)
}

// running is a contender at work.
type running struct {
	processes []*child.Process
	admin     string // address of the HTTP side, where the suite has a use for it
}

// tlsSkill is how a contender meets TLS.
type tlsSkill uint8

const (
	tlsNever  tlsSkill = iota
	tlsPasses          // passes the encrypted bytes through: only where both sides are encrypted
	tlsEnds            // ends it on the clients' side, and begins it anew towards the server
)

// Sides says where connections are encrypted.
type Sides string

// The sides; the values stand in reports.
const (
	tlsNone       Sides = ""
	tlsClientSide Sides = "client"
	tlsBothSides  Sides = "both"
)

// can reports whether the contender can take part in a cell.
func (c Contender) can(in cell) bool {
	if len(c.Databases) > 0 && !slices.Contains(c.Databases, in.Database) {
		return false
	}
	if in.Pool > 0 && (!c.Pools && c.start != nil || c.unprepared && in.Prepared) {
		return false
	}
	switch in.Sides {
	case tlsClientSide:
		return c.TLS == tlsEnds
	case tlsBothSides:
		return c.TLS == tlsEnds || c.TLS == tlsPasses || c.start == nil
	}
	return true
}

// Names of the contenders that others are compared with.
const (
	directName    = "direct"
	floorName     = "floor"
	haproxyName   = "haproxy"
	pgbouncerName = "pgbouncer"
	sluiceName    = "sluice"
	sluiceTwoName = "sluice-2"
)

// contenders in the order of a report. Variants of Sluice come behind them.
var contenders = []Contender{
	{Name: directName, About: "clients connect to the server itself"},
	{Name: floorName, About: "a bare epoll relay in C, one thread (bench/floor)", TLS: tlsPasses, program: "cc", start: startFloor},
	{Name: haproxyName, About: "HAProxy, mode tcp", TLS: tlsPasses, program: "haproxy", start: startHAProxy},
	{Name: "nginx", About: "nginx, stream module", TLS: tlsPasses, program: "nginx", start: startNginx},
	{Name: pgbouncerName, About: "PgBouncer, session pooling; in a funnel transaction pooling", Databases: []Database{Postgres}, TLS: tlsEnds,
		Pools: true, preparedFrom: version{1, 21},
		Remarks: map[string]string{
			"connect": "Keeps its server connections for the next client, so no server is connected to or logged in at.",
			"idle":    "Opens a server connection with a client's first query, so here it has none.",
		},
		program: "pgbouncer", start: startPgBouncer},
	{Name: sluiceName, About: "Sluice, mode proxy; in a funnel mode funnel", TLS: tlsEnds, Pools: true, start: startSluice},
	{Name: sluiceTwoName, About: "Sluice with two loops", TLS: tlsEnds, Pools: true, start: startSluiceTwo},
	{Name: "odyssey", About: "Odyssey, session pooling", Databases: []Database{Postgres}, Pools: true, Guest: true,
		program: "odyssey", start: startOdyssey},
	{Name: "pg_doorman", About: "pg_doorman, session pooling", Databases: []Database{Postgres}, Pools: true, Guest: true,
		program: "pg_doorman", start: startDoorman},
	{Name: "pgdog", About: "PgDog, session pooling", Databases: []Database{Postgres}, Pools: true, Guest: true,
		program: "pgdog", start: startPgDog},
	{Name: "pgcat", About: "PgCat, session pooling", Databases: []Database{Postgres}, Pools: true, Guest: true,
		program: "pgcat", start: startPgCat},
	{Name: "proxysql", About: "ProxySQL, one hostgroup", Databases: []Database{MariaDB}, Guest: true,
		program: "proxysql", start: startProxySQL},
	{Name: "tiproxy", About: "TiProxy, a static namespace", Databases: []Database{MariaDB}, Guest: true,
		program: "tiproxy", start: startTiProxy},
}

// station is where a contender stands and what it has to work with.
type station struct {
	listen, server string   // host:port
	database       Database // behind server
	sides          Sides    // that are encrypted
	certs          certs    // where any is
	dir            string   // for its files
	threads        int      // that may move bytes
	clients        int      // that may come at one time
	pool           int      // server connections that they share; 0 = each has its own
	prepared       bool     // the program can share them between clients with prepared statements
	program        string   // of the contender
	env            []string // for variants
}

// write stores a configuration file of the contender's and returns its path.
func (at station) write(name, text string) (string, error) {
	path := filepath.Join(at.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// hostPort cuts an address of the suite's own making.
func hostPort(addr string) (host, port string) {
	host, port, ok := strings.Cut(addr, ":")
	if !ok {
		panic("suite: not host:port: " + addr)
	}
	return host, port
}

// startPatience is how long a program may take to accept connections.
const startPatience = 20 * time.Second

// startListening starts a program and waits until it accepts connections.
func startListening(ctx context.Context, addr string, s child.Spec) (running, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	p, err := child.Start(s)
	if err != nil {
		return running{}, err
	}
	if err := child.Until(ctx, p, func() error { return child.Accepts(addr) }); err != nil {
		p.Kill()
		return running{}, err
	}
	return running{processes: []*child.Process{p}}, nil
}

// entrant is a contender that stands ready in front of one server.
type entrant struct {
	Contender
	addr string
	running
}

// stop ends the processes. The time is short: nobody is connected any more.
func (e *entrant) stop() {
	for _, p := range e.processes {
		_ = p.Stop(syscall.SIGTERM, time.Second)
	}
}

// ended reports whether one of them has ended by itself.
func (e *entrant) ended() bool {
	return slices.ContainsFunc(e.processes, func(p *child.Process) bool {
		select {
		case <-p.Done():
			return true
		default:
			return false
		}
	})
}

// pids are all processes that work for the entrant, as of now.
func (e *entrant) pids() ([]int, error) {
	var all []int
	for _, p := range e.processes {
		pids, err := family(p.PID())
		if err != nil {
			return nil, err
		}
		all = append(all, pids...)
	}
	return all, nil
}

// startEntrant starts a contender on a free address, with a folder of its own below at.dir.
func startEntrant(ctx context.Context, c Contender, at station) (*entrant, error) {
	if c.start == nil {
		return &entrant{Contender: c, addr: at.server}, nil
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	folder := strings.Join([]string{c.Name, string(at.database), string(at.sides), strconv.Itoa(at.pool)}, "-")
	at.listen, at.dir = addr, filepath.Join(at.dir, folder)
	if err := os.MkdirAll(at.dir, 0o755); err != nil {
		return nil, err
	}
	r, err := c.start(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("contender %s: %w", c.Name, err)
	}
	return &entrant{Contender: c, addr: addr, running: r}, nil
}
