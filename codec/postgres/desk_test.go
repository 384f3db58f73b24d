package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/codec"
)

// deskTables are what the fake console shows.
var deskTables = map[string]*codec.Table{
	"SHOW LISTS": {
		Columns: []codec.Column{{Name: "list", Type: codec.ColumnText}, {Name: "items", Type: codec.ColumnInt}},
		Rows:    [][]any{{"pools", int64(3)}, {"users", int64(-1)}, {nil, int64(70000)}},
	},
	"SHOW STATS": {
		Columns: []codec.Column{{Name: "total", Type: codec.ColumnBig}},
		Rows:    [][]any{{int64(1) << 40}},
	},
	"SHOW NOTHING": {Columns: []codec.Column{{Name: "key"}}},
}

// deskAnswers is the fake console: it shows tables and refuses what begins with BAD.
func deskAnswers(text string) codec.Answer {
	switch {
	case deskTables[text] != nil:
		return codec.Answer{Table: deskTables[text], Tag: "SHOW"}
	case text == "SHOW HELP":
		return codec.Answer{Tag: "SHOW", Note: &codec.Note{Text: "usage", Detail: "ask"}}
	case strings.HasPrefix(text, "BAD"):
		return codec.Answer{Err: &codec.Error{Cond: codec.CommandUnknown, Text: "no " + text, Hint: "use SHOW HELP"}}
	}
	return codec.Answer{Tag: text}
}

func deskColumns(text string) []codec.Column {
	if t := deskTables[text]; t != nil {
		return t.Columns
	}
	return nil
}

// deskWire is a client's connection in a test.
type deskWire struct{ got []byte }

func (w *deskWire) Write(p []byte) { w.got = append(w.got, p...) }

// deskTalk is a client's session with the fake console.
type deskTalk struct {
	d     codec.Desk
	w     deskWire
	turn  codec.Turn
	asked []string
	ended bool
	err   error
}

func newDeskTalk() *deskTalk {
	k := &deskTalk{}
	k.d = Protocol{}.NewDesk(&codec.DeskConfig{Version: "test", Columns: deskColumns})
	k.turn.Client.Open(&k.w)
	return k
}

// say gives the desk a piece of what the client sends, and carries out what it asks for.
func (k *deskTalk) say(p []byte) {
	for !k.ended && k.err == nil {
		query, ok, end, err := k.d.Client(p, &k.turn)
		k.turn.Flush()
		p = nil
		k.ended, k.err = end, err
		if !ok {
			return
		}
		k.asked = append(k.asked, query)
		for more := k.d.Answer(deskAnswers(query), &k.turn); more; {
			k.turn.Flush()
			more = k.d.More(&k.turn)
		}
		k.turn.Flush()
	}
}

// heard is what the client was told, in short: "T(list,items) D(pools,3) C(SHOW) Z(I)".
func heard(t *testing.T, p []byte) string {
	t.Helper()
	var words []string
	for len(p) > 0 {
		n := int(binary.BigEndian.Uint32(p[1:])) + 1
		words = append(words, heardOne(t, p[0], p[5:n]))
		p = p[n:]
	}
	return strings.Join(words, " ")
}

func heardOne(t *testing.T, typ byte, body []byte) string {
	t.Helper()
	r := deskReader{rest: body}
	var fields []string
	switch typ {
	case 'T':
		for range r.number() {
			name := r.text()
			r.skip(6)
			oid := r.number32()
			r.skip(6)
			fields = append(fields, fmt.Sprintf("%s:%d:%d", name, oid, r.number()))
		}
	case 'D':
		for range r.number() {
			if n := int32(r.number32()); n < 0 {
				fields = append(fields, "NULL")
			} else {
				fields = append(fields, strings.Trim(fmt.Sprintf("%q", r.take(int(n))), `"`))
			}
		}
	case 'E', 'N':
		for c := r.byte(); c != 0; c = r.byte() {
			if value := r.text(); c != 'S' {
				fields = append(fields, string(c)+value)
			}
		}
	case 'C':
		fields = []string{r.text()}
	case 'Z':
		fields = []string{string(r.byte())}
	case 't':
		fields = []string{fmt.Sprint(r.number())}
	}
	if !r.done() {
		t.Fatalf("message %q is malformed: %q", typ, body)
	}
	if len(fields) == 0 {
		return string(typ)
	}
	return string(typ) + "(" + strings.Join(fields, ",") + ")"
}

