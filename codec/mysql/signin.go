package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// tokenPlugin takes a token that another TiDB has signed in place of a password.
//
// https://docs.pingcap.com/tidb/stable/tidb-configuration-file#session-token-signing-cert
const tokenPlugin = "tidb_session_token"

// ed25519Plugin is MariaDB's.
//
// https://mariadb.com/kb/en/authentication-plugin-ed25519/
const ed25519Plugin = "client_ed25519"

// maxRounds bounds what a server may ask in a login of Sluice's own.
const maxRounds = 8

// signin is a login of Sluice's own in place of a client, behind the greeting: it makes the response and
// answers what the server asks then.
type signin struct {
	account  *account
	database string
	caps     uint32
	ext      uint32
	secret   proof
	token    []byte // in place of a password; nil: none
	tls      bool
	clear    bool // the password may go over a connection without TLS

	plugin string
	salt   []byte
	rounds int
	keyed  bool // the server was asked for its key
	job    signJob
}

// signJob is a computation that would hold up a loop.
type signJob struct {
	kind signJobKind
	pem  []byte
	out  []byte
	err  error
}

type signJobKind uint8

const (
	signNothing signJobKind = iota
	signEncrypt             // the password by the server's public key
	signEd25519             // the salt by a key made of the password
)

// What a step of a signin comes to.
type signStep uint8

const (
	signSend signStep = iota // what was returned is to be sent, if anything
	signWork                 // work is to be called, then worked
	signDone                 // the server has agreed
)

// response makes the payload of the HandshakeResponse41. With an empty user's secret the server is given
// an empty proof; it then asks for the plugin that it wants.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
func (s *signin) response(g *greeting) ([]byte, error) {
	s.salt = g.salt
	if s.plugin = g.plugin; s.plugin == "" {
		s.plugin = nativePlugin
	}
	auth, err := s.first()
	if err != nil {
		return nil, err
	}
	s.flags(g)
	b := s.front()
	b = append(append(b, s.account.user...), 0)
	switch {
	case s.caps&capPluginAuthLenenc != 0:
		b = appendLenenc(b, uint64(len(auth)))
	case len(auth) > 0xff:
		return nil, errors.New("the server takes no proof of that length")
	default:
		b = append(b, byte(len(auth)))
	}
	b = append(b, auth...)
	if s.caps&capConnectWithDB != 0 {
		b = append(append(b, s.database...), 0)
	}
	if s.caps&capPluginAuth != 0 {
		b = append(append(b, s.plugin...), 0)
	}
	if s.caps&capConnectAttrs != 0 {
		attrs := s.account.attrs.Value()
		b = append(appendLenenc(b, uint64(len(attrs))), attrs...)
	}
	if s.caps&capZstd != 0 {
		b = append(b, s.account.zstdLevel)
	}
	return b, nil
}

// flags completes the flags that are about the login itself.
func (s *signin) flags(g *greeting) {
	s.caps &^= capSSL | capConnectWithDB | capPluginAuth | capPluginAuthLenenc | capConnectAttrs
	s.caps |= capProtocol41 | capSecureConnection | g.caps&(capPluginAuth|capPluginAuthLenenc)
	if s.token != nil {
		s.caps |= capPluginAuth | capPluginAuthLenenc // TiDB does not say so, but it understands
	}
	if s.tls {
		s.caps |= capSSL
	}
	if s.database != "" {
		s.caps |= capConnectWithDB
	}
	if s.account.attrs.Value() != "" {
		s.caps |= g.caps & capConnectAttrs
	}
}

// front makes the fixed part of a response, which is also the request for TLS.
func (s *signin) front() []byte {
	b := make([]byte, responseMin, responseMin+256)
	putResponseCaps(b, s.caps, s.ext)
	binary.LittleEndian.PutUint32(b[4:], s.account.maxPacket)
	b[8] = s.account.collation
	return b
}

