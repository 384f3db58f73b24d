package postgres

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	judge "github.com/xdg-go/scram"
)

// The judge of both sides of SCRAM is a library that knows nothing of them.

var judges sync.Map // its clients by password, because they keep the keys that they derive

// judgeOf returns the library's client with that password.
func judgeOf(t testing.TB, password string) *judge.Client {
	t.Helper()
	if c, ok := judges.Load(password); ok {
		return c.(*judge.Client)
	}
	client, err := judge.SHA256.NewClient("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	client.WithMinIterations(1).WithNonceGenerator(func() string { return "theclientsnonce" })
	c, _ := judges.LoadOrStore(password, client)
	return c.(*judge.Client)
}

// credentialsOf returns what a server stores of a password, by the library.
func credentialsOf(t testing.TB, password, salt string, iterations int) judge.StoredCredentials {
	t.Helper()
	stored, err := judgeOf(t, password).GetStoredCredentialsWithError(judge.KeyFactors{Salt: salt, Iters: iterations})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

const testSalt = "sixteen bytes of" // as PostgreSQL's

// storedVerifier returns the text that PostgreSQL stores of a password.
func storedVerifier(t testing.TB, password string) string {
	t.Helper()
	c := credentialsOf(t, password, testSalt, 4096)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", c.Iters, b64([]byte(c.Salt)), b64(c.StoredKey), b64(c.ServerKey))
}

// bindingOf returns what the library binds to if that certificate was shown.
func bindingOf(t testing.TB, der []byte) judge.ChannelBinding {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	binding, err := judge.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	return binding
}

// selfSigned returns a certificate, signed by that curve's usual function.
func selfSigned(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func selfSignedBy(t testing.TB, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, key)
}

var certificates sync.Map // by their kind

// certificate returns a certificate that can be bound to.
func certificate(t testing.TB) []byte {
	t.Helper()
	if der, ok := certificates.Load("p256"); ok {
		return der.([]byte)
	}
	der, _ := certificates.LoadOrStore("p256", selfSignedBy(t, elliptic.P256()))
	return der.([]byte)
}

// certificateEd25519 returns one whose signature has no hash function, so that it can't.
func certificateEd25519(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, key)
}

// TestEndpointHash agrees with the library on what a certificate's hash is, by the function that it
// is signed with.
func TestEndpointHash(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		der := selfSignedBy(t, curve)
		for range 2 { // the second time without parsing
			if got, want := endpointHash(der), bindingOf(t, der).Data; string(got) != string(want) {
				t.Errorf("%s: got %x, want %x", curve.Params().Name, got, want)
			}
		}
	}
	for _, der := range [][]byte{nil, []byte("not a certificate"), certificateEd25519(t)} {
		if got := endpointHash(der); got != nil {
			t.Errorf("%.20q: got %x", der, got)
		}
	}
}
