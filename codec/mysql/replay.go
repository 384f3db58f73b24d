package mysql

import (
	"fmt"
	"slices"
	"strconv"

	"sluice/codec"
)

// replayCarrier carries a session of MySQL or MariaDB: what its old server tells of it, and what was kept
// of its commands, is said to the new server anew. Then that is asked the same questions: if it does not
// give the same answers the session stays where it is.
//
// What is not carried: what the last statement has left to be asked for (FOUND_ROWS, ROW_COUNT, warnings,
// profiles), @@last_gtid, and what LASTVAL gives of sequences.
type replayCarrier struct {
	k    *keep
	lost bool // the old server was not asked
	old  *state
	new  *state

	asked  []question // without those for values
	first  int        // number of the first of them, where a server had to be asked again
	short  *learnt    // the first of them is its text; nil: the server is asked in full
	steps  []step
	check  int // number of the step that is the first question to the new server
	newIDs map[*kept]uint32
	free   map[string]bool // variables that no session can set
}

// step is one command for the new server.
type step struct {
	payload []byte
	what    string // what it is for, as a user would say it
	stmt    *kept
	fails   func(err *serverFail) error // what its ERR means; nil: the end
}

// newReplayCarrier returns a carrier for one move.
func newReplayCarrier(m *Mover) carrier { return &replayCarrier{k: m.keep} }

// ask returns the questions for the old server.
func (c *replayCarrier) ask(*move) []string {
	c.old, c.first = &state{}, 0
	c.ready(true)
	return texts(c.asked)
}

// answered takes the answer to question i.
func (c *replayCarrier) answered(i int, r *answer) (more []string, err error) {
	if i < c.first {
		return nil, nil // of what was asked by names that this server does not know
	}
	if more, err = c.took(c.old, i-c.first, r); err == errLearntNot {
		c.old, c.first = &state{}, len(c.asked)
		c.ready(false)
		return texts(c.asked), nil
	}
	if err != nil {
		return nil, err
	}
	if c.old.size()+c.k.size > c.k.m.opt.StateMax {
		return nil, errAnswerLong
	}
	if i != c.last() || len(more) > 0 {
		return more, nil
	}
	if p := c.judge(); p.Name != "" {
		return nil, codec.PinError{Pin: p}
	}
	c.k.asked, c.k.askedAt = c.old, c.k.m.marks
	return nil, nil
}

// last is the number of the last question.
func (c *replayCarrier) last() int {
	return c.first + len(c.asked) + (len(c.old.user)+userChunk-1)/userChunk - 1
}

// judge tells what the server has betrayed that binds the session to it.
func (c *replayCarrier) judge() codec.Pin {
	if p := c.k.pin(); p.Name != "" {
		return p
	}
	if p := c.old.hidden(&c.k.pins.mine, &c.k.base); p.Name != "" {
		return p
	}
	if string(c.old.thread) != strconv.FormatUint(c.k.m.serverID(), 10) {
		return codec.Pin{Name: "variable", Reason: "it has set pseudo_thread_id"}
	}
	if c.k.m.kind == kindMySQL && c.k.tooMany {
		return errTooManyNames.Pin
	}
	if !c.old.utf8() && !isASCII(string(c.old.db)) {
		return codec.Pin{Name: "database", Reason: "the name of its database can't be said in its character set"}
	}
	if len(c.k.stmts)+len(c.k.named) > 0 && c.k.dbSure && c.k.db != string(c.old.db) {
		return codec.Pin{Name: "database", Reason: "its database was changed out of sight"}
	}
	return codec.Pin{}
}

// put returns the commands for the new server.
func (c *replayCarrier) put() [][]byte {
	if c.old == nil {
		c.lost = true
		if c.old = c.k.asked; c.old == nil {
			c.old = &state{db: field(c.k.db), dbThere: c.k.db != ""}
		}
	}
	c.newIDs, c.free = map[*kept]uint32{}, map[string]bool{}
	if c.k.asked != nil || !c.lost {
		c.putSettings()
		c.putUser()
	}
	c.putStatements()
	c.putLast()
	if c.check = len(c.steps); c.k.asked != nil || !c.lost {
		c.putQuestions(true)
	}
	return c.payloads(0)
}

