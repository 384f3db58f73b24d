package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/bench/e2e/real"
	"sluice/bench/e2e/wire"
)

// notAlike are conversations that differ through a funnel from those with the server, and must.
var notAlike = map[string]string{
	"pitfall-12-cached-plan":                "a plan that is out of date is made anew (TestFunnelPitfalls)",
	"pitfall-21-listen-notify":              "one connection listens for all clients, so notifications come by a way of their own (TestFunnelListen)",
	"pitfall-34-negotiate-protocol-version": "Sluice speaks a newer protocol than the server",
	"pitfall-40-unknown-user":               "who is unknown is not told so",
	"pitfall-40-unknown-database":           "what is unknown is not told so",
	"pitfall-55-long-startup":               "the server warns of a long application_name, and only when it is set (TestFunnelPitfalls)",
}

// wholeServer are conversations that change what all databases of the server have in common, and so are
// had one after the other.
var wholeServer = map[string]bool{"pitfall-45-fresh-parameters": true}

// lateStatus are conversations with a RESET inside a transaction. The server connection of a funnel has
// other settings to go back to than the client's login had; those are set, and told, when the
// transaction has ended.
var lateStatus = map[string]bool{
	"03 reset all takes settings back to those of the login": true,
	"03 reset of one setting":                                true,
}

// settled is a transcript without the reports of settings, and what they came to in the end.
func settled(t *wire.Transcript) *wire.Transcript {
	var all wire.Transcript
	last := map[string]string{}
	for line := range strings.Lines(t.String()) {
		line = strings.TrimSuffix(line, "\n")
		name, _, isStatus := strings.Cut(strings.TrimPrefix(line, "S "), `\x00`)
		if isStatus && line[0] == 'S' {
			last[name] = line
			continue
		}
		all.Note("%s", line)
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		all.Note("%s", last[name])
	}
	return &all
}

// TestFunnelConversations holds what a client sees in a funnel against what it sees at the server. The
// server connections are not its own: neighbours use them between any two of its requests, with other
// settings, with other statements under the same names, and with errors.
func TestFunnelConversations(t *testing.T) {
	ways := funnelWays(t)
	cases := slices.Concat(preparedCases(), pipelineCases(), copyCases(), sharedCases())
	for _, c := range pgCases() {
		if c.server == nil && notAlike[c.name] == "" {
			cases = append(cases, c)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			direct, err := converse(c, crowded{lane: lane{name: "direct", addr: postgres(t, 0).Addr}})
			if err != nil {
				t.Fatalf("with the server: %v\n%s", err, clip(direct))
			}
			wants(t, direct.String(), c.want...)
			var all sync.WaitGroup
			for _, w := range ways {
				if c.long && w.bytes {
					continue
				}
				all.Go(func() {
					got, err := converse(c, w)
					if err != nil {
						t.Errorf("%s: %v", w.name, err)
					}
					want := direct
					if lateStatus[c.name] {
						want, got = settled(direct), settled(got)
					}
					if d := wire.Diff(want, got); d != "" {
						t.Errorf("%s: the client saw something else %s", w.name, d)
					}
				})
				if wholeServer[c.name] {
					all.Wait()
				}
			}
			all.Wait()
		})
	}
}

// converse has a conversation by one way.
func converse(c pgCase, w crowded) (*wire.Transcript, error) {
	pg, err := wire.DialPG(w.addr)
	if err != nil {
		return &wire.Transcript{}, err
	}
	defer pg.Conn.Close()
	pg.Before = func() {
		if err := w.act(); err != nil {
			pg.Fail(err)
		}
	}
	c.client(pg, w.lane)
	return &pg.Transcript, pg.Fault()
}

// crowded is a way to a server on which a client is not alone.
type crowded struct {
	lane
	*neighbours
}

