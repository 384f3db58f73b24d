package mysql

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"sluice/codec"
)

var (
	zlibbed = facts{caps: capProtocol41 | capCompress, status: statusAutocommit}
	zstded  = facts{caps: capProtocol41 | capZstd, status: statusAutocommit}
)

var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return enc
})

// pack puts bytes into one frame.
func pack(t testing.TB, isZstd, squeeze bool, seq uint8, b []byte) []byte {
	t.Helper()
	payload, plain := b, 0
	if squeeze {
		plain = len(b)
		if isZstd {
			payload = zstdEncoder().EncodeAll(b, nil)
		} else {
			var buf bytes.Buffer
			w := zlib.NewWriter(&buf)
			w.Write(b)
			w.Close()
			payload = buf.Bytes()
		}
	}
	f := appendHeader(nil, len(payload), seq)
	f = append(f, byte(plain), byte(plain>>8), byte(plain>>16))
	return append(f, payload...)
}

// compressed packs a talk: what one side sends in a row is cut, anywhere, into frames of which every
// other one is compressed.
func compressed(t testing.TB, tk talk, isZstd bool, seed uint64) talk {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	var out talk
	var seq uint8
	for _, s := range tk.joined().steps {
		if s.check == "" {
			if s.from == codec.Client && s.bytes[3] == 0 {
				seq = 0
			}
			var framed []byte
			for b := s.bytes; len(b) > 0; seq++ {
				n := 1 + r.IntN(min(len(b), 70))
				framed = append(framed, pack(t, isZstd, r.IntN(2) == 0, seq, b[:n])...)
				b = b[n:]
			}
			s.bytes = framed
		}
		out.steps = append(out.steps, s)
	}
	return out
}

// TestCompressed: a compressed session is followed as a plain one is, at every cut. // pitfall 66
func TestCompressed(t *testing.T) {
	talks := []string{
		"c:ping s:ok =",
		"c:select s:n2 s:def*2 s:eof s:row*30 =owed s:eof =",
		"c:load s:file =infile c+data*9 c+empty s:ok =",
		"c:exec s:n1 s:def s:eofC =cursor c:fetch s:brow*2 s:eofL =",
		"c:insert s:okM s:err =transaction c:change s:switch c+auth s:ok =",
	}
	for _, line := range talks {
		tk := parseTalk(t, line)
		f, d, err := tk.play(classic, 0)
		want := outcome(f, d, err)
		for seed := range uint64(4) {
			for _, x := range []facts{zlibbed, zstded} {
				f, d, err := everyCut(t, compressed(t, tk, x.caps&capZstd != 0, seed), x)
				if got := outcome(f, d, err); got != want {
					t.Fatalf("%s\n got %s\nwant %s", line, got, want)
				}
			}
		}
	}
}

