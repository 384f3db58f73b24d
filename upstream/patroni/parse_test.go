package patroni

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/router"
	"sluice/upstream"
)

// line is a backend in one line: address, role, name, state, and what else there is to it.
func line(s upstream.Spec) string {
	text := fmt.Sprintf("%s %v %s/%s tl %d", s.Addr, s.Role, s.Name, s.State, s.Timeline)
	if s.Lag.Known {
		text += fmt.Sprintf(" lag %d", s.Lag.Bytes)
	}
	switch leads := s.Role == router.Leader || s.Role == router.StandbyLeader; {
	case leads && (!s.Lag.TimeKnown || s.Lag.Time != 0):
		text += " BEHIND ITSELF"
	case !leads && s.Lag.TimeKnown:
		text += fmt.Sprintf(" age %v", s.Lag.Time)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tags)) {
		text += " " + name + "=" + s.Tags[name]
	}
	if s.Zone != "" {
		text += " zone " + s.Zone
	}
	if s.NoBalance {
		text += " NOBALANCE"
	}
	if s.Out != "" {
		text += " OUT: " + s.Out
	}
	return text
}

func lines(list []upstream.Spec) (all []string) {
	for _, s := range list {
		all = append(all, line(s))
	}
	return all
}

// expectLines compares and shows what is different.
func expectLines(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

var usualStates = []string{"running", "streaming"}

// TestVersions reads an answer of each version, written after its cluster_as_json
// (https://github.com/patroni/patroni/blob/master/patroni/utils.py).
func TestVersions(t *testing.T) {
	tests := []struct {
		file, leader string
		timeline     uint64
		want         []string
	}{
		{"2.1", "pg1", 7, []string{
			"10.1.0.1:5432 leader pg1/running tl 7 lag 0",
			"10.1.0.2:5432 sync pg2/running tl 7 lag 0",
			"10.1.0.3:5432 async pg3/running tl 7 lag 25165824" +
				" clonefrom=false dc=b nofailover=true noloadbalance=true nosync=false NOBALANCE",
			`10.1.0.4:5432 async pg4/stopped tl 0 OUT: its state is "stopped"`,
		}},
		{"3.0", "node2", 2, []string{
			"db1.example:5433 async node1/running tl 2 lag 16",
			"db2.example:5433 standby-leader node2/running tl 2 lag 0",
			`db3.example:5433 async node3/creating replica tl 0 OUT: its state is "creating replica"`,
		}},
		{"3.2", "b", 12, []string{
			`[fd00::1]:5432 async a/in archive recovery tl 11 lag 3145728 OUT: its state is "in archive recovery"`,
			"[fd00::2]:5432 leader b/running tl 12 lag 0",
			"[fd00::3]:5432 sync c/streaming tl 12 lag 0 failover_priority=2 nofailover=false",
		}},
		{"4.0", "q1", 3, []string{
			"10.4.0.1:6432 leader q1/running tl 3 lag 0",
			"10.4.0.2:6432 quorum q2/streaming tl 3 lag 0",
			"10.4.0.3:6432 quorum q3/streaming tl 3 lag 1048576 zone=b zone b",
		}},
		{"4.1", "n1", 21, []string{
			"10.5.0.1:5432 leader n1/running tl 21 lag 0 zone=a zone a",
			"10.5.0.2:5432 sync n2/streaming tl 21 lag 33554432 zone=b zone b",
			"10.5.0.3:5432 async n3/streaming tl 21 lag 8 nostream=true zone=c zone c",
			`10.5.0.4:5432 async n4/starting tl 0 OUT: its state is "starting"`,
		}},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", test.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			v, odd, err := parse(body)
			if err != nil || len(odd) != 0 {
				t.Fatalf("%v, %v", err, odd)
			}
			if v.Leader != test.leader || v.Timeline != test.timeline {
				t.Errorf("leader %q on timeline %d", v.Leader, v.Timeline)
			}
			list, odd := specs(v, &Options{States: usualStates, ZoneTag: "zone"})
			if len(odd) != 0 {
				t.Errorf("odd: %v", odd)
			}
			expectLines(t, lines(list), test.want)
			if v.Paused != (test.file == "3.0") {
				t.Errorf("paused: %v", v.Paused)
			}
			want := (*Switchover)(nil)
			if test.file == "3.2" {
				want = &Switchover{At: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC), From: "b", To: "c"}
			}
			if got := v.Switchover; (got == nil) != (want == nil) || got != nil && !got.same(want) {
				t.Errorf("switchover: %+v", got)
			}
		})
	}
}

