package mysql

import (
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// The payloads of a point select as sysbench sends it and a server answers it: one column, one row of
// 119 characters. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
var (
	sysbenchText    = "\x03SELECT c FROM sbtest1 WHERE id=470112"
	sysbenchExecute = "\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x00\x60\x2c\x07\x00"
	sysbenchColumn  = "\x03def\x06sbtest\x07sbtest1\x07sbtest1\x01c\x01c\x0c\x2d\x00\xe0\x01\x00\x00\xfe\x01\x00\x00\x00\x00"
	sysbenchRow     = "\x77" + strings.Repeat("83868641912-", 10)[:119]
)

// packets frames payloads with sequence ids from seq upwards.
func packets(seq uint8, payloads ...string) []byte {
	var p []byte
	for _, s := range payloads {
		p = append(appendHeader(p, len(s), seq), s...)
		seq++
	}
	return p
}

// pointSelects are the two ways to ask for one row.
func pointSelects() []struct {
	name            string
	command, answer []byte
} {
	eof := serverWords["eof"]
	return []struct {
		name            string
		command, answer []byte
	}{
		{"text", packets(0, sysbenchText), packets(1, "\x01", sysbenchColumn, eof, sysbenchRow, eof)},
		{"prepared", packets(0, sysbenchExecute), packets(1, "\x01", sysbenchColumn, eof, "\x00\x00"+sysbenchRow, eof)},
	}
}

// BenchmarkPointSelect follows a point select and its answer, each in one piece, and looks for a KILL
// first as a session does.
func BenchmarkPointSelect(b *testing.B) {
	for _, x := range pointSelects() {
		b.Run(x.name, func(b *testing.B) {
			w := &counter{}
			f := newFollower(classic, w)
			b.SetBytes(int64(len(x.command) + len(x.answer)))
			b.ReportAllocs()
			for b.Loop() {
				if n, kill, hold := f.Intercept(x.command); n != len(x.command) || kill != nil || hold {
					b.Fatal("intercepted")
				}
				if f.Client(x.command) != nil || f.Server(x.answer) != nil {
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

// BenchmarkResult follows a result of 16 MiB in reads of 64 KiB. A row as long as the result goes on in
// a second packet.
func BenchmarkResult(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10, 1 << 20, resultSize} {
		b.Run(fmt.Sprintf("rows of %d bytes", size), func(b *testing.B) {
			rows, seq := result(size)
			command := packets(0, sysbenchText)
			begin := packets(1, "\x01", sysbenchColumn, serverWords["eof"])
			end := packets(seq, serverWords["eof"])
			f := newFollower(classic, &counter{})
			b.SetBytes(int64(len(rows)))
			b.ReportAllocs()
			for b.Loop() {
				if f.Client(command) != nil || f.Server(begin) != nil {
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

// result is as many rows of a size as fit, behind the three packets that begin an answer, and the
// sequence id of what comes behind them.
func result(size int) (rows []byte, seq uint8) {
	const lenenc = 9 // a length-encoded integer in its longest form
	value := fmt.Sprintf("\xfe%s%s", le64(size-lenenc), strings.Repeat("x", size-lenenc))
	seq = 4
	for len(rows)+size <= resultSize {
		for rest := value; ; {
			n := min(len(rest), fullLen)
			rows = append(rows, packets(seq, rest[:n])...)
			seq++
			if rest = rest[n:]; n < fullLen {
				break
			}
		}
	}
	return rows, seq
}

// le64 is a number in 8 bytes, the lowest first.
func le64(n int) string {
	p := make([]byte, 8)
	for i := range p {
		p[i] = byte(n >> (8 * i))
	}
	return string(p)
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
