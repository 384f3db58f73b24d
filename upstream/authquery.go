package upstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
	"sluice/router"
	"sluice/router/access"
)

// AuthQueryOptions say how users are looked up at the servers.
type AuthQueryOptions struct {
	Query              string // $1 stands for the user's name; "" = they are not looked up
	User, Password     string // who asks
	Verifier           string // of who asks, if the password is not known: an md5 hash
	Database           string // where; "" = in the client's database
	Cache, CacheFailed time.Duration
}

// Limits of looking users up.
const (
	askMax     = 2                // queries at a time: a flood of logins is not to become one of connections
	askWaiting = 1024             // more that wait for their turn
	askTimeout = 10 * time.Second // of one query; with its turn, and with a wait for a leader if that is no longer
	askIdle    = 30 * time.Second // after which a connection that was not used is closed
	askNameMax = 255              // bytes of a name; servers cut them behind 63
	askAnswers = 10_000           // that are kept
	askRenew   = time.Second      // the least age of an answer that a failed password makes stale
)

// AuthQuery looks up users at the servers of a cluster. Answers are kept for a while, and a question
// that is being asked is not asked again. The query runs on connections of its own; the name, as its
// only parameter, is all of a client that comes near it, so that no setting of a client can change what
// it means.
type AuthQuery struct {
	cluster *Cluster
	want    router.Want
	opt     AuthQueryOptions
	log     *zap.Logger
	turns   chan struct{} // one for each query that is asked
	ctx     context.Context
	stop    context.CancelFunc

	usual atomic.Pointer[string] // the form of the secret that was told last

	mu      sync.Mutex
	answers map[question]*answer
	waiting int
	idle    []*asker
}

// question is what the servers are asked.
type question struct{ name, database string }

// answer is what they said. Its fields but done are written before done is closed.
type answer struct {
	done   chan struct{}
	secret codec.Secret
	known  bool
	err    error
	at     time.Time
}

// NewAuthQuery returns what looks up users at the backends of c that want allows. It has to be closed.
func NewAuthQuery(c *Cluster, want router.Want, opt AuthQueryOptions, log *zap.Logger) *AuthQuery {
	q := &AuthQuery{cluster: c, want: want, opt: opt, log: log, turns: make(chan struct{}, askMax),
		answers: map[question]*answer{}}
	q.ctx, q.stop = context.WithCancel(context.Background())
	return q
}

// Close ends what is being asked, with an error for those who wait.
func (q *AuthQuery) Close() {
	q.stop()
	q.mu.Lock()
	idle := q.idle
	q.idle = nil
	q.mu.Unlock()
	for _, a := range idle {
		if a.expiry.Stop() {
			a.close()
		}
	}
}

// Usual is the form of the secrets that users have (access.FormOf), by the one that was told last; "" until
// one was.
func (q *AuthQuery) Usual() string {
	if form := q.usual.Load(); form != nil {
		return *form
	}
	return ""
}

// question is what to ask for a client's user and database.
func (q *AuthQuery) question(name, database string) question {
	if q.opt.Database != "" {
		database = q.opt.Database
	}
	return question{name, database}
}

// askable tells whether there can be such a user and database at all.
func (k question) askable() bool {
	return k.name != "" && len(k.name) <= askNameMax && len(k.database) <= askNameMax
}

// Cached returns what is known without asking; ok is false if Ask has to be called. It does not block.
func (q *AuthQuery) Cached(name, database string) (s codec.Secret, known, ok bool) {
	k := q.question(name, database)
	if !k.askable() {
		return s, false, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.answers[k]
	if a == nil || !q.good(a, time.Now()) {
		return s, false, false
	}
	return a.secret, a.known, true
}

// good tells whether an answer has come and can still be used.
func (q *AuthQuery) good(a *answer, now time.Time) bool {
	select {
	case <-a.done:
	default:
		return false
	}
	keep := q.opt.Cache
	if !a.known {
		keep = q.opt.CacheFailed
	}
	return a.err == nil && now.Sub(a.at) < keep
}

// Ask returns the secret of a user; known is false if there is no such user (or database). An error
// says that the servers could not be asked. It blocks and is not for loops.
func (q *AuthQuery) Ask(ctx context.Context, name, database string) (s codec.Secret, known bool, err error) {
	k := q.question(name, database)
	if !k.askable() {
		return s, false, nil
	}
	a, err := q.answer(k)
	if err != nil {
		return s, false, err
	}
	select {
	case <-a.done:
		return a.secret, a.known, a.err
	case <-ctx.Done():
		return s, false, context.Cause(ctx)
	}
}

var errAsking = errors.New("too many users are being looked up")

// answer returns the answer to k: a good one, one that is on its way, or one that is now asked for.
func (q *AuthQuery) answer(k question) (*answer, error) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.answers[k]; a != nil {
		select {
		case <-a.done:
		default:
			return a, nil
		}
		if q.good(a, now) {
			return a, nil
		}
	}
	if q.waiting >= askMax+askWaiting {
		return nil, errAsking
	}
	if len(q.answers) >= askAnswers {
		q.forget(now)
	}
	q.waiting++
	a := &answer{done: make(chan struct{})}
	q.answers[k] = a
	go q.find(k, a)
	return a, nil
}

// forget makes room for an answer. It looks at a few only: at worst a good one is asked for again.
func (q *AuthQuery) forget(now time.Time) {
	looked := 0
	for k, a := range q.answers {
		if looked++; looked > 16 {
			return
		}
		select {
		case <-a.done:
		default:
			continue // somebody waits for it
		}
		if !q.good(a, now) || looked == 16 {
			delete(q.answers, k)
		}
	}
}

// Stale tells that a client did not know the secret that Ask or Cached has given: it may have changed at
// the server meanwhile. An answer that is older than a second is not used again.
func (q *AuthQuery) Stale(name, database string) {
	k := q.question(name, database)
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.answers[k]
	if a == nil {
		return
	}
	select {
	case <-a.done:
		if time.Since(a.at) >= askRenew {
			delete(q.answers, k)
		}
	default: // it is on its way
	}
}

// find asks for a user when it is its turn, and tells those who wait.
func (q *AuthQuery) find(k question, a *answer) {
	limit := askTimeout
	if opt := q.cluster.Options(); opt.Discovery != nil {
		limit = max(limit, lookTime(opt)) // while there is no leader
	}
	ctx, cancel := context.WithTimeout(q.ctx, limit)
	defer cancel()
	a.err = context.DeadlineExceeded
	select {
	case q.turns <- struct{}{}:
		a.secret, a.known, a.err = q.ask(ctx, k)
		<-q.turns
		if a.known && !a.secret.Zero() {
			form := access.FormOf(a.secret)
			q.usual.Store(&form)
		}
	case <-ctx.Done():
	}
	if a.err != nil && q.ctx.Err() == nil {
		q.log.Warn("a user could not be looked up", zap.String("cluster", q.cluster.name),
			zap.String("user", k.name), zap.Error(a.err))
	}
	a.at = time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting--
	close(a.done)
	if !q.good(a, a.at) && q.answers[k] == a {
		delete(q.answers, k) // not to be used again
	}
}