// good are two members that each odd one is put between.
const good1 = `{"name":"g1","role":"leader","state":"running","host":"10.0.0.1","port":5432,"timeline":4}`
const good2 = `{"name":"g2","role":"replica","state":"streaming","host":"10.0.0.2","port":5432,"timeline":4,"lag":1}`

// TestOddMembers: whatever one member is like, the others are there.
func TestOddMembers(t *testing.T) {
	tests := []struct{ member, want, odd string }{
		// What can be used.
		{`{"name":"x","role":"replica","state":"running","host":"h"}`, "h:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","port":null}`, "h:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","port":"6000"}`, "h:6000 async x/running tl 0", ""},
		{`{"name":"x","role":"REPLICA","state":"Running","host":"h","timeline":"9"}`, "h:5432 async x/running tl 9", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","timeline":null}`, "h:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"[::1]"}`, "[::1]:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"fe80::1%eth0"}`, "[fe80::1%eth0]:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","host":"h"}`, "h:5432 async x/ tl 0 OUT: Patroni tells no state of it", ""},
		{`{"name":"x","role":"replica","state":5,"host":"h"}`, "h:5432 async x/ tl 0 OUT: Patroni tells no state of it", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":"unknown"}`, "h:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":-5}`, "h:5432 async x/running tl 0 lag 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":1.5}`, "h:5432 async x/running tl 0 lag 2", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":1e300}`, "h:5432 async x/running tl 0 lag 18446744073709551615", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":1e3000}`, "h:5432 async x/running tl 0 lag 18446744073709551615", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":"77"}`, "h:5432 async x/running tl 0 lag 77", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":null,"replay_lag":7}`, "h:5432 async x/running tl 0 lag 7", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":3,"replay_lag":"unknown"}`, "h:5432 async x/running tl 0 lag 3", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":[1]}`, "h:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","lag":"NaN"}`, "h:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","tags":null,"new":{"a":[{}]}}`, "h:5432 async x/running tl 0", ""},
		{`{"name":"x","role":"replica","state":"running","host":"h","tags":["a"]}`, "h:5432 async x/running tl 0", "no object"},
		// What can't.
		{`{"name":"x","role":"replica","state":"running"}`, "", "no host"},
		{`{"name":"x","role":"replica","state":"running","host":null}`, "", "no host"},
		{`{"name":"x","role":"replica","state":"running","host":7}`, "", "no host"},
		{`{"name":"x","role":"replica","state":"running","host":""}`, "", "no host"},
		{`{"name":"x","role":"replica","state":"running","host":"a b"}`, "", `host "a b"`},
		{`{"name":"x","role":"replica","state":"running","host":"/var/run"}`, "", "host"},
		{`{"name":"x","role":"replica","state":"running","host":"a,b"}`, "", "host"},
		{`{"name":"x","role":"replica","state":"running","host":"a:b"}`, "", "neither a name nor an address"},
		{`{"name":"x","role":"replica","state":"running","host":"[::1"}`, "", "host"},
		{`{"name":"x","role":"replica","state":"running","host":"[name]"}`, "", "host"},
		{`{"name":"x","role":"replica","state":"running","host":"h","port":0}`, "", "port 0"},
		{`{"name":"x","role":"replica","state":"running","host":"h","port":65536}`, "", "port 65536"},
		{`{"name":"x","role":"replica","state":"running","host":"h","port":"pg"}`, "", "port"},
		{`{"name":"x","role":"replica","state":"running","host":"h","port":{}}`, "", "port"},
		{`{"name":"x","role":"witness","state":"running","host":"h"}`, "", `role "witness"`},
		{`{"name":"x","role":null,"state":"running","host":"h"}`, "", "no role"},
		{`{"role":"replica","state":"running","host":"h"}`, "", "no name"},
		{`{"name":"` + strings.Repeat("n", nameBytes+1) + `","role":"replica","host":"h"}`, "", "no name"},
		{`{"name":"g1","role":"replica","state":"running","host":"h"}`, "", "of this name"},
		{`{"name":"x","role":"master","state":"running","host":"h"}`, "", "g1 leads already"},
		{`null`, "", "no object"},
		{`"x"`, "", "no object"},
		{`[]`, "", "no object"},
		{`7`, "", "no object"},
	}
	for _, test := range tests {
		v, odd, err := parse([]byte(`{"members":[` + good1 + `,` + test.member + `,` + good2 + `]}`))
		if err != nil {
			t.Errorf("%s: %v", test.member, err)
			continue
		}
		list, _ := specs(v, &Options{States: usualStates})
		want := []string{"10.0.0.1:5432 leader g1/running tl 4 lag 0", test.want, "10.0.0.2:5432 async g2/streaming tl 4 lag 1"}
		if test.want == "" {
			want = slices.Delete(want, 1, 2)
		}
		if got := lines(list); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", test.member, got, want)
		}
		if (len(odd) > 0) != (test.odd != "") || len(odd) > 0 && !strings.Contains(odd[0].reason, test.odd) {
			t.Errorf("%s: told is %q, want %q", test.member, odd, test.odd)
		}
	}
}

