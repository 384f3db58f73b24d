package patroni

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
)

// memory is an etcd in memory, with one watch at a time. It is used within a bubble of synctest only.
type memory struct {
	mu       sync.Mutex
	revision int64
	kvs      map[string]*mvccpb.KeyValue
	away     bool // nothing is answered
	hangs    bool // not even by an error
	events   chan clientv3.WatchResponse
	from     int64 // the revision that the watch began at
	gets     int
	closed   bool
}

func newMemory() *memory { return &memory{revision: 7, kvs: map[string]*mvccpb.KeyValue{}} }

func (m *memory) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	if m.hangs {
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return nil, ctx.Err()
	}
	if m.away {
		return nil, errors.New("away")
	}
	end := string(clientv3.OpGet(key, opts...).RangeBytes())
	r := &clientv3.GetResponse{Header: &etcdserverpb.ResponseHeader{Revision: m.revision}}
	for k, kv := range m.kvs {
		if k >= key && k < end {
			r.Kvs = append(r.Kvs, kv)
		}
	}
	return r, nil
}

func (m *memory) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.from = clientv3.OpGet(key, opts...).Rev()
	m.events = make(chan clientv3.WatchResponse, 100)
	return m.events
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// goAway has nothing be answered, or all again.
func (m *memory) goAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

// put stores a value and returns the event of it; value "-" deletes the key.
func (m *memory) put(key, value string) *clientv3.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision++
	key = "/service/main/" + key
	kv := &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), ModRevision: m.revision}
	if value == "-" {
		delete(m.kvs, key)
		return &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: kv.Key, ModRevision: m.revision}}
	}
	m.kvs[key] = kv
	return &clientv3.Event{Type: clientv3.EventTypePut, Kv: kv}
}

// tell sends events at once, in one answer.
func (m *memory) tell(events ...*clientv3.Event) {
	m.events <- clientv3.WatchResponse{Events: events}
	synctest.Wait()
}

// watched is a watch of a memory.
type watched struct {
	*watch
	m       *memory
	e       *ear
	log     *observer.ObservedLogs
	hurried atomic.Int32
}

// watching runs test by a clock of its own, with a watch that begins on what prepare has stored. a leads by
// the polls.
func watching(t *testing.T, prepare func(*memory), test func(*testing.T, *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, log := observer.New(zapcore.InfoLevel)
		w := &watched{m: newMemory(), e: &ear{}, log: log}
		u := newTurn(w.e)
		u.polled(&View{Leader: "a"})
		prepare(w.m)
		w.watch = newWatch(&EtcdOptions{Namespace: "service/", Scope: "main"}, zap.New(core), u, func() { w.hurried.Add(1) })
		w.open = func(context.Context) (store, error) { return w.m, nil }
		w.begin()
		synctest.Wait()
		test(t, w)
		w.Close()
		u.close()
		if !w.m.closed {
			t.Error("the client stays open")
		}
	})
}

func (w *watched) wantsHurried(t *testing.T, want int32) {
	t.Helper()
	synctest.Wait()
	if n := w.hurried.Swap(0); n != want {
		t.Errorf("%d polls asked for, want %d", n, want)
	}
}

func (w *watched) wantsLog(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	var got []string
	for _, e := range w.log.TakeAll() {
		got = append(got, e.Level.String()+" "+e.Message)
	}
	if len(got) != len(want) {
		t.Fatalf("log: %q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("log: %q, want %q", got[i], want[i])
		}
	}
}

func aLeads(m *memory) { m.put("leader", "a") }

const askAB = `{"leader":"a","member":"b"}`

// TestWatchSwitchover follows Patroni's writes in a switchover.
func TestWatchSwitchover(t *testing.T) {
	watching(t, aLeads, func(t *testing.T, w *watched) {
		if w.m.from != w.m.revision+1 {
			t.Errorf("watches from %d on, want %d", w.m.from, w.m.revision+1)
		}
		w.m.tell(w.m.put("failover", askAB))
		w.e.wants(t, heldAToB)
		w.wantsHurried(t, 0)
		w.m.tell(w.m.put("leader", "-"))
		w.wantsHurried(t, 1)
		w.m.tell(w.m.put("history", "[]"))
		w.m.tell(w.m.put("leader", "b"))
		w.wantsHurried(t, 1)
		w.m.tell(w.m.put("failover", "{}"))
		w.wantsHurried(t, 0)
		w.turn.polled(&View{Leader: "b"})
		w.e.wants(t)
		w.wantsLog(t)
	})
}

func TestWatchGivenUp(t *testing.T) {
	for _, end := range []string{"{}", "-", "", "null"} {
		watching(t, aLeads, func(t *testing.T, w *watched) {
			w.m.tell(w.m.put("failover", askAB))
			w.e.wants(t, heldAToB)
			w.m.tell(w.m.put("failover", end))
			w.e.wants(t, "end")
		})
	}
}

