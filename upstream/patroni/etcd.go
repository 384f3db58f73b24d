package patroni

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Times of the watch.
const (
	etcdTimeout = 5 * time.Second  // of one look, and of a connect
	etcdAgain   = time.Second      // between the end of a watch and the next try
	etcdCheck   = 10 * time.Second // between two looks at the keys beside the watch, which a dead connection may hide
	etcdBackoff = 3 * time.Second  // the longest time between two connects
)

// etcdAnswerMax bounds an answer of etcd. Its own limit for a request, and so for a value, is 1.5 MiB.
const etcdAnswerMax = 4 << 20

// etcdAsk bounds a request; the client insists that it is not above the limit of an answer.
const etcdAsk = 64 << 10

// store is what the watch needs of etcd's client (https://etcd.io/docs/latest/learning/api/).
type store interface {
	Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error)
	Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan
	Close() error
}

// watch follows Patroni's keys in etcd: requests for a switchover go to turn, a change of leader asks for a
// poll. While etcd is away there is no effect but that changes are heard of later.
type watch struct {
	opt   *EtcdOptions
	log   *zap.Logger
	turn  *turn
	hurry func()
	keys  keys
	open  func(context.Context) (store, error)

	timeout, again, check time.Duration

	now  known
	lost bool // a warning was written

	stop context.CancelFunc
	done chan struct{}
}

// watchEtcd begins to watch. It does not block.
func watchEtcd(opt *EtcdOptions, log *zap.Logger, t *turn, hurry func()) *watch {
	w := newWatch(opt, log, t, hurry)
	w.begin()
	return w
}

func newWatch(opt *EtcdOptions, log *zap.Logger, t *turn, hurry func()) *watch {
	w := &watch{opt: opt, log: log, turn: t, hurry: hurry, keys: newKeys(opt.Namespace, opt.Scope),
		timeout: etcdTimeout, again: etcdAgain, check: etcdCheck, done: make(chan struct{})}
	w.open = w.connect
	return w
}

func (w *watch) begin() {
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	go func() {
		defer close(w.done)
		w.run(ctx)
	}()
}

// Close ends the watch and waits for it. A nil watch is closed.
func (w *watch) Close() {
	if w == nil {
		return
	}
	w.stop()
	<-w.done
}

// run watches until ctx ends. The client is kept over failures: it connects anew by itself, to any endpoint.
func (w *watch) run(ctx context.Context) {
	var st store
	defer func() {
		if st != nil {
			_ = st.Close()
		}
	}()
	for ctx.Err() == nil {
		var err error
		if st == nil {
			st, err = w.open(ctx)
		}
		if err == nil {
			err = w.follow(ctx, st)
		}
		if ctx.Err() != nil {
			return
		}
		w.failed(err)
		select {
		case <-ctx.Done():
		case <-time.After(w.again):
		}
	}
}

// connect makes a client. It connects in the background but where it has to log in.
func (w *watch) connect(ctx context.Context) (store, error) {
	c, err := clientv3.New(clientv3.Config{
		Context:              ctx,
		Endpoints:            w.opt.Endpoints,
		Username:             w.opt.User,
		Password:             w.opt.Password,
		TLS:                  w.opt.TLS,
		DialTimeout:          w.timeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		MaxCallSendMsgSize:   etcdAsk,
		MaxCallRecvMsgSize:   etcdAnswerMax,
		MaxUnaryRetries:      3,
		Logger:               zap.NewNop(), // what matters is in the errors, and told once
		DialOptions: []grpc.DialOption{
			grpc.WithNoProxy(), // the environment's is for what leaves the house
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff: backoff.Config{BaseDelay: etcdAgain, Multiplier: 1.6, Jitter: 0.2, MaxDelay: etcdBackoff},
			}),
		},
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// errCompacted: what has happened since the last look is not kept any more. Looking again repairs it.
var errCompacted = errors.New("the revisions since were compacted")

// follow reads the keys and follows their changes until something fails.
func (w *watch) follow(ctx context.Context, st store) error {
	if err := w.look(ctx, st); err != nil {
		return err
	}
	// Without a leader of etcd's own, a server would keep silent instead of ending the watch.
	wctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	changes := st.Watch(wctx, w.keys.failover, clientv3.WithRange(w.keys.end()), clientv3.WithRev(w.now.revision+1))
	check := time.NewTicker(w.check)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-check.C:
			if err := w.look(ctx, st); err != nil {
				return err
			}
		case r, ok := <-changes:
			if !ok {
				return errors.New("the watch has ended")
			}
			if r.CompactRevision != 0 {
				return errCompacted
			}
			if err := r.Err(); err != nil {
				return err
			}
			w.apply(r.Events)
		}
	}
}

// look reads the keys as they are.
func (w *watch) look(ctx context.Context, st store) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	r, err := st.Get(ctx, w.keys.failover, clientv3.WithRange(w.keys.end()))
	if err != nil {
		return err
	}
	if w.lost {
		w.lost = false
		w.log.Info("etcd tells of switchovers again", zap.Strings("endpoints", w.opt.Endpoints))
	}
	w.learn(w.keys.snapshot(r.Kvs, r.Header.Revision, w.now, w.now.revision == 0))
	return nil
}

// apply takes in changes, all of them before anything is concluded: a request may be done by the end of them.
// Changes that a look has been ahead of are passed over.
func (w *watch) apply(events []*clientv3.Event) {
	now, seen := w.now, w.now.revision
	for _, e := range events {
		if e.Kv.ModRevision <= seen {
			continue
		}
		now.revision = max(now.revision, e.Kv.ModRevision)
		if e.Type == clientv3.EventTypeDelete {
			w.keys.drop(&now, string(e.Kv.Key))
			continue
		}
		w.keys.put(&now, e.Kv)
	}
	w.learn(now)
}

// learn passes on what is known now.
func (w *watch) learn(now known) {
	changed := w.now.revision != 0 && now.leader != w.now.leader
	w.now = now
	w.turn.told(now.said)
	if changed {
		w.hurry()
	}
}

// failed notes that etcd is not heard, and says so once.
func (w *watch) failed(err error) {
	if errors.Is(err, errCompacted) {
		return
	}
	w.turn.deaf()
	if !w.lost {
		w.lost = true
		w.log.Warn("etcd does not tell of switchovers: they are found by polling, and their requests not at all",
			zap.Strings("endpoints", w.opt.Endpoints), zap.Error(err))
	}
}
