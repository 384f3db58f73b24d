package mysql

import (
	"bytes"
	"strconv"
)

// maxOwnID is the longest payload that is looked at as a question for the connection's id, in bytes, and so
// about the most that is held back.
const maxOwnID = 256

// ownID answers a moved session's plain questions for its connection id with the id that the client was told
// in its greeting, under which KILL finds it: the question is rewritten to one for that number. It is not in use
// in a compressed session.
type ownID struct {
	m    *Mover
	left uint32 // bytes of the client's packet at hand that are to pass
	more bool   // the next packet continues it
	held []byte // the begin of a message that is not whole
	in   []byte // held bytes and those behind them
	out  []byte
}

// client rewrites questions in bytes of the client. What it returns is valid until the next call.
func (o *ownID) client(p []byte) []byte {
	if len(o.held) > 0 {
		o.in = append(append(o.in[:0], o.held...), p...)
		o.held, p = o.held[:0], o.in
	}
	data := o.m.awaitsData()
	o.out = o.out[:0]
	from, i := 0, 0 // p[from:i] is done and not in out
	for i < len(p) {
		if o.left > 0 {
			n := min(int(o.left), len(p)-i)
			o.left -= uint32(n)
			i += n
			continue
		}
		rest := p[i:]
		if len(rest) < headerLen {
			break
		}
		size := packetLen(rest)
		if !o.more && !data && size > 1 && size <= maxOwnID {
			asks, whole := o.mayAsk(rest)
			if asks && !whole {
				break
			}
			if n := headerLen + int(size); asks {
				o.out = append(o.out, p[from:i]...)
				var ok bool
				if o.out, ok = o.rewrite(o.out, rest[:n]); !ok {
					o.out = append(o.out, rest[:n]...)
				}
				i += n
				from = i
				continue
			}
		}
		o.more, o.left = size == fullLen, size
		i += headerLen
	}
	o.held = append(o.held, p[i:]...)
	if from == 0 {
		return p[:i]
	}
	o.out = append(o.out, p[from:i]...)
	return o.out
}

// mayAsk tells whether a short message at the front of p may be a question for the id, and whether it is
// whole.
func (o *ownID) mayAsk(p []byte) (asks, whole bool) {
	whole = len(p) >= headerLen+int(packetLen(p))
	b := p[headerLen:]
	if len(b) == 0 {
		return true, false
	}
	if b[0] != comQuery {
		return false, whole
	}
	text := b[1:]
	if o.m.facts.caps&capQueryAttributes != 0 {
		if len(text) < 3 || text[0] != 0 {
			return true, whole
		}
		text = text[2:]
	}
	if len(text) == 0 {
		return true, whole
	}
	c := text[0]
	return c|0x20 == 's' || c == '/' || c == '-' || c == '#' || isSpace(c), whole
}

// rewrite appends the message with a number in place of the question; ok is false if it asks for something
// else.
func (o *ownID) rewrite(dst, msg []byte) (out []byte, ok bool) {
	payload := msg[headerLen:]
	text := payload[1:]
	if o.m.facts.caps&capQueryAttributes != 0 {
		if text, ok = skipAttributes(text); !ok {
			return dst, false
		}
	}
	at, end, named, ok := ownIDText(text)
	if !ok {
		return dst, false
	}
	start := len(dst)
	dst = append(dst, msg[:headerLen]...)
	dst = append(dst, payload[:len(payload)-len(text)+at]...)
	dst = append(dst, "CAST("...)
	dst = strconv.AppendUint(dst, uint64(o.m.facts.key), 10)
	dst = append(dst, " AS UNSIGNED)"...)
	if !named {
		dst = append(append(append(dst, " AS `"...), text[at:end]...), '`')
	}
	dst = append(dst, text[end:]...)
	appendHeader(dst[start:start], len(dst)-start-headerLen, msg[3])
	return dst, true
}

// ownIDText reads a statement that asks for the connection's id, and nothing else:
//
//	SELECT CONNECTION_ID() | @@[SESSION.]pseudo_thread_id [[AS] name] [;]
//
// at and end are where the expression stands in text, which is also the name of its column if it is not
// given one (named).
//
//   - https://dev.mysql.com/doc/refman/8.0/en/information-functions.html#function_connection-id
//   - https://dev.mysql.com/doc/refman/8.0/en/server-system-variables.html#sysvar_pseudo_thread_id
func ownIDText(text []byte) (at, end int, named, ok bool) {
	s := scanner{b: text}
	if !s.word("SELECT") {
		return 0, 0, false, false
	}
	s.blank()
	at = s.i
	if s.sign("@@") {
		if s.word("SESSION") && !s.sign(".") {
			return 0, 0, false, false
		}
		ok = s.word("PSEUDO_THREAD_ID")
	} else {
		ok = s.word("CONNECTION_ID") && s.sign("(") && s.sign(")")
	}
	end = s.i
	if !ok || bytes.ContainsAny(text[at:end], "/#-`") {
		return 0, 0, false, false
	}
	s.blank()
	as := s.word("AS")
	if s.blank(); s.i < len(s.b) && s.b[s.i] != ';' {
		if named = s.name(); !named {
			return 0, 0, false, false
		}
		s.blank()
	}
	if as && !named {
		return 0, 0, false, false
	}
	if s.i < len(s.b) && s.b[s.i] == ';' {
		s.i++
		s.blank()
	}
	return at, end, named, !s.torn && s.i == len(s.b)
}

// sign skips a sign if it is the next.
func (s *scanner) sign(w string) bool {
	s.blank()
	if !bytes.HasPrefix(s.b[s.i:], []byte(w)) {
		return false
	}
	s.i += len(w)
	return true
}

// name skips a name that is plain, or quoted by backticks without one in it.
func (s *scanner) name() bool {
	rest := s.b[s.i:]
	if rest[0] == '`' {
		n := bytes.IndexByte(rest[1:], '`')
		if n <= 0 || n+2 < len(rest) && rest[n+2] == '`' {
			return false
		}
		s.i += n + 2
		return true
	}
	from := s.i
	for s.i < len(s.b) && isWord(s.b[s.i]) {
		s.i++
	}
	word := bytes.ToUpper(s.b[from:s.i])
	switch string(word) {
	case "", "FROM", "WHERE", "LIMIT", "INTO", "UNION", "ORDER", "GROUP", "HAVING", "FOR", "LOCK", "DIV", "MOD", "AND",
		"OR", "XOR", "IS", "IN", "LIKE", "BETWEEN", "RLIKE", "REGEXP", "NOT", "COLLATE", "PROCEDURE", "WINDOW",
		"EXCEPT", "INTERSECT", "OFFSET", "FETCH", "SOUNDS", "MEMBER":
		return false
	}
	return word[0] < '0' || word[0] > '9'
}
