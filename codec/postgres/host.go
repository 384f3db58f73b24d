package postgres

import (
	"sluice/codec"
)

// debt is a reply that a host's server owes.
type debt = codec.Debt[owing]

// owing is what has to be known when a reply comes, or does not.
type owing struct {
	named *named // the client's statement that the message spoke of
	st    *stmt  // the statement that the server prepares or drops
	prev  *stmt  // the unnamed statement before
	held  *held  // what was held of the statement that is closed
}

// What is owed, by the message that asked for it.
const (
	oweParse byte = 1 + iota
	oweBind
	oweDescribe
	oweExecute
	oweClose
	oweSync
	oweQuery
	oweFunction
	oweCopyEnd  // CopyDone and CopyFail have no answer of their own
	oweSwitch   // a Query of Sluice's own: settings
	oweLook     // a look at the session's state
	oweProbe    // an empty Query, see host_copy.go
	oweOwn      // Reset, Check and what Abandon does
	owePosition // the server's position in the log, see position.go
	oweFail     // what puts the session into a failed transaction, see guest_lost.go
	oweTag      // a CommandComplete and its ReadyForQuery that are invented
)

// Flags of a debt.
const (
	flagGroup   byte = 1 << iota // a group of extended messages without a Sync ends with it
	flagUnnamed                  // it is about the unnamed statement
	flagTaken                    // a Parse that must fail
	flagStale                    // a Close of a statement that is made anew; of others: flagNamed
	flagEvict                    // a Close of a statement that makes room
	flagCalm                     // its tag says nothing of the session's state
	flagInstead                  // an error is told in place of that of the Query behind
	flagSoft                     // a statement of Sluice's own that may fail
)

// flagNamed is a plain SET or RESET: what it changes is among the guest's changes.
const flagNamed = flagStale

// maxGathered bounds, in bytes, what a host gathers of one message that it has to read. A longer one
// passes by, but for a ParameterStatus.
const maxGathered = 64 << 10

// host is a server connection behind its login.
type host struct {
	cfg   *codec.OpenerConfig
	key   codec.Key
	guest *guest // at hand; nil: none
	shelf *shelf // of the guests that it has

	in     cutter
	run    run
	fate   fate   // of the message that is coming in
	body   []byte // its body, where that has to be read; valid while it is acted on
	gather []byte // the same if it came in pieces
	fatal  fatal

	owed    codec.Debts[owing]
	sent    uint64 // batches whose end has been sent: the number of the present one
	done    uint64 // batches whose ReadyForQuery has come
	tx      codec.Tx
	copying copyState
	early   []byte // invented replies that the client is told in front of the next one
	doubt   int    // Syncs that a COPY that failed may have taken
	deaf    bool   // the server ignores everything up to a Sync that has not been sent
	replied bool   // the answer to the oldest command has begun
	erred   bool   // that answer held an error
	past    course // of what was run and answered since the last ReadyForQuery
	uneasy  bool   // transactions that are over may have changed what is yet to be looked at

	report   *report
	fresh    *report   // at the login
	settings *settings // in force
	stmts    map[*stmt]*held
	uses     held // ring of stmts, its newer is the oldest
	unnamed  unnamedStmt
	foreign  bool   // the unnamed statement on the server may be another client's
	cleared  uint64 // batch in which the server was told last to drop it, lest it be another client's
	evicted  uint64 // batch in which a statement was made room of last
	looking  lookReader
	position position // that was asked for last
	looked   words    // sections of the look on its way
	lookErr  error
	blind    bool      // the look behind the last command has failed
	next     *settings // that a change on its way will bring
	changing bool
	tries    int    // times that it was cut short
	ownError string // what went wrong with a Query of Sluice's own: the message

	last  uint64 // the guest that was joined last
	blank bool   // nobody has used the session since it was begun or wiped
	drawn bool   // what the session knows of sequences is its guest's doing, as far as can be told

	started bool // something of the guest's has been sent to the server
	altered bool // the schema has changed
	gone    bool // the guest's client has gone: see host_ends.go
	dirty   bool // it has left something in the session
	ending  bool
	said    []byte
	// See host_lost.go.
	withheld bool   // the guest's client was not told said
	warned   string // what the server has warned of, and the client was not told
	failing  bool   // the session is being put into a failed transaction
	failed   error
	instead  []byte // the error to tell in place of the next one

	record    []byte // the client's present batch, if it can be run again: see host_cure.go
	recording bool
	recorded  int    // bytes of its messages
	recordOf  uint64 // the number of that batch
	curing    bool
	again     bool   // the batch is being run again: what is old is prepared anew
	shaped    bool   // the batch asks what shape its rows have
	ones      int    // ParseCompletes of the present batch that the client was told
	others    bool   // it was told more than that
	mute      int    // ParseCompletes that it must not be told again
	told      bool   // the client was told something that was invented for it
	turning   bool   // the batch was refused as the server only reads; see host_turned.go
	refusal   []byte // the body of that error
	undone    bool   // the batch at the front has failed, and the client does not know
	parses    uint64
}

