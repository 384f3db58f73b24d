package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"sluice/conf"
)

// clusterKeys are what the list shows of each cluster; --json shows all.
var clusterKeys = []string{"name", "discovery", "backends", "leader", "held", "status.stale", "status.last_answer", "status.from",
	"status.polls", "status.failures", "status.last_error"}

// ofClusters are the commands about clusters as a whole.
func (c *ctl) ofClusters() []*cobra.Command {
	clusters := &cobra.Command{Use: "clusters", Short: "List the clusters, and how well their members are known", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context(), "/api/clusters", clusterKeys) }}
	update := &cobra.Command{Use: "update", Short: "Ask for the members of all clusters at once, until that is in force", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := c.fetch(cmd.Context(), "POST", "/update_clusters", nil)
			if err == nil {
				_, err = c.out.Write(text)
			}
			return err
		}}
	lasts := holdDefault
	hold := &cobra.Command{Use: "hold CLUSTER", Short: "Have no new work begin on a cluster's leader, as another one is about to take over",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.ofCluster(cmd.Context(), args[0], "hold?max="+url.QueryEscape(lasts.String()))
		}}
	hold.Long = hold.Short + ".\n\nClients that share server connections wait between two transactions. It ends when another leader is there,\n" +
		"by resume --cluster, or after --max."
	hold.Flags().DurationVar(&lasts, "max", holdDefault, fmt.Sprintf("end it after this time; %v at most", conf.Duration(holdMax)))
	candidate := ""
	change := &cobra.Command{Use: "switchover CLUSTER", Short: "Have Patroni make another member the leader, and hold new work until it is",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.ofCluster(cmd.Context(), args[0], "switchover?candidate="+url.QueryEscape(candidate))
		}}
	change.Flags().StringVar(&candidate, "candidate", "", "the member's name; any, if not given")
	return []*cobra.Command{clusters, update, hold, change}
}

// ofCluster gives a command for one cluster.
func (c *ctl) ofCluster(ctx context.Context, cluster, command string) error {
	text, err := c.fetch(ctx, "POST", "/api/clusters/"+url.PathEscape(cluster)+"/"+command, nil)
	if err != nil {
		return err
	}
	var a clusterAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return exitError{exitUnreachable, fmt.Errorf("%s: this is not Sluice's admin side: %w", c.addr, err)}
	}
	if c.json {
		return c.printJSON(a)
	}
	word := "RESUME"
	switch {
	case a.Leader != "":
		word = "SWITCHOVER " + printable.Replace(a.Leader)
	case a.Held:
		word = "HOLD"
	}
	_, err = fmt.Fprintln(c.out, word)
	return err
}
