package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// ctl is a client of the admin side of a running Sluice.
type ctl struct {
	addr, user, password string
	json                 bool
	timeout              time.Duration
	out                  io.Writer
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// exitUnreachable is the code if Sluice could not be asked, as opposed to a command that it refuses.
const exitUnreachable = 2

// ctlAnswerMax bounds, in bytes, what is read of an answer: some hundred thousand sessions.
const ctlAnswerMax = 256 << 20

// ctlCommand is `sluice ctl`.
func ctlCommand() *cobra.Command {
	c := &ctl{}
	cmd := &cobra.Command{
		Use:   "ctl",
		Short: "Ask and command a running Sluice through its admin address",
		Long: "Ask and command a running Sluice through its admin address, by the commands of its admin console.\n\n" +
			"Exit code: 0 done, 1 refused, 2 Sluice could not be asked.",
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			c.out = cmd.OutOrStdout()
			if !strings.Contains(c.addr, "://") {
				c.addr = "http://" + c.addr // as the configuration has it
			}
		},
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.addr, "addr", cmp.Or(os.Getenv("SLUICECTL_ADDR"), "http://127.0.0.1:3080"),
		"admin address (default also from $SLUICECTL_ADDR)")
	flags.StringVar(&c.user, "user", os.Getenv("SLUICECTL_USER"), "user of the admin side (or $SLUICECTL_USER)")
	flags.StringVar(&c.password, "password", os.Getenv("SLUICECTL_PASSWORD"),
		"its password (better $SLUICECTL_PASSWORD: arguments can be seen by others)")
	flags.BoolVar(&c.json, "json", false, "print JSON instead of a table")
	flags.DurationVar(&c.timeout, "timeout", 0, "give up after this time; 0 = wait as long as it takes")
	for name, usage := range map[string]string{"addr": c.addr, "user": "", "password": "", "timeout": "0s"} {
		flags.Lookup(name).DefValue = usage // no secret of the environment in a help text
	}
	cmd.AddCommand(c.asking()...)
	cmd.AddCommand(c.ofClusters()...)
	cmd.AddCommand(c.ofBackends()...)
	cmd.AddCommand(c.ofNamespaces())
	cmd.AddCommand(c.ordering()...)
	return cmd
}

// asking are the commands that change nothing.
func (c *ctl) asking() []*cobra.Command {
	show := &cobra.Command{
		Use:   "show TABLE",
		Short: "Show a table of the admin console, \"show help\" lists them",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return c.show(cmd.Context(), args[0]) },
	}
	pools := &cobra.Command{Use: "pools", Short: "Show the pools of server connections", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.show(cmd.Context(), "pools") }}
	sessions := &cobra.Command{Use: "sessions", Short: "List the sessions of clients, with what binds them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context(), "/api/sessions", sessionKeys) }}
	backends := &cobra.Command{Use: "backends", Short: "List the database servers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context(), "/api/backends", backendKeys) }}
	config := &cobra.Command{Use: "config", Short: "Print the configuration in force, without secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.config(cmd.Context()) }}
	return []*cobra.Command{show, pools, sessions, backends, config}
}

// What the lists show of each thing; --json shows all.
var (
	sessionKeys = []string{"id", "listener", "namespace", "client", "user", "database", "backend", "stage", "transaction", "pin", "waiting_ns", "busy", "owed"}
	backendKeys = []string{"cluster", "addr", "name", "role", "state", "out", "lag_bytes", "lag_seconds", "timeline", "zone", "health",
		"sessions", "outgoing", "drained", "last_error", "explain"}
)

// ordering are the commands that change something. Each is the console's of that name.
func (c *ctl) ordering() []*cobra.Command {
	database := func(use, short string, args cobra.PositionalArgs) *cobra.Command {
		name, _, _ := strings.Cut(use, " ")
		return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
			text := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			for _, arg := range args {
				text += " " + quote(arg, '"')
			}
			return c.order(cmd.Context(), text)
		}}
	}
	pause := database("pause [DATABASE]", "Hand out no server connections, and wait until none is in use", cobra.MaximumNArgs(1))
	pause.Long = pause.Short + ".\n\nIf the wait is cut short the pause stays in force, until resume."
	shutdown := &cobra.Command{
		Use:       "shutdown [wait-for-servers|wait-for-clients]",
		Short:     "End the process: at once, when sessions have come to safe points, or when all clients have gone",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"wait-for-servers", "wait-for-clients"},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := "SHUTDOWN"
			for _, arg := range args {
				text += " " + strings.ToUpper(strings.ReplaceAll(arg, "-", "_"))
			}
			return c.order(cmd.Context(), text)
		}}
	set := &cobra.Command{Use: "set KEY VALUE", Short: "Change a setting until the next reload, \"show config\" lists them",
		Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
			return c.order(cmd.Context(), "SET "+quote(args[0], '"')+" = "+quote(args[1], '\''))
		}}
	resume := database("resume [DATABASE]", "End a pause, the hold of a cluster, or the drain of a backend", cobra.MaximumNArgs(1))
	cluster, backend, console := "", "", resume.RunE
	resume.Flags().StringVar(&cluster, "cluster", "", "end the hold of this cluster, and no pause")
	resume.Flags().StringVar(&backend, "backend", "", "end the drain of this backend, of that cluster if it is given")
	resume.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case backend != "" && len(args) > 0:
			return errors.New("a database is paused, a backend is drained: name one of them")
		case backend != "":
			return c.resumeBackend(cmd.Context(), backend, cluster)
		case cluster == "":
			return console(cmd, args)
		case len(args) > 0:
			return errors.New("a database is paused, a cluster is held: name one of them")
		}
		return c.ofCluster(cmd.Context(), cluster, "resume")
	}
	return []*cobra.Command{pause, shutdown, set, resume,
		database("disable DATABASE", "Refuse the clients of a database", cobra.ExactArgs(1)),
		database("enable DATABASE", "End what disable began", cobra.ExactArgs(1)),
		database("reconnect [DATABASE]", "Replace server connections as they come free", cobra.MaximumNArgs(1)),
		database("wait-close [DATABASE]", "Wait until connections that are to be replaced are closed", cobra.MaximumNArgs(1)),
		database("kill [DATABASE]", "End clients and server connections at once, and pause", cobra.MaximumNArgs(1)),
		database("kill-client ID", "End one client", cobra.ExactArgs(1)),
		database("reload", "Put the configuration file's present content in force", cobra.NoArgs),
	}
}

