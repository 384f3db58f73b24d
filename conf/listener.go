package conf

// Listener is a listening side: an address, and what happens to who connects there.
type Listener struct {
	Name string `toml:"name" name:"need"`
	// Listen is the address; port 0 = any free one.
	Listen string `toml:"listen"`
	// Ports are those at which it listens, in place of that of Listen.
	Ports PortRange `toml:"ports"`
	// ProxyProtocol says whether clients may, or must, come through proxies that name them by a PROXY
	// header; ProxyFrom are the networks of those that are believed.
	ProxyProtocol string `toml:"proxy-protocol" oneof:"off accept require"`
	ProxyFrom     []CIDR `toml:"proxy-from"`
	// Cluster is the name of the cluster that it leads to.
	Cluster string `toml:"cluster"`
	// Mode is how clients share server connections: not at all, all of them one, or many a few.
	Mode string `toml:"mode" oneof:"proxy fifo funnel"`
	// Roles are the roles a backend may have to be used from here.
	Roles []string `toml:"roles" oneof:"leader sync async any quorum standby-leader" case:"ignored"`
	// MaxLag and MaxLagTime are how far a backend may be behind that does not lead; 0 = no limit.
	MaxLag     Size     `toml:"max-lag" range:"0..1024TiB"`
	MaxLagTime Duration `toml:"max-lag-time" range:"0|100ms..720h"`
	// LagReturn is the percentage of those limits at or under which one that was over comes back.
	LagReturn int `toml:"lag-return" range:"1..100"`
	// LagUnknown says what becomes of one whose lag is not known.
	LagUnknown string `toml:"lag-unknown" oneof:"refuse allow"`
	// Tags are what a backend's tags must be.
	Tags []Tag `toml:"tags"`
	// Zone is where the backends stand that go first; "" = no matter.
	Zone string `toml:"zone" name:"may"`
	// DrainTimeout is how long sessions may take to a safe point when their backend does not fit any
	// more, until they are ended; 0 = not at all.
	DrainTimeout Duration `toml:"drain-timeout" range:"0s..24h"`
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

	// Unit is for how long a client has a server connection to itself.
	Unit string `toml:"unit" oneof:"transaction statement session" only:"sharing"`
	// PoolSize is the number of server connections of a pool, over all loops together.
	PoolSize int `toml:"pool-size" range:"1..100000" only:"sharing"`
	// PoolMin is the number that is opened ahead and kept.
	PoolMin int `toml:"pool-min" range:"0..100000" only:"sharing"`
	// PoolReserve is how many more there may be when a client has waited for PoolReserveAfter.
	PoolReserve      int      `toml:"pool-reserve" range:"0..100000" only:"sharing"`
	PoolReserveAfter Duration `toml:"pool-reserve-after" range:"1ms..1h" only:"sharing"`
	// PoolWaitTimeout ends the session of a client that has waited so long for a server connection; 0
	// = never.
	PoolWaitTimeout Duration `toml:"pool-wait-timeout" range:"0|100ms..24h" only:"sharing"`
	// PoolWaitNotify is after how long a client that waits is told so; 0 = never.
	PoolWaitNotify Duration `toml:"pool-wait-notify" range:"0|100ms..24h" only:"sharing"`
	// PoolConnects is how many server connections of a pool are being opened at one time.
	PoolConnects int `toml:"pool-connects" range:"1..1000" only:"sharing"`
	// PoolRoundRobin uses idle server connections in turn, and not the one used last first.
	PoolRoundRobin bool `toml:"pool-round-robin" only:"sharing"`

	// ServerIdleTimeout closes a server connection that was not used for so long; 0 = never.
	ServerIdleTimeout Duration `toml:"server-idle-timeout" range:"0|1s..720h" only:"sharing"`
	// ServerLifetime replaces a server connection that is so old; 0 = never.
	ServerLifetime Duration `toml:"server-lifetime" range:"0|1s..720h" only:"sharing"`
	// ServerCheckAfter is the idle time after which a server connection is checked before it is used;
	// 0 = never.
	ServerCheckAfter Duration `toml:"server-check-after" range:"0|100ms..24h" only:"sharing"`
	// ServerCheckQuery is that check; "" = an empty query.
	ServerCheckQuery string `toml:"server-check-query" only:"sharing"`
	// ServerResetQuery wipes a server connection that a client has had to itself; "" = nothing does.
	ServerResetQuery string `toml:"server-reset-query" only:"sharing"`
	// ServerRetryMin and ServerRetryMax are the pauses after failed attempts to open a server
	// connection: each is twice as long as the one before it.
	ServerRetryMin Duration `toml:"server-retry-min" range:"1ms..1h" only:"sharing"`
	ServerRetryMax Duration `toml:"server-retry-max" range:"1ms..1h" only:"sharing"`

	// PreparedMax is the number of prepared statements kept on a server connection; 0 = they are not
	// shared.
	PreparedMax int `toml:"prepared-max" range:"0..100000" only:"sharing"`
	// StatementMax is the longest text of a prepared statement that is shared.
	StatementMax Size `toml:"statement-max" range:"1KiB..64MiB" only:"sharing"`
	// SessionFunctions are functions that change the state of a session in a way that the text of a
	// statement does not show.
	SessionFunctions []string `toml:"session-functions" only:"sharing"`
	// SharedListen has LISTEN served by one server connection for all clients of a database.
	SharedListen bool `toml:"shared-listen" only:"sharing"`
	// SchemaWatch has prepared statements made anew when the schema has changed.
	SchemaWatch bool `toml:"schema-watch" only:"sharing"`

	// QueryTimeout limits a query; 0 = nothing does. The others likewise: a transaction, and the time
	// in one without a query.
	QueryTimeout           Duration `toml:"query-timeout" range:"0|1ms..720h" only:"sharing"`
	TransactionTimeout     Duration `toml:"transaction-timeout" range:"0|1ms..720h" only:"sharing"`
	TransactionIdleTimeout Duration `toml:"transaction-idle-timeout" range:"0|1ms..720h" only:"sharing"`
	// AbandonTimeout is how long the server connection of a client that has gone may take to be free
	// again, until it is closed.
	AbandonTimeout Duration `toml:"abandon-timeout" range:"0s..1h" only:"sharing"`
	// CancelTimeout limits a request to cancel at the server.
	CancelTimeout Duration `toml:"cancel-timeout" range:"100ms..1h" only:"sharing"`
	// OnServerLoss says what becomes of a client whose server connection is lost in the middle of its work.
	OnServerLoss string `toml:"on-server-loss" oneof:"error close" only:"sharing"`
	// ReadOnlyRoles are the roles of the backends for transactions that say that they only read; none =
	// they go where all others go.
	ReadOnlyRoles []string `toml:"read-only-roles" oneof:"leader sync async any quorum standby-leader" case:"ignored" only:"sharing"`
	// ReadOwnWrites says what such a transaction sees of what its session has written.
	ReadOwnWrites string `toml:"read-own-writes" oneof:"off wait leader" only:"sharing"`
	// ReadWait is how long a replica may take to come that far with ReadOwnWrites "wait".
	ReadWait Duration `toml:"read-wait" range:"1ms..1h" only:"sharing"`

	// MaxUserConnections limits the clients of one user, MaxDatabaseConnections those of one
	// database; 0 = no limit.
	MaxUserConnections     int `toml:"max-user-connections" range:"0..10000000" only:"sharing"`
	MaxDatabaseConnections int `toml:"max-database-connections" range:"0..10000000" only:"sharing"`
	// DatabasesAny lets clients use databases that are not listed.
	DatabasesAny bool `toml:"databases-any" only:"sharing"`
	// AdminUsers may command in the console, StatsUsers may look there.
	AdminUsers []string `toml:"admin-users" only:"sharing"`
	StatsUsers []string `toml:"stats-users" only:"sharing"`

	Auth     Auth       `toml:"auth" only:"sharing"`
	Rule     []Rule     `toml:"rule" only:"sharing"`
	Database []Database `toml:"database" only:"sharing"`
	Warm     []Warm     `toml:"warm" only:"sharing"`
}

// Shares tells whether clients share server connections, so that they log in at Sluice.
func (l *Listener) Shares() bool { return l.Mode == "fifo" || l.Mode == "funnel" }

// ClientTLS is about TLS between the clients and Sluice.
type ClientTLS struct {
	// Mode is how much TLS is wanted. verify-ca asks clients for a certificate of a trusted
	// authority, verify-full also for one whose common name is the user that logs in.
	Mode string `toml:"mode" oneof:"disable prefer require verify-ca verify-full"`
	// Cert and Key are the certificate that clients are shown, as PEM files.
	Cert string `toml:"cert" file:"pem"`
	Key  string `toml:"key" file:"pem"`
	// CA is a PEM file with the authorities that clients' certificates are verified against: those that
	// must be shown with verify-ca and verify-full, and those that are shown with prefer and require.
	CA string `toml:"ca" file:"pem"`
	// MinVersion is the least version of TLS that is spoken.
	MinVersion string `toml:"min-version" oneof:"1.2 1.3"`
}
