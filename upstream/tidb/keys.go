package tidb

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The keys under which TiDB servers write what they are, as "<prefix><addr>/info", and that they live, as
// "<prefix><addr>/ttl", which has a lease. With keyspaces each has the prefix of its own below keyspaces:
// "/keyspaces/tidb/<keyspace>/topology/tidb/". TiDB does so in pkg/domain/infosync/info.go.
const (
	topology  = "/topology/tidb/"
	keyspaces = "/keyspaces/tidb/"
)

// Limits of what is believed of a key and its value.
const (
	keyMax   = 1 << 10
	infoMax  = 64 << 10
	tagsMax  = 64
	tagBytes = 256 // of a name or a value
	hostMax  = 253 // the longest name that DNS knows
)

// name is what a key is about.
type name struct {
	keyspace string // "" = none
	addr     string // host:port
}

// parts a key is about.
const (
	partInfo = "info"
	partTTL  = "ttl"
)

// parseKey takes a key apart; ok false: it is about something else.
func parseKey(key string) (n name, part string, ok bool) {
	if len(key) > keyMax {
		return name{}, "", false
	}
	if rest, found := strings.CutPrefix(key, keyspaces); found {
		if n.keyspace, rest, found = strings.Cut(rest, "/"); !found || n.keyspace == "" || len(n.keyspace) > tagBytes {
			return name{}, "", false
		}
		key = "/" + rest
	}
	rest, found := strings.CutPrefix(key, topology)
	n.addr, part, ok = strings.Cut(rest, "/")
	if !found || !ok || part != partInfo && part != partTTL || !isAddr(n.addr) {
		return name{}, "", false
	}
	return n, part, true
}

// isAddr tells whether that can be dialled.
func isAddr(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !isHost(host) {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n <= 65535 && strconv.Itoa(n) == port
}

// isHost tells whether that is an IP address, or looks like a host's name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > hostMax {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && r != '-' && r != '.' && r != '_'
	}) < 0
}

// member is what a TiDB server says of itself.
type member struct {
	status string // host:port of its status port; "" = it has none
	labels map[string]string
}

// same tells whether two say the same; nil says nothing.
func (m *member) same(o *member) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.status == o.status && maps.Equal(m.labels, o.labels)
}

// parseInfo reads the value of an info. odd says what of it was passed over; err, why all of it is.
func parseInfo(addr string, value []byte) (m *member, odd string, err error) {
	if len(value) > infoMax {
		return nil, "", fmt.Errorf("it has more than %d bytes", infoMax)
	}
	var is struct {
		IP     string                     `json:"ip"`
		Port   json.RawMessage            `json:"status_port"`
		Labels map[string]json.RawMessage `json:"labels"`
	}
	if err := json.Unmarshal(value, &is); err != nil {
		return nil, "", fmt.Errorf("it can't be read: %w", err)
	}
	m = &member{}
	host := is.IP
	if !isHost(host) {
		host, _, _ = net.SplitHostPort(addr)
	}
	switch port := strings.Trim(string(is.Port), `"`); {
	case port == "" || port == "0" || port == "null":
	case isAddr(net.JoinHostPort(host, port)):
		m.status = net.JoinHostPort(host, port)
	default:
		odd = "its status port is no port"
	}
	if len(is.Labels) > tagsMax {
		return m, fmt.Sprintf("its labels are passed over: there are more than %d", tagsMax), nil
	}
	for label, raw := range is.Labels {
		var value string
		if json.Unmarshal(raw, &value) != nil || label == "" || len(label) > tagBytes || len(value) > tagBytes {
			odd = fmt.Sprintf("labels that are no text of at most %d bytes are passed over", tagBytes)
			continue
		}
		if m.labels == nil {
			m.labels = map[string]string{}
		}
		m.labels[label] = value
	}
	return m, odd, nil
}
