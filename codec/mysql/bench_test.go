package mysql

import (
	"testing"
	"unsafe"

	"sluice/codec"
)

// counter is the cheapest Watcher that does something.
type counter struct{ commands, replies, done int }

func (c *counter) OnCommand(codec.Kind, []byte) { c.commands++ }
func (c *counter) OnReply(codec.Kind)           { c.replies++ }
func (c *counter) OnDone(codec.Kind, bool)      { c.done++ }

// exchange is a command and its answer, each in one piece.
func exchange(t testing.TB, line string) (command, answer []byte) {
	steps := parseTalk(t, line).joined().steps
	return steps[0].bytes, steps[1].bytes
}

var exchanges = []struct{ name, talk string }{
	{"point select", "c:select s:n1 s:def s:eof s:row s:eof"},
	{"prepared", "c:exec s:n1 s:def s:eof s:brow s:eof"},
	{"insert", "c:insert s:ok"},
}

// TestNoAllocation: following a command and its answer allocates nothing.
func TestNoAllocation(t *testing.T) {
	for _, e := range exchanges {
		for _, x := range []facts{classic, zlibbed} {
			if raceDetector && x.caps&capCompress != 0 {
				continue
			}
			command, answer := exchange(t, e.talk)
			if x.caps&capCompress != 0 {
				command, answer = pack(t, false, false, 0, command), pack(t, false, true, 1, answer)
			}
			f := newFollower(x, &counter{})
			f.Client(command) // fills the pool of decompressors
			f.Server(answer)
			if n := testing.AllocsPerRun(200, func() {
				if n, kill, hold := f.Intercept(command); n != len(command) || kill != nil || hold {
					t.Fatal("intercepted")
				}
				if f.Client(command) != nil || f.Server(answer) != nil || f.Owed() != 0 || f.Busy() != "" {
					t.Fatal("not followed")
				}
			}); n != 0 {
				t.Errorf("%s, compressed %t: %v allocations", e.name, f.z != nil, n)
			}
		}
	}
}

// TestSize: what a session costs that does not compress.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Follower{}); n > 400 {
		t.Errorf("a follower has %d bytes", n)
	}
}

func BenchmarkFollow(b *testing.B) {
	for _, e := range exchanges {
		b.Run(e.name, func(b *testing.B) {
			command, answer := exchange(b, e.talk)
			f := newFollower(classic, &counter{})
			b.ReportAllocs()
			b.SetBytes(int64(len(command) + len(answer)))
			for b.Loop() {
				f.Intercept(command)
				f.Client(command)
				if f.Server(answer) != nil {
					b.Fatal("not followed")
				}
			}
		})
	}
}

func BenchmarkRows(b *testing.B) {
	rows := func(b *testing.B, x facts, talk string) {
		command, answer := exchange(b, talk)
		f := newFollower(x, nil)
		b.ReportAllocs()
		b.SetBytes(int64(len(answer)))
		for b.Loop() {
			f.Client(command)
			for p := answer; len(p) > 0; {
				n := min(len(p), 64<<10)
				if f.Server(p[:n]) != nil {
					b.Fatal("not followed")
				}
				p = p[n:]
			}
		}
	}
	serverWords["long"] = "\xc8" + string(make([]byte, 200))
	b.Run("of 205 bytes", func(b *testing.B) { rows(b, classic, "c:select s:n1 s:def s:eof s:long*5000 s:eof") })
	b.Run("of 10 bytes", func(b *testing.B) { rows(b, classic, "c:select s:n1 s:def s:eof s:brow*50000 s:eof") })
}

func BenchmarkInflate(b *testing.B) {
	for _, x := range []facts{zlibbed, zstded} {
		b.Run(map[bool]string{false: "zlib", true: "zstd"}[x.caps&capZstd != 0], func(b *testing.B) {
			command, answer := exchange(b, "c:select s:n1 s:def s:eof s:brow*1000 s:eof")
			command = pack(b, x.caps&capZstd != 0, false, 0, command)
			packed := pack(b, x.caps&capZstd != 0, true, 1, answer)
			f := newFollower(x, nil)
			b.ReportAllocs()
			b.SetBytes(int64(len(answer)))
			for b.Loop() {
				f.Client(command)
				if f.Server(packed) != nil {
					b.Fatal("not followed")
				}
			}
		})
	}
}
