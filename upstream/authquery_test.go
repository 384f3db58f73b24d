package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/router"
)

// newAsk returns an AuthQuery at the cluster of these servers.
func newAsk(t *testing.T, change func(*AuthQueryOptions), servers ...*fakePG) *AuthQuery {
	t.Helper()
	opt := AuthQueryOptions{Query: "select $1", User: "asker", Password: "geheim", Cache: time.Minute, CacheFailed: time.Minute}
	if change != nil {
		change(&opt)
	}
	q := NewAuthQuery(pgCluster(t, servers...), router.Want{Roles: router.AnyRole}, opt, zap.NewNop())
	t.Cleanup(q.Close)
	return q
}

// users answers the query for users from a table.
func users(secrets map[string]string) func(name string) ([][]*string, string) {
	return func(name string) ([][]*string, string) {
		secret, known := secrets[name]
		if !known {
			return nil, ""
		}
		return [][]*string{{text(name), text(secret)}}, ""
	}
}

// TestAuthQueryAnswers: what the servers may say of a user, and what is made of it.
func TestAuthQueryAnswers(t *testing.T) {
	const md5 = "md50123456789abcdef0123456789abcdef"
	s := startFakePG(t)
	s.refuse = func(params map[string]string) string {
		return map[bool]string{true: "3D000"}[params["database"] == "none"]
	}
	s.answer = func(name string) ([][]*string, string) {
		switch name {
		case "plain":
			return [][]*string{{text(name), text("secret"), text("more")}}, ""
		case "hash":
			return [][]*string{{text(name), text(md5)}}, ""
		case "bare":
			return [][]*string{{text(name), nil}}, ""
		case "nulls":
			return [][]*string{{nil, nil}}, ""
		case "Folded":
			return [][]*string{{text("folded"), text("secret")}}, ""
		case "two":
			return [][]*string{{text(name), text("a")}, {text(name), text("b")}}, ""
		case "one":
			return [][]*string{{text(name)}}, ""
		case "long":
			return [][]*string{{text(name), text(strings.Repeat("x", talkMax-100))}}, ""
		case "huge":
			return [][]*string{{text(name), text(strings.Repeat("x", talkMax))}}, ""
		case "broken":
			return nil, "42P01"
		case "no\xfftext":
			return nil, "22021"
		}
		return nil, ""
	}
	q := newAsk(t, nil, s)
	tests := []struct {
		name, database     string
		password, verifier string
		known, fails       bool
	}{
		{name: "plain", password: "secret", known: true},
		{name: "hash", verifier: md5, known: true},
		{name: "bare", known: true},
		{name: "nulls"},
		{name: "Folded"},
		{name: "nobody"},
		{name: "no\xfftext"},
		{name: "two", fails: true},
		{name: "one", fails: true},
		{name: "broken", fails: true},
		{name: "long", password: strings.Repeat("x", talkMax-100), known: true},
		{name: "huge", fails: true},
		{name: "plain", database: "none"},
		{name: "plain'; drop table users; --"},
		{name: strings.Repeat("x", askNameMax+1)},
		{name: "plain", database: strings.Repeat("x", askNameMax+1)},
	}
	for _, tt := range tests {
		if tt.database == "" {
			tt.database = "shop"
		}
		secret, known, err := q.Ask(t.Context(), tt.name, tt.database)
		if secret.Password != tt.password || secret.Verifier != tt.verifier || known != tt.known || (err != nil) != tt.fails {
			t.Errorf("%.20q at %.20q: got %.200q, known %v, %v", tt.name, tt.database, secret.Password+secret.Verifier, known, err)
		}
		if _, _, ok := q.Cached(tt.name, tt.database); ok == tt.fails {
			t.Errorf("%.20q at %.20q: cached is %v", tt.name, tt.database, ok)
		}
	}
	if asked, _ := s.seen(); slices.ContainsFunc(asked, func(name string) bool { return len(name) > askNameMax }) {
		t.Error("a name that no server can have was asked for")
	}
	if _, _, err := q.Ask(t.Context(), "hash", "stock"); err != nil || q.Usual() != "md5" {
		t.Errorf("a secret is an md5 hash, and the usual form is %q (%v)", q.Usual(), err)
	}
	// Nothing of a client comes near the connection but the database's name.
	s.mu.Lock()
	defer s.mu.Unlock()
	want := map[string]string{"user": "asker", "database": "shop", "application_name": "sluice"}
	if got := s.startups[0]; !maps.Equal(got, want) {
		t.Errorf("it logged in with %v, want %v", got, want)
	}
}

