package real

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Patroni is a running cluster of three nodes, each a Patroni with its PostgreSQL, over one etcd. One
// replica is synchronous. Its users are "app" and "scram", superusers that the servers trust from
// loopback, and its database is "app".
//
// Each node has an address of its own in 127.0.0.0/8, so that a network can tell them apart. Writes that
// were acknowledged are on two nodes; nothing survives a crash of the machine (fsync is off).
type Patroni struct {
	Etcd    *Etcd
	Nodes   []*Node
	Options PatroniOptions
	Dir     string

	guard *guard
	owner *Account
	bin   string
}

// Scope is the name of the cluster in etcd, below the namespace /service, and in Patroni's configuration.
const Scope = "batman"

// APIUser is who may change something by Patroni's API, with Password.
const APIUser = "boss"

// PatroniOptions say what a cluster is to be like.
type PatroniOptions struct {
	// Program and Control are patroni and patronictl; "" = Debian's.
	Program, Control string
	// TLS has the API speak TLS with Cert, which Authority has signed.
	TLS       bool
	Authority *Authority
	Cert      Pair
	// ClientCert has the API want a certificate of its clients; with TLS.
	ClientCert bool
	// Quorum has two replicas from which any one must have a write (Patroni 4), in place of one that must.
	Quorum bool
}

// Node is one node of a cluster.
type Node struct {
	*Process // Patroni
	Name     string
	Addr     string // PostgreSQL
	API      string // host and port of Patroni's REST API

	cluster *Patroni
	dir     string
}

// StartPatroni makes a new cluster in dir, which it creates, and returns once it has a leader, a
// synchronous and an asynchronous replica. The path must be short: PostgreSQL has sockets in it.
func StartPatroni(dir string, o PatroniOptions) (c *Patroni, err error) {
	c = &Patroni{Options: o, Dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.Options.Program == "" {
		if c.Options.Program, err = program("patroni", "patroni"); err != nil {
			return c, err
		}
		c.Options.Control = filepath.Join(filepath.Dir(c.Options.Program), "patronictl")
	}
	if c.bin, err = newestPostgres(); err != nil {
		return c, err
	}
	if c.owner, err = serverAccount("postgres", "nobody"); err != nil {
		return c, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return c, err
	}
	if c.Etcd, err = StartEtcd(filepath.Join(dir, "etcd")); err != nil {
		return c, err
	}
	for i := range 3 {
		n := &Node{Name: fmt.Sprintf("n%d", i+1), cluster: c}
		host := fmt.Sprintf("127.0.1.%d", i+1)
		n.Addr = fmt.Sprintf("%s:%d", host, FreePort())
		n.API = fmt.Sprintf("%s:%d", host, FreePort())
		n.dir = filepath.Join(dir, n.Name)
		if err := os.Mkdir(n.dir, 0o755); err != nil {
			return c, err
		}
		c.Nodes = append(c.Nodes, n)
	}
	if c.guard, err = newGuard(c.Nodes); err != nil {
		return c, err
	}
	return c, c.bootstrap()
}

// bootstrap starts the first node, and those that copy it once it leads.
func (c *Patroni) bootstrap() error {
	for _, n := range c.Nodes {
		if err := n.configure(); err != nil {
			return err
		}
	}
	if err := c.Nodes[0].Start(); err != nil {
		return err
	}
	err := Eventually(comeUp, func() error {
		leader, err := c.Leader()
		if err == nil && leader != c.Nodes[0] {
			err = errors.New("the first node does not lead")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, c.Nodes[0].Log())
	}
	for _, n := range c.Nodes[1:] {
		if err := n.Start(); err != nil {
			return err
		}
	}
	if err := c.populate(); err != nil {
		return err
	}
	return c.WaitReady()
}

func (c *Patroni) populate() error {
	for _, s := range []string{"create user app superuser", "create user scram superuser password '" + Password + "'",
		"create database app owner app"} {
		// The servers are there before their synchronous replica is, without which nothing is committed.
		if err := c.Nodes[0].Exec("postgres", s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// WaitReady waits until there are a leader, a replica that must have each write, and a third node, all
// with nothing to catch up.
func (c *Patroni) WaitReady() error { return c.readyWithin(comeUp) }

func (c *Patroni) readyWithin(patience time.Duration) error {
	err := Eventually(patience, func() error {
		members, err := c.Members()
		if err != nil {
			return err
		}
		count := map[string]int{}
		for _, m := range members {
			if m.State == "running" || m.State == "streaming" {
				count[m.Role]++
			}
			if m.Role != "leader" && m.Lag != "0" {
				return fmt.Errorf("%s is %s behind", m.Name, m.Lag)
			}
		}
		if count["leader"] == 1 && (count["sync_standby"] == 1 && count["replica"] == 1 || count["quorum_standby"] == 2) {
			return c.streaming()
		}
		return fmt.Errorf("its members: %+v", members)
	})
	if err != nil {
		return fmt.Errorf("the Patroni cluster is not well: %w\n%s", err, c.logs())
	}
	return nil
}

// streaming asks the leader itself whether two replicas get its WAL: what Patroni says is seconds old.
func (c *Patroni) streaming() error {
	leader, err := c.Leader()
	if err != nil {
		return err
	}
	var n int
	err = leader.Query("select count(*) from pg_stat_replication where state = 'streaming' and not pg_is_in_recovery()", &n)
	if err == nil && n != len(c.Nodes)-1 {
		err = fmt.Errorf("%s has %d replicas", leader.Name, n)
	}
	return err
}

func (c *Patroni) logs() string {
	var b strings.Builder
	for _, n := range c.Nodes {
		if n.Process != nil {
			log := n.Log()
			fmt.Fprintf(&b, "%s:\n%s\n", n.Name, log[max(0, len(log)-1500):])
		}
	}
	return b.String()
}

// Close ends everything that belongs to the cluster.
func (c *Patroni) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		if n.Process != nil {
			_ = n.Process.Signal(syscall.SIGCONT)
			errs = append(errs, n.Process.Stop(syscall.SIGKILL, goAway))
		}
	}
	for _, n := range c.Nodes {
		_ = n.KillServer() // it may have none
	}
	if c.Etcd != nil {
		errs = append(errs, c.Etcd.Stop())
	}
	if c.guard != nil {
		errs = append(errs, c.guard.dismiss())
	}
	return errors.Join(errs...)
}

// Switchover has Patroni's own program move the lead from one node to another, and says how long that
// took.
func (c *Patroni) Switchover(from, to *Node) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), comeUp)
	defer cancel()
	start := time.Now()
	cmd := exec.CommandContext(ctx, c.Options.Control, "-c", from.configPath(), "switchover", Scope, "--leader", from.Name,
		"--candidate", to.Name, "--force")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err == nil && (strings.Contains(text, "Switchover status unknown") || strings.Contains(text, "falling back to DCS")):
		// Its time to wait for the end was over: the switchover goes on.
		err = c.led(to)
	case err == nil && !strings.Contains(text, "Successfully switched over"):
		err = errors.New("it does not say that it has")
	}
	if err != nil {
		return 0, fmt.Errorf("patronictl switchover: %w\n%s", err, out)
	}
	return time.Since(start), nil
}

