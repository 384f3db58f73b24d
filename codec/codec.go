// Package codec says what the bytes of a database protocol mean.
//
// It holds what the protocols share: the names for the two sides, the Login machine that carries a
// connection phase, the Follower that watches the two streams afterwards, and the conditions that
// Sluice has to tell a client about. The protocols themselves are the packages below: codec/mysql,
// codec/postgres and codec/tcp.
//
// Nothing here does I/O, starts a goroutine or reads a clock. Every machine takes the stream in
// pieces cut anywhere and gives back values; the caller (engine/session, on an event loop) moves the
// bytes. A machine belongs to one session and is not safe for concurrent use.
package codec

// Side is one of the two peers between which Sluice stands.
type Side uint8

const (
	Client Side = iota // the application
	Server             // the database
)

// String returns "client" or "server".
func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// Tx is the transaction status that a server reported last.
type Tx uint8

const (
	TxIdle   Tx = iota // no transaction is open
	TxOpen             // inside a transaction
	TxFailed           // inside a failed transaction (PostgreSQL's 'E')
)

// Kind numbers the commands of one protocol; Protocol.Kinds gives their names. It is an index into
// per-command tables (metrics) and always below MaxKinds.
type Kind uint8

// MaxKinds bounds the kinds of any protocol: the size of the tables that are indexed by Kind.
const MaxKinds = 40

// Key names one session towards other sessions: what a client quotes to cancel or kill it.
// PostgreSQL: process id and secret of BackendKeyData. MySQL: the connection id, no secret.
type Key struct {
	ID     uint32
	Secret string // 4 bytes in PostgreSQL 3.0, up to 256 in 3.2; "" in MySQL
}

// Watcher hears of the commands in a session. A Follower calls it from inside Client and Server, so
// it runs on the session's loop and must not block.
//
// For each command there is one OnCommand, then at most one OnReply, then one OnDone; commands end in
// the order in which they began.
type Watcher interface {
	// OnCommand tells that a command has begun. text is as much of its statement's text as lies in
	// the bytes at hand; it may be empty or cut short and shares memory with them.
	OnCommand(k Kind, text []byte)
	// OnReply tells that the first byte of the answer to the oldest open command has come.
	OnReply(k Kind)
	// OnDone tells that the oldest open command has its whole answer. failed is true if the answer
	// held an error.
	OnDone(k Kind, failed bool)
}

// Identity is a Watcher that has a say in who its client is.
type Identity interface {
	// Becomes is asked when the client wants to go on as another user, before the server can hear of it. With an
	// error, which the client is told, the session ends. It may be asked more than once.
	Becomes(user string) error
}

// Follower watches the two streams of a session after its login, without changing or keeping them.
// The same bytes are to be given to it and to the other peer, in order.
//
// An error means that the bytes are not of the protocol (or passed a limit): the streams can't be
// followed any more and both connections have to be closed.
type Follower interface {
	// Client follows bytes on their way from the client to the server; any cut is fine.
	Client(p []byte) error
	// Server follows bytes on their way from the server to the client; any cut is fine.
	Server(p []byte) error
	// Tx is the transaction status last reported by the server.
	Tx() Tx
	// Owed is the number of commands whose answer is not yet complete.
	Owed() int
	// Mid tells whether the stream of that side stands inside a message.
	Mid(s Side) bool
	// Busy names what keeps this moment from being a safe point, as a short constant word for logs
	// and metrics ("transaction", "owed", "message", "copy", "cursor", "long-data", "replication",
	// "login", …); "" at a safe point.
	Busy() string
	// Key returns the key by which other connections may name this session, and whether the server
	// has given one yet.
	Key() (Key, bool)
	// Ending tells that the server has announced the end of the connection (PostgreSQL FATAL): its
	// close then needs no further word to the client.
	Ending() bool
	// AppendError appends e as a message that fits the present place in the stream to the client.
	// It must not be called while Mid(Server).
	AppendError(dst []byte, e Error) []byte
}

// Interceptor is a Follower of a protocol in which a client can ask, in band, for something that
// concerns another session (MySQL's KILL).
type Interceptor interface {
	// Intercept looks at client bytes that have not been given to Client yet. The first n bytes may
	// go on as usual. If kill is not nil, p[n:n+kill.Len] is a whole message that asks to end the
	// work of another session, and is left to the caller to answer, rewrite or send on. If hold is
	// true, p[n:] is too short to tell; the caller keeps it and calls again with more behind it. No
	// more than a few hundred bytes are ever held.
	Intercept(p []byte) (n int, kill *Kill, hold bool)
	// AppendKill appends the message with the id replaced, framed as msg was.
	AppendKill(dst, msg []byte, k *Kill, id uint32) []byte
	// AppendOK appends the answer to an intercepted message that was carried out by Sluice.
	AppendOK(dst []byte) []byte
	// AppendKillError appends the answer to an intercepted message that was refused.
	AppendKillError(dst []byte, e Error) []byte
}

