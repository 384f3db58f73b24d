package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	judge "github.com/xdg-go/scram"

	"sluice/codec"
)

// An errand is a login of Sluice at a server. Its words are those of a login script, and these:
//
//	md5-salt                    the server asks for md5
//	challenge, proof            the server's messages of SCRAM, by a library that knows the password
//	challenge(text)             another challenge; it stands behind the client's nonce
//	S(name,value), K(n), Z(I)   ParameterStatus, BackendKeyData with n bytes, ReadyForQuery
//	tls, tls-ed25519            TLS is up; the second certificate can't be bound to
//	op=…, server=…              what the opener must ask for now, and have sent since the last look
type errandScript struct {
	name   string
	cfg    codec.OpenerConfig // User is ann unless it is given
	script string
	whole  bool // pieces are given as they are: what is cut off would go to TLS
}

// errand holds one script.
type errand struct {
	t      testing.TB
	cut    cutting
	opener *opener
	op     codec.Op
	sent   []byte // since the last look
	last   []byte // body of the last message that was sent
	held   []byte // given while an op was carried out
	size   int    // bytes of the conversation
	work   int    // times that Work was asked for
	cert   []byte
	conv   *judge.ServerConversation
}

func (s errandScript) hold(t testing.TB, cut cutting) *errand {
	t.Helper()
	cfg := s.cfg
	if cfg.User == "" {
		cfg.User = "ann"
	}
	e := &errand{t: t, cut: cut, opener: Protocol{}.NewOpener(&cfg).(*opener)}
	e.opener.random = func(b []byte) { clear(b) }
	e.done(e.opener.Start())
	for i, word := range scriptWords(s.script) {
		name, arg := cutWord(word)
		switch {
		case word == "<":
		case isCheck(name):
			what, want, _ := strings.Cut(word, "=")
			if got := e.look(what); got != want {
				t.Fatalf("%s, word %d: %s is %s, want %s", cut.name, i, what, got, want)
			}
		case strings.HasPrefix(name, "tls"):
			e.cert = certificate(t)
			if name == "tls-ed25519" {
				e.cert = certificateEd25519(t)
			}
			e.done(e.opener.ServerSecured(e.cert))
		default:
			e.give(e.packet(name, arg))
		}
	}
	return e
}

// give hands bytes over as a session does: not while an op is carried out.
func (e *errand) give(b []byte) {
	e.size += len(b)
	for p := range e.cut.pieces(b) {
		e.piece(p)
	}
}

func (e *errand) piece(p []byte) {
	switch e.op {
	case codec.OpClose, codec.OpReady:
	case codec.OpMore:
		e.done(e.opener.Server(p))
	default:
		e.held = append(e.held, p...)
	}
}

// done takes what a call of the opener gave. Work is done at once.
func (e *errand) done(op codec.Op) {
	for {
		b := e.opener.Take()
		e.sent = append(e.sent, b...)
		if len(b) > headerSize && b[0] == 'p' {
			e.last = b[headerSize:]
		}
		if op != codec.OpWork {
			break
		}
		e.work++
		e.opener.Work()
		op = e.opener.Worked()
	}
	e.op = op
	if held := e.held; len(held) > 0 && op == codec.OpMore {
		e.held = nil
		e.piece(held)
	}
}

// packet returns the bytes of a word of the server.
func (e *errand) packet(name, arg string) []byte {
	name2, value, _ := strings.Cut(arg, ",")
	switch name {
	case "md5-salt":
		return message('R', "\x00\x00\x00\x05abcd")
	case "challenge":
		if arg != "" {
			return appendSASL(nil, authSASLContinue, "r="+e.opener.scram.nonce+arg)
		}
		return appendSASL(nil, authSASLContinue, e.judge(e.first()))
	case "proof":
		return appendSASL(nil, authSASLFinal, e.judge(string(e.last)))
	case "S":
		return message('S', name2+"\x00"+value+"\x00")
	case "K":
		var n int
		fmt.Sscan(arg, &n)
		return message('K', "\x00\x00\x00\x07"+strings.Repeat("s", n))
	case "Z":
		return message('Z', arg)
	case "T":
		return message('T', "\x00\x00")
	case "C":
		return message('C', arg+"\x00")
	case "row":
		return message('D', string(dataRow(strings.Split(strings.ReplaceAll(arg, "_", " "), ",")...)))
	}
	return packet(e.t, codec.Server, name, arg)
}

// first is client-first, and begins the library's conversation.
func (e *errand) first() string {
	server, err := judge.SHA256.NewServer(func(string) (judge.StoredCredentials, error) {
		return credentialsOf(e.t, "pw", testSalt, 4096), nil
	})
	if err != nil {
		e.t.Fatal(err)
	}
	mechanism, first, ok := parseInitialResponse(e.last)
	if !ok {
		e.t.Fatalf("%q is no SASLInitialResponse", e.last)
	}
	e.conv = server.NewConversation()
	if mechanism == scramPlus {
		e.conv = server.NewConversationWithChannelBinding(bindingOf(e.t, e.cert))
	}
	return first
}

func (e *errand) judge(msg string) string {
	answer, err := e.conv.Step(msg)
	if err != nil {
		e.t.Logf("the library's server: %v", err)
	}
	return answer
}

// look says how the login stands, in the words of a script.
func (e *errand) look(what string) string {
	switch what {
	case "op":
		return e.op.String()
	case "server":
		sent := e.sent
		e.sent = nil
		return describeOpener(sent)
	case "valid":
		return fmt.Sprint(e.conv.Valid())
	case "rest":
		return fmt.Sprintf("%q", e.opener.Rest())
	case "key":
		return fmt.Sprintf("%d,%d", e.opener.key.ID, len(e.opener.key.Secret))
	case "reported":
		return describeSettings(e.opener.reported)
	case "cond":
		var err codec.Error
		if !errors.As(e.opener.Refusal(), &err) {
			return "none"
		}
		return map[codec.Condition]string{codec.NoBackend: "NoBackend", codec.AuthDenied: "AuthDenied", codec.WrongPart: "WrongPart", codec.TLSFailed: "TLSFailed",
			codec.ServerNotSupport: "ServerNotSupport", codec.ClearPassword: "ClearPassword",
			codec.LimitOfClient: "LimitOfClient", codec.Internal: "Internal"}[err.Cond]
	case "refusal":
		return strings.ReplaceAll(fmt.Sprint(e.opener.Refusal()), " ", "_")
	}
	return "unknown"
}

// describeOpener names what a server was sent.
func describeOpener(b []byte) string {
	var out []string
	for len(b) > 0 {
		if b[0] == 0 {
			n := binary.BigEndian.Uint32(b)
			word := describeStartup(b[:n])
			if params, ok := parseParams(b[:n]); ok && word == "START" {
				var list []string
				for _, p := range params {
					list = append(list, p.Name, p.Value)
				}
				word += "(" + strings.Join(list, ",") + ")"
			}
			out = append(out, word)
			b = b[n:]
			continue
		}
		n := 1 + binary.BigEndian.Uint32(b[1:])
		body := string(b[headerSize:n])
		if mechanism, msg, ok := parseInitialResponse(b[headerSize:n]); ok {
			flag, _, _ := strings.Cut(msg, ",")
			body = mechanism + ":" + flag
		} else if strings.HasPrefix(body, "c=") {
			body = "final"
		}
		out = append(out, string(b[:1])+"("+strings.TrimSuffix(body, "\x00")+")")
		b = b[n:]
	}
	return strings.Join(out, ",")
}
