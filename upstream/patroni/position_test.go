package patroni

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestParsePosition reads answers to GET /patroni, written after get_postgresql_status
// (https://github.com/patroni/patroni/blob/master/patroni/api.py).
func TestParsePosition(t *testing.T) {
	known := func(n uint64) Lag { return Lag{n, true} }
	tests := []struct {
		body string
		want position
		ok   bool
	}{
		{`{"state":"running","role":"primary","server_version":150014,"xlog":{"location":67108960},"timeline":3}`,
			position{written: known(67108960)}, true},
		{`{"state":"running","role":"replica","xlog":{"received_location":67108960,"replayed_location":67108864,` +
			`"replayed_timestamp":"2026-11-22 14:30:00.123456+00:00","paused":true},"timeline":3,"dcs_last_seen":1795444200}`,
			position{received: known(67108960), replayed: known(67108864),
				commit: time.Date(2026, 11, 22, 14, 30, 0, 123456000, time.UTC)}, true},
		{`{"xlog":{"received_location":5,"replayed_location":5,"replayed_timestamp":null,"paused":false}}`,
			position{received: known(5), replayed: known(5)}, true},
		{`{"xlog":{"replayed_location":5,"replayed_timestamp":"2026-11-22 16:30:00+02:00"}}`,
			position{replayed: known(5), commit: time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC)}, true},
		{`{"state":"stopped","role":"replica"}`, position{}, false},
		{`{"xlog":{"location":null}}`, position{}, false},
		{`{"xlog":[]}`, position{}, false},
		{`[]`, position{}, false},
		{``, position{}, false},
	}
	for _, test := range tests {
		got, ok := parsePosition([]byte(test.body))
		if ok != test.ok || got.written != test.want.written || got.received != test.want.received ||
			got.replayed != test.want.replayed || !got.commit.Equal(test.want.commit) {
			t.Errorf("%s: %+v, %v", test.body, got, ok)
		}
	}
}

// TestMeasured follows a leader and a replica over some polls, a quiet night among them (pitfall 52). Times are
// seconds.
func TestMeasured(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	type replica struct{ received, replayed, commit float64 }
	steps := []struct {
		name    string
		now     float64
		leader  float64  // where it is; -1 = it does not answer
		replica *replica // nil = it does not answer
		told    Lag      // by GET /cluster
		lag     Lag
		age     float64 // -1 = not known
	}{
		{"nothing is known", 0, -1, nil, Lag{3, true}, Lag{3, true}, -1},
		{"all is replayed", 1, 100, &replica{100, 100, -500}, Lag{90, true}, Lag{0, true}, 0},
		{"it does not replay: how long is told by the last transaction", 4, 200, &replica{200, 150, 3}, Lag{}, Lag{50, true}, 1},
		{"or by where the leader was, if few commit", 7, 300, &replica{300, 200, -500}, Lag{}, Lag{100, true}, 3},
		{"it gets nothing, and what it has it has replayed", 10, 400, &replica{300, 300, -500}, Lag{}, Lag{100, true}, 3},
		{"it is silent: its place stays", 13, 500, nil, Lag{7, true}, Lag{200, true}, 6},
		{"it is ahead of what the leader has said before", 16, 500, &replica{600, 600, 15}, Lag{}, Lag{0, true}, 0},
		{"the leader is silent, all is replayed", 19, -1, &replica{700, 700, 15}, Lag{}, Lag{0, true}, 0},
		{"the leader is silent, the replica does not replay", 22, -1, &replica{900, 700, 19}, Lag{}, Lag{200, true}, 3},
		{"nor much later, when Patroni knows better", 30, -1, &replica{990, 700, 19}, Lag{340, true}, Lag{340, true}, 11},
		{"or does not", 33, -1, &replica{1000, 700, 19}, Lag{40, true}, Lag{300, true}, 14},
		{"both are silent: what was heard counts", 42, -1, nil, Lag{7, true}, Lag{300, true}, 23},
		{"but not for ever", 44, -1, nil, Lag{7, true}, Lag{7, true}, 25},
		{"unless there is nothing else", 45, -1, nil, Lag{}, Lag{300, true}, 26},
		{"all is well", 50, 2000, &replica{2000, 2000, 49}, Lag{}, Lag{0, true}, 0},
		{"as far as was heard", 59, -1, nil, Lag{}, Lag{0, true}, 0},
		{"which is long ago", 63, -1, nil, Lag{}, Lag{0, true}, 13},
	}
	p := positions{}
	for _, step := range steps {
		v := &View{Leader: "l", Members: []Member{{Name: "l", Role: Leader}, {Name: "r", Role: Replica, Lag: step.told}}}
		heard := map[string]position{}
		if step.leader >= 0 {
			heard["l"] = position{written: Lag{uint64(step.leader), true}, at: at(step.now)}
		}
		if r := step.replica; r != nil {
			heard["r"] = position{received: Lag{uint64(r.received), true}, replayed: Lag{uint64(r.replayed), true},
				commit: at(r.commit), at: at(step.now)}
		}
		p.keep(v, heard)
		got := p.measured(v, at(step.now)).Members[1]
		want := Age{}
		if step.age >= 0 {
			want = Age{time.Duration(step.age * float64(time.Second)), true}
		}
		if got.Lag != step.lag || got.Age != want {
			t.Errorf("%s: lag %v, age %v; want %v, %v", step.name, got.Lag, got.Age, step.lag, want)
		}
	}
	// A new leader's way is another one; then what the replica itself has counts, and what Patroni tells.
	v := &View{Leader: "n", Members: []Member{{Name: "n", Role: Leader}, {Name: "r", Role: Replica, Lag: Lag{40, true}}}}
	p.keep(v, map[string]position{})
	p.members["r"] = position{received: Lag{900, true}, replayed: Lag{700, true}, commit: at(60), at: at(63)}
	if got := p.measured(v, at(66)).Members[1]; got.Lag != (Lag{200, true}) || got.Age != (Age{6 * time.Second, true}) {
		t.Errorf("with a new leader: lag %v, age %v", got.Lag, got.Age)
	}
	if len(p.members) != 1 || len(p.heads) != 0 {
		t.Errorf("the old one is not forgotten: %v %v", p.members, p.heads)
	}
	for i := range headsMax + 5 {
		p.keep(v, map[string]position{"n": {written: Lag{uint64(i), true}, at: at(float64(70 + i))}})
	}
	if len(p.heads) != headsMax || p.heads[headsMax-1].bytes != headsMax+4 || p.heads[0].bytes != 5 {
		t.Errorf("%d places of the leader are kept", len(p.heads))
	}
}

