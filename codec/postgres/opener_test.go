package postgres

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"sluice/codec"
)

// configOf is what an opener of ann's knows.
func configOf(mode codec.TLSMode, secret codec.Secret) codec.OpenerConfig {
	return codec.OpenerConfig{User: "ann", Database: "shop", TLS: mode, Secret: secret}
}

var (
	knowsNothing  = codec.Secret{}
	knowsPassword = codec.Secret{Password: "pw"}
	knowsWrong    = codec.Secret{Password: "no"}
	knowsHash     = codec.Secret{Verifier: md5Verifier("pw", "ann")}
	knowsKeys     = func() codec.Secret {
		k := deriveKeys("pw", []byte(testSalt), 4096)
		return codec.Secret{ClientKey: k.client[:], ServerKey: k.server[:]}
	}()
	clearAllowed = codec.OpenerConfig{Database: "shop", Secret: knowsPassword, AuthClear: true}
)

// errands are logins at a server, held at every cut.
var errands = []errandScript{
	{
		name: "trust", cfg: configOf(disable, knowsNothing),
		script: "op=More server=START(user,ann,database,shop) < R(0) op=More S(server_version,15.4) S(TimeZone,UTC) S(TimeZone,CET) K(4) " +
			`op=More Z(I) op=Ready server= key=7,4 reported=server_version=15.4|TimeZone=CET rest="" refusal=<nil>`,
	},
	{
		name: "parameters, and a connection of another kind",
		cfg: codec.OpenerConfig{User: "ann", Database: "shop", Special: codec.Param{Name: "replication", Value: "database"},
			Params: []codec.Param{{Name: "application_name", Value: "x"}, {Name: "options", Value: ""}}},
		script: "server=START(user,ann,database,shop,replication,database,application_name,x,options,)",
	},
	{
		name: "pitfall 33: a server without a key", cfg: configOf(disable, knowsNothing),
		script: "< R(0) Z(I) op=Ready key=0,0",
	},
	{
		name: "pitfall 32: the longest key", cfg: configOf(disable, knowsNothing),
		script: "< R(0) K(256) Z(I) op=Ready key=7,256",
	},
	{
		name: "pitfall 32: too long a key", cfg: configOf(disable, knowsNothing),
		script: "< R(0) K(257) op=Close cond=ServerNotSupport",
	},
	{
		name: "pitfall 32: a key without a secret", cfg: configOf(disable, knowsNothing),
		script: "< R(0) K(0) op=Close cond=ServerNotSupport",
	},
	{
		name: "notices, and a version that was not asked for", cfg: configOf(disable, knowsNothing),
		script: "< N v R(0) N Z(I) op=Ready",
	},
	{
		name: "md5 with the password", cfg: configOf(disable, knowsPassword),
		script: "server=START(user,ann,database,shop) < md5-salt op=More server=p(" + md5Answer(md5Verifier("pw", "ann"), [4]byte([]byte("abcd"))) + ") R(0) Z(I) op=Ready",
	},
	{
		name: "md5 with the hash", cfg: configOf(disable, knowsHash),
		script: "server=START(user,ann,database,shop) < md5-salt server=p(" + md5Answer(md5Verifier("pw", "ann"), [4]byte([]byte("abcd"))) + ")",
	},
	{
		name: "md5, and only keys are known", cfg: configOf(disable, knowsKeys),
		script: "< md5-salt op=Close cond=AuthDenied refusal=the_server_asks_user_\"ann\"_for_an_md5_hash,_and_only_a_pair_of_SCRAM_keys_is_known_to_answer_with",
	},
	{
		name: "md5 with a salt of the wrong length", cfg: configOf(disable, knowsPassword),
		script: "< R(5) op=Close cond=ServerNotSupport",
	},
	{
		name: "a clear password over TLS", cfg: configOf(require, knowsPassword),
		script: "server=SSL < raw(S) op=ServerTLS tls server=START(user,ann,database,shop) < R(3) server=p(pw) R(0) Z(I) op=Ready",
	},
	{
		name: "a clear password without TLS", cfg: configOf(disable, knowsPassword),
		script: "server=START(user,ann,database,shop) < R(3) op=Close server= cond=ClearPassword",
	},
	{
		name: "a clear password without TLS, as is allowed", cfg: clearAllowed,
		script: "server=START(user,ann,database,shop) < R(3) server=p(pw)",
	},
	{
		name: "a clear password, and none is known", cfg: configOf(require, knowsHash),
		script: "< raw(S) tls < R(3) op=Close cond=AuthDenied",
	},
	{
		name: "SCRAM with the password", cfg: configOf(disable, knowsPassword),
		script: "server=START(user,ann,database,shop) < R(10,SCRAM-SHA-256) server=p(SCRAM-SHA-256:n) challenge server=p(final) proof valid=true op=More R(0) Z(I) op=Ready",
	},
	{
		name: "pitfall 39: SCRAM with the keys alone", cfg: configOf(disable, knowsKeys),
		script: "server=START(user,ann,database,shop) < R(10,SCRAM-SHA-256) server=p(SCRAM-SHA-256:n) challenge server=p(final) proof valid=true op=More R(0) Z(I) op=Ready",
	},
	{
		name: "SCRAM with a wrong password", cfg: configOf(disable, knowsWrong),
		script: "< R(10,SCRAM-SHA-256) challenge proof op=Close valid=false",
	},
	{
		name: "SCRAM, and nothing is known", cfg: configOf(disable, knowsNothing),
		script: "< R(10,SCRAM-SHA-256) op=Close cond=AuthDenied refusal=the_server_asks_user_\"ann\"_for_SCRAM-SHA-256,_and_nothing_is_known_to_answer_with",
	},
	{
		name: "SCRAM, and only a hash is known", cfg: configOf(disable, knowsHash),
		script: "< R(10,SCRAM-SHA-256) op=Close cond=AuthDenied refusal=the_server_asks_user_\"ann\"_for_SCRAM-SHA-256,_and_only_an_md5_hash_is_known_to_answer_with",
	},
	{
		name: "SCRAM, and only a verifier is known", cfg: configOf(disable, codec.Secret{Verifier: verifierPrefix + "4096:c2FsdA==$a:b"}),
		script: "< R(10,SCRAM-SHA-256) op=Close cond=AuthDenied refusal=the_server_asks_user_\"ann\"_for_SCRAM-SHA-256,_and_only_a_verifier_is_known_to_answer_with",
	},
	{
		name: "SCRAM with channel binding", cfg: configOf(require, knowsPassword),
		script: "server=SSL < raw(S) tls < R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) server=START(user,ann,database,shop),p(SCRAM-SHA-256-PLUS:p=tls-server-end-point) " +
			"challenge proof valid=true R(0) Z(I) op=Ready",
	},
	{
		name: "SCRAM with channel binding and the keys alone", cfg: configOf(require, knowsKeys),
		script: "< raw(S) tls < R(10,SCRAM-SHA-256-PLUS) challenge proof valid=true R(0) Z(I) op=Ready",
	},
	{
		name: "pitfall 38: TLS, and the server does not offer channel binding", cfg: configOf(require, knowsPassword),
		script: "< raw(S) tls < R(10,SCRAM-SHA-256) server=SSL,START(user,ann,database,shop),p(SCRAM-SHA-256:y)",
	},
	{
		name: "pitfall 38: a certificate that can't be bound to", cfg: configOf(require, knowsPassword),
		script: "< raw(S) tls-ed25519 < R(10,SCRAM-SHA-256-PLUS,SCRAM-SHA-256) server=SSL,START(user,ann,database,shop),p(SCRAM-SHA-256:n)",
	},
	{
		name: "pitfall 38: channel binding and nothing else, without TLS", cfg: configOf(disable, knowsPassword),
		script: "< R(10,SCRAM-SHA-256-PLUS) op=Close cond=ServerNotSupport",
	},
	{
		name: "SASL of another kind", cfg: configOf(disable, knowsPassword),
		script: "< R(10,OAUTHBEARER) op=Close cond=ServerNotSupport",
	},
	{
		name: "a server that breaks SCRAM off may be anybody", cfg: configOf(disable, knowsPassword),
		script: "< R(10,SCRAM-SHA-256) challenge R(0) op=Close cond=ServerNotSupport",
	},
	{
		name: "a server that goes over to a clear password in the middle of SCRAM", cfg: clearAllowed,
		script: "< R(10,SCRAM-SHA-256) R(3) op=Close cond=ServerNotSupport",
	},
	{
		name: "SCRAM begins twice", cfg: configOf(disable, knowsPassword),
		script: "< R(10,SCRAM-SHA-256) R(10,SCRAM-SHA-256) op=Close cond=ServerNotSupport",
	},
	{
		name: "a challenge that was not asked for", cfg: configOf(disable, knowsPassword),
		script: "< R(11) op=Close cond=ServerNotSupport",
	},
	{
		name: "two challenges", cfg: configOf(disable, knowsPassword),
		script: "< R(10,SCRAM-SHA-256) challenge R(11) op=Close cond=ServerNotSupport",
	},
	{
		name: "a proof before the challenge", cfg: configOf(disable, knowsPassword),
		script: "< R(10,SCRAM-SHA-256) R(12) op=Close cond=ServerNotSupport",
	},
	{
		name: "a challenge that takes too many iterations", cfg: configOf(disable, knowsPassword),
		script: "< R(10,SCRAM-SHA-256) challenge(x,s=c2FsdA==,i=1000001) op=Close cond=ServerNotSupport",
	},
	{
		name: "a proof that is wrong", cfg: configOf(disable, knowsPassword),
		script: "< R(10,SCRAM-SHA-256) challenge R(12) op=Close cond=ServerNotSupport",
	},
	{
		name: "the server refuses", cfg: configOf(disable, knowsPassword),
		script: "< E(53300) op=Close server=START(user,ann,database,shop) cond=NoBackend refusal=FATAL_53300:_no",
	},
	{
		name: "the server refuses behind the authentication", cfg: configOf(disable, knowsNothing),
		script: "< R(0) S(a,b) E(57P03) op=Close cond=WrongPart refusal=FATAL_57P03:_no",
	},
	{
		name: "TLS is preferred, and the server has none", cfg: configOf(prefer, knowsNothing),
		script: "server=SSL < raw(N) op=More server=START(user,ann,database,shop) R(0) Z(I) op=Ready",
	},
	{
		name: "TLS is required, and the server has none", cfg: configOf(require, knowsNothing),
		script: "< raw(N) op=Close server=SSL cond=TLSFailed refusal=the_server_does_not_offer_TLS",
	},
	{
		name: "pitfall 35: bytes behind the answer to the TLS request", cfg: configOf(require, knowsNothing), whole: true,
		script: "< raw(SX) op=Close cond=TLSFailed",
	},
	{
		name: "pitfall 35: bytes behind a server's no to TLS", cfg: configOf(prefer, knowsNothing), whole: true,
		script: "< raw(NX) op=Close cond=ServerNotSupport",
	},
	{
		name: "an error in answer to the TLS request: its words are not passed on", cfg: configOf(prefer, knowsNothing),
		script: "< raw(E) op=Close cond=NoBackend refusal=the_server_could_not_take_the_connection",
	},
	{
		name: "nonsense in answer to the TLS request", cfg: configOf(prefer, knowsNothing),
		script: "< raw(J) op=Close cond=ServerNotSupport",
	},
	{
		name: "another method", cfg: configOf(disable, knowsPassword),
		script: "< R(7) op=Close cond=ServerNotSupport",
	},
	{
		name: "a server that is not PostgreSQL", cfg: configOf(disable, knowsNothing),
		script: "< raw(J) op=Close cond=ServerNotSupport",
	},
	{
		name: "ready before it has asked anything", cfg: configOf(disable, knowsNothing),
		script: "< Z(I) op=Close cond=ServerNotSupport",
	},
	{
		name: "a question behind AuthenticationOk", cfg: configOf(disable, knowsPassword),
		script: "< R(0) R(3) op=Close cond=ServerNotSupport",
	},
	{
		name: "a session that begins in a transaction", cfg: configOf(disable, knowsNothing),
		script: "< R(0) Z(T) op=Close cond=ServerNotSupport",
	},
	{
		name: "a parameter without a value", cfg: configOf(disable, knowsNothing),
		script: `< R(0) raw(S\x00\x00\x00\x08abc\x00) op=Close cond=ServerNotSupport`,
	},
	{
		name: "a parameter with something behind it", cfg: configOf(disable, knowsNothing),
		script: `< R(0) raw(S\x00\x00\x00\x09a\x00b\x00c) op=Close cond=ServerNotSupport`,
	},
	{
		name: "an authentication request that is too short", cfg: configOf(disable, knowsNothing),
		script: `< raw(R\x00\x00\x00\x07abc) op=Close cond=ServerNotSupport`,
	},
	{
		name: "a message that is too long", cfg: configOf(disable, knowsNothing),
		script: `< raw(R\x00\x01\x00\x01) op=Close cond=ServerNotSupport`,
	},
	{
		name: "a message that is too short to be one", cfg: configOf(disable, knowsNothing),
		script: `< raw(R\x00\x00\x00\x03) op=Close cond=ServerNotSupport`,
	},
	{
		name:   "a NUL in a parameter",
		cfg:    codec.OpenerConfig{Database: "a\x00b"},
		script: "op=Close server= cond=Internal",
	},
	{
		name:   "parameters that are too long",
		cfg:    codec.OpenerConfig{Database: "shop", Params: []codec.Param{{Name: "x", Value: strings.Repeat("x", maxStartup)}}},
		script: "op=Close server= cond=LimitOfClient",
	},
	{
		name: "a primary by its report", cfg: partConfig(codec.PartPrimary),
		script: asks + "S(in_hot_standby,off) S(default_transaction_read_only,off) Z(I) op=Ready server=",
	},
	{
		name: "a standby in place of a primary", cfg: partConfig(codec.PartPrimary),
		script: "< R(0) S(in_hot_standby,on) S(default_transaction_read_only,off) Z(I) op=Close cond=WrongPart refusal=the_server_is_in_recovery:_it_is_not_the_primary",
	},
	{
		name: "read-only by the configuration", cfg: partConfig(codec.PartPrimary),
		script: asks + "S(in_hot_standby,off) S(default_transaction_read_only,on) Z(I) op=More server=Q(" + sqlPart + ") T(3) row(f,on,configuration_file) C(SELECT_1) Z(I) op=Close cond=WrongPart",
	},
	{
		name: "read-only by the command line", cfg: partConfig(codec.PartPrimary),
		script: asks + "S(in_hot_standby,off) S(default_transaction_read_only,on) Z(I) T(3) row(f,on,command_line) C(SELECT_1) Z(I) op=Close cond=WrongPart",
	},
	{
		name: "read-only by the user's setting", cfg: partConfig(codec.PartPrimary),
		script: asks + "S(in_hot_standby,off) S(default_transaction_read_only,on) Z(I) op=More T(3) row(f,on,user) S(TimeZone,UTC) N C(SELECT_1) op=More Z(I) op=Ready reported=in_hot_standby=off|default_transaction_read_only=on|TimeZone=UTC",
	},
	{
		name: "an old primary", cfg: partConfig(codec.PartPrimary),
		script: asks + "S(server_version,12.1) Z(I) op=More server=Q(" + sqlPart + ") T(3) row(f,off,default) C(SELECT_1) Z(I) op=Ready",
	},
	{
		name: "an old standby in place of a primary", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) T(3) row(t,off,default) C(SELECT_1) Z(I) op=Close cond=WrongPart",
	},
	{
		name: "a replica by its report", cfg: partConfig(codec.PartReplica),
		script: asks + "S(in_hot_standby,on) Z(I) op=Ready server=",
	},
	{
		name: "a primary in place of a replica", cfg: partConfig(codec.PartReplica),
		script: "< R(0) S(in_hot_standby,off) S(default_transaction_read_only,on) Z(I) op=Close cond=WrongPart refusal=the_server_is_not_in_recovery:_it_is_not_a_replica",
	},
	{
		name: "an old replica", cfg: partConfig(codec.PartReplica),
		script: asks + "Z(I) op=More T(3) row(t,on,configuration_file) C(SELECT_1) Z(I) op=Ready",
	},
	{
		name: "an old primary in place of a replica", cfg: partConfig(codec.PartReplica),
		script: asks + "Z(I) T(3) row(f,off,default) C(SELECT_1) Z(I) op=Close cond=WrongPart",
	},
	{
		name: "any part is fine", cfg: partConfig(codec.PartAny),
		script: asks + "S(in_hot_standby,on) Z(I) op=Ready server=",
	},
	{
		name:   "physical replication with an old server: there is nothing to go by",
		cfg:    codec.OpenerConfig{Part: codec.PartPrimary, Special: codec.Param{Name: "replication", Value: "true"}},
		script: "server=START(user,ann,database,,replication,true) < R(0) Z(I) op=Ready server=",
	},
	{
		name:   "logical replication with an old standby",
		cfg:    codec.OpenerConfig{Part: codec.PartPrimary, Special: codec.Param{Name: "replication", Value: "database"}},
		script: "< R(0) Z(I) op=More T(3) row(t,off,default) C(SELECT_1) Z(I) op=Close cond=WrongPart",
	},
	{
		name: "an error in place of the answer", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) raw(" + errorOf("ERROR", "42501") + ") op=Close cond=ServerNotSupport refusal=the_server_would_not_say_whether_it_is_in_recovery:_ERROR_42501:_no",
	},
	{
		name: "the end in place of the answer", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) E(57P01) op=Close cond=WrongPart",
	},
	{
		name: "no row", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) T(3) C(SELECT_0) Z(I) op=Close cond=ServerNotSupport",
	},
	{
		name: "two rows", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) T(3) row(f,off,default) row(f,off,default) op=Close cond=ServerNotSupport",
	},
	{
		name: "a row that is too short", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) T(3) row(f,off) op=Close cond=ServerNotSupport",
	},
	{
		name: "a row without a truth", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) T(3) row(x,off,default) op=Close cond=ServerNotSupport",
	},
	{
		name: "a row that claims more than there is", cfg: partConfig(codec.PartPrimary),
		script: asks + `Z(I) raw(D\x00\x00\x00\x0b\x00\x03\x7f\xff\xff\xfff) op=Close cond=ServerNotSupport`,
	},
	{
		name: "an answer in a transaction", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) T(3) row(f,off,default) C(SELECT_1) Z(T) op=Close cond=ServerNotSupport",
	},
	{
		name: "an answer of another kind", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) raw(G) op=Close cond=ServerNotSupport",
	},
	{
		name: "a key in the answer", cfg: partConfig(codec.PartPrimary),
		script: asks + "Z(I) K(4) op=Close cond=ServerNotSupport",
	},
}

