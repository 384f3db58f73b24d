package postgres

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice/codec"
)

var update = flag.Bool("update", false, "write what the recordings give into them; review the difference")

// A recording is a whole connection between a real client and a PostgreSQL 15 server, as a relay
// between them saw it, under testdata/recorded. Its lines are
//
//	# what it is
//	c "bytes of the client"
//	s "bytes of the server"
//	= what the watcher heard, and how the session stood at the end
type recording struct {
	script
	text string // without its last line
	want string
}

func readRecording(t testing.TB, path string) recording {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	for line := range strings.Lines(string(b)) {
		if want, ok := strings.CutPrefix(line, "= "); ok {
			r.want = strings.TrimSpace(want)
			continue
		}
		r.text += line
		side := codec.Client
		switch line[0] {
		case '#':
			continue
		case 's':
			side = codec.Server
		}
		text, err := strconv.Unquote(strings.TrimSpace(line[2:]))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		r.script = append(r.script, step{side: side, bytes: []byte(text)})
	}
	return r
}

func recordings(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/recorded/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no recordings", err)
	}
	return paths
}

// TestRecordings replays each recording through a login and, behind it, a follower. At every cut
// the peers must be sent exactly what was recorded, and the watcher must hear the same.
func TestRecordings(t *testing.T) {
	for _, path := range recordings(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			r := readRecording(t, path)
			got := r.replay(t, whole)
			if *update {
				if err := os.WriteFile(path, []byte(r.text+"= "+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != r.want {
				t.Fatalf("\ngot  %s\nwant %s", got, r.want)
			}
			for _, cut := range cuttings(r.size()) {
				if again := r.replay(t, cut); again != got {
					t.Fatalf("%s:\ngot  %s\nwant %s", cut.name, again, got)
				}
			}
		})
	}
}

// replay carries a recording through login and follower and returns how it went.
func (r recording) replay(t testing.TB, cut cutting) string {
	t.Helper()
	relay := newRelay(&codec.LoginConfig{})
	for _, s := range r.script {
		for piece := range cut.pieces(s.bytes) {
			relay.give(s.side, piece)
			if relay.err != nil {
				return fmt.Sprintf("%v; %v", &relay.log, relay.err)
			}
			if relay.op == codec.OpClose {
				return fmt.Sprintf("refused: %v", relay.login.Refusal())
			}
		}
	}
	for _, side := range []codec.Side{codec.Client, codec.Server} {
		var want []byte
		for _, s := range r.script {
			if s.side != side {
				want = append(want, s.bytes...)
			}
		}
		if got := string(relay.sent[side]); got != string(want) {
			t.Fatalf("%s: the %v was sent\n%q\nwant\n%q", cut.name, side, got, want)
		}
	}
	f := relay.follower
	key, _ := f.Key()
	return fmt.Sprintf("%v; key %d owed %d busy %q ending %v", &relay.log, len(key.Secret), f.Owed(), f.Busy(), f.Ending())
}

// relay is a session without sockets: it does what a session does with a login and its follower,
// and keeps what each side would have been sent.
type relay struct {
	login    codec.Login
	follower codec.Follower // nil until the login is over
	log      listener
	op       codec.Op
	ops      []string
	sent     [2][]byte
	err      error
}

func newRelay(cfg *codec.LoginConfig) *relay {
	r := &relay{login: Protocol{}.NewLogin(cfg)}
	r.carry(r.login.Start())
	return r
}

// give hands bytes of one side over, and carries out what the login asks.
func (r *relay) give(side codec.Side, p []byte) {
	switch {
	case r.follower != nil:
		r.follow(side, p)
	case side == codec.Client:
		r.carry(r.login.Client(p))
	default:
		r.carry(r.login.Server(p))
	}
}

func (r *relay) follow(side codec.Side, p []byte) {
	give := r.follower.Client
	if side == codec.Server {
		give = r.follower.Server
	}
	if r.err = give(p); r.err == nil {
		r.sent[1-side] = append(r.sent[1-side], p...)
	}
}

// carry does what an op asks, with servers and TLS that always work.
func (r *relay) carry(op codec.Op) {
	for {
		for s := range r.sent {
			r.sent[s] = append(r.sent[s], r.login.Take(codec.Side(s))...)
		}
		r.op = op
		if op != codec.OpMore {
			r.ops = append(r.ops, op.String())
		}
		switch op {
		case codec.OpDial:
			op = r.login.Connected()
		case codec.OpReady:
			r.follower = r.login.Follower(&r.log)
			rest := [2][]byte{r.login.Rest(codec.Client), r.login.Rest(codec.Server)}
			for _, s := range []codec.Side{codec.Server, codec.Client} {
				if len(rest[s]) > 0 && r.err == nil {
					r.follow(s, rest[s])
				}
			}
			return
		default:
			return
		}
	}
}
