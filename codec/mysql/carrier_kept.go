package mysql

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// keptStates is what TiDB has answered to the last question for a session's state. It has some 12 KiB, most
// of which are variables that are the same in other sessions, so it is packed with the state of one of those as
// the dictionary; what is left are some hundred bytes.
type keptStates struct {
	packed string
	usual  *usualStates // nil: packed is the state itself
	size   int          // bytes of the state
	mark   uint32       // marks when it was asked for
	asked  bool
}

// usualStates is the state of some session.
type usualStates struct {
	text []byte
	poor atomic.Int32 // states that it has packed badly
}

// usual is the dictionary at present, shared by all loops.
var usual atomic.Pointer[usualStates]

const (
	// maxPacked is the longest state that is packed: it is done on the loop. Longer ones are kept as they are.
	maxPacked = 64 << 10
	// goodPacking is how many times shorter a packed state should be.
	goodPacking = 4
	// poorPackings is how many that are not make another dictionary due: servers of another version, and
	// not a session that has much of its own.
	poorPackings = 100
)

// packers are free packers. They take some hundred KiB each.
var packers sync.Pool

// packStates makes a state small.
func packStates(states string, mark uint32) keptStates {
	k := keptStates{size: len(states), mark: mark, asked: true}
	if len(states) > maxPacked {
		k.packed = states
		return k
	}
	u := usual.Load()
	if u == nil || u.poor.Load() >= poorPackings {
		u = &usualStates{text: []byte(states)}
		usual.Store(u)
	}
	k.usual, k.packed = u, u.pack(states)
	if len(k.packed)*goodPacking > len(states) {
		u.poor.Add(1)
	}
	return k
}

func (u *usualStates) pack(states string) string {
	var out bytes.Buffer
	w, _ := packers.Get().(*flate.Writer)
	if w == nil {
		w, _ = flate.NewWriterDict(&out, flate.BestSpeed, u.text) // fails for a wrong level only
	} else {
		w.ResetDict(&out, u.text)
	}
	io.WriteString(w, states) // neither fails: a buffer takes all
	w.Close()
	packers.Put(w)
	return out.String()
}

// unpack returns the state.
func (k *keptStates) unpack() (string, error) {
	if k.usual == nil {
		return k.packed, nil
	}
	b := make([]byte, k.size)
	if _, err := io.ReadFull(flate.NewReaderDict(bytes.NewReader([]byte(k.packed)), k.usual.text), b); err != nil {
		return "", err
	}
	return string(b), nil
}
