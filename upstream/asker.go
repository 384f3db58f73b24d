package upstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"sluice/codec"
)

// asker is a connection that asks.
type asker struct {
	conn     *talking
	backend  *Backend
	database string
	secured  uint64 // Cluster.TLSChanges that it was opened behind
	expiry   *time.Timer
}

// ask asks one backend after the other until one answers.
func (q *AuthQuery) ask(ctx context.Context, k question) (s codec.Secret, known bool, err error) {
	if c := q.takeIdle(k.database); c != nil {
		if s, known, err = q.lookUp(ctx, c, k.name); err == nil {
			q.putIdle(c)
			return s, known, nil
		}
		c.close() // it may have been closed while it was idle
	}
	var tried []*Backend
	err = errors.New("no server is available")
	for begun := time.Now(); ctx.Err() == nil; {
		b, why := q.cluster.Pick(q.want, tried)
		if b == nil {
			if lasting(err) || !q.pause(ctx, begun, why) {
				return s, false, err
			}
			tried = tried[:0]
			continue
		}
		b.Release() // it is no session
		tried = append(tried, b)
		var c *asker
		if c, err = q.open(ctx, b, k.database); err == nil {
			if s, known, err = q.lookUp(ctx, c, k.name); err == nil {
				q.putIdle(c)
				return s, known, nil
			}
			c.close()
		}
		if noDatabase(err) && q.opt.Database == "" || noName(err) { // where the database is the client's own word
			return codec.Secret{}, false, nil
		}
		if !isSaid(err) {
			b.Suspect()
			q.cluster.Hurry()
		}
	}
	return s, false, err
}

// askPause is the time between two looks for a server while none can be asked.
const askPause = 100 * time.Millisecond

// pause waits a while after no server could be asked, and tells whether to try again: as long as a session
// would, unless it is for want of such a server at all.
func (q *AuthQuery) pause(ctx context.Context, begun time.Time, why string) bool {
	opt := q.cluster.Options()
	left := lookTime(opt) - time.Since(begun)
	if left <= 0 || opt.Discovery == nil && (why == "no backends" || why == "role") {
		return false
	}
	select {
	case <-time.After(min(askPause, left)):
		return true
	case <-ctx.Done():
		return false
	}
}

// lookTime is how long a server is waited for: where backends are found, for a new leader too.
func lookTime(opt *Options) time.Duration {
	if opt.Discovery != nil {
		return max(opt.RetryTimeout, opt.FailoverTimeout)
	}
	return opt.RetryTimeout
}

// lookUp asks on a connection, and not for longer than askTimeout.
func (q *AuthQuery) lookUp(ctx context.Context, a *asker, name string) (s codec.Secret, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return a.conn.lookUp(ctx, q.opt.Query, name)
}

// lasting tells errors that no time will change: a server has said so, or how it is set up.
func lasting(err error) bool {
	refusal, own := errors.AsType[codec.Error](err)
	return own && refusal.Cond != codec.NoBackend && refusal.Cond != codec.WrongPart || !own && isSaid(err)
}

func (q *AuthQuery) open(ctx context.Context, b *Backend, database string) (*asker, error) {
	secured := q.cluster.TLSChanges()
	conn, err := q.cluster.talk(ctx, b, codec.OpenerConfig{User: q.opt.User, Database: database,
		Secret: codec.Secret{Password: q.opt.Password, Verifier: q.opt.Verifier}}, nil)
	if err != nil {
		return nil, err
	}
	return &asker{conn: conn, backend: b, database: database, secured: secured}, nil
}

// takeIdle returns a connection to that database, or nil.
func (q *AuthQuery) takeIdle(database string) *asker {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, a := range q.idle {
		if a.database == database && a.backend.Fits(q.want) == "" && a.backend.Health() != Down &&
			a.secured == q.cluster.TLSChanges() && a.expiry.Stop() {
			q.idle = slices.Delete(q.idle, i, i+1)
			return a
		}
	}
	return nil
}

// putIdle keeps a connection for the next question, as many as there may be asked at a time.
func (q *AuthQuery) putIdle(a *asker) {
	a.expiry = time.AfterFunc(askIdle, func() { q.expire(a) })
	q.mu.Lock()
	var old *asker
	if len(q.idle) >= askMax {
		old = q.idle[0]
		q.idle = slices.Delete(q.idle, 0, 1)
	}
	q.idle = append(q.idle, a)
	over := q.ctx.Err() != nil
	q.mu.Unlock()
	if old != nil && old.expiry.Stop() {
		old.close()
	}
	if over && a.expiry.Stop() {
		q.expire(a)
	}
}

// expire closes a connection that was idle for long.
func (q *AuthQuery) expire(a *asker) {
	q.mu.Lock()
	q.idle = slices.DeleteFunc(q.idle, func(x *asker) bool { return x == a })
	q.mu.Unlock()
	a.close()
}

// closeTimeout bounds the goodbye on one of Sluice's own connections.
const closeTimeout = time.Second

func (a *asker) close() { a.conn.close() }
