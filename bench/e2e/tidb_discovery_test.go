package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// TestTiDBDiscovery: what PD knows is found, though one of its addresses can't be reached and another one is silent. An
// instance that comes gets sessions; from one whose key goes they all go elsewhere, while it serves on.
func TestTiDBDiscovery(t *testing.T) {
	every := trio(t)
	p := startPD(t, every[0], every[1])
	mute := newScripted(t)
	mute.perform(hang)
	m := startDiscovering(t, []string{real.FreeAddr(), mute.addr, p.Addr}, "zone-label = \"zone\"")
	knows(t, m.Sluice, every[:2]...)
	b := of(t, m.Sluice, "ti", every[0].Addr)
	if b.StatusPort != every[0].Status || b.Version == "" || b.Closing {
		t.Errorf("it says of an instance: %+v", b)
	}
	people := newCompanions(t, m.addr, 6)
	for _, d := range every[:2] {
		m.sessions(t, d, 3)
	}

	p.enters(t, every[2])
	knows(t, m.Sluice, every...)
	welcomes(t, m.addr, every[2])

	p.leaves(t, every[0])
	m.sessions(t, every[0], 0)
	knows(t, m.Sluice, every[1:]...)
	people.unchanged(t)
	for range 4 {
		if got := at(t, single(t, openMySQL(t, m.addr, "app", ""))); got == real.Port(every[0].Addr) {
			t.Error("a session begins at an instance whose key has gone")
		}
	}
	p.enters(t, every[0])
	knows(t, m.Sluice, every...)
	welcomes(t, m.addr, every[0])
}

// TestTiDBShutdown: an instance that is told to end serves on for a while and says so at its status port. Who is at
// rest, who works without a pause and who is in a transaction has gone before it ends, without an order to Sluice and
// without an error. When its key has gone too, nothing is left of it.
func TestTiDBShutdown(t *testing.T) {
	stays := trio(t)[0]
	options := tidbOptions()
	options.GracefulWait = 20 * time.Second
	ends := ownTiDB(t, options)
	prepareStateful(t, []*real.TiDB{ends})
	p := startPD(t, ends)
	m := startDiscovering(t, []string{p.Addr})
	knows(t, m.Sluice, ends)
	resting := newCompanions(t, m.addr, 10)
	busy := startCrowd(t, 20, comeTo(t, m.addr), func(client int, err error) {
		if err != nil {
			t.Errorf("client %d: %v", client, err)
		}
	})
	tx, err := single(t, openMySQL(t, m.addr, "app", "tls=ours")).BeginTx(within(t, 2*soon), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(within(t, soon), "insert into app.counted (note) values ('until it ends')"); err != nil {
		t.Fatal(err)
	}
	p.enters(t, stays)
	knows(t, m.Sluice, ends, stays)
	m.sessions(t, ends, 31)

	p.ends(ends)
	if err := ends.Terminate(); err != nil {
		t.Fatal(err)
	}
	m.sessions(t, ends, 1)
	await(t, m.Sluice, 1, "sluice_backend_closing", fmt.Sprintf("backend=%q", ends.Addr))
	if b := of(t, m.Sluice, "ti", ends.Addr); !b.Closing {
		t.Errorf("it says of the instance: %+v", b)
	}
	if got := value(t, tx, "select note from app.counted where id = last_insert_id()"); got != "until it ends" {
		t.Errorf("the transaction reads %q", got)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	m.sessions(t, ends, 0)
	select {
	case <-ends.Done():
		t.Error("the instance has ended before its sessions had left")
	default:
	}
	resting.unchanged(t)
	resting.allAt(t, stays)
	<-ends.Done()
	before := busy.rounds.Load()
	eventually(t, func() error {
		if busy.rounds.Load() < before+40 {
			return fmt.Errorf("the clients stand still")
		}
		return nil
	})
	p.leaves(t, ends)
	knows(t, m.Sluice, stays)
	busy.stop()
	resting.unchanged(t)
}

// TestTiDBWithoutPD: while PD is dead or hangs, what is known stays. Sessions live on and begin, instances are checked as
// ever, and leave as ever; what has changed is heard of when PD is back.
func TestTiDBWithoutPD(t *testing.T) {
	every := trio(t)
	options := tidbOptions()
	options.GracefulWait = 10 * time.Second
	third := ownTiDB(t, options)
	prepareStateful(t, []*real.TiDB{third})
	p := startPD(t, every[0], third)
	m := startDiscovering(t, []string{p.Addr}, `timeout = "1s"`)
	knows(t, m.Sluice, every[0], third)
	people := newCompanions(t, m.addr, 6)
	m.sessions(t, third, 3)

	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	stale(t, m.Sluice, "ti", true)
	knows(t, m.Sluice, every[0], third)
	people.unchanged(t)
	welcomes(t, m.addr, third)
	welcomes(t, m.addr, every[0])
	if err := third.Terminate(); err != nil {
		t.Fatal(err)
	}
	m.sessions(t, third, 0)
	select {
	case <-third.Done():
		t.Error("the instance has ended before its sessions had left")
	default:
	}
	<-third.Done()
	await(t, m.Sluice, 0, "sluice_backend_up", fmt.Sprintf("backend=%q", third.Addr))
	people.unchanged(t)
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	knows(t, m.Sluice, every[0], third)
	welcomes(t, m.addr, third)

	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	stale(t, m.Sluice, "ti", false)
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stale(t, m.Sluice, "ti", true)
	knows(t, m.Sluice, every[0], third)
	welcomes(t, m.addr, every[0])
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.enters(t, every[1])
	knows(t, m.Sluice, every[0], every[1], third)
	stale(t, m.Sluice, "ti", false)
	people.unchanged(t)
}

// TestTiDBHangs: an instance that hangs is out by its own checks alone; that another one ends is seen meanwhile. When
// it goes on it is in again.
func TestTiDBHangs(t *testing.T) {
	good := trio(t)[0]
	hangs, ends := ownTiDB(t, tidbOptions()), ownTiDB(t, tidbOptions())
	p := startPD(t, good, hangs, ends)
	addr := real.FreeAddr()
	s := startSluice(t, racy(t), pdCluster("ti", []string{p.Addr},
		"[cluster.status]", `interval = "200ms"`, `timeout = "5s"`,
		"[cluster.health]", `interval = "200ms"`, `timeout = "5s"`, "fall = 1", "rise = 1")+tidbListener("ti", addr))
	knows(t, s, good, hangs, ends)
	if err := hangs.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hangs.Signal(syscall.SIGCONT) })
	await(t, s, 0, "sluice_backend_up", fmt.Sprintf("backend=%q", hangs.Addr))
	if err := ends.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, s, 0, "sluice_backend_up", fmt.Sprintf("backend=%q", ends.Addr))
	welcomes(t, addr, good)
	if err := hangs.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, s, 1, "sluice_backend_up", fmt.Sprintf("backend=%q", hangs.Addr))
	welcomes(t, addr, hangs)
}