// What drivers send.
func deskQuery(text string) string { return string(message('Q', text+"\x00")) }
func deskParse(name, text string) string {
	return string(message('P', name+"\x00"+text+"\x00\x00\x00"))
}

func deskBind(portal, name string, formats ...uint16) string {
	b := []byte(portal + "\x00" + name + "\x00\x00\x00\x00\x00")
	b = binary.BigEndian.AppendUint16(b, uint16(len(formats)))
	for _, f := range formats {
		b = binary.BigEndian.AppendUint16(b, f)
	}
	return string(message('B', string(b)))
}

func deskExecute(portal string, limit int) string {
	return string(message('E', string(binary.BigEndian.AppendUint32([]byte(portal+"\x00"), uint32(limit)))))
}

func deskName(typ byte, kind, name string) string { return string(message(typ, kind+name+"\x00")) }

const (
	deskSync    = "S\x00\x00\x00\x04"
	deskFlush   = "H\x00\x00\x00\x04"
	deskLists   = "T(list:25:0,items:23:0) D(pools,3) D(users,-1) D(NULL,70000) C(SHOW)"
	deskAborted = "E(VERROR,C25P02,Mcurrent transaction is aborted, commands ignored until end of transaction block)"
)

// deskTalks are conversations with the console. Each is also held with the client's bytes cut anywhere.
var deskTalks = []struct{ name, says, hears string }{
	{"a simple query", deskQuery("SHOW LISTS;"), deskLists + " Z(I)"},
	{"a table without rows", deskQuery("SHOW NOTHING"), "T(key:25:0) C(SHOW) Z(I)"},
	{"nothing", deskQuery(" ; -- not a word\n /* nor /* here */ */ ;"), "I Z(I)"},
	{"several commands", deskQuery("PAUSE a; SHOW LISTS;RESUME a"), "C(PAUSE a) " + deskLists + " C(RESUME a) Z(I)"},
	{"several queries at once", deskQuery("PAUSE") + deskQuery("RESUME"), "C(PAUSE) Z(I) C(RESUME) Z(I)"},
	{"an error ends its query", deskQuery("BAD; PAUSE") + deskQuery("RESUME"),
		"E(VERROR,C42601,Mno BAD,Huse SHOW HELP) Z(I) C(RESUME) Z(I)"},
	{"a notice", deskQuery("show help") + deskQuery("SHOW HELP"),
		"C(show help) Z(I) N(VNOTICE,C00000,Musage,Dask) C(SHOW) Z(I)"},
	{"quotes hide semicolons", deskQuery(`SET a = 'b;''c' ; PAUSE "x;y"`), `C(SET a = 'b;''c') C(PAUSE "x;y") Z(I)`},
	{"goodbye", deskQuery("PAUSE") + "X\x00\x00\x00\x04" + deskQuery("RESUME"), "C(PAUSE) Z(I)"},
	{"a function call", string(message('F', "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00")) + deskQuery("PAUSE"),
		"E(VERROR,C0A000,Mthe admin console has no functions) Z(I) C(PAUSE) Z(I)"},
	{"stray COPY messages", string(message('d', "x")) + "c\x00\x00\x00\x04" + deskQuery("PAUSE"), "C(PAUSE) Z(I)"},

	{"an unnamed statement", deskParse("", "SHOW LISTS;") + deskBind("", "") + deskName('D', "P", "") + deskExecute("", 0) + deskSync,
		"1 2 " + deskLists + " Z(I)"},
	{"a named statement, described", deskParse("s", "SHOW LISTS") + deskName('D', "S", "s") + deskSync +
		deskBind("", "s", 1) + deskExecute("", 0) + deskSync + deskBind("", "s", 0, 1) + deskExecute("", 0) + deskSync,
		`1 t(0) T(list:25:0,items:23:0) Z(I) 2 D(pools,\x00\x00\x00\x03) D(users,\xff\xff\xff\xff) D(NULL,\x00\x01\x11p) C(SHOW) Z(I)` +
			` 2 D(pools,\x00\x00\x00\x03) D(users,\xff\xff\xff\xff) D(NULL,\x00\x01\x11p) C(SHOW) Z(I)`},
	{"big numbers in binary", deskParse("", "SHOW STATS") + deskBind("", "", 1) + deskName('D', "P", "") + deskExecute("", 0) + deskSync,
		`1 2 T(total:20:1) D(\x00\x00\x01\x00\x00\x00\x00\x00) C(SHOW) Z(I)`},
	{"a command without a table", deskParse("", "PAUSE") + deskName('D', "S", "") + deskBind("", "") + deskName('D', "P", "") +
		deskFlush + deskExecute("", 0) + deskSync, "1 t(0) n 2 n C(PAUSE) Z(I)"},
	{"an empty statement", deskParse("", ";") + deskBind("", "") + deskExecute("", 0) + deskSync, "1 2 I Z(I)"},
	{"rows a few at a time", deskQuery("BEGIN") + deskParse("", "SHOW LISTS") + deskBind("c", "") + deskExecute("c", 2) + deskSync +
		deskExecute("c", 1) + deskExecute("c", 1) + deskSync + deskQuery("COMMIT"),
		"C(BEGIN) Z(T) 1 2 D(pools,3) D(users,-1) s Z(T) D(NULL,70000) s C(SHOW) Z(T) C(COMMIT) Z(I)"},
	{"the rest of the rows", deskParse("", "SHOW LISTS") + deskBind("c", "") + deskExecute("c", 2) + deskExecute("c", 0) + deskSync,
		"1 2 D(pools,3) D(users,-1) s D(NULL,70000) C(SHOW) Z(I)"},
	{"portals end with the transaction", deskParse("", "PAUSE") + deskBind("c", "") + deskSync + deskExecute("c", 0) + deskSync,
		`1 2 Z(I) E(VERROR,C34000,Mportal "c" does not exist) Z(I)`},
	{"an error skips to Sync", deskParse("", "BAD") + deskBind("", "") + deskExecute("", 0) + deskParse("", "PAUSE") + deskBind("", "") +
		deskSync + deskQuery("RESUME"), "1 2 E(VERROR,C42601,Mno BAD,Huse SHOW HELP) Z(I) C(RESUME) Z(I)"},
	{"Query ends the skipping too", deskBind("", "none") + deskQuery("RESUME"),
		`E(VERROR,C26000,Mprepared statement "none" does not exist) C(RESUME) Z(I)`},
	{"unknown names", deskName('D', "S", "a") + deskSync + deskName('D', "P", "b") + deskSync + deskExecute("c", 0) + deskSync +
		deskName('C', "S", "d") + deskName('C', "P", "e") + deskSync,
		`E(VERROR,C26000,Mprepared statement "a" does not exist) Z(I) E(VERROR,C34000,Mportal "b" does not exist) Z(I) ` +
			`E(VERROR,C34000,Mportal "c" does not exist) Z(I) 3 3 Z(I)`},
	{"unknown kinds of name", deskName('D', "Q", "") + deskSync + deskName('C', "Q", "") + deskSync,
		"E(VERROR,C08P01,Minvalid DESCRIBE message subtype 81) Z(I) E(VERROR,C08P01,Minvalid CLOSE message subtype 81) Z(I)"},
	{"a name used twice", deskParse("s", "PAUSE") + deskParse("s", "PAUSE") + deskSync + deskName('C', "S", "s") + deskParse("s", "RESUME") + deskSync,
		`1 E(VERROR,C42P05,Mprepared statement "s" already exists) Z(I) 3 1 Z(I)`},
	{"a portal made twice", deskParse("", "PAUSE") + deskBind("c", "") + deskBind("c", "") + deskSync,
		`1 2 E(VERROR,C42P03,Mcursor "c" already exists) Z(I)`},
	{"two commands in a statement", deskParse("", "PAUSE; RESUME") + deskSync,
		"E(VERROR,C42601,Mcannot insert multiple commands into a prepared statement) Z(I)"},
	{"parameters", deskParse("", "PAUSE") + string(message('B', "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01x\x00\x00")) + deskSync,
		"1 E(VERROR,C08P01,Mbind message supplies 1 parameters, but the command has none) Z(I)"},
	{"formats that do not fit", deskParse("", "SHOW LISTS") + deskBind("", "", 0, 0, 0) + deskSync + deskBind("", "", 2) + deskSync,
		"1 E(VERROR,C08P01,Mbind message has 3 result formats but the command has 2 columns) Z(I) " +
			"E(VERROR,C22023,Munsupported format code: 2) Z(I)"},
	{"Query forgets the unnamed statement", deskParse("", "PAUSE") + deskSync + deskQuery("RESUME") + deskBind("", "") + deskSync,
		`1 Z(I) C(RESUME) Z(I) E(VERROR,C26000,Mprepared statement "" does not exist) Z(I)`},

	{"a transaction", deskQuery("begin") + deskQuery("SHOW LISTS") + deskQuery("END"), "C(BEGIN) Z(T) " + deskLists + " Z(T) C(COMMIT) Z(I)"},
	{"a transaction that fails", deskQuery("START TRANSACTION; BAD") + deskQuery("PAUSE") + deskParse("", "PAUSE") + deskSync + deskQuery("COMMIT") + deskQuery("PAUSE"),
		"C(START TRANSACTION) E(VERROR,C42601,Mno BAD,Huse SHOW HELP) Z(E) " + deskAborted + " Z(E) " + deskAborted + " Z(E) C(ROLLBACK) Z(I) C(PAUSE) Z(I)"},
	{"a transaction of a driver", deskParse("", "BEGIN") + deskBind("", "") + deskExecute("", 0) + deskParse("", "SHOW STATS") + deskBind("", "") + deskExecute("", 0) + deskSync +
		deskParse("", "ROLLBACK") + deskBind("", "") + deskExecute("", 0) + deskSync,
		"1 2 C(BEGIN) 1 2 D(1099511627776) C(SHOW) Z(T) 1 2 C(ROLLBACK) Z(I)"},
}

