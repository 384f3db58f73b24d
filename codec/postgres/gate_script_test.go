package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	judge "github.com/xdg-go/scram"

	"sluice/codec"
)

// A visit is a client's login at Sluice. Its words are those of a login script, and these:
//
//	md5(password)                  the client's answer to the salt that it was given
//	first, first-plus, first-y     client-first of SCRAM with a password, by mechanism and header
//	final                          client-final
//	identified(method,secret)      what is known of the user: clear:…, md5:…, scram:…, nothing, unknown; or
//	                               no-db-clear:… and so on, where the database is not known;
//	                               or unknown-as-md5, unknown-as-10000: the others' secrets have that form
//	tls, tls(name)                 TLS is up; the client's certificate has that name
//	tls-ed25519                    the same, with a certificate that can't be bound to
//	welcome                        the session is prepared
//	op=…, client=…                 what the gate must ask for now, and have sent since the last look
//
// The client's side of SCRAM is a library's, so that two of a kind can't be wrong together.
type visitScript struct {
	name   string
	tls    codec.TLSMode
	script string
	whole  bool // pieces are given as they are: what is cut off would go to TLS
}

// visit holds one script.
type visit struct {
	t    testing.TB
	cut  cutting
	gate *gate
	op   codec.Op
	sent []byte // since the last look
	last []byte // body of the last Authentication message
	held []byte // given while an op was carried out
	size int    // bytes of the conversation
	work int    // times that Work was asked for
	cert []byte // that Sluice shows
	conv *judge.ClientConversation
}

func newVisit(t testing.TB, mode codec.TLSMode, cut cutting) *visit {
	v := &visit{t: t, cut: cut}
	v.gate = Protocol{}.NewGate(&codec.GateConfig{ClientTLS: mode, Salt: [32]byte{1, 2, 3}}).(*gate)
	v.gate.random = func(b []byte) { clear(b) }
	v.done(v.gate.Start())
	return v
}

func (s visitScript) hold(t testing.TB, cut cutting) *visit {
	t.Helper()
	v := newVisit(t, s.tls, cut)
	for i, word := range scriptWords(s.script) {
		name, arg := cutWord(word)
		switch {
		case word == ">":
		case isCheck(name):
			what, want, _ := strings.Cut(word, "=")
			if got := v.look(what); got != want {
				t.Fatalf("%s, word %d: %s is %s, want %s", cut.name, i, what, got, want)
			}
		case v.act(name, arg):
		default:
			v.give(v.packet(name, arg))
		}
	}
	return v
}

// give hands bytes over as a session does: not while an op is carried out.
func (v *visit) give(b []byte) {
	v.size += len(b)
	for p := range v.cut.pieces(b) {
		v.piece(p)
	}
}

func (v *visit) piece(p []byte) {
	switch v.op {
	case codec.OpClose, codec.OpCancel, codec.OpReady:
	case codec.OpMore:
		v.done(v.gate.Client(p))
	default:
		v.held = append(v.held, p...)
	}
}

// done takes what a call of the gate gave. Work is done at once.
func (v *visit) done(op codec.Op) {
	for {
		b := v.gate.Take()
		v.sent = append(v.sent, b...)
		v.learn(b)
		if op != codec.OpWork {
			break
		}
		v.work++
		v.gate.Work()
		op = v.gate.Worked()
	}
	v.op = op
	if held := v.held; len(held) > 0 && op == codec.OpMore {
		v.held = nil
		v.piece(held)
	}
}

// learn keeps the last Authentication message for the client's answer.
func (v *visit) learn(b []byte) {
	for len(b) >= headerSize {
		if b[0] != 'R' && b[0] != 'v' {
			return
		}
		n := 1 + binary.BigEndian.Uint32(b[1:])
		if b[0] == 'R' {
			v.last = b[headerSize+4 : n]
		}
		b = b[n:]
	}
}

// act tells the gate something; it reports false if name is no such thing.
func (v *visit) act(name, arg string) bool {
	switch name {
	case "identified":
		method, secret, _ := strings.Cut(arg, ",")
		v.done(v.gate.Identified(account(v.t, methodsByName[method], secret)))
	case "tls":
		v.cert = certificate(v.t)
		v.done(v.gate.ClientSecured(codec.Peer{TLS: true, Cert: v.cert, Name: arg}))
	case "tls-ed25519":
		v.cert = certificateEd25519(v.t)
		v.done(v.gate.ClientSecured(codec.Peer{TLS: true, Cert: v.cert}))
	case "welcome":
		v.done(v.gate.Welcomed(testIntroduction, codec.Key{ID: 7, Secret: strings.Repeat("s", v.gate.KeySize())}))
	case "refuse":
		v.done(v.gate.Refuse(codec.Error{Cond: conditionsByState[arg], Text: "no"}))
	case "refuse-raw":
		severity, state, _ := strings.Cut(arg, ",")
		raw := message('E', "S"+severity+"\x00V"+severity+"\x00C"+state+"\x00Mtheirs\x00\x00")
		v.done(v.gate.Refuse(codec.Error{Cond: codec.NoBackend, Text: "theirs", Raw: string(raw)}))
	default:
		return false
	}
	return true
}

var testIntroduction = &introduction{report: &report{params: []codec.Param{{Name: "server_version", Value: "15.4"}}}}

var methodsByName = map[string]codec.AuthMethod{
	"reject": codec.AuthReject, "trust": codec.AuthTrust, "secret": codec.AuthSecret, "scram": codec.AuthSCRAM,
	"md5": codec.AuthMD5, "clear": codec.AuthClear, "cert": codec.AuthCert,
}

