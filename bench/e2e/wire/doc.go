// Package wire speaks the two database protocols byte by byte, from either end. Its clients write
// down every message that they receive, so that two conversations can be compared; its servers say
// what a script tells them to say, which is what a real server can't be made to do.
//
// It is written against the manuals and shares no code with the program under test, so that the two
// can't be wrong in the same way:
// https://www.postgresql.org/docs/current/protocol.html,
// https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html and
// https://mariadb.com/kb/en/clientserver-protocol/.
package wire
