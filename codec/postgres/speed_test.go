package postgres

import (
	"bytes"
	"fmt"
	"testing"

	"sluice/codec"
)

// counter is a watcher that costs next to nothing.
type counter struct{ commands, replies, done int }

func (c *counter) OnCommand(codec.Kind, []byte) { c.commands++ }
func (c *counter) OnReply(codec.Kind)           { c.replies++ }
func (c *counter) OnDone(codec.Kind, bool)      { c.done++ }

// exchange is a request of a client and the answer to it.
type exchange struct {
	name            string
	request, answer []byte
}

func exchanges(t testing.TB) []exchange {
	make := func(name, request, answer string) exchange {
		return exchange{name, messages(t, codec.Client, request), messages(t, codec.Server, answer)}
	}
	deep := exchange{name: "100 groups ahead"}
	for range 100 {
		deep.request = append(deep.request, messages(t, codec.Client, "BES")...)
		deep.answer = append(deep.answer, messages(t, codec.Server, "2DCZ")...)
	}
	return []exchange{
		make("query", "Q(select 1)", "TDCZ"),
		make("prepared", "BDES", "2TDCZ"),
		make("failing", "PBES", "EZ"),
		make("copy in", "Qdddc", "GCZ"),
		make("copy in by Execute", "PBESdddcS", "12GCZ"),
		make("mixed", "PBEQ", "12CTDCZ"),
		deep,
	}
}

// TestNoAllocations follows commands and their answers without a single allocation, whole and cut.
func TestNoAllocations(t *testing.T) {
	for _, x := range exchanges(t) {
		w := &counter{}
		f := idle(t, w)
		run := func() {
			for _, p := range [][]byte{x.request[:7], x.request[7:]} {
				if err := f.Client(p); err != nil {
					t.Fatal(x.name, err)
				}
			}
			for _, p := range [][]byte{x.answer[:3], x.answer[3:]} {
				if err := f.Server(p); err != nil {
					t.Fatal(x.name, err)
				}
			}
		}
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", x.name, n)
		}
		if f.Owed() != 0 || w.commands == 0 || w.commands != w.done {
			t.Errorf("%s: owed %d, %d commands, %d done", x.name, f.Owed(), w.commands, w.done)
		}
	}
}

func BenchmarkFollower(b *testing.B) {
	for _, x := range exchanges(b) {
		b.Run(x.name, func(b *testing.B) {
			f := idle(b, &counter{})
			b.SetBytes(int64(len(x.request) + len(x.answer)))
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Client(x.request); err != nil {
					b.Fatal(err)
				}
				if err := f.Server(x.answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRows follows chunks of 64 KiB full of rows, as they come from a large result.
func BenchmarkRows(b *testing.B) {
	for _, size := range []int{20, 100, 1000, 100_000} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			row := message('D', string(make([]byte, size-headerSize)))
			chunk := bytes.Repeat(row, max(1, 64<<10/len(row)))
			f := idle(b, &counter{})
			if err := f.Client(messages(b, codec.Client, "Q")); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Server(chunk); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