// TestDesk holds the conversations, with the client's bytes cut in every way.
func TestDesk(t *testing.T) {
	for _, tt := range deskTalks {
		for _, cut := range cuttings(len(tt.says)) {
			k := newDeskTalk()
			for piece := range cut.pieces([]byte(tt.says)) {
				k.say(piece)
			}
			if got := heard(t, k.w.got); got != tt.hears || k.err != nil {
				t.Errorf("%s, %s:\ngot  %s (%v)\nwant %s", tt.name, cut.name, got, k.err, tt.hears)
				break
			}
		}
	}
}

// TestDeskAsksOneAtATime: what comes while a command is carried out waits for its answer.
func TestDeskAsksOneAtATime(t *testing.T) {
	k := newDeskTalk()
	query, ok, _, _ := k.d.Client([]byte(deskQuery("PAUSE; RESUME")), &k.turn)
	if query != "PAUSE" || !ok {
		t.Fatalf("asked %q, %v", query, ok)
	}
	if query, ok, _, _ = k.d.Client([]byte(deskQuery("SHOW LISTS")), &k.turn); ok {
		t.Fatalf("asked for %q while PAUSE was carried out", query)
	}
	var asked []string
	for ok = true; ok; {
		k.d.Answer(codec.Answer{Tag: "OK"}, &k.turn)
		if query, ok, _, _ = k.d.Client(nil, &k.turn); ok {
			asked = append(asked, query)
		}
	}
	if want := []string{"RESUME", "SHOW LISTS"}; !slices.Equal(asked, want) {
		t.Errorf("then asked %q, want %q", asked, want)
	}
}

