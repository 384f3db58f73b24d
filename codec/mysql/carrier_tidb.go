package mysql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"sluice/codec"
)

// tidbCarrier carries the state of a TiDB session: the server tells it as JSON, together with a token that
// lets the user in at another server of the cluster for a minute, and takes it back by a statement.
// Prepared statements keep their ids.
//
// https://docs.pingcap.com/tidb/stable/tiproxy-overview
type tidbCarrier struct {
	m      *Mover
	only   bool // it is asked for the answer's sake alone
	states string
	token  []byte
	parsed tidbStates
}

// tidbStates is what has to be known of the JSON; the rest of it is TiDB's own affair.
type tidbStates struct {
	database string // current-db; "" too if it was dropped
	mode     string // sql_mode in sys-vars
	results  string // character_set_results in sys-vars
	prepared []tidbPrepared
}

// tidbPrepared is a prepared statement; one of COM_STMT_PREPARE has no name.
type tidbPrepared struct{ name, text string }

// showStates asks for the state and the token. It leaves the warnings of the statement before it as they are, and
// tells its counts, but has taken them away then (fragile).
const showStates = "SHOW SESSION_STATES"

func (c *tidbCarrier) ask(v *move) []string {
	c.only = v.cfg.AskOnly
	return []string{showStates}
}

func (c *tidbCarrier) answered(_ int, r *answer) (more []string, err error) {
	if r.err != nil {
		return nil, tidbRefusal(r.err)
	}
	row, ok := r.one(2)
	if !ok || row[0] == nil {
		return nil, errors.New("the server's answer to " + showStates + " is not known")
	}
	if len(row[1]) == 0 || string(row[1]) == "null" {
		return nil, codec.PinError{Pin: codec.Pin{Name: "token", Reason: "its server gave no session token"}}
	}
	c.states, c.token = string(row[0]), row[1]
	if err := c.read(); err != nil {
		return nil, err
	}
	switch {
	case len(c.states) > c.m.opt.StateMax:
		return nil, errAnswerLong
	case c.only:
		c.m.keepStates(c.states)
	}
	return nil, nil
}

// read looks into the state for what decides how it is put in place.
func (c *tidbCarrier) read() error {
	var err error
	if c.parsed, err = parseStates(c.states); err != nil {
		return fmt.Errorf("the session's state is not what TiDB tells: %w", err)
	}
	if len(c.parsed.prepared) == 0 {
		c.m.prepares, c.m.modes = false, false
	}
	for _, ch := range c.parsed.mode {
		if ch != '_' && ch != ',' && !isWordRune(ch) {
			return errors.New("the session's sql_mode is not known")
		}
	}
	if !c.readable() {
		return codec.PinError{Pin: codec.Pin{
			Name: "charset", Reason: "what it has prepared can't be read in its character_set_results",
		}}
	}
	if c.literal() && c.prepares(true, `\'`) {
		return codec.PinError{Pin: codec.Pin{
			Name: "sql-mode", Reason: "TiDB can't prepare a statement of its again under NO_BACKSLASH_ESCAPES",
		}}
	}
	if c.m.modes && c.prepares(false, "\"\\|") {
		return codec.PinError{Pin: codec.Pin{
			Name: "sql-mode", Reason: "it has changed its sql_mode since it prepared statements whose sense depends on it",
		}}
	}
	return nil
}

// parsers are free parsers. They take a tenth of the time that encoding/json has for the 12 KiB of a state, in each
// move and each time a session at rest is asked. What they let pass, such as control characters in a string, is for the
// new server to judge.
var parsers fastjson.ParserPool

// parseStates reads a state. What is missing in it is empty.
func parseStates(states string) (s tidbStates, err error) {
	p := parsers.Get()
	defer parsers.Put(p)
	v, err := p.Parse(states)
	if err != nil {
		return s, err
	}
	object := func(v *fastjson.Value) (o *fastjson.Object) {
		if v != nil && v.Type() != fastjson.TypeNull && err == nil {
			o, err = v.Object()
		}
		return o
	}
	text := func(v *fastjson.Value) string {
		if v == nil || v.Type() == fastjson.TypeNull || err != nil {
			return ""
		}
		var b []byte
		b, err = v.StringBytes()
		return string(b)
	}
	all := object(v)
	if all == nil {
		return s, err
	}
	s.database = text(all.Get("current-db"))
	if vars := object(all.Get("sys-vars")); vars != nil {
		s.mode, s.results = text(vars.Get("sql_mode")), text(vars.Get("character_set_results"))
	}
	object(all.Get("prepared-stmts")).Visit(func(_ []byte, v *fastjson.Value) {
		if o := object(v); o != nil {
			s.prepared = append(s.prepared, tidbPrepared{name: text(o.Get("name")), text: text(o.Get("text"))})
		}
	})
	return s, err
}