// asks is a login up to what the server reports.
const asks = "server=START(user,ann,database,shop) < R(0) "

// errorOf is an ErrorResponse, as the argument of raw.
func errorOf(severity, state string) string {
	q := strconv.Quote(string(message('E', "S"+severity+"\x00V"+severity+"\x00C"+state+"\x00Mno\x00\x00")))
	return q[1 : len(q)-1]
}

// partConfig is that of a server that has to be p.
func partConfig(p codec.Part) codec.OpenerConfig {
	return codec.OpenerConfig{Database: "shop", Part: p}
}

func TestOpener(t *testing.T) {
	for _, s := range errands {
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

// TestOpenerHost makes a host that knows what the server has said of the connection.
func TestOpenerHost(t *testing.T) {
	h := errandScript{script: "< R(0) S(server_version,15.4) K(4) Z(I)"}.hold(t, whole).opener.Host()
	if h.Key() != (codec.Key{ID: 7, Secret: "ssss"}) || describeSettings(h.Reported()) != "server_version=15.4" || !h.Free() {
		t.Errorf("%v, %v, free %v", h.Key(), h.Reported(), h.Free())
	}
}

// TestOpenerRest hands over what stands behind the login.
func TestOpenerRest(t *testing.T) {
	e := errandScript{script: "< R(0)"}.hold(t, whole)
	e.piece(append(message('Z', "I"), "A\x00"...))
	if got := e.opener.Rest(); e.op != codec.OpReady || string(got) != "A\x00" {
		t.Errorf("%v: %q", e.op, got)
	}
}

// TestOpenerRefusedInTheServersWords keeps them whole for the client.
func TestOpenerRefusedInTheServersWords(t *testing.T) {
	for state, cond := range map[string]codec.Condition{
		"3D000": codec.AuthDenied, "28P01": codec.AuthDenied, "57P01": codec.WrongPart, "57P02": codec.WrongPart, "57P03": codec.WrongPart, "53300": codec.NoBackend,
	} {
		words := message('E', "SFATAL\x00VFATAL\x00C"+state+"\x00Mso it is\x00\x00")
		e := errandScript{}.hold(t, every(3))
		e.give(words)
		want := codec.Error{Cond: cond, Text: "FATAL " + state + ": so it is", Raw: string(words)}
		if got := e.opener.Refusal(); got != want {
			t.Errorf("got %#v", got)
		}
	}
}

// TestOpenerLimits reaches what is kept of a server's report.
func TestOpenerLimits(t *testing.T) {
	tests := []struct {
		name   string
		number int
		value  string
		closed bool
	}{
		{"as many as there may be", maxReported, "", false},
		{"one more", maxReported + 1, "", true},
		{"as long as they may be", 2, strings.Repeat("x", maxReportedBytes/2-3), false},
		{"longer", 2, strings.Repeat("x", maxReportedBytes/2), true},
	}
	for _, tt := range tests {
		e := errandScript{script: "< R(0)"}.hold(t, whole)
		for i := range tt.number {
			e.give(message('S', string([]byte{'a' + byte(i&15), 'a' + byte(i>>4), 'x'})+"\x00"+tt.value+"\x00"))
		}
		if got := e.op == codec.OpClose; got != tt.closed {
			t.Errorf("%s: %v, %v", tt.name, e.op, e.opener.Refusal())
		}
	}
}

// TestChallengeLimit takes no longer a message of SCRAM than one can be.
func TestChallengeLimit(t *testing.T) {
	for _, n := range []int{maxChallenge, maxChallenge + 1} {
		e := errandScript{cfg: configOf(disable, knowsPassword), script: "< R(10,SCRAM-SHA-256)"}.hold(t, whole)
		begin := "r=" + e.opener.scram.nonce
		end := ",s=c2FsdA==,i=1"
		e.give(appendSASL(nil, authSASLContinue, begin+strings.Repeat("x", n-len(begin)-len(end))+end))
		if got, want := e.op == codec.OpClose, n > maxChallenge; got != want {
			t.Errorf("%d bytes: %v, %v", n, e.op, e.opener.Refusal())
		}
	}
}

// TestOpenerWaitsForWork keeps what a server sends ahead of its turn, to its limit.
func TestOpenerWaitsForWork(t *testing.T) {
	nothingDerived()
	for _, n := range []int{maxEarly, maxEarly + 1} {
		o := Protocol{}.NewOpener(&codec.OpenerConfig{User: "ann", Secret: codec.Secret{Password: strings.Repeat("slow", n)}}).(*opener)
		o.Start()
		o.Server(packet(t, codec.Server, "R", "10,"+scram))
		if op := o.Server(appendSASL(nil, authSASLContinue, "r="+o.scram.nonce+"x,s=c2FsdA==,i=1")); op != codec.OpWork {
			t.Fatalf("op %v", op)
		}
		done := make(chan bool)
		go func() { // the race detector looks on
			o.Work()
			close(done)
		}()
		if op := o.Server(make([]byte, n)); (op == codec.OpClose) != (n > maxEarly) {
			t.Errorf("%d bytes: %v", n, op)
		}
		<-done
		if op := o.Worked(); op != codec.OpClose { // zeros are no message either
			t.Errorf("Worked: %v", op)
		}
	}
}

// TestOneDerivationForManyOpeners leaves the loop for the first login with a password (pitfall 39).
func TestOneDerivationForManyOpeners(t *testing.T) {
	nothingDerived()
	worked := 0
	for range 5 {
		e := errandScript{cfg: configOf(disable, codec.Secret{Password: "of many openers"}), script: "< R(10,SCRAM-SHA-256) challenge op=More"}.hold(t, whole)
		worked += e.work
	}
	if worked != 1 {
		t.Errorf("%d derivations", worked)
	}
}

// TestOpenerOutOfTurn calls methods that have no place where the login stands.
func TestOpenerOutOfTurn(t *testing.T) {
	o := Protocol{}.NewOpener(&codec.OpenerConfig{User: "ann"})
	o.Start()
	if o.Work(); o.Worked() != codec.OpMore || o.Rest() != nil || o.Refusal() != nil {
		t.Error("Worked")
	}
	if op := o.ServerSecured(nil); op != codec.OpClose {
		t.Errorf("ServerSecured: %v", op)
	}
	if op := o.Server([]byte("R")); op != codec.OpClose {
		t.Errorf("Server: %v", op)
	}
}

// TestOpenersSecretsStayInside: what is said of a failed login holds no secret.
func TestOpenersSecretsStayInside(t *testing.T) {
	for _, script := range []string{"< R(3)", "< R(7)", "< R(10,SCRAM-SHA-256) challenge R(0)", "< R(10,X)"} {
		e := errandScript{cfg: configOf(disable, codec.Secret{Password: "hunter2"}), script: script}.hold(t, whole)
		var err codec.Error
		if !errors.As(e.opener.Refusal(), &err) || strings.Contains(err.Text+err.Hint+err.Raw, "hunter2") {
			t.Errorf("%s: %#v", script, e.opener.Refusal())
		}
	}
}
