package codec

// Mover is a Follower whose session can go on at another server. A Login whose LoginConfig has Move gives one.
type Mover interface {
	Follower
	// Pin says what binds the session to its server beyond the moment, as far as that is known without a
	// question to the server; the zero Pin if nothing does.
	Pin() Pin
	// Gate looks at bytes of the client that have not been given to Client yet, while the session is about to
	// be moved. The first n bytes may go on as usual. Those behind them wait until the move is over or was given
	// up: they stand in front of a message that would put off the next safe point. n < len(p) lies at the begin of
	// a message.
	Gate(p []byte) (n int)
	// Askable tells that Move.Ask may be called now. held are the bytes that Gate has held back: a move may
	// end a transaction in their place that the first of them would have ended.
	Askable(held []byte) bool
	// Known tells whether the session's state is known without a question to the server, so that it can go
	// on elsewhere when the server is lost at a safe point.
	Known() bool
	// Marks grows when something is done that the answer to a question for the state depends on.
	Marks() uint32
	// NewMove begins a move, of which there is one at a time.
	NewMove(cfg *MoveConfig) Move
}

// MoveOptions are what a Mover has to know from its login on. They are shared and not changed.
type MoveOptions struct {
	// Secret returns what is known of a user's secret; the zero Secret if nothing is. It is called on the loop.
	Secret func(user string) Secret
	// StateMax bounds, in bytes, what is kept of one session so that it can be moved. One that has more is pinned.
	StateMax int
	// Functions are names of functions and procedures that change a session in a way that their text does not show.
	Functions []string
}

// Pin is what keeps a session at its server.
type Pin struct {
	Name   string // a short constant word, for metrics: "temp-table", "credentials", …; "" = nothing
	Reason string // the same in a few words, for people
}

// PinError is a Move's Refusal that says that the session is pinned.
type PinError struct{ Pin }

// Error returns the reason.
func (e PinError) Error() string { return "the session is bound to its server: " + e.Reason }

// RefusedError is a Move's Refusal that says that the new server did not let the session's user in.
type RefusedError struct{ Err error }

// Error returns what the server said.
func (e RefusedError) Error() string { return "login at the new server: " + e.Err.Error() }

// Unwrap returns what the server said.
func (e RefusedError) Unwrap() error { return e.Err }

// Leg is one of the peers of a Move.
type Leg uint8

const (
	LegClient Leg = iota // the client: only written to
	LegOld               // the server that the session is at
	LegNew               // the server that it is to go on at
	Legs      = iota
)

// MoveConfig is about one move.
type MoveConfig struct {
	// AskOnly has the state asked for, so that it is Known, and nothing moved: the Move begins with Ask.
	AskOnly bool
	// Lost says that the server has been lost: what is Known is put in place at the new one, and nothing asked.
	Lost bool
	TLS  TLSMode // towards the new server
	// AuthClear allows the password in clear over a connection without TLS.
	AuthClear bool
	Part      Part // what the new server has to be
}

// Move carries a session from one server to another: a machine as Login is. It never does anything at the
// old server that could not be taken back by doing nothing more, so it can be given up at any moment.
//
//	Connected ─▶ login at the new server, as far as that goes ─▶ OpStandBy
//	                                                   (the client is served all the while)
//	Ask ─▶ the old server is asked ─▶ the state is put in place at the new one, and checked ─▶ OpReady
//	                                                   (the client waits)
//
// Each method that returns an Op may have produced bytes: Take them first. Ops: OpMore, OpServerTLS (with the
// new server), OpWork, OpStandBy, OpReady, OpClose.
//
// OpClose ends the move in vain: Refusal says why, the new connection is to be closed. The session goes on at the
// old server, as soon as Owes is false: until then its bytes are given to the Move.
//
// Behind OpReady the Follower follows the new server. The old connection may be closed, with the client's
// goodbye.
type Move interface {
	// Connected tells that a connection to the new server is up.
	Connected() Op
	// Server takes bytes of the old or the new server.
	Server(leg Leg, p []byte) Op
	// Secured tells that TLS with the new server is up; cert is the server's certificate (DER).
	Secured(cert []byte) Op
	// Work does what would hold up a loop. Once per OpWork, on any goroutine, while nothing else is called.
	Work()
	// Worked tells, on the loop, that Work has returned.
	Worked() Op
	// Ask begins the part for which the client waits. After OpStandBy, or with AskOnly, when the session is
	// Askable; held are the bytes held back for it.
	Ask(held []byte) Op
	// OldLost tells that the old server is gone. OpMore: the move goes on, all that was needed of it is known.
	OldLost() Op
	// GiveUp ends the move in vain: a deadline has passed, the new server is lost, or nobody wants it any more.
	GiveUp()
	// Owes tells that the old server has not answered all yet that it was asked.
	Owes() bool
	// Take returns the bytes to write to that leg and forgets them; valid until the next call. For the client
	// they are complete messages, due where nothing is owed to it.
	Take(leg Leg) []byte
	// Drop is the number of bytes at the begin of those held back that the move has seen to itself, valid once it is
	// over: they are not to be sent on.
	Drop() int
	// Rest returns bytes of the new server that came behind the end of the move; they are for the Follower.
	Rest() []byte
	// Key is the key by which the new server knows the session, from OpStandBy or OpReady on.
	Key() Key
	// Refusal says why the move ended with OpClose; a PinError if the session is bound to its server, a
	// RefusedError if its user was not let in at the new one. nil behind GiveUp.
	Refusal() error
}
