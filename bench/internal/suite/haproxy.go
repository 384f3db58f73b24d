package suite

import (
	"context"
	"fmt"

	"sluice/bench/internal/child"
)

// startHAProxy runs HAProxy with nothing switched on that a relay does not need.
func startHAProxy(ctx context.Context, at station) (running, error) {
	config, err := at.write("haproxy.cfg", haproxyConfig(at))
	if err != nil {
		return running{}, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: haproxyName, Dir: at.dir, Args: []string{at.program, "-db", "-f", config}})
}

// haproxyConfig: https://docs.haproxy.org/2.6/configuration.html
func haproxyConfig(at station) string {
	return fmt.Sprintf(`global
	nbthread %d
	maxconn %d
defaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
listen bench
	bind %s
	server one %s
`, at.threads, at.clients, at.listen, at.server)
}
