package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

// joined is a guest with a host, between which nothing is written down.
func joined(t *testing.T) *play {
	t.Helper()
	p := newPlay(t, 0)
	p.run("host 1")
	p.guest.Attach(p.host, &p.turn)
	return p
}

// feedAll gives the guest b in pieces, and returns the error and the most that it kept.
func (p *play) feedAll(b []byte, piece int) (kept int, err error) {
	for len(b) > 0 && err == nil {
		n := min(piece, len(b))
		_, _, err = p.guest.Client(b[:n], &p.turn)
		p.turn.Flush()
		b, kept = b[n:], max(kept, len(p.guest.buf))
	}
	return kept, err
}

// The names at the front of a message are kept up to a limit, the rest of it is not kept at all.
func TestLimitOfNames(t *testing.T) {
	long := strings.Repeat("n", maxNames-1)
	bind := message('B', long+"\x00"+long+"\x00\x00\x00\x00\x01\x00\x10\x00\x00"+strings.Repeat("p", 1<<20)+"\x00\x00")
	p := joined(t)
	p.open()
	kept, err := p.feedAll(bind, 1000)
	if err != nil || kept > 5*maxNames || p.server.Len() != len(bind) {
		t.Errorf("names of %d bytes: %v, %d bytes kept, %d sent of %d", len(long), err, kept, p.server.Len(), len(bind))
	}
	var e codec.Error
	kept, err = joined(t).feedAll(message('B', strings.Repeat("n", 1<<20)), 1000)
	if !errors.As(err, &e) || e.Cond != codec.LimitOfClient || kept > 5*maxNames {
		t.Errorf("a name without an end: %v, %d bytes kept", err, kept)
	}
	// Nor does the server take a Close or Describe as long as that.
	if _, err = joined(t).feedAll(message('C', "S"+strings.Repeat("n", maxSmall)+"\x00"), 1000); err == nil {
		t.Error("a Close without an end is taken")
	}
}

// An error that is too long to be read passes by as it is; one of Sluice's own is cut; a parameter that
// is too long ends the connection.
func TestLimitOfGathered(t *testing.T) {
	failure := func(n int) []byte {
		return message('E', "SERROR\x00VERROR\x00C22012\x00M"+strings.Repeat("m", n)+"\x00\x00")
	}
	hear := func(p *play, b []byte) (kept int) {
		for len(b) > 0 {
			n := min(1000, len(b))
			if err := p.host.Server(b[:n], &p.turn); err != nil {
				t.Fatal(err)
			}
			p.turn.Flush()
			b, kept = b[n:], max(kept, len(p.host.gather))
		}
		return kept
	}
	for _, n := range []int{maxGathered / 2, maxGathered, 4 * maxGathered} {
		p := joined(t)
		p.run("c: Q(select 1)")
		p.open()
		if kept := hear(p, failure(n)); kept > maxGathered {
			t.Errorf("%d bytes are kept", kept)
		}
		if !strings.Contains(p.client.String(), strings.Repeat("m", n)+"\x00") || p.client.Len() != len(failure(n)) {
			t.Errorf("%d of %d bytes have reached the client", p.client.Len(), len(failure(n)))
		}
		p.client.Reset()
		p.run("s: Z(I)\nc? Z(I)\nfree\ndetach\ncheck select 1")
		p.open()
		if kept := hear(p, failure(n)); kept > maxGathered {
			t.Errorf("%d bytes of an error of Sluice's own are kept", kept)
		}
		p.run("s: Z(I)\nc?\nfailed=true")
	}
	p := joined(t)
	if err := p.host.Server(message('S', "a\x00"+strings.Repeat("v", maxGathered)+"\x00"), &p.turn); !errors.Is(err, errLongStatus) {
		t.Errorf("a long parameter: %v", err)
	}
}

