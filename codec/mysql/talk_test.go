package mysql

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sluice/codec"
)

// A talk is a conversation in one line, read from left to right:
//
//	c:ping        a command of the client, counted from 0
//	c+data        a packet of the client that continues the exchange
//	s:ok          a packet of the server that continues the exchange
//	s1:ok         a packet of the server that begins an answer (with this sequence id)
//	=busy         what Busy must say at this place ("=" alone: a safe point)
//
// The words behind "c:" and "s:" are rows of clientWords and serverWords; several in a row may be
// written "s:def*3".
type talk struct {
	steps []talkStep
}

type talkStep struct {
	from  codec.Side
	bytes []byte
	check string // "=…": no bytes
}

var clientWords = map[string]string{
	"quit": "\x01", "init": "\x02db", "select": "\x03select 1", "call": "\x03call p()", "begin": "\x03begin",
	"load": "\x03load data local infile 'f' into table t", "fields": "\x04t\x00%", "create": "\x05db",
	"drop": "\x06db", "refresh": "\x07\x01", "shutdown": "\x08", "stat": "\x09", "info": "\x0a",
	"kill": "\x0c\x07\x00\x00\x00", "debug": "\x0d", "ping": "\x0e", "dump": "\x12\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00f",
	"tabledump": "\x13\x01d\x01t", "gtid": "\x1e\x00\x00", "register": "\x15\x01\x00\x00\x00\x00\x00\x00\x00\x00",
	"change":  "\x11u\x00\x00\x00\x2d\x00mysql_native_password\x00",
	"prepare": "\x16select ?", "preparecall": "\x16call p(?)",
	"exec":     "\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00",
	"exec2":    "\x17\x02\x00\x00\x00\x00\x01\x00\x00\x00",
	"execlast": "\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00",
	"long":     "\x18\x01\x00\x00\x00\x00\x00blob", "close": "\x19\x01\x00\x00\x00", "reset": "\x1a\x01\x00\x00\x00",
	"setopt": "\x1b\x00\x00", "fetch": "\x1c\x01\x00\x00\x00\x05\x00\x00\x00", "resetconn": "\x1f",
	"clone": "\x20", "group": "\x21", "bulk": "\xfa\x01\x00\x00\x00\x80\x00\x03\x00", "multi": "\xfe", "odd": "\x55",
	"data": "1\t2\n", "empty": "", "auth": "01234567890123456789", "insert": "\x03insert into t values (1)",
	"ack": "\xef\x04\x00\x00\x00\x00\x00\x00\x00f",
}

var serverWords = map[string]string{
	"ok": "\x00\x00\x00\x02\x00\x00\x00", "okT": "\x00\x01\x00\x03\x00\x00\x00", "okM": "\x00\x01\x00\x0a\x00\x00\x00",
	"okN": "\x00\x00\x00\x00\x00\x00\x00", // autocommit off
	"err": "\xff\x7a\x04#42S02no such table", "bye": "\xff\xbf\x0f#HY000idle for too long",
	"big": "\xff\x81\x04#08S01packet too large", "progress": "\xff\xff\xff\x01\x01\x02\xe2\x04\x00\x11copy",
	"n1": "\x01", "n2": "\x02", "n1full": "\x01\x01", "n1none": "\x01\x00",
	"def": "\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00",
	"row": "\x011", "null": "\xfb", "brow": "\x00\x00\x01\x00\x00\x00",
	"eof": "\xfe\x00\x00\x02\x00", "eofT": "\xfe\x00\x00\x03\x00", "eofM": "\xfe\x00\x00\x0a\x00",
	"eofC": "\xfe\x00\x00\x42\x00", "eofL": "\xfe\x00\x00\x82\x00",
	"end": "\xfe\x00\x00\x02\x00\x00\x00", "endT": "\xfe\x00\x00\x03\x00\x00\x00", "endM": "\xfe\x00\x00\x0a\x00\x00\x00",
	"endC": "\xfe\x00\x00\x42\x00\x00\x00", "endL": "\xfe\x00\x00\x82\x00\x00\x00",
	"prep00": "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "prep12": "\x00\x01\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00",
	"prep12none": "\x00\x01\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00\x00",
	"file":       "\xfbf", "text": "Uptime: 7", "event": "\x00\x01\x02\x03\x04",
	"switch": "\xfemysql_native_password\x0001234567890123456789\x00", "fast": "\x01\x03", "full": "\x01\x04",
	"clear": "\xfemysql_clear_password\x00", "sha256": "\xfesha256_password\x0001234567890123456789\x00",
	"sha2": "\xfecaching_sha2_password\x0001234567890123456789\x00",
	"ask":  "\x01what else?", "raw": "\x04Password: ",
}

