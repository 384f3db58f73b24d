package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/bench/internal/child"
)

// Contender is one way for a client to reach a server.
type Contender struct {
	Name  string
	About string
	// start starts the process in between; nil = there is none.
	start func(ctx context.Context, at station) (*child.Process, error)
}

// station is where a contender stands and what it has to work with.
type station struct {
	listen, server string   // host:port
	database       Database // behind server
	dir            string   // for its files
	threads        int      // that may move bytes
	relay          string   // the floor's program
	sluice         string   // Sluice's program
	env            []string // for variants
}

// Names of the contenders that others are compared with.
const (
	floorName   = "floor"
	haproxyName = "haproxy"
	sluiceName  = "sluice"
)

// contenders in the order of a report. Variants of Sluice come behind them.
var contenders = []Contender{
	{Name: "direct", About: "clients connect to the server itself"},
	{Name: floorName, About: "a bare epoll relay in C, one thread (bench/floor)", start: startFloor},
	{Name: haproxyName, About: "HAProxy, mode tcp", start: startHAProxy},
	{Name: sluiceName, About: "Sluice, mode proxy", start: startSluice},
}

// Variant is Sluice once more, with other settings or of another build, to be compared in one run.
type Variant struct {
	Name    string
	Program string   // "" = the same
	Env     []string // KEY=VALUE
}

// ParseVariant reads NAME:KEY=VALUE,KEY=VALUE. The key BIN names another program; all others become
// environment variables: Sluice's own (SLUICE_ENGINE_LOOPS) or the Go runtime's (GOGC).
func ParseVariant(text string) (Variant, error) {
	name, settings, ok := strings.Cut(text, ":")
	if !ok || name == "" || settings == "" {
		return Variant{}, fmt.Errorf("variant %q: want NAME:KEY=VALUE,…", text)
	}
	v := Variant{Name: name}
	for setting := range strings.SplitSeq(settings, ",") {
		key, value, ok := strings.Cut(setting, "=")
		if !ok || key == "" {
			return Variant{}, fmt.Errorf("variant %q: %q is not KEY=VALUE", text, setting)
		}
		if key == "BIN" {
			v.Program = value
			continue
		}
		v.Env = append(v.Env, setting)
	}
	return v, nil
}

func (v Variant) contender() Contender {
	return Contender{
		Name:  v.Name,
		About: strings.TrimSpace("Sluice, " + strings.Join(append([]string{v.Program}, v.Env...), " ")),
		start: func(ctx context.Context, at station) (*child.Process, error) {
			at.env = v.Env
			if v.Program != "" {
				at.sluice = v.Program
			}
			return startSluice(ctx, at)
		},
	}
}

func startFloor(ctx context.Context, at station) (*child.Process, error) {
	host, port, _ := strings.Cut(at.listen, ":")
	serverHost, serverPort, _ := strings.Cut(at.server, ":")
	return startListening(ctx, at.listen, child.Spec{Name: floorName, Dir: at.dir,
		Args: []string{at.relay, host, port, serverHost, serverPort}})
}

// buildFloor compiles the relay with the machine's C compiler.
func buildFloor(ctx context.Context, source, dir string) (string, error) {
	relay := filepath.Join(dir, "relay")
	return relay, child.Run(ctx, child.Spec{Name: "cc", Args: []string{"cc", "-O2", "-o", relay, source}})
}

// startHAProxy runs HAProxy with nothing switched on that a relay does not need.
// https://docs.haproxy.org/2.6/configuration.html
func startHAProxy(ctx context.Context, at station) (*child.Process, error) {
	haproxy, err := program("haproxy")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`global
	nbthread %d
	maxconn 4000
defaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
listen bench
	bind %s
	server one %s
`, at.threads, at.listen, at.server)
	config := filepath.Join(at.dir, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: haproxyName, Dir: at.dir, Args: []string{haproxy, "-db", "-f", config}})
}

// startSluice runs Sluice as it is shipped: what the configuration does not say is the default.
func startSluice(ctx context.Context, at station) (*child.Process, error) {
	admin, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`[engine]
loops = %d
[admin]
listen = "%s"
[log]
level = "warn"
[[cluster]]
name = "bench"
protocol = "%s"
discovery = "static"
backends = [{ addr = "%s" }]
[[listener]]
name = "bench"
listen = "%s"
cluster = "bench"
mode = "proxy"
`, at.threads, admin, at.database, at.server, at.listen)
	config := filepath.Join(at.dir, "sluice.toml")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return startListening(ctx, at.listen, child.Spec{Name: sluiceName, Dir: at.dir, Env: at.env,
		Args: []string{at.sluice, "run", "--config", config}})
}

// startListening starts a program and waits until it accepts connections.
func startListening(ctx context.Context, addr string, s child.Spec) (*child.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	p, err := child.Start(s)
	if err != nil {
		return nil, err
	}
	if err := child.Until(ctx, p, func() error { return child.Accepts(addr) }); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// entrant is a contender that stands ready in front of one server.
type entrant struct {
	Contender
	addr    string
	process *child.Process // nil without one
}

// stop ends the process. The time is short: nobody is connected any more.
func (e *entrant) stop() {
	if e.process != nil {
		_ = e.process.Stop(syscall.SIGTERM, time.Second)
	}
}

// startEntrants starts every contender in front of a server.
func startEntrants(ctx context.Context, list []Contender, at station) ([]*entrant, error) {
	var entrants []*entrant
	for i, c := range list {
		e, err := startEntrant(ctx, c, at, strconv.Itoa(i)+"-"+string(at.database))
		if err != nil {
			stopEntrants(entrants)
			return nil, fmt.Errorf("contender %s: %w", c.Name, err)
		}
		entrants = append(entrants, e)
	}
	return entrants, nil
}

func startEntrant(ctx context.Context, c Contender, at station, folder string) (*entrant, error) {
	if c.start == nil {
		return &entrant{Contender: c, addr: at.server}, nil
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	at.listen, at.dir = addr, filepath.Join(at.dir, folder)
	if err := os.MkdirAll(at.dir, 0o755); err != nil {
		return nil, err
	}
	p, err := c.start(ctx, at)
	if err != nil {
		return nil, err
	}
	return &entrant{Contender: c, addr: addr, process: p}, nil
}

func stopEntrants(entrants []*entrant) {
	for _, e := range entrants {
		e.stop()
	}
}
