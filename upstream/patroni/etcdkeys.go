package patroni

import (
	"encoding/json"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Limits of what is believed of a key. Patroni's own values stay far below.
const (
	failoverMax = 64 << 10 // bytes of the request for a switchover
	nameMax     = 1 << 10  // bytes of a member's name
)

// keys are the names of those of Patroni's keys that matter here. They are the first and the last of a
// short range, which can be watched as one; its others (failsafe, history, initialize) hardly ever change.
// Patroni lays them out in patroni/dcs/__init__.py; see also
// https://patroni.readthedocs.io/en/latest/dynamic_configuration.html.
type keys struct{ failover, leader string }

func newKeys(namespace, scope string) keys {
	parts := strings.FieldsFunc(namespace+"/"+scope, func(r rune) bool { return r == '/' })
	base := "/" + strings.Join(parts, "/") + "/"
	return keys{failover: base + "failover", leader: base + "leader"}
}

// end is the first key behind the range.
func (k keys) end() string { return k.leader + "\x00" }

// known is what the keys say, as of a revision of etcd.
type known struct {
	said
	revision int64
	// old is the revision of a request that was there before the first look, and of which nothing tells
	// whose lead it ends: it does not count. 0 = there is none.
	old int64
}

// snapshot is what is known when kvs are all keys of the range. first: nothing was known before.
func (k keys) snapshot(kvs []*mvccpb.KeyValue, revision int64, was known, first bool) known {
	now := known{revision: revision, old: was.old}
	for _, kv := range kvs {
		if first && string(kv.Key) == k.failover {
			if s := parseFailover(kv.Value); s != nil && s.From == "" {
				now.old = kv.ModRevision
			}
		}
		k.put(&now, kv)
	}
	return now
}

// put notes a key's value.
func (k keys) put(now *known, kv *mvccpb.KeyValue) {
	switch string(kv.Key) {
	case k.failover:
		now.asked = nil
		if kv.ModRevision != now.old {
			now.asked = parseFailover(kv.Value)
		}
	case k.leader:
		now.leader = ""
		if len(kv.Value) <= nameMax {
			now.leader = string(kv.Value)
		}
	}
}

// drop notes that a key has gone.
func (k keys) drop(now *known, key string) {
	switch key {
	case k.failover:
		now.asked = nil
	case k.leader:
		now.leader = ""
	}
}

// parseFailover reads a request for a switchover or a failover. nil: nothing is asked for, as with "{}", which
// Patroni writes when a request is done, or it cannot be read.
func parseFailover(value []byte) *Switchover {
	if len(value) > failoverMax {
		return nil
	}
	var asked struct {
		Leader string `json:"leader"`
		Member string `json:"member"`
		At     string `json:"scheduled_at"`
	}
	if err := json.Unmarshal(value, &asked); err != nil {
		return parseOldFailover(string(value))
	}
	if asked.Leader == "" && asked.Member == "" {
		return nil
	}
	s := &Switchover{From: asked.Leader, To: asked.Member}
	if asked.At != "" {
		var ok bool
		if s.At, ok = parseAt(asked.At); !ok {
			return nil
		}
	}
	return s
}

// parseOldFailover reads "leader:candidate", which Patroni still takes from hand-written keys.
func parseOldFailover(value string) *Switchover {
	if json.Valid([]byte(value)) {
		return nil // JSON of another shape
	}
	parts := strings.SplitN(value, ":", 3)
	s := &Switchover{From: strings.TrimSpace(parts[0])}
	if len(parts) > 1 {
		s.To = strings.TrimSpace(parts[1])
	}
	if s.From == "" && s.To == "" {
		return nil
	}
	return s
}

// parseAt reads the time of a scheduled switchover. Patroni takes none without a time zone.
func parseAt(text string) (at time.Time, ok bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