// parseTalk reads a talk.
func parseTalk(t testing.TB, line string) talk {
	t.Helper()
	var tk talk
	var seq uint8
	for _, word := range strings.Fields(line) {
		if word[0] == '=' {
			tk.steps = append(tk.steps, talkStep{check: word})
			continue
		}
		at := strings.IndexAny(word, ":+")
		name, times := word[at+1:], 1
		if i := strings.IndexByte(name, '*'); i > 0 {
			times, _ = strconv.Atoi(name[i+1:])
			name = name[:i]
		}
		words, from := clientWords, codec.Client
		switch {
		case word[0] == 's':
			words, from = serverWords, codec.Server
			if at > 1 {
				seq = word[1] - '0'
			}
		case word[at] == ':':
			seq = 0
		}
		payload, ok := words[name]
		if !ok {
			t.Fatalf("talk %q: no word %q", line, name)
		}
		for range times {
			b := append(appendHeader(nil, len(payload), seq), payload...)
			seq++
			tk.steps = append(tk.steps, talkStep{from: from, bytes: b})
		}
	}
	return tk
}

// diary is a codec.Watcher that writes down what it hears: "+" a command, "." the first byte of its
// answer, "-" its end, "!" its end by an error.
type diary struct {
	strings.Builder
	texts []string
}

func (d *diary) OnCommand(k codec.Kind, text []byte) {
	fmt.Fprintf(d, "+%s ", kindNames[k])
	d.texts = append(d.texts, string(text))
}
func (d *diary) OnReply(k codec.Kind) { fmt.Fprintf(d, ".%s ", kindNames[k]) }
func (d *diary) OnDone(k codec.Kind, failed bool) {
	mark := "-"
	if failed {
		mark = "!"
	}
	fmt.Fprintf(d, "%s%s ", mark, kindNames[k])
}

// outcome is all that a follower shows after a talk. Behind an error only what it has told counts.
func outcome(f *Follower, d *diary, err error) string {
	if err != nil {
		return fmt.Sprintf("%s| err=%v", d, err)
	}
	return fmt.Sprintf("%s| busy=%q tx=%d owed=%d mid=%t,%t ending=%t", d, f.Busy(), f.Tx(), f.Owed(),
		f.Mid(codec.Client), f.Mid(codec.Server), f.Ending())
}

// play feeds a talk in pieces of the given size; 0 = as whole packets.
func (tk talk) play(x facts, piece int) (*Follower, *diary, error) {
	d := &diary{}
	f := newFollower(x, d)
	for i, s := range tk.steps {
		if s.check != "" {
			if got := "=" + f.Busy(); got != s.check {
				return f, d, fmt.Errorf("step %d: busy is %q, want %q", i, got, s.check)
			}
			continue
		}
		if err := feed(f, s.from, s.bytes, piece); err != nil {
			return f, d, fmt.Errorf("step %d: %w", i, err)
		}
	}
	return f, d, nil
}

// feed gives bytes to a follower in pieces of the given size; 0 = whole.
func feed(f codec.Follower, from codec.Side, b []byte, piece int) error {
	if piece == 0 {
		piece = len(b)
	}
	for len(b) > 0 {
		n := min(piece, len(b))
		follow := f.Server
		if from == codec.Client {
			follow = f.Client
		}
		if err := follow(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// joined is the talk with neighbouring packets of one side, between two checks, as one piece.
func (tk talk) joined() talk {
	var out talk
	for _, s := range tk.steps {
		last := len(out.steps) - 1
		if last >= 0 && s.check == "" && out.steps[last].check == "" && out.steps[last].from == s.from {
			out.steps[last].bytes = append(out.steps[last].bytes[:len(out.steps[last].bytes):len(out.steps[last].bytes)], s.bytes...)
			continue
		}
		out.steps = append(out.steps, s)
	}
	return out
}

// everyCut plays a talk in all sizes of pieces and fails if any of them has another outcome.
func everyCut(t *testing.T, tk talk, x facts) (f *Follower, d *diary, err error) {
	t.Helper()
	f, d, err = tk.play(x, 0)
	want := outcome(f, d, err)
	for name, other := range map[string]talk{"": tk, "joined, ": tk.joined()} {
		for piece := range 40 {
			f2, d2, err2 := other.play(x, piece)
			if name != "" && err != nil { // the number of the step differs
				err2 = err
			}
			if got := outcome(f2, d2, err2); got != want {
				t.Fatalf("%spieces of %d:\n got %s\nwant %s", name, piece, got, want)
			}
		}
	}
	return f, d, err
}
