package patroni

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/upstream"
)

// ear is a Finds that notes what it is told of holds.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) Found([]upstream.Spec) {}

func (e *ear) Hold(why string, max time.Duration) { e.note(fmt.Sprint("hold ", why, " ", max)) }

func (e *ear) EndHold() { e.note("end") }

func (e *ear) Held() (why string, held bool) { return "", false }

func (e *ear) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, s)
}

// wants fails the test if anything else was heard since the last call.
func (e *ear) wants(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.heard, want) {
		t.Errorf("heard %q, want %q", e.heard, want)
	}
	e.heard = nil
}

const (
	heldA    = "hold switchover from a 30s"
	heldAToB = "hold switchover from a to b 30s"
)

// inTurn runs test by a clock of its own, with a turn whose last poll has found a leading.
func inTurn(t *testing.T, test func(*turn, *ear)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &ear{}
		u := newTurn(e)
		defer u.close()
		u.polled(&View{Leader: "a"})
		test(u, e)
	})
}

func TestTurnOfARequest(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		u.told(said{leader: "a"})
		e.wants(t)
		u.told(said{"a", &Switchover{From: "a", To: "b"}})
		e.wants(t, heldAToB)
		// Neither is it held back for twice, nor does a poll that knows nothing of it end it.
		u.told(said{"a", &Switchover{From: "a", To: "b"}})
		u.polled(&View{Leader: "a"})
		e.wants(t)
		// Patroni gives it up.
		u.told(said{leader: "a"})
		e.wants(t, "end")
		// The same is asked for again.
		u.told(said{"a", &Switchover{From: "a", To: "b"}})
		e.wants(t, heldAToB)
	})
}

func TestTurnPasses(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		u.told(said{"a", &Switchover{From: "a"}})
		e.wants(t, heldA)
		u.told(said{"", &Switchover{From: "a"}})
		u.told(said{"b", &Switchover{From: "a"}})
		u.told(said{leader: "b"})
		u.polled(&View{Leader: ""})
		u.polled(&View{Leader: "b"})
		e.wants(t) // the cluster ends it, as b leads
		u.told(said{"b", &Switchover{From: "b", To: "a"}})
		e.wants(t, "hold switchover from b to a 30s")
	})
}

// TestTurnComesBack has the leader give the lead up, and get it back.
func TestTurnComesBack(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		u.told(said{"a", &Switchover{From: "a", To: "b"}})
		e.wants(t, heldAToB)
		u.told(said{"", &Switchover{From: "a", To: "b"}})
		u.told(said{})
		e.wants(t)
		u.told(said{leader: "a"})
		e.wants(t, "end")
	})
}

func TestTurnOfNoMatter(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for name, s := range map[string]func() said{
		"of another leader":  func() said { return said{"a", &Switchover{From: "b", To: "a"}} },
		"to the leader":      func() said { return said{"a", &Switchover{To: "a"}} },
		"without a leader":   func() said { return said{"", &Switchover{To: "b"}} },
		"replayed":           func() said { return said{"b", &Switchover{From: "b", To: "a"}} },
		"long past its time": func() said { return said{"a", &Switchover{From: "a", At: at(-overdue - time.Second)}} },
	} {
		t.Run(name, func(t *testing.T) {
			inTurn(t, func(u *turn, e *ear) {
				u.told(s())
				time.Sleep(time.Hour)
				u.polled(&View{Leader: "a"})
				e.wants(t)
			})
		})
	}
}

// TestTurnHearsLate has etcd tell of a leader before the polls do.
func TestTurnHearsLate(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		u.told(said{"b", &Switchover{From: "b", To: "a"}})
		e.wants(t)
		u.polled(&View{Leader: "b"})
		e.wants(t, "hold switchover from b to a 30s")
	})
}

// TestTurnIsBounded has a request stay for ever: it is not held back for again, and its end ends nobody
// else's hold.
func TestTurnIsBounded(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		ask := said{"a", &Switchover{From: "a"}}
		u.told(ask)
		e.wants(t, heldA)
		time.Sleep(holdMax)
		u.told(ask)
		u.polled(&View{Leader: "a"})
		u.told(said{leader: "a"})
		e.wants(t)
	})
}

func TestTurnAtItsTime(t *testing.T) {
	for name, tell := range map[string]func(*turn, *Switchover){
		"by polls": func(u *turn, s *Switchover) { u.polled(&View{Leader: "a", Switchover: s}) },
		"by etcd":  func(u *turn, s *Switchover) { u.told(said{"a", s}) },
	} {
		t.Run(name, func(t *testing.T) {
			inTurn(t, func(u *turn, e *ear) {
				s := &Switchover{From: "a", To: "b", At: time.Now().Add(time.Minute)}
				tell(u, s)
				time.Sleep(time.Minute - holdLead - time.Millisecond)
				tell(u, s)
				e.wants(t)
				time.Sleep(time.Millisecond)
				e.wants(t, heldAToB)
				time.Sleep(5 * time.Second)
				tell(u, s)
				e.wants(t)
				tell(u, nil)
				e.wants(t, "end")
			})
		})
	}
}

// TestTurnCalledOff takes a scheduled switchover back, and puts one off.
func TestTurnCalledOff(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		u.polled(&View{Leader: "a", Switchover: &Switchover{From: "a", At: time.Now().Add(time.Minute)}})
		u.polled(&View{Leader: "a"})
		time.Sleep(2 * time.Minute)
		e.wants(t)
		u.polled(&View{Leader: "a", Switchover: &Switchover{From: "a", At: time.Now().Add(time.Minute)}})
		u.polled(&View{Leader: "a", Switchover: &Switchover{From: "a", At: time.Now().Add(time.Hour)}})
		time.Sleep(2 * time.Minute)
		e.wants(t)
		time.Sleep(time.Hour)
		e.wants(t, heldA)
	})
}

// TestTurnDeaf has etcd fall silent in the middle of a switchover: polls know nothing of it, and end nothing.
func TestTurnDeaf(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		u.told(said{"a", &Switchover{From: "a"}})
		e.wants(t, heldA)
		u.deaf()
		u.polled(&View{Leader: "a"})
		e.wants(t)
		u.told(said{leader: "a"})
		e.wants(t, "end")
	})
}

func TestTurnClosed(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		u.polled(&View{Leader: "a", Switchover: &Switchover{From: "a", At: time.Now().Add(time.Minute)}})
		u.close()
		u.told(said{"a", &Switchover{From: "a"}})
		time.Sleep(time.Hour)
		e.wants(t)
	})
}

// TestTurnPaused: while Patroni is paused it does nothing that is scheduled, but what is asked for at once.
func TestTurnPaused(t *testing.T) {
	inTurn(t, func(u *turn, e *ear) {
		s := &Switchover{From: "a", To: "b", At: time.Now().Add(time.Minute)}
		u.polled(&View{Leader: "a", Paused: true, Switchover: s})
		time.Sleep(time.Minute)
		u.told(said{"a", s})
		u.polled(&View{Leader: "a", Paused: true, Switchover: s})
		e.wants(t)
		u.polled(&View{Leader: "a", Switchover: s}) // it goes on, and is late
		e.wants(t, heldAToB)
		u.told(said{leader: "a"})
		e.wants(t, "end")
		u.polled(&View{Leader: "a", Paused: true})
		u.told(said{"a", &Switchover{From: "a", To: "b"}})
		e.wants(t, heldAToB)
	})
}
