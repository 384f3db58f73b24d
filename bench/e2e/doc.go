// Package e2e runs Sluice, as the program that users start, between real clients and real servers.
//
// What it needs on the machine: PostgreSQL and MariaDB servers with their client programs (psql,
// pgbench, pg_dump, pg_recvlogical, mariadb) and sysbench, Patroni and etcd, and the languages of the drivers
// in the folder drivers, which says more. A newer Patroni comes from the Python package index. The test that
// cuts a network makes a namespace, which takes root. A missing one fails the tests that want it
// and says what to install; nothing is skipped. Servers are started when the first test asks for
// them, on loopback, in a temporary folder, and are stopped at the end.
//
// Each Sluice is built with the race detector, but where memory, speed or fairness is measured. E2E_SLUICE
// names a binary to be tested instead of building one. The clients, which are these tests, need no detector.
//
// No outcome hangs on how fast the machine is: waits are for conditions, with a limit that no machine
// reaches (soon); Sluice's own time-outs are long unless a test is about them (unhurried…); what must happen
// within a limit is tried anew (anew); and speed is judged beside a reference.
//
// The files are named after what they hold against Sluice: clients of both protocols (postgres,
// mysql, tls) and of none (tcp), transparency to the byte (differential), memory (backpressure, memory),
// what goes wrong or changes in operation (churn, reload, drain, failure), and clusters that change their
// leader: real ones (patroni_cluster) and a Patroni in name only (patroni_suite). Below it, package real
// starts servers and package wire speaks the protocols byte by byte.
//
// On two cores that do little else the whole takes about fifteen minutes, with -parallel 6; a machine that is
// ten times slower needs -timeout 80m. TestNoCrosstalk takes one of them, or what -crosstalk says, and
// TestPatroniDebian three, beside others.
package e2e
