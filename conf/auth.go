package conf

// Auth is how the clients of a listener prove to Sluice who they are.
type Auth struct {
	// Method is how they prove it, where no rule says otherwise.
	Method string `toml:"method" oneof:"secret scram-sha-256 md5 clear trust cert"`
	// Userlist is a file of users in PgBouncer's form; "" = none.
	Userlist string `toml:"userlist" file:"userlist"`
	// Query asks the servers for the secret of a user that is not known here; "" = nobody is asked.
	// $1 stands for the user's name.
	Query string `toml:"query"`
	// QueryUser and QueryPassword are who asks.
	QueryUser     string `toml:"query-user"`
	QueryPassword Secret `toml:"query-password"`
	// QueryDatabase is where it is asked; "" = in the client's database, or, for one that it may not use,
	// in the first that is listed, or "postgres".
	QueryDatabase string `toml:"query-database"`
	// QueryCache is how long an answer is good, QueryCacheFailed how long one that there is no such
	// user.
	QueryCache       Duration `toml:"query-cache" range:"0s..24h"`
	QueryCacheFailed Duration `toml:"query-cache-failed" range:"0s..1h"`
}

// inherit is the word for a value that is said elsewhere.
const inherit = "inherit"

// Rule says how some clients have to prove who they are. The first rule that fits counts; if there
// are rules and none fits, a client may not log in.
type Rule struct {
	// User are the users it is about: names, or "all"; none = all.
	User []string `toml:"user"`
	// Database are the databases: names, "all", "sameuser" or "replication"; none = all.
	Database []string `toml:"database"`
	// From are the networks; none = all.
	From []CIDR `toml:"from"`
	// TLS says whether it is about connections with TLS, without, or both.
	TLS string `toml:"tls" oneof:"any only never"`
	// Method is how those clients prove it; "inherit" = the listener's method.
	Method string `toml:"method" oneof:"inherit secret scram-sha-256 md5 clear trust cert reject"`
}

// Database is a database as the clients of a listener see it.
type Database struct {
	Name string `toml:"name"`
	// Target is its name at the servers; "" = the same.
	Target string `toml:"target"`
	// User and Password are who logs in at the servers; "" = the client's own user. With a user and no
	// password the user's own is used, if it is known.
	User     string `toml:"user"`
	Password Secret `toml:"password"`
	// PoolSize, PoolMin and PoolReserve are as in a listener; 0 = those of the listener.
	PoolSize    int `toml:"pool-size" range:"0..100000"`
	PoolMin     int `toml:"pool-min" range:"0..100000"`
	PoolReserve int `toml:"pool-reserve" range:"0..100000"`
	// MaxServerConnections limits the server connections of all its pools; 0 = no limit.
	MaxServerConnections int `toml:"max-server-connections" range:"0..1000000"`
	// MaxConnections limits its clients; 0 = the listener's limit.
	MaxConnections int    `toml:"max-connections" range:"0..10000000"`
	Unit           string `toml:"unit" oneof:"inherit transaction statement session"`
}

// Warm names a pool that is opened before its first client comes.
type Warm struct {
	Database string `toml:"database"`
	User     string `toml:"user"`
}

// User is somebody who may log in at Sluice.
type User struct {
	Name string `toml:"name"`
	// Password, or else Verifier, is what the user has to know; with neither the user can't log in
	// but by trust, by certificate, or by a secret that the servers tell.
	Password Secret `toml:"password"`
	// Verifier is the secret as PostgreSQL stores it: "SCRAM-SHA-256$…" or "md5…".
	Verifier Secret `toml:"verifier"`
	// PoolSize is the size of the user's pools; 0 = what the database or the listener says.
	PoolSize int `toml:"pool-size" range:"0..100000"`
	// MaxConnections limits the user's clients; 0 = the listener's limit.
	MaxConnections int `toml:"max-connections" range:"0..10000000"`
	// MaxServerConnections limits the server connections of all the user's pools; 0 = no limit.
	MaxServerConnections int    `toml:"max-server-connections" range:"0..1000000"`
	Unit                 string `toml:"unit" oneof:"inherit transaction statement session"`
	// QueryTimeout and the others are as in a listener; 0 = those of the listener.
	QueryTimeout           Duration `toml:"query-timeout" range:"0|1ms..720h"`
	TransactionTimeout     Duration `toml:"transaction-timeout" range:"0|1ms..720h"`
	TransactionIdleTimeout Duration `toml:"transaction-idle-timeout" range:"0|1ms..720h"`
}
