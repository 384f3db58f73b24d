package codec

// Sharer is a Protocol whose server connections clients can share (fifo and funnel mode). Each client
// logs in at Sluice (Gate), Sluice logs in at the servers (Opener), and behind both logins a Guest, the
// client's side, is joined to a Host, the server's side, for one unit of work at a time.
//
//	client ── Gate ──▶ Guest ─┐ Attach … Detach ┌─ Host ◀── Opener ── server
//	client ── Gate ──▶ Guest ─┴─────────────────┴─ Host ◀── Opener ── server
//
// Guests and Hosts of one loop share a Shelf. None of the machines is safe for concurrent use.
type Sharer interface {
	Protocol
	// NewGate returns the login machine for a client that logs in at Sluice.
	NewGate(cfg *GateConfig) Gate
	// NewOpener returns the machine by which Sluice logs in at a server. cfg is not changed.
	NewOpener(cfg *OpenerConfig) Opener
	// NewShelf returns what the guests and hosts of one loop share (prepared statements). It belongs
	// to that loop.
	NewShelf(cfg ShelfConfig) Shelf
}

// Shelf is what the guests and hosts of one loop share.
type Shelf interface {
	// NewGuest returns the guest for a client whose login has come to OpWelcome.
	NewGuest(g Gate, cfg *GuestConfig, w Watcher) Guest
	// Statements is the number of prepared statements that are kept, and the bytes of their texts.
	Statements() (n, bytes int)
}

// ShelfConfig of a Shelf.
type ShelfConfig struct {
	Loop int // a number that no other shelf has: makes its names of statements differ from theirs
}

// Secret is what is known to prove, or to check, who somebody is. The zero value is nothing.
type Secret struct {
	Password string // in clear; "" = not known
	Verifier string // as the server stores it: PostgreSQL "SCRAM-SHA-256$…" or "md5…", MySQL "*HEX" or "$A$005$…"
	// ClientKey and ServerKey are SCRAM's (RFC 5802 §3): good for logging in where the same verifier is
	// stored, though the password is not known.
	ClientKey, ServerKey []byte
}

// Zero tells that nothing is known.
func (s *Secret) Zero() bool {
	return s == nil || s.Password == "" && s.Verifier == "" && len(s.ClientKey) == 0
}

// AuthMethod is how a client has to prove who it is.
type AuthMethod uint8

const (
	AuthReject AuthMethod = iota // it may not log in, whoever it is
	AuthTrust                    // its word is enough
	AuthSecret                   // by the best way that the stored secret allows: SCRAM-SHA-256 where a password or such a verifier is stored, md5 where an md5 hash is
	AuthSCRAM                    // by SCRAM-SHA-256 and nothing less
	AuthMD5                      // by md5; by SCRAM-SHA-256 where such a verifier is stored
	AuthClear                    // by the password in clear, over TLS only
	AuthCert                     // by a verified client certificate that carries the user's name
)

// Account is what is known of who wants to log in.
type Account struct {
	Method AuthMethod
	// Known is false if there is no such user, or no such database. The dialogue then goes on as it
	// would with a wrong password, so that a client can't tell the difference.
	Known bool
	// Secret is the user's, if there is such a user: for a database that there is not, too, as the
	// dialogue shows the salt of what is stored.
	Secret Secret
	// Usual is the form of the secrets that are stored, which a dialogue about none takes: the front of
	// one, "md5" or "SCRAM-SHA-256$4096"; "" for passwords.
	Usual string
	// Why says why Known is false, for the log alone.
	Why string
}

// GateConfig is what a Gate has to know. It is shared by many gates and not changed by them.
type GateConfig struct {
	ClientTLS TLSMode // towards clients
	// Salt makes the invented verifiers of unknown users: the same for a name each time, and as long
	// as the process lives.
	Salt [32]byte
}

// Peer is what is known of a client's connection.
type Peer struct {
	TLS  bool
	Cert []byte // DER of the certificate that Sluice has shown; nil without TLS
	// Name is the common name of the client's own certificate, if it was verified; else "".
	Name string
}

// Param is a parameter's name and value.
type Param struct{ Name, Value string }

