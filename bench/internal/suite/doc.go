// Package suite measures what a proxy costs: Sluice beside a direct connection, a bare relay (the
// floor), HAProxy, nginx, PgBouncer and others, under the same loads, on the same machine, in one run.
//
// A run is a table of scenarios by contenders. Each cell is measured once per round, and the rounds
// go through the contenders in turn (A B C, B C A, …), so that whatever else changes on the machine
// touches all of them alike. What is compared are ratios within a round; absolute figures belong to
// one machine and one day.
//
//	servers ◀── contender ◀── load generator
//	               │
//	               └─ its CPU, memory and context switches, over the same seconds
//	                  in which the queries are counted
//
// The work is cut into stages, one for each kind of server, sides with TLS and number of server
// connections that clients share, and these into cells, a load under a scenario. Servers stay up for their
// stages, contenders for a stage, generators for a sample. Loads that are compared with each other have
// their rounds together.
//
// To add a scenario, a load or a contender, add a row to its table (scenarios.go, with the line-ups of
// who takes part where; loads.go; contenders.go). What the rows take is added up by plan.go, and a test
// holds the sum below half an hour. The package starts everything that it needs, in a folder of its own, on free
// loopback ports, and stops it again. It imports nothing of the program's inside.
package suite
