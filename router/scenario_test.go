package router

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestScenarios plays the files in testdata. A line is one of these; what is behind "#" is for the reader.
//
//	policy resource|location|connection|off     by what sessions are spread; resource if it is not said
//	routing prefer-idle|random|idlest           who takes a new session; prefer-idle if it is not said
//	zone Z | wants Z                            where this Sluice stands | where the sessions ask to be
//	label NAME=VALUE                            the tag that backends must have, as this Sluice has it
//	asks NAME=VALUE                             the tag that a backend must have to fit the sessions
//	ratio R | speed FACTOR N | readings 15s     as configured
//	late 15s                                    how old readings are when they become known
//	a: sessions=100 cpu=50%+0.1% memory=30%+1%/s pd=60% kv=0% down up gone back restart silent stuck loose zone=Z tag=N=V
//	                                            what a backend is, or becomes: its CPU without sessions and for each one, its
//	                                            memory and how it grows, the share of requests that fail
//	a: drained resumed closing                  likewise: whether it is to be emptied, or about to stop
//	logins 30                                   so many sessions come
//	run 60s                                     goes on; what was moved before is forgotten
//	moves a>b cpu 3..10 | moves none | moves cpu 0..2
//	sessions a 50..55
//	even 1.2                                    nobody has more than so many times as many as another one with one more
//	says TEXT | explains a TEXT                 the why of a move, or how a backend stands, holds that
func TestScenarios(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) < 40 {
		t.Fatalf("%d scenarios", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld()
			for i, line := range strings.Split(string(text), "\n") {
				line, _, _ = strings.Cut(line, "#")
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				if wrong := w.do(line); wrong != "" {
					t.Errorf("line %d, %s: %s\n%v", i+1, line, wrong, w)
				}
			}
		})
	}
}

// String shows how the world is.
func (w *world) String() string {
	text := fmt.Sprintf("  after %v moved: %v\n", w.now.Sub(w.start), w.moved)
	i := 0
	for _, p := range w.backends {
		if p.gone {
			continue
		}
		text += fmt.Sprintf("  %s: %d sessions", p.name, p.sessions)
		if v := w.balancer.Verdicts(); i < len(v) {
			text += ": " + v[i].Explain()
		}
		text += "\n"
		i++
	}
	return text
}

// do carries out a line and returns what is wrong with it.
func (w *world) do(line string) (wrong string) {
	words := strings.Fields(line)
	if name, is := strings.CutSuffix(words[0], ":"); is {
		return w.change(w.at(name), name, words[1:])
	}
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "policy":
		p, known := map[string]Policy{"resource": ByResources, "location": ByLocation, "connection": ByConnections, "off": Unbalanced}[rest]
		if !known {
			return "no such policy"
		}
		w.spread.Policy = p
	case "routing":
		r, known := map[string]Routing{"prefer-idle": PreferIdle, "random": Random, "idlest": Idlest}[rest]
		if !known {
			return "no such routing"
		}
		w.spread.Routing = r
	case "asks":
		name, value, _ := strings.Cut(rest, "=")
		w.asks = []TagRule{{Name: name, Value: value}}
	case "logins":
		return w.logins(int(number(rest)))
	case "late":
		w.late, _ = time.ParseDuration(rest)
	case "zone":
		w.spread.Zone = rest
	case "wants":
		w.zone = rest
	case "label":
		w.spread.Label, w.spread.LabelValue, _ = strings.Cut(rest, "=")
	case "ratio":
		w.spread.CountRatio = number(rest)
	case "readings":
		w.every, _ = time.ParseDuration(rest)
	case "speed":
		for f := range Factor(Factors) {
			if f.String() == words[1] {
				w.spread.Speeds[f] = number(words[2])
			}
		}
	case "run":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err.Error()
		}
		clear(w.moved)
		w.why = nil
		w.run(d)
	default:
		return w.check(words, rest)
	}
	return ""
}

// logins has n sessions come.
func (w *world) logins(n int) (wrong string) {
	for range n {
		p := w.choose()
		if p == nil {
			return "nobody takes them"
		}
		p.sessions++
	}
	return ""
}

// check holds the world against an expectation.
func (w *world) check(words []string, rest string) string {
	switch words[0] {
	case "moves":
		if rest == "none" {
			rest = "0..0"
		}
		parts := strings.Fields(rest)
		bounds := parts[len(parts)-1]
		if n := w.moves(strings.Join(parts[:len(parts)-1], " ")); !in(n, bounds) {
			return fmt.Sprintf("there were %d", n)
		}
	case "sessions":
		if n := w.at(words[1]).sessions; !in(n, words[2]) {
			return fmt.Sprintf("there are %d", n)
		}
	case "even":
		if u := w.uneven(); u > number(rest) {
			return fmt.Sprintf("it is %.2f", u)
		}
	case "says":
		if !strings.Contains(strings.Join(w.why, "\n"), rest) {
			return "it was said: " + strings.Join(w.why, "\n")
		}
	case "explains":
		text := w.explain(words[1])
		if !strings.Contains(text, strings.TrimSpace(strings.TrimPrefix(rest, words[1]))) {
			return "it explains: " + text
		}
	default:
		return "nobody knows what that means"
	}
	return ""
}

// explain is how a backend stands, in words.
func (w *world) explain(name string) string {
	i := 0
	for _, p := range w.backends {
		if p.name == name {
			v := w.balancer.Verdicts()[i]
			return v.Explain()
		}
		if !p.gone {
			i++
		}
	}
	return ""
}

// change has a backend become what the words say.
func (w *world) change(p *played, name string, words []string) string {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		base, more, _ := strings.Cut(value, "+")
		switch key {
		case "sessions":
			p.sessions = int(number(value))
		case "cpu":
			p.cpu, p.perCPU, p.silent = number(base), number(more), false
		case "memory":
			p.memory, p.silent, p.grows = number(base), false, 0
			if rate, grows := strings.CutSuffix(more, "/s"); grows {
				p.grows = number(rate)
			} else {
				p.perMem = number(more)
			}
		case "pd":
			p.pd, p.silent = number(value), false
		case "kv":
			p.kv, p.silent = number(value), false
		case "down", "up":
			p.down = key == "down"
		case "gone", "back":
			p.gone = key == "gone"
		case "drained", "resumed":
			p.drained = key == "drained"
		case "closing":
			p.closing = true
		case "restart":
			p.restarts()
			p.closing = false
		case "silent":
			p.silent = true
		case "stuck", "loose":
			w.stuck[name] = key == "stuck"
		case "zone":
			p.zone = value
		case "tag":
			n, v, _ := strings.Cut(value, "=")
			p.tags = map[string]string{n: v}
		default:
			return fmt.Sprintf("a backend has no %q", key)
		}
	}
	return ""
}

// number reads "30%" or "0.3"; "" is 0.
func number(s string) float64 {
	if s == "" {
		return 0
	}
	text, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	if percent {
		v /= 100
	}
	return v
}

// in tells whether a number is within "3..10", or is "3".
func in(n int, bounds string) bool {
	low, high, is := strings.Cut(bounds, "..")
	if !is {
		high = low
	}
	return float64(n) >= number(low) && float64(n) <= number(high)
}
