package mysql

// server follows the packets of the server.
func (f *Follower) server(p []byte) error {
	s := &f.srv
	for len(p) > 0 {
		if s.left == 0 {
			if s.atBoundary() {
				f.reached()
				if f.phase == phaseRows {
					if p = f.rows(p); len(p) == 0 {
						return nil
					}
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

// reached is called at the first byte of each message of the server.
func (f *Follower) reached() {
	if f.replied || f.owed.n == 0 {
		return
	}
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
	loose := !f.sure || !f.strict() || f.owed.n == 0 || f.opaque || f.due == replyEvents
	if !loose && seq != f.next {
		return errServerSeq
	}
	f.next, f.sure = seq+1, true
	return nil
}