// TestWatchBeginsLate has a request be there before the first look: it counts if it names the leader.
func TestWatchBeginsLate(t *testing.T) {
	for ask, counts := range map[string]bool{askAB: true, `{"member":"b"}`: false, `{"leader":"c"}`: false} {
		before := func(m *memory) {
			m.put("failover", ask)
			m.put("leader", "a")
		}
		watching(t, before, func(t *testing.T, w *watched) {
			time.Sleep(etcdCheck + time.Second) // the looks behind the first
			want := []string{heldAToB}
			if !counts {
				want = nil
			}
			w.e.wants(t, want...)
			if !counts {
				w.m.tell(w.m.put("failover", `{"member":"b"}`)) // a new one
				w.e.wants(t, heldAToB)
			}
		})
	}
}

// TestWatchReplay has a whole switchover be told at once, as behind an interruption.
func TestWatchReplay(t *testing.T) {
	watching(t, aLeads, func(t *testing.T, w *watched) {
		w.m.tell(w.m.put("failover", askAB), w.m.put("leader", "-"), w.m.put("leader", "b"), w.m.put("failover", "{}"))
		w.e.wants(t)
		w.wantsHurried(t, 1)
	})
	// In pieces, with the poll ahead.
	watching(t, aLeads, func(t *testing.T, w *watched) {
		w.turn.polled(&View{Leader: "b"})
		w.m.tell(w.m.put("failover", askAB))
		w.m.tell(w.m.put("leader", "b"))
		w.m.tell(w.m.put("failover", "{}"))
		w.e.wants(t)
	})
}

// TestWatchPassesOver has a look be ahead of the watch.
func TestWatchPassesOver(t *testing.T) {
	watching(t, aLeads, func(t *testing.T, w *watched) {
		late := []*clientv3.Event{w.m.put("failover", askAB), w.m.put("failover", "{}")}
		time.Sleep(etcdCheck + time.Second)
		for _, e := range late {
			w.m.tell(e)
		}
		w.e.wants(t)
	})
}

// TestWatchWithoutEtcd has etcd come late, go and come back: each is told once, and nothing else is felt.
func TestWatchWithoutEtcd(t *testing.T) {
	away := func(m *memory) {
		aLeads(m)
		m.away = true
	}
	watching(t, away, func(t *testing.T, w *watched) {
		time.Sleep(time.Minute - time.Millisecond)
		w.wantsLog(t, "warn etcd does not tell")
		if n := w.m.gets; n < 10 || n > 70 {
			t.Errorf("%d tries in a minute", n)
		}
		w.m.goAway(false)
		time.Sleep(2 * etcdAgain)
		w.wantsLog(t, "info etcd tells")
		w.wantsHurried(t, 0)

		w.m.goAway(true) // the watch says nothing
		time.Sleep(time.Minute)
		w.wantsLog(t, "warn etcd does not tell")
		w.m.put("leader", "b")
		w.m.goAway(false)
		time.Sleep(2 * etcdAgain)
		w.wantsLog(t, "info etcd tells")
		w.wantsHurried(t, 1)
		w.e.wants(t)

		close(w.m.events) // the watch ends
		time.Sleep(2 * etcdAgain)
		w.wantsLog(t, "warn etcd does not tell", "info etcd tells")
		w.m.tell(w.m.put("leader", "a"))
		w.wantsHurried(t, 1)
	})
}

// TestWatchCanceled has a server of etcd end the watch, as it does when it has no leader.
func TestWatchCanceled(t *testing.T) {
	watching(t, aLeads, func(t *testing.T, w *watched) {
		w.m.events <- clientv3.WatchResponse{Canceled: true}
		time.Sleep(2 * etcdAgain)
		w.wantsLog(t, "warn etcd does not tell", "info etcd tells")
		w.m.tell(w.m.put("leader", "b"))
		w.wantsHurried(t, 1)
	})
}

// TestWatchCompacted has what happened in between be forgotten by etcd.
func TestWatchCompacted(t *testing.T) {
	watching(t, aLeads, func(t *testing.T, w *watched) {
		w.m.put("leader", "b")
		w.m.events <- clientv3.WatchResponse{CompactRevision: w.m.revision, Canceled: true}
		time.Sleep(2 * etcdAgain)
		w.wantsHurried(t, 1)
		w.wantsLog(t)
		if w.m.from != w.m.revision+1 {
			t.Errorf("watches from %d on, want %d", w.m.from, w.m.revision+1)
		}
	})
}

// TestWatchHangs has etcd not answer at all, and be closed so.
func TestWatchHangs(t *testing.T) {
	hangs := func(m *memory) { m.hangs = true }
	watching(t, hangs, func(t *testing.T, w *watched) {
		time.Sleep(time.Minute)
		w.wantsLog(t, "warn etcd does not tell")
	})
}