// Gate is the login of one client at Sluice: a machine as Login is, with one peer. Each method that
// returns an Op may have produced bytes for the client: Take them first. Ops: OpMore, OpClientTLS,
// OpIdentify, OpWork, OpWelcome, OpReady, OpCancel, OpClose.
type Gate interface {
	// Start is called once, when the client is connected.
	Start() Op
	// Client takes bytes that the client sent.
	Client(p []byte) Op
	// ClientSecured tells that TLS with the client is up.
	ClientSecured(peer Peer) Op
	// Identified answers OpIdentify.
	Identified(a Account) Op
	// Work computes what would hold up a loop (deriving a key from a password). Once per OpWork, on
	// any goroutine, while nothing else is called.
	Work()
	// Worked tells, on the loop, that Work has returned.
	Worked() Op
	// Welcomed answers OpWelcome: in is what the client is to be told of its session, by
	// Guest.Introduction; key is what it may quote to cancel. It returns OpReady.
	Welcomed(in Introduction, key Key) Op
	// Refuse ends the login with an error of Sluice's own, or the server's if e.Raw is set. It returns
	// OpClose, or OpMore if the client must first be heard before it can be told.
	Refuse(e Error) Op
	// Take returns the bytes to write to the client and forgets them; valid until the next call.
	Take() []byte
	// User and Database are what the client asked for; "" until known (they are at OpIdentify).
	User() string
	Database() string
	// Settings are the other parameters that the client asked for, in its order, those packed into
	// PostgreSQL's "options" included.
	Settings() []Param
	// Special names a kind of connection that can't be shared at all, with the words the server has to
	// be told in its startup ("replication" with "true" or "database"); zero for an ordinary one.
	Special() Param
	// KeySize is the number of bytes that Welcomed's key.Secret must have, by the protocol's version
	// that the client speaks. Valid from OpIdentify on.
	KeySize() int
	// Learned is what the client's proof has shown of its secret, from OpWelcome on: the password in
	// clear, or SCRAM's keys.
	Learned() Secret
	// Target is the key quoted by a cancel request, valid after OpCancel.
	Target() Key
	// Refusal says why the login ended with OpClose; nil if the client simply went.
	Refusal() error
	// Rest returns bytes that came behind the end of the login, for the Guest; or, after OpClientTLS,
	// those of a handshake.
	Rest() []byte
}

// OpenerConfig is what an Opener has to know.
type OpenerConfig struct {
	User, Database string
	Secret         Secret
	TLS            TLSMode // towards the server
	Special        Param   // see Gate.Special
	Params         []Param // further parameters of the startup
	Part           Part    // what the server has to be
	PreparedMax    int     // prepared statements that are kept on the connection; 0 = none are shared
	// AuthClear allows the password in clear over a connection without TLS.
	AuthClear bool
}

// Part is what a server has to be, by its own word, for a connection to be of use.
type Part uint8

const (
	PartAny     Part = iota
	PartPrimary      // it takes writes
	PartReplica      // it follows another server
)

// Opener is the login of Sluice at one server: a machine as Login is, with one peer. Ops: OpMore,
// OpServerTLS, OpWork, OpReady, OpClose.
type Opener interface {
	Start() Op
	Server(p []byte) Op
	// ServerSecured tells that TLS is up; cert is the server's certificate (DER).
	ServerSecured(cert []byte) Op
	Work()
	Worked() Op
	// Take returns the bytes to write to the server and forgets them.
	Take() []byte
	// Refusal says why the login ended with OpClose. It is an Error with Raw set if those were the
	// server's words.
	Refusal() error
	// Host returns the host, after OpReady.
	Host() Host
	// Rest returns what came behind the end of the login, after OpReady; for the Host.
	Rest() []byte
}

// Introduction is what a client is told of its session at the end of its login (PostgreSQL's
// ParameterStatus), together with what the Guest has to know of it. It is not changed once made, so
// that clients that ask for the same can share it.
type Introduction any

// Need is what a Guest needs in order to go on.
type Need uint8

const (
	NeedBytes Need = iota // more bytes of the client; all that it was given have been used
	NeedHost              // a Host: Attach one, then give the bytes that were left
	NeedSame              // the very Host it was detached from last, if nobody has had it since: Attach that, or call Forsaken, then give the bytes that were left
	NeedTurn              // time: the bytes that were left are to be given when Ready tells so
	NeedAside             // something that Sluice does itself: Aside tells what. Then Answered, and the bytes that were left
	NeedEnd               // nothing: the client has said goodbye
)

// String returns the need's name without its prefix.
func (n Need) String() string {
	return [...]string{"Bytes", "Host", "Same", "Turn", "Aside", "End"}[n]
}

// AsideKind is a thing that Sluice does itself for a Guest.
type AsideKind uint8

const (
	AsideListen      AsideKind = iota // have notifications of a channel sent to the client
	AsideUnlisten                     // no more
	AsideUnlistenAll                  // no more of any channel
)

// Aside is what a Guest has Sluice do.
type Aside struct {
	Kind AsideKind
	Name string // of the channel
}

