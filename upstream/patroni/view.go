package patroni

import "time"

// Role is a member's part, as Patroni's GET /cluster spells it.
type Role string

// The roles that Patroni 2.1 to 4.1 tell of.
const (
	Leader        Role = "leader"
	StandbyLeader Role = "standby_leader"
	SyncStandby   Role = "sync_standby"
	QuorumStandby Role = "quorum_standby"
	Replica       Role = "replica"
)

// leads tells whether a member in this role holds the leader lock.
func (r Role) leads() bool { return r == Leader || r == StandbyLeader }

// Lag is how far a replica is behind, in bytes of WAL.
type Lag struct {
	Bytes uint64
	Known bool
}

// Age is how old what a replica has replayed is.
type Age struct {
	Time  time.Duration
	Known bool
}

// Member is one server of a cluster.
type Member struct {
	Name string
	// Host and Port are where its PostgreSQL is reached.
	Host   string
	Port   int
	APIURL string
	Role   Role
	State  string
	// Timeline is that of its WAL; 0 = not told.
	Timeline uint64
	// Lag is what it has not replayed; before Patroni 4.1 that is what it has not received, unless its
	// position was asked for (Options.Times).
	Lag Lag
	Age Age
	// Tags are those of its configuration; values that are no strings are spelled as JSON does.
	Tags map[string]string
}

// View is what a poll has found. It is not changed once made.
type View struct {
	Members []Member
	// Leader is the name of the member that holds the leader lock; "" = none does.
	Leader string
	// Timeline is the leader's, or, guessed, the highest that is told of; 0 = none is.
	Timeline uint64
	guessed  bool
	Paused   bool
	// Switchover is one that is announced; nil = none is.
	Switchover *Switchover
	From       string // the host that has answered
	At         time.Time
}

// leader returns the member that leads, or nil.
func (v *View) leader() *Member {
	for i := range v.Members {
		if v.Members[i].Role.leads() {
			return &v.Members[i]
		}
	}
	return nil
}

// Switchover is a change of leader that was asked for.
type Switchover struct {
	At       time.Time // zero = at once
	From, To string    // members; "" = not told
}
