package mysql

import (
	"encoding/binary"
	"strconv"

	"sluice/codec"
)

// maxKill is the longest payload that is looked at as a KILL, and so about the most that is held.
const maxKill = 512

// Intercept finds the messages that ask to kill another session, and in a session that has TLS towards
// the client only it keeps a COM_CHANGE_USER together until Client can judge it as a whole. In a
// compressed session it finds nothing: there a message can't be replaced without packing the stream
// anew.
func (f *Follower) Intercept(p []byte) (n int, kill *codec.Kill, hold bool) {
	if f.cli.atBoundary() && f.plain(p) {
		return len(p), nil, false // nearly always
	}
	if f.z != nil || f.awaitsData() {
		return len(p), nil, false
	}
	n, more := f.cli.pending(p)
	for n < len(p) {
		if !more {
			if kill, hold = f.interesting(p[n:]); kill != nil || hold {
				return n, kill, hold
			}
		}
		if len(p)-n < headerLen {
			break
		}
		size := packetLen(p[n:])
		more = size == fullLen
		n += headerLen + int(size)
	}
	return len(p), nil, false
}

// plain tells that p is one whole message that is of no interest, whatever the session is about.
func (f *Follower) plain(p []byte) bool {
	const text = headerLen + 1 + 2 // of a COM_QUERY; 2 bytes less where that has no attributes
	if len(p) <= text || packetLen(p) != uint32(len(p)-headerLen) || len(p) >= fullLen {
		return false
	}
	switch p[headerLen] {
	case comQuery:
		if f.facts.caps&capQueryAttributes != 0 {
			return p[headerLen+1] == 0 && !mayBeKill(p[text])
		}
		return !mayBeKill(p[headerLen+1])
	case comProcessKill, comChangeUser:
		return false
	}
	return true
}

// pending returns how many bytes at the front of p belong to a packet that has been begun, and whether
// the next packet continues its message.
func (s *stream) pending(p []byte) (n int, more bool) {
	if s.nhdr == 0 {
		return int(s.left), s.more
	}
	hdr := s.hdr
	n = copy(hdr[s.nhdr:], p)
	if int(s.nhdr)+n < headerLen {
		return n, s.more
	}
	size := packetLen(hdr[:])
	return n + int(size), size == fullLen
}

// interesting looks at the front of a message of the client.
func (f *Follower) interesting(p []byte) (kill *codec.Kill, hold bool) {
	if len(p) < headerLen+1 {
		return nil, len(p) < headerLen || packetLen(p) > 0
	}
	switch p[headerLen] {
	case comQuery, comProcessKill:
		return f.killIn(p)
	case comChangeUser:
		if f.sealed() {
			return nil, f.holdChangeUser(p)
		}
	}
	return nil, false
}

// killIn looks for a KILL in a COM_QUERY or COM_PROCESS_KILL, of which at least the first byte is there.
func (f *Follower) killIn(p []byte) (kill *codec.Kill, hold bool) {
	size := int(packetLen(p))
	if size > maxKill {
		return nil, false
	}
	attributes := f.facts.caps&capQueryAttributes != 0
	if p[headerLen] == comQuery {
		text := headerLen + 1
		if attributes {
			text += 2 // their number, mostly 0, and 1
		}
		without := !attributes || len(p) > headerLen+1 && p[headerLen+1] == 0
		if without && text < len(p) && text < headerLen+size && !mayBeKill(p[text]) {
			return nil, false
		}
	}
	if len(p) < headerLen+size {
		return nil, true
	}
	k, _, _, ok := killMessage(p[headerLen:headerLen+size], attributes)
	if !ok {
		return nil, false
	}
	k.Len = headerLen + size
	return &k, false
}

// mayBeKill tells whether a statement that is a KILL can begin with c.
func mayBeKill(c byte) bool {
	return c|0x20 == 'k' || c == '/' || c == '-' || c == '#' || isSpace(c)
}

// AppendKill appends the message with the id replaced.
func (f *Follower) AppendKill(dst, msg []byte, k *codec.Kill, id uint32) []byte {
	payload := msg[headerLen:]
	_, at, end, ok := killMessage(payload, f.facts.caps&capQueryAttributes != 0)
	if !ok {
		return append(dst, msg...) // not a message that Intercept has found
	}
	start := len(dst)
	dst = append(append(dst, msg[:headerLen]...), payload[:at]...)
	if payload[0] == comProcessKill {
		dst = binary.LittleEndian.AppendUint32(dst, id)
	} else {
		dst = strconv.AppendUint(dst, uint64(id), 10)
	}
	dst = append(dst, payload[end:]...)
	appendHeader(dst[start:start], len(dst)-start-headerLen, msg[3])
	return dst
}

// killReplySeq is the sequence id of the answer to an intercepted message, which is one packet long.
const killReplySeq = 1

// AppendOK appends the answer to an intercepted message that was carried out by Sluice. The status
// flags are those that the server reported last.
func (f *Follower) AppendOK(dst []byte) []byte {
	return appendOK(dst, killReplySeq, f.facts.status&(statusInTrans|statusAutocommit))
}

// AppendKillError appends the answer to an intercepted message that was refused.
func (f *Follower) AppendKillError(dst []byte, e codec.Error) []byte {
	return appendErr(dst, killReplySeq, true, numberOf(e.Cond), errorText(e))
}

var _ codec.Interceptor = (*Follower)(nil)
