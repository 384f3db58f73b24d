package session

import (
	"net/netip"
	"testing"
	"time"
)

// work has all sessions count as those of clients that work, however long the test takes.
func (s *stand) work() {
	for _, on := range s.loops {
		onLoop(s.t, on, func() {
			for one := on.list.next; one != &on.list; one = one.next {
				c := &one.clock
				c.begun[(c.head-1)%timedOpen] = on.loop.Now() + int64(time.Hour)
			}
		})
	}
}

// TestLine: of clients that work, few wait for their moves at a time; the others are served meanwhile.
func TestLine(t *testing.T) {
	const n = 12
	a, b := startFakeDB(t, "a", 1000), startFakeDB(t, "b", 2000)
	s := startLines(t, fakeProto{}, nil, a)
	clients := s.crowd(n)
	byAddress := map[netip.AddrPort]*lineClient{}
	for _, c := range clients {
		c.expect("add x 1", "1 I")
		byAddress[netip.MustParseAddrPort(c.LocalAddr().String())] = c
	}
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	a.pause("state?")
	s.work()
	s.backendOf(a).Drain("for a test")
	lined := func() (sessions []netip.AddrPort, asked int) {
		for _, on := range s.loops {
			onLoop(t, on, func() {
				for _, l := range on.moves.lines {
					asked += l.under
					if l.under > lineLeast {
						t.Errorf("%d are asked at a time", l.under)
					}
					for e := l.working.Front(); e != nil; e = e.Next() {
						sessions = append(sessions, e.Value.(*moving).s.from)
					}
				}
			})
		}
		return sessions, asked
	}
	eventually(t, "each is asked, or stands in the line", func() bool {
		waits, asked := lined()
		return asked > 0 && len(waits)+asked == n
	})
	waits, _ := lined()
	for _, from := range waits {
		byAddress[from].expect("who", "a I")
		byAddress[from].expect("begin", "ok T")
	}
	a.resume()
	s.awaits("moved", n-len(waits))
	for _, from := range waits { // whose moment has passed
		byAddress[from].expect("add x 1", "2 T")
		byAddress[from].expect("commit", "ok I")
	}
	s.awaits("moved", n)
	for _, c := range clients {
		c.expect("who", "b I")
		c.Close()
	}
	s.expectEmpty()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
	if waits, asked := lined(); len(waits) > 0 || asked > 0 {
		t.Errorf("%d wait, %d are asked", len(waits), asked)
	}
}

// TestLineLetsClientsLeave: what ends in the line leaves nothing there.
func TestLineLetsClientsLeave(t *testing.T) {
	const n = 12
	a, b := startFakeDB(t, "a", 1000), startFakeDB(t, "b", 2000)
	s := startLines(t, fakeProto{}, nil, a)
	clients := s.crowd(n)
	for _, c := range clients {
		c.expect("add x 1", "1 I")
	}
	s.setup.Clusters[0].Backends = lineSpecs(a, b)
	s.apply()
	a.pause("state?")
	s.work()
	s.backendOf(a).Drain("for a test")
	eventually(t, "some are asked", func() bool { return a.count("state?") > 0 })
	for _, c := range clients {
		c.Close()
	}
	s.expectEmpty()
	a.resume()
	s.expectCounts(map[*fakeDB]int{a: 0, b: 0})
	for _, on := range s.loops {
		eventually(t, "the line is empty", func() (empty bool) {
			onLoop(t, on, func() {
				empty = len(on.moves.lines) == 0
			})
			return empty
		})
	}
}

// TestLineWidth: the line gets wider as long as nobody is slower than the quickest, by a quarter.
func TestLineWidth(t *testing.T) {
	ms := func(x float64) int64 { return int64(x * float64(time.Millisecond)) }
	var l askLine
	l.working.PushBack(nil)
	if !l.free(false) {
		t.Fatal("an empty line lets nobody in")
	}
	l.under = 1
	if l.free(false) || !l.free(true) {
		t.Error("one is under way: one at rest is let in, and no other one")
	}
	for range 5 {
		l.learn(ms(1))
	}
	if l.width != 6 {
		t.Errorf("behind 5 quick ones the width is %d", l.width)
	}
	l.learn(ms(3.9))
	if l.width != 7 {
		t.Errorf("behind one that nobody minds the width is %d", l.width)
	}
	l.learn(ms(20))
	if l.width != 3 {
		t.Errorf("behind a slow one the width is %d", l.width)
	}
	for range 10 {
		l.learn(ms(20))
	}
	if l.width != lineLeast {
		t.Errorf("behind slow ones the width is %d", l.width)
	}
	for range 300 {
		l.learn(ms(20)) // as quick as this server gets
	}
	if l.width < 2 {
		t.Errorf("where all are equally slow the width is %d", l.width)
	}
	for range 100 {
		l.learn(ms(1))
	}
	if l.width != lineMost {
		t.Errorf("the width is %d", l.width)
	}
	l.under = 0
	l.resting.PushBack(nil)
	if l.free(false) {
		t.Error("one that works is let in before one at rest")
	}
	l.working.Init()
	l.width = 1
	if l.learn(ms(1)); l.width != 1 {
		t.Error("it gets wider though nobody waits")
	}
}
