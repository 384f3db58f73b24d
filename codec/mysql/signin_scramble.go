package mysql

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"

	"filippo.io/edwards25519"
)

// scramble makes the proof for a plugin that mixes the password with the server's salt. An empty password
// is proved by nothing.
func (s *signin) scramble() ([]byte, error) {
	switch {
	case s.secret.known && s.secret.password == "":
		return nil, nil
	case len(s.salt) < saltLen:
		return nil, errors.New("the server's challenge is too short")
	case s.plugin == cachingSha2 && s.secret.known:
		return scrambleSha2(s.secret.password, s.salt[:saltLen]), nil
	case s.plugin == cachingSha2:
		return nil, s.unfit()
	case s.secret.known:
		stage1 := sha1.Sum([]byte(s.secret.password))
		return scrambleNative(stage1[:], s.salt[:saltLen]), nil
	case s.secret.stage1 != nil:
		return scrambleNative(s.secret.stage1, s.salt[:saltLen]), nil
	}
	return nil, s.unfit()
}

// scrambleNative is SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))); stage1 is SHA1(password).
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
func scrambleNative(stage1, salt []byte) []byte {
	stage2 := sha1.Sum(stage1)
	out := sha1.Sum(append(append([]byte(nil), salt...), stage2[:]...))
	for i := range out {
		out[i] ^= stage1[i]
	}
	return out[:]
}

// scrambleSha2 is SHA256(password) XOR SHA256(SHA256(SHA256(password)), salt).
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func scrambleSha2(password string, salt []byte) []byte {
	stage1 := sha256.Sum256([]byte(password))
	stage2 := sha256.Sum256(stage1[:])
	out := sha256.Sum256(append(stage2[:], salt...))
	for i := range out {
		out[i] ^= stage1[i]
	}
	return out[:]
}

// ed25519Challenge is the length of MariaDB's challenge, in bytes.
const ed25519Challenge = 32

// signByEd25519 signs a challenge as MariaDB's clients do: by Ed25519 (RFC 8032 section 5.1.6) with the
// SHA-512 of the password where RFC 8032 has the SHA-512 of a seed. The library signs by seeds only.
//
// https://mariadb.com/kb/en/authentication-plugin-ed25519/
func signByEd25519(password string, challenge []byte) ([]byte, error) {
	if len(challenge) < ed25519Challenge {
		return nil, errors.New("the server's challenge is too short")
	}
	challenge = challenge[:ed25519Challenge]
	expanded := sha512.Sum512([]byte(password))
	key, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	if err != nil {
		return nil, err
	}
	public := new(edwards25519.Point).ScalarBaseMult(key).Bytes()
	nonce, err := hashScalar(expanded[32:], challenge)
	if err != nil {
		return nil, err
	}
	commit := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	hash, err := hashScalar(commit, public, challenge)
	if err != nil {
		return nil, err
	}
	answer := edwards25519.NewScalar().MultiplyAdd(hash, key, nonce)
	return append(commit, answer.Bytes()...), nil
}

// hashScalar is the SHA-512 of all parts as a scalar.
func hashScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
}
