package real

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MemberInfo is what Patroni's GET /cluster says of a node.
type MemberInfo struct {
	Name, Role, State string
	Lag               string // bytes, or what it says instead; "" for the leader
}

// Members asks the nodes in turn, until one answers, for what it knows of all.
func (c *Patroni) Members() ([]MemberInfo, error) {
	var errs []error
	for _, n := range c.Nodes {
		body, err := n.Ask(http.MethodGet, "/cluster", nil)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var answer struct {
			Members []struct {
				Name, Role, State string
				Lag               any
			}
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, err
		}
		var members []MemberInfo
		for _, m := range answer.Members {
			info := MemberInfo{Name: m.Name, Role: m.Role, State: m.State}
			if m.Lag != nil {
				info.Lag = fmt.Sprint(m.Lag)
			}
			members = append(members, info)
		}
		return members, nil
	}
	return nil, errors.Join(errs...)
}

// Leader is the node that Patroni says leads.
func (c *Patroni) Leader() (*Node, error) { return c.first("leader") }

// Sync is the replica that must have each write.
func (c *Patroni) Sync() (*Node, error) { return c.first("sync_standby") }

// Async is the replica that need not have a write yet.
func (c *Patroni) Async() (*Node, error) { return c.first("replica") }

func (c *Patroni) first(role string) (*Node, error) {
	members, err := c.Members()
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.Role == role {
			return c.Node(m.Name), nil
		}
	}
	return nil, fmt.Errorf("no member is %s: %+v", role, members)
}

// Node returns the node of that name.
func (c *Patroni) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// URL is the base of the node's API.
func (n *Node) URL() string {
	if n.cluster.Options.TLS {
		return "https://" + n.API
	}
	return "http://" + n.API
}

// Ask sends a request to the node's API and returns what it answers; any status but 200 is an error.
func (n *Node) Ask(method, path string, body []byte) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if o := n.cluster.Options; o.TLS {
		transport.TLSClientConfig = &tls.Config{RootCAs: o.Authority.Pool(), Certificates: []tls.Certificate{o.Cert.TLS}}
	}
	client := http.Client{Timeout: 30 * time.Second, Transport: transport}
	req, err := http.NewRequest(method, n.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(APIUser, Password)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s of %s: %s: %s", method, path, n.Name, resp.Status, text)
	}
	return text, err
}

// Change patches what all nodes have in common: `{"primary_start_timeout": 0}`. It returns when each has read it.
func (c *Patroni) Change(patch string) error {
	leader, err := c.Leader()
	if err != nil {
		return err
	}
	if _, err = leader.Ask(http.MethodPatch, "/config", []byte(patch)); err != nil {
		return err
	}
	changed := time.Now().Unix()
	return Eventually(comeUp, func() error {
		for _, n := range c.Nodes {
			seen, err := n.seen()
			if err != nil {
				return err
			}
			if seen <= changed {
				return fmt.Errorf("%s does not know of a change yet", n.Name)
			}
		}
		return nil
	})
}

// seen is when the node has last read what is in etcd, in whole seconds.
func (n *Node) seen() (unix int64, err error) {
	body, err := n.Ask(http.MethodGet, "/patroni", nil)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Seen int64 `json:"dcs_last_seen"`
	}
	return answer.Seen, json.Unmarshal(body, &answer)
}

// Start starts the node's Patroni, which starts its PostgreSQL or finds it running. It does not wait.
func (n *Node) Start() error {
	var err error
	n.Process, err = Launch(filepath.Join(n.dir, fmt.Sprintf("log.%d", time.Now().UnixNano())), n.cluster.owner,
		n.cluster.Options.Program, n.configPath())
	return err
}

// Stop ends the node as an operator does: Patroni stops its PostgreSQL and leaves.
func (n *Node) Stop() error { return n.Process.Stop(syscall.SIGTERM, goAway) }

// KillPatroni ends the node's Patroni alone, as a crash of it would: its PostgreSQL goes on.
func (n *Node) KillPatroni() error { return n.Process.Stop(syscall.SIGKILL, goAway) }

// KillPostgres kills the node's postmaster. Its children end by themselves as soon as they notice, those
// in a query when they next wait for something.
func (n *Node) KillPostgres() error {
	pid, err := n.postmaster()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// KillServer kills the postmaster and all its children at once, as the kernel does when a machine is out
// of memory.
func (n *Node) KillServer() error {
	pid, err := n.postmaster()
	if err != nil {
		return err
	}
	children := Children(pid)
	err = syscall.Kill(pid, syscall.SIGKILL)
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	return err
}

// postmaster is the process id of the node's PostgreSQL.
func (n *Node) postmaster() (int, error) {
	text, err := os.ReadFile(filepath.Join(n.dataDir(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0, err
	}
	// The file of a server that was killed stays, and its number may be another process's by now.
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil && !strings.Contains(string(cmdline), n.dataDir()) {
		err = fmt.Errorf("%s has no PostgreSQL running", n.Name)
	}
	return pid, err
}

// PauseReplay has a replica go on to receive WAL but not to apply it. It stops the process that does: what
// pg_wal_replay_pause() pauses Patroni has go on within a loop of its own.
func (n *Node) PauseReplay() error { return n.signalReplay(syscall.SIGSTOP) }

// ResumeReplay ends PauseReplay.
func (n *Node) ResumeReplay() error { return n.signalReplay(syscall.SIGCONT) }

func (n *Node) signalReplay(sig syscall.Signal) error {
	var pid int
	if err := n.Query("select pid from pg_stat_activity where backend_type = 'startup'", &pid); err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}
