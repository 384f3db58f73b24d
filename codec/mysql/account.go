package mysql

import (
	"encoding/binary"
	"unique"

	"sluice/codec"
)

// account is what a second login of a session takes, beside what was agreed on (facts).
type account struct {
	user     string
	database string // the one asked for in the login; a session may have left it since
	// attrs are the connection attributes as the client sent them, their length not included. Clients of
	// one program send the same, so they are held once.
	attrs     unique.Handle[string]
	proved    *proof // what the login has shown of the secret; nil: nothing
	maxPacket uint32
	collation uint8
	zstdLevel uint8
	switched  bool // the client has changed user since the login
}

// maxAttrs bounds the connection attributes that are kept, in bytes. MySQL itself keeps no more than 64
// KiB, and 512 bytes where it is not told otherwise. Longer ones are not shown to a second server.
//
// https://dev.mysql.com/doc/refman/8.0/en/performance-schema-connection-attribute-tables.html
const maxAttrs = 2 << 10

// proof is what a login has shown of a secret.
type proof struct {
	password string
	known    bool   // password is the password, which may be empty
	stage1   []byte // SHA1 of the password, good for mysql_native_password
}

// newAccount reads what is to be kept of a client's response.
func newAccount(r *response) account {
	a := account{
		user:      r.user,
		database:  r.database,
		maxPacket: binary.LittleEndian.Uint32(r.b[4:]),
		collation: r.b[8],
	}
	rest := r.b[r.authEnd:]
	if r.caps&capConnectWithDB != 0 {
		_, rest = lastString(rest)
	}
	if r.caps&capPluginAuth != 0 {
		_, rest = lastString(rest)
	}
	a.readTail(rest, r.caps)
	return a
}

// readTail reads what stands behind the plugin's name: attributes and the level of compression. Some
// clients get attributes wrong; those are left out.
func (a *account) readTail(b []byte, caps uint32) {
	a.attrs = unique.Make("")
	if caps&capConnectAttrs != 0 && len(b) > 0 {
		attrs, rest, ok := lenencBytes(b)
		if !ok {
			return
		}
		if len(attrs) <= maxAttrs {
			a.attrs = unique.Make(string(attrs))
		}
		b = rest
	}
	if caps&capZstd != 0 && len(b) > 0 {
		a.zstdLevel = b[0]
	}
}

// maxChangeKept bounds what is kept of a COM_CHANGE_USER, in bytes, until its answer has come.
const maxChangeKept = maxChangeUser + maxAttrs + 3

// changed takes over a COM_CHANGE_USER that the server has agreed to. b is its payload, cut to
// maxChangeKept.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
func (a *account) changed(b []byte, caps uint32) {
	*a = account{
		attrs: unique.Make(""), maxPacket: a.maxPacket, collation: a.collation, zstdLevel: a.zstdLevel,
		switched: true,
	}
	user, rest, ok := cstring(b[min(1, len(b)):])
	if !ok {
		return // without a name nothing can log in for it
	}
	a.user = string(user)
	r := response{caps: caps &^ capPluginAuthLenenc} // here the length has one byte
	if _, rest, ok = r.readAuth(rest); !ok {
		a.user = ""
		return
	}
	a.database, rest = lastString(rest)
	if len(rest) < 2 {
		return
	}
	if rest[1] == 0 { // a response has one byte for it
		a.collation = rest[0]
	}
	rest = rest[2:]
	if caps&capPluginAuth != 0 {
		_, rest = lastString(rest)
	}
	a.readTail(rest, caps&^capZstd)
}

// secret is what there is to prove who the session's user is: configured, or shown by the login.
func (a *account) secret(opt *codec.MoveOptions) (s proof, ok bool) {
	conf := secretOf(opt, a.user)
	if conf.Password != "" {
		return proof{password: conf.Password, known: true}, true
	}
	if a.proved != nil {
		return *a.proved, true
	}
	return proof{}, false
}
