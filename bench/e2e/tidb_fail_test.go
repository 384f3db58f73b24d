package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// broken is a way in which the new instance fails a move.
type broken struct {
	name   string
	fate   func(p wire.Passing) wire.Fate
	result string // what the move is counted as
}

// theMove tells packets of a session's move to a new instance: whoever logs in by a token. The first packets, before it
// is known who will, are not among them.
func theMove(p wire.Passing) bool { return p.Token }

// sets tells the command that puts the state in place.
func sets(p wire.Passing) bool {
	return strings.HasPrefix(strings.ToLower(p.Command()), "set session_states")
}

func when(is func(p wire.Passing) bool, fate wire.Fate) func(wire.Passing) wire.Fate {
	return func(p wire.Passing) wire.Fate {
		if is(p) {
			return fate
		}
		return wire.Pass
	}
}

func brokenMoves() []broken {
	greeting := func(p wire.Passing) bool { return p.FromServer && p.Login && p.User == "" }
	response := func(p wire.Passing) bool { return !p.FromServer && p.Login && theMove(p) }
	welcome := func(p wire.Passing) bool { return p.FromServer && p.Login && theMove(p) }
	// What answers the state's being put in place is the first packet that is not of the login.
	placed := func(p wire.Passing) bool { return p.FromServer && !p.Login && theMove(p) }
	states := func(p wire.Passing) bool { return theMove(p) && sets(p) }
	return []broken{
		{"refuses", when(greeting, wire.Cut), "new_lost"},
		{"greets-with-an-error", when(greeting, wire.Refuse), "refused"},
		{"is-silent", when(greeting, wire.Hang), "timeout"},
		{"refuses-the-token", when(response, wire.Refuse), "refused"},
		{"ends-at-the-token", when(response, wire.Cut), "new_lost"},
		{"is-silent-at-the-token", when(response, wire.Hang), "hold_timeout"},
		{"ends-in-place-of-a-welcome", when(welcome, wire.Cut), "new_lost"},
		{"refuses-the-state", when(states, wire.Refuse), "not_placed"},
		{"ends-at-the-state", when(states, wire.Cut), "new_lost"},
		{"is-silent-at-the-state", when(states, wire.Hang), "hold_timeout"},
		{"ends-behind-the-state", when(placed, wire.Cut), "new_lost"},
		{"is-silent-behind-the-state", when(placed, wire.Hang), "hold_timeout"},
	}
}

// halfway is Sluice before two instances, each behind a relay that fails where a test wants it to.
type halfway struct {
	moving
	relays []*wire.MyRelay
	// fd is how many files Sluice has open while it has sessions at the first instance and no move is under way.
	fd int
}

