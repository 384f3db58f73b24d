package postgres

import (
	"encoding/binary"
	"math"

	"sluice/codec"
)

// follower watches a session behind AuthenticationOk. It is kept small, since there is one for each
// client, and keeps nothing of the streams but a header cut in two and what it counts.
type follower struct {
	watch codec.Watcher // nil: nobody listens
	key   codec.Key     // of BackendKeyData; its secret is gathered with the id in front
	queue queue         // what the server owes

	client cutter
	server cutter
	fatal  fatal
	track  *tracker // nil: the session is not one that may be moved

	commands uint32 // begun and not done
	due      uint32 // replies that the client's present group asks for
	got      uint32 // replies that came since the last ReadyForQuery
	ran      uint32 // what got was for the oldest command, while those are told of that have ended
	strays   uint32 // Syncs that the server may have taken for COPY data, or may still answer
	eaten    uint32 // commands that were only a Sync, which a COPY has taken

	tx      codec.Tx
	copying copyState
	login   bool // the first ReadyForQuery is still due
	group   bool // the client's last group has no Sync yet
	replied bool // the answer to the oldest command has begun
	failed  bool // that answer held an error
	skip    bool // the server skips everything up to a Sync
	hasKey  bool
	// described: a RowDescription came since the last CommandComplete, BindComplete and ReadyForQuery
	described makings
	ending    bool
	quit      bool // the client has sent its Terminate
}

var _ codec.Follower = (*follower)(nil)

func newFollower(w codec.Watcher) *follower { return &follower{watch: w, login: true} }

// Client follows bytes from the client to the server.
func (f *follower) Client(p []byte) error {
	c := &f.client
	if !c.mid() && f.wholeQuery(p) {
		return nil
	}
	for len(p) > 0 {
		if c.left == 0 {
			if f.group && c.have == 0 {
				if p = f.inGroup(p); len(p) == 0 {
					return nil
				}
			}
			typ, size, rest, ok := c.header(p)
			if !ok {
				return nil
			}
			if !clientRules[typ].allows(size) {
				return ruleError(codec.Client, typ, size)
			}
			c.left = size - 4
			p = rest
			if err := f.clientMessage(typ, c.body(p)); err != nil {
				return err
			}
			if t := f.track; t != nil && t.tracks(typ) {
				t.message(typ, size, f.due, c.body(p))
			}
		} else if f.track != nil && f.track.gather != nil {
			f.track.more(c.body(p))
		}
		n := len(c.body(p))
		c.left -= uint32(n)
		p = p[n:]
	}
	return nil
}

// wholeQuery is the short way for a Query that comes alone and whole, which is the rule for those. It does nothing
// if p is not one, or if there is more to it.
func (f *follower) wholeQuery(p []byte) bool {
	n := len(p) - 1
	if n < headerSize || p[0] != 'Q' || p[n] != 0 || binary.BigEndian.Uint32(p[1:]) != uint32(n) ||
		f.group || f.queue.size > 0 {
		return false
	}
	f.queue.push(tokQuery) // there is room: it is empty
	f.commands++
	text := p[headerSize:n]
	if t := f.track; t != nil {
		t.begin(false)
		if !t.passes(text) {
			t.message('Q', uint32(n), f.due, p[headerSize:])
		}
	}
	if f.watch != nil {
		f.watch.OnCommand(kindQuery, text)
	}
	return true
}

// inGroup passes over the whole messages at the front of p that go on with a group and do no more than ask for a
// reply each.
func (f *follower) inGroup(p []byte) []byte {
	for len(p) >= headerSize {
		typ, size := p[0], binary.BigEndian.Uint32(p[1:])
		if typ != 'D' && typ != 'E' && (typ != 'B' || f.track != nil && f.track.tracks(typ)) ||
			uint64(size) >= uint64(len(p)) || !clientRules[typ].allows(size) || f.due == math.MaxUint32 {
			break
		}
		f.due++
		p = p[1+size:]
	}
	return p
}

// Server follows bytes from the server to the client.
func (f *follower) Server(p []byte) error {
	c := &f.server
	for len(p) > 0 {
		if c.left == 0 {
			if f.replied && c.have == 0 {
				if p = f.within(p); len(p) == 0 {
					return nil
				}
			}
			typ, size, rest, ok := c.header(p)
			if !ok {
				return nil
			}
			if !serverRules[typ].allows(size) {
				return ruleError(codec.Server, typ, size)
			}
			c.left = size - 4
			p = rest
			if err := f.serverMessage(typ); err != nil {
				return err
			}
		}
		body := c.body(p)
		if typ := c.head[0]; len(body) > 0 && counts[typ] {
			if err := f.serverBody(typ, body); err != nil {
				return err
			}
		}
		c.left -= uint32(len(body))
		p = p[len(body):]
	}
	return nil
}