// TestLeaderWords: the words that versions have for a leader.
func TestLeaderWords(t *testing.T) {
	for _, role := range []string{"leader", "master", "primary", "standby_leader"} {
		v, _, err := parse([]byte(`{"members":[{"name":"x","role":"` + role + `","host":"h"}]}`))
		if err != nil || v.Leader != "x" {
			t.Errorf("%s: %+v, %v", role, v, err)
		}
	}
}

// TestNoAnswers: what is no answer at all.
func TestNoAnswers(t *testing.T) {
	for _, body := range []string{"", "{}", "[]", "null", `{"members":null}`, `{"members":{}}`, `{"members":[`,
		"<html></html>", `{"members":[]} x`, strings.Repeat("[", 100000)} {
		if v, _, err := parse([]byte(body)); err == nil {
			t.Errorf("%.20s: %+v", body, v)
		}
	}
}

// TestMembersMax: a limit to what one answer can make of the proxy.
func TestMembersMax(t *testing.T) {
	var members []string
	for i := range membersMax + 5 {
		members = append(members, fmt.Sprintf(`{"name":"m%d","role":"replica","host":"h%d"}`, i, i))
	}
	v, odd, err := parse([]byte(`{"members":[` + strings.Join(members, ",") + `]}`))
	if err != nil || len(v.Members) != membersMax || len(odd) != 1 || !strings.Contains(odd[0].reason, "too many") {
		t.Errorf("%v, %v, %d members", err, odd, len(v.Members))
	}
}

// TestTimelineWithoutLeader: the highest one counts where the leader tells of none, or there is none.
func TestTimelineWithoutLeader(t *testing.T) {
	for _, leader := range []string{"", `{"name":"l","role":"leader","host":"l"},`} {
		v, _, err := parse([]byte(`{"members":[` + leader + `{"name":"a","role":"replica","host":"a","timeline":3},` +
			`{"name":"b","role":"replica","host":"b","timeline":5}]}`))
		if err != nil || v.Timeline != 5 {
			t.Errorf("%s: %+v, %v", leader, v, err)
		}
	}
}

// TestOddSwitchover: a switchover that can't be read is none.
func TestOddSwitchover(t *testing.T) {
	for _, text := range []string{`7`, `{"at":7}`, `{"at":"tomorrow"}`, `{}`} {
		v, odd, err := parse([]byte(`{"members":[` + good1 + `],"scheduled_switchover":` + text + `}`))
		if err != nil || v.Switchover != nil || len(odd) != 1 {
			t.Errorf("%s: %v %v %v", text, v, odd, err)
		}
	}
}

// TestTags: what people write into their YAML, as JSON.
func TestTags(t *testing.T) {
	tests := []struct {
		json string
		want map[string]string
		odd  bool
	}{
		{`{}`, nil, false},
		{`{"noloadbalance":true,"nofailover":"true","nosync":"YES","clonefrom":1,"nostream":"on"}`, map[string]string{
			"noloadbalance": "true", "nofailover": "true", "nosync": "true", "clonefrom": "true", "nostream": "true"}, false},
		{`{"noloadbalance":false,"nofailover":"No","nosync":0,"clonefrom":"","nostream":[]}`, map[string]string{
			"noloadbalance": "false", "nofailover": "false", "nosync": "false", "clonefrom": "false", "nostream": "false"}, false},
		{`{"noloadbalance":2,"nofailover":"surely","nosync":{"a":1}}`, map[string]string{
			"noloadbalance": "true", "nofailover": "true", "nosync": "true"}, false},
		{`{"noloadbalance":null,"dc":null}`, nil, false},
		{`{"dc":"Berlin","rack":7,"share":0.5,"ssd":true,"nested":{"a": [1, null]},"replicatefrom":"pg2"}`, map[string]string{
			"dc": "Berlin", "rack": "7", "share": "0.5", "ssd": "true", "nested": `{"a":[1,null]}`, "replicatefrom": "pg2"}, false},
		{`"noloadbalance"`, nil, true},
		{`{"a":"` + strings.Repeat("v", tagBytes+1) + `","b":"c"}`, map[string]string{"b": "c"}, true},
	}
	for _, test := range tests {
		got, odd := parseTags([]byte(test.json))
		if !reflect.DeepEqual(got, test.want) || (odd != "") != test.odd {
			t.Errorf("%s: %v (%s), want %v", test.json, got, odd, test.want)
		}
	}
	var many []string
	for i := range tagsMax + 1 {
		many = append(many, fmt.Sprintf(`"t%d":1`, i))
	}
	if got, odd := parseTags([]byte("{" + strings.Join(many, ",") + "}")); got != nil || odd == "" {
		t.Errorf("%d tags: %d were taken (%s)", len(many), len(got), odd)
	}
}

