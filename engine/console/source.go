package console

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Source is what the console shows and orders about. Its methods are called from any goroutine; those
// that take a context may block until it ends, and return context.Cause then.
type Source interface {
	Version() string
	State() State
	Pools() []Pool
	Clients() []Client // clients that share server connections, and those of the console
	Servers() []Server
	Databases() []Database
	Users() []User
	Stats() []Stats
	Backends() []Backend
	Statements() []Statements
	Settings() []Setting
	Memory() []Memory

	// Ordered is told of each command that is not a question, ahead of it: for the log.
	Ordered(who Who, command string)

	// A database that is "" stands for all. An unknown one is ErrNoDatabase.
	Pause(ctx context.Context, database string) error // until no server connection is in use
	Resume(database string) error                     // ErrNotPaused
	Disable(database string) error
	Enable(database string) error
	Kill(database string) error
	KillClient(id uint64) error // ErrNoClient
	Reconnect(database string) error
	WaitClose(ctx context.Context, database string) error
	Reload() error
	Shutdown(s Shutdown) error // begins it; the process ends later
	Set(key, value string) error
}

// Errors of a Source that the console has words for. Others are told as they are.
var (
	ErrNoDatabase = errors.New("no such database")
	ErrNotPaused  = errors.New("not paused")
	ErrNoClient   = errors.New("no such client")
	ErrNoSetting  = errors.New("no such setting")
	ErrFixed      = errors.New("the setting can not be changed by SET")
)

// Who gives a command.
type Who struct {
	User  string
	Admin bool // may give orders; others may only look
}

// Shutdown is a way to end the process.
type Shutdown uint8

const (
	ShutdownNow     Shutdown = iota // at once
	ShutdownServers                 // when the sessions have come to safe points
	ShutdownClients                 // when all clients have gone by themselves
)

// State is how the process is doing as a whole.
type State struct {
	Clients  int // connections of clients, of all kinds
	Logins   int // of them, those that are not logged in yet
	Paused   bool
	Stopping bool
}

// Pool describes the server connections for one user and database at one backend, and their clients.
type Pool struct {
	Listener, Cluster, Backend string
	Database, User             string
	Unit                       string // "transaction", "statement", "session"
	Size, Min, Reserve         int

	ClientsActive, ClientsWaiting int
	CancelsActive, CancelsWaiting int // cancel requests: sent on, and not yet
	Active                        int // server connections with a client
	Idle                          int // free; Used of them are due to be checked first
	Used                          int
	Testing                       int
	Cancelled                     int // free but for a cancel that is not over
	Login                         int // being opened
	Closing                       int // to be closed as soon as they are free
	OldestWait                    time.Duration
	Pinned                        int
	Paused, Disabled              bool
	Pins                          map[string]uint64 // sessions pinned so far, by reason
}

// Servers is the number of server connections.
func (p *Pool) Servers() int { return p.Active + p.Idle + p.Testing + p.Cancelled + p.Login }

// Socket is what clients and server connections have in common.
type Socket struct {
	ID                   uint64
	Listener             string
	User, Database       string
	State                string // one of PgBouncer's words
	Addr, Local          netip.AddrPort
	Since, Asked         time.Time // connected; last request, zero if none
	TLS, ApplicationName string
	Replication          string // "none", "logical", "physical"
	Prepared             int
	Pin                  string // "" = not pinned
	Backend              string
	Loop                 int
	Read, Buffered       int // bytes that were read and wait; that wait to be written
}

// Client describes one client. Its states: "active", "idle", "waiting", "login", "active_cancel_req",
// "waiting_cancel_req", "console".
type Client struct {
	Socket
	Wait        time.Duration
	Server      uint64 // id of its server connection; 0 = none
	Transaction string
	Owed        int
}

// Server describes one server connection. Its states: "active", "idle", "used", "tested", "new",
// "active_cancel", "being_canceled".
type Server struct {
	Socket
	Closing bool
	Client  uint64 // id of its client; 0 = none
	PID     uint32
}

// Database is one that clients may name.
type Database struct {
	Name, Host, Target, ForceUser string
	Port                          int
	Size, Min, Reserve            int
	Lifetime                      time.Duration
	Unit                          string // "" = the listener's
	MaxServers, MaxClients        int    // 0 = no limit
	Paused, Disabled              bool
}

// User is one that may log in.
type User struct {
	Name                   string
	Size, Reserve          int    // 0 = the pool's own
	Unit                   string // "" = the listener's
	MaxServers, MaxClients int    // 0 = no limit
}

// Stats are sums since the start, of one database.
type Stats struct {
	Database                             string
	Assignments, Transactions, Queries   uint64
	Received, Sent                       uint64 // bytes from and to clients
	ClientParses, ServerParses, Binds    uint64
	TransactionTime, QueryTime, WaitTime time.Duration
}

// Backend is one database server.
type Backend struct {
	Cluster, Addr, Role, Zone, Health, LastError string
	Sessions                                     int
}

// Statements are the prepared statements that one loop keeps.
type Statements struct{ Loop, Statements, Bytes int }

// Setting is one value of the configuration.
type Setting struct {
	Key, Value, Default string
	Changeable          bool // by SET
}

// Memory is one part of the memory in use, in bytes.
type Memory struct {
	Name              string
	Size              int // of one, where there are several of a size
	Used, Free, Total int
}
