package tidb

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	pageKeys = 256     // keys of one request
	keysMax  = 1 << 16 // that are looked at below one prefix; what is behind is passed over
)

// pages gives visit all keys below a prefix, in their order, as of one revision of etcd. What would make an answer
// too large is asked for in smaller pieces; a value that is too large by itself is given as nil, so that it hides
// nothing but itself. It returns the revision. rev 0 is the newest.
func pages(ctx context.Context, kv clientv3.KV, prefix string, rev int64, visit func(*mvccpb.KeyValue)) (int64, error) {
	key, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for seen, limit := 0, int64(pageKeys); seen < keysMax; {
		opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(limit), clientv3.WithRev(rev)}
		r, err := kv.Get(ctx, key, opts...)
		if tooLarge(err) && limit > 1 {
			limit /= 4
			continue
		}
		if tooLarge(err) {
			r, err = kv.Get(ctx, key, append(opts, clientv3.WithKeysOnly())...)
		}
		if err != nil {
			return 0, err
		}
		if rev == 0 {
			rev = r.Header.Revision
		}
		for _, one := range r.Kvs {
			visit(one)
			key = string(one.Key) + "\x00"
		}
		seen += len(r.Kvs)
		if !r.More {
			return rev, nil
		}
		if len(r.Kvs) == 0 {
			return 0, fmt.Errorf("etcd tells of more keys and gives none")
		}
		limit = min(2*limit, pageKeys)
	}
	return rev, nil
}

// tooLarge tells that an answer was refused because it was larger than answerMax.
func tooLarge(err error) bool {
	return err != nil && status.Code(unwrapped(err)) == codes.ResourceExhausted
}

// unwrapped undoes what etcd's client does to errors of gRPC.
func unwrapped(err error) error {
	if e, ok := err.(interface{ Code() codes.Code }); ok {
		return status.Error(e.Code(), err.Error())
	}
	return err
}

// watch follows the keys below a prefix until ctx ends or something fails, which closes the channel. It does not
// block: the client would, until etcd has answered.
func watch(ctx context.Context, st store, prefix string, opts ...clientv3.OpOption) <-chan clientv3.WatchResponse {
	events := make(chan clientv3.WatchResponse)
	go func() {
		defer close(events)
		// Without a leader of etcd's own, a server would keep silent instead of ending the watch.
		for r := range st.Watch(clientv3.WithRequireLeader(ctx), prefix, append(opts, clientv3.WithPrefix())...) {
			select {
			case events <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}
