package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
)

const wrongPassword = `password_authentication_failed_for_user_"ann"`

// visits are logins at Sluice, held at every cut.
var visits = []visitScript{
	{
		name: "trust",
		script: "op=More > START(user,ann,database,shop) op=Identify user=ann@shop client= key=4 identified(trust,nothing) " +
			"op=Welcome client= welcome op=Ready client=R(0),S(server_version=15.4),K(4),Z rest=\"\" refusal=<nil>",
	},
	{
		name:   "the database is the user's name unless it is given",
		script: "> START(user,ann,database,) op=Identify user=ann@ann",
	},
	{
		name: "settings, those in the options first",
		script: `> START(user,ann,DateStyle,ISO,options,-c geqo=off --search-path=a,application_name,x y) op=Identify ` +
			`settings=geqo:off;search_path:a;DateStyle:ISO;application_name:x_y`,
	},
	{
		name:   "options given twice: the last ones count, as with any parameter but those of a session",
		script: "> START(user,bob,user,ann,database,a,database,shop,options,-c geqo=off,options,-c jit=off) op=Identify user=ann@shop settings=jit:off",
	},
	{
		name: "SCRAM with a password",
		script: "> START(user,ann) identified(secret,clear:pw) client=R(10,SCRAM-SHA-256) op=More > first(pw) client=R(11) op=More " +
			"> final op=Welcome client= learned=32,32 refusal=<nil> welcome server-proof=true client=R(12),R(0),S(server_version=15.4),K(4),Z op=Ready",
	},
	{
		name: "SCRAM with a verifier",
		script: "> START(user,ann) identified(secret,scram:pw) client=R(10,SCRAM-SHA-256) > first(pw) client=R(11) " +
			"> final op=Welcome learned=32,32 welcome server-proof=true client=R(12),R(0),S(server_version=15.4),K(4),Z",
	},
	{
		name: "SCRAM with a password beyond ASCII",
		script: "> START(user,ann) identified(scram,scram:päß\u00adword\u00aa) > first(päßworda) " +
			"> final op=Welcome welcome server-proof=true",
	},
	{
		name:   "SCRAM with a wrong password, and a password known",
		script: "> START(user,ann) identified(secret,clear:pw) > first(no) > final op=Close client=R(10,SCRAM-SHA-256),R(11),E(28P01) refusal=" + wrongPassword + " learned=0,0",
	},
	{
		name:   "SCRAM with a wrong password, and a verifier known",
		script: "> START(user,ann) identified(secret,scram:pw) > first(no) > final op=Close client=R(10,SCRAM-SHA-256),R(11),E(28P01) refusal=" + wrongPassword + " learned=0,0",
	},
	{
		name:   "pitfall 40: SCRAM of an unknown user goes as with a wrong password",
		script: "> START(user,ann) identified(secret,unknown) > first(pw) > final op=Close client=R(10,SCRAM-SHA-256),R(11),E(28P01) refusal=" + wrongPassword,
	},
	{
		name:   "pitfall 40: SCRAM of a user without any secret goes as with a wrong password",
		script: "> START(user,ann) identified(secret,nothing) > first(pw) > final op=Close client=R(10,SCRAM-SHA-256),R(11),E(28P01) refusal=" + wrongPassword,
	},
	{
		name:   "pitfall 40: SCRAM is asked for, and only an md5 hash is stored",
		script: "> START(user,ann) identified(scram,md5:pw) > first(pw) > final op=Close client=R(10,SCRAM-SHA-256),R(11),E(28P01) refusal=" + wrongPassword,
	},
	{
		name:   "pitfall 40: an unknown user where nobody is asked anything",
		script: "> START(user,ann) identified(trust,unknown) op=Close client=E(28P01) refusal=" + wrongPassword,
	},
	{
		name: "SCRAM with channel binding", tls: prefer,
		script: "> SSL op=ClientTLS client=S tls > START(user,ann) identified(secret,scram:pw) client=R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) " +
			"> first-plus(pw) client=R(11) > final op=Welcome welcome server-proof=true op=Ready",
	},
	{
		name: "SCRAM without channel binding, where it is offered", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(secret,scram:pw) > first(pw) > final op=Welcome",
	},
	{
		name: "pitfall 38: the offer of channel binding was taken away from the client", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(secret,scram:pw) > first-y(pw) op=Close client=S,R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256),E(28000)",
	},
	{
		name: "pitfall 38: a client that could bind, and there is nothing to bind to", tls: prefer,
		script: "> SSL tls-ed25519 > START(user,ann) identified(secret,scram:pw) client=S,R(10,SCRAM-SHA-256) > first-y(pw) > final op=Welcome",
	},
	{
		name:   "md5 with a password",
		script: "> START(user,ann) identified(md5,clear:pw) client=R(5) > md5(pw) op=Welcome learned=0,0 welcome client=R(0),S(server_version=15.4),K(4),Z",
	},
	{
		name:   "md5 with a hash, because that is what is stored",
		script: "> START(user,ann) identified(secret,md5:pw) client=R(5) > md5(pw) op=Welcome",
	},
	{
		name:   "md5 with a wrong password",
		script: "> START(user,ann) identified(md5,md5:pw) > md5(no) op=Close client=R(5),E(28P01) refusal=" + wrongPassword,
	},
	{
		name:   "md5 with a wrong password, and the password known",
		script: "> START(user,ann) identified(md5,clear:pw) > md5(no) op=Close client=R(5),E(28P01) refusal=" + wrongPassword,
	},
	{
		name:   "pitfall 40: md5 of an unknown user, whatever it says",
		script: "> START(user,ann) identified(md5,unknown) > md5() op=Close client=R(5),E(28P01) refusal=" + wrongPassword,
	},
	{
		name:   "md5 is enough, but only SCRAM can be checked",
		script: "> START(user,ann) identified(md5,scram:pw) client=R(10,SCRAM-SHA-256) > first(pw) > final op=Welcome",
	},
	{
		name: "a clear password", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,clear:pw) client=S,R(3) > p(pw) op=Welcome learned=pw0,0 welcome client=R(0),S(server_version=15.4),K(4),Z",
	},
	{
		name: "a clear password, and a verifier", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,scram:pw) > p(pw) op=Welcome learned=pw0,0",
	},
	{
		name: "a clear password, and an md5 hash", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,md5:pw) > p(pw) op=Welcome learned=pw0,0",
	},
	{
		name: "a wrong clear password", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,clear:pw) > p(no) op=Close client=S,R(3),E(28P01) learned=0,0 refusal=" + wrongPassword,
	},
	{
		name: "a wrong clear password, and a verifier", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,scram:pw) > p(no) op=Close refusal=" + wrongPassword,
	},
	{
		name: "a wrong clear password, and an md5 hash", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,md5:pw) > p(no) op=Close refusal=" + wrongPassword,
	},
	{
		name: "an empty clear password, and nothing is known", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,nothing) > p() op=Close refusal=" + wrongPassword,
	},
	{
		name: "pitfall 40: a clear password of an unknown user", tls: prefer,
		script: "> SSL tls > START(user,ann) identified(clear,unknown) client=S,R(3) > p(pw) op=Close client=E(28P01) refusal=" + wrongPassword,
	},
	{
		name: "a clear password without TLS", tls: prefer,
		script: "> START(user,ann) identified(clear,clear:pw) op=Close client=E(28000)",
	},
	{
		name: "a client certificate", tls: require,
		script: "> SSL tls(ann) > START(user,ann) identified(cert,nothing) op=Welcome client=S welcome op=Ready",
	},
	{
		name: "somebody else's certificate", tls: require,
		script: `> SSL tls(bob) > START(user,ann) identified(cert,nothing) op=Close client=S,E(28000) refusal=certificate_authentication_failed_for_user_"ann"`,
	},
	{
		name: "no client certificate", tls: require,
		script: "> SSL tls > START(user,ann) identified(cert,nothing) op=Close client=S,E(28000)",
	},
	{
		name: "pitfall 40: a certificate of an unknown user", tls: require,
		script: `> SSL tls(ann) > START(user,ann) identified(cert,unknown) op=Close client=S,E(28000) refusal=certificate_authentication_failed_for_user_"ann"`,
	},
	{
		name:   "no rule lets the user in",
		script: `> START(user,ann,database,shop) identified(reject,clear:pw) op=Close client=E(28000) refusal=no_rule_admits_user_"ann"_to_database_"shop"_without_TLS`,
	},
	{
		name:   "an answer ahead of its question",
		script: "> START(user,ann) > p(pw) op=Identify identified(md5,clear:pw) op=Close client=R(5),E(28P01)",
	},
	{
		name:   "pitfall 30: a cancel request",
		script: "> CANCEL(abcd) op=Cancel client=",
	},
	{
		name: "pitfall 30: a cancel request inside TLS, and one without it where it is required", tls: require,
		script: "> SSL op=ClientTLS tls > CANCEL(abcd) op=Cancel client=S",
	},
	{
		name: "pitfall 30: a cancel request without TLS where it is required", tls: require,
		script: "> CANCEL(abcd) op=Cancel client=",
	},
	{
		name:   "pitfall 32: a cancel request with the longest secret",
		script: "> CANCEL(" + strings.Repeat("s", 256) + ") op=Cancel client=",
	},
	{
		name:   "pitfall 32: a cancel request with too long a secret",
		script: "> CANCEL(" + strings.Repeat("s", 257) + ") op=Close client=",
	},
	{
		name:   "pitfall 32: protocol 3.2 has a longer key",
		script: "> START32(user,ann) op=Identify client= key=32 identified(trust,nothing) welcome client=R(0),S(server_version=15.4),K(32),Z",
	},
	{
		name:   "pitfall 34: options of the protocol are named, once, before the authentication",
		script: "> START32(user,ann,_pq_.x,1,_pq_.y,2) op=Identify client=v(3.2,_pq_.x,_pq_.y) settings= identified(md5,clear:pw) client=R(5)",
	},
	{
		name:   "pitfall 34: options of the protocol do not make the version newer",
		script: "> START(user,ann,_pq_.x,1) op=Identify client=v(3.0,_pq_.x) key=4",
	},
	{
		name:   "pitfall 34: a version newer than any",
		script: `> raw(\x00\x00\x00\x12\x00\x03\x27\x0fuser\x00ann\x00\x00) op=Identify client=v(3.2,) key=32 user=ann@ann`,
	},
	{
		name:   "pitfall 34: the version that was never used",
		script: `> raw(\x00\x00\x00\x12\x00\x03\x00\x01user\x00ann\x00\x00) op=Identify client= key=4`,
	},
	{
		name: "pitfall 35: bytes behind the TLS request", tls: prefer, whole: true,
		script: `> raw(\x00\x00\x00\x08\x04\xd2\x16\x2fX) op=Close client=E(08P01)`,
	},
	{
		name: "pitfall 35: bytes behind the GSS request", tls: prefer, whole: true,
		script: `> raw(\x00\x00\x00\x08\x04\xd2\x16\x30X) op=Close client=E(08P01)`,
	},
	{
		name: "pitfall 36: TLS without asking", tls: prefer, whole: true,
		script: `> raw(\x16\x03\x01\x02\x00\x01) op=ClientTLS client= rest="\x16\x03\x01\x02\x00\x01" tls op=More rest="" START(user,ann) op=Identify`,
	},
	{
		name:   "pitfall 36: TLS without asking, where there is none",
		script: `> raw(\x16\x03\x01\x02\x00\x01) op=Close client=`,
	},
	{
		name: "pitfall 37: GSS, then TLS", tls: prefer,
		script: "> GSS client=N > SSL client=S op=ClientTLS tls > START(user,ann) op=Identify",
	},
	{
		name:   "pitfall 37: GSS comes twice",
		script: "> GSS > GSS op=Close client=N,E(08P01)",
	},
	{
		name: "TLS is required, and the client does without", tls: require,
		script: "> START(user,ann) op=Close client=E(28000) refusal=this_listener_accepts_only_connections_with_TLS",
	},
	{
		name:   "pitfall 55: replication",
		script: "> START(user,ann,replication,database) op=Identify special=replication:database",
	},
	{
		name:   "pitfall 55: replication, of no kind",
		script: "> START(user,ann,replication,sometimes) op=Close client=E(22023)",
	},
	{
		name:   "pitfall 55: options that can't be",
		script: "> START(user,ann,options,-d 5) op=Close client=E(42601)",
	},
	{
		name:   "no user",
		script: "> START(database,shop) op=Close client=E(28000)",
	},
	{
		name:   "parameters without an end",
		script: `> raw(\x00\x00\x00\x11\x00\x03\x00\x00user\x00ann\x00) op=Close client=E(08P01)`,
	},
	{
		name:   "protocol 2",
		script: `> raw(\x00\x00\x00\x08\x00\x02\x00\x00) op=Close client=E(0A000)`,
	},
	{
		name:   "another protocol altogether",
		script: "> raw(GET / HTTP/1.1) op=Close client=",
	},
	{
		name:   "a query where a password is due",
		script: "> START(user,ann) identified(md5,clear:pw) > Q op=Close client=R(5),E(08P01)",
	},
	{
		name:   "a password that does not end where its message ends",
		script: `> START(user,ann) identified(md5,clear:pw) > raw(p\x00\x00\x00\x07a\x00b) op=Close client=R(5),E(08P01)`,
	},
	{
		name:   "a password without an end",
		script: `> START(user,ann) identified(md5,clear:pw) > raw(p\x00\x00\x00\x05a) op=Close client=R(5),E(08P01)`,
	},
	{
		name:   "a password of no length",
		script: `> START(user,ann) identified(md5,clear:pw) > raw(p\x00\x00\x00\x04) op=Close client=R(5),E(08P01)`,
	},
	{
		name:   "a password with a length that can't be",
		script: `> START(user,ann) identified(md5,clear:pw) > raw(p\x00\x00\x00\x03) op=Close client=R(5),E(08P01)`,
	},
	{
		name:   "a password that is too long",
		script: `> START(user,ann) identified(md5,clear:pw) > raw(p\x00\x01\x00\x01) op=Close client=R(5),E(08P01)`,
	},
	{
		name:   "a SASL message that is too long",
		script: `> START(user,ann) identified(scram,clear:pw) > raw(p\x00\x00\x04\x01) op=Close client=R(10,SCRAM-SHA-256),E(08P01)`,
	},
	{
		name:   "SCRAM, and the client waits for a word of the server first",
		script: `> START(user,ann) identified(scram,clear:pw) > raw(p\x00\x00\x00\x16SCRAM-SHA-256\x00\xff\xff\xff\xff) client=R(10,SCRAM-SHA-256),R(11) op=More > p(n,,n=,r=abc)`,
	},
	{
		name:   "SCRAM, and a first message without its length",
		script: `> START(user,ann) identified(scram,clear:pw) > raw(p\x00\x00\x00\x14SCRAM-SHA-256\x00\x00\x00) op=Close client=R(10,SCRAM-SHA-256),E(08P01)`,
	},
	{
		name:   "SCRAM, and a first message with another's length",
		script: `> START(user,ann) identified(scram,clear:pw) > raw(p\x00\x00\x00\x18SCRAM-SHA-256\x00\x00\x00\x00\x03n,) op=Close client=R(10,SCRAM-SHA-256),E(08P01)`,
	},
	{
		name:   "SCRAM, and a last message that is none",
		script: "> START(user,ann) identified(scram,clear:pw) > first(pw) > p(c) op=Close client=R(10,SCRAM-SHA-256),R(11),E(08P01)",
	},
	{
		name:   "refused before the client has said what it wants",
		script: "refuse(53300) op=More client= > START(user,ann) op=Close client=E(53300) refusal=no",
	},
	{
		name: "refused in the TLS handshake", tls: require,
		script: "> SSL op=ClientTLS client=S refuse(57P01) op=Close client= refusal=no",
	},
	{
		name:   "refused for being late, without a word",
		script: `> raw(\x00) refuse(08006) op=Close client= refusal=no`,
	},
	{
		name:   "refused for being late with the password",
		script: "> START(user,ann) identified(md5,clear:pw) refuse(08006) op=Close client=R(5),E(08006)",
	},
	{
		name:   "refused before it is known who that is",
		script: "> START(user,ann) refuse(53300) op=Close client=E(53300)",
	},
	{
		name:   "refused in place of the welcome: the proof's answer is not sent",
		script: "> START(user,ann) identified(secret,scram:pw) > first(pw) > final op=Welcome client=R(10,SCRAM-SHA-256),R(11) refuse(53300) op=Close client=E(53300)",
	},
	{
		name:   "refused in place of the welcome, in a server's words",
		script: "> START(user,ann) identified(trust,nothing) refuse-raw(ERROR,22023) op=Close client=E(22023) refusal=theirs",
	},
	{
		name:   "refused after a cancel request",
		script: "> CANCEL(abcd) refuse(57P01) op=Close client=",
	},
	{
		name:   "welcomed twice",
		script: "> START(user,ann) identified(trust,nothing) welcome op=Ready client=R(0),S(server_version=15.4),K(4),Z welcome op=Close client=",
	},
}

