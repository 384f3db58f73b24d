package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"testing"
)

// TestTLSKeyUpdate has a client change its keys in the middle of a connection and ask for the same
// (https://www.rfc-editor.org/rfc/rfc8446#section-4.6.3): the answer comes although nobody here wrote
// anything, and both directions go on under new keys. crypto/tls never changes its keys by itself, so
// the client's records are made by hand, and sent byte by byte.
func TestTLSKeyUpdate(t *testing.T) {
	l := one(t)
	c, far := connect(t, l, hooks{data: func(c *Conn, p []byte) { c.Write(p) }})
	done := startTLS(t, c, testConfig(t, tls.VersionTLS13), true)
	var keys bytes.Buffer
	cfg := testConfig(t, tls.VersionTLS13)
	cfg.KeyLogWriter = &keys
	conn := tls.Client(far, cfg)
	echoTLS(t, conn, 10) // one record of the client's
	if err := await(t, done, "the handshake"); err != nil {
		t.Fatal(err)
	}
	if id := conn.ConnectionState().CipherSuite; id != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("this test speaks TLS_AES_128_GCM_SHA256, the connection %s", tls.CipherSuiteName(id))
	}
	client := trafficKey{secret: logged(t, keys.String(), "CLIENT_TRAFFIC_SECRET_0"), seq: 1}
	server := trafficKey{secret: logged(t, keys.String(), "SERVER_TRAFFIC_SECRET_0")}

	const handshake, data = 22, 23
	keyUpdate := []byte{24, 0, 0, 1, 1} // type, length, update_requested
	wire := fragments{far, 1}
	if _, err := wire.Write(client.seal(t, handshake, keyUpdate)); err != nil {
		t.Fatal(err)
	}
	client.update(t)
	if _, err := wire.Write(client.seal(t, data, []byte("under the new key"))); err != nil {
		t.Fatal(err)
	}

	kind, p := server.open(t, far, 16) // behind tickets and the echo, whose number is crypto/tls's affair
	if kind != handshake || !bytes.Equal(p, []byte{24, 0, 0, 1, 0}) {
		t.Fatalf("the answer is of type %d: %x", kind, p)
	}
	server.update(t)
	if kind, p = server.open(t, far, 1); kind != data || string(p) != "under the new key" {
		t.Errorf("the echo is of type %d: %q", kind, p)
	}
}

// logged finds a secret in a key log.
func logged(t *testing.T, log, name string) []byte {
	t.Helper()
	for line := range strings.Lines(log) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
	}
	t.Fatalf("no %s in the key log", name)
	return nil
}

// trafficKey encrypts or decrypts one direction of a TLS 1.3 connection.
type trafficKey struct {
	secret []byte
	seq    uint64
}

// label is HKDF-Expand-Label without a context (RFC 8446, section 7.1).
func (k *trafficKey) label(t *testing.T, name string, size int) []byte {
	t.Helper()
	name = "tls13 " + name
	info := append([]byte{0, byte(size), byte(len(name))}, name...)
	out, err := hkdf.Expand(sha256.New, k.secret, string(append(info, 0)), size)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// update takes the next key.
func (k *trafficKey) update(t *testing.T) {
	k.secret, k.seq = k.label(t, "traffic upd", sha256.Size), 0
}

// cipher returns the present key's cipher and the present record's nonce.
func (k *trafficKey) cipher(t *testing.T) (aead cipher.AEAD, nonce []byte) {
	t.Helper()
	block, err := aes.NewCipher(k.label(t, "key", 16))
	if err == nil {
		aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		t.Fatal(err)
	}
	nonce = k.label(t, "iv", 12)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^k.seq)
	return aead, nonce
}

// seal makes one record.
func (k *trafficKey) seal(t *testing.T, kind byte, p []byte) []byte {
	t.Helper()
	aead, nonce := k.cipher(t)
	k.seq++
	size := len(p) + 1 + aead.Overhead()
	header := []byte{23, 3, 3, byte(size >> 8), byte(size)}
	return aead.Seal(header, nonce, append(bytes.Clone(p), kind), header)
}

// open reads one record, whose number is one of the next few.
func (k *trafficKey) open(t *testing.T, r io.Reader, few int) (kind byte, p []byte) {
	t.Helper()
	header := make([]byte, 5)
	if _, err := io.ReadFull(r, header); err != nil {
		t.Fatal(err)
	}
	sealed := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(r, sealed); err != nil {
		t.Fatal(err)
	}
	for range few {
		aead, nonce := k.cipher(t)
		k.seq++
		if p, err := aead.Open(nil, nonce, sealed, header); err == nil {
			return p[len(p)-1], p[:len(p)-1]
		}
	}
	t.Fatal("a record does not open")
	return 0, nil
}
