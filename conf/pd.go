package conf

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// PD is how the TiDB servers of a cluster are found: by what they have written into PD's etcd.
type PD struct {
	// Addrs are PD's client addresses.
	Addrs []string `toml:"addrs" addr:"dial"`
	// User and Password are etcd's; both or none are given.
	User     string `toml:"user"`
	Password Secret `toml:"password"`
	// Timeout limits one request.
	Timeout Duration `toml:"timeout" range:"100ms..1m"`
	// ZoneLabel is the label that holds a server's zone; "" = none does.
	ZoneLabel string `toml:"zone-label"`
	// Keyspaces has the servers of all keyspaces found too.
	Keyspaces bool `toml:"keyspaces"`
	// Advertise is the address by which Sluice itself is listed in PD, as TiDB Dashboard shows it; "" = it is not.
	Advertise string `toml:"advertise" addr:"may"`
	TLS       PDTLS  `toml:"tls"`
}

// PDTLS is about TLS towards PD. It is used if one of the keys is given.
type PDTLS struct {
	// CA is a PEM file with the authorities that are trusted; "" = those of the system.
	CA string `toml:"ca" file:"pem"`
	// Cert and Key are Sluice's own certificate; both or none are given.
	Cert string `toml:"cert" file:"pem"`
	Key  string `toml:"key" file:"pem"`
	// ServerName is the name that is looked for; "" = the host's.
	ServerName string `toml:"server-name"`
	// SkipVerify takes whatever certificate is shown.
	SkipVerify bool `toml:"skip-verify"`
}

// On tells whether TLS is used.
func (t *PDTLS) On() bool { return *t != PDTLS{} }

// Status is about the HTTP status ports of TiDB servers, and the figures that they tell of themselves.
type Status struct {
	// Interval lies between two looks at one port.
	Interval Duration `toml:"interval" range:"100ms..1h"`
	// Timeout limits one request.
	Timeout Duration `toml:"timeout" range:"10ms..5m"`
	// Metrics is where the figures are read.
	Metrics string `toml:"metrics" oneof:"auto status prometheus off"`
	// Prometheus is where Prometheus can be asked; "" = where PD says.
	Prometheus string `toml:"prometheus"`
	// MetricsInterval lies between two readings.
	MetricsInterval Duration  `toml:"metrics-interval" range:"1s..1m"`
	TLS             ServerTLS `toml:"tls"`
}

// pd checks what is said of a cluster whose servers PD knows.
func (k *checker) pd(path string, c *Cluster) {
	at, p := join(path, "pd"), &c.PD
	if c.Discovery != "pd" {
		for _, key := range changedKeys(reflect.ValueOf(DefaultCluster().PD), reflect.ValueOf(*p)) {
			k.problem(join(at, key), "has no use with discovery %q", c.Discovery)
		}
		return
	}
	if c.Protocol != "mysql" {
		k.problem(join(path, "discovery"), `"pd" is for protocol "mysql", not %q`, c.Protocol)
	}
	if len(c.Backends) > 0 {
		k.problem(join(path, "backends"), `has no use with discovery "pd", which finds them`)
	}
	if len(p.Addrs) == 0 {
		k.problem(join(at, "addrs"), `is missing: with discovery "pd" a cluster has at least one address of PD`)
	}
	seen := map[string]bool{}
	for i, s := range p.Addrs {
		a, err := parseAddr(s, true)
		if err != nil {
			continue // said already
		}
		if seen[a.String()] {
			k.problem(join(join(at, "addrs"), strconv.Itoa(i)), "%q is there twice", s)
		}
		seen[a.String()] = true
	}
	k.credentials(at, p.User, p.Password)
	k.certAndKey(join(at, "tls"), p.TLS.Cert, p.TLS.Key)
	if p.TLS.SkipVerify && p.TLS.CA != "" {
		k.problem(join(at, "tls.ca"), "has no use with skip-verify: every certificate is taken")
	}
	if a, err := parseAddr(p.Advertise, true); err == nil && a.ip.IsUnspecified() {
		k.problem(join(at, "advertise"), "%q is no address that others can reach", p.Advertise)
	}
}

// status checks what is said of status ports.
func (k *checker) status(path string, c *Cluster) {
	at, s := join(path, "status"), &c.Status
	asked := c.Discovery == "pd"
	for _, b := range c.Backends {
		asked = asked || b.Status != ""
	}
	if !asked {
		why := "has no use: no backend has a status port"
		if c.Protocol != "mysql" {
			why = fmt.Sprintf("has no use with protocol %q", c.Protocol)
		}
		for _, key := range changedKeys(reflect.ValueOf(DefaultCluster().Status), reflect.ValueOf(*s)) {
			k.problem(join(at, key), "%s", why)
		}
		return
	}
	k.tls(join(at, "tls"), s.TLS.Mode, "", s.TLS.Cert, s.TLS.Key, s.TLS.CA)
	k.prometheus(at, c)
}

func (k *checker) prometheus(at string, c *Cluster) {
	s := &c.Status
	uses := s.Metrics == "auto" || s.Metrics == "prometheus"
	switch {
	case s.Prometheus != "" && !uses:
		k.problem(join(at, "prometheus"), "has no use with metrics %q", s.Metrics)
	case s.Prometheus != "":
		url, err := baseURL(s.Prometheus)
		if err != nil {
			k.problem(join(at, "prometheus"), "%s", err)
			return
		}
		s.Prometheus = url
	case s.Metrics == "prometheus" && c.Discovery != "pd":
		k.problem(join(at, "prometheus"), `is missing: with metrics "prometheus" its URL is needed, as there is no PD to tell it`)
	}
}

// marks checks a backend's status port and tags.
func (k *checker) marks(path string, b *Backend, protocol string) {
	if b.Status != "" && protocol != "mysql" && protocol != "" {
		k.problem(join(path, "status"), "has no use with protocol %q", protocol)
	}
	at := join(path, "tags")
	if len(b.Tags) > tagsMax {
		k.problem(at, "holds more than %d tags", tagsMax)
	}
	seen := map[string]bool{}
	for i, t := range b.Tags {
		item := join(at, strconv.Itoa(i))
		switch {
		case t.Name == "": // said already
		case t.Not:
			k.problem(item, "%q says what must not be: a backend's tag says what is", t.String())
		case len(t.Name) > tagBytes || len(t.Value) > tagBytes:
			k.problem(item, "is longer than %d bytes", tagBytes)
		case seen[t.Name]:
			k.problem(item, "%q is there twice", t.Name)
		case strings.ContainsRune(t.Value, 0):
			k.problem(item, "holds a zero byte")
		}
		seen[t.Name] = true
	}
}

// Limits of a backend's tags; those of a discovery have the same.
const (
	tagsMax  = 64
	tagBytes = 256 // of a name or a value
)
