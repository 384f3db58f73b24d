package tcp

import "sluice/codec"

// follower knows nothing of the bytes, and says so: without messages there is no safe point.
type follower struct{}

var _ codec.Follower = follower{}

// Client accepts any bytes.
func (follower) Client([]byte) error { return nil }

// Server accepts any bytes.
func (follower) Server([]byte) error { return nil }

// Tx is always TxIdle.
func (follower) Tx() codec.Tx { return codec.TxIdle }

// Owed is always 0: no commands are known.
func (follower) Owed() int { return 0 }

// Mid is always false: no messages are known.
func (follower) Mid(codec.Side) bool { return false }

// Busy is always "stream": the session can't be told to be at a safe point until it ends.
func (follower) Busy() string { return "stream" }

// Key is never known.
func (follower) Key() (codec.Key, bool) { return codec.Key{}, false }

// Ending is always false: only a close ends the stream.
func (follower) Ending() bool { return false }

// AppendError appends nothing: any byte of Sluice's would be taken for the server's.
func (follower) AppendError(dst []byte, _ codec.Error) []byte { return dst }
