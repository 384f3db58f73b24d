package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"
)

// namespaceKeys are what the list shows of each namespace; --json shows all.
var namespaceKeys = []string{"name", "listeners", "users", "clients", "proxies", "ports", "cluster", "tags", "max-connections", "connections"}

// ofNamespaces are the commands about tenants.
func (c *ctl) ofNamespaces() *cobra.Command {
	group := &cobra.Command{Use: "namespaces", Short: "List and change the namespaces, by which clients are told apart"}
	group.Long = group.Short + ".\n\nWhat is changed here is in force at once, and until the configuration file is read again."
	list := &cobra.Command{Use: "list", Short: "List them, in the order in which they are looked through", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.list(cmd.Context(), "/api/admin/namespace", namespaceKeys)
		}}
	get := &cobra.Command{Use: "get NAME", Short: "Print one as JSON, in the form that put takes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := c.fetch(cmd.Context(), "GET", namespacePath(args[0]), nil)
			if err == nil {
				_, err = c.out.Write(text)
			}
			return err
		}}
	file, before := "-", ""
	put := &cobra.Command{Use: "put NAME", Short: "Make one, or replace it, from JSON with the keys of the configuration file", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readInput(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			path := namespacePath(args[0])
			if before != "" {
				path += "?before=" + url.QueryEscape(before)
			}
			return c.changeNamespace(cmd.Context(), "PUT", path, text)
		}}
	put.Flags().StringVar(&file, "file", "-", "the file with the JSON; - = standard input")
	put.Flags().StringVar(&before, "before", "", "have it looked at before the one of this name; the last, if not given")
	del := &cobra.Command{Use: "del NAME", Short: "Remove one", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeNamespace(cmd.Context(), "DELETE", namespacePath(args[0]), nil)
		}}
	group.AddCommand(list, get, put, del)
	return group
}

func namespacePath(name string) string { return "/api/admin/namespace/" + url.PathEscape(name) }

// readInput reads a file, or what comes in.
func readInput(in io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(in, namespaceMax+1)) // the byte too many is refused
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, namespaceMax+1))
}

// changeNamespace has a namespace changed.
func (c *ctl) changeNamespace(ctx context.Context, method, path string, body []byte) error {
	text, err := c.fetch(ctx, method, path, body)
	if err != nil {
		return err
	}
	var a namespaceAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return exitError{exitUnreachable, fmt.Errorf("%s: this is not Sluice's admin side: %w", c.addr, err)}
	}
	if c.json {
		return c.printJSON(a)
	}
	_, err = fmt.Fprintf(c.out, "%s: %s\n", printable.Replace(a.Name), printable.Replace(a.Note))
	return err
}
