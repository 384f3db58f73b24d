package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/conf"
)

// proxyWriter writes what a proxyFile says as TOML.
type proxyWriter struct {
	file  string
	text  strings.Builder
	lines []int // for each line of text, the line of the original that it was made of
	notes []note

	clusters, listeners names
}

// line writes one line, made of one of the original (0: of none).
func (w *proxyWriter) line(of int, format string, args ...any) {
	fmt.Fprintf(&w.text, format, args...)
	w.text.WriteByte('\n')
	w.lines = append(w.lines, of)
}

// note tells of something that is not kept, both to who converts and, as a comment, to who reads the file.
func (w *proxyWriter) note(of int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.line(of, "# %s", text)
	w.notes = append(w.notes, note{of, text})
}

// whatDiffers stands above what is written.
const whatDiffers = `# It does what patroni_proxy did with that file, but for this:
#
# - Members in state "streaming" take sessions, which is what Patroni calls a replica that is well since 3.0.4;
#   patroni_proxy took "running" alone. Key states of [cluster.patroni].
# - noloadbalance keeps a member from sessions of replicas, as in Patroni, and no leader from its own.
# - A client waits while no backend is fit for it (failover-timeout, retry-timeout), where it was disconnected at
#   once. A backend that does not answer is replaced by another.
# - Backends that fail checks of Sluice's own take no new sessions ([cluster.health]).
# - The freshest answer of Patroni's hosts counts, not the first, and the members are asked as well (learn-hosts).
# - When a client or a server has no more to send, both directions end.
#
# With protocol "tcp" Sluice passes bytes on as patroni_proxy did, TLS from client to server included. With
# "postgres" it follows the protocol: a session that has to leave its backend does so between two transactions
# (drain-timeout), and is told why. TLS then is Sluice's own: [listener.tls], [cluster.tls].
`

func (w *proxyWriter) write(f *proxyFile, unknown []note) {
	w.line(0, "# Converted by \"sluice convert\" from %s.", quoted(filepath.Base(w.file)))
	for line := range strings.Lines(whatDiffers) {
		w.line(0, "%s", strings.TrimSuffix(line, "\n"))
	}
	if len(unknown) > 0 {
		w.line(0, "#")
	}
	for _, n := range unknown {
		w.note(n.line, "%s", n.text)
	}
	w.admin(f)
	for i := range f.clusters {
		w.cluster(f, &f.clusters[i])
	}
}

// admin writes the HTTP side. patroni_proxy's knows no credentials; one of Sluice that others can reach needs
// them.
func (w *proxyWriter) admin(f *proxyFile) {
	w.line(0, "")
	w.line(0, "[admin]")
	at := f.listen
	if ap, err := netip.ParseAddrPort(at.v); err == nil && !ap.Addr().Unmap().IsLoopback() {
		own := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if ap.Addr().Is6() && !ap.Addr().Is4In6() {
			own = netip.IPv6Loopback()
		}
		w.note(at.line, "listen_address %s is left out: an address that other machines can reach needs credentials.", quoted(at.v))
		w.line(0, "# Set user and password, then listen = %s. Whoever asked for /update_clusters gives them then.", quoted(at.v))
		at.v = netip.AddrPortFrom(own, ap.Port()).String()
	}
	w.line(at.line, "listen = %s", quoted(at.v))
}

// cluster writes a cluster and its listeners: one for each port of the servers, as a cluster of Sluice has one
// port for all.
func (w *proxyWriter) cluster(f *proxyFile, c *proxyCluster) {
	ports := []uint64{}
	for _, p := range c.ports {
		if !slices.Contains(ports, p.port.v) {
			ports = append(ports, p.port.v)
		}
	}
	for _, port := range ports {
		wanted := c.name.v
		w.line(0, "")
		if len(ports) > 1 {
			wanted += "-" + strconv.FormatUint(port, 10)
			w.line(0, "# The ports of cluster %s lead to several ports of its servers: those with host_port %d.", quoted(c.name.v), port)
		}
		name := w.clusters.unique(wanted)
		if name != wanted {
			w.note(c.name.line, "cluster %s is called %s here.", quoted(wanted), quoted(name))
		}
		w.line(c.name.line, "[[cluster]]")
		w.line(c.name.line, "name = %s", quoted(name))
		w.line(0, `protocol = "tcp"`)
		w.line(0, `discovery = "patroni"`)
		w.patroni(f, c, port)
		for i := range c.ports {
			if c.ports[i].port.v == port {
				w.listener(name, c, &c.ports[i])
			}
		}
	}
}

// What the interval between two polls may be.
const (
	pollMin = 100 * time.Millisecond
	pollMax = time.Hour
)

func (w *proxyWriter) patroni(f *proxyFile, c *proxyCluster, port uint64) {
	w.line(0, "[cluster.patroni]")
	w.line(c.name.line, "hosts = [")
	seen := map[conf.BaseURL]bool{}
	for _, host := range c.hosts {
		var url conf.BaseURL
		if url.UnmarshalText([]byte(host.v)) == nil {
			if seen[url] {
				w.note(host.line, "%s is left out: it is there already.", quoted(host.v))
				continue
			}
			seen[url] = true
		}
		w.line(host.line, "  %s,", quoted(host.v))
	}
	w.line(0, "]")
	interval := pollMax
	if f.interval.v < uint64(pollMax/time.Second) {
		interval = max(time.Duration(f.interval.v)*time.Second, pollMin)
	}
	if f.interval.v != uint64(interval/time.Second) || interval < time.Second {
		w.note(f.interval.line, "cluster_update_interval %d is not in the range of Sluice's interval, %v to %v.", f.interval.v,
			conf.Duration(pollMin), conf.Duration(pollMax))
	}
	w.line(f.interval.line, "interval = %s", quoted(conf.Duration(interval).String()))
	w.line(c.name.line, "port = %d", port)
	w.tls(&c.tls)
}

