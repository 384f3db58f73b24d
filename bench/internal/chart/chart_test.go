package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the charts in testdata anew; look at them before they are kept")

var bars = Bars{
	Title: "CPU per query, saturated", Unit: "µs of the proxy's CPU for a query", Subject: "sluice",
	Groups: []Group{
		{"PostgreSQL, simple", "", []Bar{
			{"direct", Figure{}}, {"floor", Figure{15.1, 14.2, 18.8}}, {"haproxy", Figure{18.5, 16.9, 19.9}},
			{"pgbouncer", Figure{21.4, 20, 24.5}}, {"sluice", Figure{17.3, 15.5, 18.1}}, {"procs1", Figure{18, 0, 0}}}},
		{"MariaDB, text <&>", "A note for <all>.", []Bar{{"floor", Figure{11.6, 11, 12.1}}, {"sluice", Figure{13.1, 12.5, 16.1}}}},
		{"nothing known", "Nor this.", []Bar{{"floor", Figure{math.NaN(), 1, 2}}, {"sluice", Figure{math.Inf(1), 0, 0}}}},
	},
}

var dots = Dots{
	Title: "Latency, paced", Unit: "ms, as the clients saw it", Subject: "sluice", Marks: []string{"p50", "p99", "p99.9"},
	Groups: []DotGroup{
		{"PostgreSQL, simple", "haproxy: Its p99.9 was not taken.", []DotRow{
			{"direct", []Figure{{0.3, 0.28, 0.33}, {1.1, 0.9, 1.4}, {2.2, 1.9, 4}}},
			{"haproxy", []Figure{{0.4, 0.35, 0.41}, {1.4, 1.3, 1.9}, {0, 0, 0}}},
			{"sluice", []Figure{{0.38, 0.36, 0.44}, {1.3, 1.1, 1.5}, {3.1, 2.5, 9.5}}},
			{"nginx", []Figure{{}, {}, {}}}}},
		{"not run", "", []DotRow{{"sluice", nil}}},
	},
}

var lines = Lines{
	Title: "Few and many clients", Count: "clients", Subject: "sluice",
	Panels: []Panel{
		{"PostgreSQL: queries/s", []Line{
			{"haproxy", []Point{{1, Figure{9100, 9000, 9300}}, {32, Figure{61000, 55000, 63000}}, {512, Figure{58000, 57000, 59500}}}},
			{"sluice", []Point{{1, Figure{9400, 9100, 9450}}, {32, Figure{64000, 61000, 66000}}, {512, Figure{60500, 60000, 61000}}}}}},
		{"PostgreSQL: µs of CPU for a query", []Line{
			{"haproxy", []Point{{1, Figure{31, 29, 33}}, {32, Figure{12, 11, 13}}, {64, Figure{}}, {512, Figure{11, 10, 12}}}},
			{"sluice", []Point{{1, Figure{30, 28, 35}}, {32, Figure{11.5, 10.9, 12}}, {512, Figure{12, 11, 12}}}}}},
		{"MariaDB: queries/s", []Line{{"sluice", []Point{{32, Figure{52000, 0, 0}}}}, {"nginx", []Point{{32, Figure{}}}}}},
		{"nothing known", []Line{{"sluice", nil}}},
	},
}

var charts = map[string]func() []byte{
	"bars": bars.SVG, "dots": dots.SVG, "lines": lines.SVG,
	"empty-bars": Bars{Title: "None", Unit: "µs"}.SVG, "empty-dots": Dots{Title: "None", Unit: "ms"}.SVG,
	"empty-lines": Lines{Title: "None", Count: "clients"}.SVG,
}

// TestGolden compares each chart with the one that was last looked at.
func TestGolden(t *testing.T) {
	for name, draw := range charts {
		file := filepath.Join("testdata", name+".svg")
		got := draw()
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: has changed; run with -update and look at it. Got:\n%s", file, got)
		}
	}
}

// element is any element of a chart with what the tests look at.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

// elements reads a chart as a browser would, and fails if it is not well formed.
func elements(t *testing.T, svg []byte) []element {
	t.Helper()
	var all []element
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attrs: map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			all = append(all, e)
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				all[len(all)-1].text = text
			}
		}
	}
}

// TestWellFormed holds what every chart needs: words for those who can't see it, a ground of its own,
// and nothing that is not a number where one belongs.
func TestWellFormed(t *testing.T) {
	for name, draw := range charts {
		svg := draw()
		all := elements(t, svg)
		kinds := map[string]element{}
		for _, e := range all {
			if _, ok := kinds[e.name]; !ok {
				kinds[e.name] = e
			}
		}
		if kinds["title"].text == "" || kinds["desc"].text == "" {
			t.Errorf("%s: lacks a title or a description", name)
		}
		if r := kinds["rect"].attrs; r["fill"] != ground || all[3].name != "rect" {
			t.Errorf("%s: does not begin with its ground, but with %v", name, all[3])
		}
		for _, word := range []string{"NaN", "Inf", "%!"} {
			if bytes.Contains(svg, []byte(word)) {
				t.Errorf("%s: %s stands in it:\n%s", name, word, svg)
			}
		}
	}
}

// TestSame draws each chart twice.
func TestSame(t *testing.T) {
	for name, draw := range charts {
		if !bytes.Equal(draw(), draw()) {
			t.Errorf("%s: differs from one time to the next", name)
		}
	}
}

// TestWords: the description holds what is drawn, and nothing that is not known.
func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"bars": "µs of the proxy's CPU for a query. PostgreSQL, simple: floor 15.1 (14.2 to 18.8), haproxy 18.5 (16.9 to 19.9), " +
			"pgbouncer 21.4 (20.0 to 24.5), sluice 17.3 (15.5 to 18.1), procs1 18.0. MariaDB, text <&>: floor 11.6 (11.0 to 12.1), sluice 13.1 (12.5 to 16.1). A note for <all>.",
		"dots": "ms, as the clients saw it. PostgreSQL, simple: direct p50 0.300 (0.280 to 0.330) p99 1.10 (0.900 to 1.40) p99.9 2.20 (1.90 to 4.00), " +
			"haproxy p50 0.400 (0.350 to 0.410) p99 1.40 (1.30 to 1.90), sluice p50 0.380 (0.360 to 0.440) p99 1.30 (1.10 to 1.50) p99.9 3.10 (2.50 to 9.50). haproxy: Its p99.9 was not taken.",
		"lines": "Over clients. PostgreSQL: queries/s: haproxy at 1: 9100 (9000 to 9300); at 32: 61.0k (55.0k to 63.0k); at 512: 58.0k (57.0k to 59.5k), " +
			"sluice at 1: 9400 (9100 to 9450); at 32: 64.0k (61.0k to 66.0k); at 512: 60.5k (60.0k to 61.0k). " +
			"PostgreSQL: µs of CPU for a query: haproxy at 1: 31.0 (29.0 to 33.0); at 32: 12.0 (11.0 to 13.0); at 512: 11.0 (10.0 to 12.0), " +
			"sluice at 1: 30.0 (28.0 to 35.0); at 32: 11.5 (10.9 to 12.0); at 512: 12.0 (11.0 to 12.0). MariaDB: queries/s: sluice at 32: 52.0k.",
	} {
		for _, e := range elements(t, charts[name]()) {
			if e.name == "desc" && e.text != want {
				t.Errorf("%s: got %q; want %q", name, e.text, want)
			}
		}
	}
}
