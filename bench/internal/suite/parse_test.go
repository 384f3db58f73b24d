package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPgbenchLog counts only what ended inside of the window, and takes the percentiles of that.
func TestPgbenchLog(t *testing.T) {
	const log = `0 1 900 0 99 999999
3 1 100 0 100 0
1 1 200 0 100 1
2 1 300 0 100 500000
0 2 400 0 102 0 17
1 2 900 0 102 1
`
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readPgbenchLog(name, time.Unix(100, 0), time.Unix(102, 0))
	want := clientView{queries: 3, p50: 300 * time.Microsecond, p99: 400 * time.Microsecond, p999: 400 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1 2 3 4 5", "0 1 failed 0 100 0", "a b c d e f"} {
		if _, _, err := parsePgbenchLine([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a transaction", bad)
		}
	}
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	tests := []struct {
		of   []time.Duration
		p    float64
		want time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{1, 2}, 50, 1},
		{[]time.Duration{1, 2, 3}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
	}
	for _, tt := range tests {
		if got := percentile(tt.of, tt.p); got != tt.want {
			t.Errorf("percentile %v of %d durations: got %d; want %d", tt.p, len(tt.of), got, tt.want)
		}
	}
}

// TestSysbenchReport takes the histogram behind the checkpoint, not the one of the warm-up.
func TestSysbenchReport(t *testing.T) {
	const report = `Threads started!

[ 1s ] Checkpoint report:
Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
      50.107 |**************************************** 1000

SQL statistics:
    queries performed:
        read:                            125338

Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       0.102 |********************                     50
       0.436 |********************                     48
       2.069 |                                         1
       9.057 |                                         1

SQL statistics:
    not a bucket | 7
`
	got, err := readSysbench(strings.NewReader(report))
	want := clientView{queries: -1, p50: 102 * time.Microsecond, p99: 2069 * time.Microsecond, p999: 9057 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err := readSysbench(strings.NewReader("Threads started!\n")); err == nil {
		t.Errorf("a report without latencies gave %+v", got)
	}
}

func TestParseProgram(t *testing.T) {
	name, path, err := ParseProgram("pgdog=/opt/pgdog")
	if name != "pgdog" || path != "/opt/pgdog" || err != nil {
		t.Errorf("got %q, %q, %v", name, path, err)
	}
	for _, bad := range []string{"", "pgdog", "pgdog=", "nobody=/bin/true", "direct=/bin/true"} {
		if name, path, err := ParseProgram(bad); err == nil {
			t.Errorf("%q gave %q, %q", bad, name, path)
		}
	}
}

func TestParseVariant(t *testing.T) {
	v, err := ParseVariant("two:SLUICE_ENGINE_LOOPS=2,GOGC=100,BIN=/somewhere/sluice")
	if err != nil || v.Name != "two" || v.Program != "/somewhere/sluice" || strings.Join(v.Env, " ") != "SLUICE_ENGINE_LOOPS=2 GOGC=100" {
		t.Errorf("got %+v, %v", v, err)
	}
	for _, bad := range []string{"", "two", "two:", ":A=1", "two:A", "two:=1", "two:A=1,"} {
		if v, err := ParseVariant(bad); err == nil {
			t.Errorf("%q gave %+v", bad, v)
		}
	}
}