// GuestConfig is what guests have to know. It is shared and not changed.
type GuestConfig struct {
	// SingleStatements refuses transaction blocks: the unit of sharing is the statement.
	SingleStatements bool
	// Lasting says that the unit of sharing is the session: one Host serves the client to its end, so
	// that nothing needs to be tracked or renamed.
	Lasting bool
	// Functions are names of functions and procedures that change the state of a session in a way that
	// their text does not show: after a statement that names one, the state is looked at.
	Functions []string
	// StatementMax bounds, in bytes, the text of a prepared statement that is shared. A longer one pins.
	StatementMax int
	// Aside allows NeedAside; without it such a thing pins.
	Aside bool
	// KeepOnLoss has the session go on when its Host is lost, where that is possible (Bereave): the host
	// does not pass a server's word on that it ends (Withheld). Not with Lasting.
	KeepOnLoss bool
}

// Guest is the client's side of a shared session. It reads the client's stream, and writes it, changed
// where sharing demands it, to the Host at hand.
//
// The caller gives what the client sent to Client. Bytes that were not used (n < len(p)) are the
// caller's to keep, and to give again, with what has come since behind them, when the Need is met;
// until then Client is not called.
type Guest interface {
	// Client takes bytes of the client. What goes to the peers is written to t. An error ends the
	// session: it is an Error that the client can be told, or says why its bytes make no sense.
	Client(p []byte, t *Turn) (n int, need Need, err error)
	// Attach joins the guest to a free host, and may write what makes the host fit for the guest.
	// NeedTurn: the client's bytes have to wait; NeedBytes: they need not.
	Attach(h Host, t *Turn) Need
	// Detach parts the guest from its host, which is Free, or is lost and not Started.
	Detach()
	// Bereave parts the guest from its host, which is lost and was Started. ok: the client has been told
	// one error in place of the answers that it is owed, and the session goes on without a host; what
	// follows depends on the transaction, as it would behind an error of a server that lives on. again are
	// bytes of the client that certainly had no effect and have been answered by nothing: they are to be
	// given once more, in front of what else has come of the client; they are the caller's. If ok is
	// false nothing was told and nothing has changed: the session can't go on.
	Bereave(t *Turn) (again []byte, ok bool)
	// Host is the host at hand, or nil.
	Host() Host
	// Ready tells, after NeedTurn, that the bytes left are welcome now. Asked after each Host.Server.
	Ready() bool
	// Introduce prepares the session with a host at the end of the login, as Attach does; the host is
	// parted from by Detach once it is Free. An error is what the client is to be told: its settings
	// are of no use.
	Introduce(h Host, t *Turn)
	// Introduction is what came of Introduce, once the host is Free; err is what the server said
	// against the settings (an Error with Raw).
	Introduction() (in Introduction, err error)
	// Adopt prepares the session from what another client with the same IntroductionKey was told.
	Adopt(in Introduction)
	// IntroductionKey is equal for clients that an Introduction can be shared between, on one pool.
	IntroductionKey() string
	// Forsaken answers NeedSame: that host can't be had any more.
	Forsaken()
	// Aside tells what NeedAside asks for.
	Aside() Aside
	// Answered tells that it was done, or why not; the client is told through t.
	Answered(err *Error, t *Turn)
	// Notify sends the client a message that it did not ask for (a notification, framed by
	// AppendNotification), at a place where it may stand. It returns false if it has to wait: call
	// again when the guest is attached to no host.
	Notify(msg []byte, t *Turn) bool
	// Pin names what binds the guest to its present host beyond the unit of work, as a short constant
	// word ("temp-table", "advisory-lock", …); "" if nothing does.
	Pin() string
	// Busy names what keeps this moment from being a safe point, as Follower.Busy does; "" at one.
	Busy() string
	// Owed is the number of commands whose answer is not complete.
	Owed() int
	// InTransaction tells that a transaction is open, idle or not.
	InTransaction() bool
	// Mid tells that the stream to the client stands inside a message, so that nothing may be added.
	Mid() bool
	// AppendError appends e as a message that ends the session, for the client.
	AppendError(dst []byte, e Error) []byte
	// AppendNotice appends a message that tells the client's user something, for Notify.
	AppendNotice(dst []byte, text string) []byte
	// AppendNotification appends a notification of a channel, for Notify; from is the id of the sender.
	AppendNotification(dst []byte, from uint32, channel, payload string) []byte
	// Close gives back what the guest holds on its shelf.
	Close()
}

