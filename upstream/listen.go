package upstream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
)

// Times of a Hub.
const (
	hubIdle     = 30 * time.Second       // without a channel, after which its connection is closed
	hubCommand  = 10 * time.Second       // of one LISTEN or UNLISTEN
	hubRetryMin = 250 * time.Millisecond // between attempts to connect, and so on to hubRetryMax
	hubRetryMax = 15 * time.Second
)

// hubChannels bounds the channels of a Hub.
const hubChannels = 65536

// Hub hears notifications for many clients over one connection to a database. The connection is opened
// for the first channel, LISTENs to each as long as somebody wants it, and is closed a while after the
// last one has gone. One goroutine runs it:
//
//	         ┌──────────────── lost ─────────────────┐
//	         ▼                                       │
//	─▶ connecting ──▶ LISTEN, UNLISTEN ⇄ waiting ────┴─▶ closed (nothing to hear)
//	      ▲    │
//	      └────┘ again after a pause
//
// After a loss it connects anew and LISTENs to all channels again. What was notified meanwhile is lost,
// as it is for a client that has to connect anew; there is no way to know of it.
type Hub struct {
	cluster  *Cluster
	backend  *Backend
	database string
	log      *zap.Logger
	ctx      context.Context
	stop     context.CancelFunc

	idle  time.Duration // hubIdle but in tests
	pause time.Duration // before the next attempt to connect; the goroutine's own

	mu       sync.Mutex
	login    codec.OpenerConfig
	channels map[string]*hubChannel
	running  bool
	changed  bool               // the goroutine has something to do
	wake     context.CancelFunc // ends the goroutine's wait; nil while it does not wait
}

// hubChannel is one channel of a Hub, under its lock.
type hubChannel struct {
	sinks []*hubSink // never changed in place: the goroutine walks it without the lock
	heard bool       // the server has confirmed LISTEN on the present connection
}

// hubSink is who hears.
type hubSink struct {
	take func(from uint32, channel, payload string)
	told chan error // how Subscribe learns what came of it; nil once that is known
}

// NewHub returns a hub for a database of b that logs in as user. It has to be closed.
func NewHub(c *Cluster, b *Backend, database, user string, secret codec.Secret, log *zap.Logger) *Hub {
	h := &Hub{cluster: c, backend: b, database: database, log: log, idle: hubIdle,
		channels: map[string]*hubChannel{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.Login(user, secret)
	return h
}

// Login says who logs in at the next connect: a password may have changed.
func (h *Hub) Login(user string, secret codec.Secret) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.login = codec.OpenerConfig{User: user, Database: h.database, Secret: secret, Params: hubParams}
}

// Renew has the connection replaced if it was opened before the last change of the TLS towards the backends.
func (h *Hub) Renew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running {
		h.turn()
	}
}

var (
	errHubClosed = errors.New("the listening connection is closed")
	errHubFull   = codec.Error{Cond: codec.LimitOfClient, Text: "too many channels are listened to"}
)

// Close ends the connection and all subscriptions. Who waits in Subscribe gets an error.
func (h *Hub) Close() {
	h.stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		c.answer(errHubClosed)
	}
	clear(h.channels)
}

// Subscribe has sink called for each notification of a channel, from when the server has confirmed: then
// Subscribe returns. An error is the server's (a codec.Error with Raw), or says why it can't be
// reached. sink runs on the hub's goroutine and must not block, nor call the hub; it may be called for
// the last time shortly after cancel.
func (h *Hub) Subscribe(channel string, sink func(from uint32, channel, payload string)) (cancel func(), err error) {
	name := clip(channel)
	one := &hubSink{take: sink}
	cancel = sync.OnceFunc(func() { h.unsubscribe(name, one) })
	if told := h.subscribe(name, one); told != nil {
		if err := <-told; err != nil {
			return nil, err
		}
	}
	return cancel, nil
}

// subscribe returns what tells of the outcome, or nil if the channel is heard already.
func (h *Hub) subscribe(name string, one *hubSink) (told chan error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	told = make(chan error, 1)
	if h.ctx.Err() != nil {
		told <- errHubClosed
		return told
	}
	c := h.channels[name]
	if c == nil && len(h.channels) >= hubChannels {
		told <- errHubFull
		return told
	}
	if c == nil {
		c = &hubChannel{}
		h.channels[name] = c
	}
	c.sinks = append(slices.Clip(c.sinks), one)
	if c.heard {
		return nil
	}
	one.told = told
	h.turn()
	return told
}

func (h *Hub) unsubscribe(name string, one *hubSink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[name]
	if c == nil {
		return
	}
	c.sinks = without(c.sinks, func(s *hubSink) bool { return s == one })
	if len(c.sinks) == 0 {
		h.turn()
	}
}

// without returns a copy of list that lacks what which names.
func without(list []*hubSink, which func(*hubSink) bool) []*hubSink {
	return slices.DeleteFunc(slices.Clone(list), which)
}

// answer tells those who wait for a channel. With an error they have no part in it any more.
func (c *hubChannel) answer(err error) {
	gone := map[*hubSink]bool{}
	for _, s := range c.sinks {
		if s.told == nil {
			continue
		}
		s.told <- err
		s.told = nil
		gone[s] = err != nil
	}
	c.sinks = without(c.sinks, func(s *hubSink) bool { return gone[s] })
}

// turn has the goroutine look at the channels. The caller has the lock.
func (h *Hub) turn() {
	h.changed = true
	if h.wake != nil {
		h.wake()
	}
	if !h.running && h.ctx.Err() == nil {
		h.running = true
		go h.run()
	}
}

// Channels is the number of channels that somebody listens to.
func (h *Hub) Channels() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		if len(c.sinks) > 0 {
			n++
		}
	}
	return n
}

// dispatch hands a notification to those who want it.
func (h *Hub) dispatch(from uint32, channel, payload string) {
	h.mu.Lock()
	var sinks []*hubSink
	if c := h.channels[channel]; c != nil {
		sinks = c.sinks
	}
	h.mu.Unlock()
	for _, s := range sinks {
		s.take(from, channel, payload)
	}
}
