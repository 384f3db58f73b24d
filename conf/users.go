package conf

import (
	"regexp"
	"slices"
	"strconv"
)

// verifierForm is a secret as PostgreSQL stores it,
// https://www.postgresql.org/docs/17/catalog-pg-authid.html, or as MySQL does for mysql_native_password,
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html.
var verifierForm = regexp.MustCompile(
	`^(SCRAM-SHA-256\$[1-9][0-9]{0,8}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=|md5[0-9a-fA-F]{32}|\*[0-9a-fA-F]{40})$`)

// users checks who may log in.
func (k *checker) users(c *Config) {
	names := map[string]bool{}
	for i := range c.User {
		u, at := &c.User[i], join("user", strconv.Itoa(i))
		k.named(join(at, "name"), u.Name, names)
		if u.Password != "" && u.Verifier != "" {
			k.problem(join(at, "verifier"), "stands beside a password: there is one or the other")
		}
		// Stars stand where a configuration was shown.
		if v := string(u.Verifier); v != "" && v != stars && !verifierForm.MatchString(v) {
			k.problem(join(at, "verifier"), `is neither "SCRAM-SHA-256$<iterations>:<salt>$<key>:<key>" nor "md5" and 32 hexadecimal digits nor "*" and 40`)
		}
	}
}

// unshared refuses what concerns shared server connections where there are none.
func (k *checker) unshared(c *Config) {
	leadsTo := map[string]bool{}
	logsIn := false // Sluice does, with a user's secret
	for i := range c.Listener {
		if l := &c.Listener[i]; l.Shares() {
			for _, name := range c.ClustersOf(l) {
				leadsTo[name] = true
			}
		}
	}
	for i := range c.Cluster {
		logsIn = logsIn || c.Cluster[i].Moves() || leadsTo[c.Cluster[i].Name]
	}
	bad := slices.ContainsFunc(c.Listener, func(l Listener) bool { return l.Mode != "proxy" && !l.Shares() })
	if bad {
		return // which is known to be wrong, and might have been one that shares
	}
	if len(c.User) > 0 && !logsIn {
		k.problem("user.0", `has no use: no listener has mode "fifo" or "funnel", and no sessions move`)
	}
	none := DefaultCluster()
	for i, cl := range c.Cluster {
		for _, limit := range []struct {
			key string
			set bool
		}{
			{"max-server-connections", cl.MaxServerConnections != none.MaxServerConnections},
			{"failover-timeout", cl.FailoverTimeout != none.FailoverTimeout && cl.Discovery == "static" && !cl.Moves()},
			{"failover-clients", cl.FailoverClients != none.FailoverClients && !cl.Moves()},
		} {
			if limit.set && !leadsTo[cl.Name] {
				k.problem(join(join("cluster", strconv.Itoa(i)), limit.key),
					`has no use: no listener with mode "fifo" or "funnel" leads here`)
			}
		}
	}
}