// TestWatchLimits has values be longer than is believed.
func TestWatchLimits(t *testing.T) {
	watching(t, aLeads, func(t *testing.T, w *watched) {
		w.m.tell(w.m.put("leader", strings.Repeat("n", nameMax)))
		w.wantsHurried(t, 1)
		if len(w.now.leader) != nameMax {
			t.Errorf("a leader's name has %d bytes, want %d", len(w.now.leader), nameMax)
		}
		w.m.tell(w.m.put("leader", strings.Repeat("n", nameMax+1)))
		if w.now.leader != "" {
			t.Errorf("a leader's name of %d bytes is believed", len(w.now.leader))
		}
	})
	fill := failoverMax - len(`{"leader":"a"}`)
	for over, want := range map[int]bool{0: true, 1: false} {
		if s := parseFailover([]byte(`{"leader":"a"` + strings.Repeat(" ", fill+over) + `}`)); (s != nil) != want {
			t.Errorf("a request of %d bytes is believed: %v, want %v", failoverMax+over, s != nil, want)
		}
	}
}

func TestParseFailover(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]*Switchover{
		askAB:                       {From: "a", To: "b"},
		`{"leader":"a"}`:            {From: "a"},
		`{"member":"b","x":[1,{}]}`: {To: "b"},
		`{"leader":"a","member":"b","scheduled_at":"2026-11-22T15:04:05+00:00"}`: {at, "a", "b"},
		`{"leader":"a","scheduled_at":"2026-11-22T17:04:05.000000+02:00"}`:       {at, "a", ""},
		`{"leader":"a","scheduled_at":"2026-11-22 15:04:05Z"}`:                   {at, "a", ""},
		`{"leader":"a","scheduled_at":"tomorrow"}`:                               nil,
		`{"leader":"a","scheduled_at":"2026-11-22T15:04:05"}`:                    nil,
		`{"leader":7}`:    nil,
		`{"leader":null}`: nil,
		"a:b":             {From: "a", To: "b"},
		" a ":             {From: "a"},
		":b":              {To: "b"},
		":":               nil,
		"":                nil,
		"{}":              nil,
		"[]":              nil,
		`"a"`:             nil,
		"12":              nil,
	} {
		got := parseFailover([]byte(text))
		if (got == nil) != (want == nil) || got != nil && !got.same(want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func FuzzParseFailover(f *testing.F) {
	f.Add([]byte(askAB))
	f.Add([]byte(`{"leader":"a","scheduled_at":"2026-11-22T17:04:05.000000+02:00"}`))
	f.Add([]byte("a:b:c"))
	f.Fuzz(func(t *testing.T, value []byte) {
		if s := parseFailover(value); s != nil && s.From == "" && s.To == "" {
			t.Errorf("%q asks for nothing: %+v", value, s)
		}
	})
}

func TestKeys(t *testing.T) {
	for _, ns := range []string{"/service", "service/", "//service//"} {
		if k := newKeys(ns, "main"); k.failover != "/service/main/failover" || k.leader != "/service/main/leader" {
			t.Errorf("namespace %q: %+v", ns, k)
		}
	}
}

// TestClientWithoutEtcd uses etcd's own client, with nobody there: Close ends all of it.
func TestClientWithoutEtcd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	before := runtime.NumGoroutine()
	for _, user := range []string{"", "somebody"} {
		core, log := observer.New(zapcore.WarnLevel)
		w := newWatch(&EtcdOptions{Endpoints: []string{"http://" + ln.Addr().String()}, Scope: "main", User: user, Password: user},
			zap.New(core), newTurn(&ear{}), func() {})
		w.timeout = 50 * time.Millisecond
		w.begin()
		until(t, func() error {
			if log.Len() == 0 {
				return errors.New("no warning")
			}
			return nil
		})
		w.Close()
	}
	until(t, func() error {
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d goroutines, %d before", n, before)
		}
		return nil
	})
}

// until fails the test unless ok returns nil within a minute.
func until(t *testing.T, ok func() error) {
	t.Helper()
	err := ok()
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); err = ok() {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// glut is an etcd whose answers are too long.
type glut struct {
	etcdserverpb.UnimplementedKVServer
	size int
}

func (g *glut) Range(context.Context, *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	return &etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{Revision: 1},
		Kvs: []*mvccpb.KeyValue{{Key: []byte("/service/main/history"), Value: bytes.Repeat([]byte("h"), g.size)}}}, nil
}

func TestAnswerLimit(t *testing.T) {
	for size, fits := range map[int]bool{etcdAnswerMax - 1024: true, etcdAnswerMax: false} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		etcdserverpb.RegisterKVServer(s, &glut{size: size})
		go func() { _ = s.Serve(ln) }()
		w := newWatch(&EtcdOptions{Endpoints: []string{"http://" + ln.Addr().String()}, Namespace: "service", Scope: "main"},
			zap.NewNop(), newTurn(&ear{}), func() {})
		w.timeout = time.Minute
		st, err := w.open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		err = w.look(context.Background(), st)
		if fits && err != nil || !fits && (err == nil || !strings.Contains(err.Error(), "larger than max")) {
			t.Errorf("an answer of %d bytes: %v", size, err)
		}
		st.Close()
		s.Stop()
	}
}