// account is what is known of ann, by a word.
func account(t testing.TB, method codec.AuthMethod, word string) codec.Account {
	word, noDatabase := strings.CutPrefix(word, "no-db-")
	word, usual, _ := strings.Cut(word, "-as-")
	a := codec.Account{Method: method, Known: !noDatabase && word != "unknown", Usual: usual}
	if noDatabase {
		a.Why = "there is no such database"
	}
	if usual != "" && usual != "md5" {
		a.Usual = verifierPrefix + usual
	}
	kind, password, _ := strings.Cut(word, ":")
	switch kind {
	case "clear":
		a.Secret.Password = password
	case "md5":
		a.Secret.Verifier = md5Verifier(password, "ann")
	case "scram":
		a.Secret.Verifier = storedVerifier(t, password)
	case "broken":
		a.Secret.Verifier = verifierPrefix + "4096:AAAA$AAAA:AAAA"
	case "nothing", "unknown":
	default:
		t.Fatalf("no such secret: %s", word)
	}
	return a
}

// packet returns the bytes of a word of the client.
func (v *visit) packet(name, arg string) []byte {
	switch name {
	case "md5":
		return message('p', md5Answer(md5Verifier(arg, "ann"), [4]byte(v.last))+"\x00")
	case "first", "first-plus", "first-y":
		return v.first(name, arg)
	case "final":
		answer, err := v.conv.Step(string(v.last))
		if err != nil {
			v.t.Fatal(err)
		}
		return message('p', answer)
	}
	return packet(v.t, codec.Client, name, arg)
}

// first returns the SASLInitialResponse of a client that knows that password.
func (v *visit) first(name, password string) []byte {
	mechanism, client := scram, judgeOf(v.t, password)
	switch name {
	case "first":
		v.conv = client.NewConversation()
	case "first-y":
		v.conv = client.NewConversationAdvertisingChannelBinding()
	case "first-plus":
		mechanism = scramPlus
		v.conv = client.NewConversationWithChannelBinding(bindingOf(v.t, v.cert))
	}
	msg, err := v.conv.Step("")
	if err != nil {
		v.t.Fatal(err)
	}
	return initialResponse(mechanism, msg)
}

func initialResponse(mechanism, msg string) []byte {
	return message('p', mechanism+"\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len(msg))))+msg)
}

// look says how the login stands, in the words of a script.
func (v *visit) look(what string) string {
	switch what {
	case "op":
		return v.op.String()
	case "client":
		sent := v.sent
		v.sent = nil
		return describeGate(sent)
	case "rest":
		return fmt.Sprintf("%q", v.gate.Rest())
	case "user":
		return v.gate.User() + "@" + v.gate.Database()
	case "key":
		return fmt.Sprint(v.gate.KeySize())
	case "settings":
		var out []string
		for _, p := range v.gate.Settings() {
			out = append(out, p.Name+":"+p.Value)
		}
		return strings.ReplaceAll(strings.Join(out, ";"), " ", "_")
	case "special":
		return strings.Trim(v.gate.Special().Name+":"+v.gate.Special().Value, ":")
	case "learned":
		l := v.gate.Learned()
		return strings.TrimSpace(fmt.Sprintf("%s%d,%d", l.Password, len(l.ClientKey), len(l.ServerKey)))
	case "server-proof":
		return fmt.Sprint(v.serverProof())
	case "iterations":
		_, n, _ := strings.Cut(string(v.last), ",i=")
		return n
	case "refusal":
		err := v.gate.Refusal()
		if d, ok := err.(denied); ok {
			err = d.told
		}
		return strings.ReplaceAll(fmt.Sprint(err), " ", "_")
	}
	return "unknown"
}

// serverProof tells whether the client is content with server-final.
func (v *visit) serverProof() bool {
	for b := v.sent; len(b) >= headerSize; {
		n := 1 + binary.BigEndian.Uint32(b[1:])
		if b[0] == 'R' && b[headerSize+3] == authSASLFinal {
			_, err := v.conv.Step(string(b[headerSize+4 : n]))
			return err == nil && v.conv.Valid()
		}
		b = b[n:]
	}
	return false
}

// describeGate names what a client was sent.
func describeGate(b []byte) string {
	var out []string
	for len(b) > 0 {
		if len(b) < headerSize || b[1] != 0 {
			out = append(out, string(b[:1])) // the answer to SSL and GSS
			b = b[1:]
			continue
		}
		n := 1 + binary.BigEndian.Uint32(b[1:])
		body := string(b[headerSize:n])
		texts := strings.Split(strings.TrimRight(body, "\x00"), "\x00")
		switch b[0] {
		case 'R':
			if b[headerSize+3] == authSASL {
				out = append(out, describe(b[:n], codec.Client))
				break
			}
			out = append(out, fmt.Sprintf("R(%d)", body[3]))
		case 'S':
			out = append(out, "S("+strings.Join(texts, "=")+")")
		case 'K':
			out = append(out, fmt.Sprintf("K(%d)", len(body)-4))
		case 'v':
			names := strings.Split(strings.TrimRight(body[8:], "\x00"), "\x00")
			out = append(out, fmt.Sprintf("v(%d.%d,%s)", body[1], body[3], strings.Join(names, ",")))
		default:
			out = append(out, describe(b[:n], codec.Client))
		}
		b = b[n:]
	}
	return strings.Join(out, ",")
}
