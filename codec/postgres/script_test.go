package postgres

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/codec"
)

// A script is a conversation behind the login in short form. Its words are
//
//	>, <        the client or the server speaks from here on
//	PBDES       messages of that side by their type bytes, with a plain body
//	Q(text)     a message with that text: a Query or Parse's SQL, the status of a ReadyForQuery,
//	            the severity of an ErrorResponse
//	owed=1      what the follower must now say; also busy=, tx=, mid=, ending=
//
// A session begins with the server's ReadyForQuery, so the scripts leave that one out.
type script []step

// step is one turn of a script: bytes of one side, or else a check.
type step struct {
	side  codec.Side
	bytes []byte
	check string
}

func parseScript(t testing.TB, text string) script {
	t.Helper()
	var steps script
	side := codec.Client
	for _, word := range scriptWords(text) {
		switch {
		case word == ">":
			side = codec.Client
		case word == "<":
			side = codec.Server
		case strings.Contains(word, "=") && !strings.Contains(word, "("):
			steps = append(steps, step{check: word})
		default:
			steps = append(steps, step{side: side, bytes: messages(t, side, word)})
		}
	}
	return steps
}

// scriptWords cuts at spaces, but for those in parentheses.
func scriptWords(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return depth == 0 && (r == ' ' || r == '\n' || r == '\t')
	})
}

func messages(t testing.TB, side codec.Side, word string) []byte {
	t.Helper()
	var out []byte
	for len(word) > 0 {
		typ, arg := word[0], ""
		word = word[1:]
		if strings.HasPrefix(word, "(") {
			var ok bool
			if arg, word, ok = strings.Cut(word[1:], ")"); !ok {
				t.Fatalf("no ) in %q", word)
			}
		}
		body, ok := serverBody(typ, arg)
		if side == codec.Client {
			body, ok = clientBody(typ, arg)
		}
		if !ok {
			t.Fatalf("the %v has no message %q", side, typ)
		}
		out = append(out, message(typ, body)...)
	}
	return out
}

func message(typ byte, body string) []byte {
	out := binary.BigEndian.AppendUint32([]byte{typ}, uint32(4+len(body)))
	return append(out, body...)
}

func clientBody(typ byte, arg string) (string, bool) {
	switch typ {
	case 'Q':
		return arg + "\x00", true
	case 'P':
		return "name\x00" + arg + "\x00\x00\x00", true
	case 'B':
		return "\x00name\x00\x00\x00\x00\x00\x00\x00", true
	case 'D', 'C':
		return "Sname\x00", true
	case 'E':
		return "\x00\x00\x00\x00\x00", true
	case 'F':
		return "\x00\x00\x04\xd2\x00\x00\x00\x00\x00\x01", true
	case 'd':
		return "1\tone\n" + arg, true
	case 'f':
		return "the client gave up\x00", true
	case 'S', 'H', 'c', 'X':
		return "", true
	}
	return "", false
}

func serverBody(typ byte, arg string) (string, bool) {
	switch typ {
	case 'Z':
		return cmpOr(arg, "I"), true
	case 'E':
		severity := cmpOr(arg, "ERROR")
		return "S" + severity + "\x00V" + severity + "\x00C22P02\x00Mno\x00\x00", true
	case 'N':
		return "SNOTICE\x00VNOTICE\x00C00000\x00Mlook\x00\x00", true
	case 'C':
		return "SELECT 1\x00", true
	case 'T':
		return "\x00\x01n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00", true
	case 't':
		return "\x00\x01\x00\x00\x00\x17", true
	case 'D':
		return "\x00\x01\x00\x00\x00\x011", true
	case 'G', 'H', 'W':
		return "\x00\x00\x01\x00\x00", true
	case 'd':
		return "1\tone\n", true
	case 'A':
		return "\x00\x00\x00\x07news\x00\x00", true
	case 'S':
		return "TimeZone\x00UTC\x00", true
	case 'K':
		return "\x00\x00\x00\x07" + cmpOr(arg, "\x01\x02\x03\x04"), true
	case 'V':
		return "\x00\x00\x00\x00", true
	case '1', '2', '3', 'n', 'I', 's', 'c':
		return "", true
	}
	return "", false
}

