package tidb

import (
	"bytes"
	"context"
	"crypto/tls"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// PD says where a cluster's PD is and how its etcd is asked. It is not changed once given.
type PD struct {
	// Addrs are PD's client addresses, host:port. Any one that answers will do.
	Addrs []string
	// User and Password are etcd's own; "" = none.
	User, Password string
	// TLS is towards PD; nil = none.
	TLS *tls.Config
	// Timeout bounds one request.
	Timeout time.Duration
}

// same tells whether there is nothing to do for a change from p to q.
func (p *PD) same(q *PD) bool {
	return slices.Equal(p.Addrs, q.Addrs) && p.User == q.User && p.Password == q.Password &&
		p.Timeout == q.Timeout && sameTLS(p.TLS, q.TLS)
}

// sameTLS compares what a client's configuration is made of here: each reload makes a new one.
func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ServerName == b.ServerName && a.InsecureSkipVerify == b.InsecureSkipVerify &&
		a.RootCAs.Equal(b.RootCAs) && slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
		return slices.EqualFunc(x.Certificate, y.Certificate, bytes.Equal)
	})
}

// Times of etcd's client.
const (
	againMin = 250 * time.Millisecond // between a failure and the next try,
	againMax = 3 * time.Second        // which grows up to this
	giveBack = time.Second            // bounds what is still said to etcd at the end
)

// answerMax bounds an answer of etcd's. A value that is larger than that is passed over, see pages.
const answerMax = 4 << 20

// askMax bounds a request; the client insists that it is not above the limit of an answer.
const askMax = 64 << 10

// store is what is needed of etcd's client (https://etcd.io/docs/latest/learning/api/).
type store interface {
	clientv3.KV
	clientv3.Lease
	Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan
}

// connect makes a client. It connects in the background but where it has to log in.
func (p *PD) connect(ctx context.Context) (*clientv3.Client, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx)) // at the end there is something to say still
	defer context.AfterFunc(ctx, cancel)()
	return clientv3.New(clientv3.Config{
		Context:              own,
		Endpoints:            p.Addrs,
		Username:             p.User,
		Password:             p.Password,
		TLS:                  p.TLS,
		DialTimeout:          p.Timeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		MaxCallSendMsgSize:   askMax,
		MaxCallRecvMsgSize:   answerMax,
		MaxUnaryRetries:      3,
		Logger:               zap.NewNop(), // what matters is in the errors, and told once
		DialOptions: []grpc.DialOption{
			grpc.WithNoProxy(), // the environment's is for what leaves the house
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff: backoff.Config{BaseDelay: againMin, Multiplier: 1.6, Jitter: 0.2, MaxDelay: againMax},
			}),
		},
	})
}

// connected connects, and tries again until ctx ends, which gives nil. failed is told of each failure.
func (p *PD) connected(ctx context.Context, failed func(error)) *clientv3.Client {
	for again := againMin; ctx.Err() == nil; again = min(2*again, againMax) {
		c, err := p.connect(ctx)
		if err == nil {
			return c
		}
		if ctx.Err() == nil {
			failed(err)
		}
		wait(ctx, again)
	}
	return nil
}

// wait waits for d, or for the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
