package mysql

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync"

	"sluice/codec"
)

// jobKind is what Work does.
type jobKind uint8

const (
	jobNone    jobKind = iota
	jobEncrypt         // the password by the server's public key
	jobOwnKey          // make Sluice's key pair, once in the life of the process
	jobDecrypt         // the client's password by Sluice's key
)

// job is a piece of RSA: what goes in and what comes out.
type job struct {
	kind jobKind
	pem  []byte // the server's public key
	blob []byte // encrypted password
	out  []byte
	err  error
}

// ownKeyBits is the size of Sluice's key: what MySQL's own servers generate.
const ownKeyBits = 2048

// ownKey is the key by which clients without TLS encrypt passwords for Sluice. It lives as long as the
// process, as a server's does.
var ownKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, ownKeyBits)
})

// work asks for a job to be done off the loop.
func (l *Login) work(k jobKind) codec.Op {
	l.auth.job.kind = k
	l.state = loginWork
	return codec.OpWork
}

// Work does the RSA that is due.
func (l *Login) Work() {
	j := &l.auth.job
	switch j.kind {
	case jobEncrypt:
		j.out, j.err = encryptPassword(j.pem, l.auth.password, l.auth.salt)
	case jobOwnKey:
		j.out, j.err = ownPublicKey()
	case jobDecrypt:
		j.out, j.err = decryptPassword(j.blob, l.auth.salt)
	}
}

// Worked goes on with what Work has found.
func (l *Login) Worked() codec.Op {
	if l.state != loginWork {
		return codec.OpClose
	}
	a := &l.auth
	kind, out, err := a.job.kind, a.job.out, a.job.err
	a.job = job{}
	l.state = loginExchange
	if err != nil {
		return l.tell(codec.Error{Cond: codec.TLSFailed, Text: "password exchange by RSA: " + err.Error()})
	}
	switch kind {
	case jobEncrypt:
		a.password, a.stage = nil, stagePass
		l.send(codec.Server, out)
	case jobOwnKey:
		a.stage = stageOwnBlob
		l.send(codec.Client, append([]byte{0x01}, out...))
		l.due = true
	case jobDecrypt:
		l.seen.clear(out)
		if a.held {
			a.held = false
			if op := l.replaceAuth(out, stagePass); op != codec.OpMore {
				return op
			}
			return l.secure()
		}
		a.stage = stagePass
		l.send(codec.Server, out)
	}
	return l.run()
}

var (
	errNotKey      = errors.New("the server sent no RSA public key")
	errNotPassword = errors.New("no password in what the client sent")
)

// encryptPassword encrypts a password as a client does: mixed with the salt, by RSA-OAEP with SHA-1.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func encryptPassword(key, password, salt []byte) ([]byte, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errNotKey
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errNotKey
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok || len(salt) == 0 {
		return nil, errNotKey
	}
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, public, mix(password, salt), nil)
}

// decryptPassword undoes it by Sluice's key.
func decryptPassword(blob, salt []byte) ([]byte, error) {
	key, err := ownKey()
	if err != nil {
		return nil, err
	}
	mixed, err := rsa.DecryptOAEP(sha1.New(), nil, key, blob, nil)
	if err != nil || len(mixed) == 0 || len(salt) == 0 {
		return nil, errNotPassword
	}
	return mix(mixed, salt), nil
}

// mix combines a password with the salt, over and over, by exclusive or.
func mix(password, salt []byte) []byte {
	out := make([]byte, len(password))
	for i := range out {
		out[i] = password[i] ^ salt[i%len(salt)]
	}
	return out
}

// ownPublicKey is Sluice's public key in PEM.
func ownPublicKey() ([]byte, error) {
	key, err := ownKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
