// Package postgres says what the bytes of a PostgreSQL connection mean: protocol 3.0 and 3.2.
//
// It is made of pure machines, as package codec demands. The login relays a connection phase in
// which the server authenticates the client; the follower watches the two streams afterwards; the
// probe is a health check. None of them does I/O. A machine belongs to one session, on one loop.
//
// # The login
//
//	client                         Sluice                          server
//	GSSENCRequest ───────────────▶ 'N'
//	SSLRequest ──────────────────▶ 'S', TLS        (or 'N')
//	StartupMessage ──────────────▶ choose a server, connect
//	                               SSLRequest ───────────────────▶ 'S', TLS
//	                               StartupMessage, unchanged ────▶
//	◀───────────────────────────── whole messages ◀─────────────── Authentication…
//	PasswordMessage, SASL… ──────▶ whole messages ───────────────▶
//	◀───────────────────────────── AuthenticationOk ◀───────────── the login ends here
//
// A server that refuses before anything of it was relayed can be replaced by another one. The only
// thing that is changed on the way is the list of SASL mechanisms, where channel binding could not
// hold (see sasl.go).
//
// # The logins of a shared connection
//
// Where clients share server connections, neither side's login is the other's. The gate authenticates
// the client as a server would; the opener logs in at the server as a client would.
//
//	client            gate                      opener              server
//	StartupMessage ──▶ who is that?             SSLRequest ───────▶ 'S', TLS
//	◀── Authentication… SCRAM, md5, clear       StartupMessage ───▶
//	proof ───────────▶ right?                   ◀───────────────── Authentication…
//	◀── AuthenticationOk, parameters, key       proof ────────────▶
//	    ReadyForQuery                           ◀───────────────── … ReadyForQuery
//
// What a client's SCRAM proof shows, the opener can log in with (scram.go).
//
// # The follower
//
// It begins behind AuthenticationOk. It cuts both streams into messages without gathering them, and
// counts what the server owes: one ReadyForQuery for each Query, FunctionCall and Sync, but for
// those that the server never acts on (queue.go, copy.go). What a session has outstanding is kept
// as the client's stream in short form, about two bytes per command.
//
// # The manual
//
//   - flow: https://www.postgresql.org/docs/current/protocol-flow.html
//   - formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
//   - error fields: https://www.postgresql.org/docs/current/protocol-error-fields.html
//   - replication: https://www.postgresql.org/docs/current/protocol-replication.html
package postgres