// funnelWays builds the ways to the server: through a funnel; with both of its sides cut at every byte;
// with random cuts; and through a Sluice with the smallest read buffer, whose server connections keep
// two prepared statements. Each has a database of its own, which its clients know as "app".
func funnelWays(t *testing.T) (ways []crowded) {
	t.Helper()
	pg := postgres(t, 0)
	small := "[engine]\nread-buffer = \"1KiB\"\n\n"
	var usual strings.Builder
	for i, way := range []struct {
		name string
		cut  real.Cut
	}{{"whole", nil}, {"every-byte", real.EveryByte}, {"random", real.AtRandom(43, 9_000)}, {"small", nil}} {
		front, back := real.FreeAddr(), pg.Addr
		visible := front
		if way.cut != nil {
			back = relay(t, pg.Addr, way.cut)
			visible = relay(t, front, way.cut)
		}
		database := fmt.Sprintf("way%d", i)
		super(t, pg, "drop database if exists "+database+" with (force)", "create database "+database)
		config := cluster(way.name, "postgres", []string{back}, "[cluster.health]", `interval = "1h"`, "rise = 1")
		lines := []string{"pool-size = 3", `on-server-loss = "close"`} // as without Sluice
		if way.name == "small" {
			lines = append(lines, "prepared-max = 2")
		}
		lines = append(lines, `auth.method = "trust"`, "[[listener.database]]", `name = "app"`, fmt.Sprintf("target = %q", database))
		if config += funnel(way.name, front, way.name, lines...); way.name == "small" {
			small += config
		} else {
			usual.WriteString(config)
		}
		w := crowded{lane{name: way.name, addr: visible, bytes: way.name == "every-byte"}, &neighbours{house: front, every: 1}}
		if w.bytes {
			w.every = 3 // most of the time would go by with the bytes of neighbours
		}
		ways = append(ways, w)
	}
	startSluice(t, racy(t), usual.String()+users("app", "postgres"))
	startSluice(t, racy(t), small+users("app", "postgres"))
	for _, w := range ways {
		w.moveIn(t)
	}
	return ways
}

// neighbours are two clients of the pool that the client under test uses. nil: nobody.
type neighbours struct {
	house string // the address of their funnel
	list  []*wire.PG
	every int // they do something before each request, or before some
	asked int
}

// places are the neighbours' time zones.
var places = []string{"Asia/Tokyo", "America/Lima"}

func (n *neighbours) moveIn(t *testing.T) {
	t.Helper()
	for i, place := range places {
		c := speaker(t, n.house, "application_name", "neighbour", "TimeZone", place, "DateStyle", "German", "search_path", "pg_catalog")
		text := fmt.Sprintf("select 'neighbour %d in ' || current_setting('TimeZone')", i)
		if got := answers(t, c, "Z", wire.Parse("st", text), wire.Sync()); kinds(got) != "1Z" {
			t.Fatalf("a neighbour prepares: %s", got)
		}
		n.list = append(n.list, c)
	}
}

// act has the next neighbour do something, and see that what it gets is its own.
func (n *neighbours) act() error {
	if n == nil {
		return nil
	}
	if n.asked++; n.asked%n.every != 0 {
		return nil
	}
	i := n.asked / n.every % len(n.list)
	c := n.list[i]
	before := c.Len()
	c.Ask("Z", run("st"), wire.Sync())
	c.Ask("Z", wire.Query("show search_path; select 1/0"))
	got := c.Since(before)
	if want := fmt.Sprintf("neighbour %d in %s", i, places[i]); kinds(got) != "2DCZTDCEZ" || !strings.Contains(got, want) ||
		!strings.Contains(got, `pg_catalog"`) || !strings.Contains(got, "22012") {
		return fmt.Errorf("a neighbour got what is not its own: %w\n%s", cmp.Or(c.Fault(), errors.New("see")), got)
	}
	return nil
}

// speaker logs in as user app, byte by byte, and says goodbye at the end of the test.
func speaker(t *testing.T, addr string, params ...string) *wire.PG {
	t.Helper()
	c, err := wire.DialPG(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Conn.Close() })
	if c.Login(params...); c.Fault() != nil || !c.Contains(`Z "I"`) {
		t.Fatalf("login: %s", c)
	}
	return c
}

// answers sends messages and returns what came up to until, a line for each message.
func answers(t *testing.T, c *wire.PG, until string, messages ...[]byte) string {
	t.Helper()
	before := c.Len()
	c.Ask(until, messages...)
	if c.Fault() != nil {
		t.Fatalf("%v, behind\n%s", c.Fault(), tail(c.String(), 2000))
	}
	return c.Since(before)
}

// kinds are the types of messages in a transcript's lines: "1 2 D C Z" is "12DCZ".
func kinds(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteByte(line[0])
	}
	return b.String()
}
