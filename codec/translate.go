package codec

// Translator is a Follower of a session that has moved to a server at which things have other names than those that
// the client knows, such as the ids of prepared statements. Bytes go through it on their way in both directions,
// before they are followed.
type Translator interface {
	// Translates tells whether there is anything to translate. It stays as it is from one move to the next.
	Translates() bool
	// ToServer and ToClient change bytes, in place if they can, and return what is to be followed and sent on: a
	// slice that is valid until the next call. They may hold a few bytes of a message back until more of it comes;
	// Mid says so then.
	ToServer(p []byte) []byte
	ToClient(p []byte) []byte
}
