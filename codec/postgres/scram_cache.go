package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
)

// maxDerived bounds the keys that are kept: about 200 bytes each. Chosen: more than the passwords of
// most configurations, at 2 MB.
const maxDerived = 8192

// derived keeps keys that took long to derive, for all loops: with thousands of logins by one
// password it is done once. Only passwords that are known to be somebody's go in, so that nobody
// else can push them out. It is used by logins alone, never while queries run.
var derived = keyCache{max: maxDerived}

// keyCache is bounded: the oldest entry makes room. The passwords themselves are not kept.
type keyCache struct {
	max  int
	mu   sync.Mutex
	all  map[derivation]*derivedKeys
	ring []derivation // by age; the oldest stands at next once the ring is full
	next int
}

// derivation is a hash of what keys are derived from.
type derivation [sha256.Size]byte

// derivedKeys are derived once, by the first who asks; others who ask meanwhile wait for that.
type derivedKeys struct {
	once sync.Once
	done atomic.Bool
	keys scramKeys
}

func derivationOf(password string, salt []byte, iterations int) derivation {
	h := sha256.New()
	var n [16]byte
	binary.BigEndian.PutUint64(n[:], uint64(iterations))
	binary.BigEndian.PutUint64(n[8:], uint64(len(salt)))
	h.Write(n[:])
	h.Write(salt)
	h.Write([]byte(password))
	return derivation(h.Sum(nil))
}

// deriving has a place for each derivation that is under way, over all loops: half of the processors, so that
// a storm of logins leaves the loops the rest.
var deriving = make(chan struct{}, max(1, runtime.NumCPU()/2))

// deriveInTurn is deriveKeys when there is a place for it. It is not for a loop.
func deriveInTurn(password string, salt []byte, iterations int) scramKeys {
	deriving <- struct{}{}
	defer func() { <-deriving }()
	return deriveKeys(password, salt, iterations)
}

// look returns the keys if they are at hand.
func (c *keyCache) look(password string, salt []byte, iterations int) (keys scramKeys, ok bool) {
	d := derivationOf(password, salt, iterations)
	c.mu.Lock()
	e := c.all[d]
	c.mu.Unlock()
	if e == nil || !e.done.Load() {
		return keys, false
	}
	return e.keys, true
}

// derive returns the keys and keeps them. It may take long: not for a loop.
func (c *keyCache) derive(password string, salt []byte, iterations int) scramKeys {
	return c.fill(password, salt, iterations, func() scramKeys {
		return deriveInTurn(password, salt, iterations)
	})
}

// put keeps keys that were derived by the caller.
func (c *keyCache) put(password string, salt []byte, iterations int, keys scramKeys) {
	c.fill(password, salt, iterations, func() scramKeys { return keys })
}

func (c *keyCache) fill(password string, salt []byte, iterations int, keys func() scramKeys) scramKeys {
	e := c.entry(derivationOf(password, salt, iterations))
	e.once.Do(func() {
		e.keys = keys()
		e.done.Store(true)
	})
	return e.keys
}

// entry returns the entry for d, which may be new.
func (c *keyCache) entry(d derivation) *derivedKeys {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[d]; e != nil {
		return e
	}
	if c.all == nil {
		c.all = map[derivation]*derivedKeys{}
	}
	if len(c.ring) < c.max {
		c.ring = append(c.ring, d)
	} else {
		delete(c.all, c.ring[c.next])
		c.ring[c.next] = d
		c.next = (c.next + 1) % c.max
	}
	e := &derivedKeys{}
	c.all[d] = e
	return e
}
