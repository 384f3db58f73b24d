// Command sluice is a database proxy for the MySQL family and PostgreSQL.
//
// It puts the parts together: it reads the configuration (conf), turns it into the options of the
// other packages (build.go), starts the loops and the proxy (run.go) and serves the admin side
// (admin.go, console.go), of which `sluice ctl` is a client (ctl.go). `sluice convert` writes
// the configuration of another proxy as one of ours (convert.go). Whatever is worth testing alone lives in the packages.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sluice/conf"
)

// version is set by the linker, see the Makefile.
var version = "dev"

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code := exitError{code: 1}
		_ = errors.As(err, &code)
		os.Exit(code.code)
	}
}

// root is the command line: `sluice` alone is `sluice run`.
func root() *cobra.Command {
	var file string
	start := func(*cobra.Command, []string) error { return run(conf.Path(file, os.Environ())) }
	cmd := &cobra.Command{
		Use:           "sluice",
		Short:         "A database proxy for MySQL, MariaDB, TiDB and PostgreSQL",
		Args:          cobra.NoArgs,
		RunE:          start,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().StringVar(&file, "config", "",
		"configuration file (default: $SLUICE_CONFIG, else "+conf.DefaultPath+")")
	cmd.AddCommand(
		&cobra.Command{Use: "run", Short: "Run the proxy until SIGTERM or SIGINT", Args: cobra.NoArgs, RunE: start},
		&cobra.Command{Use: "check", Short: "Check the configuration and the files that it names",
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				path := conf.Path(file, os.Environ())
				if err := check(path); err != nil {
					return err
				}
				cmd.Println(path + ": ok")
				return nil
			}},
		&cobra.Command{Use: "config", Short: "Print the commented default configuration", Args: cobra.NoArgs,
			Run: func(cmd *cobra.Command, _ []string) { cmd.Print(string(conf.Shipped)) }},
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs,
			Run: func(cmd *cobra.Command, _ []string) {
				cmd.Println("sluice", version, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
			}},
		convertCommand(),
		ctlCommand(),
	)
	cmd.SetOut(os.Stdout)
	return cmd
}

// check reports every problem of a configuration and of the files that it names.
func check(path string) error {
	cfg, err := conf.Load(path, os.Environ())
	if err != nil {
		return err
	}
	if err := cfg.CheckFiles(); err != nil {
		return err
	}
	if _, err := setupOf(cfg, zap.NewNop()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
