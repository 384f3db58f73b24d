package main

import (
	"context"
	"fmt"
	"net/http"

	"sluice/upstream"
	"sluice/upstream/patroni"
)

// switchover has Patroni make another member the leader: new work waits from before it hears of it until the
// new leader is known, so that nothing is lost but transactions that are longer than its way.
func (a *admin) switchover(w http.ResponseWriter, r *http.Request) {
	c := a.clusterNamed(w, r)
	if c == nil {
		return
	}
	api, found := c.Options().Discovery.(*patroni.Options)
	if !found {
		refuse(w, http.StatusConflict, "the members of this cluster are not Patroni's")
		return
	}
	leader := leaderOf(c)
	candidate := r.URL.Query().Get("candidate")
	switch {
	case leader == nil:
		refuse(w, http.StatusConflict, "the cluster has no leader: there is nothing to switch over from")
		return
	case candidate == leader.Spec().Name:
		refuse(w, http.StatusConflict, fmt.Sprintf("%q is the leader", candidate))
		return
	case candidate != "" && !hasMember(c, candidate):
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no member %q", candidate))
		return
	}
	if _, under := a.switching.LoadOrStore(c, true); under {
		refuse(w, http.StatusConflict, "a switchover of this cluster is under way, as it was asked for here")
		return
	}
	defer a.switching.Delete(c)
	_, held := c.Held() // somebody else's hold is not ended here
	c.Hold("the admin side asked for a switchover", holdDefault)
	ctx := context.WithoutCancel(r.Context()) // who asks may go, and Patroni goes on: so does the hold
	if err := api.Switchover(ctx, leader.Spec().Name, candidate); err != nil {
		if !held {
			c.EndHold()
		}
		refuse(w, http.StatusBadGateway, "no switchover: "+err.Error())
		return
	}
	a.p.proxy.UpdateClusters(ctx)
	now := leaderOf(c)
	if now == nil || now == leader { // the hold goes on until the new one is known, or its time is over
		refuse(w, http.StatusGatewayTimeout, "Patroni says that it is done, but the new leader is not known yet")
		return
	}
	writeJSON(w, http.StatusOK, clusterAnswer{Leader: now.Addr()})
}

// leaderOf is the backend that leads, nil if none does.
func leaderOf(c *upstream.Cluster) *upstream.Backend {
	for _, b := range c.Backends() {
		if b.Leads() {
			return b
		}
	}
	return nil
}

func hasMember(c *upstream.Cluster, name string) bool {
	for _, b := range c.Backends() {
		if b.Spec().Name == name {
			return true
		}
	}
	return false
}
