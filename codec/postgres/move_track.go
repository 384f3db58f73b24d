package postgres

import (
	"bytes"
	"encoding/binary"

	"sluice/codec"
)

// Limits of what a tracker keeps, in bytes.
const (
	// maxUnnamed bounds the unnamed statement. A session with a longer one is pinned until it is replaced.
	maxUnnamed = 8 << 10
	// maxTracked bounds a text that comes in pieces. What is behind it is looked at for words alone.
	maxTracked = 256 << 10
)

// What binds a session for as long as it lasts, as far as its own messages and its login tell.
var (
	pinCredentials = codec.Pin{Name: "credentials", Reason: "nothing is known to log in with elsewhere as its user"}
	pinReplication = codec.Pin{Name: "replication", Reason: "it is a connection for replication"}
	pinOption      = codec.Pin{Name: "protocol-option", Reason: "it has asked for an option of the protocol"}
	pinSettings    = codec.Pin{Name: "settings", Reason: "it has set settings of its own whose names can't be told"}
	pinCurrval     = codec.Pin{Name: "currval", Reason: "it has used currval or lastval, which speak of its past at this server"}
	pinFunction    = codec.Pin{Name: "function", Reason: "it has called a function whose effect on a session can't be seen"}
	pinUnnamed     = codec.Pin{Name: "unnamed-statement", Reason: "its unnamed statement is too long, or not known for certain"}
)

// tracker notes, of a session that may be moved, what its server can't be asked for, and when what it was asked
// for has become doubtful. The follower calls it as the streams go by.
type tracker struct {
	opt            *codec.MoveOptions
	words          *wordSet
	startup        []byte // the StartupMessage, as the client has sent it
	user, database string
	secret         *codec.Secret // nil: nothing is known

	told    told
	status  []byte // a ParameterStatus that has not come whole yet
	names   customNames
	unnamed unnamedStatement
	loaded  []string  // libraries, by LOAD
	bound   codec.Pin // the first that is for good; "" if there is none

	endings    endings
	risky      bool // there is a named statement that may change the session when it is executed
	makes      makings
	paramNames bool      // parameters may hold names of settings
	gather     *gathered // nil: none

	begun, ended uint32 // commands
	due          uint32 // of the last message that was looked at: the number of its reply in its group
	marks        uint32
	known        *sessionState // as it was when marks was knownMarks; nil if it was never asked for
	knownMarks   uint32
	knownAt      uint32     // what begun was then
	found        *codec.Pin // what a question has found, or nil; as long as no further command has begun
	foundAt      uint32
	pinned       bool // a move has found a pin, which any command may end
}

// unnamedStatement is the Parse by which the session has its unnamed statement. It lasts until the next one, or
// a Query: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY.
type unnamedStatement struct {
	raw     []byte // the whole message; empty if there is none
	unsure  bool   // there may be one that is not known
	risky   bool   // it may change the session when it is executed
	makes   bool   // it may be a SELECT INTO
	ends    bool   // it may end a transaction when it is executed
	command uint32 // the command that its Parse is in, as counted by begun
	at      uint32 // the number of the Parse's reply among those of its group
}

// gathered is a message of the client's that comes in pieces.
type gathered struct {
	typ  byte
	left uint32
	body []byte
	scan wordScanner // what is behind maxTracked
	long bool
}

// tracks tells whether a tracker looks at that type of message of a client's.
func (t *tracker) tracks(typ byte) bool { return isTracked[typ] || typ == 'B' && t.paramNames }

var isTracked = [256]bool{'Q': true, 'P': true, 'C': true, 'F': true}

// unknownNow begins the session: it is as its login has left it.
func (t *tracker) unknownNow() { t.known = untouched }

// untouched is the state of all sessions in which nothing was done since the login.
var untouched = &sessionState{pristine: true}

// bind binds the session for good.
func (t *tracker) bind(p codec.Pin) {
	if t.bound.Name == "" {
		t.bound = p
	}
}

// begin takes the begin of a command. extended tells that it is a group, which may run what was prepared before.
func (t *tracker) begin(extended bool) {
	if t.begun == t.ended {
		t.endings.due, t.endings.opens = false, false
		t.makes = t.unnamed.makings()
	}
	t.begun++
	if extended && (t.endings.named || t.unnamed.ends) {
		t.endings.due = true
	}
	if extended && (t.risky || t.unnamed.risky) || t.pinned {
		t.pinned = false
		t.marks++
	}
}

