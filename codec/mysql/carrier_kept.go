package mysql

import (
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
)

// keptStates is what TiDB has answered to the last question for a session's state. It has some 12 KiB, most
// of which are variables that are the same in other sessions, so it is packed with the state of one of those as
// the dictionary; what is left are some hundred bytes.
type keptStates struct {
	packed string
	usual  *usualStates // nil: packed is the state itself
	mark   uint32       // marks when it was asked for
	asked  bool
}

// usualStates is the state of some session. S2 goes by a dictionary whose words it has looked up once. Deflate would look
// them up each time, which takes thirty times as long.
type usualStates struct {
	dict *s2.Dict
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

// packing has room for a state and for what it is packed into, of which it is not known before how long that is.
type packing struct{ from, to []byte }

// packings are free ones.
var packings = sync.Pool{New: func() any { return new(packing) }}

// packStates makes a state small.
func packStates(states string, mark uint32) keptStates {
	k := keptStates{mark: mark, asked: true}
	if len(states) > maxPacked {
		k.packed = states
		return k
	}
	u := usual.Load()
	if u == nil || u.poor.Load() >= poorPackings {
		dict := s2.MakeDict([]byte(states), nil)
		if dict == nil { // it is too short
			k.packed = states
			return k
		}
		u = &usualStates{dict: dict}
		usual.Store(u)
	}
	k.usual, k.packed = u, u.pack(states)
	if len(k.packed)*goodPacking > len(states) {
		u.poor.Add(1)
	}
	return k
}

func (u *usualStates) pack(states string) string {
	p := packings.Get().(*packing)
	defer packings.Put(p)
	p.from = append(p.from[:0], states...)
	p.to = u.dict.Encode(p.to[:cap(p.to)], p.from)
	return string(p.to)
}

// unpack returns the state.
func (k *keptStates) unpack() (string, error) {
	if k.usual == nil {
		return k.packed, nil
	}
	b, err := k.usual.dict.Decode(nil, []byte(k.packed))
	return string(b), err
}
