package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

const (
	shutdownPatience = time.Minute
	// soon is how long anything may take that Sluice does by itself and at once: on a machine that is ten
	// times slower than it should be and stalls for seconds, under the race detector. No test waits for it
	// to pass.
	soon = 90 * time.Second
)

// The time-outs of Sluice that a busy machine must not reach. A test that is about one of them, or about
// what happens when it has passed, sets its own; to all others they must not happen.
const (
	unhurriedEngine  = `shutdown-timeout = "5m"`
	unhurriedCluster = `connect-timeout = "1m"; retry-timeout = "3m"`
	unhurriedHealth  = `timeout = "1m"`
	unhurriedDoor    = `login-timeout = "5m"`
	unhurriedPool    = `pool-wait-timeout = "10m"; pool-wait-notify = "1h"; abandon-timeout = "2m"; cancel-timeout = "2m"`
)

// unless returns those of keys, which have "; " between them, that lines do not set.
func unless(lines []string, keys string) []string {
	var missing []string
	all := "\n" + strings.Join(lines, "\n")
	for _, key := range strings.Split(keys, "; ") {
		if name, _, _ := strings.Cut(key, " "); !strings.Contains(all, "\n"+name+" =") {
			missing = append(missing, key)
		}
	}
	return missing
}

// section is a piece of configuration with its lines; subtables belong to the section before them.
func section(head string, lines ...string) string {
	return head + "\n" + strings.Join(lines, "\n") + "\n\n"
}

// cluster is a [[cluster]] section with a static list of backends.
func cluster(name, protocol string, backends []string, more ...string) string {
	quoted := make([]string, len(backends))
	for i, b := range backends {
		quoted[i] = fmt.Sprintf("{ addr = %q }", b)
		if protocol == "postgres" {
			quoted[i] = fmt.Sprintf("{ addr = %q, role = \"leader\" }", b)
		}
	}
	lines := []string{
		fmt.Sprintf("name = %q", name),
		fmt.Sprintf("protocol = %q", protocol),
		`discovery = "static"`,
		"backends = [" + strings.Join(quoted, ", ") + "]",
	}
	lines = slices.Concat(lines, unless(more, unhurriedCluster), more)
	const health = "[cluster.health]"
	at := strings.Index(strings.Join(lines, "\n"), health)
	if at < 0 {
		return section("[[cluster]]", append(lines, health, unhurriedHealth)...)
	}
	if len(unless([]string{strings.Join(lines, "\n")[at:]}, unhurriedHealth)) == 0 {
		return section("[[cluster]]", lines...)
	}
	return strings.Replace(section("[[cluster]]", lines...), health, health+"\n"+unhurriedHealth, 1)
}

// listener is a [[listener]] section in mode proxy.
func listener(name, addr, cluster string, more ...string) string {
	lines := []string{
		fmt.Sprintf("name = %q", name),
		fmt.Sprintf("listen = %q", addr),
		fmt.Sprintf("cluster = %q", cluster),
		`mode = "proxy"`,
	}
	return section("[[listener]]", slices.Concat(lines, unless(more, unhurriedDoor), more)...)
}

// tlsTable is the subtable [of.tls] with a certificate.
func tlsTable(of, mode string, cert real.Pair) string {
	return fmt.Sprintf("[%s.tls]\nmode = %q\ncert = %q\nkey = %q", of, mode, cert.CertFile, cert.KeyFile)
}

// tlsCA is the subtable [of.tls] that verifies the peer.
func tlsCA(of, mode string) string {
	return fmt.Sprintf("[%s.tls]\nmode = %q\nca = %q", of, mode, stage.ca.CertFile)
}

// unhurried is config with a graceful stop that takes its time.
func unhurried(config string) string {
	const engine = "[engine]\n"
	if strings.Contains(config, engine) {
		return strings.Replace(config, engine, engine+unhurriedEngine+"\n", 1)
	}
	return engine + unhurriedEngine + "\n\n" + config
}

// startSluice starts binary with config. At the end of the test it is stopped, which must be
// graceful, and its log is searched for what must never be in it.
func startSluice(t *testing.T, binary, config string) *real.Sluice {
	t.Helper()
	s, err := real.StartSluice(binary, t.TempDir(), unhurried(config))
	if err != nil {
		t.Fatal(err)
	}
	stopsWell(t, s)
	return s
}

// stopsWell stops s at the end of the test, as startSluice says.
func stopsWell(t *testing.T, s *real.Sluice) {
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if code := s.ExitCode(); code != 0 && !t.Failed() {
			t.Errorf("sluice ended with code %d, want 0", code)
		}
		log := s.Log()
		for _, word := range []string{"panic", "DATA RACE", "fatal error"} {
			if strings.Contains(log, word) {
				t.Errorf("%q in Sluice's log", word)
			}
		}
		if t.Failed() {
			t.Logf("the end of Sluice's log:\n%s", tail(log, 6000))
		}
	})
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// await waits until a metric of Sluice has the value want.
func await(t *testing.T, s *real.Sluice, want float64, name string, labels ...string) {
	t.Helper()
	err := real.Eventually(soon, func() error {
		got, err := s.Metric(name, labels...)
		if err == nil && got != want {
			err = fmt.Errorf("%s%v = %v, want %v", name, labels, got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eventually fails the test unless ok returns nil soon.
func eventually(t *testing.T, ok func() error) {
	t.Helper()
	if err := real.Eventually(soon, ok); err != nil {
		t.Fatal(err)
	}
}

// command is a client program to be run to its end.
type command struct {
	path  string
	args  []string
	env   []string
	stdin string
	dir   string        // to run in; "": a new one
	limit time.Duration // 0: five minutes
}

// output runs c and returns what it wrote; it must succeed.
func (c command) output(t *testing.T) string {
	t.Helper()
	out, err := c.run(t)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", c.path, strings.Join(c.args, " "), err, tail(out, 4000))
	}
	return out
}

// failure runs c and returns what it wrote; it must not succeed.
func (c command) failure(t *testing.T) string {
	t.Helper()
	out, err := c.run(t)
	if err == nil {
		t.Fatalf("%s %s succeeded:\n%s", c.path, strings.Join(c.args, " "), tail(out, 4000))
	}
	return out
}

func (c command) run(t *testing.T) (string, error) {
	t.Helper()
	limit := c.limit
	if limit == 0 {
		limit = 5 * time.Minute
	}
	cmd := exec.Command(c.path, c.args...)
	cmd.Env = append(cmd.Environ(), append([]string{"LC_ALL=C", "PGCONNECT_TIMEOUT=90"}, c.env...)...)
	cmd.Stdin = strings.NewReader(c.stdin)
	if cmd.Dir = c.dir; c.dir == "" {
		cmd.Dir = t.TempDir()
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	return out.String(), err
}

// wants fails the test if text lacks any of words.
func wants(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q not in:\n%s", w, tail(text, 1500))
		}
	}
}

// logs waits until Sluice's log has all these words: its lines are written behind what they tell of.
func logs(t *testing.T, s *real.Sluice, words ...string) {
	t.Helper()
	eventually(t, func() error {
		for _, w := range words {
			if log := s.Log(); !strings.Contains(log, w) {
				return fmt.Errorf("%q not in:\n%s", w, tail(log, 1500))
			}
		}
		return nil
	})
}

// pgTool returns the path of one of PostgreSQL's programs.
func pgTool(t *testing.T, name string) string {
	t.Helper()
	path, err := real.PostgresTool(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// tool returns the path of a program of the machine.
func tool(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install Debian's package %s", err, debianPackage)
	}
	return path
}
