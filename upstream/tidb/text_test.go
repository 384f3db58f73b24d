package tidb

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sluice/router"
)

// metricsText is as a TiDB server writes it, shortened.
const metricsText = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
process_resident_memory_bytes 2.68435456e+08
process_resident_memory_bytes_else 1
tidb_server_maxprocs 4
tidb_server_memory_quota_bytes 1.073741824e+09
pd_client_cmd_handle_cmds_duration_seconds_count{type="get_region"} 7
pd_client_cmd_handle_cmds_duration_seconds_count{type="tso"} 100
pd_client_cmd_handle_cmds_duration_seconds_bucket{type="tso",le="0.0005"} 99
pd_client_cmd_handle_failed_cmds_duration_seconds_count{a="x\"}{",type="tso"} 3
tidb_tikvclient_backoff_seconds_count{type="tikvRPC"} 5
tidb_tikvclient_backoff_seconds_count{type="pdRPC"} 50
tidb_tikvclient_request_seconds_count{type="Cop",store="1",stale_read="false"} 10
tidb_tikvclient_request_seconds_count{type="Get", store="2",} 32 1700000000000
`

// values are a reading's figures, in the order of figures.
func values(r router.Reading) string {
	var list []string
	for i := range figures {
		list = append(list, fmt.Sprint(*figures[i].place(&r)))
	}
	return strings.Join(list, " ")
}

func TestReadText(t *testing.T) {
	const first = "12.5 4 2.68435456e+08 1.073741824e+09 3 100 5 42"
	long := "process_cpu_seconds_total{x=\"" + strings.Repeat("x", 3*lineMax) + "\"} 1000\n"
	for name, tt := range map[string]struct {
		text, want string
	}{
		"as it is":                 {metricsText, first},
		"other line ends":          {strings.ReplaceAll(metricsText, "\n", "\r\n"), first},
		"no line end at the end":   {strings.TrimSpace(metricsText), first},
		"long lines in between":    {long + metricsText + long, first},
		"a long line ends it":      {metricsText + strings.TrimSpace(long), first},
		"one figure":               {"tidb_server_maxprocs 4\n", "NaN 4 NaN NaN NaN NaN NaN NaN"},
		"not a number, and others": {"tidb_server_maxprocs NaN\ntidb_server_maxprocs +Inf\ntidb_server_maxprocs 0x\ntidb_server_maxprocs\ntidb_server_maxprocs 1 2 3\nprocess_cpu_seconds_total 1\n", "1 NaN NaN NaN NaN NaN NaN NaN"},
		"labels that don't end":    {"process_cpu_seconds_total{a=\"b\nprocess_cpu_seconds_total{a\nprocess_cpu_seconds_total{a=b} 1\nprocess_cpu_seconds_total{a=\"\\\ntidb_server_maxprocs 2\n", "NaN 2 NaN NaN NaN NaN NaN NaN"},
	} {
		got, err := readText(strings.NewReader(tt.text))
		if err != nil || values(got) != tt.want {
			t.Errorf("%s: %s: %v, want %s", name, values(got), err, tt.want)
		}
	}
}

func TestReadTextRefuses(t *testing.T) {
	if _, err := readText(strings.NewReader("go_goroutines 7\n# nothing of TiDB\n")); !errors.Is(err, errNoFigures) {
		t.Errorf("a text of another program: %v", err)
	}
	if _, err := readText(io.MultiReader(strings.NewReader(metricsText), endless{})); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a text without an end: %v", err)
	}
	if _, err := readText(io.MultiReader(strings.NewReader(metricsText), broken{})); !errors.Is(err, errBroken) {
		t.Errorf("a text that is cut off: %v", err)
	}
}

// endless gives comments for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	const line = "# HELP of_a_metric that is none of ours, in a line of 64 bytes.\n"
	for i := range p {
		p[i] = line[i%len(line)]
	}
	return len(p), nil
}

type broken struct{}

var errBroken = errors.New("cut off")

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// TestReadTextInPieces: wherever the answer is cut, the figures are the same.
func TestReadTextInPieces(t *testing.T) {
	whole, err := readText(strings.NewReader(metricsText))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		got, err := readText(&pieces{metricsText, random})
		if err != nil || values(got) != values(whole) {
			t.Fatalf("%s: %v", values(got), err)
		}
	}
}

type pieces struct {
	text   string
	random *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+p.random.IntN(40))], p.text)
	p.text = p.text[n:]
	return n, nil
}

func FuzzReadText(f *testing.F) {
	f.Add(metricsText)
	f.Add("process_cpu_seconds_total{a=\"\\\\\"} 1\n{")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := readText(strings.NewReader(text))
		if err == nil && time.Since(r.At) > time.Hour {
			t.Error("a reading without a time")
		}
		for i := range figures {
			if v := *figures[i].place(&r); math.IsInf(v, 0) && len(text) < 300 {
				t.Errorf("%s is %v", figures[i].name, v)
			}
		}
	})
}

func FuzzParseKeyAndInfo(f *testing.F) {
	f.Add(topology+"10.0.0.1:4000/info", `{"ip":"10.0.0.1","status_port":10080,"labels":{"zone":"a"}}`)
	f.Add(keyspaces+"1"+topology+"[::1]:4000/ttl", `{"ip":7}`)
	f.Fuzz(func(t *testing.T, key, value string) {
		b := newBook()
		b.put(key, []byte(value))
		for n, e := range b.entries {
			if !isAddr(n.addr) || e.info != nil && e.info.status != "" && !isAddr(e.info.status) {
				t.Errorf("%+v: %+v", n, e.info)
			}
		}
		b.drop(key)
		if len(b.entries) != 0 {
			t.Error("something is left of one key")
		}
	})
}
