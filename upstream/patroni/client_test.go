package patroni

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	pair := a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	var err error
	if a.cert, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	a.key = pair.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(t *testing.T, form *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form.SerialNumber, form.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	form.NotBefore, form.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = form, key
	}
	der, err := x509.CreateCertificate(rand.Reader, form, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) server(t *testing.T) tls.Certificate {
	return a.sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"pg.example"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client(t *testing.T) tls.Certificate {
	return a.sign(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// secure makes servers with cfg.
func secure(cfg *tls.Config) func(http.Handler) *httptest.Server {
	return func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.TLS = cfg
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what is tested
		s.StartTLS()
		return s
	}
}

// TestTLS: with the CA, by another name, with a client's certificate, without verification; and what fails.
func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	plain := newFake(t, secure(&tls.Config{Certificates: []tls.Certificate{ca.server(t)}}))
	mutual := newFake(t, secure(&tls.Config{Certificates: []tls.Certificate{ca.server(t)},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool}))
	own := ca.client(t)
	strange := other.client(t)
	tests := []struct {
		name string
		host *fake
		cfg  *tls.Config
		ok   bool
	}{
		{"the system's CAs", plain, nil, false},
		{"the CA", plain, &tls.Config{RootCAs: ca.pool}, true},
		{"another CA", plain, &tls.Config{RootCAs: other.pool}, false},
		{"no verification", plain, &tls.Config{InsecureSkipVerify: true}, true},
		{"its other name", plain, &tls.Config{RootCAs: ca.pool, ServerName: "pg.example"}, true},
		{"a name it has not", plain, &tls.Config{RootCAs: ca.pool, ServerName: "other.example"}, false},
		{"no client certificate", mutual, &tls.Config{RootCAs: ca.pool}, false},
		{"a client certificate", mutual, &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{own}}, true},
		{"a strange one", mutual, &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{strange}}, false},
	}
	for _, test := range tests {
		test.host.says(member("1", Leader, 1, test.host.URL))
		opt := usual(test.host)
		opt.TLS = test.cfg
		p := startPoller(t, opt)
		p.Refresh(t.Context())
		if s := p.Status(); s.Stale == test.ok || (p.leader() == "1") != test.ok {
			t.Errorf("%s: %+v", test.name, s)
		}
		p.Close()
	}
	expectNoGoroutine(t)
}

// TestPassword: it is sent to the hosts that are configured and to those that they name, but not to where it
// would be for everybody to read while all that is configured has https.
func TestPassword(t *testing.T) {
	ca := newAuthority(t)
	first := newFake(t, secure(&tls.Config{Certificates: []tls.Certificate{ca.server(t)}}))
	second := newFake(t, secure(&tls.Config{Certificates: []tls.Certificate{ca.server(t)}}))
	open := startFake(t)
	var known, unknown atomic.Int64
	for _, f := range []*fake{first, second, open} {
		f.does(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user == "sluice" && password == "hush" {
				known.Add(1)
			} else {
				unknown.Add(1)
			}
			fmt.Fprint(w, answerOf(member("1", Replica, 1, open.URL), member("2", Leader, 1, second.URL)))
		})
	}
	opt := usual(first)
	opt.TLS, opt.User, opt.Password, opt.Times = &tls.Config{RootCAs: ca.pool}, "sluice", "hush", true
	p := startPoller(t, opt)
	eventually(t, "the first look", func() bool { return p.leader() == "2" })
	p.refreshed(t, "by the leader", "2")
	if second.asked.Load() == 0 || open.asked.Load() != 0 || unknown.Load() != 0 || known.Load() < 3 {
		t.Errorf("asked: the second %d times, the open one %d; with the password %d, without %d",
			second.asked.Load(), open.asked.Load(), known.Load(), unknown.Load())
	}
}

// TestOldHTTP: Patroni's answers are HTTP/1.0, without a length, and end with their connection.
func TestOldHTTP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			fmt.Fprint(c, "HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.11.2\r\nContent-Type: application/json\r\n\r\n"+
				answerOf(member("1", Leader, 1, "")))
			c.Close()
		}
	}()
	opt := usual()
	opt.Hosts = []string{"http://" + ln.Addr().String()}
	p := startPoller(t, opt)
	p.refreshed(t, "by HTTP/1.0", "1")
	p.refreshed(t, "once more", "1")
}

// TestNoProxy: the environment's proxy is not for Patroni.
func TestNoProxy(t *testing.T) {
	proxy, f := startFake(t), startFake(t)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	f.says(member("1", Leader, 1, ""))
	c := newClient(usual(f))
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("there is a proxy") // the standard library passes it by for loopback addresses anyhow
	}
	startPoller(t, usual(f)).refreshed(t, "directly", "1")
}

// TestHeadersMax: headers are bounded as well.
func TestHeadersMax(t *testing.T) {
	f := startFake(t)
	f.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", headersMax+1))
		fmt.Fprint(w, answerOf(good1))
	})
	p := startPoller(t, usual(f))
	p.refreshed(t, "with long headers", "?")
}

// TestFailureNamesTheHostOnce: an operator reads whom it was about and what has happened, once each.
func TestFailureNamesTheHostOnce(t *testing.T) {
	f := startFake(t)
	opt := usual(f)
	c := newClient(opt)
	f.Close()
	a := c.cluster(t.Context(), f.URL, 0)
	if a.err == nil || strings.Count(a.err.Error(), "http://") != 1 || !strings.HasSuffix(a.err.Error(), "connection refused") {
		t.Errorf("it says %v", a.err)
	}
}
