// Package e2e runs Sluice, as the program that users start, between real clients and real servers.
//
// What it needs on the machine: PostgreSQL and MariaDB servers with their client programs (psql,
// pgbench, pg_dump, pg_recvlogical, mariadb) and sysbench, and the languages of the drivers in the folder
// drivers, which says more. A missing one fails the tests that want it
// and says what to install; nothing is skipped. Servers are started when the first test asks for
// them, on loopback, in a temporary folder, and are stopped at the end.
//
// Each Sluice is built with the race detector, but where memory is measured. E2E_SLUICE names a
// binary to be tested instead of building one.
//
// The files are named after what they hold against Sluice: clients of both protocols (postgres,
// mysql, tls) and of none (tcp), transparency to the byte (differential), memory (backpressure, memory),
// and what goes wrong or changes in operation (churn, reload, drain, failure). Below it, package real
// starts servers and package wire speaks the protocols byte by byte.
//
// On two cores that do nothing else the whole takes about five minutes; give a busy machine
// -timeout 20m.
package e2e