var _ codec.Host = (*host)(nil)

// newHost returns the host for a connection whose login is over.
func newHost(cfg *codec.OpenerConfig, key codec.Key, reported []codec.Param) *host {
	h := &host{blank: true, cfg: cfg, key: key, report: &report{params: reported}, stmts: map[*stmt]*held{}}
	h.fresh = h.report
	h.uses.older, h.uses.newer = &h.uses, &h.uses
	return h
}

var errDeep = codec.Error{Cond: codec.LimitOfClient, Text: "too many requests without an answer"}

// ask notes that a message of the client's, or in front of it, is on its way to the server.
func (h *host) ask(d debt) error {
	h.started = true
	if h.mute > 0 && d.Code == oweParse && d.Act == codec.OwedForward {
		d.Act = codec.OwedSwallow
		h.mute--
	}
	slot := h.owed.Add()
	if slot == nil {
		return errDeep
	}
	*slot = d
	if endsBatch(d.Code) {
		h.sent++
	}
	return nil
}

// endsBatch tells whether a ReadyForQuery answers that message.
func endsBatch(code byte) bool {
	switch code {
	case oweSync, oweQuery, oweFunction, oweSwitch, oweLook, oweProbe, oweOwn, owePosition, oweFail:
		return true
	}
	return false
}

// invent has the client told in the server's place, behind what is owed before.
func (h *host) invent(d debt, t *codec.Turn) error {
	d.Act = codec.OwedInvent
	if h.mute > 0 && d.Code == oweParse {
		h.mute--
		return nil
	}
	if h.owed.Len() == 0 {
		h.early = h.appendTold(h.early, &d)
		return nil
	}
	return h.ask(d)
}

// tell writes an invented reply.
func (h *host) tell(d *debt, t *codec.Turn) {
	h.told = true
	t.Client.End(h.appendTold(t.Client.Begin(), d))
}

// tellEarly writes the invented replies in front of what the server owes. They wait for that if a Sync
// is on its way, as a server's own replies do, so that the client gets all of them at once.
func (h *host) tellEarly(t *codec.Turn) {
	h.told = true
	t.Client.Append(h.early...)
	h.early = h.early[:0]
}

// appendTold appends an invented reply.
func (h *host) appendTold(dst []byte, d *debt) []byte {
	switch d.Code {
	case oweParse:
		h.count('1')
		return append(dst, '1', 0, 0, 0, 4)
	case oweClose:
		h.count('3')
		if n := d.Ref.named; n != nil && h.guest != nil {
			h.guest.shelf.release(n.st)
		}
		return append(dst, '3', 0, 0, 0, 4)
	}
	return dst
}

// sure tells whether it is certain, in the present batch, how that batch has ended or that it is the
// same.
func (h *host) sure(batch uint64) bool { return batch == h.sent || batch < h.done }

// prepared is the number of statements that may be kept.
func (h *host) prepared() int { return h.cfg.PreparedMax }

// makeRoom has the server drop a statement: d if there is one, which is old, or the one that has not
// been used for the longest time if there are too many.
func (h *host) makeRoom(st *stmt, d *held, t *codec.Turn) error {
	flag := flagStale
	if d == nil {
		if len(h.stmts) < h.cfg.PreparedMax || h.uses.newer == &h.uses {
			return nil
		}
		d, flag = h.uses.newer, flagEvict
	}
	return h.ask(h.close(d, flag, t))
}

