package conf

// Config is everything that can be configured. A value that came from Load or Parse has been checked
// and is not to be changed: it is shared.
type Config struct {
	Engine   Engine     `toml:"engine"`
	Admin    Admin      `toml:"admin"`
	Log      Log        `toml:"log"`
	Cluster  []Cluster  `toml:"cluster"`
	Listener []Listener `toml:"listener"`
	User     []User     `toml:"user"`
	// Namespace are the tenants, in the order in which they are looked through.
	Namespace []Namespace `toml:"namespace"`

	at map[string]position // where each value came from, by its path ("listener.0.tls.mode")
}

// Engine is about the event loops and the process as a whole.
type Engine struct {
	// Loops is the number of event loops; 0 = chosen by Sluice from the number of CPUs.
	Loops int `toml:"loops" range:"0..256"`
	// Procs is GOMAXPROCS; 0 = one per CPU and one per loop.
	Procs int `toml:"procs" range:"0..1024"`
	// LockThreads ties each loop to a thread of its own.
	LockThreads bool `toml:"lock-threads"`
	// ReusePort opens the listening sockets with SO_REUSEPORT, so that several processes can share
	// an address.
	ReusePort bool `toml:"reuse-port"`
	// MaxConnections limits the clients of all listeners together; 0 = no limit.
	MaxConnections int `toml:"max-connections" range:"0..10000000"`
	// ReadBuffer is the size of each loop's read buffer: the most that one read takes.
	ReadBuffer Size `toml:"read-buffer" range:"1KiB..1MiB"`
	// HighWater is the number of bytes waiting for a slow peer above which its other side is no
	// longer read.
	HighWater Size `toml:"high-water" range:"4KiB..1GiB"`
	// LowWater is the number of waiting bytes below which reading goes on.
	LowWater Size `toml:"low-water" range:"1KiB..1GiB"`
	// GCPercent is Go's GOGC: how much the heap may grow, in percent, between two collections.
	GCPercent int `toml:"gc-percent" range:"10..10000"`
	// MemoryLimit is Go's GOMEMLIMIT: above it the collector works harder; 0 = none.
	MemoryLimit Size `toml:"memory-limit" range:"0|16MiB..16TiB"`
	// LoginMax limits the logins that are in progress at one time; 0 = no limit.
	LoginMax int `toml:"login-max" range:"0..10000000"`
	// ShutdownTimeout is how long a graceful stop waits for sessions to reach a safe point before it
	// ends them; 0 = not at all.
	ShutdownTimeout Duration `toml:"shutdown-timeout" range:"0s..24h"`
	// ShutdownWait is how long a graceful stop goes on as before, so that load balancers can take
	// notice, until it stops accepting.
	ShutdownWait Duration `toml:"shutdown-wait" range:"0s..1h"`
	// Zone is where this Sluice stands; "" = not said.
	Zone string `toml:"zone" name:"may"`
	// Labels are what this Sluice says of itself, for clusters whose backends must have one of them as a tag.
	Labels []Tag `toml:"labels"`
}

// Admin is the HTTP side: metrics, health, administration.
type Admin struct {
	// Listen is its address; "" = off.
	Listen string `toml:"listen" addr:"listen"`
	// User and Password protect everything but /, /metrics and health; both or none are given.
	User     string `toml:"user"`
	Password Secret `toml:"password"`
}

// Log is about the lines on standard error.
type Log struct {
	// Level is the least severity that is written.
	Level string `toml:"level" oneof:"debug info warn error"`
	// Format is the form of a line: for people, or for machines.
	Format string `toml:"format" oneof:"console json"`
}

