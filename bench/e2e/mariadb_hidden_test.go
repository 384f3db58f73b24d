package e2e

import (
	"testing"

	"sluice/bench/e2e/real"
)

// TestMariaDBHiddenStateMoves has state come about where no command says so: in procedures, functions, triggers, texts
// inside of texts, several statements in one. It is all asked for, and goes along.
func TestMariaDBHiddenStateMoves(t *testing.T) {
	every := pairMaria(t)
	for _, d := range every {
		c := single(t, openMySQL(t, d.Addr, "app", ""))
		for _, q := range []string{
			"create or replace procedure sets(i int) begin set @by_procedure = i, session sort_buffer_size = 70656; set time_zone = '+03:00'; end",
			"create or replace function counts() returns int deterministic begin set @by_function = ifnull(@by_function, 0) + 1, max_statement_time = 500; return 1; end",
			"create or replace table watched (id int)",
			"create or replace trigger sees before insert on watched for each row set @by_trigger = concat('saw ', new.id)",
		} {
			mustMySQL(t, c, q)
		}
	}
	m := startMovingMaria(t, racy(t), every)
	m.only(t, 0)
	c := single(t, openMySQL(t, m.addr, "app", "multiStatements=true"))
	for _, q := range []string{
		"call sets(5)",
		"select counts(), counts()",
		"insert into watched values (9)",
		"select @by_select := 6, @by_select + 1",
		"execute immediate 'set @by_text = 7'",
		"execute immediate concat('set @by_made_text', ' = 8')",
		"set @a = 1; set @b = 2, tmp_table_size = 20000; /*! set @by_comment = 3 */; do @c := 4",
		"set statement sort_buffer_size = 90112 for set @by_statement = 5",
		"begin not atomic declare i int default 10; set @by_block = i, lc_time_names = 'fr_FR'; end",
		"set profiling = 1, sql_log_bin = 0, sql_notes = 0, character_set_client = latin1",
		"do _utf8mb4'x' = 'y'", "with w as (select 1 as one) select @by_cte := one from w",
	} {
		mustMySQL(t, c, q)
	}
	const look = `select concat_ws('|', @by_procedure, @by_function, @by_trigger, @by_select, @by_text, @by_made_text, @a, @b, @by_comment,
		@c, @by_statement, @by_block, @by_cte, @@sort_buffer_size, @@time_zone, @@max_statement_time, @@tmp_table_size, @@lc_time_names, @@profiling,
		@@sql_log_bin, @@sql_notes, @@character_set_client, @@collation_connection)`
	before := value(t, c, look)
	for _, to := range []int{1, 0} {
		m.swap(t, 1-to, to)
		if got := at(t, c); got != real.Port(every[to].Addr) {
			t.Errorf("the session is at port %d", got)
		}
		if after := value(t, c, look); after != before {
			t.Errorf("at server %d:\n got %s\nwant %s", to, after, before)
		}
	}
}
