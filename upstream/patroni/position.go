package patroni

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

const (
	// positionsWait bounds how long a poll waits for the members' positions, all together: one that is dead
	// must not hold up what the others say.
	positionsWait = 500 * time.Millisecond
	// positionsOpen bounds the requests for positions that are under way at one time.
	positionsOpen = 32
	// positionKeep is how long a position counts that was not heard again. What Patroni tells of all members is
	// better then: it is loop_wait old, 10 s unless configured.
	positionKeep = 10 * time.Second
	// headsMax is how many of the leader's positions are remembered. With one for each poll of some seconds
	// that is minutes.
	headsMax = 128
)

// position is where a server is in the WAL, as its own GET /patroni tells. What it does not tell is not Known.
type position struct {
	written            Lag       // by a server that takes writes
	received, replayed Lag       // by any other
	commit             time.Time // of the last transaction replayed, by the clock of the server it was made on
	at                 time.Time // when this was heard
}

// head is how far there is WAL on a server.
func (p *position) head() Lag {
	switch {
	case p.written.Known:
		return p.written
	case p.received.Known && p.received.Bytes > p.replayed.Bytes:
		return p.received
	}
	return p.replayed
}

// parsePosition reads an answer to GET /patroni
// (https://patroni.readthedocs.io/en/latest/rest_api.html#monitoring-endpoint).
func parsePosition(body []byte) (p position, ok bool) {
	var a struct {
		Xlog map[string]json.RawMessage `json:"xlog"`
	}
	if json.Unmarshal(body, &a) != nil {
		return p, false
	}
	p.written = parseCount(a.Xlog["location"])
	p.received, p.replayed = parseCount(a.Xlog["received_location"]), parseCount(a.Xlog["replayed_location"])
	p.commit, _ = parseAt(word(a.Xlog["replayed_timestamp"], nameBytes))
	return p, p.written.Known || p.replayed.Known
}

// positions are what is known of the members' positions. They belong to the goroutine that polls.
type positions struct {
	leader  string
	members map[string]position // by name; of one that has not answered, what it has said before
	heads   []head              // of the leader, the oldest first
}

// head is that there was so much WAL at a time by our own clock.
type head struct {
	bytes uint64
	at    time.Time
}

// ask asks all members at the same time. hosts says which of them may be.
func (p *positions) ask(ctx context.Context, c *client, h *hosts, v *View) {
	ctx, cancel := context.WithTimeout(ctx, positionsWait)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	heard := map[string]position{}
	room := make(chan struct{}, positionsOpen)
	for i := range v.Members {
		base, ok := h.trusted(v.Members[i].APIURL)
		if !ok {
			continue
		}
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			body, err := c.get(ctx, base+"/patroni")
			if err != nil {
				return
			}
			if at, ok := parsePosition(body); ok {
				at.at = time.Now()
				mu.Lock()
				defer mu.Unlock()
				heard[v.Members[i].Name] = at
			}
		})
	}
	all.Wait()
	p.keep(v, heard)
}

// keep takes in what was heard, and forgets members that have gone and the way of a former leader.
func (p *positions) keep(v *View, heard map[string]position) {
	if v.Leader != p.leader {
		p.leader, p.heads = v.Leader, nil
	}
	for i := range v.Members {
		name := v.Members[i].Name
		if at, known := p.members[name]; known && heard[name].at.IsZero() {
			heard[name] = at
		}
	}
	p.members = heard
	at, known := heard[v.Leader]
	if now := at.head(); known && now.Known && (len(p.heads) == 0 || p.heads[len(p.heads)-1].at.Before(at.at)) {
		if len(p.heads) == headsMax {
			p.heads = append(p.heads[:0], p.heads[1:]...)
		}
		p.heads = append(p.heads, head{now.Bytes, at.at})
	}
}

// measured returns a view with the lags that follow from the positions.
func (p *positions) measured(v *View, now time.Time) *View {
	w := *v
	w.Members = append([]Member(nil), v.Members...)
	for i := range w.Members {
		m := &w.Members[i]
		if at, ok := p.members[m.Name]; ok && !m.Role.leads() && at.replayed.Known {
			m.Lag, m.Age = p.lag(&at, m.Lag, now), p.age(&at, now)
		}
	}
	return &w
}

// latest is the leader's last position.
func (p *positions) latest() (h head, ok bool) {
	if len(p.heads) == 0 {
		return head{}, false
	}
	return p.heads[len(p.heads)-1], true
}

// lag is what a replica has not replayed of what there is: on the leader, or on the replica itself, which may
// have received more than the leader had when it was heard last. Of what is too old to count Patroni's own word
// takes the place, if it has one.
func (p *positions) lag(at *position, told Lag, now time.Time) Lag {
	if told.Known && now.Sub(at.at) > positionKeep {
		return told
	}
	there := at.replayed.Bytes
	if at.received.Known {
		there = max(there, at.received.Bytes)
	}
	last, ok := p.latest()
	if ok {
		there = max(there, last.bytes)
	}
	lag := Lag{there - at.replayed.Bytes, true}
	switch {
	case !ok && !told.Known && lag.Bytes == 0:
		return told // what else there is nobody knows
	case told.Known && (!ok || now.Sub(last.at) > positionKeep):
		lag.Bytes = max(lag.Bytes, told.Bytes)
	}
	return lag
}

// age is how old what a replica shows is. When it has just replayed all there is, that is no age at all. Else two
// things are known, each of which is no less than the age: when the last transaction was made that it has
// replayed, which is long ago where few are made; and when the leader was at a place that it has passed.
func (p *positions) age(at *position, now time.Time) Age {
	last, known := p.latest()
	idle := at.received.Bytes <= at.replayed.Bytes // nothing that it has received waits
	fresh := now.Sub(at.at) <= positionKeep
	if fresh && idle && (known || at.received.Known) && at.replayed.Bytes >= last.bytes {
		return Age{0, true}
	}
	age := Age{}
	if !at.commit.IsZero() {
		age = Age{max(0, now.Sub(at.commit)), true}
	}
	for _, h := range p.heads {
		if passed := now.Sub(h.at); h.bytes <= at.replayed.Bytes && (!age.Known || passed < age.Time) {
			age = Age{passed, true}
		}
	}
	return age
}
