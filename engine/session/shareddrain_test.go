package session

import (
	"context"
	"testing"
	"time"

	"sluice/codec"
	"sluice/router/access"
)

// lasting is sharing by sessions: each client keeps its server connection.
func lasting(size int) *Sharing {
	sh := trusting(size)
	sh.Access = access.New(access.Options{Method: codec.AuthTrust, AnyDatabase: true, Users: []access.User{{Name: "alice"}},
		Limits: access.Limits{Unit: access.UnitSession, PoolSize: size}})
	return sh
}

// TestDrainOfSharing: at the end clients that are idle go at once, those in a transaction behind it, and
// those that wait for a server connection when they have had their turn.
func TestDrainOfSharing(t *testing.T) {
	for name, sharing := range map[string]*Sharing{"transaction": trusting(1), "session": lasting(3)} {
		t.Run(name, func(t *testing.T) {
			db := startFakePG(t, "db-a")
			s := startFunnel(t, func(s *Setup) { s.Frontends[0].Sharing = sharing }, db)
			idle, inTx, waits := login(t, s.addr("in")), login(t, s.addr("in")), login(t, s.addr("in"))
			idle.query("select")
			inTx.query("begin")
			_, _ = waits.Write(message('Q', "select\x00"))
			if name == "transaction" {
				eventually(t, "one waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
			} else {
				waits.next()
				waits.next()
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			forced := make(chan int, 1)
			go func() { forced <- s.Drain(ctx) }()
			idle.expectError("57P01")
			if tag, status := inTx.query("select"); tag != "db-a" || status != "T" {
				t.Errorf("in the transaction: %q %q", tag, status)
			}
			_, _ = inTx.Write(message('Q', "commit\x00"))
			inTx.next()
			inTx.next()
			inTx.expectError("57P01")
			if name == "transaction" {
				for _, want := range []byte{'C', 'Z'} {
					if kind, body := waits.next(); kind != want {
						t.Errorf("who waited got %c %q", kind, body)
					}
				}
			}
			waits.expectError("57P01")
			if n := <-forced; n != 0 {
				t.Errorf("%d sessions were ended by force", n)
			}
			s.expectCalm()
		})
	}
}

// TestDrainByForce: who does not come to a safe point in time is ended, whatever it is at.
func TestDrainByForce(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) {
		one(s)
		s.Frontends[0].Sharing.AbandonTimeout = 200 * time.Millisecond
	}, db)
	inTx, waits := login(t, s.addr("in")), login(t, s.addr("in"))
	inTx.query("begin")
	_, _ = waits.Write(message('Q', "select\x00"))
	eventually(t, "one waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	forced := make(chan int, 1)
	go func() { forced <- s.Drain(ctx) }()
	inTx.expectError("57P01")
	waits.expectError("57P01")
	if n := <-forced; n != 2 {
		t.Errorf("%d sessions were ended by force, want 2", n)
	}
	s.expectCalm()
}

// TestLastingSessions: each client has a server connection of its own to its end, the next one gets it
// wiped, and one that finds none waits for it.
func TestLastingSessions(t *testing.T) {
	db := startFakePG(t, "db-a")
	s := startFunnel(t, func(s *Setup) { s.Frontends[0].Sharing = lasting(1) }, db)
	first := login(t, s.addr("in"))
	first.query("select")
	s.expectState(connJoined)
	second := connect(t, s.addr("in"))
	eventually(t, "the second one waits", func() bool { return s.PoolInfos()[0].ClientsWaiting == 1 })
	first.Close()
	second.ready()
	if tag, _ := second.query("select"); tag != "db-a" {
		t.Errorf("got %q", tag)
	}
	if db.logins.Load() != 1 || db.resets.Load() != 1 {
		t.Errorf("%d logins, %d resets, want one of each", db.logins.Load(), db.resets.Load())
	}
	db.cutAll()
	second.expectError("08006")
	s.expectCalm()
}
