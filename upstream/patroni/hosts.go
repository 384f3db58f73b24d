package patroni

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// learnedMax bounds how many hosts are known from members' api_url, besides those that are configured.
const learnedMax = 32

// silentFor is how long a host that has not answered in time is asked after all others. It is what an api_url
// that can't be reached from here costs: one wait in so long, and not one in each poll.
const silentFor = 30 * time.Second

// baseOf turns a URL of Patroni's API into the form in which two are compared: without a path that Patroni
// answers itself, without a slash at the end, without the scheme's own port. Members give the URL of their GET /patroni as api_url.
func baseOf(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return "", errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", errors.New("it is no http or https URL with a host")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "", errors.New("it has more to it than a host and a path")
	}
	path := strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), "/patroni")
	host := strings.Replace(strings.ToLower(u.Host), "%", "%25", 1) // an IPv6 zone
	host = strings.TrimSuffix(host, ownPort[u.Scheme])
	return u.Scheme + "://" + host + strings.TrimRight(path, "/"), nil
}

// ownPort is the port that a scheme means where none is given.
var ownPort = map[string]string{"http": ":80", "https": ":443"}

// hosts are the places that can be asked.
type hosts struct {
	configured []string
	secure     bool // all that are configured have https
	learned    []string
	last       string               // has answered last
	silent     map[string]time.Time // when they did not answer, or not within Options.Hedge
}

// newHosts takes the configured hosts in. One that can't be read stays as it is: a request to it will say
// what is wrong.
func newHosts(list []string) hosts {
	h := hosts{secure: true, silent: map[string]time.Time{}}
	for _, text := range list {
		base, err := baseOf(text)
		if err != nil {
			base = text
		}
		if !slices.Contains(h.configured, base) {
			h.configured = append(h.configured, base)
		}
		h.secure = h.secure && strings.HasPrefix(base, "https://")
	}
	return h
}

// trusted returns the base of a member's api_url; ok false: it is not to be asked. What comes over plain http
// may be anybody's word, and so may he be who hears the password: where all configured hosts have https, the
// others must have it too.
func (h *hosts) trusted(apiURL string) (base string, ok bool) {
	base, err := baseOf(apiURL)
	if err != nil || h.secure && !strings.HasPrefix(base, "https://") {
		return "", false
	}
	return base, true
}

// learn replaces the learned hosts by those of the view.
func (h *hosts) learn(v *View) {
	h.learned = nil
	for i := range v.Members {
		base, ok := h.trusted(v.Members[i].APIURL)
		if !ok || slices.Contains(h.configured, base) || slices.Contains(h.learned, base) {
			continue
		}
		if len(h.learned) == learnedMax {
			return
		}
		h.learned = append(h.learned, base)
	}
}

// knows tells whether the host may be asked.
func (h *hosts) knows(base string) bool {
	return slices.Contains(h.configured, base) || slices.Contains(h.learned, base)
}

// order returns the hosts in the order in which they are asked: the leader's own, the one that has answered
// last, those that are configured, those that were learned; behind them those that were silent.
func (h *hosts) order(v *View) (list []string) {
	for base, at := range h.silent {
		if time.Since(at) >= silentFor {
			delete(h.silent, base)
		}
	}
	add := func(base string) {
		if h.knows(base) && !slices.Contains(list, base) {
			list = append(list, base)
		}
	}
	if base, ok := h.leaderOf(v); ok {
		add(base)
	}
	add(h.last)
	for _, base := range h.configured {
		add(base)
	}
	for _, base := range h.learned {
		add(base)
	}
	spoke := func(base string) bool { return h.silent[base].IsZero() }
	quiet := slices.DeleteFunc(slices.Clone(list), spoke)
	return append(slices.DeleteFunc(list, func(base string) bool { return !spoke(base) }), quiet...)
}

// leaderOf returns where the view's leader can be asked.
func (h *hosts) leaderOf(v *View) (base string, ok bool) {
	if v == nil {
		return "", false
	}
	m := v.leader()
	if m == nil {
		return "", false
	}
	return h.trusted(m.APIURL)
}
