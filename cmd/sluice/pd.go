package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"sluice/conf"
	"sluice/upstream"
	"sluice/upstream/tidb"
)

// metricSources are where figures are read, by their name in the configuration.
var metricSources = map[string]tidb.Source{"auto": tidb.Auto, "status": tidb.Status, "prometheus": tidb.Prometheus}

// began is when the process did.
var began = time.Now()

// figuresToken is what other Sluices show to have this one's figures, and nothing else. They have it from PD, where
// its address stands too: an address that somebody else may have set, to whom no password is to be sent.
var figuresToken = rand.Text()

// pdOptions are how the TiDB servers of a cluster are found that its PD knows.
func pdOptions(c *conf.Cluster, admin conf.Admin, log *zap.Logger) (*tidb.Options, error) {
	pd, err := pdOf(&c.PD)
	if err != nil {
		return nil, err
	}
	opt := &tidb.Options{PD: *pd, ZoneLabel: c.PD.ZoneLabel, Keyspaces: c.PD.Keyspaces,
		Log: log.With(zap.String("cluster", c.Name))}
	if c.PD.Advertise == "" {
		return opt, nil
	}
	opt.Register = &tidb.Registration{Addr: c.PD.Advertise, StatusPort: portOf(admin.Listen), Version: version,
		GitHash: revision(), Start: began}
	if path, err := os.Executable(); err == nil {
		opt.Register.DeployPath = filepath.Dir(path)
	}
	return opt, nil
}

func pdOf(p *conf.PD) (*tidb.PD, error) {
	pd := &tidb.PD{Addrs: p.Addrs, User: p.User, Password: string(p.Password), Timeout: p.Timeout.Std()}
	if !p.TLS.On() {
		return pd, nil
	}
	var err error
	if pd.TLS, err = hostTLS(p.TLS.CA, p.TLS.Cert, p.TLS.Key); err != nil {
		return nil, err
	}
	pd.TLS.ServerName, pd.TLS.InsecureSkipVerify = p.TLS.ServerName, p.TLS.SkipVerify
	return pd, nil
}

// watchStatus has a cluster's status ports looked at and its figures read, if it has some.
func watchStatus(opt *upstream.Options, c *conf.Cluster, all *conf.Config, log *zap.Logger) error {
	opt.Peers = c.Discovery == "pd"
	if c.Protocol != "mysql" {
		return nil
	}
	s := &c.Status
	cfg, err := serverTLS(&s.TLS)
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	opt.Status = &upstream.StatusOptions{Interval: s.Interval.Std(), Timeout: s.Timeout.Std(),
		TLSMode: tlsModes[s.TLS.Mode], TLS: cfg}
	has := func(b conf.Backend) bool { return b.Status != "" }
	if s.Metrics == "off" || c.Discovery != "pd" && !slices.ContainsFunc(c.Backends, has) {
		return nil
	}
	m := &tidb.Metrics{
		Source: metricSources[s.Metrics], Prometheus: s.Prometheus,
		Interval: s.MetricsInterval.Std(), Timeout: s.Timeout.Std(),
		Cluster: c.Name, Zone: all.Engine.Zone,
		Token: figuresToken,
		Log:   log.With(zap.String("cluster", c.Name)),
	}
	if c.Discovery == "pd" {
		if m.PD, err = pdOf(&c.PD); err != nil {
			return fmt.Errorf("pd.tls: %w", err)
		}
		m.Peer = peerAddr(all.Admin.Listen, &c.PD)
	}
	opt.Metering = m
	return nil
}

// peerAddr is where other Sluices can reach the admin side; "" = nowhere. One that listens at all addresses is
// reached as the SQL side is. One that only this machine can reach is of use if PD is on it too.
func peerAddr(listen string, pd *conf.PD) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		if host, _, err = net.SplitHostPort(pd.Advertise); err != nil {
			host = ownHost()
		}
	}
	if host == "" || loopback(host) && !slices.ContainsFunc(pd.Addrs, func(a string) bool {
		at, _, _ := net.SplitHostPort(a)
		return loopback(at)
	}) {
		return ""
	}
	return net.JoinHostPort(host, port)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// ownHost is the first address of this machine that other machines may know.
func ownHost() string {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}

// portOf is an address' port; 0 = it has none.
func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

// revision is the version of the source that the program was built from, as far as it knows.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// marksOf are the tags that stand at a backend.
func marksOf(list []conf.Tag) map[string]string {
	if len(list) == 0 {
		return nil
	}
	tags := make(map[string]string, len(list))
	for _, t := range list {
		tags[t.Name] = t.Value
	}
	return tags
}

// peer lets in who shows the token for figures, and else who guard lets in.
func (a *admin) peer(h http.HandlerFunc) http.Handler {
	guarded := a.guard(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tidb.Shows(r, figuresToken) {
			h(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// readings tells other Sluices what this one knows of a cluster's figures.
func (a *admin) readings(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var since int64
	if text := q.Get("since"); text != "" {
		var err error
		if since, err = strconv.ParseInt(text, 10, 64); err != nil {
			refuse(w, http.StatusBadRequest, "since is no time in Unix milliseconds")
			return
		}
	}
	for _, c := range a.p.proxy.Clusters() {
		if c.Name() == q.Get("cluster") {
			w.Header().Set("Content-Type", "application/json")
			_ = tidb.Tell(w, c, since)
			return
		}
	}
	refuse(w, http.StatusNotFound, fmt.Sprintf("there is no cluster %q", q.Get("cluster")))
}
