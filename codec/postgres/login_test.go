package postgres

import (
	"strings"
	"testing"

	"sluice/codec"
)

const (
	disable = codec.TLSDisable
	prefer  = codec.TLSPrefer
	require = codec.TLSRequire
)

// logins are connection phases, held at every cut.
var logins = []loginScript{
	{
		name: "trust",
		script: "op=More > START(user,ann,database,shop) op=Dial user=ann@shop connected op=More server=START " +
			"< R(0) op=Ready client=R(0) rest=\"\",\"\" refusal=<nil>",
	},
	{
		name:   "the database is the user's name unless it is given",
		script: "> START(user,ann) op=Dial user=ann@ann",
	},
	{
		name:   "an empty database is none",
		script: "> START(user,ann,database,) op=Dial user=ann@ann",
	},
	{
		name: "a password",
		script: "> START(user,ann) connected server=START < R(3) client=R(3) op=More > p(secret) server=p " +
			"< R(0) op=Ready client=R(0)",
	},
	{
		name: "SCRAM",
		script: "> START(user,ann) connected server=START < R(10,SCRAM-SHA-256) client=R(10,SCRAM-SHA-256) " +
			"> p(SCRAM-SHA-256,n,,n=,r=abc) server=p < R(11) client=R(11) > p(c=biws) server=p " +
			"< R(12) client=R(12) R(0) op=Ready client=R(0)",
	},
	{
		name: "the client speaks before it hears that SCRAM has succeeded",
		script: "> START(user,ann) connected < R(10,SCRAM-SHA-256) > p(SCRAM-SHA-256,n,,n=,r=abc) " +
			"< R(11) > p(c=biws) < R(12) > Q op=More < R(0) op=Ready",
	},
	{
		name: "a password refused",
		script: "> START(user,ann) connected < R(3) > p(wrong) < E(28P01) op=Close client=R(3),E(28P01) " +
			"refusal=FATAL_28P01:_no",
	},
	{
		name:   "pitfall 37: GSS, then TLS, then plain",
		script: "> GSS client=N op=More SSL client=N op=More START(user,ann) op=Dial",
	},
	{
		name:   "pitfall 37: GSS comes twice",
		script: "> GSS client=N GSS op=Close client=E(08P01)",
	},
	{
		name:   "pitfall 37: TLS is asked for twice",
		script: "> SSL client=N SSL op=Close client=E(08P01)",
	},
	{
		name: "TLS with the client", client: prefer,
		script: "> GSS client=N SSL op=ClientTLS client=S client-tls(cert) op=More START(user,ann) op=Dial connected server=START",
	},
	{
		name: "TLS is preferred, and the client does without", client: prefer,
		script: "> START(user,ann) op=Dial",
	},
	{
		name: "TLS is required, and the client does without", client: require,
		script: "> START(user,ann) op=Close client=E(28000) refusal=this_listener_accepts_only_connections_with_TLS",
	},
	{
		name: "TLS is asked for inside TLS", client: require,
		script: "> SSL op=ClientTLS client-tls(cert) SSL op=Close client=S,E(08P01)",
	},
	{
		name: "GSS is asked for inside TLS", client: require,
		script: "> SSL op=ClientTLS client-tls(cert) GSS op=Close client=S,E(08P01)",
	},
	{
		name: "pitfall 35: bytes behind the client's TLS request", client: prefer, whole: true,
		script: `> raw(\x00\x00\x00\x08\x04\xd2\x16\x2fX) op=Close client=E(08P01)`,
	},
	{
		name: "pitfall 35: bytes behind a TLS request that would be declined", whole: true,
		script: `> raw(\x00\x00\x00\x08\x04\xd2\x16\x2fX) op=Close client=E(08P01)`,
	},
	{
		name: "pitfall 35: bytes behind the client's GSS request", whole: true,
		script: `> raw(\x00\x00\x00\x08\x04\xd2\x16\x30X) op=Close client=E(08P01)`,
	},
	{
		name: "pitfall 35: bytes behind the server's answer to the TLS request", server: prefer, whole: true,
		script: "> START(user,ann) connected server=SSL < raw(SX) op=Close client=E(08006)",
	},
	{
		name: "pitfall 36: TLS without asking", client: prefer, whole: true,
		script: `> raw(\x16\x03\x01\x02\x00\x01) op=ClientTLS client= rest="\x16\x03\x01\x02\x00\x01","" ` +
			`client-tls(cert) op=More raw(\x00) rest="","" raw(\x00\x00\x12\x00\x03\x00\x00) raw(user\x00ann\x00\x00) op=Dial user=ann@ann`,
	},
	{
		name: "pitfall 36: TLS without asking, then nothing but the startup", client: prefer, whole: true,
		script: `> raw(\x16) op=ClientTLS client-tls(cert) START(user,ann) op=Dial user=ann@ann`,
	},
	{
		name:   "pitfall 36: TLS without asking, where there is none",
		script: `> raw(\x16\x03\x01\x02\x00\x01) op=Close client=`,
	},
	{
		name: "pitfall 36: TLS without asking, after asking", client: prefer,
		script: `> GSS client=N raw(\x16\x03\x01\x02\x00) op=Close client=`,
	},
	{
		name: "pitfall 36: TLS inside TLS", client: prefer,
		script: `> SSL client-tls(cert) raw(\x16\x03\x01\x02\x00) op=Close client=S`,
	},
	{
		name: "pitfall 36: TLS without asking, inside TLS", client: prefer, whole: true,
		script: `> raw(\x16\x03\x01) op=ClientTLS client-tls(cert) raw(\x16\x03\x01\x02\x00) op=Close client=`,
	},
	{
		name: "TLS is required and used", client: require,
		script: "> SSL op=ClientTLS client=S client-tls(cert) START(user,ann) op=Dial",
	},
	{
		name: "TLS with the server", server: require,
		script: "> START(user,ann) connected server=SSL op=More < raw(S) op=ServerTLS server-tls(cert) server=START " +
			"< R(0) op=Ready client=R(0)",
	},
	{
		name: "TLS with the server is preferred, and it has none", server: prefer,
		script: "> START(user,ann) connected server=SSL < raw(N) op=More server=START < R(0) op=Ready",
	},
	{
		name: "TLS with the server is required, and it has none", server: require,
		script: "> START(user,ann) connected < raw(N) op=Close client=E(08006) refusal=the_server_does_not_offer_TLS",
	},
	{
		name: "the server answers the TLS request with an error: its words are not passed on", server: prefer,
		script: "> START(user,ann) connected < raw(E) op=Retry client= refused op=Close client=E(08006)",
	},
	{
		name: "the server answers the TLS request with nonsense", server: prefer,
		script: "> START(user,ann) connected < raw(J) op=Close client=E(08P01)",
	},
	{
		name:   "pitfall 38: no channel binding for a client without TLS",
		server: require,
		script: "> START(user,ann) connected < raw(S) server-tls(cert) R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) " +
			"client=R(10,SCRAM-SHA-256) > p(SCRAM-SHA-256,n,,n=,r=abc) server=SSL,START,p",
	},
	{
		name:   "pitfall 38: no channel binding if Sluice shows another certificate",
		client: prefer, server: prefer,
		script: "> SSL client-tls(ours) START(user,ann) connected < raw(S) server-tls(theirs) " +
			"R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) client=S,R(10,SCRAM-SHA-256) " +
			"> p(SCRAM-SHA-256,n,,n=,r=abc) server=SSL,START,p < R(11) > p(c=biws) < R(0) op=Ready",
	},
	{
		name:   "pitfall 38: the client would bind, and takes the missing offer as the server's",
		client: prefer, server: prefer,
		script: "> SSL client-tls(ours) START(user,ann) connected < raw(S) server-tls(theirs) " +
			"R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) > p(SCRAM-SHA-256,y,,n=,r=abc) op=Close " +
			"client=S,R(10,SCRAM-SHA-256),E(08006) server=SSL,START",
	},
	{
		name:   "pitfall 38: channel binding holds if Sluice shows the server's certificate",
		client: prefer, server: prefer,
		script: "> SSL client-tls(same) START(user,ann) connected < raw(S) server-tls(same) " +
			"R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) client=S,R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) " +
			"> p(SCRAM-SHA-256-PLUS,p=tls-server-end-point,,n=) server=SSL,START,p",
	},
	{
		name:   "pitfall 38: a certificate that is not known is another one",
		client: prefer, server: prefer,
		script: "> SSL client-tls START(user,ann) connected < raw(S) server-tls " +
			"R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) client=S,R(10,SCRAM-SHA-256)",
	},
	{
		name:   "only the first answer says what the client could do",
		client: prefer, server: prefer,
		script: "> SSL client-tls(ours) START(user,ann) connected < raw(S) server-tls(theirs) " +
			"R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) > p(SCRAM-SHA-256,n,,n=,r=abc) < R(11) > p(SCRAM-SHA-256,y,,) op=More",
	},
	{
		name:   "the certificate of a server that was given up is forgotten",
		client: prefer, server: prefer,
		script: "> SSL client-tls(same) START(user,ann) connected < raw(S) server-tls(same) connected < raw(N) " +
			"R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) client=S,R(10,SCRAM-SHA-256)",
	},
	{
		name:   "a client may say that it could bind where no offer was taken away",
		client: prefer,
		script: "> SSL client-tls(ours) START(user,ann) connected < R(10,SCRAM-SHA-256) " +
			"> p(SCRAM-SHA-256,y,,n=,r=abc) server=START,p",
	},
	{
		name: "a clear password does not cross a plain connection to the server", client: prefer,
		script: "> SSL client-tls(ours) START(user,ann) connected < R(3) op=Close client=S,E(28000)",
	},
	{
		name:   "a clear password goes as it would go directly, without TLS or with it on both sides",
		client: prefer, server: prefer,
		script: "> SSL client-tls(ours) START(user,ann) connected < raw(S) server-tls(theirs) R(3) op=More client=S,R(3)",
	},
	{
		name:   "pitfall 30: a cancel request",
		script: "> CANCEL(abcd) op=Cancel client=",
	},
	{
		name: "pitfall 30: a cancel request inside TLS", client: require,
		script: "> SSL op=ClientTLS client-tls(cert) CANCEL(abcd) op=Cancel client=S",
	},
	{
		name: "a cancel request without TLS where it is required", client: require,
		script: "> CANCEL(abcd) op=Cancel",
	},
	{
		name:   "pitfall 34: protocol 3.2, and a server that speaks 3.0",
		script: "> START32(user,ann,_pq_.x,1) op=Dial connected server=START32 < v client=v R(0) op=Ready client=R(0)",
	},
	{
		name:   "notices during the login",
		script: "> START(user,ann) connected < N R(3) client=N,R(3) > p(x) < N R(0) client=N,R(0) op=Ready",
	},
	{
		name: "a server with no room is replaced by another one",
		script: "> START(user,ann) connected server=START < E(53300) op=Retry client= connected op=More server=START " +
			"< E(57P03) op=Retry connected server=START < R(0) op=Ready client=R(0) refusal=<nil>",
	},
	{
		name:   "no server has room: the last one's words are passed on",
		script: "> START(user,ann) connected < E(57P03) op=Retry refused op=Close client=E(57P03) refusal=FATAL_57P03:_no",
	},
	{
		name:   "no server has room, and the client is told once",
		script: "> START(user,ann) connected < E(57P03) op=Retry refuse(53300) client=E(53300) refused op=Close client=",
	},
	{
		name:   "servers that can't take anybody, by their states",
		script: "> START(user,ann) connected < E(57P01) op=Retry connected < E(57P02) op=Retry connected < E(08004) op=Retry client=",
	},
	{
		name:   "a server that does not want this user is not replaced",
		script: "> START(user,ann) connected < E(28000) op=Close client=E(28000)",
	},
	{
		name:   "a server without a state in its error is not replaced",
		script: "> START(user,ann) connected < E() op=Close client=E()",
	},
	{
		name:   "a server is not replaced once the client has heard of it",
		script: "> START(user,ann) connected < v E(57P03) op=Close client=v,E(57P03)",
	},
	{
		name:   "a server that hangs is replaced while the client has heard nothing of it",
		script: "> START(user,ann) connected server=START connected op=More server=START < R(0) op=Ready client=R(0)",
	},
	{
		name: "a server that hangs in mid-answer, or on the way to TLS, is replaced as well", server: require,
		script: "> START(user,ann) connected server=SSL connected server=SSL < raw(S) op=ServerTLS connected server=SSL " +
			`< raw(S) server-tls(cert) server=START raw(R\x00) connected server=SSL < raw(S) server-tls(cert) R(0) op=Ready`,
	},
	{
		name:   "a server that hangs is not replaced once the client has heard of it",
		script: "> START(user,ann) connected < R(3) connected op=Close",
	},
	{
		name:   "no user",
		script: "> START(database,shop) op=Close client=E(28000)",
	},
	{
		name:   "an empty user",
		script: "> START(user,) op=Close client=E(28000)",
	},
	{
		name:   "parameters without an end",
		script: `> raw(\x00\x00\x00\x11\x00\x03\x00\x00user\x00ann\x00) op=Close client=E(08P01)`,
	},
	{
		name:   "bytes behind the end of the parameters",
		script: `> raw(\x00\x00\x00\x13\x00\x03\x00\x00user\x00ann\x00\x00x) op=Close client=E(08P01)`,
	},
	{
		name:   "a parameter without a value",
		script: `> raw(\x00\x00\x00\x0d\x00\x03\x00\x00user\x00) op=Close client=E(08P01)`,
	},
	{
		name:   "protocol 2",
		script: `> raw(\x00\x00\x00\x08\x00\x02\x00\x00) op=Close client=E(0A000)`,
	},
	{
		name:   "a packet that is too short",
		script: `> raw(\x00\x00\x00\x07) op=Close client=`,
	},
	{
		name:   "a packet that is too long",
		script: `> raw(\x00\x00\x27\x11) op=Close client=`,
	},
	{
		name:   "another protocol altogether",
		script: "> raw(GET / HTTP/1.1) op=Close client=",
	},
	{
		name:   "a TLS request of the wrong length",
		script: `> raw(\x00\x00\x00\x09\x04\xd2\x16\x2fx) op=Close client=`,
	},
	{
		name:   "a cancel request without a secret",
		script: `> raw(\x00\x00\x00\x0c\x04\xd2\x16\x2e\x00\x00\x00\x07) op=Close client=`,
	},
	{
		name:   "a cancel request with too long a secret",
		script: "> CANCEL(" + strings.Repeat("s", 257) + ") op=Close client=",
	},
	{
		name:   "a query where a password is due",
		script: "> START(user,ann) connected < R(3) > Q op=Close client=R(3),E(08P01) server=START",
	},
	{
		name:   "a password that is too long",
		script: `> START(user,ann) connected < R(3) > raw(p\x00\x01\x00\x01) op=Close client=R(3),E(08P01)`,
	},
	{
		name:   "a password with a length that can't be",
		script: `> START(user,ann) connected < R(3) > raw(p\x00\x00\x00\x03) op=Close client=R(3),E(08P01)`,
	},
	{
		name:   "a server that is not PostgreSQL",
		script: "> START(user,ann) connected < raw(J) op=Close client=E(08P01)",
	},
	{
		name:   "a server message that is too long",
		script: `> START(user,ann) connected < raw(R\x00\x01\x00\x01) op=Close client=E(08P01)`,
	},
	{
		name:   "an authentication request that is too short",
		script: `> START(user,ann) connected < raw(R\x00\x00\x00\x07abc) op=Close client=E(08P01)`,
	},
	{
		name: "a client that does not wait for its turn",
		script: "> START(user,ann) p(secret) Q op=Dial connected server=START < R(3) client=R(3) server=p " +
			"R(0) op=Ready",
	},
	{
		name:   "refused before the client has said what it wants",
		script: "refuse(53300) op=More client= > SSL client=N START(user,ann) op=Close client=E(53300) refusal=no",
	},
	{
		name: "refused before the client has asked for TLS", client: require,
		script: "refuse(57P01) op=More > SSL op=ClientTLS client=S client-tls(cert) op=More client= START(user,ann) op=Close client=E(57P01)",
	},
	{
		name: "refused in the TLS handshake", client: require,
		script: "> SSL op=ClientTLS client=S refuse(57P01) op=Close client= refusal=no",
	},
	{
		name:   "refused before a cancel request",
		script: "refuse(28000) op=More > CANCEL(abcd) op=Close client= refusal=no",
	},
	{
		name:   "refused for being late, without a word",
		script: `> raw(\x00) refuse(08006) op=Close client= refusal=no`,
	},
	{
		name:   "refused before there is a server",
		script: "> START(user,ann) op=Dial refuse(53300) op=Close client=E(53300)",
	},
	{
		name:   "refused for being late with the password",
		script: "> START(user,ann) connected < R(3) refuse(08006) op=Close client=R(3),E(08006)",
	},
	{
		name:   "refused after a cancel request",
		script: "> CANCEL(abcd) refuse(57P01) op=Close client=",
	},
	{
		name: "the handshake with the server fails", server: require,
		script: "> START(user,ann) connected < raw(S) op=ServerTLS refuse(08006) op=Close client=E(08006)",
	},
}

func TestLogins(t *testing.T) {
	for _, s := range logins {
		t.Run(strings.ReplaceAll(s.name, ":", ""), func(t *testing.T) {
			size := s.hold(t, whole).size
			if s.whole {
				return
			}
			for _, cut := range cuttings(size) {
				s.hold(t, cut)
			}
		})
	}
}
