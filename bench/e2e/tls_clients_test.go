package e2e

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/bench/e2e/real"
)

// TestPostgresClientsTLS has pgbench and pgx do their work with TLS required on both sides. The servers
// and Sluice show the same certificate, by which SCRAM with channel binding holds right through.
func TestPostgresClientsTLS(t *testing.T) {
	addr, both := real.FreeAddr(), real.FreeAddr()
	required := tlsTable("listener", "require", stage.cert)
	first, second := postgres(t, 0).Addr, postgres(t, 1).Addr
	s := startSluice(t, racy(t),
		cluster("one", "postgres", []string{first}, tlsCA("cluster", "verify-full"))+
			cluster("both", "postgres", []string{first, second}, tlsCA("cluster", "verify-full"))+
			listener("one", addr, "one", required)+listener("both", both, "both", required))
	await(t, s, 1, "sluice_backend_up", "cluster", "one")
	await(t, s, 2, "sluice_backend_up", "cluster", "both")

	options := []string{"sslmode=verify-full", "sslrootcert=" + stage.ca.CertFile}
	connect := func(t *testing.T) *pgx.Conn {
		t.Helper()
		return connectPG(t, addr, "scram", options...)
	}
	t.Run("required", func(t *testing.T) {
		if _, err := dialPGX(addr, "scram"); err == nil {
			t.Error("a client without TLS got in")
		}
		if !one[bool](t, connect(t), "select ssl from pg_stat_ssl where pid = pg_backend_pid()") {
			t.Error("the server is spoken to without TLS")
		}
	})
	t.Run("pgbench", func(t *testing.T) { testPgbench(t, psqlEnv(addr, "app", "PGSSLMODE=verify-full")) })
	t.Run("batch", func(t *testing.T) { testBatch(t, connect(t)) })
	t.Run("pipeline", func(t *testing.T) { testPipeline(t, connect(t)) })
	t.Run("copy", func(t *testing.T) { testCopy(t, connect(t)) })
	t.Run("notify", func(t *testing.T) { testNotify(t, connect(t), connect(t)) })
	t.Run("slow-reader", func(t *testing.T) { testSlowReader(t, connect(t), 50_000) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, both, options...) })
	await(t, s, 0, "sluice_sessions")
}

// TestMySQLClientsTLS has sysbench and go-sql-driver do their work with TLS required on both sides,
// with different certificates.
func TestMySQLClientsTLS(t *testing.T) {
	addr := real.FreeAddr()
	s := startSluice(t, racy(t),
		cluster("my", "mysql", []string{mariadb(t, 0).Addr}, tlsCA("cluster", "verify-full"))+
			listener("my", addr, "my", tlsTable("listener", "require", stage.otherCert)))
	await(t, s, 1, "sluice_backend_up")

	open := func(t *testing.T, more string) *sql.DB {
		t.Helper()
		return openMySQL(t, addr, "app", "tls=ours&"+more)
	}
	t.Run("required", func(t *testing.T) {
		wantMySQLError(t, ping(t, addr, "app", real.Password, false), 3159)
		var name, cipher string
		if err := open(t, "").QueryRow("show session status like 'Ssl_cipher'").Scan(&name, &cipher); err != nil || cipher == "" {
			t.Errorf("the server is spoken to with the cipher %q: %v", cipher, err)
		}
	})
	t.Run("sysbench", func(t *testing.T) {
		testSysbench(t, sysbenchCerts(t), sysbenchArgs(addr, "--mysql-ssl=on"))
	})
	t.Run("multi-statements", func(t *testing.T) { testMultiStatements(t, open(t, "multiStatements=true")) })
	t.Run("local-infile", func(t *testing.T) { testLocalInfile(t, open(t, "")) })
	t.Run("blobs", func(t *testing.T) { testBlobs(t, open(t, ""), open(t, "interpolateParams=true"), []int{20 << 20}) })
	await(t, s, 0, "sluice_sessions")
}

// sysbenchCerts returns a folder with the three files that sysbench, with --mysql-ssl, looks for where
// it runs: it has no options for their names.
func sysbenchCerts(t *testing.T) string {
	t.Helper()
	pair, err := stage.ca.Issue("sysbench", "sysbench")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, file := range map[string]string{"client-cert.pem": pair.CertFile, "client-key.pem": pair.KeyFile, "cacert.pem": stage.ca.CertFile} {
		if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
