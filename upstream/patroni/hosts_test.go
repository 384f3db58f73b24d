package patroni

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBase: the forms of a URL that mean one host.
func TestBase(t *testing.T) {
	tests := []struct{ text, want string }{
		{"http://10.0.0.1:8008", "http://10.0.0.1:8008"},
		{"http://10.0.0.1:8008/patroni", "http://10.0.0.1:8008"},
		{" HTTP://DB1.Example:8008/ ", "http://db1.example:8008"},
		{"https://[fd00::1]:8008/patroni/", "https://[fd00::1]:8008"},
		{"https://gate/pg/main/", "https://gate/pg/main"},
		{"https://gate/pg/main/patroni", "https://gate/pg/main"},
		{"http://[fe80::1%25lo]:8008/patroni", "http://[fe80::1%25lo]:8008"},
		{"http://a:80/patroni", "http://a"}, {"https://[::80]:443", "https://[::80]"}, {"http://a:443", "http://a:443"},
		{"", ""}, {"10.0.0.1:8008", ""}, {"ftp://a", ""}, {"http://", ""}, {"http://:8008", ""}, {"http://a b", ""},
		{"http://u:p@a", ""}, {"http://a/?x=1", ""}, {"http://a/#x", ""}, {"http://a:port", ""}, {"http://[::1", ""},
	}
	for _, test := range tests {
		if got, err := baseOf(test.text); got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%q: %q, %v; want %q", test.text, got, err, test.want)
		}
		if again, err := baseOf(test.want); test.want != "" && (again != test.want || err != nil) {
			t.Errorf("%q is not its own base: %q, %v", test.want, again, err)
		}
	}
}

// TestSilentHosts: a leader's api_url that does not answer is not waited for in each poll, and neither is a
// configured host; but both are asked where nobody else is left, and again after a while.
func TestSilentHosts(t *testing.T) {
	a, away, dead := startFake(t), startFake(t), startFake(t)
	away.hangs()
	dead.hangs()
	a.says(member("1", Leader, 1, away.URL))
	opt := usual(dead, a)
	opt.Hedge = 20 * time.Millisecond
	p := startPoller(t, opt)
	eventually(t, "the first look", func() bool { return p.leader() == "1" })
	for range 5 {
		p.refreshed(t, "again", "1")
	}
	if away.asked.Load() > 1 || dead.asked.Load() > 1 {
		t.Errorf("the silent ones were asked %d and %d times", away.asked.Load(), dead.asked.Load())
	}
	a.stop()
	dead.says(member("1", Leader, 1, away.URL))
	p.refreshed(t, "as only one is left", "1")
	if s := p.Status(); s.Stale || s.From != dead.URL {
		t.Errorf("status %+v", s)
	}

	h := newHosts([]string{"http://a", "http://b", "http://c"})
	h.silent["http://a"], h.silent["http://b"] = time.Now(), time.Now().Add(-silentFor)
	if got := h.order(nil); !slices.Equal(got, []string{"http://b", "http://c", "http://a"}) {
		t.Errorf("the order is %q", got)
	}
}

func viewOf(urls ...string) *View {
	v := &View{}
	for i, u := range urls {
		v.Members = append(v.Members, Member{Name: fmt.Sprint(i), APIURL: u, Role: Replica})
	}
	return v
}

// TestLearn: members' hosts are added, and forgotten with them; not what can't be asked, and no more than a
// limit.
func TestLearn(t *testing.T) {
	h := newHosts([]string{"http://a:8008/", "http://b:8008", "http://a:8008"})
	expect := func(when string, want ...string) {
		t.Helper()
		if got := h.order(nil); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	expect("at first", "http://a:8008", "http://b:8008")
	h.learn(viewOf("http://b:8008/patroni", "https://c:8008/patroni", "", "nonsense", "http://d:1", "https://c:8008"))
	expect("learned", "http://a:8008", "http://b:8008", "https://c:8008", "http://d:1")
	h.last = "http://d:1"
	v := viewOf("", "http://b:8008/patroni")
	v.Members[1].Role = Leader
	if got, want := h.order(v), []string{"http://b:8008", "http://d:1", "http://a:8008", "https://c:8008"}; !slices.Equal(got, want) {
		t.Errorf("with a leader: %q, want %q", got, want)
	}
	h.learn(viewOf("http://a:8008"))
	expect("forgotten", "http://a:8008", "http://b:8008")
	var many []string
	for i := range learnedMax + 5 {
		many = append(many, fmt.Sprintf("http://m%d", i))
	}
	h.learn(viewOf(many...))
	if got := len(h.order(nil)); got != 2+learnedMax {
		t.Errorf("%d hosts, want %d", got, 2+learnedMax)
	}
}

// TestLearnSecure: where all that is configured has https, nothing else is asked.
func TestLearnSecure(t *testing.T) {
	h := newHosts([]string{"https://a:8008"})
	v := viewOf("http://b:8008/patroni", "https://c:8008/patroni")
	v.Members[0].Role = Leader
	h.learn(v)
	if got, want := h.order(v), []string{"https://a:8008", "https://c:8008"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	mixed := newHosts([]string{"https://a:8008", "http://b:8008"})
	mixed.learn(viewOf("http://c:8008"))
	if got := strings.Join(mixed.order(nil), " "); got != "https://a:8008 http://b:8008 http://c:8008" {
		t.Errorf("mixed: %q", got)
	}
}

// TestLearnedHostsAreAsked: a cluster is found by one host and still known when that one is gone; without
// Learn it is not.
func TestLearnedHostsAreAsked(t *testing.T) {
	for _, learn := range []bool{true, false} {
		a, b := startFake(t), startFake(t)
		for _, f := range []*fake{a, b} {
			f.says(member("1", Replica, 1, a.URL), member("2", Leader, 1, b.URL))
		}
		opt := usual(a)
		opt.Learn = learn
		p := startPoller(t, opt)
		eventually(t, "the first look", func() bool { return p.leader() == "2" })
		a.stop()
		p.Refresh(t.Context())
		if s := p.Status(); s.Stale == learn || (b.asked.Load() > 0) != learn {
			t.Errorf("learn %v: %+v, the learned one was asked %d times", learn, s, b.asked.Load())
		}
		if learn {
			b.says(member("2", Leader, 1, b.URL)) // does not tell of the first any more; that one is configured
			a.says(member("1", Leader, 1, a.URL))
			p.refreshed(t, "again", "2")
			if now, _ := p.last(); len(now) != 1 {
				t.Errorf("told is %q", now)
			}
		}
	}
}
