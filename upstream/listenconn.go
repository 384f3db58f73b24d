package upstream

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// run is the goroutine of a Hub: it keeps a connection as long as there is something to hear.
func (h *Hub) run() {
	h.pause = hubRetryMin
	for {
		began := time.Now()
		err := h.connect()
		if err == nil {
			return
		}
		if errors.Is(err, errOutdated) {
			h.deafen()
			continue
		}
		if h.ctx.Err() == nil {
			h.log.Warn("a shared listening connection can't be had", zap.String("cluster", h.cluster.name),
				zap.String("backend", h.backend.addr), zap.String("database", h.database), zap.Error(err))
		}
		if h.failed(err) {
			return
		}
		h.rest(time.Until(began.Add(h.pause)), true)
		h.rest(time.Until(began.Add(hubRetryMin)), false)
		h.pause = min(2*h.pause, hubRetryMax)
	}
}

// errOutdated says that the connection is from before a change of TLS.
var errOutdated = errors.New("the connection is from before a change of TLS")

// deafen takes note that there is no connection for the moment.
func (h *Hub) deafen() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		c.heard = false
	}
}

// failed takes note that there is no connection, tells those who wait, and says whether that is the end.
func (h *Hub) failed(err error) (over bool) {
	told := told(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed = false
	for name, c := range h.channels {
		c.heard = false
		c.answer(told)
		if len(c.sinks) == 0 {
			delete(h.channels, name)
		}
	}
	h.running = len(h.channels) > 0 && h.ctx.Err() == nil
	return !h.running
}

// rest waits for d; short says that a new subscription ends the wait.
func (h *Hub) rest(d time.Duration, short bool) {
	ctx, cancel := context.WithTimeout(h.ctx, d)
	defer cancel()
	if short {
		h.mu.Lock()
		if h.changed {
			cancel()
		}
		h.wake = cancel
		h.mu.Unlock()
	}
	<-ctx.Done()
	h.mu.Lock()
	h.wake = nil
	h.mu.Unlock()
}

// connect opens a connection and serves it until it is lost, which is an error, or there is nothing to
// hear.
func (h *Hub) connect() error {
	h.mu.Lock()
	login := h.login
	h.mu.Unlock()
	secured := h.cluster.TLSChanges()
	conn, err := h.cluster.talk(h.ctx, h.backend, login, h.dispatch)
	if err != nil {
		return err
	}
	defer conn.close()
	for {
		if h.cluster.TLSChanges() != secured {
			return errOutdated
		}
		due, wait, cancel := h.next()
		if due.channel == nil {
			err = h.hear(wait, conn)
			cancel()
			if errors.Is(err, errNothing) {
				return nil
			}
		} else {
			err = h.command(conn, due)
		}
		if err != nil {
			return err
		}
	}
}

// dueCommand is what has to be told the server: that a channel is listened to, or is not any more.
type dueCommand struct {
	channel *hubChannel // nil: nothing is due
	name    string
	listen  bool
}

// next returns what has to be told the server, or the context of the wait for notifications.
func (h *Hub) next() (due dueCommand, wait context.Context, cancel context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed = false
	for name, c := range h.channels {
		switch {
		case len(c.sinks) > 0 && !c.heard:
			return dueCommand{c, name, true}, nil, nil
		case len(c.sinks) == 0 && c.heard:
			c.heard = false // who comes now has to wait until it is heard again
			return dueCommand{c, name, false}, nil, nil
		case len(c.sinks) == 0:
			delete(h.channels, name)
		}
	}
	if len(h.channels) == 0 {
		wait, cancel = context.WithTimeout(h.ctx, h.idle)
	} else {
		wait, cancel = context.WithCancel(h.ctx)
	}
	h.wake = cancel
	return due, wait, cancel
}

// errNothing says that there was no channel for a while.
var errNothing = errors.New("there is nothing to hear")

// hear waits for notifications until the end of wait.
func (h *Hub) hear(wait context.Context, conn *talking) error {
	var err error
	for err == nil {
		err = conn.wait(wait)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake = nil
	switch {
	case h.ctx.Err() != nil:
		return errHubClosed
	case wait.Err() == nil || conn.closed():
		return err
	case len(h.channels) == 0 && !h.changed:
		h.running = false
		return errNothing
	}
	return nil
}

// command tells the server what is due. An error means that the connection is of no use.
func (h *Hub) command(conn *talking, due dueCommand) error {
	ctx, cancel := context.WithTimeout(h.ctx, hubCommand)
	defer cancel()
	c, tell := due.channel, conn.unlisten
	if due.listen {
		tell = conn.listen
	}
	err := tell(ctx, due.name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if refused(err) && !conn.closed() {
		// The server knows no such channel, or takes none. Those who have heard it before, on another
		// connection, can only try again.
		c.answer(told(err))
		if len(c.sinks) > 0 {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	h.pause = hubRetryMin // the connection is of use
	if due.listen {
		c.heard = true
		c.answer(nil)
	}
	return nil
}
