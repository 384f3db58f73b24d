package mysql

import (
	"errors"

	"sluice/codec"
)

// newLeg is the talk with the server that the session is to go on at.
type newLeg struct {
	id       uint32
	greeting greeting
	tls      bool
	in       []byte // gathered in the login
	seq      uint8  // of the next packet in the login
	sign     signin
	status   uint16   // flags in the OK of the login
	sent     []byte   // commands that were sent behind the login, without waiting for its end
	answers  *reading // behind the login
	from     int      // number of the first answer that is the carrier's
}

// late tells that the login needs what the old server says.
func (v *move) late() bool { return v.m.kind == kindTiDB && !v.cfg.Lost }

// Connected expects the greeting of the new server.
func (v *move) Connected() codec.Op {
	if v.state != moveDial {
		return v.fail(errors.New("connected out of turn"))
	}
	v.state = moveGreeting
	if c, ok := v.carrier.(*tidbCarrier); ok && v.cfg.Lost {
		if err := c.recall(); err != nil {
			return v.fail(err)
		}
	}
	return codec.OpMore
}

// fromNew takes bytes of the new server.
func (v *move) fromNew(p []byte) codec.Op {
	if v.new.answers != nil {
		return v.judged(v.new.answers.server(p))
	}
	if len(v.new.in)+len(p) > 2*maxGreeting {
		return v.fail(errors.New("the new server sends too much for a login"))
	}
	v.new.in = append(v.new.in, p...)
	return v.run()
}

// run goes on with the login as far as the bytes at hand allow.
func (v *move) run() codec.Op {
	n := &v.new
	for v.state != moveWork && v.state != moveTLS && len(n.in) >= headerLen {
		size := int(packetLen(n.in))
		if size > maxGreeting {
			return v.fail(errors.New("a packet of the new server is too long for a login"))
		}
		if len(n.in) < headerLen+size {
			break
		}
		if n.in[3] != n.seq {
			return v.fail(errors.New("a packet of the new server is out of order"))
		}
		b := n.in[headerLen : headerLen+size]
		n.in = n.in[headerLen+size:]
		n.seq++
		var op codec.Op
		switch v.state {
		case moveGreeting:
			op = v.greeted(b)
		case moveLogin:
			op = v.dialogue(b)
		default:
			op = v.fail(errors.New("the new server spoke unasked"))
		}
		if op != codec.OpMore || n.answers != nil {
			return op
		}
	}
	return codec.OpMore
}

// greeted takes the new server's greeting.
func (v *move) greeted(b []byte) codec.Op {
	n := &v.new
	if len(b) >= 3 && b[0] == 0xff {
		no, text := parseErr(b)
		return v.fail(&serverFail{no, text})
	}
	g, ok := parseGreeting(b)
	if !ok {
		return v.fail(errors.New("the new server does not speak protocol 4.1"))
	}
	g.b = nil
	n.id, n.greeting = g.id, g
	if err := v.m.fits(&g); err != nil {
		return v.fail(err)
	}
	offers := g.caps&capSSL != 0
	if v.cfg.TLS.Required() && !offers {
		return v.fail(errors.New("the new server does not offer TLS, which is required"))
	}
	if n.tls = offers && v.cfg.TLS >= codec.TLSPrefer; !n.tls {
		return v.secured()
	}
	if len(n.in) > 0 {
		return v.fail(errors.New("plain bytes of the new server in front of TLS"))
	}
	v.signOn()
	n.sign.flags(&g)
	v.send(n.sign.front())
	v.state = moveTLS
	return codec.OpServerTLS
}

// signOn prepares the login at the new server.
func (v *move) signOn() {
	n := &v.new
	n.sign = signin{
		account: &v.m.account,
		caps:    v.m.facts.caps,
		ext:     v.m.facts.ext,
		tls:     n.tls,
		clear:   v.cfg.AuthClear,
	}
	if c, ok := v.carrier.(*tidbCarrier); ok {
		c.signOn(&n.sign)
	}
}

// send appends a packet of the login.
func (v *move) send(payload []byte) {
	out := &v.out[codec.LegNew]
	*out = append(appendHeader(*out, len(payload), v.new.seq), payload...)
	v.new.seq++
}

// Secured goes on behind TLS with the new server.
func (v *move) Secured([]byte) codec.Op {
	if v.state != moveTLS {
		return v.fail(errors.New("secured out of turn"))
	}
	return v.secured()
}

// secured logs in, or waits for what it takes to.
func (v *move) secured() codec.Op {
	if v.late() {
		v.state = moveStandBy
		return codec.OpStandBy
	}
	return v.login()
}

