package session

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

// fakeLog is the write-ahead log of a fake server, with a number in it that clients write and read. Its records
// are of 64 bytes, so that none ends where a header does.
type fakeLog struct {
	at      atomic.Uint64 // of a replica: replayed
	replica atomic.Bool
	mute    atomic.Bool   // answers no question for its position
	refuses atomic.Bool   // answers by an error
	asked   atomic.Int64  // questions
	wrote   atomic.Int64  // units that wrote
	heard   chan struct{} // a value for each question, which is answered behind one more; nil: at once
}

// answers answers what concerns the log.
func (l *fakeLog) answers(body, status string, c net.Conn) bool {
	tag := ""
	switch {
	case strings.HasPrefix(body, "SELECT pg_catalog.pg_is_in_recovery()"):
		l.asked.Add(1)
		if l.heard != nil {
			l.heard <- struct{}{}
			<-l.heard
		}
		switch {
		case l.refuses.Load():
			_, _ = c.Write(append(message('E', "SERROR\x00C42501\x00Mno\x00\x00"), message('Z', status)...))
			return true
		case l.mute.Load():
			return true
		}
		row := []byte{0, 5}
		for _, v := range []string{map[bool]string{true: "t", false: "f"}[l.replica.Load()],
			fmt.Sprintf("0/%X", l.at.Load()<<6), "8192", "16MB", map[bool]string{false: "00000002"}[l.replica.Load()]} {
			row = append(binary.BigEndian.AppendUint32(row, uint32(len(v))), v...)
		}
		_, _ = c.Write(append(append(message('D', string(row)), message('C', "SELECT 1\x00")...), message('Z', status)...))
		return true
	case strings.HasPrefix(body, "write"):
		if l.replica.Load() {
			_, _ = c.Write(append(message('E', "SERROR\x00C25006\x00Mread only\x00\x00"), message('Z', status)...))
			return true
		}
		l.wrote.Add(1)
		tag = strconv.FormatUint(l.at.Add(1), 10)
	case strings.HasPrefix(body, "read"):
		tag = strconv.FormatUint(l.at.Load(), 10)
		if l.replica.Load() {
			tag += " replica"
		}
	default:
		return false
	}
	_, _ = c.Write(append(message('C', tag+"\x00"), message('Z', status)...))
	return true
}

// reads is a listener for the leader whose transactions that only read go to a replica.
type reads struct {
	*stand
	leader, replica *fakePG
}

func startReads(t *testing.T, mode OwnWrites, wait time.Duration, change func(*Setup)) *reads {
	t.Helper()
	r := &reads{leader: startFakePG(t, "lead"), replica: startFakePG(t, "repl")}
	r.replica.log.replica.Store(true)
	r.leader.log.at.Store(1 << 20)
	r.replica.log.at.Store(1 << 20)
	r.stand = startFunnel(t, func(s *Setup) {
		s.Clusters[0].Backends[1].Role = router.Async
		fe := &s.Frontends[0]
		fe.Roles = router.Roles(0).With(router.Leader)
		fe.Sharing.ReadRoles = router.Roles(0).With(router.Async).With(router.Sync)
		fe.Sharing.OwnWrites, fe.Sharing.ReadWait = mode, wait
		if change != nil {
			change(s)
		}
	}, r.leader, r.replica)
	return r
}

// read reads the number in a transaction that says that it only reads, and tells whether a replica did it.
func (c *client) read() (n int, replica bool) {
	c.t.Helper()
	if _, status := c.query("begin read only"); status != "T" {
		c.t.Fatalf("begin: %s", status)
	}
	tag, _ := c.query("read")
	c.query("commit")
	first, rest, _ := strings.Cut(tag, " ")
	n, err := strconv.Atoi(first)
	if err != nil {
		c.t.Fatalf("read: %q", tag)
	}
	return n, rest == "replica"
}

// write writes the next number.
func (c *client) write() int {
	c.t.Helper()
	tag, _ := c.query("write")
	n, err := strconv.Atoi(tag)
	if err != nil {
		c.t.Fatalf("write: %q", tag)
	}
	return n
}

// reads are the counts of reads by their results.
func (r *reads) results() (c [readResults]uint64) {
	sum, _ := r.snapshot()
	return sum.frontend("in").reads.results
}

// catchUp has the replica replay everything.
func (r *reads) catchUp() { r.replica.log.at.Store(r.leader.log.at.Load()) }

