package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/conf"
	"sluice/router"
	"sluice/upstream"
)

// update has every cluster brought up to date, and answers when that is in force.
func (a *admin) update(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Updated %d cluster(s)\n", a.p.proxy.UpdateClusters(r.Context()))
}

// clusterInfo is what is known of one cluster.
type clusterInfo struct {
	Name      string         `json:"name"`
	Protocol  string         `json:"protocol"`
	Discovery string         `json:"discovery"`
	Backends  int            `json:"backends"`
	Leader    string         `json:"leader,omitempty"` // its address
	Held      string         `json:"held,omitempty"`   // why no new work begins on the leader
	Status    *discoveryInfo `json:"status,omitempty"` // none with static discovery
}

// discoveryInfo is how well the discovery of a cluster works.
type discoveryInfo struct {
	Stale      bool      `json:"stale"` // what is in force was known before, and could not be asked for anew
	LastAnswer time.Time `json:"last_answer,omitzero"`
	From       string    `json:"from,omitempty"`
	Polls      uint64    `json:"polls"`
	Failures   uint64    `json:"failures"`
	LastError  string    `json:"last_error,omitempty"`
}

// clusters lists the clusters, by name.
func (a *admin) clusters(w http.ResponseWriter, _ *http.Request) {
	configured := map[string]*conf.Cluster{}
	cfg := a.p.cfg.Load()
	for i := range cfg.Cluster {
		configured[cfg.Cluster[i].Name] = &cfg.Cluster[i]
	}
	list := []clusterInfo{}
	for _, c := range a.p.proxy.Clusters() {
		info := clusterOf(c)
		if cl := configured[info.Name]; cl != nil { // else a reload is under way
			info.Protocol, info.Discovery = cl.Protocol, cl.Discovery
		}
		list = append(list, info)
	}
	slices.SortFunc(list, func(x, y clusterInfo) int { return strings.Compare(x.Name, y.Name) })
	writeJSON(w, http.StatusOK, list)
}

func clusterOf(c *upstream.Cluster) clusterInfo {
	info := clusterInfo{Name: c.Name(), Backends: len(c.Backends())}
	for _, b := range c.Backends() {
		if b.Leads() && !c.Options().Peers {
			info.Leader = b.Addr()
		}
	}
	info.Held, _ = c.Held()
	if s, ok := c.Discovered(); ok {
		info.Status = &discoveryInfo{Stale: s.Stale, LastAnswer: s.At, From: s.From, Polls: s.Polls,
			Failures: s.Failures, LastError: s.LastError}
	}
	return info
}

// backendInfo is what is known of one backend.
type backendInfo struct {
	Cluster   string    `json:"cluster"`
	Addr      string    `json:"addr"`
	Name      string    `json:"name,omitempty"` // the member's
	Role      string    `json:"role"`
	Leads     bool      `json:"leads"`
	State     string    `json:"state,omitempty"` // as the discovery spells it
	Out       string    `json:"out,omitempty"`   // why it takes no sessions at all
	Zone      string    `json:"zone,omitempty"`
	Health    string    `json:"health"`
	Changed   time.Time `json:"health_changed,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	Sessions  int       `json:"sessions"`
	Outgoing  int       `json:"outgoing"`          // of them those that are on their way to another one
	Drained   string    `json:"drained,omitempty"` // why it is emptied
	// Score is how it stands by each factor that sessions are spread by, 0 being the best; Explain says it in words.
	Score   map[string]int `json:"score,omitempty"`
	Explain string         `json:"explain"`

	LagBytes   *uint64           `json:"lag_bytes,omitempty"` // none: not known
	LagSeconds *float64          `json:"lag_seconds,omitempty"`
	Timeline   uint64            `json:"timeline,omitempty"`
	NoBalance  bool              `json:"noloadbalance,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`

	StatusPort string     `json:"status_port,omitempty"` // what follows is what it says
	Version    string     `json:"version,omitempty"`
	Closing    bool       `json:"closing,omitempty"`      // it is about to stop
	Unsigned   bool       `json:"unsigned,omitempty"`     // it can't sign session tokens
	Read       *time.Time `json:"figures_read,omitempty"` // when its figures were read last
	// Unfit says for which listeners it is not fit, and why: "role", "state", "shutdown", "drained", "tags",
	// "lag".
	Unfit map[string]string `json:"unfit,omitempty"`
}

