package tidb

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/upstream"
)

// readers is the prefix of the keys by which the Sluices in front of one cluster settle who reads the status ports
// of a zone's servers: "<prefix><cluster>/<zone>/owner", with the address of the owner's admin side, and ".../token", with
// what it wants to be shown by who asks it. Who can write to PD can have an address of his own asked: so what is shown
// is of use for nothing but figures, and known to him already.
const readers = "/sluice/metric_reader/"

// Limits of the keys of a cluster.
const (
	ownersMax = 256      // owners that are looked at
	peerMax   = 512      // bytes of an address, or of a token
	seatFor   = 3        // rounds that a seat outlasts its owner
	seatMin   = 15       // seconds that it does at least
	zoneMax   = tagBytes // bytes of a zone's name
)

// The last parts of the keys.
const (
	ownerPart = "/owner"
	tokenPart = "/token"
)

// owners are the addresses of the owners' admin sides, by zone.
type owners map[string]string

// of returns those of the backends that a Sluice in a zone has to read: if it is an owner, those of its own zone,
// and if it is the first of them those in zones that have none.
func (o owners) of(list []*upstream.Backend, zone string, mine bool) map[*upstream.Backend]struct{} {
	own := map[*upstream.Backend]struct{}{}
	if !mine {
		return own
	}
	first := slices.Min(slices.Collect(maps.Keys(o)))
	for _, b := range list {
		at := b.Spec().Zone
		if _, owned := o[at]; !owned {
			at = first
		}
		if at == zone {
			own[b] = struct{}{}
		}
	}
	return own
}

// seat is a Sluice's place in the election of its zone.
type seat struct {
	st      store
	prefix  string
	key     string
	value   string
	token   string
	ttl     int64 // seconds
	timeout time.Duration
	lease   clientv3.LeaseID
	mine    bool              // it is the owner
	tokens  map[string]string // of the owners, by zone
}

func newSeat(st store, opt *Metrics) *seat {
	prefix := readers + url.PathEscape(opt.Cluster) + "/"
	return &seat{st: st, prefix: prefix, key: prefix + url.PathEscape(opt.Zone) + ownerPart, value: opt.Peer,
		token: opt.Token, ttl: max(seatMin, int64(seatFor*opt.Interval/time.Second)), timeout: opt.PD.Timeout}
}

// claim takes the seat if it is free, keeps it if it is ours, and returns who owns the zones.
func (s *seat) claim(ctx context.Context) (owners, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.mine = false
	if err := s.renew(ctx); err != nil {
		return nil, err
	}
	all := clientv3.OpGet(s.prefix, clientv3.WithPrefix(), clientv3.WithLimit(2*ownersMax))
	r, err := s.st.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(s.key), "=", 0)).
		Then(clientv3.OpPut(s.key, s.value, clientv3.WithLease(s.lease)),
			clientv3.OpPut(strings.TrimSuffix(s.key, ownerPart)+tokenPart, s.token, clientv3.WithLease(s.lease)), all).Else(all).Commit()
	if err != nil {
		return nil, err
	}
	list := owners{}
	s.tokens = map[string]string{}
	for _, kv := range r.Responses[len(r.Responses)-1].GetResponseRange().GetKvs() {
		at := strings.TrimPrefix(string(kv.Key), s.prefix)
		zone, is := strings.CutSuffix(at, ownerPart)
		if !is {
			zone, is = strings.CutSuffix(at, tokenPart)
		}
		zone, err := url.PathUnescape(zone)
		if !is || err != nil || len(zone) > zoneMax || len(kv.Value) > peerMax {
			continue
		}
		if strings.HasSuffix(at, tokenPart) {
			if isToken(string(kv.Value)) {
				s.tokens[zone] = string(kv.Value)
			}
			continue
		}
		if !isAddr(string(kv.Value)) {
			continue
		}
		list[zone] = string(kv.Value)
		if string(kv.Key) == s.key {
			s.mine = clientv3.LeaseID(kv.Lease) == s.lease
		}
	}
	return list, nil
}

// renew has a lease that lasts.
func (s *seat) renew(ctx context.Context) error {
	if s.lease != clientv3.NoLease {
		_, err := s.st.KeepAliveOnce(ctx, s.lease)
		if err == nil || !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return err
		}
	}
	r, err := s.st.Grant(ctx, s.ttl)
	if err != nil {
		return err
	}
	s.lease = r.ID
	return nil
}

// leave gives the seat back.
func (s *seat) leave() {
	if s.lease == clientv3.NoLease {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(giveBack, s.timeout))
	defer cancel()
	_, _ = s.st.Revoke(ctx, s.lease)
	s.lease, s.mine = clientv3.NoLease, false
}
