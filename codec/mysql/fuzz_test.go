package mysql

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sluice/codec"
)

// A fuzzed conversation is bytes of both sides: each piece has a byte in front whose lowest bit is the
// side and whose others are the length.
func fuzzPieces(b []byte) (out []talkStep) {
	for len(b) > 0 {
		from, n := codec.Side(b[0]&1), min(int(b[0]>>1), len(b)-1)
		out = append(out, talkStep{from: from, bytes: b[1 : 1+n]})
		b = b[1+n:]
	}
	return out
}

// fuzzSeed is a conversation in that form, joined and cut again at what fits.
func fuzzSeed(tk talk) (out []byte) {
	for _, s := range tk.steps {
		for b := s.bytes; len(b) > 0; {
			n := min(len(b), 127)
			out = append(append(out, byte(n<<1)|byte(s.from)), b[:n]...)
			b = b[n:]
		}
		if len(out) > 3<<10 { // what is longer takes too long to be made smaller
			break
		}
	}
	return out
}

// session returns the part of a recording behind its login and what its follower knows.
func session(t testing.TB, file string) (talk, facts) {
	tk := readRecording(t, file)
	l := Protocol{}.NewLogin(&codec.LoginConfig{}).(*Login)
	l.Connected()
	for i, s := range tk.steps {
		take := l.Server
		if s.from == codec.Client {
			take = l.Client
		}
		if take(s.bytes) == codec.OpReady {
			return talk{steps: tk.steps[i+1:]}, l.Follower(nil).(*Follower).facts
		}
	}
	return talk{}, facts{}
}

// sameAtEveryCut follows pieces as they are and cut small, and fails if there is a difference.
func sameAtEveryCut(t *testing.T, x facts, steps []talkStep) {
	tk := talk{steps: steps}
	f, d, err := tk.play(x, 0)
	want := outcome(f, d, err)
	f.Close()
	if f.owed.n > maxOwed || len(f.open.list) > maxOpenStatements {
		t.Fatal("past a limit")
	}
	if err == nil && !f.Mid(codec.Server) {
		b := f.AppendError(nil, codec.Error{Cond: codec.BackendLost, Text: "lost"})
		if f.z == nil && int(packetLen(b)) != len(b)-headerLen {
			t.Fatalf("error %x", b)
		}
	}
	for _, piece := range []int{1, 2, 3, 7} {
		f, d, err := tk.play(x, piece)
		got := outcome(f, d, err)
		f.Close()
		if got != want {
			t.Fatalf("pieces of %d:\n got %s\nwant %s", piece, got, want)
		}
	}
}

func FuzzFollower(f *testing.F) {
	for _, r := range recordings {
		if tk, x := session(f, r.file); x.caps&capCompress == 0 && len(tk.steps) > 0 {
			f.Add(x.caps, x.ext, fuzzSeed(tk))
		}
	}
	f.Fuzz(func(t *testing.T, caps, ext uint32, b []byte) {
		sameAtEveryCut(t, facts{caps: caps &^ (capCompress | capZstd), ext: ext, clientTLS: caps&1 != 0, status: 2}, fuzzPieces(b))
	})
}

func FuzzCompressed(f *testing.F) {
	for _, file := range []string{"compressed-cli.talk", "compressed-driver.talk"} {
		tk, x := session(f, file)
		f.Add(x.caps, fuzzSeed(tk))
	}
	tk := parseTalk(f, "c:select s:n2 s:def*2 s:eof s:row*30 s:eof")
	f.Add(uint32(capZstd), fuzzSeed(compressed(f, tk, true, 1)))
	f.Fuzz(func(t *testing.T, caps uint32, b []byte) {
		if caps&(capCompress|capZstd) == 0 {
			caps |= capCompress
		}
		// What a decompressor has given out before it finds an error depends on the cut, and when it
		// finds one depends on the streams before, so only the outcome of sound streams is compared.
		tk := talk{steps: fuzzPieces(b)}
		if malformed(tk.steps, caps&capCompress == 0) {
			for _, piece := range []int{0, 1, 5} {
				f, _, _ := tk.play(facts{caps: caps}, piece)
				f.Close()
			}
			return
		}
		f, d, err := tk.play(facts{caps: caps}, 0)
		want := outcome(f, d, err)
		f.Close()
		for _, piece := range []int{1, 5} {
			f, d, err2 := tk.play(facts{caps: caps}, piece)
			got := outcome(f, d, err2)
			f.Close()
			if (err == nil) != (err2 == nil) || err == nil && got != want {
				t.Fatalf("pieces of %d:\n got %s\nwant %s", piece, got, want)
			}
		}
	})
}

// malformed tells whether a frame, or what there is of it, can't be unpacked by a decompressor that has
// unpacked nothing before; zlib by another implementation.
func malformed(steps []talkStep, isZstd bool) bool {
	var streams [2][]byte
	for _, s := range steps {
		streams[s.from] = append(streams[s.from], s.bytes...)
	}
	for _, b := range streams {
		for len(b) > frameHeaderLen {
			n, plain := int(packetLen(b)), packetLen(b[4:])
			b = b[frameHeaderLen:]
			packed := b[:min(n, len(b))]
			b = b[len(packed):]
			if plain > 0 && !unpacks(packed, isZstd, len(packed) < n) {
				return true
			}
		}
	}
	return false
}

