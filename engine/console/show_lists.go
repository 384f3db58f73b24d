package console

import (
	"fmt"
	"strings"
	"time"
)

var databaseColumns = columns("name text", "host text", "port int", "database text", "force_user text",
	"pool_size int", "min_pool_size int", "reserve_pool_size int", "server_lifetime int", "pool_mode text",
	"load_balance_hosts text", "max_connections int", "current_connections int", "max_client_connections int",
	"current_client_connections int", "paused int", "disabled int")

// databases are those that are configured, and those that clients use without.
func (c *Console) databases(Who) [][]any {
	servers, clients := map[string]int{}, map[string]int{}
	for _, p := range c.src.Pools() {
		servers[p.Database] += p.Servers()
		clients[p.Database] += p.ClientsActive + p.ClientsWaiting
	}
	var rows [][]any
	for _, d := range c.src.Databases() {
		rows = append(rows, []any{d.Name, optional(d.Host), number(d.Port), d.Target, optional(d.ForceUser),
			number(d.Size), number(d.Min), number(d.Reserve), int64(d.Lifetime / time.Second), optional(d.Unit), nil,
			number(d.MaxServers), number(servers[d.Name]), number(d.MaxClients), number(clients[d.Name]),
			flag(d.Paused), flag(d.Disabled)})
	}
	return rows
}

var userColumns = columns("name text", "pool_size text", "reserve_pool_size text", "pool_mode text",
	"max_user_connections int", "current_connections int", "max_user_client_connections int",
	"current_client_connections int")

// users are those that are configured. The two sizes are texts, and empty where the user has none of
// its own, as in PgBouncer.
func (c *Console) users(Who) [][]any {
	servers, clients := map[string]int{}, map[string]int{}
	for _, p := range c.src.Pools() {
		servers[p.User] += p.Servers()
		clients[p.User] += p.ClientsActive + p.ClientsWaiting
	}
	size := func(n int) any {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	var rows [][]any
	for _, u := range c.src.Users() {
		rows = append(rows, []any{u.Name, size(u.Size), size(u.Reserve), optional(u.Unit),
			number(u.MaxServers), number(servers[u.Name]), number(u.MaxClients), number(clients[u.Name])})
	}
	return rows
}

// lists counts what there is. Memory of connections that are gone is not kept, so that none is free.
func (c *Console) lists(Who) [][]any {
	state := c.src.State()
	pools, servers := map[poolKey]bool{}, 0
	for _, p := range c.src.Pools() {
		pools[poolKey{p.Database, p.User}] = true
		servers += p.Servers()
	}
	row := func(name string, n int) []any { return []any{name, number(n)} }
	return [][]any{
		row("databases", len(c.src.Databases())), row("users", len(c.src.Users())), row("peers", 0),
		row("pools", len(pools)), row("peer_pools", 0), row("free_clients", 0), row("used_clients", state.Clients),
		row("login_clients", state.Logins), row("free_servers", 0), row("used_servers", servers),
		row("dns_names", 0), row("dns_zones", 0), row("dns_queries", 0), row("dns_pending", 0),
	}
}

// config lists the settings.
func (c *Console) config(Who) [][]any {
	var rows [][]any
	for _, s := range c.src.Settings() {
		rows = append(rows, []any{s.Key, s.Value, s.Default, yes(s.Changeable)})
	}
	return rows
}

// memory tells where memory has gone.
func (c *Console) memory(Who) [][]any {
	var rows [][]any
	for _, m := range c.src.Memory() {
		rows = append(rows, []any{m.Name, number(m.Size), number(m.Used), number(m.Free), number(m.Total)})
	}
	return rows
}

// state: suspending is for PgBouncer's online restart, which is done in another way here.
func (c *Console) state(Who) [][]any {
	s := c.src.State()
	return [][]any{{"active", yes(!s.Paused)}, {"paused", yes(s.Paused)}, {"suspended", "no"}}
}

// version begins as PgBouncer's does: monitors look there for the columns to expect.
func (c *Console) version(Who) [][]any {
	return [][]any{{"PgBouncer " + compatible + " compatible (Sluice " + c.src.Version() + ")"}}
}

// compatible is the version of PgBouncer whose commands and columns the console has.
const compatible = "1.25.0"

var backendColumns = columns("cluster text", "addr text", "role text", "zone text", "health text", "sessions int",
	"last_error text")

// backends lists the database servers.
func (c *Console) backends(Who) [][]any {
	var rows [][]any
	for _, b := range c.src.Backends() {
		rows = append(rows, []any{b.Cluster, b.Addr, b.Role, optional(b.Zone), b.Health, number(b.Sessions),
			optional(strings.ToValidUTF8(b.LastError, "\uFFFD"))})
	}
	return rows
}

// statements tells how many prepared statements are shared.
func (c *Console) statements(Who) [][]any {
	var rows [][]any
	for _, s := range c.src.Statements() {
		rows = append(rows, []any{number(s.Loop), number(s.Statements), number(s.Bytes)})
	}
	return rows
}
