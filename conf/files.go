package conf

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
)

// CheckFiles returns what is wrong with the certificates, keys and user lists that c names, as Errors, or nil. It
// is apart from Check since files change while a configuration stays.
func (c *Config) CheckFiles() error {
	k := &checker{at: c.at, bad: map[string]bool{}}
	for i, cl := range c.Cluster {
		path := join(join("cluster", strconv.Itoa(i)), "tls")
		k.pair(path, cl.TLS.Cert, cl.TLS.Key)
		k.authorities(join(path, "ca"), cl.TLS.CA)
		path = join(join("cluster", strconv.Itoa(i)), "patroni")
		k.pair(join(path, "tls"), cl.Patroni.TLS.Cert, cl.Patroni.TLS.Key)
		k.authorities(join(path, "tls.ca"), cl.Patroni.TLS.CA)
		k.pair(join(path, "etcd"), cl.Patroni.Etcd.Cert, cl.Patroni.Etcd.Key)
		k.authorities(join(path, "etcd.ca"), cl.Patroni.Etcd.CA)
	}
	for i, l := range c.Listener {
		path := join(join("listener", strconv.Itoa(i)), "tls")
		k.pair(path, l.TLS.Cert, l.TLS.Key)
		k.authorities(join(path, "ca"), l.TLS.CA)
		if l.Auth.Userlist != "" {
			k.opens(join(join("listener", strconv.Itoa(i)), "auth.userlist"), l.Auth.Userlist)
		}
	}
	return k.found.sorted()
}

// pair reads a certificate and its key. A problem is told at the key of the file that has it; one of
// both together at cert.
func (k *checker) pair(path, cert, key string) {
	if cert == "" || key == "" {
		return
	}
	certOK := k.readable(join(path, "cert"), cert)
	if !k.readable(join(path, "key"), key) || !certOK {
		return
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		k.problem(join(path, "cert"), "%s with key %s: %s", cert, key, err)
	}
}

func (k *checker) readable(path, file string) bool {
	_, err := readFile(file)
	if err != nil {
		k.problem(path, "%s", err)
	}
	return err == nil
}

// opens finds out whether a file is there to be read: what is in it is not known here.
func (k *checker) opens(path, file string) {
	f, err := os.Open(file)
	if err != nil {
		k.problem(path, "%s", err)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		k.problem(path, "%s is a folder", file)
	}
}

func (k *checker) authorities(path, file string) {
	if file == "" {
		return
	}
	if _, err := Authorities(file); err != nil {
		k.problem(path, "%s", err)
	}
}

// Authorities reads a PEM file of certificates to trust.
func Authorities(file string) (*x509.CertPool, error) {
	pem, err := readFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}
