package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"testing"
	"time"
)

// newCert makes a certificate for the tests' servers, once.
var newCert = sync.OnceValues(func() (tls.Certificate, error) { return makeCert(0) })

// testCert is a certificate for the tests' servers.
func testCert(t testing.TB) tls.Certificate {
	t.Helper()
	cert, err := newCert()
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// makeCert makes a self-signed certificate with so many bytes of ballast.
func makeCert(ballast int) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
	}
	if ballast > 0 {
		tmpl.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Value: make([]byte, ballast)}}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
