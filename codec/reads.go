package codec

// Reader is a Guest that can tell ahead that a unit of work only reads, so that a server may do it that
// takes no writes.
type Reader interface {
	Guest
	// ReadOnly tells, after NeedHost, that the unit of work that begins says of itself that it only
	// reads. rest are the bytes that were left. It is false where that can't be told from what is at hand.
	ReadOnly(rest []byte) bool
	// Sole has the guest do no more than that unit on the host that is attached next: what the client
	// sends ahead behind it waits (NeedTurn). Before the bytes are given again, the guest has to be
	// detached if the host is free.
	Sole()
}

// Position is how far a server is in the log that a cluster's servers share.
type Position struct {
	Log     uint64 // bytes from the log's begin: all before it is done and can be seen
	Replica bool   // it follows another server
	// Timeline is which of the ways it is that the log has gone on in, where servers took over from
	// others; 0: not known. Positions on different ones do not compare.
	Timeline uint64
}

// Locator is a Host that can be asked for its server's position.
type Locator interface {
	Host
	// Locate asks the server. Only while Free, and the answer is there when the host is Free again.
	Locate(t *Turn)
	// Position is what the last question was answered; ok is false if the server did not tell.
	Position() (at Position, ok bool)
}