// Cluster is a set of backends that share data.
type Cluster struct {
	Name string `toml:"name" name:"need"`
	// Protocol is what the backends speak.
	Protocol string `toml:"protocol" oneof:"postgres mysql tcp"`
	// Discovery is how the backends become known.
	Discovery string `toml:"discovery" oneof:"static patroni pd"`
	// Backends are the members with static discovery.
	Backends []Backend `toml:"backends"`
	// OutOfService are backends that take no sessions and are emptied, as long as another one is left: by address,
	// by host, or by the first label of the host's name.
	OutOfService []string `toml:"out-of-service"`
	// ConnectTimeout limits one attempt to connect to one backend.
	ConnectTimeout Duration `toml:"connect-timeout" range:"10ms..5m"`
	// RetryTimeout is how long after the first attempt for a client another one may begin; 0 = none
	// does.
	RetryTimeout Duration `toml:"retry-timeout" range:"0s..1h"`
	// FailoverTimeout is how long a client waits while no backend is fit for it, if that is longer than
	// RetryTimeout. With static backends it is for clients that share server connections, and for sessions
	// that outlive their server: at a login nothing would change.
	FailoverTimeout Duration `toml:"failover-timeout" range:"0s..1h"`
	// FailoverClients limits those which wait so at one time, but for logins; 0 = no limit.
	FailoverClients int `toml:"failover-clients" range:"0..10000000"`
	// Keepalive is the idle time after which TCP probes a server connection; 0 = never.
	Keepalive Duration `toml:"keepalive" range:"0|1s..9h"`
	// TCPUserTimeout is how long sent bytes may stay unacknowledged by a backend before the kernel
	// gives the connection up; 0 = the kernel's own limit.
	TCPUserTimeout Duration `toml:"tcp-user-timeout" range:"0|100ms..24h"`
	// ProxyProtocol says how backends are told whose a connection is: "v2" is a PROXY header of that version.
	ProxyProtocol string `toml:"proxy-protocol" oneof:"off v2"`
	// MaxServerConnections limits the connections of all pools to one backend; 0 = no limit.
	MaxServerConnections int       `toml:"max-server-connections" range:"0..1000000"`
	Health               Health    `toml:"health"`
	TLS                  ServerTLS `toml:"tls"`
	Control              Control   `toml:"control"`
	Migrate              Migrate   `toml:"migrate"`
	Balance              Balance   `toml:"balance"`
	Patroni              Patroni   `toml:"patroni" only:"patroni"`
	PD                   PD        `toml:"pd" only:"pd"`
	Status               Status    `toml:"status" only:"pd"`
}

// Backend is one database server.
type Backend struct {
	// Addr is its host and port.
	Addr string `toml:"addr" addr:"dial"`
	// Role is its part in the cluster.
	Role string `toml:"role" oneof:"leader sync async quorum standby-leader" case:"ignored"`
	// Zone is where it stands; "" = not said.
	Zone string `toml:"zone" name:"may"`
	// Status is the host and port of its HTTP status port (TiDB); "" = it has none.
	Status string `toml:"status" addr:"may" only:"status"`
	// Tags are what it has, for listeners that want backends with certain ones.
	Tags []Tag `toml:"tags"`
}

// Health is about the checks of a cluster's backends.
type Health struct {
	// Interval lies between two checks of one backend.
	Interval Duration `toml:"interval" range:"10ms..1h"`
	// Timeout limits one check.
	Timeout Duration `toml:"timeout" range:"10ms..5m"`
	// Rise is the number of good checks in a row that bring a backend back.
	Rise int `toml:"rise" range:"1..100"`
	// Fall is the number of failed checks in a row that take a backend out.
	Fall int `toml:"fall" range:"1..100"`
	// User is the name that a check gives where the protocol asks for one; "" = "sluice".
	User string `toml:"user"`
}

// ServerTLS is about TLS between Sluice and the backends.
type ServerTLS struct {
	// Mode is how much TLS is wanted; the words are libpq's.
	Mode string `toml:"mode" oneof:"disable prefer require verify-ca verify-full"`
	// CA is a PEM file with the authorities that verify-ca and verify-full trust.
	CA string `toml:"ca" file:"pem"`
	// Cert and Key are Sluice's own certificate towards the backends; both or none are given.
	Cert string `toml:"cert" file:"pem"`
	Key  string `toml:"key" file:"pem"`
	// ServerName is the name that verify-full looks for; "" = the host of the backend's address.
	ServerName string `toml:"server-name"`
}

// Control is the account by which Sluice itself acts on a MySQL cluster: it carries a KILL to the
// backend where the other session is. Without a user such a KILL is refused.
type Control struct {
	User     string `toml:"user"`
	Password Secret `toml:"password"`
}
