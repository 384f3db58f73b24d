package mysql

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"slices"

	"sluice/codec"
)

// observed is what a Login takes down of the dialogue, so that the session can be moved: only the last
// proof of the client counts, and only if the server takes it.
type observed struct {
	account account
	plugin  string
	salt    []byte
	auth    []byte // what the client answered to the salt
	heard   bool   // it has answered
	full    bool   // caching_sha2_password: the password itself is asked for
	factors bool   // there is more than one proof
	proof   proof
}

// observe begins to take down.
func (l *Login) observe() {
	if l.cfg.Move == nil {
		return
	}
	l.seen = &observed{account: newAccount(&l.response), plugin: l.response.plugin, salt: l.greeting.salt}
	l.seen.client(l.response.auth, l.clientTLS) // nothing may mean no password, or that it waits to be asked
}

// switched notes that the server asks for a proof by a plugin.
func (o *observed) switched(plugin string, salt []byte, next bool) {
	if o == nil {
		return
	}
	o.plugin, o.salt, o.auth = plugin, bytes.Clone(salt), nil
	o.heard, o.full, o.proof = false, false, proof{}
	o.factors = o.factors || next
}

// client notes what the client has sent in the dialogue.
func (o *observed) client(b []byte, tls bool) {
	if o == nil {
		return
	}
	first := !o.heard
	o.heard = true
	whole := len(b) > 0 && b[len(b)-1] == 0
	switch {
	case first && (len(b) == 0 || len(b) == 1 && b[0] == 0):
		o.proof = proof{known: hashes(o.plugin)}
	case o.plugin == clearPlugin && whole, o.full && tls && whole, o.plugin == sha256Plain && tls && whole:
		o.clear(b)
	case first && o.plugin == nativePlugin:
		o.auth = bytes.Clone(b)
	}
}

// clear notes the password, with its terminator.
func (o *observed) clear(b []byte) {
	if o != nil && len(b) > 0 {
		o.proof = proof{password: string(b[:len(b)-1]), known: true}
	}
}

// hashes tells whether a plugin checks a password that never changes by itself, so that no answer at
// all means that there is none.
func hashes(plugin string) bool {
	return slices.Contains([]string{nativePlugin, cachingSha2, sha256Plain, "tidb_sm3_password"}, plugin)
}

// end returns the account, and what was shown of its secret that the configuration does not know.
func (o *observed) end(opt *codec.MoveOptions) account {
	conf := secretOf(opt, o.account.user)
	if !o.proof.known && o.plugin == nativePlugin {
		o.proof.stage1 = nativeStage1(conf.Verifier, o.salt, o.auth)
	}
	if conf.Password == "" && !o.factors && (o.proof.known || o.proof.stage1 != nil) {
		p := o.proof
		o.account.proved = &p
	}
	return o.account
}

// nativeStage1 finds SHA1(password) in an answer by mysql_native_password, which is
//
//	SHA1(password) XOR SHA1(salt, SHA1(SHA1(password)))
//
// and of which the last part is the verifier as servers store it: "*" and 40 hexadecimal digits.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
func nativeStage1(verifier string, salt, auth []byte) []byte {
	stage2 := nativeStage2(verifier)
	if stage2 == nil || len(auth) != sha1.Size {
		return nil
	}
	mask := sha1.Sum(append(bytes.Clone(salt), stage2...))
	for i := range mask {
		mask[i] ^= auth[i]
	}
	if check := sha1.Sum(mask[:]); !bytes.Equal(check[:], stage2) {
		return nil
	}
	return mask[:]
}

// nativeStage2 reads a verifier of mysql_native_password; nil if it is none.
func nativeStage2(verifier string) []byte {
	if len(verifier) != 1+2*sha1.Size || verifier[0] != '*' {
		return nil
	}
	b, err := hex.DecodeString(verifier[1:])
	if err != nil {
		return nil
	}
	return b
}

// secretOf is what the configuration knows of a user's secret.
func secretOf(opt *codec.MoveOptions, user string) codec.Secret {
	if opt.Secret == nil {
		return codec.Secret{}
	}
	return opt.Secret(user)
}