func cmpOr(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

// run gives the steps to a follower that has just heard the first ReadyForQuery, cut by cut, and
// returns what its watcher heard and the error that ended it.
func (steps script) run(t testing.TB, cut cutting) (events string, err error) {
	t.Helper()
	log := &listener{}
	f := newFollower(log)
	if err := f.Server(messages(t, codec.Server, "SKZ")); err != nil {
		t.Fatal(err)
	}
	err = steps.feed(t, f, cut)
	return log.String(), err
}

func (steps script) feed(t testing.TB, f *follower, cut cutting) error {
	t.Helper()
	for i, s := range steps {
		if s.check != "" {
			if got := state(f, s.check); got != s.check {
				t.Fatalf("%s, after step %d: got %s, want %s", cut.name, i, got, s.check)
			}
			continue
		}
		for piece := range cut.pieces(s.bytes) {
			give := f.Client
			if s.side == codec.Server {
				give = f.Server
			}
			if err := give(piece); err != nil {
				return err
			}
		}
	}
	return nil
}

// state says what the follower does, in the form of a check.
func state(f *follower, check string) string {
	name, _, _ := strings.Cut(check, "=")
	var got any
	switch name {
	case "owed":
		got = f.Owed()
	case "busy":
		got = f.Busy()
	case "tx":
		got = [...]string{"I", "T", "E"}[f.Tx()]
	case "mid":
		got = strconv.FormatBool(f.Mid(codec.Client)) + "," + strconv.FormatBool(f.Mid(codec.Server))
	case "ending":
		got = f.Ending()
	default:
		got = "unknown check"
	}
	return fmt.Sprintf("%s=%v", name, got)
}

// listener writes down what a watcher hears: +query, ~query (its reply began), -query, and !query
// for one that failed.
type listener struct {
	events []string
	texts  []string
}

func (l *listener) OnCommand(k codec.Kind, text []byte) {
	l.events = append(l.events, "+"+kinds[k])
	l.texts = append(l.texts, string(text))
}

func (l *listener) OnReply(k codec.Kind) { l.events = append(l.events, "~"+kinds[k]) }

func (l *listener) OnDone(k codec.Kind, failed bool) {
	mark := "-"
	if failed {
		mark = "!"
	}
	l.events = append(l.events, mark+kinds[k])
}

func (l *listener) String() string { return strings.Join(l.events, " ") }

// cutting is a way to cut a stream into pieces.
type cutting struct {
	name   string
	pieces func([]byte) func(yield func([]byte) bool)
}

// whole does not cut. Each piece has no room behind it, so that to read on is to fail.
var whole = cutting{"whole", func(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) { yield(slices.Clip(slices.Clone(b))) }
}}

// every cuts into pieces of n bytes.
func every(n int) cutting {
	return cutting{fmt.Sprintf("every %d bytes", n), func(b []byte) func(func([]byte) bool) {
		return slices.Chunk(slices.Clip(slices.Clone(b)), n)
	}}
}

// once cuts a conversation in two at its byte number n.
func once(n int) cutting {
	seen := 0
	return cutting{fmt.Sprintf("once at byte %d", n), func(b []byte) func(func([]byte) bool) {
		at := n - seen
		seen += len(b)
		return func(yield func([]byte) bool) {
			if at <= 0 || at >= len(b) {
				yield(slices.Clip(slices.Clone(b)))
				return
			}
			_ = yield(slices.Clip(slices.Clone(b[:at]))) && yield(slices.Clip(slices.Clone(b[at:])))
		}
	}}
}

// cuttings are all ways to cut a conversation of n bytes that are tried: in pieces of one size, and
// in two at each place, or at a few hundred places of a long one.
func cuttings(n int) []cutting {
	all := []cutting{whole, every(1), every(2), every(3), every(5), every(7)}
	for i := 1; i < n; i += 1 + n/300 {
		all = append(all, once(i))
	}
	return all
}

func (steps script) size() int {
	n := 0
	for _, s := range steps {
		n += len(s.bytes)
	}
	return n
}
