// Package session is a client's stay, from accept to close: the only place where a loop, a protocol,
// the choice of a backend and the server side meet.
//
// A Proxy holds the frontends (listening sides) and the clusters. Each accepted client becomes a
// Session on one loop; its server connection is opened on the same loop, so that relaying crosses no
// thread and takes no lock.
//
//	       ┌────────────── retry ─────────────┐
//	       ▼                                  │
//	Login ─┼─ OpDial ─▶ Pick ─▶ Dial ─▶ login with the server
//	       │                                  │ OpReady
//	       │                                  ▼
//	       └────────── refused ─▶ Over ◀── Relay
//
// # Login
//
// The server authenticates; the protocol's Login machine carries the dialogue and says what is to be
// done next (codec.Op): dial, shake hands for TLS, compute. login.go carries that out. Until something
// of a server has been told to the client, a backend that refuses, hangs or breaks is replaced by
// another without a word (dial.go).
//
// # Relay
//
//	client ─▶ OnData ─▶ Follower.Client ─▶ server.Write ─▶ Full? pause the client
//	server ─▶ OnData ─▶ Follower.Server ─▶ client.Write ─▶ Full? pause the server
//
// The bytes are passed on from the loop's read buffer; nothing is gathered, copied or allocated. The
// follower only looks: it counts commands, notes the transaction status and knows the safe points.
//
// # Sharing
//
// In the modes fifo and funnel a client logs in at Sluice itself (sharedlogin.go) and has a server
// connection of a pool only while it has work, by default for a transaction (shared.go, checkout.go,
// sharedunit.go):
//
//	client ─▶ Guest ── needs a Host ─▶ checkout ─▶ Attach ─┐ the unit of work
//	   ▲        ▲         (or waits, its bytes held)        │
//	   │        └───────────── Detach ◀── Host.Free() ◀────┘
//	   └─ Turn ──────────────────────────── Host ◀─ server
//
// A serverConn (serverconn.go) is one server connection on one loop; a home (pools.go) is what the loop
// has of one pool: it carries out what package pool decides. When a server connection comes free it goes
// to the first who waits. The pool says so from inside its own calls; the session is taken up only when the
// event at hand is over (loopState.settle), so that no session runs inside another.
//
// While no server connection can be opened, a session that needs one tries again, at another backend if
// there is one, until the cluster's retry time-out (retry.go); where a discovery may find another backend, until
// the fail-over time-out if that is longer.
//
// Each unit of work begins at a backend that fits: a session whose own does not any more takes another one
// (sharedhome.go). If none fits or none of those is up, as while a cluster has no leader, and while work on the
// leader is held because another one is about to take over, the session seeks (seek.go): it looks now and
// then, and at once when the topology has changed, until the cluster's fail-over time-out. A login waits in
// the same way. How many may seek is limited (seekers.go).
//
// A session whose server goes in the middle of a unit of work (loss.go) goes on elsewhere as if nothing had been, if
// nothing of the unit has reached the server. Else the guest tells the client what became of it and the session
// stays, if that can be: it begins its next unit on another server connection.
//
// What of this is a protocol's own is behind codec.Guest and codec.Host. A client that goes away in
// the middle of something leaves its server connection to the host, which works its way back to a clean
// state, or is closed when that takes too long. A cancel request that is on its way to a server connection
// keeps it from being handed out: it may hit nobody else's query.
//
// LISTEN is served by one listening connection per database (aside.go), the admin console by a desk in
// place of a guest (desk.go), what operators order by control.go.
//
// # Reads at replicas
//
// Where the listener has ReadRoles, a unit of work whose client says that it only reads is done at a second
// home, if a replica fits; behind it the session is at its own again (reads.go, readsplace.go):
//
//	own home ─ reads only? ─ wrote before? ──▶ floor: the leader's position behind the last write
//	   ▲             │ no           │ no          │
//	   │             ▼              ▼             ▼
//	   ◀── unit ── own home    second home ◀── the replica is at the floor, or waits for it up to ReadWait
//	   ◀───────────────────────── unit            └─▶ else: own home
//
// Positions are asked for over the pools' connections by a gauge (readsposition.go), one for each home that is
// asked: one question at a time, for all sessions of the loop that wait. It is good for those whose last write
// had ended when it was sent.
//
// # Leaving
//
// When a listener or the process goes away, its sessions are asked to leave (leave.go): each
// ends at its next safe point with an error in its protocol, or by force when the time is over.
//
// # Topology
//
// What changes about a cluster while it runs - members, roles, states, lags - is carried out by one goroutine
// (topology.go). It finds out what has changed (clusterview.go) and who is too far behind for which listener
// (behind.go), has the pools follow, and then has each session looked at on its own loop (evict.go): one that
// works at a backend which is not fit for its listener any more has to leave it.
//
//	in proxy mode              moves (below), or ends, at its next safe point; by force behind the drain time-out
//	shares, in a unit of work  goes elsewhere behind it, is cut off behind the drain time-out
//	shares, between two        goes elsewhere when it has work; nothing is done now
//	is bound to its server     as in proxy mode
//
// A leader that another one has taken over from is fenced: whoever may write there is cut off at once. Nothing
// of this is asked for each query: a session in a unit of work is told, and a unit begins where it is fit to.
//
// # Moving
//
// A session of proxy mode goes on at another backend while its client works (move.go). The protocol's Move machine
// carries its state; what is here connects, waits, holds the client's bytes back, counts, and sees to it that a
// move that comes to nothing leaves no trace. Why there is one is none of its business: evict.go, the balancer
// and the loss of a server ask for it in the same way.
//
//	queued ─▶ dialling ─▶ preparing ─▶ standing by ─▶ asked ─▶ the session is at the new server
//	  turn      connect-timeout          safe point     hold-timeout
//	  └────────────┴───────────┴───────────────┴──────────┴─▶ owing ─▶ the session is where it was
//
// Until "asked" the client is served; the gate lets those of its bytes wait that would put the safe point off, such as the
// next BEGIN (move_hold.go). There they wait for at most the hold time-out, and then the gate rests for a while: a long
// query is no reason to keep a client waiting. From "asked" on all bytes wait, in order, and the client is not read any more
// when there are too many. What the old server says then is the machine's. When a move has come to nothing while the
// old server owes answers to it, or the machine computes, that is waited for (owing): else an answer that
// the client did not ask for would reach it.
//
// The session is counted at the new backend from the moment that is chosen, and among those that part from the old
// one, so that whoever chooses next sees it there; each way out of a move takes one of the two back (aim and unaim).
//
// Moves take turns (move_turns.go): 64 at a time from each backend are prepared on a loop. Those that stand by are not among them, as
// a transaction may last. Those whose moment has come stand in a line (move_line.go), served as ever: sessions at rest are let
// in 16 at a time, those of clients that work behind them, and as many as make none slower. On two cores that all shared, TiDB's
// included, it took the pause of eight busy clients from 31 ms to 10 ms in the median, and a thousand sessions at
// rest left in 2.8 s as before. A session rests behind a move that has failed, but not behind one for which there was no
// backend: a change of the topology brings it here again, and tryLater does where nothing would.
//
// A session whose server is lost at a safe point seeks another backend (move_lost.go), with what was known of it: as at
// the login, or as the keeper has had it asked for since (move_keep.go). The keeper goes round the sessions instead of
// having each note its time: a query costs a session nothing that it could cost a loop ten times a second. It asks
// only those at rest, a few at a time, and each once.
//
// What only sessions need that have moved is behind a pointer (mobile.past); a session that does not move pays for
// one comparison in each direction.
//
// # Balancing
//
// Each cluster has a goroutine (balance.go) that tells a router.Balancer ten times a second how the backends stand, and
// carries out its orders (balance_orders.go): each loop moves its share of sessions, the oldest first, that may move and have rested
// for long enough. Backends among which some sessions may move are a group, one for each wish of listeners and
// namespaces. What has been decided is remembered and logged once for as long as it goes on (balance_decisions.go), how backends
// stand is for the admin side and the metrics (balance_standing.go).
//
// A backend that is drained, or whose server is about to stop, is not fit (balance_drain.go): sessions leave it as they
// leave any backend that is not, but stay while there is no other one for them.
//
// # Tenants
//
// A client's namespace decides on its cluster, tags and limit (namespace.go). It is looked up at accept, or when a proxy
// has said who the client is (heading.go), or, where it depends on that, when the user is known:
//
//	accept ─▶ PROXY header? ─▶ enter by address ─▶ login: the user ─▶ enter by user ─▶ dial
//
// Each namespace has the listener's settings with its own in them; a session's are those of its namespace. In a
// protocol in which the server speaks first Sluice greets in its place where the user has to be known (own_greeting.go).
// When namespaces change, a session that is led to another cluster is asked to leave. It does not become another namespace's
// user (Becomes), and names sessions of its own cluster alone (kill.go).
//
// # Keys
//
// A client quotes a key to have another session's work cancelled. The registry maps the key that the
// client knows to the backend and the key that is good there. In proxy mode PostgreSQL's keys pass
// unchanged: a client compares the process id in them with pg_backend_pid() and with the id in
// notifications, so a key of our own would be seen. MySQL's connection ids are small numbers that repeat
// from server to server; an id that is taken is replaced in the greeting by one from the upper half of
// the range, and a KILL that quotes it is rewritten, or carried to the other backend (kill.go). A session that
// has moved keeps its key; the number that its new server calls it by leads to it too, until somebody is told that number
// as his own.
package session
