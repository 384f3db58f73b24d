package codec

// Witness is a Follower that can tell what the loss of its server means for what was under way.
type Witness interface {
	Follower
	// Undone tells, when the server is gone while something is Owed, that none of it can have changed anything
	// for good: what was under way only reads, or stands in a transaction whose commit had not been sent.
	Undone() bool
}
