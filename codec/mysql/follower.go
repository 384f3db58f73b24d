package mysql

import "sluice/codec"

// facts are what a follower has to know of the login.
type facts struct {
	key       uint32 // connection id as the client sees it
	caps      uint32 // flags that both sides agreed on
	ext       uint32 // the same, of MariaDB's extended flags
	status    uint16 // status flags in the OK that ended the login
	clientTLS bool
	serverTLS bool
}

// phase is how far the answer to the oldest owed command has come.
//
//	first ─▶ defs ─▶ defsEnd ─▶ rows ─▶ (first of the next result | done)
//	  ├────▶ skip ─▶ done
//	  └────▶ infile ─▶ (first of the next result | done)
type phase uint8

const (
	phaseFirst   phase = iota // the first message of an answer, or of one more result, is due
	phaseDefs                 // column definitions are due
	phaseDefsEnd              // the EOF behind them is due
	phaseRows                 // rows or their end are due
	phaseSkip                 // definitions of a prepared statement are due
	phaseInfile               // the result of LOAD DATA LOCAL is due
)

// Follower watches the command phase of one session. It implements codec.Follower and
// codec.Interceptor.
//
// It judges a message of the server when its last byte has come and a command of the client as soon as
// its head is there: a server may refuse a command that is still being sent.
type Follower struct {
	watch codec.Watcher
	mover *Mover       // nil where the session is not to be moved
	z     *compression // nil in a session that is not compressed
	owed  owedQueue
	open  openStatements
	cli   stream
	srv   stream
	facts facts

	change *[]byte // front of a COM_CHANGE_USER whose user, and maybe plugin, has to be seen; mostly nil

	skip     uint32 // messages left in phaseDefs and phaseSkip
	prepared uint32 // id of the statement prepared last
	due      reply  // shape of the answer to the oldest owed command
	phase    phase
	next     uint8 // sequence id that the next packet of the present exchange will have
	cseq     uint8 // the same within a message of the client
	replied  bool  // the answer to the oldest owed command has begun
	later    bool  // it has had a whole result already
	sure     bool  // next is known
	infile   bool  // the client is to send a file
	dialogue bool  // the client is to send authentication data
	opaque   bool  // the connection no longer speaks the command phase
	replica  bool  // the client has registered as a replica
	inDoubt  bool  // an ERR came that may have left a transaction open
	erred    bool  // an ERR came behind the status at hand: it may have ended the transaction
	quit     bool  // the client has said goodbye
	fatal    bool  // the server has said goodbye
}

// newFollower returns a follower that begins behind the OK of the login.
func newFollower(x facts, w codec.Watcher) *Follower {
	f := &Follower{watch: w, facts: x}
	if x.caps&(capCompress|capZstd) != 0 {
		f.z = newCompression(x.caps&capCompress == 0)
	}
	return f
}

// Client follows bytes on their way from the client to the server.
func (f *Follower) Client(p []byte) error {
	if f.z != nil {
		return f.z.feed(&f.z.client, p, f.client)
	}
	return f.client(p)
}

// Server follows bytes on their way from the server to the client.
func (f *Follower) Server(p []byte) error {
	if f.z != nil {
		return f.z.feed(&f.z.server, p, f.server)
	}
	return f.server(p)
}

// Tx is the transaction status. The server reports it in every OK and EOF. With autocommit switched
// off it says "in a transaction" from the first statement that opens one, not before.
func (f *Follower) Tx() codec.Tx {
	if f.inDoubt || f.facts.status&statusInTrans != 0 {
		return codec.TxOpen
	}
	return codec.TxIdle
}

// Owed is the number of commands whose answer is not complete.
func (f *Follower) Owed() int { return int(f.owed.n) }

// Mid tells whether the stream of that side stands inside a message, or inside the frame that carries
// messages in a compressed session.
func (f *Follower) Mid(s codec.Side) bool {
	if f.z != nil && f.z.of(s).mid() || f.mover != nil && f.mover.holds(s) {
		return true
	}
	if s == codec.Client {
		return !f.cli.atBoundary()
	}
	return !f.srv.atBoundary()
}

// Busy names what keeps this moment from being a safe point.
func (f *Follower) Busy() string {
	switch {
	case f.opaque || f.replica || f.due == replyEvents:
		return "replication"
	case f.infile:
		return "infile"
	case f.due == replyAuth:
		return "change-user"
	case f.owed.n > 0:
		return "owed"
	case f.Mid(codec.Client) || f.Mid(codec.Server):
		return "message"
	case f.Tx() == codec.TxOpen:
		return "transaction"
	case f.open.has(openCursor):
		return "cursor"
	case f.open.has(openLongData):
		return "long-data"
	}
	return ""
}

// Key is the connection id under which the client knows this session.
func (f *Follower) Key() (codec.Key, bool) { return codec.Key{ID: f.facts.key}, true }

// Ending tells that either side has announced the end: COM_QUIT, or an ERR that ends the connection.
func (f *Follower) Ending() bool { return f.quit || f.fatal }

// AppendError appends e as the next message to the client: as the answer, or the end of the answer,
// that the client waits for, or unasked if it waits for none.
func (f *Follower) AppendError(dst []byte, e codec.Error) []byte {
	var seq, zseq uint8
	switch {
	case f.owed.n == 0:
	case f.replied:
		seq = f.next
		if f.z != nil {
			zseq = f.z.next
		}
	default:
		seq, zseq = f.owed.head().seq, f.owed.head().zseq
		if f.z != nil && f.owed.n == 1 {
			zseq = f.z.client.seq // the command may have come in several frames
		}
	}
	if f.z == nil {
		return appendErr(dst, seq, true, numberOf(e.Cond), errorText(e))
	}
	at := len(dst)
	dst = append(dst, make([]byte, frameHeaderLen)...)
	dst = appendErr(dst, seq, true, numberOf(e.Cond), errorText(e))
	putFrameHeader(dst[at:], len(dst)-at-frameHeaderLen, zseq)
	return dst
}

// Close releases what an unfinished compressed packet holds. The follower is not used afterwards.
func (f *Follower) Close() error {
	if f.z != nil {
		f.z.client.close()
		f.z.server.close()
	}
	return nil
}

// strict tells whether sequence ids are to be checked. In a compressed session implementations differ
// in what they write into the packets inside of the frames.
func (f *Follower) strict() bool { return f.z == nil }

// setStatus notes the status flags of an OK or EOF.
func (f *Follower) setStatus(s uint16) {
	f.facts.status = s
	f.inDoubt, f.erred = false, false
}
