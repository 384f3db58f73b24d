package console

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/codec"
)

// about says what an order may be about.
type about uint8

const (
	aboutNothing  about = iota
	aboutAny            // a database, or all of them
	aboutDatabase       // a database
)

// order is a command that changes something.
type order struct {
	about about
	do    func(c *Console, ctx context.Context, database string) error
}

// orders are the commands that are about databases, or nothing.
var orders = map[string]order{
	"PAUSE":      {aboutAny, (*Console).pause},
	"RESUME":     {aboutAny, func(c *Console, _ context.Context, db string) error { return c.src.Resume(db) }},
	"RECONNECT":  {aboutAny, func(c *Console, _ context.Context, db string) error { return c.src.Reconnect(db) }},
	"KILL":       {aboutAny, func(c *Console, _ context.Context, db string) error { return c.src.Kill(db) }},
	"WAIT_CLOSE": {aboutAny, func(c *Console, ctx context.Context, db string) error { return c.src.WaitClose(ctx, db) }},
	"DISABLE":    {aboutDatabase, func(c *Console, _ context.Context, db string) error { return c.src.Disable(db) }},
	"ENABLE":     {aboutDatabase, func(c *Console, _ context.Context, db string) error { return c.src.Enable(db) }},
	"RELOAD":     {aboutNothing, func(c *Console, _ context.Context, _ string) error { return c.src.Reload() }},
}

// shutdowns are the ways to end the process, by what follows SHUTDOWN.
var shutdowns = map[string]Shutdown{
	"WAIT_FOR_SERVERS": ShutdownServers,
	"WAIT_FOR_CLIENTS": ShutdownClients,
}

// usage has a line for each order.
func usage() []string {
	return []string{"SET key = value", "RELOAD", "PAUSE [db]", "RESUME [db]", "DISABLE db", "ENABLE db",
		"RECONNECT [db]", "WAIT_CLOSE [db]", "KILL [db]", "KILL_CLIENT id",
		"SHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]"}
}

// adminNames are the databases of the console itself.
var adminNames = []string{"sluice", "pgbouncer"}

// parseOrder finds the order that begins with that word.
func parseOrder(verb word, rest []word) (cmd command, known bool) {
	name := strings.ToUpper(verb.text)
	o, ok := orders[name]
	switch {
	case verb.quoted:
		return command{}, false
	case ok:
		return o.parse(name, rest), true
	case name == "KILL_CLIENT":
		return parseKillClient(rest), true
	case name == "SHUTDOWN":
		return parseShutdown(rest), true
	case name == "SET":
		return parseSet(rest)
	case name == "SUSPEND":
		return fault(codec.CommandRefused, "SUSPEND is not supported: it serves an online restart of PgBouncer; PAUSE holds clients back"), true
	}
	return command{}, false
}

// parse reads what follows the order's word.
func (o order) parse(name string, rest []word) command {
	database := ""
	if len(rest) == 1 {
		database = rest[0].text
	}
	switch {
	case len(rest) > 1 || o.about == aboutNothing && len(rest) > 0:
		return fault(codec.CommandUnknown, name+" has too many words")
	case o.about == aboutDatabase && database == "":
		return fault(codec.CommandUnknown, name+" needs the name of a database")
	case len(rest) == 1 && database == "":
		return fault(codec.CommandUnknown, "the name of a database is empty")
	}
	for _, own := range adminNames {
		if database == own {
			return fault(codec.CommandRefused, fmt.Sprintf("%s can not be used on the admin console's own database %q", name, own))
		}
	}
	return carryOut(name, func(c *Console, ctx context.Context) error { return explain(o.do(c, ctx, database), database) })
}

// carryOut is an order that is answered by its name.
func carryOut(name string, do func(*Console, context.Context) error) command {
	return command{order: true, do: func(c *Console, ctx context.Context) codec.Answer {
		if err := do(c, ctx); err != nil {
			return codec.Answer{Err: orderError(name, err)}
		}
		return codec.Answer{Tag: name}
	}}
}