// TestDeskLongAnswer writes a table of many megabytes a part at a time, and all of it.
func TestDeskLongAnswer(t *testing.T) {
	rows := make([][]any, 20000)
	for i := range rows {
		rows[i] = []any{strings.Repeat("x", 100), int64(i)}
	}
	table := &codec.Table{Columns: deskTables["SHOW LISTS"].Columns, Rows: rows}
	k := newDeskTalk()
	if _, ok, _, _ := k.d.Client([]byte(deskQuery("SHOW CLIENTS")), &k.turn); !ok {
		t.Fatal("not asked")
	}
	parts, before := 1, 0
	for more := k.d.Answer(codec.Answer{Table: table, Tag: "SHOW"}, &k.turn); more; parts++ {
		k.turn.Flush()
		if n := len(k.w.got) - before; n > deskPart+1000 {
			t.Fatalf("a part of %d bytes", n)
		}
		before = len(k.w.got)
		if _, ok, _, _ := k.d.Client([]byte(deskQuery("PAUSE"))[:0], &k.turn); ok {
			t.Fatal("asked in the middle of an answer")
		}
		more = k.d.More(&k.turn)
	}
	k.turn.Flush()
	got := heard(t, k.w.got)
	if n := strings.Count(got, " D("); n != len(rows) || parts < 30 || !strings.HasSuffix(got, "C(SHOW) Z(I)") {
		t.Errorf("%d rows in %d parts, ending %q", n, parts, got[len(got)-30:])
	}
}