// expectRead reads, and holds what was read and where.
func (r *reads) expectRead(c *client, want int, replica bool) {
	r.t.Helper()
	if n, at := c.read(); n != want || at != replica {
		r.t.Errorf("read %d, of a replica: %v; want %d, %v", n, at, want, replica)
	}
}

func TestReadsGoToReplica(t *testing.T) {
	r := startReads(t, OwnWritesOff, 0, nil)
	c := login(t, r.addr("in"))
	for range 3 {
		n := c.write()
		r.expectRead(c, 1<<20, true)
		if c.query("begin"); true {
			if tag, _ := c.query("read"); tag != strconv.Itoa(n) {
				t.Errorf("a transaction that may write has read %q", tag)
			}
			c.query("commit")
		}
	}
	if n := r.leader.log.asked.Load() + r.replica.log.asked.Load(); n != 0 {
		t.Errorf("%d questions for a position", n)
	}
	if got := r.results(); got != [readResults]uint64{readReplica: 3} {
		t.Errorf("counted %v", got)
	}
	var out strings.Builder
	r.WriteMetrics(&out)
	if want := `sluice_reads_total{listener="in",result="replica"} 3`; !strings.Contains(out.String(), want) {
		t.Errorf("the metrics hold no %s", want)
	}
	c.Close()
	r.expectCalm()
}

// What a client sends ahead behind a replica's transaction is for the leader. What it sends ahead behind other
// work stays with that.
func TestReadsSentAhead(t *testing.T) {
	r := startReads(t, OwnWritesOff, 0, nil)
	c := login(t, r.addr("in"))
	var sent []byte
	for _, sql := range []string{"begin read only", "read", "commit", "write", "begin read only", "read", "commit", "write"} {
		sent = append(sent, message('Q', sql+"\x00")...)
	}
	_, _ = c.Write(sent)
	for i, want := range []string{"repl", "1048576 replica", "repl", "1048577", "lead", "1048577", "lead", "1048578"} {
		kind, tag := c.next()
		if kind != 'C' || tag != want+"\x00" {
			t.Fatalf("answer %d is %c %q, want %s", i, kind, tag, want)
		}
		c.next()
	}
	c.Close()
	r.expectCalm()
}

func TestReadsOfSessionThatWroteNothing(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, nil)
	login(t, r.addr("in")).write()
	c := login(t, r.addr("in"))
	r.expectRead(c, 1<<20, true)
	r.expectRead(c, 1<<20, true)
	if n := r.leader.log.asked.Load() + r.replica.log.asked.Load(); n != 0 {
		t.Errorf("%d questions for a position", n)
	}
}

func TestReadsWait(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, nil)
	c := login(t, r.addr("in"))
	for range 3 {
		n := c.write()
		asked := r.replica.log.asked.Load()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.expectRead(c, n, true)
		}()
		eventually(t, "the replica is asked again and again", func() bool { return r.replica.log.asked.Load() >= asked+3 })
		select {
		case <-done:
			t.Fatal("it was read before the replica had caught up")
		default:
		}
		r.catchUp()
		<-done
	}
	leader, replica := r.leader.log.asked.Load(), r.replica.log.asked.Load()
	if leader != 3 {
		t.Errorf("the leader was asked %d times for 3 writes", leader)
	}
	r.expectRead(c, 1<<20+3, true) // nothing was written since
	if r.leader.log.asked.Load() != leader || r.replica.log.asked.Load() != replica {
		t.Error("a position was asked for that is known")
	}
	sum, _ := r.snapshot()
	if f := sum.frontend("in").reads; f.results != [readResults]uint64{readReplica: 4} || f.waited.total() != 3 {
		t.Errorf("counted %v, %d waits", f.results, f.waited.total())
	}
	c.Close()
	r.expectCalm()
}

func TestReadsWaitTooLong(t *testing.T) {
	r := startReads(t, OwnWritesWait, 30*time.Millisecond, nil)
	c := login(t, r.addr("in"))
	n := c.write()
	start := time.Now()
	r.expectRead(c, n, false)
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("the leader was used after %v", took)
	}
	if got := r.results(); got != [readResults]uint64{readBehind: 1} {
		t.Errorf("counted %v", got)
	}
	r.catchUp()
	r.expectRead(c, n, true)
	c.Close()
	r.expectCalm()
}