// explain puts the database's name into an error about it.
func explain(err error, database string) error {
	switch {
	case errors.Is(err, ErrNoDatabase):
		return codec.Error{Cond: codec.NoSuchDatabase, Text: fmt.Sprintf("no such database: %s", database)}
	case errors.Is(err, ErrNotPaused) && database == "":
		return codec.Error{Cond: codec.CommandNotNow, Text: "nothing is paused"}
	case errors.Is(err, ErrNotPaused):
		return codec.Error{Cond: codec.CommandNotNow, Text: fmt.Sprintf("database %s is not paused", database)}
	}
	return err
}

// orderError is what the giver of an order is told.
func orderError(name string, err error) *codec.Error {
	var told codec.Error
	switch {
	case errors.As(err, &told):
		return &told
	case errors.Is(err, codec.ErrCancelled):
		return &codec.Error{Cond: codec.CommandCancelled, Text: name + " was cancelled"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &codec.Error{Cond: codec.CommandCancelled, Text: name + " has not come to its end in time"}
	}
	return &codec.Error{Cond: codec.Internal, Text: name + " failed: " + err.Error()}
}

// pause takes itself back if it is cancelled while it waits: as in PgBouncer, whoever presses ^C does not
// want to leave a database behind that stands still.
func (c *Console) pause(ctx context.Context, database string) error {
	if c.src.State().Paused {
		return codec.Error{Cond: codec.CommandNotNow, Text: "everything is paused already"}
	}
	err := c.src.Pause(ctx, database)
	if errors.Is(err, codec.ErrCancelled) {
		if again := c.src.Resume(database); again != nil && !errors.Is(again, ErrNotPaused) {
			return again
		}
	}
	return err
}

func parseKillClient(rest []word) command {
	if len(rest) != 1 {
		return fault(codec.CommandUnknown, "KILL_CLIENT needs the id of a client")
	}
	id, err := strconv.ParseUint(rest[0].text, 10, 64)
	if err != nil {
		return fault(codec.CommandUnknown, fmt.Sprintf("%q is not the id of a client", rest[0].text))
	}
	return carryOut("KILL_CLIENT", func(c *Console, _ context.Context) error {
		err := c.src.KillClient(id)
		if errors.Is(err, ErrNoClient) {
			return codec.Error{Cond: codec.NoSuchThing, Text: fmt.Sprintf("no such client: %d", id)}
		}
		return err
	})
}

func parseShutdown(rest []word) command {
	how := ShutdownNow
	if len(rest) > 0 {
		var known bool
		if how, known = shutdowns[strings.ToUpper(rest[0].text)]; !known || len(rest) > 1 {
			return fault(codec.CommandUnknown, "SHUTDOWN takes WAIT_FOR_SERVERS, WAIT_FOR_CLIENTS or nothing")
		}
	}
	return carryOut("SHUTDOWN", func(c *Console, _ context.Context) error { return c.src.Shutdown(how) })
}

// parseSet reads SET key = value. What drivers set by themselves is left to parseDriver.
func parseSet(rest []word) (cmd command, known bool) {
	if len(rest) != 3 || !rest[1].is("=") && !rest[1].is("TO") || driverSetting(rest[0].text) {
		return command{}, false
	}
	key, value := rest[0].text, rest[2].text
	cmd = carryOut("SET", func(c *Console, _ context.Context) error {
		err := c.src.Set(key, value)
		switch {
		case errors.Is(err, ErrNoSetting):
			return codec.Error{Cond: codec.NoSuchThing, Text: fmt.Sprintf("no such setting: %s", key),
				Hint: "SHOW CONFIG lists the settings."}
		case errors.Is(err, ErrFixed):
			return codec.Error{Cond: codec.CommandRefused, Text: fmt.Sprintf("%s can not be changed by SET", key),
				Hint: "Change the configuration file, then RELOAD."}
		case err != nil:
			return codec.Error{Cond: codec.CommandUnknown, Text: fmt.Sprintf("%s: %v", key, err)}
		}
		return nil
	})
	cmd.key = key
	return cmd, true
}