// TestDeskLimits reaches every limit that a client can pass.
func TestDeskLimits(t *testing.T) {
	t.Run("a long message", func(t *testing.T) {
		k := newDeskTalk()
		k.say([]byte(deskQuery(strings.Repeat("x", deskMessageMax-5)))) // the length counts itself and the NUL
		if k.err != nil || len(k.asked) != 1 {
			t.Fatalf("the longest one: %v", k.err)
		}
		k.say([]byte(deskQuery(strings.Repeat("x", deskMessageMax-4))))
		wantDeskError(t, k.err, codec.LimitOfClient)
	})
	t.Run("much at once", func(t *testing.T) {
		k := newDeskTalk()
		if _, ok, _, _ := k.d.Client([]byte(deskQuery("PAUSE")), &k.turn); !ok {
			t.Fatal("not asked")
		}
		var err error
		for n := 0; n <= deskInputMax && err == nil; n += 1 << 10 {
			_, _, _, err = k.d.Client(make([]byte, 1<<10), &k.turn)
		}
		wantDeskError(t, err, codec.LimitOfClient)
	})
	t.Run("many names", func(t *testing.T) {
		k := newDeskTalk()
		for i := range deskNamesMax + 1 {
			k.say([]byte(deskParse(fmt.Sprint("s", i), "PAUSE")))
		}
		k.say([]byte(deskSync + deskQuery("BEGIN")))
		for i := range deskNamesMax + 1 {
			k.say([]byte(deskBind(fmt.Sprint("p", i), "s1")))
		}
		got := heard(t, k.w.got)
		if strings.Count(got, "1 ") != deskNamesMax || !strings.Contains(got, "C54000,Mtoo many prepared statements) Z(I)") ||
			strings.Count(got, "2 ") != deskNamesMax || !strings.HasSuffix(got, "C54000,Mtoo many portals)") {
			t.Errorf("got %s", got)
		}
	})
}

// TestDeskMalformed: what is no message of a client ends the session with a reason.
func TestDeskMalformed(t *testing.T) {
	for _, p := range []string{
		"!\x00\x00\x00\x04", "Q\x00\x00\x00\x04", "Q\xff\xff\xff\xff", "S\x00\x00\x00\x05x",
		string(message('Q', "no end")), string(message('Q', "a\x00b\x00")),
		string(message('P', "a\x00b\x00\x00\x01\x00")), string(message('P', "a\x00b\x00\xff\xff")),
		string(message('B', "a\x00b\x00\x00\x00\xff\xff\x00\x00\x00\x00\x00")), string(message('B', "a\x00b\x00\x00\x00\x00\x00\x00\x01\x00")),
		string(message('B', "a\x00b\x00\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00")),
		string(message('D', "S\x00x")), string(message('C', "Sx")), string(message('E', "a\x00\x00\x00\x00\x00\x00")),
	} {
		k := newDeskTalk()
		k.say([]byte(p))
		if k.err == nil {
			t.Errorf("%q: no error", p)
			continue
		}
		wantDeskError(t, k.err, codec.ProtocolError)
	}
}

func wantDeskError(t *testing.T, err error, want codec.Condition) {
	t.Helper()
	var e codec.Error
	if !errors.As(err, &e) || e.Cond != want {
		t.Errorf("got %v, want condition %d", err, want)
	}
}

// TestDeskIntroduces itself with what drivers look at, and ends with a FATAL.
func TestDeskIntroduces(t *testing.T) {
	k := newDeskTalk()
	got := map[string]string{}
	for _, p := range k.d.Introduction().(*introduction).reported() {
		got[p.Name] = p.Value
	}
	for name, want := range map[string]string{"server_version": "16.0 (Sluice test)", "client_encoding": "UTF8",
		"standard_conforming_strings": "on", "integer_datetimes": "on"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	b := k.d.AppendError(nil, codec.Error{Cond: codec.Shutdown, Text: "bye"})
	if got := heard(t, b); got != "E(VFATAL,C57P01,Mbye)" {
		t.Errorf("the end is told by %s", got)
	}
}

// FuzzDesk gives the desk anything: it must not panic, over-read or keep more than its limit, and what it
// answers must be whole messages.
func FuzzDesk(f *testing.F) {
	for _, tt := range deskTalks {
		f.Add([]byte(tt.says), 3)
	}
	f.Fuzz(func(t *testing.T, p []byte, n int) {
		n = max(1, min(n, 1<<16))
		k := newDeskTalk()
		for piece := range slices.Chunk(p, n) {
			k.say(piece)
		}
		if kept := len(k.d.(*desk).in); kept > deskInputMax {
			t.Fatalf("%d bytes are kept", kept)
		}
		for b := k.w.got; len(b) > 0; {
			size := binary.BigEndian.Uint32(b[1:])
			b = b[1+size:]
		}
	})
}
