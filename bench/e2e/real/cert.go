package real

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs the certificates of one test run.
type Authority struct {
	CertFile string // PEM

	dir    string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// Pair is a certificate and its key: as files, and for crypto/tls.
type Pair struct {
	CertFile, KeyFile string // PEM
	TLS               tls.Certificate
}

// NewAuthority makes an authority that writes its files into dir.
func NewAuthority(dir string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, key: key, serial: 1, CertFile: filepath.Join(dir, "ca.crt")}
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "e2e authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, writePEM(a.CertFile, "CERTIFICATE", der, 0o644)
}

// Issue makes a certificate for name that serves both as a server's for localhost, 127.0.0.1 and the
// nodes of a Patroni cluster, and as a client's; the files are named after file. Keys are RSA:
// caching_sha2_password encrypts with the server's.
func (a *Authority) Issue(file, name string) (Pair, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Pair{}, err
	}
	a.serial++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1),
			net.IPv4(127, 0, 1, 1), net.IPv4(127, 0, 1, 2), net.IPv4(127, 0, 1, 3)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, err
	}
	return keep(a.dir, file, der, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

// SelfSigned makes a certificate that nobody vouches for, as those with which TiDB signs the tokens of sessions. TiDB
// takes the sort of its signature for that of its key. Ed25519 costs it a fraction of what RSA does.
func SelfSigned(dir, file, name string) (Pair, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, key)
	if err != nil {
		return Pair{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return keep(dir, file, der, "PRIVATE KEY", pkcs8)
}

// keep writes a certificate and its key into dir.
func keep(dir, file string, der []byte, kind string, key []byte) (p Pair, err error) {
	p = Pair{CertFile: filepath.Join(dir, file+".crt"), KeyFile: filepath.Join(dir, file+".key")}
	if err := writePEM(p.CertFile, "CERTIFICATE", der, 0o644); err != nil {
		return Pair{}, err
	}
	if err := writePEM(p.KeyFile, kind, key, 0o600); err != nil {
		return Pair{}, err
	}
	p.TLS, err = tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	return p, err
}

// Pool returns a pool with the authority in it.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// install copies the pair into dir under the names server.crt and server.key and gives it to owner;
// PostgreSQL insists on a key that is its own.
func (p Pair) install(dir string, owner *Account) error {
	for from, to := range map[string]string{p.CertFile: "server.crt", p.KeyFile: "server.key"} {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		dst := filepath.Join(dir, to)
		if err := os.WriteFile(dst, b, 0o600); err != nil {
			return err
		}
		if err := own(dst, owner); err != nil {
			return err
		}
	}
	return nil
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	return nil
}