// end takes the end of the oldest command. replies is the number of its messages that were answered.
func (t *tracker) end(failed bool, replies uint32) {
	t.ended++
	u := &t.unnamed
	if !failed || t.ended != u.command || replies >= u.at {
		return
	}
	u.raw = u.raw[:0]
	u.unsure = replies+1 < u.at // the server has not come to it
}

// message takes a message of the client's, with as much of its body as is at hand. due is the number of its
// reply in its group.
func (t *tracker) message(typ byte, size, due uint32, body []byte) {
	if typ == 'Q' {
		t.dropUnnamed()
	}
	t.due = due
	if uint32(len(body)) == size-4 {
		t.whole(typ, body)
		return
	}
	t.gather = &gathered{typ: typ, left: size - 4}
	t.more(body)
}

// more takes the next piece of a message that was not whole.
func (t *tracker) more(p []byte) {
	g := t.gather
	g.left -= uint32(len(p))
	n := min(len(p), maxTracked-len(g.body))
	g.body = append(g.body, p[:n]...)
	if n < len(p) && !g.long {
		g.long = true
		g.scan.start(t.words)
	}
	if g.long {
		g.scan.feed(p[n:])
	}
	if g.left > 0 {
		return
	}
	typ, body, long, found := g.typ, g.body, g.long, words(0)
	if long {
		found = g.scan.result()
	}
	t.gather = nil
	t.whole(typ, body)
	if long {
		t.behind(typ, body, found)
	}
}

// behind judges what was too long to be gathered.
func (t *tracker) behind(typ byte, body []byte, found words) {
	t.marks++
	if typ == 'B' || maySet(statement(typ, body)) || found&wordSettings != 0 {
		t.bind(pinSettings)
	}
	t.bindBy(found)
}

// whole takes a message with its body.
func (t *tracker) whole(typ byte, body []byte) {
	switch typ {
	case 'Q':
		text := statement(typ, body)
		if plain, makes := t.plainly(text); plain && !makes {
			t.endings.opens = false
			return
		}
		risky, verb := t.text(text)
		if risky {
			t.marks++
		}
		t.endings.due = t.endings.due || verb&verbEnds != 0
		t.endings.opens = verb&verbOpens != 0
	case 'P':
		t.parse(body)
	case 'C':
		switch {
		case len(body) < 2 || body[0] != 'S':
		case body[1] == 0:
			t.dropUnnamed()
		default:
			t.marks++
		}
	case 'F':
		t.function(body)
	case 'B':
		t.parameters(body)
	}
}

// plainly tells that a text is plain; makes: but it may be a SELECT INTO.
func (t *tracker) plainly(text []byte) (plain, makes bool) {
	plain, selects := t.isPlain(text)
	return plain, plain && selects && saysInto(text)
}

// parse takes a Parse.
func (t *tracker) parse(body []byte) {
	text := statement('P', body)
	if len(body) > 0 && body[0] == 0 {
		if plain, makes := t.plainly(text); plain {
			t.keepUnnamed(body)
			t.unnamed.risky, t.unnamed.ends, t.unnamed.makes = false, false, makes
			t.makes |= t.unnamed.makings()
			return
		}
	}
	risky, verb := t.text(text)
	ends := verb&verbEnds != 0
	t.endings.due = t.endings.due || ends
	if risky || len(body) == 0 || body[0] != 0 {
		t.marks++
	}
	if len(body) == 0 || body[0] != 0 {
		t.risky = t.risky || risky
		t.endings.named = t.endings.named || ends
		return
	}
	t.keepUnnamed(body)
	t.unnamed.risky, t.unnamed.ends, t.unnamed.makes = risky, ends, false
}

// makings is what an execution of the unnamed statement may do.
func (u *unnamedStatement) makings() makings {
	if u.makes {
		return makesMaybe
	}
	return 0
}

// dropUnnamed forgets the unnamed statement. A portal may still have it.
func (t *tracker) dropUnnamed() {
	if t.unnamed.makes {
		t.marks++
	}
	t.unnamed = unnamedStatement{raw: t.unnamed.raw[:0]}
}