func isWordRune(r rune) bool { return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' }

// readable tells that the state has come as it is. TiDB converts it to the session's character set, in which
// what has no place in it becomes "?".
func (c *tidbCarrier) readable() bool {
	switch strings.ToLower(c.parsed.results) {
	case "", "binary", "utf8", "utf8mb4", "latin1": // (TiDB's latin1 is UTF-8)
		return true
	}
	for i := range len(c.states) {
		if b := c.states[i]; b >= 0x80 || b == '?' {
			return false
		}
	}
	return true
}

// literal tells that a backslash is an ordinary character in the session's strings.
func (c *tidbCarrier) literal() bool {
	return strings.Contains(c.parsed.mode, "NO_BACKSLASH_ESCAPES")
}

// prepares tells that a statement that is prepared, by PREPARE if named, has one of some characters. A
// backslash and a quote are those that TiDB escapes when it prepares a named one again, without a look at
// the sql_mode; a double quote, a backslash and a bar are those of which the mode says what they
// mean.
func (c *tidbCarrier) prepares(named bool, chars string) bool {
	for _, p := range c.parsed.prepared {
		if (p.name != "" || !named) && strings.ContainsAny(p.text, chars) {
			return true
		}
	}
	return false
}

// recall takes up what the server has told last: it is lost. A session that has done nothing since its
// login needs no more than a login.
func (c *tidbCarrier) recall() (err error) {
	switch {
	case !c.m.Known():
		return errNotKnown
	case c.m.marks == 0:
		return nil
	}
	if c.states, err = c.m.kept.unpack(); err != nil {
		return err
	}
	return c.read()
}

var errNotKnown = errors.New("the session's state is not known without its server")

// signOn logs in with what the old server gave: by the token, at the session's database. The state's text
// is UTF-8, so that is what the connection begins with; the state then sets the session's own.
func (c *tidbCarrier) signOn(s *signin) {
	if c.states == "" {
		s.database = c.m.account.database
		return
	}
	s.database, s.token = c.parsed.database, c.token
	a := *s.account
	a.collation = utf8mb4Bin
	s.account = &a
}

// utf8mb4Bin is the number of the collation utf8mb4_bin.
const utf8mb4Bin = 46

// put sets the sql_mode first: by it TiDB reads the literal of the state, and the statements in it, which it
// prepares before it comes to the variables.
func (c *tidbCarrier) put() [][]byte {
	if c.states == "" {
		return nil // nothing has changed since the login
	}
	caps := c.m.facts.caps
	return [][]byte{
		appendQuery(nil, caps, "SET sql_mode='"+c.parsed.mode+"'"),
		appendQuery(nil, caps, "SET SESSION_STATES '"+quoteStates(withoutCharsets(c.states), c.literal())+"'"),
	}
}

// withoutCharsets takes the character sets out of a state that the collations in it imply. TiDB sets the
// variables of a state in any order, and setting one of these gives the collation its default.
func withoutCharsets(states string) string {
	for _, pair := range [...][2]string{
		{`"character_set_connection": "`, `"collation_connection": "`},
		{`"character_set_server": "`, `"collation_server": "`},
	} {
		// Within a string of JSON these quotes would have backslashes.
		front, rest, ok := strings.Cut(states, pair[0])
		if !ok || !strings.Contains(states, pair[1]) {
			continue
		}
		value, rest, ok := strings.Cut(rest, `"`)
		if rest, more := strings.CutPrefix(rest, ", "); ok && more && !strings.Contains(value, `\`) {
			states = front + rest
		}
	}
	return states
}

// quoteStates makes the inside of a literal.
//
// https://dev.mysql.com/doc/refman/8.0/en/string-literals.html
func quoteStates(s string, literal bool) string {
	s = strings.ReplaceAll(s, "'", "''")
	if literal {
		return s
	}
	return strings.ReplaceAll(s, `\`, `\\`)
}

func (c *tidbCarrier) placed(i int, r *answer) (more [][]byte, err error) {
	switch {
	case r.err != nil && i == 0:
		return nil, fmt.Errorf("the new server refused the session's sql_mode: %w", r.err)
	case r.err != nil:
		return nil, fmt.Errorf("the new server refused the session's state: %w", r.err)
	}
	const compared = statusAutocommit | statusInTrans
	if i == 1 && r.status&compared != c.m.facts.status&statusAutocommit {
		return nil, errors.New("the session's state did not come out the same")
	}
	return nil, nil
}

// apply keeps the state, for which the client does not wait: it is the new server's, too.
func (c *tidbCarrier) apply(*Follower) {
	if c.states != "" {
		c.m.keepStates(c.states)
	}
}

// cannotMigrate is TiDB's error for a session whose state can't be told: "cannot migrate the current
// session: %s".
//
// https://docs.pingcap.com/tidb/stable/error-codes
const cannotMigrate = 8146

// tidbPins name what TiDB says in that error.
var tidbPins = [...]struct {
	says string
	pin  codec.Pin
}{
	{"local temporary table", codec.Pin{Name: "temp-table", Reason: "it has local temporary tables"}},
	{"advisory lock", codec.Pin{Name: "user-lock", Reason: "it holds locks of GET_LOCK"}},
	{"locked table", codec.Pin{Name: "table-lock", Reason: "it holds locks of LOCK TABLES"}},
	{"sandbox", codec.Pin{Name: "sandbox", Reason: "its user's password has expired"}},
	{"bound param", codec.Pin{Name: "long-data", Reason: "a parameter was sent ahead of its statement"}},
	{"unfetched", codec.Pin{Name: "cursor", Reason: "a cursor has rows left"}},
	{"invisible variable", codec.Pin{Name: "variable", Reason: "it has set a variable that may not be set any more"}},
	{"no certificate", codec.Pin{Name: "token", Reason: "its server has no certificate to sign tokens with"}},
	{"private key", codec.Pin{Name: "token", Reason: "its server can't sign tokens with the key it has"}},
}

// tidbRefusal tells what TiDB has against telling the state.
func tidbRefusal(e *serverFail) error {
	if e.no.code == cannotMigrate {
		for _, p := range tidbPins {
			if strings.Contains(e.text, p.says) {
				return codec.PinError{Pin: p.pin}
			}
		}
	}
	if e.no.code == erParse {
		return codec.PinError{Pin: codec.Pin{Name: "server", Reason: "its server is too old to tell its state"}}
	}
	return fmt.Errorf("the old server did not tell the session's state: %w", e)
}

// erParse is ER_PARSE_ERROR.
const erParse = 1064