// Host is the server's side: one server connection behind its login.
type Host interface {
	// Server takes bytes of the server. What goes to the guest at hand, and back to the server, is
	// written to t. An error means that the bytes make no sense: the connection has to be closed.
	Server(p []byte, t *Turn) error
	// Free tells that the guest at hand can be parted from, and another one joined: nothing is owed, no
	// transaction or COPY is open, the client's stream stands between two messages, nothing pins. A
	// host without a guest is free when what it does of its own (Abandon, Reset, Check) is over.
	Free() bool
	// Abandon takes note that the client of the guest at hand has gone. The host swallows what is
	// still owed and works its way back to Free; cancel tells that a running query should be
	// cancelled. ok is false if the connection can't be saved: close it.
	Abandon(t *Turn) (cancel, ok bool)
	// Reset runs the statement that wipes a session's state (PostgreSQL's DISCARD ALL). Only while Free.
	Reset(query string, t *Turn)
	// Check has the server show that it is alive, by that statement. Only while Free.
	Check(query string, t *Turn)
	// Failed is what went wrong with Reset, Check or Abandon, or makes the host unfit for others; the
	// connection is to be closed then. nil if all is well.
	Failed() error
	// Ending tells that the server has announced the connection's end; said is its message, whole, for
	// clients to be told, or nil.
	Ending() (ending bool, said []byte)
	// Withheld tells that the guest's client was not told what Ending says: Bereave it.
	Withheld() bool
	// Started tells that the guest's present unit of work has reached the server: if the connection is
	// lost now, it may have been done. Otherwise it can be done on another host.
	Started() bool
	// Mid tells that the stream from the server stands inside a message.
	Mid() bool
	// Key is the key by which the server knows the connection (for cancelling).
	Key() Key
	// Reported are the parameters that the server has reported, by their present values.
	Reported() []Param
	// Prepared is the number of prepared statements kept on the connection.
	Prepared() int
	// Forget drops what is known of prepared statements: after a change of the schema they are made
	// anew.
	Forget()
	// AppendGoodbye appends the message by which a client ends its session. It fits while Free.
	AppendGoodbye(dst []byte) []byte
}

// Sink takes bytes for one peer; an engine's connection is one. p is not kept.
type Sink interface{ Write(p []byte) }

// Turn is what one call of a machine writes: to the client and to the server. The caller sets it up
// with Open before and sends what is left by Flush behind the call.
type Turn struct{ Client, Server Outlet }

// Flush sends what is gathered for both peers.
func (t *Turn) Flush() {
	t.Client.Flush()
	t.Server.Flush()
}

// Outlet gathers bytes for one peer, so that they go out by one write where possible. Bytes that pass
// unchanged are not copied if they are all there is. The buffer stays from turn to turn.
type Outlet struct {
	sink Sink
	buf  []byte // gathered
	pass []byte // the first thing to go, if buf is empty; not ours
}

// outletKeep bounds, in bytes, the buffer that an outlet keeps from turn to turn, and what it gathers
// before it writes.
const outletKeep = 64 << 10

// passMin is the number of bytes from which a write of its own is cheaper than a copy.
const passMin = 8 << 10

// Open says where the bytes go; nil while there is no such peer: they are dropped.
func (o *Outlet) Open(s Sink) {
	o.sink = s
}

// Pass sends bytes on unchanged. They must stay as they are until Flush.
func (o *Outlet) Pass(p []byte) {
	switch {
	case len(p) == 0:
	case len(o.buf) == 0 && len(o.pass) == 0:
		o.pass = p
	case len(p) >= passMin:
		o.Flush()
		o.pass = p
	default:
		o.gather()
		o.buf = append(o.buf, p...)
	}
}

// Append sends a copy of bytes that do not live until Flush.
func (o *Outlet) Append(p ...byte) { o.End(append(o.Begin(), p...)) }

// AppendString is Append for a string.
func (o *Outlet) AppendString(s string) { o.End(append(o.Begin(), s...)) }

// Begin returns the buffer, to be appended to and given back by End.
func (o *Outlet) Begin() []byte {
	o.gather()
	return o.buf
}

// End takes the buffer back.
func (o *Outlet) End(b []byte) {
	o.buf = b
	if len(b) >= outletKeep {
		o.Flush()
	}
}

// gather makes room behind what passes.
func (o *Outlet) gather() {
	if len(o.pass) > 0 {
		p := o.pass
		o.pass = nil
		if len(p) >= passMin {
			o.write(p)
			return
		}
		o.buf = append(o.buf, p...)
	}
}

// Flush sends what is gathered.
func (o *Outlet) Flush() {
	if len(o.pass) > 0 {
		o.write(o.pass)
		o.pass = nil
	}
	if len(o.buf) > 0 {
		o.write(o.buf)
		if o.buf = o.buf[:0]; cap(o.buf) > 2*outletKeep {
			o.buf = nil
		}
	}
}

func (o *Outlet) write(p []byte) {
	if o.sink != nil {
		o.sink.Write(p)
	}
}