func TestGate(t *testing.T) {
	for _, s := range visits {
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

// TestGateRest hands over what stands behind the proof, however much of it comes with the proof.
func TestGateRest(t *testing.T) {
	behind := messages(t, codec.Client, "Q")
	for n := range len(behind) + 1 {
		v := visitScript{script: "> START(user,ann) identified(secret,scram:pw) > first(pw)"}.hold(t, whole)
		v.piece(append(v.packet("final", ""), behind[:n]...))
		v.act("welcome", "")
		if got := v.gate.Rest(); v.op != codec.OpReady || string(got) != string(behind[:n]) {
			t.Errorf("%v: got %q, want %q", v.op, got, behind[:n])
		}
	}
}

// TestGateEarlyLimit reaches the limit of what a client may send ahead of its turn, wherever it has
// to wait.
func TestGateEarlyLimit(t *testing.T) {
	for _, script := range []string{"> START(user,ann)", "> START(user,ann) identified(trust,nothing)"} {
		for _, n := range []int{maxEarly, maxEarly + 1} {
			v := visitScript{script: script}.hold(t, whole)
			op := v.gate.Client(make([]byte, n))
			if got, want := op == codec.OpClose, n > maxEarly; got != want {
				t.Errorf("%s: %d bytes: op %v", script, n, op)
			}
			var e codec.Error
			if err := v.gate.Refusal(); n > maxEarly && (!errors.As(err, &e) || e.Cond != codec.ProtocolError) {
				t.Errorf("%s: refusal %v", script, err)
			}
		}
	}
}

// TestGateCancelTarget reads the key of a cancel request that Sluice itself has made (pitfall 32).
func TestGateCancelTarget(t *testing.T) {
	for _, n := range []int{1, 4, 32, 256} {
		want := codec.Key{ID: 0xdeadbeef, Secret: strings.Repeat("\xff", n)}
		g := Protocol{}.NewGate(&codec.GateConfig{})
		op := g.Client(Protocol{}.AppendCancel(nil, want))
		if op != codec.OpCancel || g.Target() != want {
			t.Errorf("%d bytes: %v, %v", n, op, g.Target())
		}
	}
}

// TestRefusedByServer gives a client the server's own words with the severity that they have here.
func TestRefusedByServer(t *testing.T) {
	const fatal = "SFATAL\x00VFATAL\x00C22023\x00Mtheirs\x00\x00"
	for body, want := range map[string]string{
		"SERROR\x00VERROR\x00C22023\x00Mtheirs\x00\x00":  fatal,
		"SFEHLER\x00VERROR\x00C22023\x00Mtheirs\x00\x00": fatal,
		"SERROR\x00C22023\x00Mtheirs\x00\x00":            fatal,
		"SFATAL\x00VFATAL\x00C57P01\x00Mtheirs\x00\x00":  "SFATAL\x00VFATAL\x00C57P01\x00Mtheirs\x00\x00",
		"SPANIK\x00VPANIC\x00C57P01\x00Mtheirs\x00\x00":  "SPANIK\x00VPANIC\x00C57P01\x00Mtheirs\x00\x00",
		"SERROR\x00VERROR":                               "", // not whole
	} {
		got, ok := asFatal(string(message('E', body)))
		if ok != (want != "") || ok && string(got) != string(message('E', want)) {
			t.Errorf("%q: got %q", body, got)
		}
	}
	for _, raw := range []string{"", "E", "E\x00\x00\x00\x06S", "N\x00\x00\x00\x05\x00", "E\xff\xff\xff\xff\x00"} {
		if msg, ok := asFatal(raw); ok {
			t.Errorf("%q: got %q", raw, msg)
		}
	}
	v := visitScript{script: "> START(user,ann) identified(trust,nothing)"}.hold(t, whole)
	v.done(v.gate.Refuse(codec.Error{Cond: codec.NoBackend, Text: "ours", Raw: "broken"}))
	if got := v.look("client"); got != "E(08006)" {
		t.Errorf("got %s", got)
	}
}

// TestSettingsRefused tells the client that it was let in, before it is told what is wrong with the
// settings that it asked for.
func TestSettingsRefused(t *testing.T) {
	v := visitScript{script: "> START(user,ann) identified(trust,nothing)"}.hold(t, whole)
	raw := string(message('E', "SERROR\x00C42704\x00Mno such setting\x00\x00"))
	v.done(v.gate.Refuse(codec.Error{Cond: codec.ProtocolError, Text: "theirs", Raw: raw}))
	if got := v.look("client"); got != "R(0),E(42704)" {
		t.Errorf("got %s", got)
	}
}

// TestRefusedWhileWorking ends a login by its deadline while Work runs elsewhere. The race detector
// looks on.
func TestRefusedWhileWorking(t *testing.T) {
	v := visitScript{tls: prefer, script: "> SSL tls > START(user,ann) identified(clear,clear:pw)"}.hold(t, whole)
	if op := v.gate.Client(message('p', "late\x00")); op != codec.OpWork {
		t.Fatalf("op %v", op)
	}
	done := make(chan bool)
	go func() {
		v.gate.Work()
		close(done)
	}()
	if op := v.gate.Refuse(codec.Error{Cond: codec.LoginTimeout, Text: "no"}); op != codec.OpClose {
		t.Errorf("Refuse: %v", op)
	}
	<-done
	if op := v.gate.Worked(); op != codec.OpClose || describeGate(v.gate.Take()) != "E(08006)" {
		t.Errorf("Worked: %v", op)
	}
}

// TestNothingFitsNoSecret lets nobody in by keys that were not derived, where none are stored.
func TestNothingFitsNoSecret(t *testing.T) {
	for _, d := range []dialog{{known: true}, {known: true, secret: codec.Secret{Verifier: "SCRAM-SHA-256$broken"}}} {
		d.verify([32]byte{}, "ann", "")
		if d.checkClear("ann") || d.checkMD5("ann", md5Answer(md5Verifier("", "ann"), d.md5Salt)) {
			t.Errorf("%q lets a client in", d.secret.Verifier)
		}
		if _, _, ok := d.scram.prove(d.verifier.stored, d.verifier.server); ok {
			t.Errorf("%q lets a client in by SCRAM", d.secret.Verifier)
		}
	}
}

// TestGateOutOfTurn calls methods that have no place where the login stands.
func TestGateOutOfTurn(t *testing.T) {
	for i, call := range []func(codec.Gate) codec.Op{
		func(g codec.Gate) codec.Op { return g.ClientSecured(codec.Peer{}) },
		func(g codec.Gate) codec.Op { return g.Identified(codec.Account{Method: codec.AuthTrust, Known: true}) },
		func(g codec.Gate) codec.Op { return g.Welcomed(nil, codec.Key{}) },
	} {
		g := Protocol{}.NewGate(&codec.GateConfig{})
		g.Start()
		if op := call(g); op != codec.OpClose {
			t.Errorf("call %d: got %v", i, op)
		}
	}
	v := visitScript{script: "> CANCEL(abcd)"}.hold(t, whole)
	if op := v.gate.Client([]byte("more")); op != codec.OpClose || v.gate.Rest() != nil {
		t.Errorf("bytes behind a cancel request: %v, rest %q", op, v.gate.Rest())
	}
	g := Protocol{}.NewGate(&codec.GateConfig{})
	g.Work()
	if op := g.Worked(); op != codec.OpMore {
		t.Errorf("Worked: %v", op)
	}
}

// TestPasswordWords has the very words of a server, which drivers and people look for.
func TestPasswordWords(t *testing.T) {
	v := visitScript{script: `> START(user,a"n) identified(trust,unknown)`}.hold(t, whole)
	want := string(message('E', "SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed for user \"a\"n\"\x00\x00"))
	if got := string(v.sent); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var e codec.Error
	if !errors.As(v.gate.Refusal(), &e) || e.Cond != codec.AuthFailed {
		t.Errorf("refusal %#v", v.gate.Refusal())
	}
	if s := fmt.Sprint(v.gate.Refusal()); strings.Contains(s, "%") {
		t.Error(s)
	}
}

// TestWhyDenied: the log says what the client is not told.
func TestWhyDenied(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"identified(secret,clear:pw) > first(no) > final", "the password is wrong"},
		{"identified(secret,scram:pw) > first(no) > final", "the password is wrong"},
		{"identified(md5,md5:pw) > md5(no)", "the password is wrong"},
		{"identified(clear,md5:pw) > p(no)", "the password is wrong"},
		{"identified(secret,unknown) > first(pw) > final", "there is no such user"},
		{"identified(trust,unknown)", "there is no such user"},
		{"identified(cert,unknown)", "there is no such user"},
		{"identified(secret,no-db-clear:pw) > first(pw) > final", "there is no such database"},
		{"identified(secret,nothing) > first(pw) > final", "no secret of the user is stored"},
		{"identified(scram,md5:pw) > first(pw) > final", "an md5 hash is stored, by which SCRAM-SHA-256 can't be checked"},
		{"identified(secret,broken) > first(pw) > final", "the stored secret is not a verifier that can be read"},
		{"identified(cert,clear:pw)", `the certificate is that of "bob"`},
	} {
		v := visitScript{tls: prefer, script: "> SSL tls(bob) > START(user,ann,database,shop) " + tt.script}.hold(t, whole)
		var told codec.Error
		err := v.gate.Refusal()
		if !errors.As(err, &told) || told.Cond != codec.AuthFailed {
			t.Errorf("%s: %v", tt.script, err)
			continue
		}
		if want := told.Text + ": " + tt.want + ` (database "shop")`; err.Error() != want {
			t.Errorf("%s: got %q, want %q", tt.script, err, want)
		}
		if strings.Contains(string(v.sent), tt.want) {
			t.Errorf("%s: the client was told %q", tt.script, v.sent)
		}
	}
	v := visitScript{script: "> START(user,ann) identified(cert,clear:pw)"}.hold(t, whole)
	if err := v.gate.Refusal(); !strings.Contains(err.Error(), "has shown no certificate") {
		t.Errorf("without a certificate: %v", err)
	}
}

// TestLongNamesInLog: who asks has proved nothing, and may have given names of thousands of bytes.
func TestLongNamesInLog(t *testing.T) {
	long := strings.Repeat("n", 4000)
	v := visitScript{script: "> START(user," + long + ",database," + long + ") identified(secret,unknown) > first(pw) > final op=Close"}.hold(t, whole)
	if text := v.gate.Refusal().Error(); len(text) > 2*maxMessageText || !strings.Contains(text, "there is no such user") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}