// quote makes one word of the console's language.
func quote(s string, q byte) string {
	return string(q) + strings.ReplaceAll(s, string(q), string([]byte{q, q})) + string(q)
}

// show prints a table of the console.
func (c *ctl) show(ctx context.Context, table string) error {
	var a consoleAnswer
	if err := c.ask(ctx, "GET", "/api/console?q="+url.QueryEscape("SHOW "+table), nil, &a); err != nil {
		return err
	}
	return c.print(&a)
}

// order gives a command of the console.
func (c *ctl) order(ctx context.Context, text string) error {
	body, err := json.Marshal(consoleCommand{Command: text})
	if err != nil {
		return err
	}
	var a consoleAnswer
	if err := c.ask(ctx, "POST", "/api/console", body, &a); err != nil {
		return err
	}
	return c.print(&a)
}

// list prints a list of objects as a table of some of their keys.
func (c *ctl) list(ctx context.Context, path string, keys []string) error {
	var objects []map[string]any
	if err := c.ask(ctx, "GET", path, nil, &objects); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(objects)
	}
	a := consoleAnswer{}
	for _, key := range keys {
		_, last, nested := strings.Cut(key, ".")
		if !nested {
			last = key
		}
		a.Columns = append(a.Columns, consoleColumn{Name: last})
	}
	for _, o := range objects {
		row := make([]any, len(keys))
		for i, key := range keys {
			row[i] = valueAt(o, key)
		}
		a.Rows = append(a.Rows, row)
	}
	return c.printTable(&a)
}

// valueAt is what an object holds at a key, or, with a dot, what the object there holds; nil if nothing.
func valueAt(o map[string]any, key string) any {
	first, rest, nested := strings.Cut(key, ".")
	if !nested {
		return o[key]
	}
	inner, _ := o[first].(map[string]any)
	return valueAt(inner, rest)
}

// config prints the configuration.
func (c *ctl) config(ctx context.Context) error {
	path := "/api/admin/config"
	if c.json {
		path += "?format=json"
	}
	text, err := c.fetch(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	_, err = c.out.Write(text)
	return err
}

// ask fetches and decodes. Numbers stay as they were written.
func (c *ctl) ask(ctx context.Context, method, path string, body []byte, into any) error {
	text, err := c.fetch(ctx, method, path, body)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return exitError{exitUnreachable, fmt.Errorf("%s: this is not Sluice's admin side: %w", c.addr, err)}
	}
	return nil
}

// fetch returns the body of an answer; one that is no success is an error with Sluice's words.
func (c *ctl) fetch(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.addr, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, exitError{exitUnreachable, err}
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Timeout: c.timeout}
	resp, err := client.Do(req)
	if err != nil {
		return nil, exitError{exitUnreachable, err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, ctlAnswerMax+1))
	switch {
	case err != nil:
		return nil, exitError{exitUnreachable, err}
	case len(text) > ctlAnswerMax:
		return nil, exitError{exitUnreachable, fmt.Errorf("%s: the answer is longer than %d bytes", c.addr, ctlAnswerMax)}
	case resp.StatusCode == http.StatusOK:
		return text, nil
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, exitError{exitUnreachable, fmt.Errorf("%s: %s", c.addr, strings.TrimSpace(string(text)))}
	}
	var refused consoleAnswer
	if json.Unmarshal(text, &refused) == nil && refused.Error != "" {
		if refused.Hint != "" {
			return nil, fmt.Errorf("%s (%s)", refused.Error, refused.Hint)
		}
		return nil, fmt.Errorf("%s", refused.Error)
	}
	return nil, fmt.Errorf("%s: %s: %s", c.addr, resp.Status, strings.TrimSpace(string(text)))
}
