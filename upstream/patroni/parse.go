package patroni

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of what is believed of an answer. Real ones stay far below.
const (
	membersMax = 1000 // members; each costs a goroutine for its health checks
	nameBytes  = 256  // of a name, a host, a role or a state
	urlBytes   = 1024 // of an api_url
)

// postgresPort is the port of a member that tells of none
// (https://www.postgresql.org/docs/current/runtime-config-connection.html).
const postgresPort = 5432

// oddity is something about a member that was not understood. Member is its name, or its place.
type oddity struct{ member, reason string }

// answer is the form of GET /cluster (https://patroni.readthedocs.io/en/latest/rest_api.html). What is
// odd within is found out part by part.
type answer struct {
	Members    []json.RawMessage `json:"members"`
	Pause      json.RawMessage   `json:"pause"`
	Switchover json.RawMessage   `json:"scheduled_switchover"`
}

// parse reads an answer to GET /cluster. A member that can't be used is left out, and told of; an error
// means that nothing can be used.
func parse(body []byte) (*View, []oddity, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, nil, fmt.Errorf("the answer is not what Patroni says: %w", err)
	}
	if a.Members == nil {
		return nil, nil, errors.New("the answer has no members")
	}
	v := &View{Paused: isTrue(a.Pause)}
	var odd []oddity
	names := map[string]bool{}
	for i, raw := range a.Members {
		if i == membersMax {
			odd = append(odd, oddity{fmt.Sprintf("#%d", i), "there are too many members: the rest is passed over"})
			break
		}
		m, strange, err := parseMember(raw)
		name := m.Name
		if name == "" {
			name = fmt.Sprintf("#%d", i)
		}
		if strange != "" {
			odd = append(odd, oddity{name, strange})
		}
		if err == nil {
			err = v.add(m, names)
		}
		if err != nil {
			odd = append(odd, oddity{name, "it is passed over: " + err.Error()})
		}
	}
	v.settleTimeline()
	var reason string
	if v.Switchover, reason = parseSwitchover(a.Switchover); reason != "" {
		odd = append(odd, oddity{"scheduled_switchover", reason})
	}
	return v, odd, nil
}

// add takes m in, unless it contradicts one that came before.
func (v *View) add(m Member, names map[string]bool) error {
	if names[m.Name] {
		return errors.New("there is another member of this name")
	}
	if m.Role.leads() {
		if v.Leader != "" {
			return fmt.Errorf("%s leads already", clip(v.Leader))
		}
		v.Leader, v.Timeline = m.Name, m.Timeline
	}
	names[m.Name] = true
	v.Members = append(v.Members, m)
	return nil
}

// settleTimeline gives the view a timeline if its leader tells of none: a leader does not while it restarts.
func (v *View) settleTimeline() {
	if v.Timeline != 0 {
		return
	}
	v.guessed = true
	for i := range v.Members {
		v.Timeline = max(v.Timeline, v.Members[i].Timeline)
	}
}

// parseMember reads one member. err: it can't be used; strange: it can, but not all of it.
func parseMember(raw json.RawMessage) (m Member, strange string, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return m, "", errors.New("it is no object")
	}
	if m.Name = word(fields["name"], nameBytes); m.Name == "" {
		return m, "", errors.New("it has no name")
	}
	if m.Role, err = parseRole(fields["role"]); err != nil {
		return m, "", err
	}
	if m.Host, err = parseHost(fields["host"]); err != nil {
		return m, "", err
	}
	if m.Port, err = parsePort(fields["port"]); err != nil {
		return m, "", err
	}
	m.State = strings.ToLower(word(fields["state"], nameBytes))
	m.APIURL = word(fields["api_url"], urlBytes)
	if n := parseCount(fields["timeline"]); n.Known {
		m.Timeline = n.Bytes
	}
	m.Lag = parseLag(fields)
	if m.Role.leads() {
		m.Lag, m.Age = Lag{Known: true}, Age{Known: true} // it is what the others' is counted from
	}
	m.Tags, strange = parseTags(fields["tags"])
	return m, strange, nil
}

// roles are the spellings of roles, those of GET /patroni among them. Without the leader lock nobody is
// told of as a leader by GET /cluster.
var roles = map[string]Role{
	"leader": Leader, "master": Leader, "primary": Leader, "standby_leader": StandbyLeader,
	"sync_standby": SyncStandby, "quorum_standby": QuorumStandby, "replica": Replica,
}

func parseRole(raw json.RawMessage) (Role, error) {
	text := word(raw, nameBytes)
	if text == "" {
		return "", errors.New("it has no role")
	}
	role, ok := roles[strings.ToLower(text)]
	if !ok {
		return "", fmt.Errorf("its role %q is not known", clip(text))
	}
	return role, nil
}

// parseHost reads a host name or an IP address, which comes back without brackets.
func parseHost(raw json.RawMessage) (string, error) {
	host := word(raw, nameBytes)
	if host == "" {
		return "", errors.New("it has no host")
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(inner, ":") {
			return "", fmt.Errorf("its host %q is none", clip(host))
		}
		host = inner
	}
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", fmt.Errorf("its host %q is neither a name nor an address", clip(host))
		}
		return host, nil
	}
	for _, c := range []byte(host) {
		if c <= ' ' || c == 0x7f || strings.IndexByte(`/\,;@?#%[]"'`, c) >= 0 {
			return "", fmt.Errorf("its host %q is none", clip(host))
		}
	}
	return host, nil
}

// parsePort reads a port, a number or its digits. Without one it is PostgreSQL's own.
func parsePort(raw json.RawMessage) (int, error) {
	if absent(raw) {
		return postgresPort, nil
	}
	n := parseCount(raw)
	if !n.Known || n.Bytes < 1 || n.Bytes > math.MaxUint16 {
		return 0, fmt.Errorf("its port %s is none", clip(string(raw)))
	}
	return int(n.Bytes), nil
}

// parseLag reads how far a replica is behind. What counts is what it shows, so the lag of the replay goes
// first, which Patroni tells since 4.1; the plain one is that of what it has received.
func parseLag(fields map[string]json.RawMessage) Lag {
	if lag := parseCount(fields["replay_lag"]); lag.Known {
		return lag
	}
	return parseCount(fields["lag"])
}

// parseCount reads a number that is not below 0, or its digits: a fraction is rounded up, what is below 0 is
// 0, and anything else, Patroni's "unknown" as well, is not known.
func parseCount(raw json.RawMessage) Lag {
	text := string(raw)
	if len(text) > 0 && text[0] == '"' {
		text = strings.TrimSpace(word(raw, nameBytes))
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return Lag{n, true}
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), math.IsNaN(f):
		return Lag{}
	case f <= 0:
		return Lag{0, true}
	case f >= math.MaxUint64:
		return Lag{math.MaxUint64, true}
	}
	return Lag{uint64(math.Ceil(f)), true}
}

// parseSwitchover reads a switchover that is announced for a time.
func parseSwitchover(raw json.RawMessage) (s *Switchover, odd string) {
	if absent(raw) {
		return nil, ""
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, "it is no object"
	}
	at, ok := parseAt(word(fields["at"], nameBytes))
	if !ok {
		return nil, "its time can't be read"
	}
	return &Switchover{At: at, From: word(fields["from"], nameBytes), To: word(fields["to"], nameBytes)}, ""
}

// word returns a string of up to limit bytes; "" if there is none.
func word(raw json.RawMessage, limit int) string {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil || len(s) > limit {
		return ""
	}
	return s
}

// absent tells whether a field is not there, or there is nothing in it.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// clip shortens what is told in a log line.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