// TestAuthQueryOnce: many who ask for one user at one time are answered by one query, over connections
// that are used again.
func TestAuthQueryOnce(t *testing.T) {
	s := startFakePG(t)
	release := make(chan struct{})
	inside := make(chan struct{})
	first := sync.OnceFunc(func() { close(inside) })
	s.answer = func(name string) ([][]*string, string) {
		first()
		<-release
		return [][]*string{{text(name), text("secret")}}, ""
	}
	q := newAsk(t, nil, s)
	var all sync.WaitGroup
	var known atomic.Int32
	ask := func() {
		defer all.Done()
		if s, ok, err := q.Ask(t.Context(), "app", "shop"); err == nil && ok && s.Password == "secret" {
			known.Add(1)
		}
	}
	const many = 200
	all.Add(1)
	go ask()
	<-inside
	if _, _, ok := q.Cached("app", "shop"); ok {
		t.Error("an answer is there before it has come")
	}
	q.Stale("app", "shop") // nothing to be stale yet
	for range many - 1 {
		all.Add(1)
		go ask()
	}
	close(release)
	all.Wait()
	if asked, _ := s.seen(); len(asked) != 1 || known.Load() != many {
		t.Errorf("%d queries, %d were told", len(asked), known.Load())
	}
	if _, _, err := q.Ask(t.Context(), "other", "shop"); err != nil || s.logins() != 1 {
		t.Errorf("another question: %v, over %d connections", err, s.logins())
	}
	if _, _, err := q.Ask(t.Context(), "other", "stock"); err != nil || s.logins() != 2 {
		t.Errorf("another database: %v, over %d connections", err, s.logins())
	}
}

// TestAuthQueryTurns: no more than two queries run at a time, whoever asks.
func TestAuthQueryTurns(t *testing.T) {
	s := startFakePG(t)
	var running, most atomic.Int32
	release := make(chan struct{})
	s.answer = func(name string) ([][]*string, string) {
		most.Store(max(most.Load(), running.Add(1)))
		<-release
		running.Add(-1)
		return nil, ""
	}
	q := newAsk(t, nil, s)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { _, _, _ = q.Ask(t.Context(), fmt.Sprint("user", i), "shop") })
	}
	eventually(t, "two run", func() bool { return running.Load() == askMax })
	eventually(t, "the others wait", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.waiting == 20 })
	close(release)
	all.Wait()
	if most.Load() != askMax {
		t.Errorf("%d ran at a time", most.Load())
	}
	if asked, _ := s.seen(); len(asked) != 20 {
		t.Errorf("%d were asked for", len(asked))
	}
}

