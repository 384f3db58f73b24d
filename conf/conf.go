package conf

// Config is everything that can be configured. A value that came from Load or Parse has been checked
// and is not to be changed: it is shared.
type Config struct {
	Engine   Engine     `toml:"engine"`
	Admin    Admin      `toml:"admin"`
	Log      Log        `toml:"log"`
	Cluster  []Cluster  `toml:"cluster"`
	Listener []Listener `toml:"listener"`

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
	Discovery string `toml:"discovery" oneof:"static" later:"patroni pd"`
	// Backends are the members with static discovery.
	Backends []Backend `toml:"backends"`
	// ConnectTimeout limits one attempt to connect to one backend.
	ConnectTimeout Duration `toml:"connect-timeout" range:"10ms..5m"`
	// RetryTimeout is how long after the first attempt for a client another one may begin; 0 = none
	// does.
	RetryTimeout Duration `toml:"retry-timeout" range:"0s..1h"`
	// Keepalive is the idle time after which TCP probes a server connection; 0 = never.
	Keepalive Duration `toml:"keepalive" range:"0|1s..9h"`
	// TCPUserTimeout is how long sent bytes may stay unacknowledged by a backend before the kernel
	// gives the connection up; 0 = the kernel's own limit.
	TCPUserTimeout Duration  `toml:"tcp-user-timeout" range:"0|100ms..24h"`
	Health         Health    `toml:"health"`
	TLS            ServerTLS `toml:"tls"`
	Control        Control   `toml:"control"`
}

// Backend is one database server.
type Backend struct {
	// Addr is its host and port.
	Addr string `toml:"addr" addr:"dial"`
	// Role is its part in the cluster.
	Role string `toml:"role" oneof:"leader sync async"`
	// Zone is where it stands; "" = not said.
	Zone string `toml:"zone" name:"may"`
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

// Listener is a listening side: an address, and what happens to who connects there.
type Listener struct {
	Name string `toml:"name" name:"need"`
	// Listen is the address; port 0 = any free one.
	Listen string `toml:"listen" addr:"listen"`
	// Cluster is the name of the cluster that it leads to.
	Cluster string `toml:"cluster"`
	// Mode is how clients share server connections: not at all.
	Mode string `toml:"mode" oneof:"proxy" later:"fifo funnel"`
	// Roles are the roles a backend may have to be used from here.
	Roles []string `toml:"roles" oneof:"leader sync async any"`
	// MaxConnections limits the clients of this listener; 0 = no limit.
	MaxConnections int `toml:"max-connections" range:"0..10000000"`
	// Allow are the networks that may connect; none = all.
	Allow []CIDR `toml:"allow"`
	// Deny are the networks that may not connect, also where Allow holds them.
	Deny []CIDR `toml:"deny"`
	// IPv6Only keeps IPv4 clients off an IPv6 address.
	IPv6Only bool `toml:"ipv6-only"`
	// Backlog is the length of the kernel's queue of connections yet to be accepted; 0 = the
	// kernel's greatest.
	Backlog int `toml:"backlog" range:"0..65535"`
	// LoginTimeout limits the time from the connect to the end of the login.
	LoginTimeout Duration `toml:"login-timeout" range:"100ms..1h"`
	// IdleTimeout ends a session without traffic; 0 = never.
	IdleTimeout Duration `toml:"idle-timeout" range:"0|100ms..720h"`
	// Keepalive is the idle time after which TCP probes a client; 0 = never.
	Keepalive Duration `toml:"keepalive" range:"0|1s..9h"`
	// TCPUserTimeout is how long sent bytes may stay unacknowledged by a client before the kernel
	// gives the connection up; 0 = the kernel's own limit.
	TCPUserTimeout Duration `toml:"tcp-user-timeout" range:"0|100ms..24h"`
	// RequestLog says which requests get a line in the log.
	RequestLog RequestLog `toml:"request-log"`
	// RequestText is how many bytes of a statement's text such a line holds at most.
	RequestText Size      `toml:"request-text" range:"0..4KiB"`
	TLS         ClientTLS `toml:"tls"`
}

// ClientTLS is about TLS between the clients and Sluice.
type ClientTLS struct {
	// Mode is how much TLS is wanted. verify-ca asks clients for a certificate of a trusted
	// authority, verify-full also for one whose common name is the user that logs in.
	Mode string `toml:"mode" oneof:"disable prefer require verify-ca verify-full"`
	// Cert and Key are the certificate that clients are shown, as PEM files.
	Cert string `toml:"cert" file:"pem"`
	Key  string `toml:"key" file:"pem"`
	// CA is a PEM file with the authorities that verify-ca and verify-full trust.
	CA string `toml:"ca" file:"pem"`
	// MinVersion is the least version of TLS that is spoken.
	MinVersion string `toml:"min-version" oneof:"1.2 1.3"`
}
