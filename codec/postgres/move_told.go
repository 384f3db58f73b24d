package postgres

import (
	"bytes"
	"encoding/binary"
	"unique"
)

// maxTold bounds what is kept of the parameters that a session's client has been told, in bytes. PostgreSQL 18
// reports 15, in less than 500.
const maxTold = 16 << 10

// told are the ParameterStatus messages whose values the client has, one for each name, as they came. They are
// raw, since their text is in the client's encoding.
//
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
type told struct {
	list []byte
	// same has what the list would hold, where clients are told the same by their logins, and nothing since: it is
	// held once. Its zero value says that the list holds it.
	same unique.Handle[string]
	lost bool // there was too much of it
}

// share has the list held once for all sessions that were told the same.
func (t *told) share() {
	if len(t.list) > 0 {
		t.same, t.list = unique.Make(string(t.list)), nil
	}
}

// own has the list held for this session, to be read and changed.
func (t *told) own() {
	if t.same != (unique.Handle[string]{}) {
		t.list, t.same = []byte(t.same.Value()), unique.Handle[string]{}
	}
}

// put takes a whole ParameterStatus.
func (t *told) put(msg []byte) {
	name, _, ok := bytes.Cut(msg[headerSize:], []byte{0})
	if !ok {
		return // not well formed: nobody can know what it says
	}
	t.own()
	if at, n := t.find(name); n > 0 {
		if n == len(msg) {
			copy(t.list[at:], msg)
			return
		}
		t.list = append(t.list[:at], t.list[at+n:]...)
	}
	if len(t.list)+len(msg) > maxTold {
		t.lost = true
		return
	}
	t.list = append(t.list, msg...)
}

// find returns the place and length of the message about that name.
func (t *told) find(name []byte) (at, n int) {
	for at < len(t.list) {
		msg := t.message(at)
		if has, _, _ := bytes.Cut(msg[headerSize:], []byte{0}); bytes.Equal(has, name) {
			return at, len(msg)
		}
		at += len(msg)
	}
	return 0, 0
}

// message is the message at a place.
func (t *told) message(at int) []byte {
	return t.list[at : at+1+int(binary.BigEndian.Uint32(t.list[at+1:]))]
}

// appendNews appends the messages of t that say something else than those of old.
func (t *told) appendNews(dst []byte, old *told) []byte {
	t.own()
	old.own()
	for at := 0; at < len(t.list); {
		msg := t.message(at)
		at += len(msg)
		name, _, _ := bytes.Cut(msg[headerSize:], []byte{0})
		if i, n := old.find(name); n == 0 || !bytes.Equal(old.list[i:i+n], msg) {
			dst = append(dst, msg...)
		}
	}
	return dst
}
