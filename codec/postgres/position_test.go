package postgres

import (
	"encoding/binary"
	"strings"
	"testing"

	"sluice/codec"
)

// positionRow is the body of a row of those values; "-" is NULL.
func positionRow(values ...string) string {
	row := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		if v == "-" {
			row = binary.BigEndian.AppendUint32(row, 0xffffffff)
			continue
		}
		row = append(binary.BigEndian.AppendUint32(row, uint32(len(v))), v...)
	}
	return string(row)
}

func TestReadPosition(t *testing.T) {
	tests := []struct {
		row  string
		want codec.Position
		ok   bool
	}{
		{positionRow("f", "16/B374D848", "8192", "16MB", "0000001F"), codec.Position{Log: 0x16_B374D848, Timeline: 31}, true},
		{positionRow("f", "16/B374D848", "8192", "16MB", ""), codec.Position{Log: 0x16_B374D848}, true},
		{positionRow("t", "0/1", "8192", "16MB", ""), codec.Position{Log: 1, Replica: true}, true},
		{positionRow("t", "FFFFFFFF/ffffffff", "8192", "1GB", ""), codec.Position{Log: 1<<64 - 1, Replica: true}, true},
		// The next record begins behind the header of a page, or of a file; the last one ended before it.
		{positionRow("f", "0/3002018", "8192", "16MB", ""), codec.Position{Log: 0x3002000}, true},
		{positionRow("f", "0/4000028", "8192", "16MB", ""), codec.Position{Log: 0x4000000}, true},
		{positionRow("f", "0/3002028", "8192", "16MB", ""), codec.Position{Log: 0x3002028}, true},
		{positionRow("f", "0/3100028", "8192", "16MB", ""), codec.Position{Log: 0x3100028}, true},
		{positionRow("f", "0/3100028", "8192", "1048576", ""), codec.Position{Log: 0x3100000}, true},
		{positionRow("f", "0/3002018", "65536", "16MB", ""), codec.Position{Log: 0x3002018}, true},

		{row: ""},
		{row: "\x00"},
		{row: "\x00\x05"},
		{row: "\x00\x05\x00\x00\x00"},
		{row: "\x00\x05\x7f\xff\xff\xfft"},
		{row: positionRow("t", "-", "8192", "16MB", "")},
		{row: positionRow("t", "0/1", "8192")},
		{row: positionRow("t", "0/1", "8192", "16MB", "", "")},
		{row: positionRow("f", "0/1", "8192", "16MB", "one")},
		{row: positionRow("t", "0/1", "8192", "16MB", "") + "x"},
		{row: positionRow("yes", "0/1", "8192", "16MB", "")},
		{row: positionRow("t", "01", "8192", "16MB", "")},
		{row: positionRow("t", "/1", "8192", "16MB", "")},
		{row: positionRow("t", "0/", "8192", "16MB", "")},
		{row: positionRow("t", "0/123456789", "8192", "16MB", "")},
		{row: positionRow("t", "0/1 ", "8192", "16MB", "")},
		{row: positionRow("t", "0/G", "8192", "16MB", "")},
		{row: positionRow("t", "0/1/2", "8192", "16MB", "")},
		{row: positionRow("t", "0/1", "0", "16MB", "")},
		{row: positionRow("t", "0/1", "8192", "16XB", "")},
		{row: positionRow("t", "0/1", "-1", "16MB", "")},
		{row: positionRow("t", "0/1", "8192", "99999999999MB", "")},
	}
	for _, tt := range tests {
		got, ok := readPosition([]byte(tt.row))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %+v, %v; want %+v, %v", tt.row, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzReadPosition(f *testing.F) {
	f.Add([]byte(positionRow("f", "16/B374D848", "8192", "16MB", "")))
	f.Add([]byte(positionRow("t", "-", "8192", "1GB", "")))
	f.Fuzz(func(t *testing.T, row []byte) {
		if at, ok := readPosition(row); !ok && at != (codec.Position{}) {
			t.Errorf("%q: nothing is told, but %+v", row, at)
		}
	})
}

// TestLocate asks a server for its position, at every cut of its answer.
func TestLocate(t *testing.T) {
	row := string(message('D', positionRow("t", "0/5000000", "8192", "16MB", "")))
	end := string(wire(t, codec.Server, "C(SELECT 1) Z(I)"))
	failed := string(wire(t, codec.Server, "E(42501;no) Z(I)"))
	null := string(message('D', positionRow("t", "-", "8192", "16MB", "")))
	long := string(message('D', positionRow("t", strings.Repeat("0", 2*maxGathered), "8192", "16MB", "")))
	tests := map[string]struct {
		answer string
		ok     bool
	}{
		"told":         {string(wire(t, codec.Server, "T")) + row + end, true},
		"refused":      {failed, false},
		"broken off":   {string(wire(t, codec.Server, "T")) + row + failed, false},
		"nothing yet":  {string(wire(t, codec.Server, "T")) + null + end, false},
		"no row":       {string(wire(t, codec.Server, "T C(SELECT 0) Z(I)")), false},
		"a row behind": {string(wire(t, codec.Server, "T")) + row + null + end, false},
		"too long":     {long + end, false},
	}
	for name, tt := range tests {
		for cut := 0; cut <= len(tt.answer); cut++ {
			if len(tt.answer) > 1000 {
				cut += 997
			}
			p := newPlay(t, 0)
			p.run("")
			p.open()
			p.host.Locate(&p.turn)
			p.turn.Flush()
			p.compare(name, &p.server, wire(t, codec.Client, "Q("+sqlPosition+")"))
			if p.host.Free() {
				t.Fatal("free while the answer is owed")
			}
			n := min(cut, len(tt.answer))
			p.answer(name, []byte(tt.answer[:n]))
			p.answer(name, []byte(tt.answer[n:]))
			at, ok := p.host.Position()
			if ok != tt.ok || ok && at != (codec.Position{Log: 0x5000000, Replica: true}) || !p.host.Free() || p.host.Failed() != nil {
				t.Fatalf("%s: cut at %d: %+v, %v, free %v, failed %v", name, cut, at, ok, p.host.Free(), p.host.Failed())
			}
			if p.client.Len() > 0 {
				t.Fatalf("%s: a client was told %q", name, p.client.String())
			}
			p.run(`
				c: Q(select 1)
				s? Q(select 1)
				s: T D C(SELECT 1) Z(I)
				c? T D C(SELECT 1) Z(I)`)
		}
	}
}
