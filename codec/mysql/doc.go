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
// # Flow of a command
//
//	Client ─▶ begin: the command byte says which answer is owed (commands, owed)
//	Server ─▶ answer: judges message by message until the answer is whole (answer)
//	       ─▶ finish: what the command did to the session (statements, status), next one owed
//
// In a compressed session both streams are first unwrapped by a copy (compress); the original bytes
// go on untouched.
//
// # Sources
//
//   - https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
//   - https://mariadb.com/kb/en/clientserver-protocol/
package mysql
