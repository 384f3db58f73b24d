package session

import (
	"slices"

	"sluice/upstream"
)

// asking is what looks users up at the servers of one cluster, for a listening side.
type asking struct {
	of  *upstream.Cluster
	opt upstream.AuthQueryOptions
	ask *upstream.AuthQuery
}

// askOf is what looks users up for clients with those settings; nil: nobody does.
func (fe *Frontend) askOf(set *Settings) *upstream.AuthQuery {
	if list := fe.asks.Load(); list != nil {
		for _, a := range *list {
			if a.of == set.cluster {
				return a.ask
			}
		}
	}
	return nil
}

// asksFor returns what looks users up by those settings. What there is already is taken if it will do.
func (fe *Frontend) asksFor(p *Proxy, set *Settings, old []asking) (list []asking) {
	for _, view := range set.views() {
		if view.Sharing == nil || view.Sharing.Ask.Query == "" ||
			slices.ContainsFunc(list, func(a asking) bool { return a.of == view.cluster }) {
			continue
		}
		one := asking{of: view.cluster, opt: view.Sharing.Ask}
		if i := slices.IndexFunc(old, func(a asking) bool { return a.of == one.of && a.opt == one.opt }); i >= 0 {
			one.ask = old[i].ask
		} else {
			want := view.want()
			want.Behind = nil // it is kept, and who is behind changes
			one.ask = upstream.NewAuthQuery(view.cluster, want, one.opt, p.log)
		}
		list = append(list, one)
	}
	return list
}

// put has the frontend work by other settings. No client meets settings without what they need.
func (fe *Frontend) put(p *Proxy, set *Settings, k *sockets) {
	var old []asking
	if list := fe.asks.Load(); list != nil {
		old = *list
	}
	now := fe.asksFor(p, set, old)
	both := slices.Concat(now, old)
	fe.asks.Store(&both)
	k.install(fe, set)
	fe.asks.Store(&now)
	for _, a := range old {
		if !slices.ContainsFunc(now, func(b asking) bool { return a.ask == b.ask }) {
			a.ask.Close()
		}
	}
}

// askNobody ends what looks users up.
func (fe *Frontend) askNobody() {
	if list := fe.asks.Swap(nil); list != nil {
		for _, a := range *list {
			a.ask.Close()
		}
	}
}
