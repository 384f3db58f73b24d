package main

import (
	"cmp"
	"maps"
	"math"
	"net"
	"runtime/metrics"
	"slices"
	"strconv"

	"sluice/engine/console"
	"sluice/engine/session"
	"sluice/router/access"
)

func (s consoleSource) Version() string { return version }

// State is how the process is doing.
func (s consoleSource) State() console.State {
	paused, _ := s.p.proxy.PauseState()
	return console.State{Clients: s.p.proxy.Clients(), Logins: s.p.proxy.Logins(), Paused: paused,
		Stopping: s.p.proxy.Draining()}
}

// Pools are the pools of all listeners.
func (s consoleSource) Pools() []console.Pool {
	var list []console.Pool
	for _, p := range s.p.proxy.PoolInfos() {
		list = append(list, console.Pool{
			Listener: p.Listener, Cluster: p.Cluster, Backend: p.Backend, Database: p.Database, User: p.User,
			Unit: p.Unit, Size: p.Size, Min: p.Min, Reserve: p.Reserve,
			ClientsActive: p.ClientsActive, ClientsWaiting: p.ClientsWaiting,
			CancelsActive: p.CancelsActive, CancelsWaiting: p.CancelsWaiting,
			Active: p.Active, Idle: p.Idle, Used: p.Used, Testing: p.Testing, Cancelled: p.Cancelled,
			Login: p.Login, Closing: p.Closing, OldestWait: p.OldestWait, Pinned: p.Pinned,
			Paused: p.Paused, Disabled: p.Disabled, Pins: p.Pins,
		})
	}
	return list
}

// Clients are the clients that share server connections.
func (s consoleSource) Clients() []console.Client {
	var list []console.Client
	for _, c := range s.p.proxy.ClientInfos(math.MaxInt) {
		list = append(list, console.Client{Socket: console.Socket{
			ID: c.ID, Listener: c.Listener, User: c.User, Database: c.Database, State: c.State,
			Addr: c.Addr, Local: c.Local, Since: c.Since, Asked: c.Asked, TLS: c.TLS,
			ApplicationName: c.ApplicationName, Replication: cmp.Or(c.Replication, "none"), Prepared: c.Prepared,
			Pin: c.Pin, Backend: c.Backend, Loop: c.Loop, Read: c.Read, Buffered: c.Buffered,
		}, Wait: c.Wait, Server: c.Server, Transaction: c.Transaction, Owed: c.Owed})
	}
	return list
}

// serverStates are the states of server connections by PgBouncer's words, where they are not the same.
// One whose client has gone works its way back to its pool, which is most like a test.
var serverStates = map[string]string{"login": "new", "leaving": "tested"}

// Servers are the server connections of the pools.
func (s consoleSource) Servers() []console.Server {
	var list []console.Server
	for _, c := range s.p.proxy.ServerInfos() {
		list = append(list, console.Server{Socket: console.Socket{
			ID: c.ID, Listener: c.Listener, User: c.User, Database: c.Database,
			State: cmp.Or(serverStates[c.State], c.State),
			Addr:  c.Addr, Local: c.Local, Since: c.Since, Asked: c.Asked, TLS: c.TLS,
			ApplicationName: c.ApplicationName, Replication: cmp.Or(c.Replication, "none"), Prepared: c.Prepared,
			Pin: c.Pin, Backend: c.Backend, Loop: c.Loop, Read: c.Read, Buffered: c.Buffered,
		}, Closing: c.Closing, Client: c.Client, PID: c.PID})
	}
	return list
}

// Stats are sums by database.
func (s consoleSource) Stats() []console.Stats {
	var list []console.Stats
	for _, d := range s.p.proxy.DatabaseStats() {
		list = append(list, console.Stats(d))
	}
	return list
}

// Backends are the backends of all clusters.
func (s consoleSource) Backends() []console.Backend {
	var list []console.Backend
	for _, b := range s.p.proxy.Backends() {
		spec := b.Spec()
		list = append(list, console.Backend{Cluster: b.Cluster().Name(), Addr: b.Addr(), Role: spec.Role.String(),
			Zone: spec.Zone, Health: b.Health().String(), LastError: b.LastError(), Sessions: b.Sessions()})
	}
	return list
}

// Statements are the prepared statements of each loop.
func (s consoleSource) Statements() []console.Statements {
	var list []console.Statements
	for _, i := range s.p.proxy.Prepared() {
		list = append(list, console.Statements(i))
	}
	return list
}

// unitNames are the units of sharing by their name.
var unitNames = map[access.Unit]string{access.UnitTransaction: "transaction", access.UnitStatement: "statement",
	access.UnitSession: "session"}

