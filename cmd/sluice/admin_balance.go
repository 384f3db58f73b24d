package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sluice/upstream"
)

// drainAnswer is how far the emptying of a backend is.
type drainAnswer struct {
	Cluster  string `json:"cluster"`
	Addr     string `json:"addr"`
	Drained  bool   `json:"drained"`
	Sessions int    `json:"sessions"` // that are still at it
	Outgoing int    `json:"outgoing"` // of them those that are on their way
	Note     string `json:"note,omitempty"`
}

// drain has a backend emptied: new sessions go elsewhere, and those that are there move away.
func (a *admin) drain(w http.ResponseWriter, r *http.Request) {
	if c, b := a.backendNamed(w, r); b != nil {
		b.Drain("the admin side asked for it")
		writeJSON(w, http.StatusOK, a.drainState(c, b))
	}
}

// resumeBackend ends that. What was drained and has gone meanwhile may be resumed too, before it comes back.
func (a *admin) resumeBackend(w http.ResponseWriter, r *http.Request) {
	c, b := a.backendNamed(w, r)
	switch {
	case c == nil:
	case b == nil:
		c.Resume(r.PathValue("addr"))
		writeJSON(w, http.StatusOK, drainAnswer{Cluster: c.Name(), Addr: r.PathValue("addr"), Note: "it is not there at present"})
	default:
		b.Resume()
		writeJSON(w, http.StatusOK, a.drainState(c, b))
	}
}

// drainState is how far the emptying of a backend is.
func (a *admin) drainState(c *upstream.Cluster, b *upstream.Backend) drainAnswer {
	s := a.p.proxy.StandingOf(b)
	ans := drainAnswer{Cluster: c.Name(), Addr: b.Addr(), Drained: s.Drained, Sessions: b.Sessions(), Outgoing: b.Outgoing()}
	switch {
	case s.Stuck && s.Drained:
		ans.Note = "no other backend is fit for its sessions and up: they stay until one is, and new ones wait or are refused"
		if _, ordered := c.Drains()[b.Addr()]; !ordered {
			ans.Note = "it stands in out-of-service, which has no effect: no other backend is fit for its sessions and up"
		}
	case s.Drained:
		if _, ordered := c.Drains()[b.Addr()]; !ordered {
			ans.Note = "it stands in out-of-service"
		}
	}
	return ans
}

// backendNamed finds the backend that a path names, and its cluster; nil: it was refused. For what was drained and has
// gone there is a cluster alone, if the request is to resume it.
func (a *admin) backendNamed(w http.ResponseWriter, r *http.Request) (*upstream.Cluster, *upstream.Backend) {
	addr, name := r.PathValue("addr"), r.URL.Query().Get("cluster")
	var at []*upstream.Cluster
	var found *upstream.Backend
	var names []string
	for _, c := range a.p.proxy.Clusters() {
		if name != "" && c.Name() != name {
			continue
		}
		i := slices.IndexFunc(c.Backends(), func(b *upstream.Backend) bool { return b.Addr() == addr })
		_, drained := c.Drains()[addr]
		switch {
		case i >= 0:
			found = c.Backends()[i]
		case !drained || !strings.HasSuffix(r.URL.Path, "/resume"):
			continue
		}
		at, names = append(at, c), append(names, c.Name())
	}
	switch {
	case len(at) == 1:
		return at[0], found
	case len(at) > 1:
		slices.Sort(names)
		refuse(w, http.StatusConflict, fmt.Sprintf("there is a backend %q in the clusters %s: say which", addr, strings.Join(names, ", ")))
	case name != "":
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no backend %q in a cluster %q", addr, name))
	default:
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no backend %q", addr))
	}
	return nil, nil
}

// balance lists what was decided lately about where sessions are to be, the newest first.
func (a *admin) balance(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.p.proxy.Decisions())
}