// payloads are those of the commands from one on.
func (c *replayCarrier) payloads(from int) (out [][]byte) {
	for i := range c.steps[from:] {
		out = append(out, c.steps[from+i].payload)
	}
	return out
}

// putQuestions has the new server asked what the old one was, but for what that has counted.
func (c *replayCarrier) putQuestions(short bool) {
	c.check, c.new = len(c.steps), &state{want: c.old}
	c.ready(short)
	c.asked = slices.DeleteFunc(slices.Clone(c.asked), func(q question) bool { return q.counts })
	for _, q := range append(texts(c.asked), userQuestions(c.old.user)...) {
		c.query(q, "a question", nil)
	}
}

// placed takes the answer to command i.
func (c *replayCarrier) placed(i int, r *answer) (more [][]byte, err error) {
	if i >= c.check {
		return c.checked(i, r)
	}
	s := &c.steps[i]
	switch {
	case r.err != nil && s.fails != nil:
		return nil, s.fails(r.err)
	case r.err != nil:
		return nil, fmt.Errorf("%s at the new server: %w", s.what, r.err)
	case s.stmt != nil:
		if r.params != s.stmt.params {
			return nil, fmt.Errorf("a statement has %d parameters at the new server, %d at the old", r.params, s.stmt.params)
		}
		c.newIDs[s.stmt] = r.stmt
	}
	return nil, nil
}

// checked takes the answer to a question to the new server.
func (c *replayCarrier) checked(i int, r *answer) (more [][]byte, err error) {
	_, err = c.took(c.new, i-c.check, r)
	switch {
	case err == errLearntNot:
		c.putQuestions(false)
		return c.payloads(c.check), nil
	case err != nil:
		return nil, err
	case i == len(c.steps)-1:
		return nil, c.compare()
	}
	return nil, nil
}

// compare refuses a move whose new server tells another state.
func (c *replayCarrier) compare() error {
	if what := c.old.differs(c.new, c.free); what != "" {
		return codec.PinError{Pin: codec.Pin{Name: "variable", Reason: what + " is another one at the new server"}}
	}
	return nil
}

// apply tells the follower what is different at the new server.
func (c *replayCarrier) apply(f *Follower) {
	k := c.k
	if !c.lost {
		k.asked, k.askedAt = c.old, k.m.marks
	}
	// The server's counters are new with the connection, and it is known what that has been told.
	k.base, k.pins.mine = [counters]uint64{}, [counters]uint64{}
	k.base[countPrepare] = uint64(len(k.named))
	last := k.last
	old := k.stmts
	k.stmts = make(map[uint32]*kept, len(old))
	if k.ids == nil && len(old) > 0 {
		k.ids = &statementIDs{k: k}
	}
	flags := map[uint32]openFlags{}
	invalid := uint32(goneStatement - 1) // goneStatement is for ids that the client has made up or closed
	for _, st := range ordered(old) {
		was := st.id
		if id, ok := c.newIDs[st]; ok {
			st.id, st.broken = id, false
		} else {
			st.id, st.broken = invalid, true
			invalid--
		}
		st.unbound = len(st.types) > 0
		flags[st.id] = f.open.of(was)
		k.stmts[st.id] = st
	}
	f.open.list = nil
	for id, what := range flags {
		if what &^= f.open.lost; what != 0 {
			f.open.set(id, what)
		}
	}
	f.prepared = goneStatement
	if last != nil {
		f.prepared = last.id
	}
	if k.ids != nil {
		k.ids.moved(last)
	}
}

// goneStatement is an id that servers do not give: the highest but lastStatement, and those below it.
const goneStatement = lastStatement - 1

// ordered returns statements by their ids.
func ordered(m map[uint32]*kept) []*kept {
	list := make([]*kept, 0, len(m))
	for _, st := range m {
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b *kept) int { return int(int64(a.id) - int64(b.id)) })
	return list
}

// serverID is the connection's id at the present server.
func (m *Mover) serverID() uint64 {
	if m.id != 0 {
		return uint64(m.id)
	}
	return uint64(m.thread)
}
