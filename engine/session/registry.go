package session

import (
	"sync"

	"sluice/codec"
	"sluice/upstream"
)

// target is where a key leads.
type target struct {
	backend *upstream.Backend
	server  codec.Key // the key that is good there
	user    string    // who logged in; "" until known
	shared  *Session  // whose server connection is at hand only while it has work; else nil
	owner   *Session  // that has a server connection of its own; else nil
	alias   bool      // the client was told another key: this one yields to keys that clients are told
}

// registry maps the keys that clients know to where they lead. It is used at the beginning and the end
// of sessions, and by cancel requests and KILLs: never per query.
type registry struct {
	mu   sync.Mutex
	keys map[codec.Key]target
	next uint32 // the id tried last for a session whose own was taken
}

// ownIDs is the first connection id given out in place of one that is taken: far above what a server
// counts up to.
const ownIDs = 1 << 31

func newRegistry() *registry { return &registry{keys: map[codec.Key]target{}, next: ownIDs} }

// add enters a key, or replaces where it leads.
func (r *registry) add(k codec.Key, t target) {
	r.mu.Lock()
	r.keys[k] = t
	r.mu.Unlock()
}

// reserve enters the server's connection id, or another one if that is taken, and returns it.
func (r *registry) reserve(id uint32, t target) codec.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := codec.Key{ID: id}
	for {
		if old, taken := r.keys[k]; !taken || old.alias {
			r.keys[k] = t
			return k
		}
		if r.next++; r.next < ownIDs {
			r.next = ownIDs
		}
		k.ID = r.next
	}
}

// own returns an id of Sluice's own that nobody has. It is entered by add.
func (r *registry) own() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.next++; r.next < ownIDs {
			r.next = ownIDs
		}
		if _, taken := r.keys[codec.Key{ID: r.next}]; !taken {
			return r.next
		}
	}
}

// find returns where a key leads.
func (r *registry) find(k codec.Key) (target, bool) {
	r.mu.Lock()
	t, ok := r.keys[k]
	r.mu.Unlock()
	return t, ok
}

// remove forgets a key.
func (r *registry) remove(k codec.Key) {
	r.mu.Lock()
	delete(r.keys, k)
	r.mu.Unlock()
}

// addAlias enters a further key of a session, unless it is taken.
func (r *registry) addAlias(k codec.Key, t target) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.keys[k]; taken {
		return false
	}
	t.alias = true
	r.keys[k] = t
	return true
}

// removeAlias forgets a further key of a session, if it is its own still.
func (r *registry) removeAlias(k codec.Key, s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.keys[k]; t.alias && t.owner == s {
		delete(r.keys, k)
	}
}

// len is the number of keys.
func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.keys)
}