// startHalfway starts it, with all sessions beginning at the first instance.
func startHalfway(t *testing.T, more ...string) *halfway {
	t.Helper()
	h := &halfway{}
	h.addr = real.FreeAddr()
	var backends []string
	for _, d := range trio(t)[:2] {
		relay, err := wire.NewMyRelay(d.Addr, stage.cert.TLS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(relay.Close)
		h.relays = append(h.relays, relay)
		h.every = append(h.every, &real.TiDB{Addr: relay.Addr, Status: d.Status}) // by the name that Sluice knows
		backends = append(backends, relay.Addr)
	}
	h.Sluice = startSluice(t, racy(t), tidbDoor(h.addr, backends, append(more,
		// The checks are long apart, and those that a failed move brings about do not count: they go the way of the move.
		"[cluster.health]", `interval = "1h"`, `timeout = "1m"`, "fall = 100")...))
	await(t, h.Sluice, 2, "sluice_backend_up")
	h.only(t, 0)
	return h
}

// settled waits until Sluice has as many files open as before, and the relays no more connections than its sessions.
func (h *halfway) settled(t *testing.T, sessions int) {
	t.Helper()
	eventually(t, func() error {
		fd, err := real.OpenFiles(h.PID)
		open := h.relays[0].Open() + h.relays[1].Open()
		if err == nil && (fd > h.fd || open != sessions) {
			err = fmt.Errorf("%d files open, %d before the moves; %d connections to servers for %d sessions", fd, h.fd, open, sessions)
		}
		return err
	})
}

// TestTiDBMoveFails has the new instance fail a move at each of its steps. Nothing happens to the session: it stays
// where it is, with all of its state, and moves when it can; and nothing is left of the attempt.
func TestTiDBMoveFails(t *testing.T) {
	for _, b := range brokenMoves() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			h := startHalfway(t, "connect-timeout = \"300ms\"", "[cluster.migrate]", `hold-timeout = "300ms"`, `retry-after = "50ms"`)
			s, err := newStateful(within(t, soon), openMySQL(t, h.addr, "app", ""), 7)
			if err != nil {
				t.Fatal(err)
			}
			before, err := s.look(within(t, soon))
			if err != nil {
				t.Fatal(err)
			}
			if h.fd, err = real.OpenFiles(h.PID); err != nil {
				t.Fatal(err)
			}
			h.relays[1].Script(b.fate)
			h.order(t, h.every[1], "resume")
			h.order(t, h.every[0], "drain")
			moveFailed(t, h.moving, h.every[0], h.every[1], b.result)
			if got, err := s.look(within(t, soon)); err != nil || got != before {
				t.Errorf("while it can't move: %v\n got %s\nwant %s", err, got, before)
			}
			h.order(t, h.every[0], "resume") // which ends the attempts
			h.settled(t, 1)
			h.sessions(t, h.every[0], 1)
			h.sessions(t, h.every[1], 0)
			h.relays[1].Script(func(wire.Passing) wire.Fate { return wire.Pass })
			h.order(t, h.every[0], "drain")
			h.sessions(t, h.every[0], 0)
			h.sessions(t, h.every[1], 1)
			if got, err := s.look(within(t, soon)); err != nil || got != before {
				t.Errorf("behind the move: %v\n got %s\nwant %s", err, got, before)
			}
			h.settled(t, 1)
			s.Conn.Close()
		})
	}
}

// TestTiDBWrongToken moves towards an instance that signs with another certificate.
func TestTiDBWrongToken(t *testing.T) {
	other, err := real.SelfSigned(t.TempDir(), "other", "others")
	if err != nil {
		t.Fatal(err)
	}
	stranger := ownTiDB(t, real.TiDBOptions{Cert: stage.cert, Signing: other})
	every := []*real.TiDB{tidb(t, 0), stranger}
	prepareStateful(t, every)
	m := startMoving(t, racy(t), every, "[cluster.migrate]", `retry-after = "50ms"`)
	m.only(t, 0)
	s, err := newStateful(within(t, soon), openMySQL(t, m.addr, "app", ""), 3)
	if err != nil {
		t.Fatal(err)
	}
	m.order(t, stranger, "resume")
	m.order(t, every[0], "drain")
	moveFailed(t, m, every[0], stranger, "refused")
	if _, err := s.look(within(t, soon)); err != nil {
		t.Error(err)
	}
	m.sessions(t, every[0], 1)
	m.sessions(t, stranger, 0)
}