// tls writes the block that patroni_proxy reads and has no use for.
func (w *proxyWriter) tls(t *proxyTLS) {
	if *t == (proxyTLS{}) {
		return
	}
	w.line(0, "[cluster.patroni.tls] # which patroni_proxy reads, and does not use")
	ca, cert, key := t.ca, t.cert, t.key
	if t.skipVerify.v && ca.v != "" {
		w.note(ca.line, "ca_cert %s is left out: with skip_verify every certificate is taken.", quoted(ca.v))
		ca.v = ""
	}
	if (cert.v == "") != (key.v == "") {
		w.note(max(cert.line, key.line), "client_cert and client_key are left out: only one of them is there.")
		cert.v, key.v = "", ""
	}
	for _, file := range []struct {
		key  string
		path given[string]
	}{{"ca", ca}, {"cert", cert}, {"key", key}} {
		if file.path.v == "" {
			continue
		}
		if !filepath.IsAbs(file.path.v) {
			w.note(file.path.line, "%s is seen from the folder of this file, and no more from where the process was started.", quoted(file.path.v))
		}
		w.line(file.path.line, "%s = %s", file.key, quoted(file.path.v))
	}
	if t.skipVerify.v {
		w.line(t.skipVerify.line, "skip-verify = true")
	}
}

// lagMost is the greatest limit of a lag.
const lagMost = 1 << 50

func (w *proxyWriter) listener(cluster string, c *proxyCluster, p *proxyPort) {
	wanted := c.name.v + "-" + p.name.v
	w.line(0, "")
	name := w.listeners.unique(wanted)
	if name != wanted {
		w.note(p.name.line, "port %s of cluster %s is called %s here.", quoted(p.name.v), quoted(c.name.v), quoted(name))
	}
	w.line(p.name.line, "[[listener]]")
	w.line(p.name.line, "name = %s", quoted(name))
	w.line(p.listen.line, "listen = %s", quoted(p.listen.v))
	w.line(0, "cluster = %s", quoted(cluster))
	w.line(0, `mode = "proxy"`)
	replicas := w.roles(p)
	w.line(0, `drain-timeout = "0s" # sessions whose backend does not fit any more are ended at once`)
	if p.maxLag != nil {
		w.lag(*p.maxLag, replicas)
	}
}

// roles writes the roles, and tells whether a backend may be used that does not lead.
func (w *proxyWriter) roles(p *proxyPort) (replicas bool) {
	var list []string
	add := func(role string) {
		if !slices.Contains(list, quoted(role)) {
			list = append(list, quoted(role))
		}
	}
	comment := ""
	for _, r := range p.roles {
		if role := strings.ToLower(r.v); role != "any" {
			add(role)
			continue
		}
		comment = ` # its "any"; that of Sluice has "quorum" and "standby-leader" besides`
		for _, role := range []string{"leader", "sync", "async"} {
			add(role)
		}
	}
	w.line(p.roles[0].line, "roles = [%s]%s", strings.Join(list, ", "), comment)
	return len(list) > 1 || list[0] != quoted("leader")
}

func (w *proxyWriter) lag(limit given[uint64], replicas bool) {
	switch {
	case !replicas:
		w.note(limit.line, "max_lag_in_bytes %d is left out: the leader, which alone has sessions here, is never behind.", limit.v)
		return
	case limit.v > lagMost:
		w.note(limit.line, "max_lag_in_bytes %d is left out: it is more than %v.", limit.v, conf.Size(lagMost))
		return
	case limit.v == 0:
		w.note(limit.line, "max_lag_in_bytes 0 is 1 here, as 0 is no limit.")
		limit.v = 1
	}
	w.line(limit.line, "max-lag = %d", limit.v)
	w.line(0, `lag-return = 100 # percent. Less keeps a replica that is about at its limit from coming and going`)
	w.line(0, `lag-unknown = "allow" # "refuse" keeps sessions from a replica whose lag is not known`)
}

// quoted is a TOML string. JSON's strings are some of TOML's, but for a byte that TOML wants escaped.
//
// https://toml.io/en/v1.0.0#string
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // of a string it can't fail
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// names are those that are taken.
type names map[string]bool

// nameMost is the longest name, in bytes.
const nameMost = 64

// unique makes a name that Sluice takes: letters, digits, '.', '_' and '-', and none that is taken.
func (n names) unique(wanted string) string {
	name := strings.Map(func(c rune) rune {
		if c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c)) {
			return c
		}
		return '-'
	}, wanted)
	if name = name[:min(len(name), nameMost)]; name == "" {
		name = "unnamed"
	}
	free := name
	for i := 2; n[free]; i++ {
		end := "-" + strconv.Itoa(i)
		free = name[:min(len(name), nameMost-len(end))] + end
	}
	n[free] = true
	return free
}
