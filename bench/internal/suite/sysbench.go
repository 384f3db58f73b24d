package suite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/bench/internal/child"
)

// startSysbench starts sysbench. It keeps no log of single events; the queries of an interval are
// counted by the server, and the latencies are a histogram of everything after the first second
// (a checkpoint ends the report of that one). Its buckets are 2 % wide.
func startSysbench(_ context.Context, l Load, at target) (*generator, error) {
	sysbench, err := program("sysbench")
	if err != nil {
		return nil, err
	}
	args := []string{sysbench}
	if l.Script != "" {
		script := filepath.Join(at.dir, l.Name+".lua")
		if err := os.WriteFile(script, []byte(l.Script), 0o644); err != nil {
			return nil, err
		}
		args = append(args, script)
	}
	args = append(args, l.Args...)
	if l.Script == "" {
		args = append(args, sysbenchTable...)
	}
	args = append(args, sysbenchTarget(at.addr)...)
	if at.sides != tlsNone {
		if err := sysbenchCerts(at); err != nil {
			return nil, err
		}
		args = append(args, "--mysql-ssl=on")
	}
	args = append(args, "--threads="+strconv.Itoa(l.Clients), "--time="+strconv.Itoa(wholeSeconds(at.lasts)),
		"--report-checkpoints=1", "--histogram=on")
	if at.rate > 0 {
		args = append(args, "--rate="+strconv.Itoa(int(at.rate)))
	}
	var out output
	p, err := child.Start(child.Spec{Name: "sysbench", Dir: at.dir, Args: append(args, "run"), Stdout: &out})
	if err != nil {
		return nil, err
	}
	return &generator{
		Process: p,
		said:    &out,
		warm:    func() error { return out.says("Checkpoint report") },
		result:  func(_, _ time.Time) (clientView, error) { return readSysbench(strings.NewReader(out.String())) },
	}, nil
}

// sysbenchTable is the table that sysbench's own scripts work on.
var sysbenchTable = []string{"--tables=1", "--table-size=10000"}

// sysbenchCerts puts the certificate where sysbench looks for it, its working folder; the names are
// its own and can not be changed.
func sysbenchCerts(at target) error {
	for name, from := range map[string]string{"cacert.pem": at.certs.cert, "client-cert.pem": at.certs.cert, "client-key.pem": at.certs.key} {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(at.dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// sysbenchTarget says where and as whom to connect.
func sysbenchTarget(addr string) []string {
	host, port, _ := strings.Cut(addr, ":")
	return []string{"--db-driver=mysql", "--mysql-host=" + host, "--mysql-port=" + port, "--mysql-user=" + mariaUser,
		"--mysql-password=" + mariaPassword, "--mysql-db=" + mariaDatabase}
}

// readSysbench takes the percentiles from the last histogram of a report.
func readSysbench(report io.Reader) (clientView, error) {
	var buckets []bucket
	inside := false
	lines := bufio.NewScanner(report)
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte("Latency histogram")) {
			buckets, inside = nil, true
			continue
		}
		if !inside {
			continue
		}
		b, ok := parseBucket(line)
		switch {
		case ok:
			buckets = append(buckets, b)
		case len(buckets) > 0:
			inside = false // a line of something else ends it; the first one is the heading
		}
	}
	if err := lines.Err(); err != nil {
		return clientView{}, err
	}
	if len(buckets) == 0 {
		return clientView{}, errors.New("sysbench's report holds no latencies")
	}
	return clientView{queries: -1,
		p50: bucketPercentile(buckets, 50), p99: bucketPercentile(buckets, 99),
		p999: bucketPercentile(buckets, 99.9)}, nil
}

// bucket is one line of the histogram: how many events took about that long.
type bucket struct {
	value time.Duration
	count int64
}

// parseBucket reads "  0.436 |**********    1234".
func parseBucket(line []byte) (bucket, bool) {
	value, rest, ok := bytes.Cut(line, []byte("|"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return bucket{}, false
	}
	ms, err1 := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
	count, err2 := strconv.ParseInt(string(fields[len(fields)-1]), 10, 64)
	if err1 != nil || err2 != nil {
		return bucket{}, false
	}
	return bucket{time.Duration(ms * float64(time.Millisecond)), count}, true
}

func bucketPercentile(buckets []bucket, p float64) time.Duration {
	var all, seen int64
	for _, b := range buckets {
		all += b.count
	}
	for _, b := range buckets {
		seen += b.count
		if float64(seen) >= float64(all)*p/100 {
			return b.value
		}
	}
	return 0
}

// output gathers what a process writes while it is already being read.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// says reports whether a word has been written yet: nil if so.
func (o *output) says(word string) error {
	if !strings.Contains(o.String(), word) {
		return fmt.Errorf("has not said %q yet", word)
	}
	return nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