// A batch beyond the limit is not kept to be run again: the client is told what the server says.
func TestLimitOfRecord(t *testing.T) {
	const changed = "E(0A000;cached plan must not change result type;ERROR;RevalidateCachedQuery) Z(I)"
	for _, c := range []struct {
		size  int
		again bool
	}{{maxRecord - 100, true}, {maxRecord, false}, {4 * maxRecord, false}} {
		for _, cut := range []int{0, 1000} {
			p := newPlay(t, cut)
			p.run(`
				c: P(a;select * from t) S
				s? P(sluice_0_1;select * from t) S
				s: 1 Z(I)
				c? 1 Z(I)
				c: B(;a;` + strings.Repeat("p", c.size) + `) D(P;) E S`)
			if kept := cap(p.host.record); kept > 2*maxRecord {
				t.Errorf("%d bytes: %d are kept", c.size, kept)
			}
			p.server.Reset()
			p.run("s: " + changed)
			if again := p.server.Len() > c.size; again != c.again || again == (p.client.Len() > 0) {
				t.Errorf("%d bytes, pieces of %d: %d bytes to the server, %d to the client", c.size, cut, p.server.Len(), p.client.Len())
			}
		}
	}
}

// A client that asks without end and reads nothing is told so, and what is kept of its requests is small.
func TestLimitOfDebts(t *testing.T) {
	p := joined(t)
	ask := []byte(strings.Repeat(syncMessage, 1000))
	var err error
	for range codec.MaxDebts/1000 + 1 {
		if _, err = p.feedAll(ask, len(ask)); err != nil {
			break
		}
	}
	var e codec.Error
	if !errors.As(err, &e) || e.Cond != codec.LimitOfClient || p.guest.Owed() != codec.MaxDebts {
		t.Errorf("%v, %d owed", err, p.guest.Owed())
	}
}

// 65,535 parameters are the most that there can be. They pass by; where they may be names of settings,
// no more of them is read than a message that is looked at as a whole may have.
func TestManyParameters(t *testing.T) {
	body := "\x00sluice\x00\x00\x00\xff\xff" + strings.Repeat("\x00\x00\x00\x05app.x", 0xffff) + "\x00\x00"
	for _, text := range []string{"select 1", "select set_config($1, 'x', false)"} {
		p := joined(t)
		p.send("", message('P', "sluice\x00"+text+"\x00\x00\x00"))
		p.open()
		p.server.Reset()
		kept, err := p.feedAll(message('B', body), 4000)
		if err != nil || kept > 2*maxQueryHead || p.guest.custom.count() > maxCustomNames {
			t.Errorf("%s: %v, %d bytes and %d names kept", text, err, kept, p.guest.custom.count())
		}
		if p.server.Len() < len(body) {
			t.Errorf("%s: %d bytes sent of %d", text, p.server.Len(), len(body))
		}
	}
}

// A pipeline of thousands of statements that fails at its first message leaves nothing of them, and takes
// a time that grows as their number does.
func TestLongPipelineFails(t *testing.T) {
	p := joined(t)
	p.host.cfg = &codec.OpenerConfig{PreparedMax: 200}
	p.run(`
		c: P(kept;select 0) S
		s~ P
		s: 1 Z(I)
		c? 1 Z(I)`)
	ask := wire(t, codec.Client, "P(;bad)")
	const many = maxOwn - 1
	for i := range many {
		ask = append(ask, message('P', fmt.Sprintf("n%d\x00select %d\x00\x00\x00", i, i))...)
	}
	if _, err := p.feedAll(append(ask, syncMessage...), 1<<16); err != nil || p.guest.Owed() < many {
		t.Fatal(err, p.guest.Owed())
	}
	p.client.Reset()
	p.run("s: E(42601;bad) Z(I)\nc? E(42601;bad) Z(I)\nfree\nprepared=1")
	if n := p.guest.Prepared(); n != 1 {
		t.Errorf("the client has %d statements", n)
	}
	p.server.Reset()
	p.run("c: B(;kept) E S\ns? B(;sluice_0_1) E S")
}
