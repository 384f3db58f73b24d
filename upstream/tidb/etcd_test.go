package tidb

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/upstream"
)

// patience is longer than anything takes on a machine that stands still for seconds at a time.
const patience = time.Minute

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("never came true: %s", what)
}

// etcd is a real one of one member, as Debian's package etcd-server has it.
type etcd struct {
	t    testing.TB // whom it serves now
	addr string
	args []string
	cmd  *exec.Cmd
	*clientv3.Client
}

// freeAddr is an address at which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// newEtcd makes one that is not started yet and stores in dir. scheme is http, or https with the arguments that it
// takes.
func newEtcd(t *testing.T, dir, scheme string, args ...string) *etcd {
	t.Helper()
	e := &etcd{t: t, addr: freeAddr(t)}
	url, peer := scheme+"://"+e.addr, "http://"+freeAddr(t)
	e.args = append([]string{"--name", "one", "--data-dir", filepath.Join(dir, "data"),
		"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "one=" + peer, "--logger", "zap", "--log-level", "error",
		"--max-request-bytes", "10485760", "--unsafe-no-fsync", "--heartbeat-interval", "20", "--election-timeout", "200"}, args...)
	return e
}

// ownEtcd starts one, with a client, for a test that ends it or changes it for good. Such tests run beside each other.
func ownEtcd(t *testing.T) *etcd {
	t.Helper()
	t.Parallel()
	e := newEtcd(t, t.TempDir(), "http")
	e.start()
	t.Cleanup(e.crash)
	e.ask(nil)
	t.Cleanup(func() { e.Client.Close() })
	return e
}

// shared are those that tests have one after the other, each of them empty.
var shared [2]*etcd

// etcdNo returns one of the shared ones. A test that uses them is not to run beside others, and leaves them running.
func etcdNo(t *testing.T, i int) *etcd {
	t.Helper()
	if shared[i] == nil {
		dir, err := os.MkdirTemp(folder, "etcd")
		if err != nil {
			t.Fatal(err)
		}
		e := newEtcd(t, dir, "http")
		e.start()
		e.ask(nil)
		shared[i] = e
	}
	e := shared[i]
	e.t = t
	t.Cleanup(e.wipe)
	return e
}

// anEtcd is the first of the shared ones.
func anEtcd(t *testing.T) *etcd {
	t.Helper()
	return etcdNo(t, 0)
}

// wipe empties it.
func (e *etcd) wipe() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	leases, err := e.Leases(ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, l := range leases.Leases {
		_, _ = e.Revoke(ctx, l.ID) // it may have ended by now
	}
	if _, err := e.Client.Delete(ctx, "\x00", clientv3.WithFromKey()); err != nil {
		e.t.Fatal(err)
	}
}

// folder is where the shared ones store.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "sluice-tidb-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, e := range shared {
		if e != nil {
			e.Client.Close()
			e.crash()
		}
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

func (e *etcd) start() {
	e.t.Helper()
	e.cmd = exec.Command("etcd", e.args...)
	e.cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	if err := e.cmd.Start(); err != nil {
		e.t.Fatalf("%v: install Debian's package etcd-server", err)
	}
	eventually(e.t, "etcd listens", func() bool {
		c, err := net.Dial("tcp", e.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// ask makes the client by which the test itself asks.
func (e *etcd) ask(cfg *tls.Config) {
	e.t.Helper()
	var err error
	e.Client, err = clientv3.New(clientv3.Config{Endpoints: []string{e.addr}, TLS: cfg, MaxCallSendMsgSize: 20 << 20, Logger: zap.NewNop()})
	if err != nil {
		e.t.Fatal(err)
	}
	eventually(e.t, "etcd answers", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := e.Client.Get(ctx, "x")
		return err == nil
	})
}

func stop(cmd *exec.Cmd, how syscall.Signal) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Signal(how)
		_ = cmd.Wait()
	}
}

// crash ends it; start has it back with what it stored.
func (e *etcd) crash() { stop(e.cmd, syscall.SIGKILL) }

// pause has it hang, and go on again.
func (e *etcd) pause(hangs bool) {
	how := syscall.SIGCONT
	if hangs {
		how = syscall.SIGSTOP
	}
	if err := e.cmd.Process.Signal(how); err != nil {
		e.t.Fatal(err)
	}
}

// put stores keys and values.
func (e *etcd) put(pairs ...string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := 0; i < len(pairs); i += 2 {
		if _, err := e.Client.Put(ctx, pairs[i], pairs[i+1]); err != nil {
			e.t.Fatal(err)
		}
	}
}

// drop deletes keys.
func (e *etcd) drop(keys ...string) {
	e.t.Helper()
	for _, key := range keys {
		if _, err := e.Client.Delete(context.Background(), key); err != nil {
			e.t.Fatal(err)
		}
	}
}

// value is a key's value; "" = there is none.
func (e *etcd) value(key string) string {
	e.t.Helper()
	r, err := e.Client.Get(context.Background(), key)
	if err != nil {
		e.t.Fatal(err)
	}
	if len(r.Kvs) == 0 {
		return ""
	}
	return string(r.Kvs[0].Value)
}

// server stores what a TiDB server stores of itself.
func (e *etcd) server(addr, info string) {
	e.t.Helper()
	e.put(topology+addr+"/info", info, topology+addr+"/ttl", "1700000000000000000")
}

func (e *etcd) pd() PD { return PD{Addrs: []string{e.addr}, Timeout: 5 * time.Second} }

// ear hears what a Finder tells.
type ear struct {
	mu   sync.Mutex
	list []upstream.Spec
	told int
}

func (e *ear) Found(list []upstream.Spec) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = list
	e.told++
}
func (e *ear) Hold(string, time.Duration) {}
func (e *ear) EndHold()                   {}
func (e *ear) Held() (string, bool)       { return "", false }

// heard are the backends, "!" before those that leave, and how often some were told.
func (e *ear) heard() (addrs string, told int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.list {
		if addrs != "" {
			addrs += " "
		}
		if s.Leaving {
			addrs += "!"
		}
		addrs += s.Addr
	}
	return addrs, e.told
}

// spec is what was told last of an address.
func (e *ear) spec(addr string) upstream.Spec {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.list {
		if s.Addr == addr {
			return s
		}
	}
	return upstream.Spec{}
}

// wants waits until these backends are told.
func (e *ear) wants(t *testing.T, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if got, _ = e.heard(); got == want {
			return
		}
	}
	t.Fatalf("told %q, want %q", got, want)
}

// finding starts a Finder.
func finding(t *testing.T, opt *Options) (*ear, upstream.Finder) {
	t.Helper()
	e := &ear{}
	f := opt.Start(e)
	t.Cleanup(f.Close)
	return e, f
}

// pair makes a certificate for 127.0.0.1 that signs itself, and stores it.
func pair(t *testing.T, dir string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pd"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return cert, key, pool
}
