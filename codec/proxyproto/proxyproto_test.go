package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// header2 builds a header of version 2 by hand.
func header2(command, family byte, body ...byte) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family, byte(len(body)>>8), byte(len(body)))
	return append(b, body...)
}

var v4 = []byte{192, 0, 2, 1, 198, 51, 100, 2, 0x9c, 0x40, 0x0c, 0xea} // 192.0.2.1:40000 to 198.51.100.2:3306

func tlv(kind byte, value ...byte) []byte {
	return append([]byte{kind, byte(len(value) >> 8), byte(len(value))}, value...)
}

// summed appends a checksum TLV to a header.
func summed(b []byte) []byte {
	b = append(b, tlv(typeCRC, 0, 0, 0, 0)...)
	binary.BigEndian.PutUint16(b[len(signature)+2:], uint16(len(b)-fixed))
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[len(b)-4:], sum)
	return b
}

func mapped() []byte {
	a, b := netip.MustParseAddr("::ffff:192.0.2.1").As16(), netip.MustParseAddr("::ffff:198.51.100.2").As16()
	return append(append(append([]byte{}, a[:]...), b[:]...), 0x9c, 0x40, 0x0c, 0xea)
}

func six() []byte {
	a, b := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	return append(append(append([]byte{}, a[:]...), b[:]...), 0x9c, 0x40, 0x0c, 0xea)
}

var four = Header{From: at("192.0.2.1:40000"), To: at("198.51.100.2:3306")}