// TestSameAddress: of two members at one address the first counts, or the one that leads.
func TestSameAddress(t *testing.T) {
	v, _, err := parse([]byte(`{"members":[{"name":"old","role":"replica","state":"stopped","host":"h"},` +
		`{"name":"second","role":"replica","state":"running","host":"i","port":1},` +
		`{"name":"third","role":"replica","state":"running","host":"i","port":2},` +
		`{"name":"new","role":"leader","state":"running","host":"h"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	list, odd := specs(v, &Options{States: usualStates})
	expectLines(t, lines(list), []string{"h:5432 leader new/running tl 0 lag 0", "i:1 async second/running tl 0", "i:2 async third/running tl 0"})
	if len(odd) != 1 || odd[0].member != "old" {
		t.Errorf("odd: %v", odd)
	}
	list, odd = specs(v, &Options{States: usualStates, Port: 6000})
	expectLines(t, lines(list), []string{"h:6000 leader new/running tl 0 lag 0", "i:6000 async second/running tl 0"})
	if len(odd) != 2 || odd[0].member != "third" {
		t.Errorf("odd: %v", odd)
	}
}

// TestStates: a leader serves while it runs, whatever is configured; others in the configured states.
func TestStates(t *testing.T) {
	tests := []struct {
		role   Role
		state  string
		states []string
		in     bool
	}{
		{Leader, "running", nil, true}, {Leader, "stopping", usualStates, false}, {Leader, "starting", []string{"starting"}, true},
		{Replica, "running", []string{"streaming"}, false}, {Replica, "in archive recovery", []string{"in archive recovery"}, true},
		{Replica, "streaming", []string{"Streaming"}, true},
		{StandbyLeader, "running", nil, true}, {StandbyLeader, "streaming", usualStates, true}, {Replica, "", []string{"running"}, false},
	}
	for _, test := range tests {
		if why := out(&Member{Role: test.role, State: test.state}, test.states); (why == "") != test.in {
			t.Errorf("%v %q with %v: out %q", test.role, test.state, test.states, why)
		}
	}
}

// FuzzParse: no answer brings the parser down, and what it lets pass can be dialled and told of.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"members":[{"name":"x","role":"replica","host":"[::1]","port":"1","lag":-1e9,"tags":{"a":{"b":null}}},7,null]}`))
	f.Add([]byte(`{"members":[],"pause":[],"scheduled_switchover":{"at":"2026-11-23T03:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, odd, err := parse(body)
		parsePosition(body)
		if err != nil {
			return
		}
		if len(v.Members) > membersMax || len(odd) > 2*membersMax+2 {
			t.Errorf("%d members, %d odd", len(v.Members), len(odd))
		}
		leaders := 0
		for _, m := range v.Members {
			if m.Role.leads() {
				leaders++
			}
			if m.Host == "" || m.Port < 1 || m.Port > 65535 || m.Name == "" || routerRoles[m.Role] > 4 {
				t.Errorf("%+v", m)
			}
		}
		if leaders > 1 || (leaders == 1) != (v.Leader != "") {
			t.Errorf("%d lead, %q", leaders, v.Leader)
		}
		list, _ := specs(v, &Options{States: usualStates})
		seen := map[string]bool{}
		for _, s := range list {
			if seen[s.Addr] {
				t.Errorf("%s twice", s.Addr)
			}
			seen[s.Addr] = true
		}
	})
}
