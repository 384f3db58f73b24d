package tidb

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// proxies is the prefix of the keys of proxies before TiDB servers, "<prefix><addr>/info" and "<prefix><addr>/ttl":
// TiDB reads them for cluster_info, and so does TiDB Dashboard.
const proxies = "/topology/tiproxy/"

// Times of a registration.
const (
	leaseTTL   = 45 * time.Second // of the keys
	freshEvery = 15 * time.Second // between two writes of the time, by which others see that we live
)

// Registration is how Sluice is listed in PD. It is not changed once given.
type Registration struct {
	Addr       string // host:port of the SQL side; it names the keys
	StatusPort int    // of the admin side; 0 = none
	Version    string
	GitHash    string
	DeployPath string
	Start      time.Time // of the process
}

// same tells whether there is nothing to do for a change from r to p.
func (r *Registration) same(p *Registration) bool {
	if r == nil || p == nil {
		return r == p
	}
	return *r == *p
}

func (r *Registration) key(part string) string { return proxies + r.Addr + "/" + part }

// info is the value of the key that says what we are; ports are text in it.
func (r *Registration) info() (string, error) {
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{
		"version": r.Version, "git_hash": r.GitHash, "ip": host, "port": port,
		"status_port": strconv.Itoa(r.StatusPort), "deploy_path": r.DeployPath, "start_timestamp": r.Start.Unix(),
	})
	return string(text), err
}

// keep keeps the keys there until ctx ends. The function that it returns waits until they are deleted, as far as etcd
// can be reached.
func (r *Registration) keep(ctx context.Context, st store, opt *Options) (ended func()) {
	k := &keeper{r: r, st: st, timeout: opt.PD.Timeout, log: opt.logger()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for again := againMin; ctx.Err() == nil; again = min(2*again, againMax) {
			began := time.Now()
			err := k.hold(ctx)
			if ctx.Err() != nil {
				return
			}
			k.failed(err)
			if time.Since(began) > againMax { // it was there: it shall be again at once
				again = againMin / 2
				continue
			}
			wait(ctx, again)
		}
	}()
	return func() { <-done }
}

// keeper is a registration at work.
type keeper struct {
	r       *Registration
	st      store
	timeout time.Duration
	log     *zap.Logger
	lost    bool // a warning was written
}

// hold writes the keys with a lease and keeps them, until the lease is lost or ctx ends.
func (k *keeper) hold(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	lease, err := k.st.Grant(asking, int64(leaseTTL.Seconds()))
	if err != nil {
		return err
	}
	defer k.release(lease.ID)
	watching, cancelWatch := context.WithCancel(ctx)
	defer cancelWatch()
	own := watch(watching, k.st, proxies+k.r.Addr+"/", clientv3.WithFilterPut())
	if err := k.write(asking, lease.ID); err != nil {
		return err
	}
	alive, err := k.st.KeepAlive(watching, lease.ID)
	if err != nil {
		return err
	}
	if k.lost {
		k.lost = false
		k.log.Info("sluice is listed in pd again")
	}
	return k.refresh(ctx, lease.ID, alive, own)
}

// errLease is why keys have to be written anew.
var errLease = errors.New("the lease of its keys was lost")

// refresh writes the time from time to time, and the keys anew when somebody has deleted them: a TiProxy that ends
// does so.
func (k *keeper) refresh(ctx context.Context, lease clientv3.LeaseID, alive <-chan *clientv3.LeaseKeepAliveResponse,
	own <-chan clientv3.WatchResponse) error {
	tick := time.NewTicker(freshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-alive:
			if !ok {
				return errLease
			}
			continue
		case r, ok := <-own:
			if !ok {
				own = nil // the tick sees to it
				continue
			}
			if len(r.Events) == 0 {
				continue
			}
		case <-tick.C:
		}
		asking, cancel := context.WithTimeout(ctx, k.timeout)
		err := k.write(asking, lease)
		cancel()
		if err != nil {
			return err
		}
	}
}

// write writes both keys.
func (k *keeper) write(ctx context.Context, lease clientv3.LeaseID) error {
	info, err := k.r.info()
	if err != nil {
		return err
	}
	now := strconv.FormatInt(time.Now().UnixNano(), 10)
	_, err = k.st.Txn(ctx).Then(
		clientv3.OpPut(k.r.key("info"), info, clientv3.WithLease(lease)),
		clientv3.OpPut(k.r.key("ttl"), now, clientv3.WithLease(lease))).Commit()
	return err
}

// release gives the lease back, and with it the keys that are its own: those that another process has written
// meanwhile have another lease.
func (k *keeper) release(lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), min(giveBack, k.timeout))
	defer cancel()
	_, _ = k.st.Revoke(ctx, lease)
}

func (k *keeper) failed(err error) {
	if !k.lost {
		k.lost = true
		k.log.Warn("sluice is not listed in pd", zap.String("address", k.r.Addr), zap.Error(err))
	}
}