// backends lists the backends of all clusters.
func (a *admin) backends(w http.ResponseWriter, _ *http.Request) {
	list := []backendInfo{}
	for _, b := range a.p.proxy.Backends() {
		info := backendOf(b)
		stands := a.p.proxy.StandingOf(b)
		info.Drained, info.Score, info.Explain = stands.Why, stands.Score, stands.Explain
		for _, fe := range a.p.proxy.Frontends() {
			if fe.Settings().Cluster != info.Cluster {
				continue
			}
			if why := fe.Fits(b); why != "" {
				if info.Unfit == nil {
					info.Unfit = map[string]string{}
				}
				info.Unfit[fe.Name()] = why
			}
		}
		list = append(list, info)
	}
	writeJSON(w, http.StatusOK, list)
}

func backendOf(b *upstream.Backend) backendInfo {
	spec := b.Spec()
	info := backendInfo{Cluster: b.Cluster().Name(), Addr: b.Addr(), Name: spec.Name,
		Role: spec.Role.String(), Leads: b.Leads(), State: spec.State, Out: spec.Out, Zone: spec.Zone,
		Health: b.Health().String(), Changed: b.Changed(), LastError: b.LastError(),
		Sessions: b.Sessions(), Outgoing: b.Outgoing(),
		Timeline: spec.Timeline, NoBalance: spec.NoBalance, Tags: maps.Clone(spec.Tags)}
	info.StatusPort, info.Version, info.Closing, info.Unsigned = spec.Status, b.Version(), b.Closing(), !b.CanSign()
	if all := b.Readings(); len(all) > 0 {
		info.Read = &all[len(all)-1].At
	}
	if spec.Lag.Known && spec.Role != router.Leader {
		info.LagBytes = &spec.Lag.Bytes
	}
	if spec.Lag.TimeKnown && spec.Role != router.Leader {
		seconds := spec.Lag.Time.Seconds()
		info.LagSeconds = &seconds
	}
	return info
}

// What a hold lasts if it is not ended, unless it is said, and at most.
const (
	holdDefault = 30 * time.Second
	holdMax     = 10 * time.Minute
)

// hold has no new work begin on a cluster's leader, as another one is about to take over.
func (a *admin) hold(w http.ResponseWriter, r *http.Request) {
	c := a.clusterNamed(w, r)
	if c == nil {
		return
	}
	lasts := holdDefault
	if text := r.URL.Query().Get("max"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > holdMax {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("max is no duration of at most %v", conf.Duration(holdMax)))
			return
		}
		lasts = d
	}
	c.Hold("the admin side asked for it", lasts)
	c.Hurry() // the next leader should be heard of soon
	writeJSON(w, http.StatusOK, clusterAnswer{Held: true})
}

// resume ends the hold of a cluster.
func (a *admin) resume(w http.ResponseWriter, r *http.Request) {
	if c := a.clusterNamed(w, r); c != nil {
		c.EndHold()
		writeJSON(w, http.StatusOK, clusterAnswer{})
	}
}

// clusterAnswer is what has come of a command for one cluster.
type clusterAnswer struct {
	Held   bool   `json:"held"`
	Leader string `json:"leader,omitempty"` // the new one's address
}

// clusterNamed finds the cluster that a path names; nil: it was refused.
func (a *admin) clusterNamed(w http.ResponseWriter, r *http.Request) *upstream.Cluster {
	name := r.PathValue("name")
	for _, c := range a.p.proxy.Clusters() {
		if c.Name() == name {
			return c
		}
	}
	refuse(w, http.StatusNotFound, fmt.Sprintf("there is no cluster %q", name))
	return nil
}

// refuse answers as the console does when it refuses.
func refuse(w http.ResponseWriter, code int, text string) {
	writeJSON(w, code, consoleAnswer{Error: text})
}

// ours refuses what a page of another site has a browser send: unlike a GET, such a request changes something,
// and the browser may stand on this machine. What no browser sends passes.
func ours(h http.HandlerFunc) http.HandlerFunc {
	check := http.NewCrossOriginProtection()
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "a page of another site asked for it: "+err.Error())
			return
		}
		h(w, r)
	}
}
