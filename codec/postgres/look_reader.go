package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// Limits of what a look may tell. A session beyond them can't be followed.
const (
	maxLookRow  = 64 << 10 // bytes of a row
	maxLookRows = 2000
	maxLook     = 256 << 10 // bytes of all names and values
)

var errLook = errors.New("postgres: the server's answer about its session can't be understood, or is too long")

// lookResult is what a look has shown.
type lookResult struct {
	settings   *settings // as the session has set them; only if that section was asked for
	named      []setting // those that were asked for by name alone, but for empty ones
	role, user string    // the setting "role", and the session user; likewise
	pins       words     // the sections, of those asked for, that bind the session to its server
}

// lookReader reads the rows of a look.
type lookReader struct {
	asked   words
	names   *customNames
	list    []setting
	custom  []setting
	defined map[string]bool
	rows    int
	size    int
	out     lookResult
}

// start begins with the answer to a look for w and names, which do not change until it has ended.
func (r *lookReader) start(w words, names *customNames) {
	*r = lookReader{asked: w & wordLook, names: names}
}

// row takes the body of a DataRow, of maxLookRow bytes at most. It keeps nothing of it. After an error
// there is no result.
func (r *lookReader) row(body []byte) error {
	kind, name, value, ok := lookColumns(body)
	r.rows++
	r.size += len(name) + len(value)
	if !ok || r.rows > maxLookRows || r.size > maxLook {
		return errLook
	}
	switch kind {
	case lookSetting:
		r.list = append(r.list, setting{string(name), value})
	case lookDefined:
		if r.defined == nil {
			r.defined = make(map[string]bool)
		}
		r.defined[strings.Map(lowerRune, string(name))] = true
	case lookCustom:
		i, err := strconv.Atoi(string(name))
		if err != nil || i < 0 || i >= r.names.count() {
			return errLook
		}
		r.custom = append(r.custom, setting{r.names.name(i), value})
	case lookRole:
		r.out.role = value
	case lookUser:
		r.out.user = value
	default:
		return r.pin(kind)
	}
	return nil
}

// pin takes a row that tells of a reason for a pin.
func (r *lookReader) pin(kind byte) error {
	switch kind {
	case lookLock:
		r.out.pins |= wordLocks
	case lookTemp:
		r.out.pins |= wordTemp
	case lookCursor:
		r.out.pins |= wordCursors
	case lookPrepared:
		r.out.pins |= wordPrepared
	case lookListen:
		r.out.pins |= wordListen
	default:
		return errLook
	}
	return nil
}

// result returns what the rows told, behind the last one.
func (r *lookReader) result() lookResult {
	if r.asked&wordSettings != 0 {
		set := make(map[string]bool, len(r.list))
		for _, s := range r.list {
			set[strings.Map(lowerRune, s.name)] = true
		}
		for _, s := range r.custom {
			if !set[s.name] && !r.defined[s.name] {
				r.list = append(r.list, s)
			}
		}
		r.out.settings = newSettings(r.list)
	}
	if r.asked&(wordSettings|wordNamed) == wordNamed {
		r.out.named = r.custom
	}
	r.list, r.custom, r.defined = nil, nil, nil
	return r.out
}

// lookColumns takes a row apart: https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DATAROW.
func lookColumns(body []byte) (kind byte, name []byte, value string, ok bool) {
	if len(body) < 2 || binary.BigEndian.Uint16(body) != 3 {
		return 0, nil, "", false
	}
	var columns [3][]byte
	rest := body[2:]
	for i := range columns {
		if len(rest) < 4 {
			return 0, nil, "", false
		}
		n := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(n) > uint64(len(rest)) { // NULL is 0xffffffff
			return 0, nil, "", false
		}
		columns[i], rest = rest[:n], rest[n:]
	}
	if len(rest) != 0 || len(columns[0]) != 1 {
		return 0, nil, "", false
	}
	raw, err := hex.AppendDecode(nil, columns[2])
	return columns[0][0], columns[1], string(raw), err == nil
}
