package mysql

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/codec"
)

// recordings are sessions with a real MariaDB 10.11, as they went over the wire: for each piece that
// was read a byte for the side, its length and its bytes.
//
// commands and failed are what the client has run in them; busy is how they ended.
var recordings = []struct {
	file     string
	commands int
	failed   int
	busy     string
}{
	{"mariadb-cli.talk", 24, 4, ""},               // statements, transactions, LOCAL INFILE, a procedure, errors
	{"infile.talk", 3, 0, ""},                     // an empty file, a missing one
	{"admin.talk", 4, 0, ""},                      // statistics, ping, processlist
	{"compressed-cli.talk", 3, 0, ""},             // zlib
	{"compressed-driver.talk", 23, 3, ""},         // zlib, prepared statements, several results, a file
	{"classic-eof.talk", 50, 14, ""},              // every command there is, with the framing of old
	{"deprecate-eof.talk", 50, 14, ""},            // the same with the framing of today
	{"cached-metadata-classic.talk", 52, 14, ""},  // the same with definitions left out and a bulk
	{"cached-metadata.talk", 52, 14, ""},          // the same with both
	{"replica.talk", 55, 15, "replication"},       // the same, then a binary log to its end
	{"progress.talk", 4, 0, ""},                   // progress reports of ALTER TABLE
	{"sysbench.talk", 63, 0, ""},                  // prepared statements
	{"denied.talk", 0, 0, "the login has failed"}, // wrong password
}

// recording is a conversation with its login.
func readRecording(t testing.TB, file string) talk {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var tk talk
	for len(b) > 0 {
		n, width := binary.Uvarint(b[1:])
		from := codec.Side(b[0])
		b = b[1+width:]
		tk.steps = append(tk.steps, talkStep{from: from, bytes: b[:n]})
		b = b[n:]
	}
	return tk
}

// replay plays a conversation from its first byte and tells how it came out. piece as in play.
func replay(tk talk, cfg *codec.LoginConfig, piece int) (string, *diary, *Follower) {
	l := Protocol{}.NewLogin(cfg).(*Login)
	d := &diary{}
	if op := l.Start(); op != codec.OpDial {
		return op.String(), d, nil
	}
	l.Connected()
	var f *Follower
	for i, s := range tk.steps {
		for b := s.bytes; len(b) > 0; {
			n := len(b)
			if piece > 0 {
				n = min(piece, n)
			}
			now := b[:n]
			b = b[n:]
			if f != nil {
				if err := feed(f, s.from, now, 0); err != nil {
					return fmt.Sprintf("step %d: %v", i, err), d, f
				}
				continue
			}
			take := l.Server
			if s.from == codec.Client {
				take = l.Client
			}
			switch op := take(now); op {
			case codec.OpMore:
			case codec.OpReady:
				f = l.Follower(d).(*Follower)
				for _, side := range []codec.Side{codec.Client, codec.Server} {
					if err := feed(f, side, l.Rest(side), piece); err != nil {
						return fmt.Sprintf("step %d: %v", i, err), d, f
					}
				}
			default:
				return fmt.Sprintf("%v: %v", op, l.Refusal()), d, nil
			}
			l.Take(codec.Client)
			l.Take(codec.Server)
		}
	}
	if f == nil {
		return "no login", d, nil
	}
	return outcome(f, d, nil), d, f
}

// TestReplay replays the recordings at every cut.
func TestReplay(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.file, func(t *testing.T) {
			t.Parallel()
			tk := readRecording(t, r.file)
			want, d, f := replay(tk, &codec.LoginConfig{}, 0)
			if f == nil {
				if r.commands > 0 || !strings.HasPrefix(want, "Close: server refused the login: 1045") {
					t.Fatal(want)
				}
			} else {
				begun, done, failed := strings.Count(want, "+"), strings.Count(want, "-"), strings.Count(want, "!")
				if f.Busy() != r.busy || begun != r.commands || failed != r.failed || done+failed != begun {
					t.Errorf("%d commands, %d done, %d failed\n%s", begun, done, failed, want)
				}
				if len(d.texts) != begun || f.Close() != nil {
					t.Errorf("%d texts", len(d.texts))
				}
			}
			for piece := 1; piece < 30; piece++ {
				got, _, f := replay(tk, &codec.LoginConfig{}, piece)
				if got != want {
					t.Fatalf("pieces of %d:\n got %s\nwant %s", piece, got, want)
				}
				if f != nil {
					f.Close()
				}
			}
		})
	}
}