// Databases are those that are configured at any listener, and those in use. Where several listeners have
// one of the same name, the first stands for them.
func (s consoleSource) Databases() []console.Database {
	found := map[string]*console.Database{}
	add := func(d access.Database, set *session.Settings, addr string) {
		if found[d.Name] == nil {
			found[d.Name] = consoleDatabase(&d, set.Sharing, addr)
		}
	}
	for _, fe := range s.sharing() {
		for _, d := range fe.Settings().Sharing.Access.Databases() {
			add(d, fe.Settings(), s.backendOf(fe.Settings().Cluster))
		}
	}
	for _, p := range s.p.proxy.PoolInfos() {
		for _, fe := range s.sharing() {
			if fe.Name() == p.Listener {
				d, _ := fe.Settings().Sharing.Access.Database(p.Database)
				add(d, fe.Settings(), p.Backend)
			}
		}
	}
	all, paused := s.p.proxy.PauseState()
	disabled := s.p.proxy.DisabledDatabases()
	var list []console.Database
	for _, name := range slices.Sorted(maps.Keys(found)) {
		d := found[name]
		d.Paused = all || slices.Contains(paused, name)
		d.Disabled = slices.Contains(disabled, name)
		list = append(list, *d)
	}
	return list
}

// sharing are the listeners whose clients share server connections, by name.
func (s consoleSource) sharing() []*session.Frontend {
	var list []*session.Frontend
	for _, fe := range s.p.proxy.Frontends() {
		if fe.Settings().Sharing != nil {
			list = append(list, fe)
		}
	}
	slices.SortFunc(list, func(a, b *session.Frontend) int { return cmp.Compare(a.Name(), b.Name()) })
	return list
}

// backendOf is the address of a cluster's first backend.
func (s consoleSource) backendOf(cluster string) string {
	for _, b := range s.p.proxy.Backends() {
		if b.Cluster().Name() == cluster {
			return b.Addr()
		}
	}
	return ""
}

// consoleDatabase describes a database of a listener.
func consoleDatabase(d *access.Database, sh *session.Sharing, addr string) *console.Database {
	host, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	f := sh.Access.Find(access.Query{Database: d.Name}) // with the listener's limits where it has none
	return &console.Database{Name: d.Name, Host: host, Port: number, Target: d.Target, ForceUser: d.User,
		Size: f.Limits.PoolSize, Min: f.Limits.PoolMin, Reserve: f.Limits.PoolReserve,
		Lifetime: sh.Pool.Lifetime, Unit: unitNames[d.Limits.Unit],
		MaxServers: d.MaxServerConnections, MaxClients: f.MaxDatabaseConnections}
}

// Users are those that are configured at any listener.
func (s consoleSource) Users() []console.User {
	found := map[string]console.User{}
	for _, fe := range s.sharing() {
		sh := fe.Settings().Sharing
		for _, u := range sh.Access.Users() {
			if _, known := found[u.Name]; !known {
				found[u.Name] = console.User{Name: u.Name, Size: u.Limits.PoolSize, Reserve: u.Limits.PoolReserve,
					Unit: unitNames[u.Limits.Unit], MaxServers: u.MaxServerConnections,
					MaxClients: sh.Access.Find(access.Query{User: u.Name}).MaxUserConnections}
			}
		}
	}
	var list []console.User
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[name])
	}
	return list
}

// memoryClasses are parts of the memory as Go's runtime tells them, in use and free:
// https://pkg.go.dev/runtime/metrics.
var memoryClasses = []struct{ name, used, free string }{
	{"heap", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes"},
	{"heap_idle", "", "/memory/classes/heap/free:bytes"},
	{"stacks", "/memory/classes/heap/stacks:bytes", ""},
	{"os_stacks", "/memory/classes/os-stacks:bytes", ""},
	{"runtime", "/memory/classes/metadata/other:bytes", ""},
	{"profiling", "/memory/classes/profiling/buckets:bytes", ""},
	{"other", "/memory/classes/other:bytes", ""},
}

// Memory tells where memory has gone.
func (s consoleSource) Memory() []console.Memory {
	read := func(name string) int {
		if name == "" {
			return 0
		}
		sample := []metrics.Sample{{Name: name}}
		metrics.Read(sample)
		return int(sample[0].Value.Uint64())
	}
	var list []console.Memory
	for _, c := range memoryClasses {
		used, free := read(c.used), read(c.free)
		list = append(list, console.Memory{Name: c.name, Used: used, Free: free, Total: used + free})
	}
	texts := 0
	for _, i := range s.p.proxy.Prepared() {
		texts += i.Bytes
	}
	// Part of the heap, told apart because clients decide on it.
	return append(list, console.Memory{Name: "statement_texts", Used: texts, Total: texts})
}
