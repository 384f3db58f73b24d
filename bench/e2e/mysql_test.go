package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// mysqlProxy starts Sluice before one MariaDB server and returns its address.
func mysqlProxy(t *testing.T) (addr string, s *real.Sluice) {
	t.Helper()
	addr = real.FreeAddr()
	s = startSluice(t, racy(t), cluster("my", "mysql", []string{mariadb(t, 0).Addr})+
		listener("my", addr, "my", tlsTable("listener", "prefer", stage.cert)))
	return addr, s
}

// mariadbArgs makes MariaDB's client connect to addr as user app to the database "app".
func mariadbArgs(addr string, more ...string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return append([]string{"--no-defaults", "--host=" + host, "--port=" + port, "--protocol=tcp", "--user=app",
		"--password=" + real.Password, "--database=app", "--local-infile=1", "--ssl-ca=" + stage.ca.CertFile}, more...)
}

// TestMariaDBPrograms runs the command-line client and sysbench.
func TestMariaDBPrograms(t *testing.T) {
	client := tool(t, "mariadb", "mariadb-client")
	addr, s := mysqlProxy(t)
	for _, way := range []struct{ name, flag string }{{"plain", "--skip-ssl"}, {"tls", "--ssl-verify-server-cert"},
		{"compressed", "--compress"}, {"compressed-plain", "--compress --skip-ssl"}} {
		t.Run("mariadb-"+way.name, func(t *testing.T) {
			testMariaDBScript(t, client, mariadbArgs(addr, strings.Fields(way.flag)...))
		})
	}
	t.Run("interrupt", func(t *testing.T) { testInterrupt(t, client, mariadbArgs(addr, "--skip-ssl")) })
	t.Run("sysbench", func(t *testing.T) { testSysbench(t, "", sysbenchArgs(addr)) })
	await(t, s, 0, "sluice_sessions")
}

// testMariaDBScript runs a script with several results, a file from the client and a procedure.
func testMariaDBScript(t *testing.T, client string, args []string) {
	table := "fruit_" + strings.ReplaceAll(filepath.Base(t.Name()), "-", "_")
	csv := filepath.Join(t.TempDir(), "fruit.csv")
	var rows strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&rows, "%d,fruit number %d\n", i, i)
	}
	if err := os.WriteFile(csv, []byte(rows.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	script := strings.NewReplacer("TABLE", table, "FILE", csv).Replace(`
drop table if exists TABLE;
create table TABLE (id int primary key, name varchar(100));
load data local infile 'FILE' into table TABLE fields terminated by ',';
select concat('rows: ', count(*), ', last: ', max(name)) from TABLE;
start transaction; delete from TABLE; rollback;
select concat('left: ', count(*)) from TABLE;
delimiter //
create or replace procedure TABLE_p() begin select 'first set'; select 'second set'; end //
delimiter ;
call TABLE_p();
select md5(group_concat(name order by id)) = md5('') from (select * from TABLE limit 1000) t;
show warnings;
select repeat('long ', 200000) = repeat('long ', 200000) as same;
`)
	out := command{path: client, args: append(args, "--batch", "--skip-column-names"), stdin: script}.output(t)
	wants(t, out, "rows: 20000, last: fruit number 9999", "left: 20000", "first set\nsecond set", "\n1\n")

	// Several statements in one packet, of which the third fails; a delimiter of its own keeps them together.
	out = command{path: client, args: append(args, "--batch", "--delimiter=//", "-e", "select 'uno'; select 'due'; select * from nowhere; select 'tre' //")}.failure(t)
	wants(t, out, "uno", "due", "ERROR 1146 (42S02)")
	if strings.Contains(out, "tre") {
		t.Error("a statement behind the error was run")
	}
	out = command{path: client, args: append(args, "--password=wrong", "-e", "select 1")}.failure(t)
	wants(t, out, "ERROR 1045 (28000)", "Access denied for user 'app'")
}

// testInterrupt interrupts a query as a user would: the client opens a second connection and kills
// the query by the id that it saw.
func testInterrupt(t *testing.T, client string, args []string) {
	var out strings.Builder
	cmd := exec.Command(client, append(args, "--batch", "-e", "select sleep(600) as interrupted_query")...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	db := openMySQL(t, mariadb(t, 0).Addr, "app", "")
	eventually(t, func() error {
		var n int
		err := db.QueryRow("select count(*) from information_schema.processlist where info like 'select sleep%interrupted_query'").Scan(&n)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d such queries run", n)
		}
		return err
	})
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil && !strings.Contains(out.String(), "interrupted_query\n1") {
			t.Errorf("the query was not interrupted: %s", out.String())
		}
		wants(t, out.String(), "killed")
	case <-time.After(soon):
		_ = cmd.Process.Kill()
		t.Fatalf("the query goes on after the interrupt: %s", out.String())
	}
}

// testSysbench runs point selects and transactions, prepared and not, in the folder dir.
func testSysbench(t *testing.T, dir string, args []string) {
	bench := tool(t, "sysbench", "sysbench")
	run := func(t *testing.T, load string, more ...string) string {
		t.Helper()
		return command{path: bench, args: slices.Concat([]string{load}, args, more), dir: dir}.output(t)
	}
	run(t, "oltp_read_write", "cleanup")
	run(t, "oltp_read_write", "prepare")
	for _, ps := range []string{"auto", "disable"} {
		for _, load := range []string{"oltp_point_select", "oltp_read_write"} {
			t.Run(load+"-"+ps, func(t *testing.T) {
				events := map[string]string{"oltp_point_select": "4000", "oltp_read_write": "300"}[load]
				out := run(t, load, "--db-ps-mode="+ps, "--threads=8", "--events="+events, "--time=60", "run")
				wants(t, out, "total number of events:              "+events)
				wants(t, out, "reconnects:                          0")
			})
		}
	}
}

func sysbenchArgs(addr string, more ...string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return append([]string{"--mysql-host=" + host, "--mysql-port=" + port, "--mysql-user=app", "--mysql-password=" + real.Password,
		"--mysql-db=app", "--tables=2", "--table-size=5000"}, more...)
}