// unpacks tells whether a frame is sound, or the front of one could be.
func unpacks(packed []byte, isZstd, cut bool) bool {
	var r io.Reader
	var err error
	if isZstd {
		var z *zstd.Decoder
		if z, err = zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1)); err == nil {
			defer z.Close()
			r = z
		}
	} else {
		r, err = zlib.NewReader(bytes.NewReader(packed))
	}
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return err == nil || cut && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF))
}

func FuzzLogin(f *testing.F) {
	for _, r := range recordings {
		f.Add(byte(0), fuzzSeed(readRecording(f, r.file)))
	}
	f.Add(byte(1), []byte("\x03\x00"))
	f.Fuzz(func(t *testing.T, tls byte, b []byte) {
		cfg := &codec.LoginConfig{ClientTLS: codec.TLSMode(tls % 3), ServerTLS: codec.TLSMode(tls / 3 % 3)}
		run := func(piece int) (out [2][]byte, end codec.Op) {
			l := Protocol{}.NewLogin(cfg).(*Login)
			end = l.Connected()
			for _, s := range fuzzPieces(b) {
				for p := s.bytes; len(p) > 0; {
					n := len(p)
					if piece > 0 {
						n = min(n, piece)
					}
					take := l.Server
					if s.from == codec.Client {
						take = l.Client
					}
					end = take(p[:n])
					p = p[n:]
					for again := true; again; {
						for side := range out {
							out[side] = append(out[side], l.Take(codec.Side(side))...)
						}
						switch end {
						case codec.OpClientTLS:
							end = l.ClientSecured(nil)
						case codec.OpServerTLS:
							end = l.ServerSecured(nil)
						case codec.OpWork: // RSA is too slow to fuzz, and random
							return out, end
						case codec.OpReady:
							l.Follower(nil)
							return out, end
						case codec.OpMore:
							again = false
						default:
							return out, end
						}
					}
					if len(l.in[0])+len(l.in[1]) > 2*(maxGreeting+maxResponse) {
						t.Fatal("past the limit")
					}
				}
			}
			return out, end
		}
		// A wish for TLS in the same piece as other bytes is refused, and a packet too long is seen in
		// its header: so cuts may differ there, but nowhere else.
		out, end := run(0)
		out1, end1 := run(1)
		if end == end1 && end != codec.OpClose && (!bytes.Equal(out[0], out1[0]) || !bytes.Equal(out[1], out1[1])) {
			t.Fatalf("cut:\n%q\n%q", out, out1)
		}
	})
}

func FuzzIntercept(f *testing.F) {
	f.Add(uint32(0), []byte(message("\x0e")+message("\x03kill query 5 ;")), byte(7))
	f.Add(uint32(capQueryAttributes), []byte(message("\x03\x01\x01\x00\x01\x0f\x00\x01a\x02hikill 5")), byte(3))
	f.Add(uint32(0), []byte(message("\x0c\x05\x00\x00\x00")), byte(1))
	f.Fuzz(func(t *testing.T, caps uint32, b []byte, cut byte) {
		fo := newFollower(facts{caps: caps &^ (capCompress | capZstd), clientTLS: caps&1 != 0}, nil)
		if n := int(cut) % (len(b) + 1); caps&2 != 0 && fo.Client(b[:n]) == nil {
			b = b[n:]
		}
		n, kill, hold := fo.Intercept(b)
		if n < 0 || n > len(b) || hold && len(b)-n > maxChangeUser+headerLen {
			t.Fatalf("n %d of %d, hold %t", n, len(b), hold)
		}
		if kill == nil {
			return
		}
		if kill.Len > len(b)-n {
			t.Fatalf("kill of %d bytes in %d", kill.Len, len(b)-n)
		}
		// Written with another id and read again it is the same message with that id.
		k := *kill
		msg := fo.AppendKill(nil, b[n:n+k.Len], kill, 77)
		again, _, _, ok := killMessage(msg[headerLen:], caps&capQueryAttributes != 0)
		if !ok || again.ID != 77 || again.Query != k.Query || int(packetLen(msg)) != len(msg)-headerLen {
			t.Fatalf("%q became %q", b[n:n+k.Len], msg)
		}
	})
}

func FuzzProbe(f *testing.F) {
	f.Add(string(appendHeader(nil, 3, 0))+"\xff\x10\x04", byte(2))
	g := greetingOf(serverCapsTest, 0, cachingSha2)
	f.Add(string(appendHeader(nil, len(g), 0))+string(g), byte(9))
	f.Fuzz(func(t *testing.T, s string, cut byte) {
		p := Protocol{}.NewProbe("")
		n := int(cut) % (len(s) + 1)
		if _, done, _ := p.Server([]byte(s[:n])); !done {
			p.Server([]byte(s[n:]))
		}
	})
}