func TestReadsLeaderAtOnce(t *testing.T) {
	r := startReads(t, OwnWritesLeader, 0, nil)
	c := login(t, r.addr("in"))
	n := c.write()
	r.expectRead(c, n, false)
	r.expectRead(c, n, false)
	r.catchUp()
	r.expectRead(c, n, true)
	if got := r.results(); got != [readResults]uint64{readReplica: 1, readBehind: 2} {
		t.Errorf("counted %v", got)
	}
}

// TestReadsElsewhere: there is no replica that will do.
func TestReadsElsewhere(t *testing.T) {
	for name, spoil := range map[string]func(*reads){
		"the replica is gone":      func(r *reads) { r.replica.stop() },
		"it takes nobody":          func(r *reads) { code := "28000"; r.replica.refuse.Store(&code) },
		"it does not tell":         func(r *reads) { r.replica.log.refuses.Store(true) },
		"the leader does not tell": func(r *reads) { r.leader.log.refuses.Store(true) },
		"it has become a leader":   func(r *reads) { r.catchUp(); r.replica.log.replica.Store(false) },
		"the leader leads no more": func(r *reads) { r.leader.log.replica.Store(true) },
		"it closes when it is asked": func(r *reads) {
			r.replica.log.heard = make(chan struct{})
			go func() {
				<-r.replica.log.heard
				r.replica.stop()
				close(r.replica.log.heard)
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReads(t, OwnWritesWait, patience, nil)
			c := login(t, r.addr("in"))
			n := c.write()
			spoil(r)
			if name == "the leader leads no more" {
				if got, _ := c.read(); got != n {
					t.Errorf("read %d, want %d", got, n)
				}
			} else {
				r.expectRead(c, n, false)
			}
			if got := r.results(); got != [readResults]uint64{readUnfit: 1} {
				t.Errorf("counted %v", got)
			}
			c.Close()
			r.expectCalm()
		})
	}
}

func TestReadsWithoutReplica(t *testing.T) {
	r := startReads(t, OwnWritesOff, 0, func(s *Setup) { s.Frontends[0].Sharing.ReadRoles = router.Roles(0).With(router.Quorum) })
	r.expectRead(login(t, r.addr("in")), 1<<20, false)
	if got := r.results(); got != [readResults]uint64{readUnfit: 1} {
		t.Errorf("counted %v", got)
	}
}

func TestReadsOnAnotherTimeline(t *testing.T) {
	for line, replica := range map[uint64]bool{0: true, 1: false, 2: true} {
		r := startReads(t, OwnWritesWait, patience, func(s *Setup) { s.Clusters[0].Backends[1].Timeline = line })
		c := login(t, r.addr("in"))
		n := c.write()
		r.catchUp()
		r.expectRead(c, n, replica)
	}
}

// TestReadsChosen: the leader may be the best for what only reads, too.
func TestReadsChosen(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, func(s *Setup) {
		s.Frontends[0].Sharing.ReadRoles = router.Roles(0).With(router.Leader)
	})
	c := login(t, r.addr("in"))
	n := c.write()
	r.expectRead(c, n, false)
	if got := r.results(); got != [readResults]uint64{readChosen: 1} {
		t.Errorf("counted %v", got)
	}
	c.Close()
	r.expectCalm()
}

// TestReadsBehindRestart: a replica that comes back from a restart may be at an earlier place than it was.
func TestReadsBehindRestart(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, nil)
	c := login(t, r.addr("in"))
	n := c.write()
	r.catchUp()
	r.expectRead(c, n, true)
	r.replica.log.at.Store(1 << 20)
	r.replica.cutAll()
	eventually(t, "the loss of its connections is known", func() bool {
		left := 0
		for _, on := range r.loops {
			onLoop(t, on, func() {
				for spec, h := range on.homes {
					if spec.backend.Addr() == r.replica.addr() {
						left += len(h.conns)
					}
				}
			})
		}
		return left == 0
	})
	asked := r.replica.log.asked.Load()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.expectRead(c, n, true)
	}()
	eventually(t, "the replica is asked once more", func() bool { return r.replica.log.asked.Load() > asked })
	r.catchUp()
	<-done
}

// TestReadsLost: what happens to a transaction whose replica goes in its middle is what happens to others.
func TestReadsLost(t *testing.T) {
	r := startReads(t, OwnWritesOff, 0, nil)
	c := login(t, r.addr("in"))
	c.query("begin read only")
	r.replica.stop()
	c.expectError("08006")
	r.expectCalm()
}

