package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"

	"sluice/codec"
)

// fieldCost is what a value of a row is counted for beside its bytes: what it takes in memory.
const fieldCost = 32

var (
	errAnswerLong  = codec.PinError{Pin: codec.Pin{Name: "state-size", Reason: "its state takes more memory than is allowed"}}
	errAnswerExtra = errors.New("the server says more than it was asked")
	errAnswerOrder = errors.New("the server's answers are out of order")
)

// reading takes in the answers to commands of Sluice's own, of one server, cut anywhere. It holds no more
// than room, whatever the server claims.
type reading struct {
	caps uint32
	ext  uint32
	z    *compression // nil in a session that is not compressed
	in   []byte       // the front of a packet that is not whole
	room int          // bytes that the answers may still take
	due  []byte       // the command bytes whose answers are owed, oldest first
	i    int          // number of the answer at hand
	took func(i int, r *answer) error

	cur   *answer
	seq   uint8 // of the next packet of cur
	phase phase
	skip  uint32
	later bool // the first result set is over
}

// newReading returns a reading in a session that x describes.
//
// The answers to a carrier's commands may take room bytes altogether.
func newReading(x *facts, room int, took func(i int, r *answer) error) *reading {
	r := &reading{caps: x.caps, ext: x.ext, room: room, took: took}
	if x.caps&(capCompress|capZstd) != 0 {
		r.z = newCompression(x.caps&capCompress == 0)
	}
	return r
}

// close gives back what an unfinished frame holds.
func (r *reading) close() {
	if r.z != nil {
		r.z.server.close()
	}
}

// expect notes a command that has been sent.
func (r *reading) expect(com byte) { r.due = append(r.due, com) }

// over tells that nothing is owed.
func (r *reading) over() bool { return r.i == len(r.due) }

// server takes bytes of the server.
func (r *reading) server(p []byte) error {
	if r.z != nil {
		return r.z.feed(&r.z.server, p, r.packets)
	}
	return r.packets(p)
}

// packets takes bytes of the stream of packets.
func (r *reading) packets(p []byte) error {
	r.in = append(r.in, p...)
	for len(r.in) >= headerLen {
		n := int(packetLen(r.in))
		if n == fullLen || n > r.room {
			return errAnswerLong
		}
		if len(r.in) < headerLen+n {
			return nil
		}
		if r.over() {
			return errAnswerExtra
		}
		if !r.inOrder(r.in[3]) {
			return errAnswerOrder
		}
		b := r.in[headerLen : headerLen+n]
		r.room -= headerLen + n
		r.in = r.in[headerLen+n:]
		if err := r.message(b); err != nil {
			return err
		}
	}
	if len(r.in) > 0 && r.over() {
		return errAnswerExtra
	}
	return nil
}

// inOrder takes the sequence id of a packet: commands of Sluice's own are one packet long, so answers begin with 1. In a
// compressed session implementations differ in what they write into packets.
func (r *reading) inOrder(seq uint8) bool {
	want := r.seq
	if r.cur == nil {
		want = 1
	}
	r.seq = seq + 1
	return seq == want || r.z != nil
}

// message judges one message, as Follower.answer does, and keeps what it says.
func (r *reading) message(b []byte) error {
	if r.cur == nil {
		r.cur, r.phase, r.later = &answer{}, phaseFirst, false
	}
	if len(b) >= 3 && b[0] == 0xff {
		if binary.LittleEndian.Uint16(b[1:]) == progressCode {
			return nil
		}
		no, text := parseErr(b)
		r.cur.err = &serverFail{no, text}
		return r.finish()
	}
	switch r.phase {
	case phaseFirst:
		return r.first(b)
	case phaseDefs:
		if !r.later {
			r.cur.defs = append(r.cur.defs, bytes.Clone(b))
		}
		if r.skip--; r.skip == 0 {
			r.defined()
		}
		return nil
	case phaseDefsEnd:
		if _, ok := eofStatus(b); !ok {
			return errAnswer
		}
		r.phase = phaseRows
		return nil
	case phaseSkip:
		if r.skip--; r.skip == 0 {
			return r.finish()
		}
		return nil
	}
	return r.row(b)
}

// defined goes on behind the column definitions.
func (r *reading) defined() {
	r.phase = phaseDefsEnd
	if r.caps&capDeprecateEOF != 0 {
		r.phase = phaseRows
	}
}

// first judges the first message of a result.
func (r *reading) first(b []byte) error {
	if len(b) == 0 {
		return errAnswer
	}
	if r.due[r.i] == comStmtPrepare {
		return r.prepared(b)
	}
	if b[0] == 0x00 || b[0] == 0xfe {
		return r.end(b)
	}
	n, rest, ok := lenenc(b)
	if !ok || n == 0 || n >= maxColumns {
		return errAnswer
	}
	if !r.later {
		r.cur.columns = uint16(n)
	}
	r.skip, r.phase = uint32(n), phaseDefs
	if r.mayOmitDefs() && len(rest) > 0 && rest[0] == 0 {
		r.defined()
	}
	return nil
}

func (r *reading) mayOmitDefs() bool {
	return r.caps&capOptionalMetadata != 0 || r.ext&extCacheMetadata != 0
}

// prepared judges a PREPARE_OK.
func (r *reading) prepared(b []byte) error {
	if len(b) < 9 || b[0] != 0 {
		return errAnswer
	}
	a := r.cur
	a.stmt = binary.LittleEndian.Uint32(b[1:])
	a.columns, a.params = binary.LittleEndian.Uint16(b[5:]), binary.LittleEndian.Uint16(b[7:])
	r.skip = definitions(b, r.caps)
	r.phase = phaseSkip
	if r.skip == 0 {
		return r.finish()
	}
	return nil
}

// row judges a row or the end of the rows.
func (r *reading) row(b []byte) error {
	if len(b) > 0 && b[0] == 0xfe && (len(b) < 9 || r.caps&capDeprecateEOF != 0) {
		return r.end(b)
	}
	if r.later {
		return nil
	}
	row, err := r.fields(bytes.Clone(b))
	if err != nil {
		return err
	}
	r.cur.rows = append(r.cur.rows, row)
	return nil
}

// fields reads the values of a row of the text protocol.
func (r *reading) fields(b []byte) (row []field, err error) {
	for range r.cur.columns {
		if r.room -= fieldCost; r.room < 0 {
			return nil, errAnswerLong
		}
		if len(b) > 0 && b[0] == 0xfb {
			row, b = append(row, nil), b[1:]
			continue
		}
		v, rest, ok := lenencBytes(b)
		if !ok {
			return nil, errAnswer
		}
		row, b = append(row, field(v[:len(v):len(v)])), rest
	}
	if len(b) > 0 {
		return nil, errAnswer
	}
	return row, nil
}

// end judges an OK or EOF that ends a result.
func (r *reading) end(b []byte) error {
	status, ok := okStatus(b)
	if !ok {
		return errAnswer
	}
	a := r.cur
	a.status = status
	if len(b) != 5 || b[0] == 0 {
		a.affected, b, _ = lenenc(b[1:]) // okStatus has read them
		a.insertID, _, _ = lenenc(b)
	}
	if status&statusMoreResults != 0 {
		r.phase, r.later = phaseFirst, true
		return nil
	}
	return r.finish()
}

// finish hands the answer on.
func (r *reading) finish() error {
	a, i := r.cur, r.i
	r.cur = nil
	r.i++
	return r.took(i, a)
}
