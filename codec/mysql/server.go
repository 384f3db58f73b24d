package mysql

// server follows the packets of the server.
func (f *Follower) server(p []byte) error {
	s := &f.srv
	for len(p) > 0 {
		if s.left == 0 {
			if s.atBoundary() {
				if !f.replied && f.owed.n > 0 {
					f.reached()
				}
				if f.phase == phaseDefs {
					p = f.columns(p)
				}
				if f.phase == phaseRows {
					p = f.rows(p)
				}
				if len(p) == 0 {
					return nil
				}
				if n, ok := wholePacket(p); ok { // whole, as most are
					if err := f.serverHeader(p[3]); err != nil {
						return err
					}
					payload := p[headerLen : headerLen+n]
					p = p[headerLen+n:]
					if err := f.answer(payload[:min(n, headMax)], uint32(n)); err != nil {
						return err
					}
					continue
				}
			}
			var ok bool
			if p, ok = s.header(p); !ok {
				return nil
			}
			if err := f.serverHeader(s.hdr[3]); err != nil {
				return err
			}
		} else {
			p = s.payload(p)
		}
		if s.ended() {
			if err := f.answer(s.head[:s.nhead], s.total); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows passes over the whole rows at the front of p. It leaves alone what may be more than a row.
func (f *Follower) rows(p []byte) []byte {
	next, strict := f.next, f.strict()
	for len(p) > headerLen {
		n := packetLen(p)
		if n == 0 || n == fullLen || int(n)+headerLen > len(p) || p[4] >= 0xfe || p[3] != next && strict {
			break
		}
		p = p[headerLen+n:]
		next++
	}
	f.next = next
	return p
}

// columns passes over the whole column definitions at the front of p that the present result still has, and
// over the EOF behind them, unless that tells of a cursor.
func (f *Follower) columns(p []byte) []byte {
	next, strict, due := f.next, f.strict(), f.skip
	for due > 0 && len(p) > headerLen {
		n := packetLen(p)
		if n == 0 || n == fullLen || int(n)+headerLen > len(p) || p[4] == 0xff || p[3] != next && strict {
			break
		}
		p = p[headerLen+n:]
		next++
		due--
	}
	if due == 0 {
		f.defsOver()
		if f.phase == phaseDefsEnd && plainEOF(p) && (p[3] == next || !strict) {
			f.phase = phaseRows
			p = p[headerLen+5:]
			next++
		}
	}
	f.next, f.skip = next, due
	return p
}

// plainEOF tells that p begins with an EOF that tells of no cursor.
func plainEOF(p []byte) bool {
	return len(p) >= headerLen+5 && packetLen(p) == 5 && p[headerLen] == 0xfe && p[headerLen+3]&statusCursorExists == 0
}

// reached is called at the first byte of an answer.
func (f *Follower) reached() {
	f.replied = true
	head := f.owed.head()
	f.next = head.seq
	// A server that refuses a command before it has read it to the end has counted less.
	f.sure = f.owed.n > 1 || f.cli.atBoundary()
	if f.watch != nil {
		f.watch.OnReply(head.kind)
	}
}

// serverHeader looks at a packet header of the server.
func (f *Follower) serverHeader(seq uint8) error {
	if seq != f.next {
		loose := !f.sure || !f.strict() || f.owed.n == 0 || f.opaque || f.due == replyEvents
		if !loose {
			return errServerSeq
		}
	}
	f.next, f.sure = seq+1, true
	return nil
}
