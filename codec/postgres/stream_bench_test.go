package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// The messages of a point select as pgbench -S sends it and a server answers it. The formats are at
// https://www.postgresql.org/docs/current/protocol-message-formats.html.
const (
	selectText  = "SELECT abalance FROM pgbench_accounts WHERE aid = "
	column      = "\x00\x01abalance\x00\x00\x00\x40\x06\x00\x03\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"
	row         = "\x00\x01\x00\x00\x00\x05-1234"
	bindTo      = "\x00%s\x00\x00\x00\x00\x01\x00\x00\x00\x0547011\x00\x00" // one parameter, as text
	portal      = "P\x00"
	execute     = "\x00\x00\x00\x00\x00"
	selectedOne = "SELECT 1\x00"
)

// said joins messages, each given as its type byte and its body.
func said(messages ...string) []byte {
	var p []byte
	for _, m := range messages {
		p = append(p, message(m[0], m[1:])...)
	}
	return p
}

// pointSelects are the three ways to ask for one row.
func pointSelects() []exchange {
	selected := []string{"T" + column, "D" + row, "C" + selectedOne, "ZI"}
	bound := func(statement string) []string {
		return []string{"B" + fmt.Sprintf(bindTo, statement), "D" + portal, "E" + execute, "S"}
	}
	return []exchange{
		{"simple", said("Q" + selectText + "47011;\x00"), said(selected...)},
		{"extended", said(append([]string{"P\x00" + selectText + "$1;\x00\x00\x00"}, bound("")...)...),
			said(append([]string{"1", "2"}, selected...)...)},
		{"prepared", said(bound("P0_1")...), said(append([]string{"2"}, selected...)...)},
	}
}

// BenchmarkPointSelect follows a point select and its answer, each in one piece.
func BenchmarkPointSelect(b *testing.B) {
	for _, x := range pointSelects() {
		b.Run(x.name, func(b *testing.B) {
			w := &counter{}
			f := idle(b, w)
			b.SetBytes(int64(len(x.request) + len(x.answer)))
			b.ReportAllocs()
			for b.Loop() {
				if f.Client(x.request) != nil || f.Server(x.answer) != nil {
					b.Fatal("not followed")
				}
			}
			if f.Owed() != 0 || w.commands == 0 || w.done != w.commands {
				b.Fatalf("%d commands, %d done, %d owed", w.commands, w.done, f.Owed())
			}
		})
	}
}

// Sizes of a large result, in bytes: of all, and of what one read of a loop takes. The reads cut rows
// anywhere, as those of a socket do.
const (
	resultSize = 16 << 20
	readSize   = 64 << 10
)

// BenchmarkResult follows a result of 16 MiB in reads of 64 KiB.
func BenchmarkResult(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("rows of %d bytes", size), func(b *testing.B) {
			value := size - headerSize - 6
			body := binary.BigEndian.AppendUint32([]byte{0, 1}, uint32(value))
			one := message('D', string(body)+strings.Repeat("x", value))
			rows := make([]byte, 0, resultSize)
			for len(rows)+len(one) <= resultSize {
				rows = append(rows, one...)
			}
			request, begin, end := said("Qselect\x00"), said("T"+column), said("CSELECT\x00", "ZI")
			f := idle(b, &counter{})
			b.SetBytes(int64(len(rows)))
			b.ReportAllocs()
			for b.Loop() {
				if f.Client(request) != nil || f.Server(begin) != nil {
					b.Fatal("not followed")
				}
				readAll(b, f, rows)
				if f.Server(end) != nil || f.Owed() != 0 {
					b.Fatal("not followed to the end")
				}
			}
		})
	}
}

// readAll gives the follower the server's bytes read by read.
func readAll(b *testing.B, f codec.Follower, p []byte) {
	for len(p) > 0 {
		n := min(len(p), readSize)
		if f.Server(p[:n]) != nil {
			b.Fatal("not followed")
		}
		p = p[n:]
	}
}
