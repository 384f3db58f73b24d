package main

import (
	"fmt"
	"io"
	"os"

	"sluice/codec"
	"sluice/codec/postgres"
	"sluice/conf"
	"sluice/engine/session"
	"sluice/router/access"
	"sluice/upstream"
	"sluice/upstream/pool"
)

// authMethods are the ways to prove who one is by their name in the configuration.
var authMethods = map[string]codec.AuthMethod{
	"secret": codec.AuthSecret, "scram-sha-256": codec.AuthSCRAM, "md5": codec.AuthMD5, "clear": codec.AuthClear,
	"trust": codec.AuthTrust, "cert": codec.AuthCert, "reject": codec.AuthReject,
}

// units are the units of sharing by their name in the configuration.
var units = map[string]access.Unit{
	"inherit": access.UnitInherit, "transaction": access.UnitTransaction,
	"statement": access.UnitStatement, "session": access.UnitSession,
}

// tlsUses are what rules want of a connection, by their name in the configuration.
var tlsUses = map[string]access.TLSUse{"any": access.TLSAny, "only": access.TLSOnly, "never": access.TLSNever}

// sharingOf turns what a [[listener]] says of shared server connections into settings; nil if its clients
// share none. It reads the user list.
func sharingOf(l *conf.Listener, users []conf.User) (*session.Sharing, error) {
	if !l.Shares() {
		return nil, nil
	}
	table, err := accessOf(l, users)
	if err != nil {
		return nil, err
	}
	sh := &session.Sharing{
		Access:         table,
		Pool:           poolOptions(l),
		WaitNotify:     l.PoolWaitNotify.Std(),
		CheckQuery:     l.ServerCheckQuery,
		ResetQuery:     l.ServerResetQuery,
		PreparedMax:    l.PreparedMax,
		StatementMax:   int(l.StatementMax),
		Functions:      l.SessionFunctions,
		AbandonTimeout: l.AbandonTimeout.Std(),
		CancelTimeout:  l.CancelTimeout.Std(),
		SharedListen:   l.SharedListen,
		SchemaWatch:    l.SchemaWatch,
		Ask:            askOf(l, table),
		KeepOnLoss:     l.OnServerLoss == "error",
		ReadRoles:      rolesOf(l.ReadOnlyRoles),
		OwnWrites:      ownWrites[l.ReadOwnWrites],
		ReadWait:       l.ReadWait.Std(),
	}
	for _, w := range l.Warm {
		sh.Warm = append(sh.Warm, session.Warm{Database: w.Database, User: w.User})
	}
	return sh, nil
}

// askOf says how users are looked up. Who asks has the password that stands with the query, or else the
// secret of the user of that name.
func askOf(l *conf.Listener, table *access.Table) upstream.AuthQueryOptions {
	opt := upstream.AuthQueryOptions{
		Query: l.Auth.Query, User: l.Auth.QueryUser, Password: string(l.Auth.QueryPassword),
		Database: l.Auth.QueryDatabase,
		Cache:    l.Auth.QueryCache.Std(), CacheFailed: l.Auth.QueryCacheFailed.Std()}
	if u, ok := table.User(opt.User); ok && opt.Password == "" {
		opt.Password, opt.Verifier = u.Secret.Password, u.Secret.Verifier
	}
	return opt
}

// poolOptions are those of the listener's pools that have none of their own.
func poolOptions(l *conf.Listener) pool.Options {
	return pool.Options{
		Size: l.PoolSize, Min: l.PoolMin, Reserve: l.PoolReserve,
		ReserveAfter: l.PoolReserveAfter.Std(),
		WaitTimeout:  l.PoolWaitTimeout.Std(),
		IdleTimeout:  l.ServerIdleTimeout.Std(),
		Lifetime:     l.ServerLifetime.Std(),
		CheckAfter:   l.ServerCheckAfter.Std(),
		Connects:     l.PoolConnects,
		RetryMin:     l.ServerRetryMin.Std(), RetryMax: l.ServerRetryMax.Std(),
		RoundRobin: l.PoolRoundRobin,
	}
}

// accessOf is who may log in at the listener.
func accessOf(l *conf.Listener, users []conf.User) (*access.Table, error) {
	opt := access.Options{
		Method:      authMethods[l.Auth.Method],
		AnyDatabase: l.DatabasesAny,
		Ask:         l.Auth.Query != "",
		Admins:      l.AdminUsers, Stats: l.StatsUsers,
		Limits: access.Limits{
			Unit: units[l.Unit], PoolSize: l.PoolSize, PoolMin: l.PoolMin, PoolReserve: l.PoolReserve,
			QueryTimeout: l.QueryTimeout.Std(), TransactionTimeout: l.TransactionTimeout.Std(),
			TransactionIdleTimeout: l.TransactionIdleTimeout.Std()},
		MaxUserConnections: l.MaxUserConnections, MaxDatabaseConnections: l.MaxDatabaseConnections,
		One: l.Mode == "fifo",
	}
	var err error
	if opt.Users, err = userlist(l.Auth.Userlist); err != nil {
		return nil, err
	}
	for i := range users {
		if !ofMySQL(&users[i]) {
			opt.Users = append(opt.Users, userOf(&users[i])) // the last of a name counts
		}
	}
	for _, u := range opt.Users {
		if v := u.Secret.Verifier; v != "" && postgres.CheckVerifier(v) != nil {
			return nil, fmt.Errorf("user %q: %w", u.Name, postgres.CheckVerifier(v))
		}
	}
	for i := range l.Database {
		opt.Databases = append(opt.Databases, databaseOf(&l.Database[i]))
	}
	for _, r := range l.Rule {
		method := r.Method
		if method == "inherit" {
			method = l.Auth.Method
		}
		opt.Rules = append(opt.Rules, access.Rule{Users: r.User, Databases: r.Database, From: prefixes(r.From),
			TLS: tlsUses[r.TLS], Method: authMethods[method]})
	}
	return access.New(opt), nil
}

// userlist reads a file of users; "" names none.
func userlist(file string) ([]access.User, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("auth.userlist: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, access.UserlistMax+1)) // the byte too many is refused
	if err != nil {
		return nil, fmt.Errorf("auth.userlist: read %s: %w", file, err)
	}
	users, err := access.ParseUserlist(string(text))
	if err != nil {
		return nil, fmt.Errorf("auth.userlist: %s: %w", file, err)
	}
	return users, nil
}

func userOf(u *conf.User) access.User {
	return access.User{
		Name:   u.Name,
		Secret: codec.Secret{Password: string(u.Password), Verifier: string(u.Verifier)},
		Limits: access.Limits{
			Unit: units[u.Unit], PoolSize: u.PoolSize,
			QueryTimeout: u.QueryTimeout.Std(), TransactionTimeout: u.TransactionTimeout.Std(),
			TransactionIdleTimeout: u.TransactionIdleTimeout.Std()},
		MaxConnections: u.MaxConnections, MaxServerConnections: u.MaxServerConnections,
	}
}

func databaseOf(d *conf.Database) access.Database {
	return access.Database{
		Name: d.Name, Target: d.Target,
		User: d.User, Secret: codec.Secret{Password: string(d.Password)},
		Limits: access.Limits{
			Unit: units[d.Unit], PoolSize: d.PoolSize, PoolMin: d.PoolMin, PoolReserve: d.PoolReserve},
		MaxConnections: d.MaxConnections, MaxServerConnections: d.MaxServerConnections,
	}
}
