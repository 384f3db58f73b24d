// Package real starts the programs that the end-to-end tests run against: PostgreSQL, MariaDB
// and TiDB servers with TLS and a set of users, clusters of three nodes that Patroni and etcd run, and Sluice
// itself, all on loopback ports in one temporary folder. It also holds what stands between them in
// tests: a relay that cuts a stream into pieces, and a network namespace whose cables can be cut; and
// what stands for a Patroni and its servers where no real ones are needed (FakePatroni, LineServer).
//
// Every child process dies with the process that started it (the kernel's parent-death signal), so a
// test that is killed leaves nothing running. Nothing here knows package testing: functions return
// errors, and it is for the tests to fail.
package real
