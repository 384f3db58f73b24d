package codec

// Op is what a Login asks of its caller. Before it carries out an Op, the caller writes what
// Login.Take returns for both sides.
type Op uint8

const (
	OpMore      Op = iota // feed more bytes of either side
	OpDial                // choose a backend, connect to it, then call Connected (or Refuse)
	OpRetry               // this backend refused before the client was told anything: drop it, connect to another and call Connected, or call Refused if there is none
	OpClientTLS           // once the client has been written to: TLS handshake with it, as a server; then ClientSecured. Rest(Client) is what has come of its handshake, to be fed to TLS first: with PostgreSQL's sslnegotiation=direct, which also needs ALPN, or behind a request that is not answered (MySQL). Other bytes behind a request are an attack: Login refuses them
	OpServerTLS           // once the server has been written to: TLS handshake with it, as a client; then ServerSecured
	OpWork                // run Work off the loop, then call Worked on it
	OpReady               // the login is over: go on with Follower and Rest
	OpCancel              // not a session: the client asks to cancel another one's query; Target names it. Carry it out, then close the client
	OpClose               // write what is left for the client, then close both connections; Refusal says why
	OpIdentify            // Gate: find out what is known of User and Database, then call Identified
	OpWelcome             // Gate: the client has proved who it is; prepare its session, then call Welcomed (or Refuse)
	OpStandBy             // Move: logged in at the new server as far as that goes; call Ask when the session is Askable
)

// String returns the op's name without its prefix.
func (o Op) String() string {
	return [...]string{"More", "Dial", "Retry", "ClientTLS", "ServerTLS", "Work", "Ready", "Cancel", "Close",
		"Identify", "Welcome", "StandBy"}[o]
}

// LoginConfig is what a Login has to know of the two sides. It is shared by many logins and not
// changed by them.
type LoginConfig struct {
	ClientTLS TLSMode // towards clients; TLSPrefer and above need a certificate in the caller's hands
	ServerTLS TLSMode // towards servers
	// VisibleID returns the connection id that the client is to see in place of the server's; it is
	// called once per backend tried, before the greeting goes to the client (MySQL only). May be
	// nil: ids pass unchanged.
	VisibleID func(server uint32) uint32
	// Greet, if not nil, has the Login greet the client by itself: OpDial comes when User is known, and VisibleID
	// tells of each backend's id. (MySQL only: elsewhere the client speaks first, and User is known in any case.)
	Greet *Greet
	// Move, if not nil, has the Login keep what it takes to move the session later: its Follower is a Mover,
	// where the protocol has such a thing.
	Move *MoveOptions
}

// Login carries one connection phase between a client and a server that authenticates it: a machine
// that takes bytes from both and says what to send and to do next.
//
// Each method that returns an Op may also have produced bytes: Take them first. While an Op other
// than OpMore is being carried out the caller gives no bytes to the machine. Bytes are gathered inside
// up to a limit that is the machine's own, so any cut is fine.
type Login interface {
	// Start is called once, when the client is connected.
	Start() Op
	// Client takes bytes that the client sent.
	Client(p []byte) Op
	// Server takes bytes that the server sent.
	Server(p []byte) Op
	// Connected tells that a (new) server connection is up; the part of the login that concerns the
	// server begins (again). After OpDial or OpRetry; or, when the server before it broke or hung, at
	// any time at which nothing of that server has been Taken for the client.
	Connected() Op
	// ClientSecured tells that TLS with the client is up. cert is the certificate that Sluice showed
	// (DER), or nil if not known.
	ClientSecured(cert []byte) Op
	// ServerSecured tells that TLS with the server is up. cert is the server's own certificate (DER).
	ServerSecured(cert []byte) Op
	// Work does what would hold up a loop (RSA). It is called once per OpWork, on any goroutine,
	// while nothing else is called.
	Work()
	// Worked tells, on the loop, that Work has returned.
	Worked() Op
	// Refuse ends the login with an error of Sluice's own, told in the client's protocol as far as
	// the client can be told at this stage. It returns OpClose, or OpMore if the client must first
	// be heard before it can be told: the caller then goes on as usual, by OpClientTLS too, up to
	// the OpClose, and keeps its deadline (LoginTimeout is never made to wait).
	Refuse(e Error) Op
	// Refused ends the login, after OpRetry, with the server's own words. It returns OpClose.
	Refused() Op
	// Take returns the bytes to write to that side and forgets them. They are valid until the next
	// call of any method.
	Take(s Side) []byte
	// User and Database are what the client asked for; "" until known.
	User() string
	Database() string
	// Target is the key quoted by a cancel request, valid after OpCancel.
	Target() Key
	// Refusal says why the login ended with OpClose: an Error of Sluice's, or a short description of
	// the server's. nil if the client simply went (a protocol's own way to hang up).
	Refusal() error
	// Follower returns the follower for the session, valid after OpReady. It tells w of commands; w
	// may be nil.
	Follower(w Watcher) Follower
	// Rest returns bytes of that side which came behind the end of the login: they are yet to be
	// given to the follower and to the other side. Valid after OpReady until the next call, and after
	// OpClientTLS for the bytes of a handshake.
	Rest(s Side) []byte
}

// Probe is a health check of one backend, seen from the protocol: connect, send Start's bytes if any,
// feed what comes.
type Probe interface {
	// Start returns the first bytes to send, or nil if the server speaks first.
	Start() []byte
	// Server takes what the server sent. It returns bytes to send (may be nil) and whether the check
	// is over; err says why the backend is not fit for sessions, nil with done true that it is.
	Server(p []byte) (send []byte, done bool, err error)
}

// Protocol is one protocol as the session and the health checks see it. Its values are stateless.
type Protocol interface {
	// Name is "postgres", "mysql" or "tcp".
	Name() string
	// Kinds names the commands, indexed by Kind, in the form used for metric labels ("query").
	Kinds() []string
	// NewLogin returns the login machine for one new client.
	NewLogin(cfg *LoginConfig) Login
	// NewProbe returns a health check; user is the name it may log in with, "" for the default. nil
	// means that the protocol has no check of its own: a connection that comes up is enough.
	NewProbe(user string) Probe
	// AppendCancel appends the message that, sent on a connection of its own to the right server,
	// cancels the running query of the session with that key; nil if the protocol has none.
	AppendCancel(dst []byte, k Key) []byte
}

// Greeter is a Protocol in which the server speaks first. Where it depends on a client's user which server it
// will have, Sluice greets in the server's place.
type Greeter interface {
	Protocol
	// Common returns what servers with those greetings have in common, for Greet; nil if there are none, or none
	// that is understood.
	Common(greetings [][]byte) []byte
}

// Greeted is a Probe that hears a server's greeting.
type Greeted interface {
	Probe
	// Greeting returns what a Greeter's Common takes; nil if none was heard.
	Greeting() []byte
}

// Greet is a greeting of Sluice's own.
type Greet struct {
	Common []byte // of a Greeter
	ID     uint32 // the connection id that the client is to see
}