// TestTimes: positions are asked for where they are wanted; a new leader does not wait for them, and one that
// hangs holds nobody up for long.
func TestTimes(t *testing.T) {
	leader, replica, hung := startFake(t), startFake(t), startFake(t)
	cluster := answerOf(member("1", Leader, 1, leader.URL), member("2", Replica, 1, replica.URL), member("3", Replica, 1, hung.URL))
	answer := func(position string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/patroni" {
				fmt.Fprintf(w, `{"xlog":{%s}}`, position)
				return
			}
			fmt.Fprint(w, cluster)
		}
	}
	leader.does(answer(`"location":5000`))
	replica.does(answer(`"received_location":5000,"replayed_location":1000,"replayed_timestamp":"2020-01-01 00:00:00+00:00"`))
	hung.hangs()
	opt := usual(leader)
	opt.Learn, opt.Times = false, true
	p := startPoller(t, opt)
	eventually(t, "positions", func() bool { // one that is slow for once is asked again
		p.Refresh(t.Context())
		p.found.mu.Lock()
		defer p.found.mu.Unlock()
		lag := p.specs[1].Lag
		return lag.Known && lag.Bytes == 4000 && lag.TimeKnown && lag.Time > 24*time.Hour
	})
	got, _ := p.last()
	if len(got) != 3 || got[0] != "10.0.0.1:5432 leader 1/running tl 1 lag 0" || got[2] != "10.0.0.3:5432 async 3/streaming tl 1 lag 0" {
		t.Errorf("told is %q", got)
	}
	p.found.mu.Lock()
	first := p.lists[0]
	p.found.mu.Unlock()
	if first[1] != "10.0.0.2:5432 async 2/streaming tl 1 lag 0" {
		t.Errorf("told at first is %q", first)
	}
	replica.does(answer(`"received_location":5000,"replayed_location":5000`))
	eventually(t, "it has caught up", func() bool {
		p.Refresh(t.Context())
		got, _ := p.last()
		return got[1] == "10.0.0.2:5432 async 2/streaming tl 1 lag 0 age 0s"
	})
}
