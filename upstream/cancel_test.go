package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"sluice/codec"
	"sluice/codec/mysql"
	"sluice/codec/postgres"
)

// TestCancel sends a cancel request under each mode of TLS to servers that speak it and that do not.
func TestCancel(t *testing.T) {
	cert := certificate(t)
	tests := []struct {
		name    string
		mode    codec.TLSMode
		offers  bool // the server speaks TLS
		arrives bool
	}{
		{"plain", codec.TLSDisable, false, true},
		{"plain, though the server offers TLS", codec.TLSDisable, true, true},
		{"preferred and had", codec.TLSPrefer, true, true},
		{"preferred and not to be had", codec.TLSPrefer, false, true},
		{"required and had", codec.TLSRequire, true, true},
		{"required and not to be had", codec.TLSRequire, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			s := startServer(t, func(c net.Conn) { serveCancel(c, cert, tt.offers, got) })
			c := newCluster(t, silent(tt.mode, s))
			key := codec.Key{ID: 7, Secret: "abcd"}
			err := c.Cancel(c.Backends()[0], key, patience)
			if (err == nil) != tt.arrives {
				t.Fatalf("Cancel: %v", err)
			}
			if !tt.arrives {
				return
			}
			want := string(postgres.Protocol{}.AppendCancel(nil, key))
			how := "plain "
			if tt.offers && tt.mode >= codec.TLSPrefer {
				how = "TLS "
			}
			if msg := <-got; msg != how+want {
				t.Errorf("the server got %q, want %q", msg, how+want)
			}
		})
	}
}

// TestCancelFails: a backend that hangs, one that is not there, a protocol that knows no such thing.
func TestCancelFails(t *testing.T) {
	hangs, gone := startServer(t, silence), startServer(t, silence)
	gone.stop()
	c := newCluster(t, silent(codec.TLSDisable, hangs, gone))
	if err := c.Cancel(c.Backends()[0], codec.Key{Secret: "abcd"}, 50*time.Millisecond); err == nil {
		t.Error("a server that hangs: no error")
	}
	if err := c.Cancel(c.Backends()[1], codec.Key{Secret: "abcd"}, patience); err == nil {
		t.Error("a server that is not there: no error")
	}
	opt := silent(codec.TLSDisable, hangs)
	opt.Protocol = mysql.Protocol{}
	c.Update(opt)
	if err := c.Cancel(c.Backends()[0], codec.Key{}, patience); err == nil {
		t.Error("MySQL: no error")
	}
}

func TestKillNeedsAnAccount(t *testing.T) {
	s := startServer(t, silence)
	c := newCluster(t, silent(codec.TLSDisable, s))
	if err := c.Kill(c.Backends()[0], 7, true, patience); !errors.Is(err, ErrNoControl) {
		t.Errorf("got %v", err)
	}
}

// silent are options of a cluster whose checks are made by a connect alone; the checks would disturb.
func silent(mode codec.TLSMode, servers ...*server) Options {
	opt := options(servers...)
	opt.Protocol = unprobed{}
	opt.TLSMode = mode
	if mode >= codec.TLSPrefer {
		opt.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	return opt
}

// unprobed is PostgreSQL without a health check.
type unprobed struct{ postgres.Protocol }

func (unprobed) NewProbe(string) codec.Probe { return nil }

// serveCancel takes what may be a request for TLS and then a cancel request, and tells what it got.
func serveCancel(c net.Conn, cert tls.Certificate, offers bool, got chan<- string) {
	how, size := "plain ", 16
	first := make([]byte, 8)
	if _, err := io.ReadFull(c, first); err != nil {
		return // a health check
	}
	if request, accepted := (postgres.Protocol{}).AppendTLSRequest(nil); string(first) == string(request) {
		first = nil
		if offers {
			_, _ = c.Write([]byte{accepted})
			c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			how = "TLS "
		} else {
			_, _ = c.Write([]byte{'N'})
		}
	}
	rest := make([]byte, size-len(first))
	if _, err := io.ReadFull(c, rest); err != nil {
		return
	}
	got <- how + string(first) + string(rest)
	// The raw connection is closed behind this: without a goodbye of TLS, as servers do.
}

// certificate makes a certificate that signs itself.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
