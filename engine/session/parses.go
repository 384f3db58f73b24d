package session

import "sluice/codec"

// parseStats count the messages of prepared statements, in protocols that have such. The machines count
// for themselves; a pool keeps the sums of those that have ended.
type parseStats struct {
	client, server, binds uint64
}

// ofGuest adds what a client has sent.
func (c *parseStats) ofGuest(g codec.Guest) {
	if counter, ok := g.(interface{ Counts() (parses, binds uint64) }); ok {
		parses, binds := counter.Counts()
		c.client += parses
		c.binds += binds
	}
}

// ofHost adds what a server was sent.
func (c *parseStats) ofHost(h codec.Host) {
	if counter, ok := h.(interface{ Counts() (parses uint64) }); ok {
		c.server += counter.Counts()
	}
}

// parses are the figures of each pool on the loop, those of its present sessions and connections included.
func (on *loopState) parses() map[*poolSpec]parseStats {
	sums := map[*poolSpec]parseStats{}
	for spec, h := range on.homes {
		c := h.counts.parses
		for sc := range h.conns {
			if sc.host != nil {
				c.ofHost(sc.host)
			}
		}
		sums[spec] = c
	}
	for s := on.list.next; s != &on.list; s = s.next {
		if s.sh != nil && s.sh.home != nil && s.sh.guest != nil {
			c := sums[s.sh.home.spec]
			c.ofGuest(s.sh.guest)
			sums[s.sh.home.spec] = c
		}
	}
	return sums
}
