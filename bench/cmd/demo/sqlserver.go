package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/types"
	"github.com/sirupsen/logrus"
)

// database is the name of the one database of each server.
const database = "shop"

// accountCount is how many rows the clients choose from.
const accountCount = 1000

// serve runs an embedded SQL server until the process is stopped. Its data are in memory: each server
// has the same accounts and knows its own name, which is how a client finds out where it is.
func serve(name, addr string) error {
	logrus.SetOutput(io.Discard) // it tells of every client that is cut off; so does the demo itself
	db := memory.NewDatabase(database)
	db.EnablePrimaryKeyIndexes()
	provider := memory.NewDBProvider(db)
	ctx := sql.NewContext(context.Background(), sql.WithSession(memory.NewSession(sql.NewBaseSession(), provider)))
	ctx.SetCurrentDatabase(database)
	if err := fill(ctx, db, name); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	config := server.Config{Protocol: "tcp", Address: addr, Listener: l, MaxConnections: 1000}
	s, err := server.NewServer(config, sqle.NewDefault(provider), sql.NewContext, memory.NewSessionBuilder(provider), nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "ready")
	return s.Start()
}

// fill makes the tables.
func fill(ctx *sql.Context, db *memory.Database, name string) error {
	whoami := table(db, "whoami", &sql.Column{Name: "name", Type: types.Text, PrimaryKey: true})
	if err := whoami.Insert(ctx, sql.NewRow(name)); err != nil {
		return err
	}
	accounts := table(db, "accounts",
		&sql.Column{Name: "id", Type: types.Int64, PrimaryKey: true},
		&sql.Column{Name: "owner", Type: types.Text})
	for i := range accountCount {
		if err := accounts.Insert(ctx, sql.NewRow(int64(i), ownerOf(int64(i)))); err != nil {
			return err
		}
	}
	table(db, "visits",
		&sql.Column{Name: "id", Type: types.Int64, PrimaryKey: true},
		&sql.Column{Name: "account", Type: types.Int64})
	return nil
}

// ownerOf is what an account's row says, so that a client can tell a right answer from a wrong one.
func ownerOf(account int64) string { return fmt.Sprintf("owner of account %d", account) }

func table(db *memory.Database, name string, columns ...*sql.Column) *memory.Table {
	for _, c := range columns {
		c.Source = name
	}
	t := memory.NewTable(db, name, sql.NewPrimaryKeySchema(columns), db.GetForeignKeyCollection())
	db.AddTable(name, t)
	return t
}