// TestReadsLostAndKept: the client stays, is told, and goes on.
func TestReadsLostAndKept(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, func(s *Setup) { s.Frontends[0].Sharing.KeepOnLoss = true })
	c := login(t, r.addr("in"))
	n := c.write()
	r.catchUp()
	c.query("begin read only")
	one := r.only()
	r.replica.cutAll()
	eventually(t, "the session is at its own home", func() (own bool) {
		onLoop(t, one.on, func() { own = one.sh.at == nil && !one.sh.away() })
		return own
	})
	_, _ = c.Write(message('Q', "read\x00"))
	if kind, body := c.next(); kind != 'E' || !strings.Contains(body, "C40001\x00") {
		t.Fatalf("got %c %q", kind, body)
	}
	if kind, status := c.next(); kind != 'Z' || status != "E" {
		t.Fatalf("got %c %q", kind, status)
	}
	if _, status := c.query("ROLLBACK"); status != "I" {
		t.Errorf("behind the end of the transaction: %s", status)
	}
	r.expectRead(c, n, true)
	if got := c.write(); got != n+1 {
		t.Errorf("wrote %d", got)
	}
	c.Close()
	r.expectCalm()
}

// TestReadsGivenUp: a client goes while its transaction waits for a position.
func TestReadsGivenUp(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, nil)
	c := login(t, r.addr("in"))
	c.write()
	other := login(t, r.addr("in"))
	n := other.write()
	for _, c := range []*client{c, other} {
		_, _ = c.Write(message('Q', "begin read only\x00"))
	}
	eventually(t, "the replica is asked", func() bool { return r.replica.log.asked.Load() > 1 })
	c.Close()
	eventually(t, "one client is left", func() bool { return r.Clients() == 1 })
	r.catchUp()
	other.next()
	other.next()
	if tag, _ := other.query("read"); tag != strconv.Itoa(n)+" replica" {
		t.Errorf("read %q", tag)
	}
	other.query("commit")
	other.Close()
	r.expectCalm()
}

// TestReadsAskedInVain: a server that hangs is given up, and the leader used.
func TestReadsAskedInVain(t *testing.T) {
	r := startReads(t, OwnWritesLeader, 0, func(s *Setup) { s.Clusters[0].ConnectTimeout = 100 * time.Millisecond })
	c := login(t, r.addr("in"))
	n := c.write()
	r.catchUp()
	r.replica.log.mute.Store(true)
	r.expectRead(c, n, false)
	r.replica.log.mute.Store(false)
	r.expectRead(c, n, true)
}

// TestReadsTooMany: no more than so many wait for a position.
func TestReadsTooMany(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, nil)
	c := login(t, r.addr("in"))
	c.write()
	one := r.only()
	r.catchUp()
	onLoop(t, one.on, func() { one.sh.home.gauge().n = gaugeWaits })
	c.write()
	r.expectRead(c, 1<<20+2, false)
	if got := r.results(); got != [readResults]uint64{readBehind: 1} {
		t.Errorf("counted %v", got)
	}
	onLoop(t, one.on, func() { one.sh.home.gauge().n = 0 })
	r.catchUp()
	r.expectRead(c, 1<<20+2, true)
}

// TestReadsSharedQuestions: a question that was sent before a session's last write ended is of no use for it,
// though its answer comes later.
func TestReadsSharedQuestions(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, func(s *Setup) { s.Frontends[0].Sharing.Access = trusting(3).Access })
	a, b := login(t, r.addr("in")), login(t, r.addr("in"))
	for !r.onOneLoop() { // else they share nothing
		b.Close()
		b = login(t, r.addr("in"))
	}
	r.leader.log.heard = make(chan struct{})
	a.write()
	b.write()
	_, _ = a.Write(message('Q', "begin read only\x00"))
	<-r.leader.log.heard // the question of a is with the server
	n := b.write()
	_, _ = b.Write(message('Q', "begin read only\x00"))
	one := 0
	eventually(t, "both wait", func() bool {
		one = 0
		for _, on := range r.loops {
			onLoop(t, on, func() {
				for _, h := range on.homes {
					if h.where != nil {
						one = max(one, h.where.n)
					}
				}
			})
		}
		return one == 2
	})
	r.leader.log.heard <- struct{}{} // the answer is for a alone
	<-r.leader.log.heard             // and b's question follows
	r.leader.log.heard <- struct{}{}
	r.catchUp()
	for _, c := range []*client{a, b} {
		c.next()
		c.next()
		if tag, _ := c.query("read"); tag != strconv.Itoa(n)+" replica" {
			t.Errorf("read %q", tag)
		}
		c.query("commit")
	}
}

