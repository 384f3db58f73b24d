package mysql

// AppendGoodbye appends COM_QUIT, with which a client ends its session,
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_quit.html. It fits where the
// client's stream is at a boundary and nothing is owed.
func (f *Follower) AppendGoodbye(dst []byte) []byte {
	quit := [...]byte{1, 0, 0, 0, comQuit}
	if f.z == nil {
		return append(dst, quit[:]...)
	}
	at := len(dst)
	dst = append(dst, make([]byte, frameHeaderLen)...)
	dst = append(dst, quit[:]...)
	putFrameHeader(dst[at:], len(quit), 0)
	return dst
}

// Quit tells that the client has sent COM_QUIT.
func (f *Follower) Quit() bool { return f.quit }