// TestCompressedMid: inside a frame is no safe point, even between two packets of it.
func TestCompressedMid(t *testing.T) {
	f := newFollower(zlibbed, nil)
	defer f.Close()
	ping := parseTalk(t, "c:ping c:ping").joined().steps[0].bytes
	frame := pack(t, false, false, 0, ping)
	for i := range frame {
		if err := f.Client(frame[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if want := i < len(frame)-1; f.Mid(codec.Client) != want {
			t.Fatalf("behind byte %d mid is %t", i, !want)
		}
	}
}

// TestCompressedError: an error of Sluice's is a frame that follows on the last one.
func TestCompressedError(t *testing.T) {
	for _, tt := range []struct {
		frames int // of the client's command
		answer int // of the server's answer
		seq    byte
	}{{1, 0, 1}, {3, 0, 3}, {1, 2, 3}} {
		f := newFollower(zlibbed, nil)
		cmd := parseTalk(t, "c:select").steps[0].bytes
		for i := range tt.frames {
			from, to := i*len(cmd)/tt.frames, (i+1)*len(cmd)/tt.frames
			if err := f.Client(pack(t, false, true, uint8(i), cmd[from:to])); err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range parseTalk(t, "s1:n1 s:def").steps[:tt.answer] {
			if err := f.Server(pack(t, false, true, uint8(tt.frames+i), s.bytes)); err != nil {
				t.Fatal(err)
			}
		}
		b := f.AppendError(nil, codec.Error{Cond: codec.Shutdown, Text: "stop"})
		if b[3] != tt.seq || int(packetLen(b)) != len(b)-frameHeaderLen || packetLen(b[4:]) != 0 {
			t.Errorf("%+v: frame header %x of %d bytes", tt, b[:frameHeaderLen], len(b))
		}
		if err := f.Server(b); err != nil || f.Owed() != 0 {
			t.Errorf("%+v: it does not fit: %v", tt, err)
		}
	}
}

// TestCompressedLies: a frame that is not what its header says ends the session, at any cut, and holds
// nothing afterwards.
func TestCompressedLies(t *testing.T) {
	text := strings.Repeat("select 1, 2, 3 -- ", 200)
	msg := append(appendHeader(nil, 1+len(text), 0), "\x03"+text...)
	lie := func(change func([]byte) []byte) func(isZstd bool) []byte {
		return func(isZstd bool) []byte { return change(pack(t, isZstd, true, 0, msg)) }
	}
	tests := map[string]func(isZstd bool) []byte{
		"says less": lie(func(b []byte) []byte { b[4]--; return b }),
		"says more": lie(func(b []byte) []byte { b[4]++; return b }),
		"torn": lie(func(b []byte) []byte {
			n := packetLen(b) - 9
			b[0], b[1] = byte(n), byte(n>>8)
			return b[:len(b)-9]
		}),
		"more behind": lie(func(b []byte) []byte {
			n := packetLen(b) + 3
			b[0], b[1] = byte(n), byte(n>>8)
			return append(b, 1, 2, 3)
		}),
		"garbage":       lie(func(b []byte) []byte { b[7], b[8], b[9] = 0xff, 0xff, 0xff; return b }),
		"nothing in it": func(bool) []byte { return []byte{0, 0, 0, 0, 9, 0, 0} },
	}
	for name, build := range tests {
		for _, x := range []facts{zlibbed, zstded} {
			b := build(x.caps&capZstd != 0)
			for _, piece := range []int{0, 1, 2, 3, 7, 50, len(b) - 1} {
				f := newFollower(x, nil)
				if err := feed(f, codec.Client, b, max(0, piece)); !errors.Is(err, errFrame) && !errors.Is(err, errInflated) {
					t.Errorf("%s, pieces of %d: %v", name, piece, err)
				}
				f.Close()
			}
		}
	}
}

// TestCompressedMemory: a frame of 16 MiB that unpacks from a few bytes and one that does not get
// smaller are both followed without being held.
func TestCompressedMemory(t *testing.T) {
	const size = fullLen - headerLen
	noise := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	copy(noise, "\x03") // a query
	for name, payload := range map[string][]byte{
		"bomb":  append([]byte{3}, make([]byte, size-1)...),
		"noise": noise[:size-(64<<10)], // has to fit a frame when it gets longer
	} {
		frame := pack(t, false, true, 0, append(appendHeader(nil, len(payload), 0), payload...))
		f := newFollower(zlibbed, nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := feed(f, codec.Client, frame, 4096); err != nil {
			t.Fatal(name, err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
		if f.Owed() != 1 || f.Mid(codec.Client) {
			t.Errorf("%s: %d owed, mid %t", name, f.Owed(), f.Mid(codec.Client))
		}
		f.Close()
	}
}

// TestCompressedClose: a session that ends within a frame leaves no goroutine behind.
func TestCompressedClose(t *testing.T) {
	msg := append(appendHeader(nil, 2001, 0), "\x03"+strings.Repeat("x", 2000)...)
	before := runtime.NumGoroutine()
	for _, x := range []facts{zlibbed, zstded} {
		for range 50 {
			f := newFollower(x, nil)
			frame := pack(t, x.caps&capZstd != 0, true, 0, msg)
			for _, follow := range []func([]byte) error{f.Client, f.Server} {
				if err := follow(frame[:len(frame)/2]); err != nil && !errors.Is(err, errUnasked) {
					t.Fatal(err)
				}
			}
			f.Close()
			f.Close() // twice does no harm
		}
	}
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}
