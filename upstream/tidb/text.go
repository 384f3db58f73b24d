package tidb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"sluice/router"
)

// Limits of what is read of a /metrics.
const (
	textMax = 64 << 20 // bytes
	lineMax = 16 << 10 // bytes of a line; a longer one is passed over
)

// figure is one of the figures that are read: a metric, or with a label those of its series that have it. What there
// are several series of is summed up.
type figure struct {
	name         string
	label, value string
	place        func(*router.Reading) *float64
}

var figures = [...]figure{
	{name: "process_cpu_seconds_total", place: func(r *router.Reading) *float64 { return &r.CPU }},
	{name: "tidb_server_maxprocs", place: func(r *router.Reading) *float64 { return &r.Procs }},
	{name: "process_resident_memory_bytes", place: func(r *router.Reading) *float64 { return &r.Memory }},
	{name: "tidb_server_memory_quota_bytes", place: func(r *router.Reading) *float64 { return &r.Quota }},
	{name: "pd_client_cmd_handle_failed_cmds_duration_seconds_count", label: "type", value: "tso",
		place: func(r *router.Reading) *float64 { return &r.PDFailed }},
	{name: "pd_client_cmd_handle_cmds_duration_seconds_count", label: "type", value: "tso",
		place: func(r *router.Reading) *float64 { return &r.PDTotal }},
	{name: "tidb_tikvclient_backoff_seconds_count", label: "type", value: "tikvRPC",
		place: func(r *router.Reading) *float64 { return &r.KVFailed }},
	{name: "tidb_tikvclient_request_seconds_count", place: func(r *router.Reading) *float64 { return &r.KVTotal }},
}

// byName are the figures by the name of their metric.
var byName = func() map[string]*figure {
	m := map[string]*figure{}
	for i := range figures {
		m[figures[i].name] = &figures[i]
	}
	return m
}()

// unread is a reading in which nothing is known.
func unread(at time.Time) router.Reading {
	r := router.Reading{At: at}
	for i := range figures {
		*figures[i].place(&r) = math.NaN()
	}
	return r
}

// add adds a series' value to a figure.
func add(to *float64, value float64) {
	if math.IsNaN(*to) {
		*to = value
	} else {
		*to += value
	}
}

// errNoFigures is what is said of a text that holds none of the figures.
var errNoFigures = errors.New("the answer holds no figures of TiDB")

// readText reads the figures in a text of Prometheus' form
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format), line by line. What can't be read
// is passed over.
func readText(from io.Reader) (router.Reading, error) {
	limited := &io.LimitedReader{R: from, N: textMax + 1}
	in := bufio.NewReaderSize(limited, lineMax)
	reading, any := unread(time.Now()), false
	for whole := true; ; {
		line, err := in.ReadSlice('\n')
		if limited.N <= 0 {
			return router.Reading{}, fmt.Errorf("the answer is longer than %d bytes", textMax)
		}
		if err == bufio.ErrBufferFull {
			whole = false // its end is passed over too
			continue
		}
		if whole && readLine(line, &reading) {
			any = true
		}
		whole = true
		if err == io.EOF {
			break
		}
		if err != nil {
			return router.Reading{}, err
		}
	}
	if !any {
		return router.Reading{}, errNoFigures
	}
	return reading, nil
}

// readLine takes one line into a reading; false: it is about something else, or can't be read.
func readLine(line []byte, r *router.Reading) bool {
	end := bytes.IndexAny(line, "{ \t")
	if end <= 0 {
		return false
	}
	f := byName[string(line[:end])]
	if f == nil {
		return false
	}
	rest, has := line[end:], f.label == ""
	if rest[0] == '{' {
		var ok bool
		if rest, ok = labels(rest[1:], func(name, value []byte) {
			has = has || string(name) == f.label && string(value) == f.value
		}); !ok {
			return false
		}
	}
	if !has {
		return false
	}
	fields := bytes.Fields(rest) // the value, and perhaps a time
	if len(fields) == 0 || len(fields) > 2 {
		return false
	}
	v, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return false
	}
	add(f.place(r), v)
	return true
}

// labels gives visit the labels that begin at p, behind their brace, as they are spelled, and returns what comes
// behind the closing brace.
func labels(p []byte, visit func(name, value []byte)) (rest []byte, ok bool) {
	for {
		p = bytes.TrimLeft(p, ", \t")
		if len(p) > 0 && p[0] == '}' {
			return p[1:], true
		}
		eq := bytes.IndexByte(p, '=')
		if eq < 0 {
			return nil, false
		}
		name := bytes.TrimSpace(p[:eq])
		p = bytes.TrimLeft(p[eq+1:], " \t")
		if len(p) == 0 || p[0] != '"' {
			return nil, false
		}
		end := 1
		for end < len(p) && p[end] != '"' {
			if p[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(p) {
			return nil, false
		}
		visit(name, p[1:end])
		p = p[end+1:]
	}
}
