// Package patroni finds the members of a PostgreSQL cluster that Patroni runs, by Patroni's REST API, and
// hears of changes of the leader, from etcd at once if it may ask there.
//
//	configured hosts ─┐                ┌─▶ parse ─▶ believe ─▶ specs ─▶ upstream.Finds.Found
//	members' api_url ─┴▶ ask (hedged) ─┘                         ▲
//	                                  GET /patroni ─▶ positions ─┘ exact lags, if they are wanted
//	etcd's keys ─▶ watch ─▶ turn ─▶ upstream.Finds.Hold, EndHold
//	                 └─▶ a poll at once
//
// Options is the upstream.Discovery, Poller the upstream.Finder. A Poller has one goroutine that polls, so
// that what it tells comes in order: an answer that is late belongs to a poll that is over, and is dropped.
//
// # One poll
//
// GET /cluster makes the Patroni asked read its store (etcd, Consul…) anew, so any host will do. Asked first
// is the leader's own API, then who has answered last, then the others, and at the end those that have not
// answered in time of late. The next host is asked when one fails, or takes longer than Options.Hedge. An answer is taken at once if its leader is the one in force, or if
// the leader named in it has given it and either none led before, or its timeline is a new one. Any other change
// of leader, and that there is none, needs a second word, for which Options.Hedge is the time: the new leader is
// asked itself, if it may be. Then the answer with the highest timeline is taken, of several such one of the
// leader itself; of two that both say that they lead, the one in force.
//
// When something speaks for a change (Hurry, a hold) several hosts are asked at the same time, and that nothing
// has changed needs a second word too: a leader that is cut off from the store might not know yet.
//
// A timeline begins with each promotion, and never goes back. So an answer with an older one than is in
// force comes from somebody who has not heard yet: others are waited for, and it is refused; unless for several
// polls and some seconds nothing else can be had: then the cluster was made anew, and the log says so. That
// timeline is the leader's. Where it is not told the highest of all members counts, for that answer alone, and
// where none is, nothing is refused.
//
// While no host answers, or those that do know of no member, what was known last stays in force, and
// FinderStatus.Stale says so. That there is no leader, on the other hand, is a finding like any other.
//
// # Reading an answer
//
// Each member is read by itself. One that can't be used (no name, no host, an unknown role) is left out,
// and the log tells why, once until that changes; a field that is odd is not known. Patroni 2.1 to 4.1
// differ in little: the states of replicas (running; since 3.0.4 streaming or in archive recovery), the top
// level's scope (3.2), the roles quorum_standby (4.0), lags of receipt and of replay (4.1).
//
// Before 4.1 lag is that of what was received: a replica that does not replay what it receives has none.
// And in all versions it is reckoned from what leader and replica have last written into the store, which
// is up to loop_wait ago. With Options.Times each member is asked for its position by its own API
// (GET /patroni): the lag is then what the leader has and the replica has not replayed, and its time the
// lesser of two bounds: since the last transaction that it has replayed was committed, and since the leader
// was where the replica is now. The second keeps a quiet night, or one long transaction, from looking like
// lag; it needs no clock but ours. A member that does not answer is judged by what it has told last, for some
// seconds; then its lag is what Patroni tells of it, and its age grows.
//
// # When
//
// Polls are Options.Interval apart. There are more while no leader is known or work is held back for the
// next one (some 500 ms apart), and after Hurry: sessions that were refused or cut off know first.
//
// # Trust
//
// Requests go to the hosts that are configured and to those that they name, by no proxy of the environment,
// and follow no redirect. Where all configured hosts have https, hosts that are named with http are not
// asked: their answers might be anybody's, and the password would be for everybody to read. Learned hosts
// are bounded in number, and forgotten once no member names them.
//
// # Sources
//
// https://patroni.readthedocs.io/en/latest/rest_api.html for the endpoints; what the members of GET /cluster
// hold is made in patroni/utils.py (cluster_as_json), what GET /patroni holds in patroni/api.py
// (get_postgresql_status) of https://github.com/patroni/patroni.
package patroni
