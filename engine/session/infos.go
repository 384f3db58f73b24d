package session

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"sluice/engine"
)

// PoolInfo describes one pool at one moment.
type PoolInfo struct {
	Listener, Cluster, Backend string
	Database, User             string // the database as clients name it, the user as it logs in at the server
	Unit                       string // "transaction", "statement" or "session"
	Size, Min, Reserve         int

	ClientsActive, ClientsWaiting int
	CancelsActive, CancelsWaiting int
	Active, Idle                  int // server connections with a client, and free
	Used                          int // of the free ones, those due to be checked first
	Testing                       int // in a reset, a check, or on their way back from a client that has gone
	Cancelling, Cancelled         int // with a cancel request on its way; free but for one
	Login                         int // being opened
	Closing                       int // to be closed when free
	OldestWait                    time.Duration
	Pinned                        int
	Paused, Disabled              bool
	Units, Waits, Errors, Opens   uint64
	Bereaved                      uint64 // units whose server went in their middle, and whose client has stayed
	Held, Waited                  time.Duration
	inUse                         int // for the pool: with a client, or on the way to or from one
	wait                          histogram
	Pins                          map[string]uint64 // sessions bound so far, by reason
}

// ServerInfo describes one server connection of a pool at one moment.
type ServerInfo struct {
	ID                                uint64
	Listener, Cluster, Backend        string
	User, Database                    string
	State                             string
	Addr, Local                       netip.AddrPort
	Since, Asked                      time.Time
	Closing                           bool
	Client                            uint64 // the session that has it; 0: none
	PID                               uint32
	TLS, ApplicationName, Replication string
	Prepared                          int
	Pin                               string
	Loop                              int
	Read, Buffered                    int
}

// ClientInfo describes one client at one moment.
type ClientInfo struct {
	ID                                         uint64
	Listener, User, Database                   string
	ServerDatabase, ServerUser                 string
	State                                      string // "active", "idle", "waiting", "login", "active_cancel_req", "console"
	Addr, Local                                netip.AddrPort
	Since, Asked                               time.Time
	Wait                                       time.Duration
	Server                                     uint64
	TLS, ApplicationName, Transaction, Backend string
	Prepared                                   int
	Pin, Replication                           string
	Owed, Loop, Read, Buffered                 int
}

// DatabaseStats are sums since the start, of one database as clients name it.
type DatabaseStats struct {
	Database                             string
	Assignments, Transactions, Queries   uint64
	Received, Sent                       uint64 // bytes from and to clients
	ClientParses, ServerParses, Binds    uint64
	TransactionTime, QueryTime, WaitTime time.Duration
}

// PreparedInfo is about the prepared statements that a loop keeps.
type PreparedInfo struct{ Loop, Statements, Bytes int }

// onLoops calls ask on each loop and returns when all have answered, or those that do in time.
func (p *Proxy) onLoops(ask func(on *loopState) func()) {
	answers := make(chan func(), len(p.loops))
	asked := 0
	for _, on := range p.loops {
		if on.loop.Run(func() { answers <- ask(on) }) {
			asked++
		}
	}
	timer := time.NewTimer(scrapeTimeout)
	defer timer.Stop()
	for range asked {
		select {
		case keep := <-answers:
			keep()
		case <-timer.C:
			return
		}
	}
}

// PoolInfos describes the pools, by listener, database and user.
func (p *Proxy) PoolInfos() []PoolInfo {
	sums := map[*poolSpec]*PoolInfo{}
	for _, spec := range p.pools.all() {
		opt := spec.pool.Options()
		sums[spec] = &PoolInfo{Listener: spec.fe, Cluster: spec.cluster.Name(), Backend: spec.backend.Addr(),
			Database: spec.dbName, User: spec.user, Unit: unitName(spec.unit),
			Size: opt.Size, Min: opt.Min, Reserve: opt.Reserve,
			Paused: spec.pool.Paused(), Pins: map[string]uint64{}}
	}
	p.onLoops(func(on *loopState) func() {
		parts := on.poolInfos()
		return func() {
			for spec, part := range parts {
				if sum := sums[spec]; sum != nil {
					sum.add(part)
				}
			}
		}
	})
	disabled := p.DisabledDatabases()
	list := make([]PoolInfo, 0, len(sums))
	for _, i := range sums {
		i.Disabled = slices.Contains(disabled, i.Database)
		list = append(list, *i)
	}
	slices.SortFunc(list, func(a, b PoolInfo) int {
		return cmp.Or(cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Database, b.Database),
			cmp.Compare(a.User, b.User), cmp.Compare(a.Backend, b.Backend))
	})
	return list
}