// login sends the response to the greeting. Behind one with a token, which is not argued about, the state
// follows at once.
func (v *move) login() codec.Op {
	n := &v.new
	var behind [][]byte
	if v.late() {
		behind = v.carrier.put()
	}
	if err := sendable(behind); err != nil {
		return v.fail(err)
	}
	v.signOn()
	if n.sign.token == nil {
		secret, ok := v.m.account.secret(v.m.opt)
		if !ok {
			return v.fail(codec.PinError{Pin: pinCredentials})
		}
		n.sign.secret = secret
	}
	b, err := n.sign.response(&n.greeting)
	if err != nil {
		return v.fail(err)
	}
	v.send(b)
	v.state = moveLogin
	for _, b := range behind {
		n.sent = append(n.sent, b[0])
		v.command(b)
	}
	return codec.OpMore
}

// command sends a command to the new server.
func (v *move) command(payload []byte) {
	out := &v.out[codec.LegNew]
	*out = appendCommand(*out, v.m.facts.caps, payload)
}

// errPutLong is why a state is not put in place of which a part, written as a command, would take more than a packet.
var errPutLong = codec.PinError{Pin: codec.Pin{Name: "state-size", Reason: "its state does not fit into a packet"}}

// sendable tells whether commands can be sent.
func sendable(payloads [][]byte) error {
	for _, b := range payloads {
		if headerLen+len(b) >= fullLen { // with a header, as a frame has it
			return errPutLong
		}
	}
	return nil
}

// commands sends commands behind the login.
func (v *move) commands(payloads [][]byte) {
	for _, b := range payloads {
		v.new.answers.expect(b[0])
		v.command(b)
	}
}

// dialogue takes a packet of the new server behind its greeting.
func (v *move) dialogue(b []byte) codec.Op {
	n := &v.new
	reply, step, err := n.sign.on(b)
	switch {
	case err != nil:
		return v.fail(codec.RefusedError{Err: err})
	case step == signWork:
		v.state = moveWork
		return codec.OpWork
	case step == signDone:
		return v.loggedIn(b)
	case reply != nil:
		v.send(reply)
	}
	return codec.OpMore
}

// Work computes a proof.
func (v *move) Work() {
	if v.state == moveWork {
		v.new.sign.work()
	}
}

// Worked goes on with what Work has found.
func (v *move) Worked() codec.Op {
	if v.state != moveWork {
		return codec.OpClose
	}
	reply, err := v.new.sign.worked()
	if err != nil {
		return v.fail(codec.RefusedError{Err: err})
	}
	v.send(reply)
	v.state = moveLogin
	return v.run()
}

// loggedIn goes on behind the OK of the login.
func (v *move) loggedIn(b []byte) codec.Op {
	n := &v.new
	status, ok := okStatus(b)
	if !ok {
		return v.fail(errors.New("malformed OK of the new server"))
	}
	n.status = status
	rest := n.in
	n.in = nil
	n.answers = newReading(&v.m.facts, v.m.answerRoom(), v.newSaid)
	switch {
	case v.late():
		v.state = movePut
		n.answers.due = n.sent
	case v.cfg.Part != codec.PartAny && v.m.kind != kindTiDB:
		v.state = movePart
		v.commands([][]byte{appendQuery(nil, v.m.facts.caps, partText)})
	default:
		v.state = moveStandBy
		if len(rest) > 0 {
			return v.fail(errAnswerExtra)
		}
		return codec.OpStandBy
	}
	return v.judged(n.answers.server(rest))
}

// errNewLong is errAnswerLong of the new server, which says nothing about the session.
var errNewLong = errors.New("the new server answers more than it was asked for")

// judged goes on behind answers of the new server.
func (v *move) judged(err error) codec.Op {
	switch {
	case err == errAnswerLong:
		return v.fail(errNewLong)
	case err != nil:
		return v.fail(err)
	case !v.new.answers.over():
		return codec.OpMore
	case v.state == movePart:
		v.state = moveStandBy
		v.new.from = v.new.answers.i
		return codec.OpStandBy
	case v.state == movePut:
		return v.done()
	}
	return codec.OpMore
}

// newSaid takes an answer of the new server behind the login.
func (v *move) newSaid(i int, r *answer) error {
	if r.err == nil {
		v.new.status = r.status
	}
	if v.state == movePart {
		return judgePart(r, v.cfg.Part)
	}
	more, err := v.carrier.placed(i-v.new.from, r)
	if err == nil {
		err = sendable(more)
	}
	if err != nil {
		return err
	}
	v.commands(more)
	return nil
}

// partText asks a server whether it takes writes. (A server of the family does not say by itself whose
// replica it is to who has no rights to know.)
//
//   - https://dev.mysql.com/doc/refman/8.0/en/server-system-variables.html#sysvar_read_only
//   - https://mariadb.com/kb/en/server-system-variables/#read_only
const partText = "SELECT @@global.read_only"

// judgePart refuses a server that is not what it has to be.
func judgePart(r *answer, want codec.Part) error {
	row, ok := r.one(1)
	if !ok {
		return errors.New("the new server did not say whether it takes writes")
	}
	if writes := string(row[0]) == "0" || string(row[0]) == "OFF"; writes != (want == codec.PartPrimary) {
		return codec.Error{Cond: codec.WrongPart, Text: "the new server is not what it has to be: read_only is " + string(row[0])}
	}
	return nil
}
