package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"sluice/bench/internal/child"
)

func startFloor(ctx context.Context, at station) (running, error) {
	host, port := hostPort(at.listen)
	serverHost, serverPort := hostPort(at.server)
	return startListening(ctx, at.listen, child.Spec{Name: floorName, Dir: at.dir,
		Args: []string{at.program, host, port, serverHost, serverPort}})
}

// buildFloor compiles the relay with the machine's C compiler.
func buildFloor(ctx context.Context, compiler, source, dir string) (string, error) {
	relay := filepath.Join(dir, "relay")
	return relay, child.Run(ctx, child.Spec{Name: "cc", Args: []string{compiler, "-O2", "-o", relay, source}})
}

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

// nginxModules is where packages put the stream module, if it is not part of the program.
var nginxModules = []string{"/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"}

// startNginx runs nginx as a relay, with a worker process for each thread.
func startNginx(ctx context.Context, at station) (running, error) {
	module := ""
	for _, dir := range nginxModules {
		path := filepath.Join(dir, "ngx_stream_module.so")
		if _, err := os.Stat(path); err == nil {
			module = path
		}
	}
	config, err := at.write("nginx.conf", nginxConfig(at, module))
	if err != nil {
		return running{}, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: "nginx", Dir: at.dir,
		Args: []string{at.program, "-p", at.dir, "-e", "stderr", "-c", config}})
}

// nginxConfig: https://nginx.org/en/docs/stream/ngx_stream_proxy_module.html. A session takes two of
// a worker's connections.
func nginxConfig(at station, module string) string {
	load := ""
	if module != "" {
		load = "load_module " + module + ";\n"
	}
	return load + fmt.Sprintf(`daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes %d;
events { worker_connections %d; }
stream {
	access_log off;
	server {
		listen %s;
		proxy_pass %s;
		proxy_connect_timeout 5s;
		proxy_timeout 1h;
	}
}
`, at.threads, 2*at.clients+16, at.listen, at.server)
}
