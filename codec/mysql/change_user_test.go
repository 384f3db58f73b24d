package mysql

import (
	"errors"
	"strings"
	"testing"

	"sluice/codec"
)

// gatekeeper is a Watcher that lets a client become nobody whose name is in it.
type gatekeeper struct {
	counter
	no    string
	asked []string
}

var errNotThat = errors.New("not as that user")

func (g *gatekeeper) Becomes(user string) error {
	g.asked = append(g.asked, user)
	if user == g.no {
		return errNotThat
	}
	return nil
}

// TestChangeUserAsked: who has a say in it is asked for each name before its end can go on, at every cut, in plain and
// compressed, whether TLS has to be looked after or not.
func TestChangeUserAsked(t *testing.T) {
	full := func(name string) string { return "\x11" + name + "\x00\x00shop\x00\x2d\x00" + nativePlugin + "\x00" }
	for _, tt := range []struct {
		name, payload string
		in            facts
		refused       bool
	}{
		{"bob", full("bob"), facts{caps: clientCapsTest}, true},
		{"alice", full("alice"), facts{caps: clientCapsTest}, false},
		{"", full(""), facts{caps: clientCapsTest}, false},
		{"bob", "\x11bob", facts{caps: clientCapsTest}, true}, // a server takes that name, too
		{"bob", full("bob"), facts{caps: clientCapsTest, clientTLS: true}, true},
		{"alice", full("alice"), facts{caps: clientCapsTest, clientTLS: true}, false},
		{"bob", full("bob"), facts{caps: clientCapsTest | capCompress}, true},
		{"alice", full("alice"), facts{caps: clientCapsTest | capCompress}, false},
	} {
		msg := append(appendHeader(nil, len(tt.payload), 0), tt.payload...)
		named := headerLen + 1 + len(tt.name) // the offset of the name's end
		if tt.in.caps&capCompress != 0 {
			msg = pack(t, false, true, 0, msg)
		}
		for i := range msg {
			piece := i + 1
			g := &gatekeeper{no: "bob"}
			f := newFollower(tt.in, g)
			sent := 0
			var err error
			for sent < len(msg) && err == nil {
				next := msg[sent:min(sent+piece, len(msg))]
				if err = f.Client(next); err == nil {
					sent += len(next)
				}
			}
			if (err != nil) != tt.refused || err != nil && !errors.Is(err, errNotThat) {
				t.Fatalf("%q in pieces of %d: %v", tt.payload, piece, err)
			}
			if tt.in.caps&capCompress == 0 && tt.refused && sent > named {
				t.Errorf("%q in pieces of %d: %d bytes have gone on", tt.payload, piece, sent)
			}
			if len(g.asked) == 0 {
				t.Errorf("%q in pieces of %d: nobody was asked", tt.payload, piece)
			}
			for _, name := range g.asked {
				if name != tt.name {
					t.Errorf("asked for %q, not for %q", name, tt.name)
				}
			}
			f.Close()
		}
	}
}

// TestChangeUserEndless: of a name without an end no more is kept than of the longest that there is.
func TestChangeUserEndless(t *testing.T) {
	f := newFollower(facts{caps: clientCapsTest}, &gatekeeper{})
	if err := f.Client(append(appendHeader(nil, 1<<20, 0), "\x11"+strings.Repeat("n", maxChangeUser-1)...)); err != nil {
		t.Fatalf("at the limit: %v", err)
	}
	if err := f.Client([]byte("n")); !errors.Is(err, errUserName) {
		t.Errorf("behind the limit: %v", err)
	}
	var _ codec.Identity = &gatekeeper{}
}