// close has the server drop a statement, to make room for another one or to make it anew.
func (h *host) close(d *held, flag byte, t *codec.Turn) debt {
	was := d
	if flag == flagEvict {
		h.lose(d.st)
		h.evicted = h.sent
	} else {
		was = &held{st: d.st, batch: d.batch, stale: true}
	}
	h.writeClose(d.st, t)
	return debt{Act: codec.OwedSwallow, Code: oweClose, Flag: flag, Ref: owing{held: was}}
}

// writeClose has the server drop a statement.
func (h *host) writeClose(st *stmt, t *codec.Turn) {
	t.Server.End(appendClose(t.Server.Begin(), 'S', st.name))
}

// appendClose appends a Close of a statement, 'S', or a portal, 'P'.
func appendClose(dst []byte, kind byte, name string) []byte {
	dst = appendHeader(dst, 'C', 1+len(name)+1)
	return append(append(append(dst, kind), name...), 0)
}

// writeParse has the server prepare a statement under its shared name.
func (h *host) writeParse(st *stmt, t *codec.Turn) {
	h.parses++
	t.Server.End(appendParse(t.Server.Begin(), st.name, st.tail))
}

// appendParse appends a Parse.
func appendParse(dst []byte, name, tail string) []byte {
	dst = appendHeader(dst, 'P', len(name)+1+len(tail))
	dst = append(append(dst, name...), 0)
	return append(dst, tail...)
}

// appendQuery appends a Query.
func appendQuery(dst []byte, text string) []byte {
	dst = appendHeader(dst, 'Q', len(text)+1)
	return append(append(dst, text...), 0)
}

// write has the server run a Query of Sluice's own.
func (h *host) write(code, flag byte, text string, t *codec.Turn) {
	t.Server.End(appendQuery(t.Server.Begin(), text))
	h.own(code, flag)
}

// own notes a Query of Sluice's own. It is asked when nothing is owed, so there is room.
func (h *host) own(code, flag byte) {
	h.unnamed.st = nil
	h.owed.Push(debt{Act: codec.OwedSwallow, Code: code, Flag: flag})
	h.sent++
}

// Key is the key by which the server knows the connection.
func (h *host) Key() codec.Key { return h.key }

// Reported are the parameters that the server has reported.
func (h *host) Reported() []codec.Param { return h.report.params }

// Prepared is the number of statements kept.
func (h *host) Prepared() int { return len(h.stmts) }

// Counts is the number of statements that the server was asked to prepare.
func (h *host) Counts() (parses uint64) { return h.parses }

// Started tells that something of the guest's present unit of work has been sent.
func (h *host) Started() bool { return h.started }

// Failed is what makes the host unfit for others.
func (h *host) Failed() error { return h.failed }

// Ending tells that the server has announced the connection's end.
func (h *host) Ending() (ending bool, said []byte) { return h.ending, h.said }

// Mid tells that the stream from the server stands inside a message.
func (h *host) Mid() bool { return h.in.mid() }

// AppendGoodbye appends Terminate.
func (h *host) AppendGoodbye(dst []byte) []byte { return append(dst, msgTerminate, 0, 0, 0, 4) }

// SchemaChanged tells that a command of the client has changed the schema, once.
func (h *host) SchemaChanged() bool {
	was := h.altered
	h.altered = false
	return was
}

// Forget takes note of a change of the schema. A client that has prepared a statement before keeps it
// as it is, and the server itself says what the change has made of it. Whoever prepares the same text
// from now on gets a new statement.
func (h *host) Forget() {
	for st := range h.stmts {
		st.old = true
	}
	if h.unnamed.st != nil {
		h.unnamed.st.old = true
	}
	if h.shelf != nil {
		h.shelf.era++
	}
}

// distrust has all statements made anew before their next use: the server may have dropped them.
func (h *host) distrust() {
	for _, d := range h.stmts {
		d.stale = true
	}
	h.unnamed.st = nil
}

// Free tells that the guest at hand can be parted from.
func (h *host) Free() bool {
	if h.owed.Len() > 0 || h.tx != codec.TxIdle || h.copying != copyNone || h.doubt > 0 || h.deaf ||
		h.gone || h.ending || h.failed != nil || h.in.mid() {
		return false
	}
	g := h.guest
	return g == nil || !g.group && g.left == 0 && g.pins == 0 && !g.large && g.suspect&wordLook == 0
}
