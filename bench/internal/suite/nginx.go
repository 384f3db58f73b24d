package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"sluice/bench/internal/child"
)

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
