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
		if f.sealed() && sendsClear(b[1:]) {
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

// maxChangeUser is the longest front of a COM_CHANGE_USER that is kept to see its plugin: the longest
// names of user, database and plugin, and 255 bytes of authentication data.
const maxChangeUser = 1536

// sealed tells that TLS is on for the client and off for the server.
func (f *Follower) sealed() bool { return f.facts.clientTLS && !f.facts.serverTLS }

// identity is who has a say in it whom the session becomes; nil if nobody has.
func (f *Follower) identity() codec.Identity {
	who, _ := f.watch.(codec.Identity)
	return who
}

// judgeChangeUser refuses a COM_CHANGE_USER to a user that the session may not be, and in a session that is sealed
// one that brings a clear password along. The name is judged before its end goes on: a server can do nothing with
// the front of it.
func (f *Follower) judgeChangeUser() error {
	if err := f.judgeName(); err != nil {
		return err
	}
	if f.sealed() {
		return f.judgeClear()
	}
	return nil
}

// judgeName asks whether the client may become the user that it names.
func (f *Follower) judgeName() error {
	who, b := f.identity(), *f.change
	if who == nil {
		return nil
	}
	name, _, named := cstring(b[min(1, len(b)):])
	switch {
	case !named && f.cli.ended(): // servers take it up to the end
		name = b[min(1, len(b)):]
	case !named && len(b) > maxChangeUser && !f.sealed(): // judgeClear says so else
		return errUserName
	case !named:
		return nil
	}
	if !f.sealed() {
		f.change = nil
	}
	return who.Becomes(string(name))
}

// judgeClear refuses a clear password.
func (f *Follower) judgeClear() error {
	plugin, auth, known := changeUserPlugin(*f.change, f.facts.caps, f.cli.ended())
	if !known {
		if len(*f.change) > maxChangeUser {
			return errChangeUser
		}
		return nil
	}
	f.change = nil
	request := len(auth) == 1 && (auth[0] == 0 || auth[0] == sha256RequestKey)
	if len(auth) > 0 && !request && (plugin == "" || sendsClear([]byte(plugin))) {
		return errChangeUser
	}
	return nil
}

// holdChangeUser tells whether a COM_CHANGE_USER at the front of p is to be kept until more has come.
func (f *Follower) holdChangeUser(p []byte) bool {
	end := headerLen + int(packetLen(p))
	_, _, known := changeUserPlugin(p[headerLen:min(len(p), end)], f.facts.caps, len(p) >= end)
	return !known && len(p) <= maxChangeUser
}

// changeUserPlugin reads the payload of a COM_CHANGE_USER up to its plugin. known is false if that has
// not come yet; whole tells that nothing will.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
func changeUserPlugin(b []byte, caps uint32, whole bool) (plugin string, auth []byte, known bool) {
	_, rest, ok := cstring(b[min(1, len(b)):]) // user
	if !ok {
		return "", b, whole
	}
	r := response{caps: caps &^ capPluginAuthLenenc} // here the length has one byte
	if auth, rest, ok = r.readAuth(rest); !ok {
		return "", b, whole
	}
	if _, rest, ok = cstring(rest); !ok || len(rest) < 2 { // database, collation
		return nativePlugin, auth, whole
	}
	if caps&capPluginAuth == 0 {
		return nativePlugin, auth, true
	}
	if name, _, ok := cstring(rest[2:]); ok || whole {
		if !ok {
			name = rest[2:]
		}
		return string(name), auth, true
	}
	return "", nil, false
}

// clearPlugin sends the password as it is.
//
// https://dev.mysql.com/doc/refman/8.0/en/cleartext-pluggable-authentication.html
const clearPlugin = "mysql_clear_password"

// clearPlugins are the plugins whose client sends the password, or what is as good as one, readable to
// who can read the connection. sha256_password does so where it sees TLS.
var clearPlugins = [...]string{
	clearPlugin,
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