// good are headers that are read.
var good = []struct {
	name string
	in   []byte
	want Header
}{
	{"v1 IPv4", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 40000 3306\r\n"), four},
	{"v1 IPv6", []byte("PROXY TCP6 2001:db8::1 2001:db8::2 40000 3306\r\n"), Header{at("[2001:db8::1]:40000"), at("[2001:db8::2]:3306")}},
	{"v1 IPv4-mapped", []byte("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 40000 3306\r\n"), four},
	{"v1 unknown", []byte("PROXY UNKNOWN\r\n"), Header{}},
	{"v1 unknown with words", []byte("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), Header{}},
	{"v1 longest", []byte("PROXY UNKNOWN " + strings.Repeat("x", lineMax-16) + "\r\n"), Header{}},
	{"v2 IPv4", header2(0x21, 0x11, v4...), four},
	{"v2 IPv6", header2(0x21, 0x21, six()...), Header{at("[2001:db8::1]:40000"), at("[2001:db8::2]:3306")}},
	{"v2 IPv4-mapped", header2(0x21, 0x21, mapped()...), four},
	{"v2 TLVs", header2(0x21, 0x11, append(append([]byte{}, v4...), append(tlv(0xea, 1, 2, 3), tlv(4)...)...)...), four},
	{"v2 checksum", summed(header2(0x21, 0x11, v4...)), four},
	{"v2 local", header2(0x20, 0x00), Header{}},
	{"v2 local with addresses", header2(0x20, 0x11, v4...), Header{}},
	{"v2 local with anything", header2(0x20, 0x00, 1, 2, 3), Header{}},
	{"v2 unspecified", header2(0x21, 0x00), Header{}},
	{"v2 unspecified with bytes", header2(0x21, 0x00, 9, 9), Header{}},
	{"v2 UNIX", header2(0x21, 0x31, make([]byte, 216)...), Header{}},
	{"v2 UDP", header2(0x21, 0x12, v4...), Header{}},
	{"v2 longest", header2(0x21, 0x11, append(append([]byte{}, v4...), tlv(4, make([]byte, Max-fixed-addrs4-3)...)...)...), four},
}

// TestParse reads headers, whole and with the session's own bytes behind.
func TestParse(t *testing.T) {
	for _, g := range good {
		for _, rest := range []string{"", "SELECT", "\r\n\r\n"} {
			h, n, err := Parse(append(bytes.Clone(g.in), rest...))
			if err != nil || n != len(g.in) || h != g.want {
				t.Errorf("%s: got %+v, %d bytes of %d, %v", g.name, h, n, len(g.in), err)
			}
		}
	}
}

// TestParseCut: a header that has come in part is waited for, at whatever byte it is cut.
func TestParseCut(t *testing.T) {
	for _, g := range good {
		for i := range g.in {
			if h, n, err := Parse(g.in[:i]); n != 0 || err != nil || h.Known() {
				t.Fatalf("%s, cut at %d: got %+v, %d, %v", g.name, i, h, n, err)
			}
		}
	}
}

// TestParseBad: what is no header, or a wrong one, is refused.
func TestParseBad(t *testing.T) {
	long := header2(0x21, 0x11, v4...)
	binary.BigEndian.PutUint16(long[len(signature)+2:], uint16(Max-fixed+1))
	wrong := summed(header2(0x21, 0x11, v4...))
	wrong[fixed]++
	for _, b := range []struct {
		name string
		in   []byte
		want error
	}{
		{"a query", []byte("\x21\x00\x00\x00\x03SELECT"), ErrNone},
		{"nearly version 1", []byte("PROXZ"), ErrNone},
		{"nearly version 2", []byte("\r\n\r\n\x00\r\nQUIT\r"), ErrNone},
		{"version 3", header2(0x31, 0x11, v4...), ErrMalformed},
		{"another command", header2(0x22, 0x11, v4...), ErrMalformed},
		{"too short for IPv4", header2(0x21, 0x11, v4[:11]...), ErrMalformed},
		{"too short for IPv6", header2(0x21, 0x21, v4...), ErrMalformed},
		{"too long", long, ErrTooLong},
		{"half a TLV", header2(0x21, 0x11, append(append([]byte{}, v4...), 4, 0)...), ErrMalformed},
		{"a TLV that is longer than the header", header2(0x21, 0x11, append(append([]byte{}, v4...), 4, 0, 9, 1)...), ErrMalformed},
		{"wrong checksum", wrong, ErrMalformed},
		{"short checksum", header2(0x21, 0x11, append(append([]byte{}, v4...), tlv(typeCRC, 1)...)...), ErrMalformed},
		{"a line without an end", []byte("PROXY TCP4 " + strings.Repeat("1", lineMax)), ErrTooLong},
		{"a line with a bare LF", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 40000 3306\n"), ErrMalformed},
		{"a word too few", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n"), ErrMalformed},
		{"two spaces", []byte("PROXY TCP4  192.0.2.1 198.51.100.2 40000 3306\r\n"), ErrMalformed},
		{"another family", []byte("PROXY UDP4 192.0.2.1 198.51.100.2 40000 3306\r\n"), ErrMalformed},
		{"an address of the other family", []byte("PROXY TCP4 ::1 198.51.100.2 40000 3306\r\n"), ErrMalformed},
		{"a zone", []byte("PROXY TCP6 fe80::1%eth0 ::1 40000 3306\r\n"), ErrMalformed},
		{"a port with zeros", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 040000 3306\r\n"), ErrMalformed},
		{"a port with a sign", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 +4000 3306\r\n"), ErrMalformed},
		{"a port too large", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 65536 3306\r\n"), ErrMalformed},
	} {
		if h, n, err := Parse(b.in); !errors.Is(err, b.want) || n != 0 || h.Known() {
			t.Errorf("%s: got %+v, %d, %v, want %v", b.name, h, n, err, b.want)
		}
	}
}

// TestAppend: what is written is read again.
func TestAppend(t *testing.T) {
	for _, c := range []struct{ from, to, readFrom, readTo string }{
		{"192.0.2.1:40000", "198.51.100.2:3306", "192.0.2.1:40000", "198.51.100.2:3306"},
		{"[2001:db8::1]:1", "[2001:db8::2]:2", "[2001:db8::1]:1", "[2001:db8::2]:2"},
		{"[::ffff:192.0.2.1]:1", "198.51.100.2:2", "192.0.2.1:1", "198.51.100.2:2"},
		{"192.0.2.1:1", "[2001:db8::2]:2", "192.0.2.1:1", "[2001:db8::2]:2"},
	} {
		b := Append([]byte("x"), at(c.from), at(c.to))
		h, n, err := Parse(b[1:])
		if err != nil || n != len(b)-1 || h.From != at(c.readFrom) || h.To != at(c.readTo) {
			t.Errorf("%v: got %+v, %d of %d, %v", c, h, n, len(b)-1, err)
		}
	}
	for _, b := range [][]byte{AppendLocal(nil), Append(nil, netip.AddrPort{}, at("192.0.2.1:1"))} {
		if h, n, err := Parse(b); err != nil || n != len(b) || h.Known() {
			t.Errorf("%x: got %+v, %d, %v", b, h, n, err)
		}
	}
	if b := AppendLocal(nil); b[12] != 0x20 {
		t.Errorf("LOCAL is %x", b)
	}
}

// FuzzParse: whatever comes, a header is read from what is there, and the same at any cut.
func FuzzParse(f *testing.F) {
	for _, g := range good {
		f.Add(g.in)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, n, err := Parse(p)
		if n > len(p) || n > Max || (n == 0 || err != nil) && h != (Header{}) || err != nil && n != 0 {
			t.Fatalf("got %+v, %d, %v", h, n, err)
		}
		if n == 0 {
			if err == nil && len(p) >= Max {
				t.Fatal("asks for more than a header may have")
			}
			return
		}
		for i := range n {
			if _, m, err := Parse(p[:i]); m != 0 || err != nil {
				t.Fatalf("cut at %d of %d: %d, %v", i, n, m, err)
			}
		}
		if again, m, err := Parse(p[:n]); again != h || m != n || err != nil {
			t.Fatalf("alone: %+v, %d, %v", again, m, err)
		}
		if h.Known() {
			b := Append(nil, h.From, h.To)
			if again, _, err := Parse(b); err != nil || again != h {
				t.Fatalf("written: %+v, %v", again, err)
			}
		}
	})
}
