package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"sluice/codec"
)

// TestTLSChanges: what is new about the TLS of a cluster is counted, and a reload of the same is not.
func TestTLSChanges(t *testing.T) {
	shown := func(der string) []tls.Certificate { return []tls.Certificate{{Certificate: [][]byte{[]byte(der)}}} }
	trusted := func(der string) *x509.CertPool {
		p := x509.NewCertPool()
		p.AddCert(&x509.Certificate{Raw: []byte(der), RawSubject: []byte(der)})
		return p
	}
	opt := options()
	c := newCluster(t, opt)
	for _, step := range []struct {
		name   string
		change func()
		want   uint64
	}{
		{"nothing", func() {}, 0},
		{"on", func() { opt.TLSMode, opt.TLS = codec.TLSRequire, &tls.Config{} }, 1},
		{"read again", func() { opt.TLS = &tls.Config{} }, 1},
		{"an authority", func() { opt.TLS = &tls.Config{RootCAs: trusted("a")} }, 2},
		{"the same", func() { opt.TLS = &tls.Config{RootCAs: trusted("a")} }, 2},
		{"the mode", func() { opt.TLSMode = codec.TLSVerifyCA }, 3},
		{"another authority", func() { opt.TLS = &tls.Config{RootCAs: trusted("b")} }, 4},
		{"a certificate", func() { opt.TLS = &tls.Config{RootCAs: trusted("b"), Certificates: shown("x")} }, 5},
		{"the same again", func() { opt.TLS = &tls.Config{RootCAs: trusted("b"), Certificates: shown("x")} }, 5},
		{"another certificate", func() { opt.TLS = &tls.Config{RootCAs: trusted("b"), Certificates: shown("y")} }, 6},
		{"a name", func() {
			opt.TLS = &tls.Config{RootCAs: trusted("b"), Certificates: shown("y"), ServerName: "db"}
		}, 7},
		{"off", func() { opt.TLSMode, opt.TLS = codec.TLSDisable, nil }, 8},
	} {
		step.change()
		c.Update(opt)
		if got := c.TLSChanges(); got != step.want {
			t.Errorf("%s: %d changes, want %d", step.name, got, step.want)
		}
	}
}
