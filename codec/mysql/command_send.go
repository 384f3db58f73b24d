package mysql

import "errors"

var errStillOpen = errors.New("a transaction is open behind its COMMIT")

// appendQuery appends the payload of a COM_QUERY without attributes, in the form that was agreed on.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
func appendQuery(dst []byte, caps uint32, text string) []byte {
	dst = append(dst, comQuery)
	if caps&capQueryAttributes != 0 {
		dst = append(dst, 0, 1) // none, and one set of them
	}
	return append(dst, text...)
}

// appendCommand appends a command whose payload is shorter than fullLen, in a frame of its own if the
// session is compressed.
func appendCommand(dst []byte, caps uint32, payload []byte) []byte {
	if caps&(capCompress|capZstd) != 0 {
		var head [frameHeaderLen]byte
		putFrameHeader(head[:], headerLen+len(payload), 0)
		dst = append(dst, head[:]...)
	}
	return append(appendHeader(dst, len(payload), 0), payload...)
}
