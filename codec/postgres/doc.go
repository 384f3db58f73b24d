// Package postgres says what the bytes of a PostgreSQL connection mean: protocol 3.0 and 3.2.
//
// It is made of pure machines, as package codec demands. The login relays a connection phase in
// which the server authenticates the client; the follower watches the two streams afterwards; the
// probe is a health check; gate, opener, guest and host share server connections between clients. None of them does I/O. A machine belongs to one session, on one loop.
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
// # Shared sessions
//
// Behind the two logins a guest reads the client's stream and a host the server's; a shelf keeps what
// the guests and hosts of one pool have in common. A guest has a host for a unit of work. The host keeps
// a queue of what its server owes (codec.Debts): each reply goes to the client, or is Sluice's own, or is
// one that the server was not asked for.
//
//   - A statement has one name on all servers of a pool, by its text, the types of its parameters and the
//     settings that can matter to it. Bind, Describe, EXECUTE and DEALLOCATE are written with that name;
//     where a server lacks the statement, its Parse goes in front (guest_ready.go). Long ones are not
//     shared, and bind the session (guest_apart.go).
//   - What a text of several statements says of prepared ones is left to the server: it gets to know them by
//     the client's names, which binds the session (guest_expose.go). Nothing is shared that was prepared
//     while a temporary table may hide another one.
//   - Settings are known from the server: a look, behind a transaction whose words or answers make it
//     likely that they have changed (look.go); of those that a plain SET has named it asks for no others
//     (look_named.go). A host is given those of its next client by one Query.
//   - What can't be carried to another server binds the session to its host: temporary tables, advisory
//     locks, cursors WITH HOLD, LISTEN in a transaction, currval and lastval.
//   - A unit of work whose client says that it only reads, and has sent what shows it, may be done by a
//     standby (readonly.go). What the client sends ahead behind that unit waits for its end, as it may be for
//     another server. How far a server is in the log is asked of it in band (position.go).
//
// # A session that moves
//
// A follower that is a Mover (move_follow.go) has a tracker beside it, which notes what no server can be asked for.
// A move logs in at the new server by an opener, with the client's own StartupMessage, and is done by one question
// (move_ask.go), asked three times:
//
//	new server    what a session is there before anything is done to it     the client is served meanwhile
//	old server    what the session keeps there                              the client waits
//	new server    the same, behind all that was put in place                the client waits
//
// The last two answers have to be the same. A session that has nothing of its own skips the third, one that was asked
// and has been at rest since the second. Types of the database's own are told by names, since their OIDs differ between
// servers (move_types.go). What a session has that can't be put in place is a pin: found by the question (move_answer.go), by
// the words of the client's statements (move_track.go), or by the login (move_login.go).
//
// Libraries that LOAD has loaded are loaded again (move_load.go). What is lost by a move without a word: the state of
// random(), what currval says inside of functions that are not named in the configuration, and when it is first used behind
// a move.
//
// # The loss of a server
//
// A server connection may be lost in the middle of a client's work. The host keeps the server's last word
// to itself (host_lost.go), and the guest is bereaved of it (guest_bereave.go): the client is told an error
// in place of each answer that it is owed (mourning.go), by what its statements do to transactions
// (course.go). The session goes on, in a failed transaction if it was in one (guest_lost.go). What certainly
// had no effect is given back, to be done elsewhere: a BEGIN, and what a server refused that had to be the
// primary and only reads (host_turned.go).
//
// The session ends all the same where it can't be told what the server has kept for it: if it is bound to
// its host, while a look is due or on its way behind what is committed, in a transaction block that has
// taken an advisory lock for the session or may have prepared statements by SQL (DO and CALL count as
// both), or where a message of the server's is only told in half.
//
// A client can tell it from a server of its own by this:
//
//   - a Parse of a text that the pool knows is answered without a server. After a change of the schema
//     that was not made through Sluice, the error comes with the Bind;
//   - a statement that was prepared under other settings than those in force now may be parsed anew
//     under these: constants in it are read by the present TimeZone or DateStyle;
//   - a statement that was prepared before a change of the schema may be parsed anew behind it, where a
//     single server would say that its result has changed;
//   - RESET inside a transaction goes to the server's own value, and to that of the client's login only
//     when the transaction is over; what DISCARD ALL by Parse and Execute puts back is told behind it.
//   - a Parse that is sent behind a statement which fails a transaction, before that answer is there, may
//     be answered by ParseComplete; the error comes with the Bind;
//   - currval and lastval are told where the client has drawn from a sequence on the same server
//     connection, as far as its statements, nextval and the tags of their answers tell. A function that
//     draws is not seen: behind one alone, the server says that there is no value yet. From then on the
//     session is bound, and all is as on a connection of its own;
//   - a setting with a dot in its name that only the body of a function or procedure names is not seen,
//     unless that function is named in the configuration;
//   - a transaction READ ONLY at a standby can do what a standby can. Some of what a primary lets such a
//     transaction do is refused there: LISTEN and NOTIFY, SET TRANSACTION READ WRITE at its begin, a new
//     transaction id; and what follows its COMMIT without a Sync between them is the standby's too. What binds
//     a session to its host (an advisory lock, a cursor WITH HOLD) binds it to the standby, which refuses
//     writes until that is over;
//   - the position that an error in PREPARE, EXECUTE or DEALLOCATE tells is that in the text with the
//     shared name.
//
// # The manual
//
//   - flow: https://www.postgresql.org/docs/current/protocol-flow.html
//   - formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
//   - error fields: https://www.postgresql.org/docs/current/protocol-error-fields.html
//   - replication: https://www.postgresql.org/docs/current/protocol-replication.html
package postgres
