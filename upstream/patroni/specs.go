package patroni

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"sluice/router"
	"sluice/upstream"
)

// running is the state of a server that serves. A leader is in no other one that does.
const running = "running"

// routerRoles are the roles as the router knows them.
var routerRoles = map[Role]router.Role{
	Leader: router.Leader, StandbyLeader: router.StandbyLeader,
	SyncStandby: router.Sync, QuorumStandby: router.Quorum, Replica: router.Async,
}

// specs turns a view into backends. Of two members at one address the first counts, unless it is the other
// that leads: a server that came back under another name leaves its old one behind for a while.
func specs(v *View, opt *Options) (list []upstream.Spec, odd []oddity) {
	at := map[string]int{} // places in list
	for i := range v.Members {
		m := &v.Members[i]
		s := spec(m, opt)
		j, taken := at[s.Addr]
		if !taken {
			at[s.Addr] = len(list)
			list = append(list, s)
			continue
		}
		out := m.Name
		if m.Role.leads() {
			out, list[j] = list[j].Name, s
		}
		odd = append(odd, oddity{out, fmt.Sprintf("it is passed over: %s is at %s too", clip(list[j].Name), s.Addr)})
	}
	return list, odd
}

// spec turns a member into a backend.
func spec(m *Member, opt *Options) upstream.Spec {
	port := m.Port
	if opt.Port != 0 {
		port = opt.Port
	}
	return upstream.Spec{
		Addr:      net.JoinHostPort(m.Host, strconv.Itoa(port)),
		Role:      routerRoles[m.Role],
		Zone:      m.Tags[opt.ZoneTag], // "" is the name of no tag
		Name:      m.Name,
		State:     m.State,
		Out:       out(m, opt.States),
		NoBalance: m.Tags[noLoadBalance] == "true",
		Tags:      m.Tags,
		Lag:       router.Lag{Bytes: m.Lag.Bytes, Known: m.Lag.Known, Time: m.Age.Time, TimeKnown: m.Age.Known},
		Timeline:  m.Timeline,
	}
}

// out says why a member takes no sessions, or "".
func out(m *Member, states []string) string {
	switch {
	case m.Role.leads() && m.State == running,
		slices.ContainsFunc(states, func(s string) bool { return strings.EqualFold(s, m.State) }):
		return ""
	case m.State == "":
		return "Patroni tells no state of it"
	}
	return fmt.Sprintf("its state is %q", clip(m.State))
}
