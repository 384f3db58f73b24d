package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// dataRow is the body of a DataRow with text columns.
func dataRow(columns ...string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(columns)))
	for _, c := range columns {
		b = binary.BigEndian.AppendUint32(b, uint32(len(c)))
		b = append(b, c...)
	}
	return b
}

// lookRow is a row of a look.
func lookRow(kind, name, value string) []byte {
	return dataRow(kind, name, hex.EncodeToString([]byte(value)))
}

func TestLook(t *testing.T) {
	names := &customNames{}
	names.add([]byte("App.User"))
	names.add([]byte("plpgsql.check_asserts"))
	names.add([]byte("app.gone"))
	var r lookReader
	r.start(wordLook, names)
	for _, row := range [][]byte{
		lookRow("S", "TimeZone", "Asia/Tokyo"),
		lookRow("S", "application_name", "é"),
		lookRow("K", "plpgsql.check_asserts", "on"),
		lookRow("C", "1", "on"),
		lookRow("C", "0", "42"),
		lookRow("R", "", "none"),
		lookRow("U", "", "me"),
		dataRow("T", "", ""),
		dataRow("L", "", ""),
	} {
		if err := r.row(row); err != nil {
			t.Fatal(err)
		}
	}
	got := r.result()
	want := []setting{{"TimeZone", "Asia/Tokyo"}, {"app.user", "42"}, {"application_name", "é"}}
	if !reflect.DeepEqual(got.settings.all(), want) {
		t.Errorf("settings %v", got.settings.all())
	}
	if got.role != "none" || got.user != "me" || got.pins != wordTemp|wordLocks {
		t.Errorf("%+v", got)
	}
	r.start(wordTemp, names)
	if got := r.result(); got.pins != 0 || got.settings != nil {
		t.Errorf("of nothing: %+v", got)
	}
}

// TestLookPins has a row for each pin.
func TestLookPins(t *testing.T) {
	for kind, want := range map[string]words{
		"L": wordLocks, "T": wordTemp, "H": wordCursors, "P": wordPrepared, "N": wordListen,
	} {
		var r lookReader
		r.start(want, nil)
		if err := r.row(dataRow(kind, "", "")); err != nil {
			t.Fatal(err)
		}
		if got := r.result(); got.pins != want {
			t.Errorf("%s: %b, want %b", kind, got.pins, want)
		}
	}
}

func TestLookRefuses(t *testing.T) {
	good := lookRow("S", "a", "b")
	null := append([]byte(nil), good...)
	binary.BigEndian.PutUint32(null[len(null)-6:], 0xffffffff)
	for name, row := range map[string][]byte{
		"nothing":          {},
		"two columns":      dataRow("S", "a"),
		"four columns":     dataRow("S", "a", "62", ""),
		"cut":              good[:len(good)-1],
		"too long":         append(append([]byte(nil), good...), 0),
		"NULL":             null,
		"not hex":          dataRow("S", "a", "zz"),
		"unknown kind":     lookRow("X", "a", "b"),
		"no kind":          lookRow("", "a", "b"),
		"no number":        lookRow("C", "a", "b"),
		"number too large": lookRow("C", "0", "b"),
		"number too small": lookRow("C", "-1", "b"),
	} {
		var r lookReader
		r.start(wordLook, nil)
		if err := r.row(row); !errors.Is(err, errLook) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLookLimits reaches the limits of rows and of bytes.
func TestLookLimits(t *testing.T) {
	var r lookReader
	r.start(wordSettings, nil)
	for i := range maxLookRows {
		if err := r.row(lookRow("S", "a", "b")); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := r.row(lookRow("S", "a", "b")); !errors.Is(err, errLook) {
		t.Error("one more row is taken:", err)
	}
	r.start(wordSettings, nil)
	row := lookRow("S", "a", strings.Repeat("b", 1<<10-1))
	for i := range maxLook >> 10 {
		if err := r.row(row); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := r.row(row); !errors.Is(err, errLook) {
		t.Error("more bytes are taken:", err)
	}
}

// TestLookText holds that a look asks for what it is to ask for, and leans on no search path.
func TestLookText(t *testing.T) {
	names := &customNames{}
	names.add([]byte(`a.b'c\`))
	names.add([]byte("a.b"))
	for _, n := range []*customNames{nil, {}, names} {
		whole := string(appendLook(nil, wordLook, n))
		for _, part := range []string{sqlRole, sqlUser, sqlLocks, sqlTemp, sqlCursors, sqlPrepared, sqlListen} {
			if !strings.Contains(whole, part) {
				t.Errorf("no %s", part)
			}
		}
		if strings.Contains(whole, sqlCustom) != (n.count() > 0) {
			t.Errorf("names: %s", whole)
		}
		if strings.ContainsAny(whole, "\\\x00") {
			t.Errorf("a backslash: %s", whole)
		}
		s := sqlScanner{text: []byte(whole)}
		for tok := s.next(); tok.kind != tokenEnd; tok = s.next() {
			if tok.kind == tokenUnsure || tok.kind == tokenSemicolon {
				t.Fatalf("token %d in %s", tok.kind, whole)
			}
		}
	}
	if got := string(appendLook(nil, wordTemp, nil)); got != "SELECT "+sqlTemp {
		t.Errorf("one section: %s", got)
	}
	if got := appendLook(nil, wordSequence|wordExecute, nil); len(got) != 0 {
		t.Errorf("no section: %s", got)
	}
}

func FuzzLookRow(f *testing.F) {
	f.Add(lookRow("S", "a", "b"))
	f.Add(lookRow("C", "0", "b"))
	f.Fuzz(func(t *testing.T, body []byte) {
		names := &customNames{}
		names.add([]byte("a.b"))
		var r lookReader
		r.start(wordLook, names)
		if r.row(body) == nil {
			r.result()
		}
	})
}