// onOneLoop tells whether all sessions are on one loop.
func (r *reads) onOneLoop() bool {
	loops := 0
	for _, on := range r.loops {
		onLoop(r.t, on, func() {
			for _, s := range on.all() {
				if s.stage == stageRelay {
					loops |= 1 << on.loop.ID()
				}
			}
		})
	}
	return loops&(loops-1) == 0
}

// TestReadsSeeOwnWrites has many sessions write and read, while the replica follows in jumps.
func TestReadsSeeOwnWrites(t *testing.T) {
	for _, mode := range []OwnWrites{OwnWritesWait, OwnWritesLeader} {
		r := startReads(t, mode, patience, nil)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Millisecond):
					r.catchUp()
				}
			}
		}()
		const clients, rounds = 16, 30
		failed := make(chan string, clients)
		for i := range clients {
			c := login(t, r.addr("in"))
			go func() {
				why := "it did not come to its end"
				defer func() { failed <- why }()
				for range rounds {
					n := c.write()
					for range i % 3 {
						if got, _ := c.read(); got < n {
							why = fmt.Sprintf("wrote %d, then read %d", n, got)
							return
						}
					}
				}
				why = ""
			}()
		}
		for range clients {
			if why := <-failed; why != "" {
				t.Errorf("mode %d: %s", mode, why)
			}
		}
		close(stop)
		<-stopped
		if got := r.results(); got[readReplica] == 0 || got[readUnfit] > 0 || mode == OwnWritesWait && got[readBehind] > 0 {
			t.Errorf("mode %d: counted %v", mode, got)
		}
	}
}

// TestReadsOfOthers: without ReadRoles nothing is asked of anybody.
func TestReadsOfOthers(t *testing.T) {
	r := startReads(t, OwnWritesWait, patience, func(s *Setup) { s.Frontends[0].Sharing.ReadRoles = 0 })
	c := login(t, r.addr("in"))
	n := c.write()
	r.expectRead(c, n, false)
	if s := r.only(); s.sh.reads != nil {
		t.Error("the session has got something for its reads")
	}
	if got := r.results(); got != [readResults]uint64{} {
		t.Errorf("counted %v", got)
	}
}

// TestReadsAfterReload: what a session wrote before the listener had replicas for reads counts.
func TestReadsAfterReload(t *testing.T) {
	var roles router.Roles
	r := startReads(t, OwnWritesLeader, 0, func(s *Setup) {
		roles = s.Frontends[0].Sharing.ReadRoles
		s.Frontends[0].Sharing.ReadRoles = 0
	})
	c := login(t, r.addr("in"))
	n := c.write()
	sharing := *r.setup.Frontends[0].Sharing
	sharing.ReadRoles = roles
	r.setup.Frontends[0].Sharing = &sharing
	r.apply()
	r.expectRead(c, n, false)
	r.catchUp()
	r.expectRead(c, n, true)
	again := sharing
	again.ReadRoles = 0
	r.setup.Frontends[0].Sharing = &again
	r.apply()
	r.expectRead(c, n, false)
	c.Close()
	r.expectCalm()
}

// TestReadsAllocateNothing: placing a unit of work takes no memory, whether the listener has replicas for reads
// or not.
func TestReadsAllocateNothing(t *testing.T) {
	begin := message('Q', "begin read only\x00")
	for _, roles := range []router.Roles{0, router.Roles(0).With(router.Async)} {
		r := startReads(t, OwnWritesWait, patience, func(s *Setup) { s.Frontends[0].Sharing.ReadRoles = roles })
		c := login(t, r.addr("in"))
		c.write()
		r.catchUp()
		c.read()
		s := r.only()
		onLoop(t, s.on, func() {
			n := testing.AllocsPerRun(100, func() {
				if s.readsOnly(begin) != (roles != 0) {
					t.Error("it is not told what only reads")
				}
				if roles == 0 {
					s.endUnit()
					return
				}
				sc, next := s.beginRead()
				if next != stepHere {
					t.Error("the replica does not do it")
					return
				}
				s.sh.guest.Attach(sc.host, &s.on.turn)
				sc.part()
			})
			if n != 0 {
				t.Errorf("roles %v: %v allocations", roles, n)
			}
		})
		c.Close()
		r.expectCalm()
	}
}
