package session

import (
	"errors"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// greetingPause is how often it is looked whether a server's greeting is known.
const greetingPause = 50 * time.Millisecond

// greet begins a login in a protocol in which the server speaks first, though it is not known yet which server
// the client will have: Sluice greets in its place. While no server is known that could be the one, the
// client waits.
func (s *Session) greet(g codec.Greeter) {
	in := s.in
	common := g.Common(s.greetings())
	if common != nil {
		s.key = codec.Key{ID: s.p.keys.own()}
		in.cfg.Greet = &codec.Greet{Common: common, ID: s.key.ID}
		s.step(in.m.Start())
		return
	}
	if asDuration(engine.Nano()-s.opened) >= dialTime(s.cluster.Options()) {
		s.refuse(NoBackend, codec.Error{Cond: codec.NoBackend, Text: "no server is available"},
			errors.New("no server has greeted yet"))
		return
	}
	in.op = codec.OpDial // what the client sends is kept meanwhile
	in.dial.timer.Fn = func() { s.greet(g) }
	s.on.loop.Arm(&in.dial.timer, greetingPause)
}

// greetings are those of the servers where the client may be led: of the ones that are not down, or else of all.
func (s *Session) greetings() [][]byte {
	var up, all [][]byte
	seen := map[*upstream.Cluster]bool{}
	for _, set := range s.set.views() {
		if seen[set.cluster] {
			continue
		}
		seen[set.cluster] = true
		for _, b := range set.cluster.Backends() {
			g := b.Greeting()
			if g == nil {
				continue
			}
			all = append(all, g)
			if b.Health() != upstream.Down {
				up = append(up, g)
			}
		}
	}
	if len(up) > 0 {
		return up
	}
	return all
}
