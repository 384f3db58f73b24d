package mysql

import (
	"bytes"

	"sluice/codec"
)

// Plugins whose client sends the password in clear over TLS and encrypted by RSA without.
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
//   - https://dev.mysql.com/doc/refman/8.0/en/sha256-pluggable-authentication.html
const (
	cachingSha2 = "caching_sha2_password"
	sha256Plain = "sha256_password"
)

const capMultiFactor = 1 << 28

// sha256RequestKey asks for the server's key in sha256_password.
const sha256RequestKey = 1

// authStage is where Sluice stands in bringing a password from the form for one kind of channel into
// that for the other. It is not stagePass only with TLS on one side.
//
//	client on TLS, server plain:  clear ─▶ serverKey ─▶ pass
//	client plain, server on TLS:  ask ─▶ ownBlob ─▶ pass
type authStage uint8

const (
	stagePass      authStage = iota // packets pass as they are
	stageClear                      // the client is to send the password in clear
	stageServerKey                  // the server is to send its public key
	stageAsk                        // the client is to ask for a public key
	stageOwnBlob                    // the client is to send the password encrypted by Sluice's key
)

// auth is the authentication dialogue.
type auth struct {
	plugin   string
	salt     []byte
	stage    authStage
	job      job
	asked    bool   // the client on TLS has asked for the server's key by itself: it will encrypt
	held     bool   // the client's response waits for the password in it
	password []byte // with its terminator
}

// down: the client is on TLS, the server is not. up: the other way round.
func (l *Login) down() bool { return l.clientTLS && !l.serverTLS }
func (l *Login) up() bool   { return !l.clientTLS && l.serverTLS }

// initialAuth looks at the authentication data that come with the client's response.
func (l *Login) initialAuth() codec.Op {
	r, a := &l.response, &l.auth
	a.plugin = r.plugin
	empty := len(r.auth) == 0 || len(r.auth) == 1 && r.auth[0] == 0
	switch {
	case empty || !l.down() && !l.up():
	case r.plugin == sha256Plain && l.down():
		if len(r.auth) == 1 && r.auth[0] == sha256RequestKey {
			a.asked = true
			break
		}
		a.password = terminated(r.auth)
		return l.replaceAuth([]byte{sha256RequestKey}, stageServerKey)
	case r.plugin == sha256Plain && l.up():
		if len(r.auth) != 1 || r.auth[0] != sha256RequestKey {
			return l.refuseBlob()
		}
		a.held = true
		return l.work(jobOwnKey)
	case l.down() && sendsClear([]byte(r.plugin)):
		return l.refuseClear()
	}
	return codec.OpMore
}

// terminated returns a copy of a password with exactly one zero byte behind it, or more if it had more.
func terminated(b []byte) []byte {
	b = bytes.Clone(b)
	if b[len(b)-1] != 0 {
		b = append(b, 0)
	}
	return b
}

// replaceAuth puts other authentication data into the client's response.
func (l *Login) replaceAuth(auth []byte, next authStage) codec.Op {
	b, ok := l.response.withAuth(auth)
	if !ok {
		return l.fail("the password is too long for the client's form of response")
	}
	l.response.b, l.auth.stage = b, next
	return codec.OpMore
}

// serverAuth takes a packet of the server that is neither OK nor ERR.
func (l *Login) serverAuth(b []byte) codec.Op {
	a := &l.auth
	var code byte
	if len(b) > 0 {
		code = b[0]
	}
	more := len(b) == 2 && code == 0x01
	if more && b[1] == sha2Full && l.seen != nil {
		l.seen.full = true
	}
	switch {
	case code == 0xfe, code == 0x02 && l.greeting.caps&l.response.caps&capMultiFactor != 0:
		if op := l.switchPlugin(b[1:]); op != codec.OpMore {
			return op
		}
		l.seen.switched(a.plugin, a.salt, code == 0x02)
	case a.stage == stageServerKey:
		if code != 0x01 {
			return l.fail("the server did not send its public key")
		}
		a.job.pem = bytes.Clone(b[1:])
		return l.work(jobEncrypt)
	case more && b[1] == sha2Fast && a.plugin == cachingSha2:
		l.send(codec.Client, b) // OK follows by itself
		return codec.OpMore
	case more && b[1] == sha2Full && a.plugin == cachingSha2 && l.up():
		a.stage = stageAsk
	case more && b[1] == sha2Full && l.down():
		if a.plugin != cachingSha2 {
			return l.refuseClear() // a relation of its, such as tidb_sm3_password, without RSA
		}
		a.stage = stageClear
	}
	l.send(codec.Client, b)
	l.due = true
	return codec.OpMore
}

// switchPlugin takes an AuthSwitchRequest or AuthNextFactor behind its first byte.
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_switch_request.html
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_next_factor_request.html
func (l *Login) switchPlugin(b []byte) codec.Op {
	name, salt := lastString(b)
	l.auth = auth{plugin: name, salt: bytes.Clone(salt[:min(saltLen, len(salt))])}
	switch {
	case name == sha256Plain && l.down():
		l.auth.stage = stageClear
	case name == sha256Plain && l.up():
		l.auth.stage = stageAsk
	case l.down() && sendsClear([]byte(name)):
		return l.refuseClear()
	}
	return codec.OpMore
}

// onClient takes a packet of the client within the exchange.
func (l *Login) onClient(b []byte) codec.Op {
	l.due = false
	if l.pending != nil {
		return l.tell(*l.pending)
	}
	l.seen.client(b, l.clientTLS)
	a := &l.auth
	request := byte(sha2RequestKey)
	if a.plugin == sha256Plain {
		request = sha256RequestKey
	}
	asks := len(b) == 1 && b[0] == request
	empty := len(b) == 0 || len(b) == 1 && b[0] == 0
	switch a.stage {
	case stageClear:
		if empty || asks { // a client that asks for the key will encrypt by it
			a.stage = stagePass
			break
		}
		if b[len(b)-1] != 0 {
			return l.refuseClear() // not a whole password; in any case nothing to let through
		}
		a.password, a.stage = bytes.Clone(b), stageServerKey
		l.send(codec.Server, []byte{request})
		return codec.OpMore
	case stageAsk:
		if empty {
			a.stage = stagePass
			break
		}
		if !asks {
			return l.refuseBlob()
		}
		return l.work(jobOwnKey)
	case stageOwnBlob:
		a.job.blob = bytes.Clone(b)
		return l.work(jobDecrypt)
	}
	l.send(codec.Server, b)
	return codec.OpMore
}

// refuseClear ends a login in which a clear password would go on over a plain connection.
func (l *Login) refuseClear() codec.Op {
	return l.tell(codec.Error{
		Cond: codec.ClearPassword,
		Text: "the password would cross the plain connection to the server in clear",
		Hint: "use TLS towards the server as well, or another plugin than " + l.auth.plugin,
	})
}

// refuseBlob ends a login in which the password is encrypted by a key that Sluice does not hold.
func (l *Login) refuseBlob() codec.Op {
	return l.tell(codec.Error{
		Cond: codec.TLSRequired,
		Text: "the password is encrypted for the server, which expects it over TLS",
		Hint: "use TLS, or let the client ask for the public key",
	})
}
