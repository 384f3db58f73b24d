// Package console is the admin console: it takes the commands of operators and monitors, as text, and
// answers them with tables and tags.
//
//	psql, exporters ──▶ codec.Desk ──▶ engine/session ─┐
//	                                                   ├──▶ Console.Run ──▶ Source
//	HTTP API, sluice ctl ──────────────────────────────┘
//
// The commands, and the columns of what they show, are those of PgBouncer 1.25, so that what speaks to
// its console (exporters, dashboards, scripts) can speak to this one: https://www.pgbouncer.org/usage.html.
// What only Sluice has stands in tables of its own and never as a further column of one of PgBouncer's.
//
// The console knows no protocol, no socket and no session. It asks a Source, which the program puts
// together from the parts that know. Its methods may be called from any goroutine, and block as long as
// the command takes (PAUSE, WAIT_CLOSE); the caller's context ends the wait.
package console