// keepUnnamed keeps the Parse of the unnamed statement.
func (t *tracker) keepUnnamed(body []byte) {
	u := &t.unnamed
	if u.makes {
		t.marks++ // as in dropUnnamed
	}
	u.raw = u.raw[:0]
	u.command, u.at = t.begun, t.due
	n := headerSize + len(body)
	if u.unsure = n > min(maxUnnamed, t.opt.StateMax); !u.unsure {
		u.raw = append(appendHeader(u.raw, 'P', len(body)), body...)
	}
}

// function takes a FunctionCall, which names its function by OID.
func (t *tracker) function(body []byte) {
	if len(body) < 4 {
		return
	}
	w := functionWords(binary.BigEndian.Uint32(body))
	if w&wordUnsure != 0 {
		t.bind(pinSettings)
	}
	t.bindBy(w)
	if w != 0 {
		t.marks++
	}
}

// parameters takes the values of a Bind for names of settings.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BIND
func (t *tracker) parameters(body []byte) {
	_, body, _ = bytes.Cut(body, []byte{0}) // the portal
	_, body, _ = bytes.Cut(body, []byte{0}) // the statement
	if len(body) < 2 {
		return
	}
	formats := 2 + 2*int(binary.BigEndian.Uint16(body))
	if len(body) < formats+2 {
		return
	}
	n := binary.BigEndian.Uint16(body[formats:])
	for body = body[formats+2:]; n > 0 && len(body) >= 4; n-- {
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			continue
		}
		if int64(size) > int64(len(body)) {
			return
		}
		t.names.add(body[:size])
		body = body[size:]
	}
	if t.names.isFull() {
		t.bind(pinSettings)
	}
}

// text looks at the text of statements, and tells whether they may change what the session keeps, and what their first
// word says.
func (t *tracker) text(text []byte) (risky bool, verb verbs) {
	w := scanText(text, t.words)
	text = withoutComments(text)
	if w&wordSettings != 0 || maySet(text) {
		f := settingFinder{scan: sqlScanner{text: text}, names: &t.names, calls: w&wordSettings != 0, locals: true}
		f.run(text)
		t.paramNames = t.paramNames || f.says&wordParams != 0
		if f.says&wordUnsure != 0 || t.names.isFull() {
			t.bind(pinSettings)
		}
	}
	t.bindBy(w)
	verb = verbOf(text)
	if verb&verbHarmless == 0 {
		t.libraries(text)
	}
	return w != 0 || verb&verbHarmless == 0, verb
}

// bindBy binds the session by words for which there is no question.
func (t *tracker) bindBy(w words) {
	switch {
	case w&wordSequence != 0:
		t.bind(pinCurrval)
	case w&wordFunction != 0:
		t.bind(pinFunction)
	}
}

// reported takes a piece of a ParameterStatus; left are the bytes that have not come before it.
func (t *tracker) reported(p []byte, left uint32) {
	if left > maxTold {
		t.told.lost = true // the rest of it, too, is no message that could be told
	}
	if t.told.lost {
		t.status = nil
		return
	}
	if len(t.status) == 0 {
		t.status = appendHeader(t.status, msgParameter, int(left))
	}
	if t.status = append(t.status, p...); uint32(len(p)) == left {
		t.told.put(t.status)
		t.status = t.status[:0]
	}
}

// pin says what binds the session, as far as that is known.
func (t *tracker) pin() codec.Pin {
	switch {
	case t.bound.Name != "":
		return t.bound
	case t.unnamed.unsure:
		return pinUnnamed
	case t.told.lost:
		return pinSize
	case t.found != nil && t.foundAt == t.begun:
		return *t.found
	}
	return codec.Pin{}
}

// learn takes the answer to a question that was asked when marks and begun were what is given.
func (t *tracker) learn(s *sessionState, marks, begun uint32) {
	t.known, t.knownMarks, t.knownAt = s, marks, begun
	t.found = nil
}

// isKnown tells whether the session's state is known without a question.
func (t *tracker) isKnown() bool {
	return t.known != nil && t.knownMarks == t.marks && t.pin() == codec.Pin{} && t.known.lasting() &&
		t.known.typesKnown(t.unnamed.raw)
}
