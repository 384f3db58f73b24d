package e2e

import (
	"strings"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// startHalfwayMaria is startHalfway before two servers of MariaDB.
func startHalfwayMaria(t *testing.T, more ...string) *halfway {
	t.Helper()
	h := &halfway{}
	h.addr = real.FreeAddr()
	var backends []string
	for _, d := range pairMaria(t) {
		relay, err := wire.NewMyRelay(d.Addr, stage.cert.TLS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(relay.Close)
		h.relays = append(h.relays, relay)
		h.every = append(h.every, &real.TiDB{Addr: relay.Addr}) // the name that Sluice knows is all that is used
		backends = append(backends, relay.Addr)
	}
	h.Sluice = startSluice(t, racy(t), cluster("my", "mysql", backends, append(more,
		// The checks are of the port alone, and long apart: they would go the way of the move, and count among the files.
		"[cluster.health]", `interval = "1h"`, `timeout = "1m"`)...)+
		listener("my", h.addr, "my", leisure, tlsTable("listener", "prefer", stage.cert))+users("app"))
	await(t, h.Sluice, 2, "sluice_backend_up")
	h.only(t, 0)
	return h
}

// brokenReplays are ways in which a new server fails a move. All that passes its relay is of moves.
func brokenReplays() []broken {
	greeting := func(p wire.Passing) bool { return p.FromServer && p.Login && p.User == "" }
	response := func(p wire.Passing) bool { return !p.FromServer && p.Login }
	welcome := func(p wire.Passing) bool { return p.FromServer && p.Login && p.User != "" }
	says := func(word string) func(p wire.Passing) bool {
		return func(p wire.Passing) bool { return strings.Contains(p.Command(), word) }
	}
	prepares := func(p wire.Passing) bool {
		return !p.FromServer && !p.Login && p.First && len(p.Payload) > 0 && p.Payload[0] == 0x16
	}
	uses := func(p wire.Passing) bool {
		return !p.FromServer && !p.Login && p.First && len(p.Payload) > 0 && p.Payload[0] == 0x02
	}
	placed := func(p wire.Passing) bool { return p.FromServer && !p.Login }
	return []broken{
		{"refuses", when(greeting, wire.Cut), "new_lost"},
		{"greets-with-an-error", when(greeting, wire.Refuse), "refused"},
		{"is-silent", when(greeting, wire.Hang), "timeout"},
		{"refuses-the-login", when(response, wire.Refuse), "refused"},
		{"ends-at-the-login", when(response, wire.Cut), "new_lost"},
		{"is-silent-at-the-login", when(response, wire.Hang), "timeout"},
		{"ends-in-place-of-a-welcome", when(welcome, wire.Cut), "new_lost"},
		{"refuses-the-role", when(says("SET ROLE"), wire.Refuse), "not_placed"},
		{"ends-at-the-variables", when(says("SET SESSION"), wire.Cut), "new_lost"},
		{"refuses-a-user-variable", when(says("SET @"), wire.Refuse), "not_placed"},
		{"refuses-a-statement", when(prepares, wire.Refuse), "not_placed"},
		{"ends-at-a-statement", when(prepares, wire.Cut), "new_lost"},
		{"is-silent-at-a-statement", when(prepares, wire.Hang), "hold_timeout"},
		{"refuses-the-database", when(uses, wire.Refuse), "not_placed"},
		{"refuses-the-question", when(says("@@version"), wire.Refuse), "not_placed"},
		{"ends-at-the-question", when(says("@@version"), wire.Cut), "new_lost"},
		{"ends-behind-the-state", when(placed, wire.Cut), "new_lost"},
		{"is-silent-behind-the-state", when(placed, wire.Hang), "hold_timeout"},
	}
}

// TestMariaDBMoveFails has the new server fail a move at each of its steps, and the old one refuse the question. Nothing
// happens to the session: it stays where it is, with all of its state, and moves when it can; and nothing is left of the
// attempt.
func TestMariaDBMoveFails(t *testing.T) {
	pairMaria(t) // with what they have before anything runs at once
	for _, b := range brokenReplays() {
		t.Run(b.name, func(t *testing.T) { brokenReplay(t, b, 1) })
	}
	asks := func(p wire.Passing) bool { return strings.Contains(p.Command(), "@@version") }
	t.Run("old-refuses-the-question", func(t *testing.T) {
		brokenReplay(t, broken{"", when(asks, wire.Refuse), "not_placed"}, 0)
	})
}

// brokenReplay is one of them; server is the one that fails.
func brokenReplay(t *testing.T, b broken, server int) {
	h := startHalfwayMaria(t, `connect-timeout = "500ms"`, "[cluster.migrate]", `hold-timeout = "500ms"`, `retry-after = "50ms"`, `keep-state = "0s"`)
	s, err := newStatefulMaria(within(t, soon), openMySQL(t, h.addr, "app", ""), 7)
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.look(within(t, soon), true)
	if err != nil {
		t.Fatal(err)
	}
	if h.fd, err = real.OpenFiles(h.PID); err != nil {
		t.Fatal(err)
	}
	h.relays[server].Script(b.fate)
	h.order(t, h.every[1], "resume")
	h.order(t, h.every[0], "drain")
	moveFailed(t, h.moving, h.every[0], h.every[1], b.result)
	if got, err := s.look(within(t, soon), true); err != nil || got != before {
		t.Errorf("while it can't move: %v\n got %s\nwant %s", err, got, before)
	}
	h.order(t, h.every[0], "resume") // which ends the attempts
	h.settled(t, 1)
	h.sessions(t, h.every[0], 1)
	h.sessions(t, h.every[1], 0)
	h.relays[server].Script(func(wire.Passing) wire.Fate { return wire.Pass })
	h.order(t, h.every[0], "drain")
	h.sessions(t, h.every[0], 0)
	h.sessions(t, h.every[1], 1)
	if got, err := s.look(within(t, soon), true); err != nil || got != before {
		t.Errorf("behind the move: %v\n got %s\nwant %s", err, got, before)
	}
	h.settled(t, 1)
	hangUp(t, s.Conn)
}
