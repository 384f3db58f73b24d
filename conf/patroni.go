package conf

import (
	"reflect"
	"slices"
	"strconv"
)

// Patroni is how the members of a cluster are found that Patroni runs.
type Patroni struct {
	// Hosts are where its REST API can be asked.
	Hosts []BaseURL `toml:"hosts"`
	// Interval lies between two polls.
	Interval Duration `toml:"interval" range:"100ms..1h"`
	// Port is dialled in place of the members' own; 0 = their own.
	Port int `toml:"port" range:"0..65535"`
	// Timeout limits one request.
	Timeout Duration `toml:"timeout" range:"10ms..5m"`
	// Hedge is how long a host may take until the next one is asked as well.
	Hedge Duration `toml:"hedge" range:"10ms..5m"`
	// LearnHosts has the members' own api_url asked too.
	LearnHosts bool `toml:"learn-hosts"`
	// User and Password are sent by basic authentication; both or none are given.
	User     string `toml:"user"`
	Password Secret `toml:"password"`
	// States are those in which a member takes sessions.
	States []string `toml:"states"`
	// ZoneTag is the tag that holds a member's zone; "" = none does.
	ZoneTag string      `toml:"zone-tag"`
	TLS     PatroniTLS  `toml:"tls"`
	Etcd    PatroniEtcd `toml:"etcd"`
}

// PatroniTLS is about TLS to hosts with https.
type PatroniTLS struct {
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

// PatroniEtcd is where Patroni keeps the cluster's state, to hear at once of what changes there.
type PatroniEtcd struct {
	// Endpoints are etcd's; none = it is not asked.
	Endpoints []BaseURL `toml:"endpoints"`
	// Namespace and Scope are as in Patroni's own configuration.
	Namespace string `toml:"namespace"`
	Scope     string `toml:"scope"`
	// User and Password are etcd's; both or none are given.
	User     string `toml:"user"`
	Password Secret `toml:"password"`
	// CA, Cert and Key are as in PatroniTLS.
	CA   string `toml:"ca" file:"pem"`
	Cert string `toml:"cert" file:"pem"`
	Key  string `toml:"key" file:"pem"`
}

// discovery checks that the way in which backends become known and the other keys go together.
func (k *checker) discovery(path string, c *Cluster) {
	at := join(path, "patroni")
	k.pd(path, c)
	switch c.Discovery {
	case "static", "pd":
		for _, key := range changedKeys(reflect.ValueOf(DefaultCluster().Patroni), reflect.ValueOf(c.Patroni)) {
			k.problem(join(at, key), `has no use with discovery %q`, c.Discovery)
		}
	case "patroni":
		if c.Protocol == "mysql" {
			k.problem(join(path, "discovery"), `"patroni" is for protocol "postgres" or "tcp", not %q`, c.Protocol)
		}
		if len(c.Backends) > 0 {
			k.problem(join(path, "backends"), `has no use with discovery "patroni", which finds them`)
		}
		k.patroni(at, &c.Patroni)
		k.etcd(join(at, "etcd"), &c.Patroni.Etcd)
	}
}

func (k *checker) patroni(path string, p *Patroni) {
	if len(p.Hosts) == 0 {
		k.problem(join(path, "hosts"), `is missing: with discovery "patroni" a cluster has at least one host to ask`)
	}
	k.urls(join(path, "hosts"), p.Hosts)
	if len(p.States) == 0 {
		k.problem(join(path, "states"), "is empty: no member could be used")
	}
	k.names(join(path, "states"), p.States)
	k.credentials(path, p.User, p.Password)
	k.certAndKey(join(path, "tls"), p.TLS.Cert, p.TLS.Key)
	if p.TLS.SkipVerify && p.TLS.CA != "" {
		k.problem(join(path, "tls.ca"), "has no use with skip-verify: every certificate is taken")
	}
}

func (k *checker) etcd(path string, e *PatroniEtcd) {
	if len(e.Endpoints) == 0 {
		for _, key := range changedKeys(reflect.ValueOf(DefaultCluster().Patroni.Etcd), reflect.ValueOf(*e)) {
			k.problem(join(path, key), "has no use without endpoints")
		}
		return
	}
	k.urls(join(path, "endpoints"), e.Endpoints)
	if e.Scope == "" {
		k.problem(join(path, "scope"), "is missing: endpoints need the scope of the cluster in Patroni's configuration")
	}
	if e.Namespace == "" {
		k.problem(join(path, "namespace"), `is empty: Patroni's own default is "/service"`)
	}
	k.credentials(path, e.User, e.Password)
	k.certAndKey(path, e.Cert, e.Key)
	if !slices.ContainsFunc(e.Endpoints, BaseURL.https) && (e.CA != "" || e.Cert != "") {
		key := "ca"
		if e.CA == "" {
			key = "cert"
		}
		k.problem(join(path, key), "has no use: no endpoint begins with https://")
	}
}

// urls refuses one that stands there twice, in whatever spelling.
func (k *checker) urls(path string, list []BaseURL) {
	for i, u := range list {
		if u != "" && slices.Contains(list[:i], u) { // "" could not be read
			k.problem(join(path, strconv.Itoa(i)), "%q is there twice", string(u))
		}
	}
}

func (k *checker) credentials(path, user string, password Secret) {
	if (user == "") != (password == "") {
		k.problem(join(path, "user"), "user and password belong together")
	}
}
