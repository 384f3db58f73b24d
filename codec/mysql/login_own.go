package mysql

import (
	"bytes"
	"crypto/rand"
	"strings"

	"sluice/codec"
)

// Where a client is led depends on its user on some listeners, and in this protocol a server speaks before the
// client says who it is. There Sluice greets by itself, with what the servers have in common (common.go):
//
//	client ◀─ greeting: id and salt of Sluice's own
//	client ─▶ (TLS) response: user, an answer to that salt ─▶ OpDial
//	server ─▶ greeting: the salt that counts
//	server ◀─ (TLS) the response, with a plugin that no server knows
//	server ─▶ AuthSwitchRequest: the user's plugin, the server's salt ─▶ client
//
// The switch brings the client's plugin and the server's salt together; from there on the login goes on as any
// other. It costs a round trip.

// unknownPlugin is named to a server so that it asks for the user's own.
const unknownPlugin = "sluice_unknown_plugin"

// ownGreeting is what a login has in which Sluice greets by itself.
type ownGreeting struct {
	caps, ext uint32   // as the client was offered them
	said      response // as each server gets it
}

// greet tells the client what the servers have in common.
func (l *Login) greet() codec.Op {
	g, ok := parseGreeting(bytes.Clone(l.cfg.Greet.Common))
	if !ok || len(g.salt) != saltLen {
		return l.tell(codec.Error{Cond: codec.Internal, Text: "no server's greeting is known"})
	}
	caps := g.caps &^ capSSL
	if l.cfg.ClientTLS >= codec.TLSPrefer {
		caps |= capSSL
	}
	g.setCaps(caps, g.ext)
	g.setID(l.cfg.Greet.ID)
	g.setSalt(newSalt())
	l.own = &ownGreeting{caps: g.caps, ext: g.ext}
	l.send(codec.Client, g.b)
	l.greeted, l.due, l.state = true, true, loginResponse
	return codec.OpMore
}

// newSalt is a challenge of 20 bytes without zeros, which would end it.
func newSalt() (salt [saltLen]byte) {
	_, _ = rand.Read(salt[:]) // never fails
	for i := range salt {
		salt[i] = 1 + salt[i]%0x7e // nor '\x7f', nor a byte that is not ASCII
	}
	return salt
}

// answered takes the response to a greeting of Sluice's own: it is known now who the client is.
func (l *Login) answered(r response) codec.Op {
	said, ok := r.switching()
	if !ok {
		return l.fail("the password is too long for the client's form of response")
	}
	l.own.said, l.response = said, said
	l.state = loginDial
	return codec.OpDial
}

// switching returns the response as it makes a server ask for the user's plugin. What the client has answered to
// Sluice's salt does not go on: it may be the password itself. Its length does, as servers tell by it whether a
// password was used at all.
func (r *response) switching() (response, bool) {
	b, ok := r.withAuth(bytes.Repeat([]byte{'*'}, len(r.auth)))
	if !ok {
		return response{}, false
	}
	rest := r.b[r.authEnd:]
	b = b[:len(b)-len(rest)]
	if r.caps&capConnectWithDB != 0 {
		_, rest = lastString(rest)
		b = append(append(b, r.database...), 0)
	}
	if r.caps&capPluginAuth != 0 {
		_, rest = lastString(rest)
	}
	b = append(append(append(b, unknownPlugin...), 0), rest...)
	putResponseCaps(b, r.caps|capPluginAuth, r.ext)
	return parseResponse(b)
}

// meet logs in at a server whose greeting has come behind the client's response.
func (l *Login) meet(g greeting) codec.Op {
	o := l.own
	if lacks := o.lacks(&g); lacks != "" {
		e := codec.Error{Cond: codec.ServerNotSupport, Text: "the server lacks what was agreed on with the client: " + lacks}
		l.keep(numberOf(e.Cond), e.Text)
		l.refusal, l.state = e, loginDial
		return codec.OpRetry
	}
	l.masked, l.maskedExt = g.caps&^o.caps, g.ext&^o.ext
	id := l.cfg.Greet.ID
	if l.cfg.VisibleID != nil {
		id = l.cfg.VisibleID(g.id)
	}
	l.greeting = greeting{id: id, caps: g.caps & o.caps, ext: g.ext & o.ext, salt: g.salt, plugin: g.plugin, kind: g.kind}
	l.response = o.said
	l.response.b = bytes.Clone(o.said.b)
	l.auth = auth{plugin: unknownPlugin, salt: g.salt}
	l.observe()
	return l.secure()
}

// keep keeps an ERR for the client in case that no other server takes it.
func (l *Login) keep(no errNumber, text string) {
	l.kept = appendErr(nil, l.seq[codec.Client], true, no, text)
}

// keepRefusal is keep for the ERR of a server in place of its greeting.
func (l *Login) keepRefusal(b []byte) {
	no, text := parseErr(b)
	if no.state == "" {
		no.state = "HY000" // a server's first packet has none
	}
	l.keep(no, text)
}

// agreed are flags by which both sides frame what follows, or without which a switch can't be asked for.
var agreed = []struct {
	flag uint32
	name string
}{
	{capPluginAuth, "PLUGIN_AUTH"}, {capCompress, "COMPRESS"}, {capZstd, "ZSTD_COMPRESSION_ALGORITHM"},
	{capDeprecateEOF, "DEPRECATE_EOF"}, {capSecureConnection, "SECURE_CONNECTION"},
	{capPluginAuthLenenc, "PLUGIN_AUTH_LENENC_CLIENT_DATA"}, {capConnectAttrs, "CONNECT_ATTRS"},
	{capOptionalMetadata, "OPTIONAL_RESULTSET_METADATA"}, {capQueryAttributes, "QUERY_ATTRIBUTES"},
	{capMultiFactor, "MULTI_FACTOR_AUTHENTICATION"}, {1 << 23, "SESSION_TRACK"},
	{capMultiStatements, "MULTI_STATEMENTS"}, {1 << 17, "MULTI_RESULTS"},
	{1 << 18, "PS_MULTI_RESULTS"}, {1 << 7, "LOCAL_FILES"}, {capConnectWithDB, "CONNECT_WITH_DB"},
}

// lacks names what the client was offered and has taken, and the server does not have; "" if it has all.
func (o *ownGreeting) lacks(g *greeting) string {
	var names []string
	for _, a := range agreed {
		if o.said.caps&(o.caps|capPluginAuth)&^g.caps&a.flag != 0 {
			names = append(names, a.name)
		}
	}
	if o.said.ext&o.ext&^g.ext != 0 {
		names = append(names, "extended flags of MariaDB")
	}
	return strings.Join(names, ", ")
}
