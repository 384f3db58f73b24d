package mysql

import "sluice/codec"

// client follows the packets of the client.
func (f *Follower) client(p []byte) error {
	s := &f.cli
	for len(p) > 0 {
		if rest, ok, err := f.wholeCommand(p); ok || err != nil {
			if err != nil {
				return err
			}
			p = rest
			continue
		}
		var at []byte // the front of the message, as far as it lies in p
		if s.left == 0 {
			first := !s.more
			var ok bool
			if p, ok = s.header(p); !ok {
				return nil
			}
			if err := f.clientHeader(s.hdr[3], first); err != nil {
				return err
			}
		} else {
			before, whole := p, p
			if s.nhead > 0 {
				whole = nil // these bytes do not begin with the command byte
			}
			p = s.payload(p)
			at = whole[:max(0, len(whole)-len(p))]
			if f.change != nil {
				*f.change = append(*f.change, before[:len(before)-len(p)]...)
			}
			if f.mover != nil {
				f.mover.part(before[:len(before)-len(p)], whole != nil && !s.begun) // data has begun with its header
			}
		}
		if !s.begun && (int(s.nhead) >= f.headNeed() || s.ended()) {
			s.begun = true
			if err := f.begin(s.head[:s.nhead], at); err != nil {
				return err
			}
		}
		if f.change != nil {
			if err := f.judgeChangeUser(); err != nil {
				return err
			}
		}
		if s.ended() {
			f.clientEnd()
		}
	}
	return nil
}

// wholeCommand is the short way for a command that lies whole at the front of p, which is the rule.
func (f *Follower) wholeCommand(p []byte) (rest []byte, ok bool, err error) {
	s := &f.cli
	n, ok := wholePacket(p)
	if !ok || n == 0 || !s.atBoundary() || f.awaitsData() || p[headerLen] == comChangeUser {
		return p, false, nil
	}
	if p[3] != 0 && f.strict() {
		return p, false, errClientSeq
	}
	f.cseq = p[3] + 1
	payload := p[headerLen : headerLen+n]
	return p[headerLen+n:], true, f.begin(payload[:min(n, headMax)], payload)
}

// awaitsData tells whether what the client sends is no command: a file, credentials, or a stream that
// has left the command phase.
func (f *Follower) awaitsData() bool {
	return f.infile || f.dialogue || f.opaque || f.due == replyEvents
}

// clientHeader looks at a packet header of the client. The packets of a command count from 0; what the
// client sends in answer to the server continues the server's count.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
func (f *Follower) clientHeader(seq uint8, first bool) error {
	asked := f.infile || f.dialogue
	data := f.awaitsData()
	want := f.cseq
	if first {
		want = 0
		if data {
			f.cli.begun = true
		}
		if asked {
			want = f.next
		}
	}
	if seq != want && f.strict() && (asked || !data) {
		return errClientSeq
	}
	f.cseq = seq + 1
	if asked {
		f.next = f.cseq
	} else if !first && f.owed.n > 0 {
		f.owed.last().seq = f.cseq // the command is longer than one packet: so the count goes on
	}
	return nil
}

// clientEnd is called behind each message of the client.
func (f *Follower) clientEnd() {
	s := &f.cli
	if f.mover != nil {
		f.mover.clientEnd()
	}
	if f.infile && s.total == 0 {
		f.infile = false // the empty packet behind the file
	}
	if s.total == 1 && s.head[0] == comQuit && (f.opaque || f.due == replyEvents) {
		f.quit = true // said into a stream, where it is no command that waits its turn
	}
}

// headNeed is how much of a command must be there to know what it is.
func (f *Follower) headNeed() int {
	s := &f.cli
	if s.nhead == 0 {
		return 1
	}
	c := &commands[kindOf(s.head[0])]
	switch {
	case c.stmt:
		return 1 + 4
	case s.head[0] == comQuery && f.facts.caps&capQueryAttributes != 0:
		return 1 + 2 + wordLen
	case s.head[0] == comQuery, s.head[0] == comStmtPrepare:
		return 1 + wordLen
	case s.head[0] == comSetOption:
		return 1 + 2
	}
	return 1
}

// begin notes a command of the client, of which the head is there. at is the front of the message if it
// came in one piece.
func (f *Follower) begin(head, at []byte) error {
	var b byte // an empty message is taken by servers as this
	if len(head) > 0 {
		b = head[0]
	}
	c := owedCommand{kind: kindOf(b), seq: f.cseq}
	row := &commands[c.kind]
	if row.reply == replyRefuse {
		return errCommand
	}
	if row.stmt && len(head) >= 5 {
		c.stmt = uint32(head[1]) | uint32(head[2])<<8 | uint32(head[3])<<16 | uint32(head[4])<<24
	}
	if c.kind == comChangeUser && (f.sealed() || f.identity() != nil) {
		if f.sealed() && f.z != nil {
			return errChangeUser // Intercept can't keep it together
		}
		f.change = &[]byte{}
		*f.change = append(*f.change, at...)
	}
	if f.z != nil {
		c.zseq = f.z.client.seq
	}
	text := at
	if len(at) == 0 {
		text = head
	}
	if len(text) > 0 {
		text = text[1:]
	}
	switch {
	case b == comQuery && f.facts.caps&capQueryAttributes != 0:
		c.verb = verbOf(skipNoAttributes(head[min(1, len(head)):]))
		text, _ = skipAttributes(text)
	case b == comQuery, b == comStmtPrepare:
		c.verb = verbOf(head[min(1, len(head)):])
	case b != 0x02: // COM_INIT_DB's name is shown as text, too
		text = nil
	}
	if m := f.mover; m != nil {
		if whole := len(at) > 0 && f.cli.ended(); !m.passes(&c, text, whole) {
			m.begun(&c, head, at, text, whole)
		}
	}
	if !f.owed.push(c) {
		return errTooMuchOwed
	}
	if f.watch != nil {
		f.watch.OnCommand(c.kind, text)
	}
	if f.owed.n == 1 {
		f.settle()
	}
	return nil
}

// settle turns to the oldest owed command. It ends those for which no answer comes.
func (f *Follower) settle() {
	for f.owed.n > 0 {
		if f.due = commands[f.owed.head().kind].reply; f.due != replyNone {
			return
		}
		c := *f.owed.head()
		f.owed.pop()
		switch c.kind {
		case comQuit:
			f.quit = true
		case comStmtClose:
			f.open.clear(f.statement(c.stmt), openCursor|openLongData|openHidden|openTouches)
			if f.mover != nil && f.mover.keep != nil {
				f.mover.keep.closed(f.statement(c.stmt))
			}
		case comStmtLongData:
			f.open.set(f.statement(c.stmt), openLongData)
		}
		if f.watch != nil {
			f.watch.OnDone(c.kind, false)
		}
	}
	f.due = replyNone
}

// statement resolves the id that stands for the statement prepared last.
func (f *Follower) statement(id uint32) uint32 {
	if id == lastStatement {
		return f.prepared
	}
	return id
}

var _ codec.Follower = (*Follower)(nil)
