package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/bench/internal/child"
)

// proxy is Sluice under demonstration.
type proxy struct {
	process *child.Process
	listen  string // for clients
	admin   string // for its figures
	text    string // its configuration
}

// configText is Sluice's configuration: one listener in front of two servers. The checks are frequent,
// so that the demo need not wait for them.
func configText(listen, admin string, backends []*backend) string {
	var list strings.Builder
	for _, b := range backends {
		fmt.Fprintf(&list, "  { addr = %q },  # %s\n", b.addr, b.name)
	}
	return fmt.Sprintf(`[admin]
listen = %q

[[cluster]]
name = "demo"
protocol = "mysql"
discovery = "static"
backends = [
%s]
[cluster.health]
interval = "250ms"

[[listener]]
name = "demo"
listen = %q
cluster = "demo"
mode = "proxy"
`, admin, list.String(), listen)
}

// startProxy writes the configuration into dir and starts Sluice with it.
func startProxy(ctx context.Context, program, dir string, backends []*backend) (*proxy, error) {
	listen, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	admin, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	p := &proxy{listen: listen, admin: admin, text: configText(listen, admin, backends)}
	config := filepath.Join(dir, "sluice.toml")
	if err := os.WriteFile(config, []byte(p.text), 0o644); err != nil {
		return nil, err
	}
	p.process, err = child.Start(child.Spec{Name: "sluice", Args: []string{program, "run", "--config", config}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := child.Until(ctx, p.process, func() error { return child.Accepts(listen) }); err != nil {
		p.process.Kill()
		return nil, err
	}
	return p, nil
}

// stop ends Sluice gracefully. Its clients have gone, so it has nothing to wait for.
func (p *proxy) stop() error { return p.process.Stop(syscall.SIGTERM, 5*time.Second) }

// sessionsMetric counts the sessions of each backend; its label backendLabel is the backend's address.
const (
	sessionsMetric = "sluice_backend_sessions"
	backendLabel   = "backend"
)

// sessions asks Sluice how many sessions each backend has, by address.
func (p *proxy) sessions(ctx context.Context) (map[string]int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", answer.Status)
	}
	return readGauge(answer.Body, sessionsMetric, backendLabel)
}

// readGauge finds the values of one metric, by one of its labels, in Prometheus' text format.
// https://prometheus.io/docs/instrumenting/exposition_formats/
func readGauge(text io.Reader, metric, label string) (map[string]int, error) {
	values := make(map[string]int)
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), metric+"{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(rest, "} ")
		if !ok {
			continue
		}
		_, of, ok := strings.Cut(","+labels, ","+label+`="`)
		name, _, closed := strings.Cut(of, `"`)
		n, err := strconv.ParseFloat(value, 64)
		if !ok || !closed || err != nil {
			return nil, fmt.Errorf("metrics: can not read %q", lines.Text())
		}
		values[name] += int(n)
	}
	return values, lines.Err()
}
