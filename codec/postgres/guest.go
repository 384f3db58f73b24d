package postgres

import (
	"encoding/binary"
	"errors"

	"sluice/codec"
)

// Limits of what a guest gathers of one message, in bytes.
const (
	maxQueryHead = 16 << 10 // a Query up to this is looked at as a whole, a longer one passes by
	maxNames     = 16 << 10 // the names at the front of Bind, Describe and Close
)

// guest is the client's side of a shared session: it reads the client's stream and writes it to the
// host at hand, with the names of statements changed into those that the servers know.
//
// A message is either passed on as it comes, or gathered until there is enough of it to act on. It is
// acted on once, by the method of its type, and only if nothing has to be waited for.
type guest struct {
	id    uint64 // no other guest of the shelf has it
	shelf *shelf
	cfg   *codec.GuestConfig
	watch codec.Watcher // nil: nobody listens
	words *wordSet
	host  *host

	stream  source // what Client reads
	front   source // buf, while it is acted on
	buf     []byte // the front of a message that was not enough to act on
	want    int    // bytes of it that are needed
	left    uint32 // bytes of the message that has been acted on that are still to come
	drop    bool   // those are not for the server
	scan    bool   // those are text for scanner
	later   bool   // what that says counts when the statement is run
	scanner wordScanner
	ahead   ahead // what was found of a Query that waits

	names   map[string]*named // the client's prepared statements that are shared, by key
	apart   apartStmts        // the others
	unnamed unnamedStmt
	closed  uint64 // batch in which a name was closed last
	room    room   // that names take

	group    bool // messages of the extended protocol have come since the last Sync
	quit     bool // the client has said goodbye
	told     *report
	startup  *settings // the client's own, from its login
	settings *settings // those in force for it
	custom   customNames
	suspect  words // what has to be looked at when the transaction is over
	changes  changes
	portal   namedChange // what the unnamed portal does; no name: not known
	pins     words       // what binds the session to its host
	blind    bool        // the last look has failed
	batch    uint64      // number of the last batch on the hosts so far
	parses   uint64      // Parse messages of the client
	binds    uint64      // Bind messages of the client
	large    bool        // a statement that is not shared is on the host: as the unnamed one
	unsure   bool        // settings may have changed in this transaction: settings is not to be relied on
	hold     bool        // the client's own startup settings may have to be put back: it has to wait
	back     bool        // it will have to behind the next Sync
	heldBy   uint64      // the batch for which it has to wait

	await         uint64 // NeedTurn: the batch of the host that has to be over
	forsaken      bool   // the answer to NeedSame
	sole          bool   // what the client sends behind the present unit of work waits
	loss          loss   // what there is to remember of a host that was lost
	unnamedPortal course // of what is bound to the unnamed portal
	namedPortals  course // of what was bound to others
	aside         codec.Aside
	fail          error // what ends the session
	role          string
	user          string

	asked    []codec.Param // what the client asked for at its login
	special  bool          // a connection for replication
	intro    *introduction
	introErr error
}

// named is a prepared statement of a client by its name.
type named struct {
	name  string // what of it counts: its key
	apart bool   // it is not shared, there is no st
	st    *stmt
	batch uint64 // in which it was made; see host.settled
	// coming is set for a moment: its Parse is behind the command that drops all others.
	coming bool
}

// unnamedStmt is a client's unnamed statement.
type unnamedStmt struct {
	st    *stmt // nil: there is none, or it is not known
	batch uint64
}

// ahead is what was found of a Query at the front of what the client has sent, when it had to wait: its
// text need not be looked at again.
type ahead struct {
	known bool // it is no command that concerns what is kept for the client
	set   bool // what maySet says of it
	words words
}

var _ codec.Guest = (*guest)(nil)

// NewGuest returns the guest for a client that has shown who it is.
func (s *shelf) NewGuest(gate codec.Gate, cfg *codec.GuestConfig, w codec.Watcher) codec.Guest {
	s.guests++
	return &guest{id: s.guests, shelf: s, cfg: cfg, watch: w, words: s.wordSet(cfg), asked: gate.Settings(), special: gate.Special().Name != ""}
}

// source is a piece of the client's stream that is being read: bytes from up to the message at hand
// are to be passed on unchanged.
type source struct {
	p    []byte
	from int
	kept bool // p does not live until the turn's end
	mark int  // where that begins which is yet to be recorded, plus one; 0: there is nothing
	t    *codec.Turn
}

// cut passes on what is in front of to.
func (s *source) cut(to int) {
	if to > s.from {
		if s.kept {
			s.t.Server.Append(s.p[s.from:to]...)
		} else {
			s.t.Server.Pass(s.p[s.from:to])
		}
		s.from = to
	}
}

// skip passes on what is in front of from, and leaves out what is between from and to.
func (s *source) skip(from, to int) {
	s.cut(from)
	s.from = to
}