// first makes the proof that goes with the response.
func (s *signin) first() ([]byte, error) {
	switch {
	case s.token != nil:
		s.plugin = tokenPlugin
		return s.token, nil
	case s.plugin == nativePlugin, s.plugin == cachingSha2 && s.secret.known:
		return s.scramble()
	}
	// Any other plugin takes the server's word first: it gets nothing that it did not ask for by name.
	if s.plugin = nativePlugin; s.secret.known && s.secret.password == "" {
		return nil, nil
	}
	return s.scramble()
}

// on takes a packet of the server behind the response.
func (s *signin) on(b []byte) (reply []byte, step signStep, err error) {
	if s.rounds++; s.rounds > maxRounds {
		return nil, 0, errors.New("the server asks without end")
	}
	if len(b) == 0 {
		return nil, 0, errors.New("an empty packet in the login")
	}
	switch b[0] {
	case 0x00:
		return nil, signDone, nil
	case 0xff:
		no, text := parseErr(b)
		return nil, 0, &serverFail{no, text}
	case 0xfe:
		return s.change(b[1:])
	case 0x01:
		return s.more(b[1:])
	}
	return nil, 0, fmt.Errorf("the server asks for something that is not known, by %s", s.plugin)
}

// change takes an AuthSwitchRequest.
func (s *signin) change(b []byte) (reply []byte, step signStep, err error) {
	name, salt, ok := cstring(b)
	if !ok || s.token != nil {
		return nil, 0, errors.New("the server does not take the proof that there is")
	}
	s.plugin, s.salt, s.keyed = string(name), bytes.Clone(bytes.TrimSuffix(salt, []byte{0})), false
	switch s.plugin {
	case nativePlugin, cachingSha2:
		reply, err = s.scramble()
	case clearPlugin:
		reply, err = s.password()
	case ed25519Plugin:
		if !s.secret.known {
			return nil, 0, s.unfit()
		}
		s.salt = bytes.Clone(salt) // all of it, 32 bytes
		s.job = signJob{kind: signEd25519}
		return nil, signWork, nil
	default:
		return nil, 0, s.unfit()
	}
	return reply, signSend, err
}

// more takes what a plugin says further: of those here only caching_sha2_password does.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func (s *signin) more(b []byte) (reply []byte, step signStep, err error) {
	switch {
	case s.plugin != cachingSha2 || len(b) == 0:
		return nil, 0, s.unfit()
	case s.keyed:
		s.job = signJob{kind: signEncrypt, pem: bytes.Clone(b)}
		s.keyed = false
		return nil, signWork, nil
	case len(b) == 1 && b[0] == sha2Fast:
		return nil, signSend, nil // OK follows by itself
	case len(b) != 1 || b[0] != sha2Full:
		return nil, 0, s.unfit()
	case s.tls || s.clear:
		reply, err = s.password()
		return reply, signSend, err
	}
	if !s.secret.known {
		return nil, 0, s.unfit()
	}
	s.keyed = true
	return []byte{sha2RequestKey}, signSend, nil
}

// password makes the password in clear, with its terminator.
func (s *signin) password() ([]byte, error) {
	if !s.secret.known {
		return nil, s.unfit()
	}
	if !s.tls && !s.clear {
		return nil, errors.New("the password would cross a plain connection in clear")
	}
	return append([]byte(s.secret.password), 0), nil
}

// unfit says that what is known of the secret does not do for the plugin.
func (s *signin) unfit() error {
	return fmt.Errorf("what is known of the user's secret does not do for %s", s.plugin)
}

// work computes what is due. It may run on any goroutine.
func (s *signin) work() {
	switch j := &s.job; j.kind {
	case signEncrypt:
		j.out, j.err = encryptPassword(j.pem, append([]byte(s.secret.password), 0), s.salt)
	case signEd25519:
		j.out, j.err = signByEd25519(s.secret.password, s.salt)
	}
}

// worked returns what work has made.
func (s *signin) worked() (reply []byte, err error) {
	out, err := s.job.out, s.job.err
	s.job = signJob{}
	return out, err
}
