package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// decisionKeys are what the list shows of each decision; --json shows all.
var decisionKeys = []string{"since", "until", "cluster", "from", "to", "reason", "sessions", "why"}

// drainPoll is how often drain --wait looks how far it is.
const drainPoll = 200 * time.Millisecond

// ofBackends are the commands about single backends, and about how sessions are spread over them.
func (c *ctl) ofBackends() []*cobra.Command {
	balance := &cobra.Command{Use: "balance", Short: "List what was decided lately about where sessions are to be, and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context(), "/api/balance", decisionKeys) }}
	backend, cluster, wait := "", "", false
	drain := &cobra.Command{Use: "drain --backend ADDR", Short: "Have a backend emptied: its sessions go elsewhere, and no new ones come",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.drain(cmd.Context(), backend, cluster, wait) }}
	drain.Long = drain.Short + ".\n\nIt holds until resume --backend, also while the backend is not there. Sessions that have no other backend stay;\n" +
		"what can't move is ended behind the listener's drain-timeout."
	drain.Flags().StringVar(&backend, "backend", "", "its address, as \"ctl backends\" has it")
	drain.Flags().StringVar(&cluster, "cluster", "", "its cluster, if there are several with that address")
	drain.Flags().BoolVar(&wait, "wait", false, "return when no session is left at it")
	_ = drain.MarkFlagRequired("backend")
	return []*cobra.Command{balance, drain}
}

// drain has a backend emptied, and waits for that if it is asked to.
func (c *ctl) drain(ctx context.Context, backend, cluster string, wait bool) error {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	a, err := c.ofBackend(ctx, backend, cluster, "drain")
	for wait && err == nil && a.Sessions > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d sessions are left at %s", a.Sessions, backend)
		case <-time.After(drainPoll):
		}
		err = c.lookAtDrain(ctx, &a)
	}
	if err != nil {
		return err
	}
	return c.printDrain(&a)
}

// lookAtDrain looks how far a drain is, and orders nothing: who resumes the backend meanwhile has the last word.
func (c *ctl) lookAtDrain(ctx context.Context, a *drainAnswer) error {
	var list []backendInfo
	if err := c.ask(ctx, "GET", "/api/backends", nil, &list); err != nil {
		if ctx.Err() != nil {
			return nil // the time is over, which is told with what is left
		}
		return err
	}
	for i := range list {
		b := &list[i]
		if b.Cluster != a.Cluster || b.Addr != a.Addr {
			continue
		}
		if a.Sessions, a.Outgoing = b.Sessions, b.Outgoing; b.Drained == "" {
			return fmt.Errorf("%s was resumed meanwhile: %d sessions are left", a.Addr, a.Sessions)
		}
		return nil
	}
	a.Sessions, a.Outgoing = 0, 0 // it has gone, and nobody is left at it
	return nil
}

// resumeBackend ends a drain.
func (c *ctl) resumeBackend(ctx context.Context, backend, cluster string) error {
	a, err := c.ofBackend(ctx, backend, cluster, "resume")
	if err != nil {
		return err
	}
	return c.printDrain(&a)
}

// ofBackend gives a command for one backend.
func (c *ctl) ofBackend(ctx context.Context, backend, cluster, command string) (a drainAnswer, err error) {
	if backend == "" {
		return a, errors.New("--backend is missing")
	}
	path := "/api/backends/" + url.PathEscape(backend) + "/" + command
	if cluster != "" {
		path += "?cluster=" + url.QueryEscape(cluster)
	}
	text, err := c.fetch(ctx, "POST", path, nil)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, exitError{exitUnreachable, fmt.Errorf("%s: this is not Sluice's admin side: %w", c.addr, err)}
	}
	return a, nil
}

// printDrain prints how far the emptying of a backend is.
func (c *ctl) printDrain(a *drainAnswer) error {
	if c.json {
		return c.printJSON(a)
	}
	word := "RESUME"
	if a.Drained {
		word = fmt.Sprintf("DRAIN %s: %d sessions left, %d on their way", a.Addr, a.Sessions, a.Outgoing)
	}
	if a.Note != "" {
		word += "; " + a.Note
	}
	_, err := fmt.Fprintln(c.out, printable.Replace(word))
	return err
}
