package real

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// BuildSluice compiles the program from the module in the folder root to the file out.
func BuildSluice(root, out string, race bool) error {
	args := []string{"build", "-C", root, "-o", out}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/sluice")...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, text)
	}
	return nil
}

// Sluice is a running Sluice process.
type Sluice struct {
	*Process
	Admin      string // address of the admin API
	ConfigPath string

	user string // for the admin API, with Password; "" = nobody is asked
}

// StartSluice writes config to a file in dir and starts binary with it. The [admin] section is added
// here. It returns once Sluice says that it is healthy.
func StartSluice(binary, dir, config string) (*Sluice, error) {
	return start(&Sluice{Admin: FreeAddr()}, dir, config, binary)
}

// StartGuardedSluice is StartSluice with a password for the admin side.
func StartGuardedSluice(binary, dir, config string) (*Sluice, error) {
	return start(&Sluice{Admin: FreeAddr(), user: "admin"}, dir, config, binary)
}

// StartSluiceIn is StartSluice within a network, at whose address it is reached.
func StartSluiceIn(n *Network, binary, dir, config string) (*Sluice, error) {
	admin := net.JoinHostPort(n.Addr, strconv.Itoa(FreePort()))
	return start(&Sluice{Admin: admin, user: "admin"}, dir, config, append(n.enter(), binary)...)
}

func start(s *Sluice, dir, config string, command ...string) (*Sluice, error) {
	s.ConfigPath = filepath.Join(dir, "sluice.toml")
	if err := s.WriteConfig(config); err != nil {
		return nil, err
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	args := append(command[1:len(command):len(command)], "run", "--config", s.ConfigPath)
	if s.Process, err = Launch(filepath.Join(dir, "sluice.log"), nil, path, args...); err != nil {
		return nil, err
	}
	err = Eventually(comeUp, func() error {
		select {
		case <-s.Done():
			return fmt.Errorf("%w: it has ended", ErrNever)
		default:
			_, err := s.Get("/api/debug/health")
			return err
		}
	})
	if err != nil {
		_ = s.Process.Stop(syscall.SIGKILL, goAway)
		return nil, fmt.Errorf("sluice does not come up: %w\n%s\nwith the configuration\n%s", err, s.Log(), config)
	}
	return s, nil
}

// WriteConfig replaces the configuration file, at once as an editor would.
func (s *Sluice) WriteConfig(config string) error {
	admin := fmt.Sprintf("[admin]\nlisten = %q\n", s.Admin)
	if s.user != "" {
		admin += fmt.Sprintf("user = %q\npassword = %q\n", s.user, Password)
	}
	text := admin + "\n" + config
	if err := os.WriteFile(s.ConfigPath+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(s.ConfigPath+".new", s.ConfigPath)
}

// Reload writes config and tells Sluice to read it. It does not wait.
func (s *Sluice) Reload(config string) error {
	if err := s.WriteConfig(config); err != nil {
		return err
	}
	return s.Signal(syscall.SIGHUP)
}

// Stop stops Sluice, gracefully as far as patience lets it.
func (s *Sluice) Stop() error { return s.Process.Stop(syscall.SIGTERM, goAway) }

// Get returns the body of a page of the admin API; any status but 200 is an error.
func (s *Sluice) Get(path string) (string, error) { return s.call(http.MethodGet, path, "") }

// Post gives an order to the admin API and returns its answer; any status but 200 is an error.
func (s *Sluice) Post(path string) (string, error) { return s.call(http.MethodPost, path, "") }

// Put gives the admin API something to keep at a path and returns its answer; any status but 200 is an error.
func (s *Sluice) Put(path, body string) (string, error) { return s.call(http.MethodPut, path, body) }

// Delete removes what the admin API has at a path and returns its answer; any status but 200 is an error.
func (s *Sluice) Delete(path string) (string, error) { return s.call(http.MethodDelete, path, "") }

func (s *Sluice) call(method, path, body string) (string, error) {
	client := http.Client{Timeout: goAway}
	req, err := http.NewRequest(method, "http://"+s.Admin+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if s.user != "" {
		req.SetBasicAuth(s.user, Password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	client.CloseIdleConnections()
	return string(answer), err
}

// Metric returns the sum of the series called name whose labels contain all of labels, each written
// as in `cluster="pg"`. A name without a series is an error.
func (s *Sluice) Metric(name string, labels ...string) (float64, error) {
	page, err := s.Get("/metrics")
	if err != nil {
		return 0, err
	}
	return SumMetric(page, name, labels...)
}

// SumMetric is Metric on a page that was read before.
func SumMetric(page, name string, labels ...string) (float64, error) {
	sum, found := 0.0, false
	in := bufio.NewScanner(strings.NewReader(page))
	in.Buffer(nil, 1<<20)
next:
	for in.Scan() {
		series, value, ok := strings.Cut(in.Text(), " ")
		if brace := strings.LastIndexByte(in.Text(), '}'); brace > 0 {
			series, value, ok = in.Text()[:brace+1], strings.TrimSpace(in.Text()[brace+1:]), true
		}
		rest, isIt := strings.CutPrefix(series, name)
		if !ok || !isIt || (rest != "" && rest[0] != '{') {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return 0, fmt.Errorf("metric line %q: %w", in.Text(), err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("no metric %s%v", name, labels)
	}
	return sum, in.Err()
}

// ResidentBytes is the memory of process pid that is in RAM.
func ResidentBytes(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// OpenFiles is the number of descriptors that process pid has open.
func OpenFiles(pid int) (int, error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(names), err
}