// within passes over the whole messages at the front of p of which an answer that has begun is made. Its rows change
// nothing, and in a large one there is little else; the rest is only counted.
func (f *follower) within(p []byte) []byte {
	for len(p) >= headerSize {
		typ, size := p[0], binary.BigEndian.Uint32(p[1:])
		if uint64(size) >= uint64(len(p)) || !serverRules[typ].allows(size) {
			break
		}
		switch typ {
		case 'D':
		case '1', '2':
			f.got++
			f.described = 0
		case '3', 'n', 'I', 's':
			f.got++
		case 'T':
			if f.copying != copyNone {
				return p
			}
			f.got++
			f.described = makesUnlessRows
		case 'C':
			if f.copying != copyNone {
				return p
			}
			f.got++
			f.completed()
		default:
			return p
		}
		p = p[1+size:]
	}
	return p
}

// completed notes a CommandComplete, which may be that of a SELECT INTO.
func (f *follower) completed() {
	if t := f.track; t != nil && t.makes > f.described {
		t.marks++
	}
	f.described = 0
}

// skipRows leaves out the whole DataRows that p begins with.
func skipRows(p []byte) []byte {
	for len(p) >= headerSize && p[0] == 'D' {
		size := binary.BigEndian.Uint32(p[1:])
		if uint64(size) >= uint64(len(p)) || !serverRules['D'].allows(size) {
			break
		}
		p = p[1+size:]
	}
	return p
}

// counts are the messages of the server whose bodies are read.
var counts = [256]bool{'Z': true, 'E': true, 'K': true, 'S': true}

// serverBody reads the few bodies that count. left still includes b.
func (f *follower) serverBody(typ byte, b []byte) error {
	switch typ {
	case 'Z':
		return f.ready(b[0])
	case 'E':
		if f.fatal.look(b) {
			f.ending = true
		}
	case 'S':
		if f.track != nil {
			f.track.reported(b, f.server.left)
		}
	case 'K':
		f.key.Secret += string(b) // at most maxSecret and the id, once in a session
		if int(f.server.left) == len(b) {
			f.key.ID = binary.BigEndian.Uint32([]byte(f.key.Secret[:4]))
			f.key.Secret = f.key.Secret[4:]
			f.hasKey = true
		}
	}
	return nil
}

// Tx is the transaction status that the last ReadyForQuery gave.
func (f *follower) Tx() codec.Tx { return f.tx }

// Owed is the number of commands whose ReadyForQuery has not come. A group counts from its first
// message.
func (f *follower) Owed() int {
	if f.commands == 0 && f.queue.size > 0 {
		return 1 // a Sync that ended a COPY's group after the group had been answered
	}
	return int(f.commands)
}

// Mid tells whether the stream of that side stands inside a message.
func (f *follower) Mid(s codec.Side) bool {
	if s == codec.Client {
		return f.client.mid()
	}
	return f.server.mid()
}

// Busy names what keeps this moment from being a safe point: "login", "replication", "copy",
// "owed", "message", "failed-transaction" or "transaction".
func (f *follower) Busy() string {
	switch {
	case f.login:
		return "login"
	case f.copying == copyBoth:
		return "replication"
	case f.copying != copyNone || f.strays > 0:
		return "copy"
	case f.Owed() > 0:
		return "owed"
	case f.client.mid() || f.server.mid():
		return "message"
	case f.tx == codec.TxFailed:
		return "failed-transaction"
	case f.tx == codec.TxOpen:
		return "transaction"
	}
	return ""
}

// Key is what BackendKeyData gave; a server may give none.
func (f *follower) Key() (codec.Key, bool) {
	if !f.hasKey {
		return codec.Key{}, false
	}
	return f.key, true
}

// Ending tells that the server sent a FATAL or PANIC, or the client its Terminate.
func (f *follower) Ending() bool { return f.ending }

// AppendError appends an ErrorResponse of severity FATAL, which may stand between any two messages.
func (f *follower) AppendError(dst []byte, e codec.Error) []byte {
	return appendFatal(dst, sqlState(e.Cond), e)
}