// Leaver is a Follower of a protocol in which a client says goodbye.
type Leaver interface {
	// AppendGoodbye appends the message with which a client ends its session. It fits at a safe
	// point.
	AppendGoodbye(dst []byte) []byte
	// Quit tells that the client has sent that message.
	Quit() bool
}

// Kill asks to end another session's query or connection.
type Kill struct {
	ID    uint32
	Query bool // only the running statement, not the connection
	Len   int  // bytes of the message, its header included
}

// Condition is something that Sluice itself tells a client. Each protocol has its own code for it.
type Condition uint8

const (
	Internal           Condition = iota
	TooManyConns                 // a limit of connections is reached: MySQL 1040, PostgreSQL 53300
	HostDenied                   // the client's address may not connect: 1130, 28000
	NoBackend                    // no backend could be reached: 1105/08S01, 08006
	BackendLost                  // the server connection broke: 1105/08S01, 08006
	Shutdown                     // Sluice or the listener stops: 1053/08S01, 57P01
	BackendGone                  // the backend was taken out of the configuration: 1053/08S01, 57P01
	ProtocolError                // bytes that are not of the protocol: 1835/HY000, 08P01
	LoginTimeout                 // the login took too long: 1159/08S01, 08006
	IdleTimeout                  // the session was idle for too long: 4031/HY000, 57P05
	TLSRequired                  // the client must use TLS: 3159/HY000, 28000
	TLSFailed                    // TLS towards the server failed or is not to be had: 2026-class 1105/08S01, 08006
	ClearPassword                // a clear password would cross a plain connection: 1045/28000, 28000
	UnknownThread                // KILL of an unknown id: 1094/HY000
	KillDenied                   // KILL of somebody else's session: 1095/HY000
	ServerNotSupport             // the server speaks something Sluice can't follow: 1105/HY000, 08P01
	AuthFailed                   // wrong password, unknown user or unknown database: 1045/28000, 28P01
	AuthDenied                   // no rule lets this user in from there: 1045/28000, 28000
	PoolWait                     // no server connection became free in time: 1040/08004, 53300
	QueryTimeout                 // a query took too long: 3024/HY000, 57014
	TransactionTimeout           // a transaction took too long: 3024/HY000, 25P04
	TransactionIdle              // a transaction was idle for too long: 3024/HY000, 25P03
	Killed                       // ended by an operator: 1053/08S01, 57P01
	NotShareable                 // can't be done on shared server connections: 1235/42000, 0A000
	StateLost                    // what the statement refers to was on a server connection that others have had since: 1105/HY000, 55000
	LimitOfClient                // the client passed a limit of Sluice's (names, texts): 1105/HY000, 54000
	CommandUnknown               // an admin console's command that there is not, or with wrong words: 1064/42000, 42601
	CommandDenied                // a command that this user may not give: 1227/42000, 42501
	CommandRefused               // a command that Sluice does not carry out: 1235/42000, 0A000
	CommandNotNow                // a command that makes no sense at present: 1105/HY000, 55000
	CommandCancelled             // a command that its user has cancelled: 1317/70100, 57014
	NoSuchDatabase               // a command names a database that nobody knows: 1049/42000, 3D000
	NoSuchThing                  // a command names something else that there is not: 1094/HY000, 42704
	WrongPart                    // a server is not what it has to be (Part), or takes nobody at present: 1105/HY000, 57P03
	TxLost                       // a transaction was rolled back, as its server has gone: 1213/40001, 40001
	TxUnknown                    // the server has gone, and nobody can tell whether the transaction was committed: 1105/08S01, 40003
)

// Error is a condition with the words for it. Text is what the client's user reads: lower case, no
// full stop, no secret, no address that the client should not know. Hint may be empty.
type Error struct {
	Cond Condition
	Text string
	Hint string
	// Raw is a server's own message, whole, in its protocol: it is what a client is told, in place of
	// Cond and Text. As a string, so that errors can be compared.
	Raw string
}

func (e Error) Error() string { return e.Text }

// TLSMode is how much TLS is wanted on one side. The names are libpq's sslmode, see
// https://www.postgresql.org/docs/current/libpq-ssl.html.
type TLSMode uint8

const (
	TLSDisable    TLSMode = iota // none
	TLSPrefer                    // when the peer wants or offers it
	TLSRequire                   // always, without a look at the peer's certificate
	TLSVerifyCA                  // always, the peer's certificate must be signed by a known authority
	TLSVerifyFull                // as TLSVerifyCA, and its name must match
)

// Required tells whether a plain connection is out of the question.
func (m TLSMode) Required() bool { return m >= TLSRequire }
