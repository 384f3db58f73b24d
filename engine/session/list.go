package session

import (
	"cmp"
	"slices"
	"time"

	"sluice/codec"
	"sluice/engine"
)

// Info describes one session at one moment.
type Info struct {
	ID       uint64 `json:"id"`
	Listener string `json:"listener"`
	Cluster  string `json:"cluster"`
	Client   string `json:"client"`
	Proxy    string `json:"proxy,omitempty"` // who has named the client
	Port     uint16 `json:"port,omitempty"`  // at which it came, where its listener has namespaces or proxies
	// Namespace is the client's tenant.
	Namespace string        `json:"namespace,omitempty"`
	User      string        `json:"user,omitempty"`
	Backend   string        `json:"backend,omitempty"`
	Stage     string        `json:"stage"`          // "login" or "relay"
	Busy      string        `json:"busy,omitempty"` // why it is not at a safe point
	Tx        string        `json:"transaction,omitempty"`
	Owed      int           `json:"owed"` // commands without their whole answer
	Age       time.Duration `json:"age_ns"`
	Paused    string        `json:"paused,omitempty"` // whose bytes are not read at present
	Loop      int           `json:"loop"`
	Database  string        `json:"database,omitempty"`
	Waiting   time.Duration `json:"waiting_ns,omitempty"` // for a server connection
	Server    uint64        `json:"server,omitempty"`     // the server connection at hand
	Pin       string        `json:"pin,omitempty"`        // what binds it to that one
	// PinReason says the same in words, Moves counts the moves that were made, MoveError is why the last one could
	// not be, Moving how far the one under way is, and MovingTo where it goes.
	PinReason string `json:"pin_reason,omitempty"`
	Moves     uint32 `json:"moves,omitempty"`
	MoveError string `json:"move_error,omitempty"`
	Moving    string `json:"moving,omitempty"`
	MovingTo  string `json:"moving_to,omitempty"`
	Known     bool   `json:"known,omitempty"`
	Leaving   string `json:"leaving,omitempty"` // why it ends at its next safe point
}

// info describes the session.
func (s *Session) info() Info {
	i := Info{ID: s.id, Listener: s.fe.name, Cluster: s.cluster.Name(), Client: s.from.String(),
		User: s.user, Stage: "login", Age: asDuration(engine.Nano() - s.opened), Loop: s.on.loop.ID()}
	if o := s.origin; o != nil {
		if i.Port = o.port; o.proxy.IsValid() {
			i.Proxy = o.proxy.String()
		}
		i.Namespace = s.present().namespace()
		if s.in != nil {
			i.Namespace = s.set.namespace()
		}
	}
	if s.backend != nil {
		i.Backend = s.backend.Addr()
	}
	if s.stage != stageRelay {
		return i
	}
	if s.leaving != nil {
		i.Leaving = s.leaving.Text
	}
	if s.sh != nil {
		return s.sharedInfo(i)
	}
	i.Stage, i.Busy, i.Owed = "relay", s.busy(), s.follow.Owed()
	i.Tx = [...]string{codec.TxIdle: "idle", codec.TxOpen: "open", codec.TxFailed: "failed"}[s.follow.Tx()]
	s.moveInfo(&i)
	switch {
	case s.client.Paused():
		i.Paused = "client"
	case s.server != nil && s.server.Paused():
		i.Paused = "server"
	}
	return i
}

// Sessions describes the sessions that there are, at most limit of them, oldest first. A loop that
// does not answer in time is left out.
func (p *Proxy) Sessions(limit int) []Info {
	if limit <= 0 {
		return []Info{}
	}
	lists := make(chan []Info, len(p.loops))
	for _, on := range p.loops {
		var list []Info // the loop's, until it is sent
		on.each(func(s *Session) {
			if len(list) < limit {
				list = append(list, s.info())
			}
		}, func() { lists <- list })
	}
	timer := time.NewTimer(scrapeTimeout)
	defer timer.Stop()
	all := []Info{}
	for range p.loops {
		select {
		case list := <-lists:
			all = append(all, list...)
		case <-timer.C:
			timer.Reset(0) // the loops that have answered are heard, no other is waited for
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Compare(a.ID, b.ID) })
	return all[:min(limit, len(all))]
}
