package postgres

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"sync/atomic"
)

// endpoint is a certificate and what a client binds to if that was shown.
type endpoint struct{ der, hash []byte }

// lastEndpoint spares the parsing: the certificate is the same for all logins until it is renewed,
// so that one is enough.
var lastEndpoint atomic.Pointer[endpoint]

// endpointHash returns tls-server-end-point of a certificate: its hash by the function that it was
// signed with, SHA-256 in place of weaker ones. nil if there is no such function (Ed25519): then
// channel binding can't be used.
//
// https://www.rfc-editor.org/rfc/rfc5929#section-4
func endpointHash(der []byte) []byte {
	if len(der) == 0 {
		return nil
	}
	if e := lastEndpoint.Load(); e != nil && bytes.Equal(e.der, der) {
		return e.hash
	}
	e := &endpoint{der: bytes.Clone(der), hash: hashEndpoint(der)}
	lastEndpoint.Store(e)
	return e.hash
}

func hashEndpoint(der []byte) []byte {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		sum := sha256.Sum256(der)
		return sum[:]
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		sum := sha512.Sum384(der)
		return sum[:]
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		sum := sha512.Sum512(der)
		return sum[:]
	}
	return nil
}
