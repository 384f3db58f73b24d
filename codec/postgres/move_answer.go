package postgres

import (
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"sluice/codec"
)

// maxAskRows bounds the rows of the answer to a question: a session that has more settings and statements is
// bound to its server.
const maxAskRows = 20_000

var errAnswer = errors.New("the server's answer about its session can't be understood")

// The pins that a question finds.
var (
	pinSize     = codec.Pin{Name: "state-size", Reason: "what it keeps at its server is more than may be carried"}
	pinLocks    = codec.Pin{Name: "advisory-lock", Reason: "it holds an advisory lock"}
	pinTemp     = codec.Pin{Name: "temp-table", Reason: "it has a temporary table or other temporary things"}
	pinHold     = codec.Pin{Name: "cursor", Reason: "it has a cursor WITH HOLD"}
	pinListen   = codec.Pin{Name: "listen", Reason: "it listens to a channel"}
	pinSlot     = codec.Pin{Name: "replication-slot", Reason: "it has a temporary replication slot"}
	pinPrepared = codec.Pin{Name: "prepared-statement", Reason: "a prepared statement of its own can't be made again elsewhere"}
)

// answerReader reads the answer to a question.
type answerReader struct {
	names   *customNames
	max     int // bytes of a state
	rows    int
	size    int
	custom  []setting
	defined map[string]bool
	temp    bool // there is a temporary schema
	state   sessionState
	pin     codec.Pin
	err     error // what is wrong with the answer, or the server's own words
}

// start begins with the answer to a question for names.
func (r *answerReader) start(names *customNames, limit int) {
	*r = answerReader{names: names, max: limit}
}

// row takes the body of a DataRow. It keeps nothing of it.
func (r *answerReader) row(body []byte) {
	if r.err != nil || r.pin.Name == pinSize.Name {
		return
	}
	var cols [4][]byte
	if !readRow(body, cols[:]) || len(cols[0]) != 1 {
		r.err = errAnswer
		return
	}
	r.rows++
	r.size += len(body) / 2
	if r.rows > maxAskRows || r.size > r.max {
		r.state, r.custom, r.pin = sessionState{}, nil, pinSize
		return
	}
	r.take(cols[0][0], cols[1:])
}

// take takes a row apart. The number of the rows that have one is in the first of its values.
func (r *answerReader) take(kind byte, cols [][]byte) {
	if kind == askAway {
		return
	}
	var v [3]string
	for i, c := range cols {
		if i == 0 && (kind == lookCustom || kind == askType) {
			v[i] = string(c)
			continue
		}
		b, err := hex.AppendDecode(nil, c)
		if err != nil {
			r.err = errAnswer
			return
		}
		v[i] = string(b)
	}
	s := &r.state
	switch kind {
	case askTimeout:
		s.timeout = v[1]
	case lookSetting:
		s.settings = append(s.settings, setting{v[0], v[1]})
	case lookDefined:
		if r.defined == nil {
			r.defined = make(map[string]bool)
		}
		r.defined[strings.Map(lowerRune, v[0])] = true
	case lookCustom:
		if i, err := strconv.Atoi(v[0]); err == nil && i >= 0 && i < r.names.count() {
			r.custom = append(r.custom, setting{r.names.name(i), v[1]})
		} else {
			r.err = errAnswer
		}
	case lookRole:
		s.role = v[1]
	case lookUser:
		s.user = v[1]
	case askStatement:
		r.statement(v)
	case askType:
		oid, err := strconv.ParseUint(v[0], 10, 32)
		if err != nil {
			r.err = errAnswer
			return
		}
		if s.names == nil {
			s.names = make(map[uint32]string)
		}
		s.names[uint32(oid)] = v[1]
	case askMaybeTemp:
		r.temp = true
	default:
		r.pinned(kind)
	}
}

// statement takes a prepared statement.
func (r *answerReader) statement(v [3]string) {
	p := preparedAs{name: v[0], text: v[1]}
	types, byParse := strings.CutPrefix(v[2], "p")
	switch {
	case byParse:
		for oid := range strings.FieldsSeq(types) {
			n, err := strconv.ParseUint(oid, 10, 32)
			if err != nil {
				r.err = errAnswer
			}
			p.types = append(p.types, uint32(n))
		}
	case strings.HasPrefix(v[2], "s"):
		p.sql = true
		text, ok := findPrepare([]byte(p.text), p.name)
		if !ok {
			r.setPin(pinPrepared)
		}
		p.text = text
	default:
		r.err = errAnswer
	}
	r.state.statements = append(r.state.statements, p)
}

// pinned takes a row that tells of what binds the session to its server.
func (r *answerReader) pinned(kind byte) {
	switch kind {
	case lookLock:
		r.setPin(pinLocks)
	case lookTemp:
		r.setPin(pinTemp)
	case lookCursor:
		r.setPin(pinHold)
	case lookListen:
		r.setPin(pinListen)
	case askSlot:
		r.setPin(pinSlot)
	default:
		r.err = errAnswer
	}
}

func (r *answerReader) setPin(p codec.Pin) {
	if r.pin == (codec.Pin{}) {
		r.pin = p
	}
}

// result returns the state, behind the last row. The reader may be used again.
func (r *answerReader) result() (*sessionState, error) {
	s := new(sessionState)
	*s = r.state
	switch {
	case r.err != nil:
		return nil, r.err
	case r.pin != codec.Pin{}:
		return nil, codec.PinError{Pin: r.pin}
	case s.user == "" || s.role == "" || s.timeout == "":
		return nil, errAnswer
	}
	for _, c := range r.custom {
		if !r.defined[c.name] && !slices.ContainsFunc(s.settings, func(x setting) bool { return strings.EqualFold(x.name, c.name) }) {
			s.settings = append(s.settings, c)
		}
	}
	r.custom = nil
	s.sort()
	if pin := s.unsafe(); pin != (codec.Pin{}) {
		return nil, codec.PinError{Pin: pin}
	}
	return s, nil
}

// unsafe is the pin of a state that would not come out the same: a text with a backslash in it has been read under the
// setting of standard_conforming_strings and backslash_quote that was in force then.
//
// https://www.postgresql.org/docs/current/runtime-config-compatible.html
func (s *sessionState) unsafe() codec.Pin {
	_, conforming := s.setting("standard_conforming_strings")
	_, quote := s.setting("backslash_quote")
	for _, p := range s.statements {
		if (conforming || quote) && strings.Contains(p.text, `\`) {
			return pinPrepared
		}
	}
	return codec.Pin{}
}