// add adds what one loop says of a pool.
func (i *PoolInfo) add(o *PoolInfo) {
	i.ClientsActive += o.ClientsActive
	i.ClientsWaiting += o.ClientsWaiting
	i.CancelsActive += o.CancelsActive
	i.Active += o.Active
	i.Idle += o.Idle
	i.Used += o.Used
	i.Testing += o.Testing
	i.Cancelling += o.Cancelling
	i.Cancelled += o.Cancelled
	i.Login += o.Login
	i.Closing += o.Closing
	i.inUse += o.inUse
	i.OldestWait = max(i.OldestWait, o.OldestWait)
	i.Pinned += o.Pinned
	i.Units += o.Units
	i.Waits += o.Waits
	i.Errors += o.Errors
	i.Opens += o.Opens
	i.Bereaved += o.Bereaved
	i.Held += o.Held
	i.Waited += o.Waited
	i.wait.add(&o.wait)
	for reason, n := range o.Pins {
		i.Pins[reason] += n
	}
}

// poolInfos describes the loop's parts of the pools.
func (on *loopState) poolInfos() map[*poolSpec]*PoolInfo {
	infos := map[*poolSpec]*PoolInfo{}
	for spec, h := range on.homes {
		c := &h.counts
		i := &PoolInfo{Idle: h.part.Idle(), OldestWait: h.part.OldestWait(), ClientsWaiting: h.part.Waiting(),
			inUse: h.part.Used(), Units: c.units, Waits: c.waits, Errors: c.errors, Opens: h.opens, Bereaved: c.bereaved,
			Held: asDuration(c.held), Waited: asDuration(c.waited), wait: c.wait, Pins: map[string]uint64{}}
		for reason, n := range c.pins {
			i.Pins[reason] = n
		}
		for sc := range h.conns {
			i.count(sc)
		}
		infos[spec] = i
	}
	for s := on.list.next; s != &on.list; s = s.next {
		if s.sh != nil && s.sh.home != nil && s.stage == stageRelay && s.sh.since == 0 {
			if i := infos[s.sh.home.spec]; i != nil {
				i.ClientsActive++
			}
		}
	}
	return infos
}

// count counts one server connection.
func (i *PoolInfo) count(sc *serverConn) {
	if sc.cancels > 0 {
		i.CancelsActive += sc.cancels
	}
	switch sc.state {
	case connOpening:
		i.Login++
	case connJoined:
		if i.Active++; sc.cancels > 0 {
			i.Cancelling++
		}
		if sc.at.sh.guest.Pin() != "" {
			i.Pinned++
		}
	case connLeaving, connChecking, connLocating:
		i.Testing++
	case connHeld:
		i.Cancelled++
	case connIdle:
		if sc.Due() {
			i.Used++
		}
	case connClosed:
	}
	if sc.state != connOpening && sc.state != connClosed && sc.Closing() {
		i.Closing++
	}
}

