// Package patroni finds the members of a PostgreSQL cluster that Patroni runs.
package patroni
