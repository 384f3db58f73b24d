// Package upstream is the server side: clusters, their backends and the backends' health.
//
// A Cluster holds the backends that share data. It answers one question of the sessions: which backend
// next? (Pick), by asking the router with a snapshot of what is known. The list of backends is replaced
// as a whole (Update), so that a choice never sees half a change; a Backend that stays keeps its
// identity, its session count and its health.
//
// Which backends there are is configured, or found out by a Discovery, as the packages below this one are:
// a Finder at work tells the cluster (Found), which tells its owner (Options.Changed). While the lead is
// about to change, a Finder has new work on the leader held back (Hold).
//
//	Discovery ─Start─▶ Finder ─Found, Hold─▶ Cluster ─Changed─▶ who uses it
//	                     ▲                      │
//	                     └── Refresh, Hurry ────┘
//
// Each backend is checked on a clock of its own, by a goroutine of its own (health.go), so that one
// that hangs delays nobody's check but its own.
//
//	Unknown ─▶ Up ◀─▶ Down
//	   └────────────▲
//
// A backend with a status port (TiDB) has a second goroutine and a second opinion (status.go, verdict.go): it is down
// as soon as one of the two says so. Its status port also tells that it is about to stop (Closing) and whether its
// sessions can move (CanSign). Who reads the backends' figures is a Meter (meter.go), and what it has read stands at
// the backend (Readings).
//
// A backend that has not been checked yet counts as up: a start must not wait for a check. The first
// check decides at once; later ones need Rise or Fall results in a row.
//
// A backend may be drained (drain.go): it fits nobody until it is resumed, also when it goes and comes back. That is
// kept by the cluster, by address. One that is told to be out of service is treated alike, unless nobody else is left.
//
// Also here is what Sluice does at a backend on a connection of its own: carrying a cancel request or a
// KILL (cancel.go), looking up a user who wants to log in (authquery.go), and hearing notifications for
// many clients (listen.go). What of the last two is PostgreSQL's own is in postgres.go. All methods may be
// called from any goroutine. Cancel, Kill, Ask and Subscribe block.
package upstream