// TestTiDBMoveAbandoned has the client leave, and the old instance die, in the middle of a move.
func TestTiDBMoveAbandoned(t *testing.T) {
	t.Run("client-leaves", func(t *testing.T) {
		h := startHalfway(t, "[cluster.migrate]", `hold-timeout = "1m"`)
		var err error
		if h.fd, err = real.OpenFiles(h.PID); err != nil {
			t.Fatal(err)
		}
		c := loginMySQL(t, h.addr, wire.Usual)
		reached := make(chan struct{}, 1)
		h.relays[1].Script(func(p wire.Passing) wire.Fate {
			if !theMove(p) || !sets(p) {
				return wire.Pass
			}
			leaveWord(reached)
			return wire.Hang
		})
		h.order(t, h.every[1], "resume")
		h.order(t, h.every[0], "drain")
		arrives(t, reached)
		c.Conn.Close()
		await(t, h.Sluice, 0, "sluice_sessions")
		h.sessions(t, h.every[0], 0)
		h.sessions(t, h.every[1], 0)
		h.settled(t, 0)
	})
	// With the state in hand the session no longer needs the instance that it comes from.
	t.Run("old-dies-behind-the-question", func(t *testing.T) {
		h := startHalfway(t, "[cluster.migrate]", `hold-timeout = "1m"`)
		s, err := newStateful(within(t, soon), openMySQL(t, h.addr, "app", ""), 5)
		if err != nil {
			t.Fatal(err)
		}
		before, err := s.look(within(t, soon))
		if err != nil {
			t.Fatal(err)
		}
		reached, goOn := make(chan struct{}, 1), make(chan struct{})
		h.relays[1].Script(func(p wire.Passing) wire.Fate {
			if theMove(p) && sets(p) {
				leaveWord(reached)
				<-goOn
			}
			return wire.Pass
		})
		h.order(t, h.every[1], "resume")
		h.order(t, h.every[0], "drain")
		arrives(t, reached)
		h.relays[0].Close()
		close(goOn)
		h.sessions(t, h.every[1], 1)
		if got, err := s.look(within(t, soon)); err != nil || got != before {
			t.Errorf("behind the move: %v\n got %s\nwant %s", err, got, before)
		}
		h.sessions(t, h.every[0], 0)
	})
	// Without it, and without a password, there is nobody who could let the session in.
	t.Run("old-dies-at-the-question", func(t *testing.T) {
		h := startHalfway(t, "[cluster.migrate]", `keep-state = "0s"`)
		c := loginMySQL(t, h.addr, wire.Usual)
		c.Query("set @lost = 'lost'")
		var err error
		if h.fd, err = real.OpenFiles(h.PID); err != nil {
			t.Fatal(err)
		}
		h.relays[0].Script(func(p wire.Passing) wire.Fate {
			if strings.Contains(strings.ToLower(p.Command()), "show session_states") {
				return wire.Cut
			}
			return wire.Pass
		})
		h.order(t, h.every[1], "resume")
		h.order(t, h.every[0], "drain")
		h.sessions(t, h.every[0], 0)
		c.Closed()
		if errors := bytes.Count([]byte(c.String()), []byte("HY000")); errors > 1 {
			t.Errorf("the client hears %d errors:\n%s", errors, &c.Transcript)
		}
		await(t, h.Sluice, 0, "sluice_sessions")
		h.sessions(t, h.every[1], 0)
		c.Conn.Close()
		h.settled(t, 0)
	})
}

// leaveWord leaves word for whoever waits for it, once.
func leaveWord(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// arrives waits for word.
func arrives(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-within(t, soon).Done():
		t.Fatal("the move does not come as far as it should")
	}
}

// TestTiDBWithoutSigning has three instances, one of which can't sign tokens: no session moves from it or to it, and the
// other two go on as ever.
func TestTiDBWithoutSigning(t *testing.T) {
	mute := ownTiDB(t, real.TiDBOptions{Cert: stage.cert})
	every := []*real.TiDB{tidb(t, 0), tidb(t, 1), mute}
	prepareStateful(t, every)
	m := moving{addr: real.FreeAddr(), every: every}
	var backends []string
	for _, d := range every {
		backends = append(backends, fmt.Sprintf("{ addr = %q, status = %q }", d.Addr, d.Status))
	}
	config := strings.Replace(tidbDoor(m.addr, []string{"PLACE"}, "[cluster.migrate]", `retry-after = "50ms"`),
		`{ addr = "PLACE" }`, strings.Join(backends, ", "), 1)
	m.Sluice = startSluice(t, racy(t), config)
	await(t, m.Sluice, 3, "sluice_backend_up")
	m.only(t, 2)
	bound := single(t, openMySQL(t, m.addr, "app", ""))
	m.only(t, 0)
	free := single(t, openMySQL(t, m.addr, "app", ""))
	m.order(t, every[1], "resume")
	m.swap(t, 0, 1)
	if got := at(t, free); got != real.Port(every[1].Addr) {
		t.Errorf("the session that can move is at port %d, want it at %s", got, every[1].Addr)
	}
	// The only place left is the one without a certificate.
	m.order(t, mute, "resume")
	m.order(t, every[1], "drain")
	m.order(t, every[0], "drain")
	if got := at(t, bound); got != real.Port(mute.Addr) {
		t.Errorf("the session that can't move is at port %d, want it at %s", got, mute.Addr)
	}
	m.order(t, every[0], "resume")
	m.sessions(t, every[1], 0)
	if got := at(t, free); got != real.Port(every[0].Addr) {
		t.Errorf("the session that can move is at port %d, want it at %s", got, every[0].Addr)
	}
	m.sessions(t, mute, 1)
}
