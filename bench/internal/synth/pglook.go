package synth

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
)

// A pooler that keeps its clients apart asks the server what is set in its session. The synthetic
// server has nothing set, whatever a client has said; that much it can tell:
//
//	kind, name, value in hex       R = the role, U = the user of the session
//
// Other rows stand for settings, locks and so on, of which it has none.

// lookMark stands in the text of a statement that asks for that.
var lookMark = []byte("pg_catalog.pg_settings")

func isLook(text []byte) bool { return bytes.Contains(text, lookMark) }

// lookColumns is the RowDescription of a look.
var lookColumns = pgColumns("kind", "name", "value")

// look answers one.
func (p *pgServer) look(r *reply) {
	r.out = append(r.out, lookColumns...)
	lookRow(r, "R", "none")
	lookRow(r, "U", p.user)
	p.extended = false
	p.last(r, 1)
}

// lookRow appends a DataRow.
func lookRow(r *reply, kind, value string) {
	at := len(r.out)
	r.out = append(r.out, 'D', 0, 0, 0, 0, 0, 3)
	for _, column := range []string{kind, "", hex.EncodeToString([]byte(value))} {
		r.out = binary.BigEndian.AppendUint32(r.out, uint32(len(column)))
		r.out = append(r.out, column...)
	}
	binary.BigEndian.PutUint32(r.out[at+1:], uint32(len(r.out)-at-1))
}
