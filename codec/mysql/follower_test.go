package mysql

import (
	"strings"
	"testing"

	"sluice/codec"
)

// Sessions with the framing of old and of new servers.
var (
	classic   = facts{key: 7, caps: capProtocol41, status: statusAutocommit}
	deprecate = facts{key: 7, caps: capProtocol41 | capDeprecateEOF, status: statusAutocommit}
	optional  = facts{key: 7, caps: capProtocol41 | capOptionalMetadata, status: statusAutocommit}
	cached    = facts{key: 7, caps: capProtocol41 | capDeprecateEOF, ext: extCacheMetadata, status: statusAutocommit}
)

// TestFollow plays conversations, each at every cut. want is what the watcher heard.
func TestFollow(t *testing.T) {
	tests := []struct {
		name string
		in   facts
		talk string
		want string
		err  error
	}{
		{name: "nothing yet", in: classic, talk: "="},
		{name: "ping", in: classic, talk: "c:ping =owed s:ok =", want: "+ping .ping -ping"},
		{name: "error", in: classic, talk: "c:select s:err =", want: "+query .query !query"},

		// pitfall 57
		{name: "classic rows", in: classic, talk: "c:select s:n1 s:def s:eof s:row*3 =owed s:eof =", want: "+query .query -query"},
		{name: "no EOF behind definitions", in: deprecate, talk: "c:select s:n2 s:def*2 s:row*3 s:end =", want: "+query .query -query"},
		{name: "no rows", in: deprecate, talk: "c:select s:n2 s:def*2 s:end =", want: "+query .query -query"},
		{name: "a row of NULL is no file", in: classic, talk: "c:select s:n1 s:def s:eof s:null s:eof =", want: "+query .query -query"},
		{name: "error in the rows", in: classic, talk: "c:select s:n1 s:def s:eof s:row s:err =", want: "+query .query !query"},
		{name: "error in the definitions", in: classic, talk: "c:select s:n2 s:def s:err =", want: "+query .query !query"},

		// pitfall 58
		{name: "several results", in: classic, talk: "c:select s:n1 s:def s:eof s:row s:eofM =owed s:okM s:n1 s:def s:eof s:eof =",
			want: "+query .query -query"},
		{name: "several results, new framing", in: deprecate, talk: "c:select s:n1 s:def s:row s:endM s:ok =", want: "+query .query -query"},
		{name: "an error ends the chain", in: classic, talk: "c:insert s:okM s:err =transaction", want: "+query .query !query"},

		// pitfall 59
		{name: "local file", in: classic, talk: "c:load s:file =infile c+data c+data c+empty s:ok =", want: "+query .query -query"},
		{name: "empty local file", in: classic, talk: "c:load s:file c+empty =owed s:ok =", want: "+query .query -query"},
		{name: "local file, then error", in: classic, talk: "c:load s:file c+data c+empty s:err = c:ping s:ok =",
			want: "+query .query !query +ping .ping -ping"},
		{name: "local file refused at once", in: classic, talk: "c:load s:file c+data s:err =infile c+data c+empty =",
			want: "+query .query !query"},
		{name: "two local files", in: classic, talk: "c:load s:file c+data c+empty s:okM s:file c+empty s:ok =", want: "+query .query -query"},
		{name: "a command sent ahead into the file", in: classic, talk: "c:load c:ping s1:file", err: errPipelined,
			want: "+query +ping .query"},

		// pitfall 60
		{name: "close has no answer", in: classic, talk: "c:close = c:ping s:ok =", want: "+stmt_close -stmt_close +ping .ping -ping"},
		{name: "long data has no answer", in: classic, talk: "c:long =long-data c:long c:exec s:ok =",
			want: "+stmt_send_long_data -stmt_send_long_data +stmt_send_long_data -stmt_send_long_data +stmt_execute .stmt_execute -stmt_execute"},
		{name: "no answer waits for its turn", in: classic, talk: "c:select c:close c:ping =owed s1:err s1:ok =",
			want: "+query +stmt_close +ping .query !query -stmt_close .ping -ping"},
		{name: "quit", in: classic, talk: "c:quit", want: "+quit -quit"},

		// pitfall 61
		{name: "prepare", in: classic, talk: "c:prepare s:prep12 s:def s:eof s:def*2 =owed s:eof =", want: "+stmt_prepare .stmt_prepare -stmt_prepare"},
		{name: "prepare, new framing", in: deprecate, talk: "c:prepare s:prep12 s:def*3 =", want: "+stmt_prepare .stmt_prepare -stmt_prepare"},
		{name: "prepare without anything", in: classic, talk: "c:prepare s:prep00 =", want: "+stmt_prepare .stmt_prepare -stmt_prepare"},
		{name: "prepare fails", in: classic, talk: "c:prepare s:err =", want: "+stmt_prepare .stmt_prepare !stmt_prepare"},
		{name: "statistics", in: classic, talk: "c:stat s:text =", want: "+statistics .statistics -statistics"},
		{name: "field list", in: classic, talk: "c:fields s:def*2 s:eof =", want: "+field_list .field_list -field_list"},
		{name: "field list, new framing", in: deprecate, talk: "c:fields s:def*2 s:end =", want: "+field_list .field_list -field_list"},
		{name: "reset statement", in: classic, talk: "c:reset s:ok =", want: "+stmt_reset .stmt_reset -stmt_reset"},

		// pitfall 62
		{name: "cursor", in: classic, talk: "c:exec s:n1 s:def s:eofC =cursor c:fetch s:brow*2 s:eofC =cursor c:fetch s:brow s:eofL =",
			want: "+stmt_execute .stmt_execute -stmt_execute +stmt_fetch .stmt_fetch -stmt_fetch +stmt_fetch .stmt_fetch -stmt_fetch"},
		{name: "cursor, new framing", in: deprecate, talk: "c:exec s:n1 s:def s:endC =cursor c:fetch s:brow*2 s:endL =",
			want: "+stmt_execute .stmt_execute -stmt_execute +stmt_fetch .stmt_fetch -stmt_fetch"},
		{name: "a failed fetch leaves it open", in: classic, talk: "c:exec s:n1 s:def s:eofC c:fetch s:err =cursor c:close =",
			want: "+stmt_execute .stmt_execute -stmt_execute +stmt_fetch .stmt_fetch !stmt_fetch +stmt_close -stmt_close"},
		{name: "cursor of the statement prepared last", in: deprecate, talk: "c:prepare c:execlast s1:prep00 s1:n1 s:def s:endC =cursor c:close =",
			want: "+stmt_prepare +stmt_execute .stmt_prepare -stmt_prepare .stmt_execute -stmt_execute +stmt_close -stmt_close"},
		{name: "close sent behind its execute", in: classic, talk: "c:exec c:close s1:n1 s:def s:eofC =",
			want: "+stmt_execute +stmt_close .stmt_execute -stmt_execute -stmt_close"},
		{name: "a new execute closes the cursor", in: classic, talk: "c:exec s:n1 s:def s:eofC =cursor c:exec s:ok =",
			want: "+stmt_execute .stmt_execute -stmt_execute +stmt_execute .stmt_execute -stmt_execute"},
		{name: "only its own", in: classic, talk: "c:exec s:n1 s:def s:eofC c:exec2 s:ok =cursor",
			want: "+stmt_execute .stmt_execute -stmt_execute +stmt_execute .stmt_execute -stmt_execute"},

		// pitfall 63
		{name: "reset connection drops what is open", in: classic, talk: "c:long c:exec s:n1 s:def s:eofC =cursor c:resetconn s:ok =",
			want: "+stmt_send_long_data -stmt_send_long_data +stmt_execute .stmt_execute -stmt_execute +reset_connection .reset_connection -reset_connection"},
		{name: "change user", in: classic, talk: "c:long =long-data c:change =change-user s:switch =change-user c+auth =change-user s:ok =",
			want: "+stmt_send_long_data -stmt_send_long_data +change_user .change_user -change_user"},
		{name: "change user, cached", in: classic, talk: "c:change s:sha2 c+auth s:fast s:ok = c:ping s:ok =",
			want: "+change_user .change_user -change_user +ping .ping -ping"},
		{name: "change user, several rounds", in: classic, talk: "c:change s:switch c+auth s:ask c+auth s:raw c+auth s:err =",
			want: "+change_user .change_user !change_user"},
		{name: "change user, in full", in: classic, talk: "c:change s:sha2 c+auth s:full c+auth s:ok =", want: "+change_user .change_user -change_user"},
		{name: "a command sent ahead into the dialogue", in: classic, talk: "c:change c:ping s1:switch", err: errPipelined,
			want: "+change_user +ping .change_user"},

		// pitfall 72
		{name: "begin", in: classic, talk: "c:begin s:okT =transaction c:select s:n1 s:def s:eofT s:row s:eofT =transaction c:ping s:ok =",
			want: "+query .query -query +query .query -query +ping .ping -ping"},
		{name: "autocommit off is not yet a transaction", in: classic, talk: "c:select s:okN =", want: "+query .query -query"},
		{name: "autocommit off, a failed statement", in: classic, talk: "c:select s:okN = c:insert s:err =transaction c:ping s:okN =",
			want: "+query .query -query +query .query !query +ping .ping -ping"},
		{name: "a procedure that begins and fails", in: classic, talk: "c:call s:err =transaction c:ping s:ok =",
			want: "+query .query !query +ping .ping -ping"},
		{name: "the same prepared", in: classic, talk: "c:preparecall s:prep00 c:exec s:err =transaction c:exec2 s:ok = c:exec2 s:err =",
			want: "+stmt_prepare .stmt_prepare -stmt_prepare +stmt_execute .stmt_execute !stmt_execute " +
				"+stmt_execute .stmt_execute -stmt_execute +stmt_execute .stmt_execute !stmt_execute"},

		// pitfall 77
		{name: "set option", in: classic, talk: "c:setopt s:eof =", want: "+set_option .set_option -set_option"},
		{name: "set option, new framing", in: deprecate, talk: "c:setopt s:end =", want: "+set_option .set_option -set_option"},

		// pitfall 78
		{name: "binlog", in: classic, talk: "c:dump =replication s:event*3 =replication c:ack s7:event =replication", want: "+binlog_dump .binlog_dump"},
		{name: "binlog to its end", in: classic, talk: "c:gtid s:event s:eof =", want: "+binlog_dump_gtid .binlog_dump_gtid -binlog_dump_gtid"},
		{name: "binlog refused", in: classic, talk: "c:dump s:err =", want: "+binlog_dump .binlog_dump !binlog_dump"},
		{name: "a replica stays one", in: classic, talk: "c:register s:ok =replication", want: "+register_slave .register_slave -register_slave"},
		{name: "table dump", in: classic, talk: "c:tabledump s:event s:eof =", want: "+table_dump .table_dump -table_dump"},
		{name: "clone", in: classic, talk: "c:clone s:ok =replication c:odd c+data s:raw =replication", want: "+clone .clone"},
		{name: "clone refused", in: classic, talk: "c:clone s:err =", want: "+clone .clone !clone"},

		// pitfall 80
		{name: "refused", in: classic, talk: "c:insert s:big =", want: "+query .query !query"},

		// pitfall 82
		{name: "definitions left out", in: cached, talk: "c:exec s:n1none s:brow s:end = c:exec s:n1full s:def s:brow s:end =",
			want: "+stmt_execute .stmt_execute -stmt_execute +stmt_execute .stmt_execute -stmt_execute"},
		{name: "definitions left out, classic", in: optional, talk: "c:select s:n1none s:eof s:row s:eof = c:select s:n1full s:def s:eof s:row s:eof =",
			want: "+query .query -query +query .query -query"},
		{name: "prepare without definitions", in: optional, talk: "c:prepare s:prep12none =", want: "+stmt_prepare .stmt_prepare -stmt_prepare"},

		// pitfall 85
		{name: "progress", in: classic, talk: "c:select s:progress*3 =owed s:ok =", want: "+query .query -query"},
		{name: "bulk", in: classic, talk: "c:bulk s:ok =", want: "+stmt_bulk_execute .stmt_bulk_execute -stmt_bulk_execute"},
		{name: "bulk with a result for each row", in: deprecate, talk: "c:bulk s:n2 s:def*2 s:row*3 s:end =",
			want: "+stmt_bulk_execute .stmt_bulk_execute -stmt_bulk_execute"},
		{name: "many commands in one", in: classic, talk: "c:multi", err: errCommand},

		// pitfall 86
		{name: "goodbye unasked", in: classic, talk: "s0:bye =", want: ""},
		{name: "goodbye within the time of a command", in: classic, talk: "c:ping s:bye =", want: "+ping .ping !ping"},
		{name: "anything else unasked", in: classic, talk: "s0:ok", err: errUnasked},

		{name: "pipeline", in: classic, talk: "c:ping c:select c:stat c:ping =owed s1:ok s1:n1 s:def s:eof s:row s:eof s1:text s1:ok =",
			want: "+ping +query +statistics +ping .ping -ping .query -query .statistics -statistics .ping -ping"},
		{name: "one word", in: classic, talk: "c:init s:ok c:create s:ok c:drop s:ok c:refresh s:ok c:debug s:eof c:kill s:ok c:odd s:err =",
			want: "+init_db .init_db -init_db +create_db .create_db -create_db +drop_db .drop_db -drop_db +refresh .refresh -refresh " +
				"+debug .debug -debug +process_kill .process_kill -process_kill +other .other !other"},
		{name: "unknown command with an unknown answer", in: classic, talk: "c:odd s:text =", want: "+other .other -other"},
		{name: "empty command", in: classic, talk: "c:empty s:err =", want: "+sleep .sleep !sleep"},
		{name: "process info", in: classic, talk: "c:info s:n1 s:def s:eof s:row s:eof =", want: "+process_info .process_info -process_info"},
		{name: "shutdown", in: classic, talk: "c:shutdown s:eof =", want: "+shutdown .shutdown -shutdown"},

		// pitfall 65
		{name: "a command that does not begin at 0", in: classic, talk: "c:ping s:ok c+ping", err: errClientSeq, want: "+ping .ping -ping"},
		{name: "an answer that does not continue", in: classic, talk: "c:ping s2:ok", err: errServerSeq, want: "+ping .ping"},
		{name: "a gap in the rows", in: classic, talk: "c:select s:n1 s:def s:eof s:row s7:row", err: errServerSeq, want: "+query .query"},
		{name: "file data out of order", in: classic, talk: "c:load s:file c:data", err: errClientSeq, want: "+query .query"},

		{name: "malformed OK", in: classic, talk: "c:ping s:n1", err: errAnswer, want: "+ping .ping"},
		{name: "malformed PREPARE_OK", in: classic, talk: "c:prepare s:ok", err: errAnswer, want: "+stmt_prepare .stmt_prepare"},
		{name: "rows where EOF is due", in: classic, talk: "c:select s:n1 s:def s:row", err: errAnswer, want: "+query .query"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, d, err := everyCut(t, parseTalk(t, tt.talk), tt.in)
			if (err != nil) != (tt.err != nil) || err != nil && !strings.Contains(err.Error(), tt.err.Error()) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if got := strings.TrimSpace(d.String()); got != tt.want {
				t.Errorf("heard %s\nwant  %s", got, tt.want)
			}
		})
	}
}