// TestAuthQueryLimits: neither the questions that wait nor the answers that are kept grow without bound.
func TestAuthQueryLimits(t *testing.T) {
	s := startFakePG(t)
	s.answer = users(map[string]string{"app": "secret"})
	q := newAsk(t, nil, s)
	q.mu.Lock()
	q.waiting = askMax + askWaiting
	q.mu.Unlock()
	if _, _, err := q.Ask(t.Context(), "app", "shop"); err != errAsking {
		t.Errorf("one too many: %v", err)
	}
	q.mu.Lock()
	q.waiting--
	q.mu.Unlock()
	if _, known, err := q.Ask(t.Context(), "app", "shop"); err != nil || !known {
		t.Errorf("what just fits: %v, %v", known, err)
	}

	done := make(chan struct{})
	close(done)
	q.mu.Lock()
	for i := len(q.answers); i < askAnswers; i++ {
		q.answers[question{fmt.Sprint(i), "shop"}] = &answer{done: done, at: time.Now()}
	}
	q.waiting = 0
	q.mu.Unlock()
	for i := range 50 {
		if _, _, err := q.Ask(t.Context(), fmt.Sprint("new", i), "shop"); err != nil {
			t.Fatal(err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.answers); n > askAnswers {
		t.Errorf("%d answers are kept", n)
	}
}

// TestAuthQueryAges: an answer is good for its time, one about a stranger for another; a failed password
// cuts both short, but not more than once in a second.
func TestAuthQueryAges(t *testing.T) {
	s := startFakePG(t)
	secrets := map[string]string{"app": "old"}
	s.answer = users(secrets)
	q := newAsk(t, func(o *AuthQueryOptions) { o.CacheFailed = time.Second }, s)
	ask := func(name, want string, queries int) {
		t.Helper()
		secret, known, err := q.Ask(t.Context(), name, "shop")
		if asked, _ := s.seen(); err != nil || secret.Password != want || known != (want != "") || len(asked) != queries {
			t.Errorf("%s: got %q, %v after %d queries, want %q after %d", name, secret.Password, err, len(asked), want, queries)
		}
	}
	age := func(name string, is time.Duration) { // less than nothing: it stays fresh, whatever time passes
		q.mu.Lock()
		defer q.mu.Unlock()
		q.answers[question{name, "shop"}].at = time.Now().Add(-is)
	}
	ask("app", "old", 1)
	ask("nobody", "", 2)
	age("app", 2*time.Second)
	age("nobody", 2*time.Second)
	ask("app", "old", 2)
	ask("nobody", "", 3)
	age("app", 61*time.Second)
	ask("app", "old", 4)

	secrets["app"] = "new"
	age("app", -time.Hour)
	q.Stale("app", "shop") // at once after it was asked for: somebody tries passwords
	ask("app", "old", 4)
	age("app", askRenew)
	q.Stale("app", "shop")
	ask("app", "new", 5)
	q.Stale("stranger", "shop")

	never := newAsk(t, func(o *AuthQueryOptions) { o.Cache = 0 }, s)
	for i := range 2 {
		if _, known, err := never.Ask(t.Context(), "app", "shop"); err != nil || !known {
			t.Errorf("nothing kept: %v, %v", known, err)
		}
		if asked, _ := s.seen(); len(asked) != 6+i {
			t.Errorf("nothing kept: %d queries", len(asked))
		}
	}
}

// TestAuthQueryOwnDatabase: with a database of its own the client's does not matter.
func TestAuthQueryOwnDatabase(t *testing.T) {
	s := startFakePG(t)
	s.answer = users(map[string]string{"app": "secret"})
	q := newAsk(t, func(o *AuthQueryOptions) { o.Database = "auth" }, s)
	for _, database := range []string{"shop", "stock"} {
		if _, known, err := q.Ask(t.Context(), "app", database); err != nil || !known {
			t.Errorf("%s: %v, %v", database, known, err)
		}
	}
	if asked, _ := s.seen(); len(asked) != 1 || s.startups[0]["database"] != "auth" {
		t.Errorf("%d queries, in %q", len(asked), s.startups[0]["database"])
	}
	// That there is none such is not the client's doing.
	s.refuse = func(map[string]string) string { return "3D000" }
	q = newAsk(t, func(o *AuthQueryOptions) { o.Database = "none" }, s)
	if _, known, err := q.Ask(t.Context(), "app", "shop"); err == nil || known {
		t.Errorf("in a database that there is not: known %v, %v", known, err)
	}
}

// TestAuthQueryFailures: a connection that died while it was idle, a server that is gone, one that
// refuses, an end in the middle.
func TestAuthQueryFailures(t *testing.T) {
	gone, s := startFakePG(t), startFakePG(t)
	gone.stop()
	s.answer = users(map[string]string{"a": "x", "b": "y"})
	q := newAsk(t, nil, gone, s)
	if _, known, err := q.Ask(t.Context(), "a", "shop"); err != nil || !known {
		t.Errorf("beside a server that is gone: %v, %v", known, err)
	}
	s.cut()
	eventually(t, "the connection is cut", func() bool { return s.open() == 0 })
	if _, known, err := q.Ask(t.Context(), "b", "shop"); err != nil || !known {
		t.Errorf("after a restart: %v, %v", known, err)
	}
	s.refuse = func(map[string]string) string { return "28P01" }
	if _, _, err := q.Ask(t.Context(), "c", "stock"); err == nil {
		t.Error("who asks was refused: no error")
	}

	hangs := startFakePG(t)
	inside, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	hangs.answer = func(string) ([][]*string, string) { close(inside); <-release; return nil, "" }
	slow := newAsk(t, nil, hangs)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan error, 2)
	ask := func(ctx context.Context) { _, _, err := slow.Ask(ctx, "a", "shop"); told <- err }
	go ask(ctx)
	<-inside
	cancel()
	if err := <-told; err != context.Canceled {
		t.Errorf("who asked has gone: %v", err)
	}
	go ask(t.Context())
	slow.Close()
	if err := <-told; err == nil {
		t.Error("closed in the middle: no error")
	}
	if _, _, err := slow.Ask(t.Context(), "b", "shop"); err == nil {
		t.Error("after Close: no error")
	}
}

// TestAuthQueryWaitsForALeader: while no server fits that may be asked, one is waited for where a discovery may
// find it, and a server that does not fit any more is asked no longer.
func TestAuthQueryWaitsForALeader(t *testing.T) {
	a, b := startFakePG(t), startFakePG(t)
	a.answer, b.answer = users(map[string]string{"old": "x"}), users(map[string]string{"old": "y", "new": "z"})
	d := &fakeDiscovery{}
	opt := options()
	opt.Protocol, opt.Discovery = unprobed{}, d
	opt.ConnectTimeout, opt.RetryTimeout, opt.FailoverTimeout = patience, 0, patience
	c := newCluster(t, opt)
	want := router.Want{Roles: router.Roles(0).With(router.Leader)}
	q := NewAuthQuery(c, want, AuthQueryOptions{Query: "select $1", User: "asker", Password: "geheim"}, zap.NewNop())
	t.Cleanup(q.Close)
	view := func(leads, follows *fakePG) {
		d.finder.to.Found([]Spec{{Addr: follows.addr(), Role: router.Async}, {Addr: leads.addr()}})
	}
	view(a, b)
	if s, known, err := q.Ask(t.Context(), "old", "shop"); err != nil || !known || s.Password != "x" {
		t.Fatalf("at the first leader: %q, %v, %v", s.Password, known, err)
	}
	view(b, a)
	if s, known, err := q.Ask(t.Context(), "old", "shop"); err != nil || !known || s.Password != "y" {
		t.Errorf("at the next leader: %q, %v, %v", s.Password, known, err)
	}
	d.finder.to.Found([]Spec{{Addr: a.addr(), Role: router.Async}, {Addr: b.addr(), Role: router.Async}})
	told := make(chan error, 1)
	go func() {
		_, known, err := q.Ask(t.Context(), "new", "shop")
		if err == nil && !known {
			err = errors.New("it is not known")
		}
		told <- err
	}()
	eventually(t, "it is being asked for", func() bool { return len(q.turns) == 1 })
	select {
	case err := <-told:
		t.Fatalf("while there is no leader: %v", err)
	case <-time.After(3 * askPause): // it would have given up at once
	}
	view(b, a)
	if err := <-told; err != nil {
		t.Errorf("with a leader: %v", err)
	}
}
