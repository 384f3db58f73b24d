// Package mysql follows the MySQL protocol as the MySQL family speaks it: MySQL, MariaDB and TiDB.
//
// It is the machine room behind codec.Protocol: Login carries the connection phase, Follower watches
// the command phase, Probe is a health check. Nothing here does I/O, starts a goroutine or reads a
// clock. A machine belongs to one session and is fed by one goroutine at a time; Protocol itself has
// no state.
//
// # Packets
//
// A packet is a header (3 bytes length, 1 byte sequence id) and a payload. A payload of 16 MiB - 1
// bytes is continued in the next packet; what belongs together is called a message here. Followers
// look at the first few bytes of a message and skip the rest, so a message of any length passes
// without being kept.
//
// # Greeting in a server's place
//
// Where it depends on the user which server a client will have, Login greets by itself (login_own) with what the
// servers have in common (common), and has the server ask for the proof anew by a switch of plugins.
//
// # Flow of a command
//
//	Client ─▶ begin: the command byte says which answer is owed (commands, owed)
//	Server ─▶ answer: judges message by message until the answer is whole (answer)
//	       ─▶ finish: what the command did to the session (statements, status), next one owed
//
// In a compressed session both streams are first unwrapped by a copy (compress); the original bytes
// go on untouched.
//
// # Moves
//
// A Mover is a Follower whose session can go on at another server. It notes what a second login takes
// (observe, account), when what a server would tell of the session may have changed (quiet), what a server
// can't tell (keep), and which bytes of the client may go on while a move waits (gate). A move talks to both servers
// (move, reading, signin) on behalf of a carrier:
//
//	tidbCarrier    SHOW SESSION_STATES ─▶ login by a token, SET SESSION_STATES
//	replayCarrier  questions ─▶ the same said anew ─▶ the same questions, compared (state, replay)
//
// Behind a move the client's names for things are translated to the new server's (translate, ownid).
//
// # Sources
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
//   - https://mariadb.com/kb/en/clientserver-protocol/
package mysql