// TestEnding: the session need not tell a client what it has been told, or has said.
func TestEnding(t *testing.T) {
	tests := []struct {
		talk string
		want bool
	}{
		{"c:ping s:ok", false},
		{"c:select s:err", false},
		{"c:quit", true},
		{"c:dump s:event c:quit", true}, // into the stream, where it is not a command
		{"s0:bye", true},                // pitfall 86
		{"c:ping s:bye", true},
		{"c:ping s:bye c:ping s:ok", false}, // the server went on all the same
	}
	for _, tt := range tests {
		f, _, err := everyCut(t, parseTalk(t, tt.talk), classic)
		if err != nil || f.Ending() != tt.want {
			t.Errorf("%q: ending %t, %v; want %t", tt.talk, f.Ending(), err, tt.want)
		}
	}
}

// TestAppendError: an error of Sluice's takes the place of the next packet of the answer.
func TestAppendError(t *testing.T) {
	e := codec.Error{Cond: codec.BackendLost, Text: "the server is gone", Hint: "try again"}
	tests := []struct {
		talk string
		seq  byte
	}{
		{"", 0},
		{"c:ping s:ok", 0},
		{"c:select", 1},
		{"c:select s:n1 s:def", 3},
		{"c:select s:n1 s:def s:eof s:row*300", 304 % 256},
		{"c:load s:file c+data*3 c+empty", 6},
		{"c:change s:switch c+auth", 3},
		{"c:ping c:ping s1:ok", 1},
	}
	for _, tt := range tests {
		f, _, err := everyCut(t, parseTalk(t, tt.talk), classic)
		if err != nil {
			t.Fatal(err)
		}
		got := f.AppendError([]byte("before"), e)
		payload := "\xff\x51\x04#08S01the server is gone (try again)"
		want := "before" + string(appendHeader(nil, len(payload), tt.seq)) + payload
		if string(got) != want {
			t.Errorf("%q: %q, want %q", tt.talk, got, want)
		}
		if owed := f.Owed(); owed > 0 {
			if err := f.Server(got[len("before"):]); err != nil || f.Owed() != owed-1 {
				t.Errorf("%q: the error does not fit the stream: %v, %d owed", tt.talk, err, f.Owed())
			}
		}
	}
}

// TestErrorText: a text is cut, not refused.
func TestErrorText(t *testing.T) {
	f := newFollower(classic, nil)
	b := f.AppendError(nil, codec.Error{Text: strings.Repeat("x", 3*errText)})
	if int(packetLen(b)) != 9+errText || len(b) != headerLen+9+errText {
		t.Errorf("%d bytes, the header says %d", len(b), packetLen(b))
	}
	if got := numberOf(codec.Condition(200)); got != numberOf(codec.Internal) {
		t.Errorf("unknown condition is %v", got)
	}
}

// TestKey is the id in the greeting that the client saw.
func TestKey(t *testing.T) {
	if k, ok := newFollower(classic, nil).Key(); k.ID != 7 || !ok {
		t.Errorf("key %v, %t", k, ok)
	}
}
