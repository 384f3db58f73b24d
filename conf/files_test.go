package conf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCheckFiles lets a listener name certificates in all states that they can be in.
func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir, "a")
	certificate(t, dir, "b")
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, tls string
		want      string // "" = nothing wrong; else the beginning and a part of what is
		part      string
	}{
		{"good", `cert = "a.crt", key = "a.key", ca = "b.crt"`, "", ""},
		{"no certificate there", `cert = "x.crt", key = "a.key"`, "13:26: listener.tls.cert: ", "no such file"},
		{"no key there", `cert = "a.crt", key = "x.key"`, "13:42: listener.tls.key: ", "no such file"},
		{"another's key", `cert = "a.crt", key = "b.key"`, "13:26: listener.tls.cert: ", "private key does not match public key"},
		{"not PEM", `cert = "empty", key = "a.key"`, "13:26: listener.tls.cert: ", "failed to find any PEM data"},
		{"no authorities there", `cert = "a.crt", key = "a.key", ca = "x"`, "13:57: listener.tls.ca: ", "no such file"},
		{"authorities not PEM", `cert = "a.crt", key = "a.key", ca = "empty"`, "13:57: listener.tls.ca: ", "holds no PEM certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := good + "listen = \":1\"\n" + `tls = {mode = "require", ` + tt.tls + "}"
			name := filepath.Join(dir, "f")
			c, err := Parse(name, []byte(file), nil)
			if err != nil {
				t.Fatal(err)
			}
			err = c.CheckFiles()
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), name+":"+tt.want) || !strings.Contains(err.Error(), tt.part) {
				t.Errorf("got %v, want %s … %s", err, tt.want, tt.part)
			}
		})
	}
}

// TestCheckFilesOfCluster: the side towards the servers is looked at as well.
func TestCheckFilesOfCluster(t *testing.T) {
	file := "[[cluster]]\nname = \"db\"\nprotocol = \"mysql\"\nbackends = [{addr = \"a:1\"}]\n" +
		"tls = {mode = \"verify-ca\", cert = \"x\", key = \"x\", ca = \"x\"}"
	c, err := Parse(filepath.Join(t.TempDir(), "f"), []byte(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckFiles()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v, want three problems", err)
	}
}

// certificate writes a new one, signed by itself, and its key to name.crt and name.key.
func certificate(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ending, block := range map[string]*pem.Block{
		".crt": {Type: "CERTIFICATE", Bytes: cert},
		".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name+ending), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