// Client reads the client's stream.
func (g *guest) Client(p []byte, t *codec.Turn) (n int, need codec.Need, err error) {
	if g.fail != nil {
		return 0, codec.NeedBytes, g.fail
	}
	if g.quit {
		return 0, codec.NeedEnd, nil
	}
	s := &g.stream
	*s = source{p: p, t: t}
	r := request{s: s}
loop:
	for need == codec.NeedBytes && err == nil {
		switch {
		case g.want > 0:
			k := min(max(g.want-len(g.buf), 0), len(p)-n)
			g.buf = append(g.buf, p[n:n+k]...)
			s.skip(n, n+k)
			n += k
			if len(g.buf) < g.want {
				break loop
			}
			need, err = g.gathered(t)
		case n == len(p):
			break loop
		case g.left > 0:
			k := min(int(g.left), len(p)-n)
			g.rest(s, n, n+k)
			n += k
		default:
			used, more := 0, 0
			used, more, need, err = g.message(&r, n)
			if n += used; more > 0 {
				g.want = more
				g.record(s, n)
			}
		}
	}
	s.cut(n)
	g.record(s, n)
	if h := g.host; h != nil && len(h.early) > 0 && (g.group || h.owed.Len() == 0) {
		h.tellEarly(t)
	}
	return n, need, err
}

// gathered acts on the message in buf, or finds that more of it is needed.
func (g *guest) gathered(t *codec.Turn) (codec.Need, error) {
	s := &g.front
	*s = source{p: g.buf, kept: true, t: t}
	used, more, need, err := g.message(&request{s: s}, 0)
	if more > 0 {
		g.want = more
	}
	if more > 0 || need != codec.NeedBytes && used == 0 || err != nil {
		return need, err
	}
	s.cut(used)
	g.record(s, used)
	g.want = 0
	if g.buf = g.buf[:0]; cap(g.buf) > maxQueryHead {
		g.buf = nil
	}
	return need, nil
}

// rest takes bytes of a message that has been acted on.
func (g *guest) rest(s *source, from, to int) {
	if g.scan {
		g.scanner.feed(s.p[from:to])
	}
	if g.drop {
		s.skip(from, to)
	}
	if h := g.host; h != nil && h.recording && s.mark == 0 {
		s.mark = from + 1
	}
	if g.left -= uint32(to - from); g.left == 0 {
		if g.scan {
			if g.later {
				g.scannedApart()
			} else {
				g.suspect |= g.scanned()
			}
		}
		g.drop, g.scan, g.later = false, false, false
		if h := g.host; h != nil && h.owed.Len() == 0 && !g.group { // data behind a COPY that has failed
			s.cut(to)
			h.settle(s.t)
		}
	}
}

// scanned returns what a text that passed by says. What settings it names is not known.
func (g *guest) scanned() words {
	w := g.scanner.result()
	if w&wordSettings != 0 {
		w |= wordUnsure
	}
	return w
}

var errClientName = errors.New("postgres: a message of the client holds no name where one has to be")

// message acts on the message at r.s.p[at:]. It is used up to what is at hand, unless more bytes or
// something else is needed first.
func (g *guest) message(r *request, at int) (used, more int, need codec.Need, err error) {
	s := r.s
	m := s.p[at:]
	if len(m) < headerSize {
		return 0, headerSize, codec.NeedBytes, nil
	}
	typ, size := m[0], binary.BigEndian.Uint32(m[1:])
	if !clientRules[typ].allows(size) {
		return 0, 0, codec.NeedBytes, ruleError(codec.Client, typ, size)
	}
	total := 1 + int(size)
	if len(m) > total {
		m = m[:total]
	}
	r.at, r.m, r.total = at, m, total
	h := g.host
	switch {
	case h != nil && h.deaf && typ != 'S' && typ != 'X':
		s.skip(at, at+len(m)) // the server ignores it
		g.drop = true
	case h != nil && (h.curing || h.turning) && typ != 'X':
		return 0, 0, codec.NeedTurn, nil
	case h == nil && g.loss.any:
		more, need, err = g.orLost(typ, r)
		if more > 0 {
			return 0, min(more, total), codec.NeedBytes, nil
		}
		if err != nil || need != codec.NeedBytes && need != codec.NeedEnd {
			return 0, 0, need, err
		}
	case h != nil && g.sole && g.isAhead(typ):
		return 0, 0, g.wait(h.sent - 1), nil
	default:
		more, need, err = g.act(typ, r)
		if more > 0 {
			return 0, min(more, total), codec.NeedBytes, nil
		}
		if err != nil || need != codec.NeedBytes && need != codec.NeedEnd && need != codec.NeedAside {
			return 0, 0, need, err
		}
	}
	switch typ {
	case 'P':
		g.parses++
	case 'B':
		g.binds++
	}
	g.ahead.known = false
	if h != nil && h.recording {
		h.recordMessage(r, typ)
	}
	if g.left = uint32(total - len(m)); g.left == 0 {
		g.drop, g.scan = false, false
	}
	return len(m), 0, need, nil
}
