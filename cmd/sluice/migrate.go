package main

import (
	"strings"

	"sluice/codec"
	"sluice/conf"
	"sluice/upstream"
)

// migrateOf says how sessions of a cluster move that have a server connection of their own. Where that takes
// a login, the secrets of the user list are tried.
func migrateOf(c *conf.Cluster, users []conf.User) upstream.MigrateOptions {
	if !c.Moves() {
		return upstream.MigrateOptions{}
	}
	secrets := make(map[string]codec.Secret, len(users))
	for i := range users {
		if u := &users[i]; u.Password != "" || u.Verifier != "" {
			secrets[u.Name] = codec.Secret{Password: string(u.Password), Verifier: string(u.Verifier)}
		}
	}
	return upstream.MigrateOptions{
		Move: &codec.MoveOptions{
			Secret:    func(user string) codec.Secret { return secrets[user] },
			StateMax:  int(c.Migrate.StateMax),
			Functions: c.Migrate.Functions,
		},
		HoldTimeout: c.Migrate.HoldTimeout.Std(),
		RetryAfter:  c.Migrate.RetryAfter.Std(),
		KeepState:   c.Migrate.KeepState.Std(),
	}
}

// ofMySQL tells whether a user's verifier is good at MySQL's servers alone.
func ofMySQL(u *conf.User) bool { return strings.HasPrefix(string(u.Verifier), "*") }
