package postgres

// Limits of the prepared statements of one client that are shared. What is beyond them is left to the server: it
// is not shared, and binds the client to its host until it is closed.
const (
	maxOwn      = 10_000
	maxOwnTexts = 16 << 20 // bytes; one statement may be longer
)

// room is what a client's shared statements take.
type room struct {
	texts uint32 // bytes of their texts, and of those that were closed since they were counted last
	full  uint32 // how many there were when their texts were counted, and too long; 0: they were not
}

// roomFor tells whether the client may have one more shared statement, with a text of n bytes, and if so adds
// it. Closed statements are noticed when there seems to be no room.
func (g *guest) roomFor(n int) bool {
	r, limit := &g.room, max(maxOwnTexts, g.cfg.StatementMax)
	if len(g.names) >= maxOwn {
		return false
	}
	if int(r.texts)+n > limit && (r.full == 0 || len(g.names) < int(r.full)) {
		r.texts, r.full = 0, 0
		for _, own := range g.names {
			r.texts += uint32(len(own.st.tail))
		}
		if int(r.texts)+n > limit {
			r.full = uint32(len(g.names))
		}
	}
	if int(r.texts)+n > limit {
		return false
	}
	r.texts += uint32(n)
	return true
}
