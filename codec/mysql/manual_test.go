package mysql

import (
	"strings"
	"testing"
)

const (
	mysqlManual   = "https://dev.mysql.com/doc/dev/mysql-server/latest/"
	mariadbManual = "https://mariadb.com/kb/en/"
)

// TestManual walks through the sections of the manuals on the command phase: what a section says of a
// command is a conversation here, which must end with nothing owed and no error. The connection phase
// is in TestLogin, compression in TestCompressed.
func TestManual(t *testing.T) {
	sections := []struct {
		url   string
		in    facts
		talks []string
	}{
		{mysqlManual + "page_protocol_com_quit.html", classic, []string{"c:quit"}},
		{mysqlManual + "page_protocol_com_init_db.html", classic, []string{"c:init s:ok", "c:init s:err"}},
		{mysqlManual + "page_protocol_com_query_response.html", classic, []string{
			"c:select s:ok", "c:select s:err", "c:select s:n2 s:def*2 s:eof s:row s:eof", "c:load s:file c+data c+empty s:ok"}},
		{mysqlManual + "page_protocol_com_query_response_text_resultset.html", deprecate, []string{
			"c:select s:n1 s:def s:end", "c:select s:n1 s:def s:row*2 s:err"}},
		{mysqlManual + "page_protocol_com_query_response_local_infile_request.html", classic, []string{"c:load s:file c+data*2 c+empty s:err"}},
		{mysqlManual + "page_protocol_com_field_list.html", classic, []string{"c:fields s:err", "c:fields s:def*3 s:eof"}},
		{mysqlManual + "page_protocol_com_refresh.html", classic, []string{"c:refresh s:ok", "c:refresh s:err"}},
		{mysqlManual + "page_protocol_com_statistics.html", classic, []string{"c:stat s:text"}},
		{mysqlManual + "page_protocol_com_process_info.html", classic, []string{"c:info s:n1 s:def s:eof s:row*2 s:eof", "c:info s:err"}},
		{mysqlManual + "page_protocol_com_process_kill.html", classic, []string{"c:kill s:ok", "c:kill s:err"}},
		{mysqlManual + "page_protocol_com_debug.html", classic, []string{"c:debug s:eof", "c:debug s:err"}},
		{mysqlManual + "page_protocol_com_ping.html", classic, []string{"c:ping s:ok"}},
		{mysqlManual + "page_protocol_com_change_user.html", classic, []string{
			"c:change s:ok", "c:change s:err", "c:change s:switch c+auth s:ok", "c:change s:switch c+auth s:err"}},
		{mysqlManual + "page_protocol_com_reset_connection.html", classic, []string{"c:resetconn s:ok"}},
		{mysqlManual + "page_protocol_com_set_option.html", classic, []string{"c:setopt s:eof", "c:setopt s:err"}},
		{mysqlManual + "page_protocol_com_stmt_prepare.html", classic, []string{
			"c:prepare s:prep12 s:def s:eof s:def*2 s:eof", "c:prepare s:prep00", "c:prepare s:err"}},
		{mysqlManual + "page_protocol_com_stmt_prepare.html", deprecate, []string{"c:prepare s:prep12 s:def*3"}},
		{mysqlManual + "page_protocol_com_stmt_execute.html", classic, []string{
			"c:exec s:ok", "c:exec s:err", "c:exec s:n1 s:def s:eof s:brow*2 s:eof",
			"c:exec s:n1 s:def s:eofC c:fetch s:brow s:eofL"}},
		{mysqlManual + "page_protocol_com_stmt_fetch.html", classic, []string{"c:fetch s:brow*5 s:eofL", "c:fetch s:err"}},
		{mysqlManual + "page_protocol_com_stmt_close.html", classic, []string{"c:close"}},
		{mysqlManual + "page_protocol_com_stmt_reset.html", classic, []string{"c:reset s:ok", "c:reset s:err"}},
		{mysqlManual + "page_protocol_com_stmt_send_long_data.html", classic, []string{"c:long*3 c:exec s:ok"}},
		{mysqlManual + "page_protocol_command_phase_sp.html", classic, []string{
			"c:call s:n1 s:def s:eof s:row s:eofM s:ok", "c:exec s:n1 s:def s:eof s:brow s:eofM s:n1 s:def s:eof s:brow s:eofM s:ok"}},
		{mysqlManual + "page_protocol_binlog_dump.html", classic, []string{"c:dump s:event*3 s:eof", "c:gtid s:err"}},
		{mysqlManual + "page_protocol_basic_ok_packet.html", classic, []string{"c:insert s:okM s:okT c:insert s:ok"}},
		{mysqlManual + "page_protocol_basic_eof_packet.html", deprecate, []string{"c:select s:n1 s:def s:row s:endM s:n1 s:def s:end"}},
		{mysqlManual + "page_protocol_basic_err_packet.html", classic, []string{"c:select s:err"}},
		{mariadbManual + "com_stmt_bulk_execute/", classic, []string{"c:bulk s:ok", "c:bulk s:err"}},
		{mariadbManual + "com_stmt_execute/", deprecate, []string{"c:prepare c:execlast s1:prep00 s1:ok"}},
		{mariadbManual + "progress-reporting/", classic, []string{"c:select s:progress*2 s:ok", "c:select s:progress s:err"}},
		{mariadbManual + "result-set-packets/", cached, []string{"c:select s:n1none s:brow s:end", "c:select s:n1full s:def s:brow s:end"}},
	}
	for _, s := range sections {
		for _, line := range s.talks {
			// COM_STMT_SEND_LONG_DATA is a command each time.
			line = strings.ReplaceAll(line, "c:long*3", "c:long c:long c:long")
			f, _, err := everyCut(t, parseTalk(t, line), s.in)
			if err != nil || f.Owed() != 0 || f.Mid(0) || f.Mid(1) {
				t.Errorf("%s\n%q: %v, %d owed", s.url, line, err, f.Owed())
			}
		}
	}
}

// TestKinds: every command has a row, a name of its own and room in the tables of metrics.
func TestKinds(t *testing.T) {
	names := Protocol{}.Kinds()
	if len(names) > 40 || len(names) != int(kindOther)+1 {
		t.Fatalf("%d kinds", len(names))
	}
	seen := map[string]bool{}
	for i, n := range names {
		if n == "" || seen[n] || strings.ToLower(n) != n {
			t.Errorf("kind %d is called %q", i, n)
		}
		seen[n] = true
	}
	for b := range 256 {
		if k := kindOf(byte(b)); int(k) >= len(names) {
			t.Errorf("command %#x has kind %d", b, k)
		}
	}
}
