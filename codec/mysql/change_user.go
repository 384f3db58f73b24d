package mysql

import (
	"bytes"

	"sluice/codec"
)

// authAnswer judges a message of the dialogue that COM_CHANGE_USER begins: OK, a change of plugin, a
// next factor, or data of a plugin (which MariaDB sends without a mark in front).
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
func (f *Follower) authAnswer(b []byte, total uint32) error {
	if len(b) == 0 {
		return errAnswer
	}
	switch b[0] {
	case 0x00:
		return f.result(b)
	case 0x01:
		if total == 2 && b[1] == sha2Full && f.facts.clientTLS != f.facts.serverTLS {
			return errChangeUser // the password would come in the form for the wrong kind of channel
		}
		if total == 2 && b[1] == sha2Fast {
			return nil // OK follows by itself
		}
	case 0x02, 0xfe: // (0x02 may also be data of a plugin of MariaDB's, whose names it does not hold)
		if f.facts.clientTLS && !f.facts.serverTLS && sendsClear(b[1:]) {
			return errChangeUser
		}
	}
	if f.owed.n > 1 || !f.cli.atBoundary() {
		return errPipelined
	}
	f.dialogue = true
	return nil
}

// errChangeUser ends a session in which a follower, which can't rewrite, would have to let a clear
// password pass, or the wrong form of it.
var errChangeUser = codec.Error{
	Cond: codec.ClearPassword,
	Text: "COM_CHANGE_USER needs a password in full, and TLS is on for one side of the proxy only",
	Hint: "connect anew instead, or use TLS on both sides or none",
}

// clearPlugins are the plugins whose client sends the password, or what is as good as one, readable to
// who can read the connection. sha256_password does so where it sees TLS.
var clearPlugins = [...]string{
	"mysql_clear_password",
	"dialog",
	"sha256_password",
	"authentication_openid_connect_client",
}

// sendsClear tells whether b, cut to what is kept of a message, begins with the name of one of them.
func sendsClear(b []byte) bool {
	name, _, whole := bytes.Cut(b, []byte{0})
	for _, p := range clearPlugins {
		if string(name) == p || !whole && len(name) > 0 && len(name) < len(p) && p[:len(name)] == string(name) {
			return true
		}
	}
	return false
}

// What caching_sha2_password says in one byte of AuthMoreData.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
const (
	sha2RequestKey = 2 // client: send me your public key
	sha2Fast       = 3 // server: known, OK follows
	sha2Full       = 4 // server: send the password
)
