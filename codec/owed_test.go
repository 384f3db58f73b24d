package codec_test

import (
	"math/rand/v2"
	"testing"

	"sluice/codec"
)

// Debts are paid in the order they were made in, however the ring turns and grows, and whatever is
// taken out of the middle.
func TestDebts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q codec.Debts[int]
	var want []int
	for next := range 20000 {
		switch k := rng.IntN(10); {
		case k < 5 || len(want) == 0:
			q.Push(codec.Debt[int]{Ref: next})
			want = append(want, next)
		case k < 6:
			i := rng.IntN(len(want))
			q.Remove(i)
			want = append(want[:i:i], want[i+1:]...)
		default:
			if got := q.Front().Ref; got != want[0] {
				t.Fatalf("the front is %d, want %d", got, want[0])
			}
			q.Pop()
			want = want[1:]
		}
		if q.Len() != len(want) {
			t.Fatalf("%d are owed, want %d", q.Len(), len(want))
		}
		if n := len(want); n > 0 && q.At(n-1).Ref != want[n-1] {
			t.Fatalf("the last is %d, want %d", q.At(n-1).Ref, want[n-1])
		}
	}
}

// A queue takes MaxDebts and no more; what is paid makes room again.
func TestDebtsLimit(t *testing.T) {
	var q codec.Debts[int]
	for i := range codec.MaxDebts {
		if !q.Push(codec.Debt[int]{Ref: i}) {
			t.Fatalf("full at %d", i)
		}
	}
	if q.Push(codec.Debt[int]{}) {
		t.Error("there is room beyond the limit")
	}
	if q.Pop(); !q.Push(codec.Debt[int]{Ref: -1}) || q.At(q.Len()-1).Ref != -1 {
		t.Error("there is no room behind a Pop")
	}
}

// A queue that takes turns being empty and not allocates nothing.
func TestDebtsDoNotAllocate(t *testing.T) {
	var q codec.Debts[*int]
	q.Push(codec.Debt[*int]{})
	if n := testing.AllocsPerRun(100, func() { q.Push(codec.Debt[*int]{}); q.Pop() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