// ServerInfos describes the server connections of all pools, oldest first.
func (p *Proxy) ServerInfos() []ServerInfo {
	all := []ServerInfo{}
	p.onLoops(func(on *loopState) func() {
		var list []ServerInfo
		for _, h := range on.homes {
			for sc := range h.conns {
				list = append(list, sc.info())
			}
		}
		return func() { all = append(all, list...) }
	})
	slices.SortFunc(all, func(a, b ServerInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// info describes the connection.
func (sc *serverConn) info() ServerInfo {
	spec, on := sc.home.spec, sc.home.on
	i := ServerInfo{ID: sc.id, Listener: spec.fe, Cluster: spec.cluster.Name(), Backend: spec.backend.Addr(),
		User: spec.user, Database: spec.dbName, State: sc.state.String(),
		Since: wallTime(sc.opened), Asked: wallTime(sc.LastUsed), Loop: on.loop.ID(),
		Replication: replication(spec.special)}
	if sc.state != connOpening && sc.state != connClosed {
		i.Closing = sc.Closing()
		i.PID, i.Prepared = sc.host.Key().ID, sc.host.Prepared()
		for _, p := range sc.host.Reported() {
			if p.Name == "application_name" {
				i.ApplicationName = p.Value
			}
		}
	}
	switch {
	case sc.cancels > 0 && sc.state == connJoined:
		i.State = "active_cancel"
	case sc.state == connIdle && sc.Due():
		i.State = "used"
	}
	if c := sc.conn; c != nil {
		i.Addr, i.Local, i.Buffered = addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()), c.Buffered()
		if state, ok := c.TLS(); ok {
			i.TLS = tlsName(&state)
		}
	}
	if s := sc.at; s != nil {
		i.Client, i.Pin = s.id, s.sh.guest.Pin()
		i.Asked = wallTime(sc.active)
	}
	return i
}

// ClientInfos describes the clients that share server connections, and those of the console, at most
// limit of them, oldest first.
func (p *Proxy) ClientInfos(limit int) []ClientInfo {
	all := []ClientInfo{}
	p.onLoops(func(on *loopState) func() {
		var list []ClientInfo
		for s := on.list.next; s != &on.list && len(list) < limit; s = s.next {
			if s.sh != nil && s.stage != stageOver {
				list = append(list, s.clientInfo())
			}
		}
		return func() { all = append(all, list...) }
	})
	slices.SortFunc(all, func(a, b ClientInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all[:min(limit, len(all))]
}

// clientInfo describes the session's client.
func (s *Session) clientInfo() ClientInfo {
	sh := s.sh
	i := ClientInfo{ID: s.id, Listener: s.fe.name, User: s.user, State: "login", Addr: s.from,
		Since: wallTime(s.opened), Loop: s.on.loop.ID(), Read: len(sh.held)}
	if sh.found != nil { // else it has not said who it is
		i.Database, i.ServerDatabase = sh.found.Database.Name, sh.found.Database.Target
	}
	if s.client != nil {
		i.Local, i.Buffered = addrPort(s.client.LocalAddr()), s.client.Buffered()
		if state, ok := s.client.TLS(); ok {
			i.TLS = tlsName(&state)
		}
	}
	if s.backend != nil {
		i.Backend = s.backend.Addr()
	}
	if sh.home != nil {
		i.ServerUser, i.Replication = sh.home.spec.user, replication(sh.home.spec.special)
	}
	if sh.since > 0 {
		i.Wait = asDuration(engine.Nano() - sh.since)
	}
	switch {
	case s.stage == stageLogin:
		return i
	case sh.desk != nil:
		i.State = "console"
		return i
	case sh.since > 0:
		i.State = "waiting"
	case sh.at != nil:
		i.State, i.Server = "active", sh.at.id
		i.Asked = wallTime(sh.at.active)
	default:
		i.State = "idle"
	}
	i.Pin, i.Owed = sh.guest.Pin(), sh.guest.Owed()
	i.Transaction = "idle"
	if sh.guest.InTransaction() {
		i.Transaction = "open"
	}
	if g, ok := sh.guest.(interface{ Prepared() int }); ok {
		i.Prepared = g.Prepared()
	}
	if g, ok := sh.guest.(interface{ ApplicationName() string }); ok {
		i.ApplicationName = g.ApplicationName()
	}
	return i
}

// Prepared is about the prepared statements that the loops keep.
func (p *Proxy) Prepared() []PreparedInfo {
	all := []PreparedInfo{}
	p.onLoops(func(on *loopState) func() {
		i := PreparedInfo{Loop: on.loop.ID()}
		for _, shelf := range on.shelves {
			n, bytes := shelf.Statements()
			i.Statements += n
			i.Bytes += bytes
		}
		return func() { all = append(all, i) }
	})
	slices.SortFunc(all, func(a, b PreparedInfo) int { return cmp.Compare(a.Loop, b.Loop) })
	return all
}