// led waits until n leads.
func (c *Patroni) led(n *Node) error {
	return Eventually(comeUp, func() error {
		leader, err := c.Leader()
		if err == nil && leader != n {
			err = fmt.Errorf("%s leads", leader.Name)
		}
		return err
	})
}

// DSN returns a connection string for the node's PostgreSQL.
func (n *Node) DSN(user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&connect_timeout=30", user, n.Addr, database)
}

// Exec runs a statement on the node itself.
func (n *Node) Exec(database, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), comeUp)
	defer cancel()
	conn, err := pgx.Connect(ctx, n.DSN("postgres", database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// Query asks the node itself, in database app, for one row.
func (n *Node) Query(sql string, into ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), goAway)
	defer cancel()
	conn, err := pgx.Connect(ctx, n.DSN("postgres", "app"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql).Scan(into...)
}

// recovers is how long nodes get to come back by themselves.
const recovers = 30 * time.Second

// Mend starts what has ended of the cluster and waits until it is well. A replica that had more WAL than the
// one that took over can't follow it, and not each version of Patroni sees that: such a one is copied anew,
// as an operator would have it done.
func (c *Patroni) Mend() error {
	for _, n := range c.Nodes {
		select {
		case <-n.Done():
			if err := n.Start(); err != nil {
				return err
			}
		default:
		}
	}
	if c.readyWithin(recovers) == nil {
		return nil
	}
	var leader *Node
	err := Eventually(comeUp, func() (err error) {
		leader, err = c.Leader()
		return err
	})
	if err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if n == leader || n.follows() {
			continue
		}
		// Patroni refuses while there is no leader, or while it is about to do something else.
		err := Eventually(comeUp, func() error {
			_, err := n.Ask(http.MethodPost, "/reinitialize", []byte(`{"force": true}`))
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.WaitReady()
}

// follows says whether the node gets its WAL from another.
func (n *Node) follows() (streams bool) {
	err := n.Query("select count(*) > 0 from pg_stat_wal_receiver where status = 'streaming'", &streams)
	return err == nil && streams
}
