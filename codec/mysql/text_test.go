package mysql

import (
	"strings"
	"testing"
)

// TestAttributes skips the attributes of every type in front of a statement. // pitfall 81
func TestAttributes(t *testing.T) {
	value := map[byte]string{
		0x01: "\x01", 0x02: "\x01\x02", 0x0d: "\x01\x02", 0x03: "\x01\x02\x03\x04", 0x04: "1234", 0x09: "1234",
		0x05: "12345678", 0x08: "12345678", 0x07: "\x04\xe7\x07\x01\x02", 0x0a: "\x00", 0x0b: "\x00", 0x0c: "\x00",
		0x0f: "\x03abc", 0xfd: "\x03abc", 0xfe: "\xfc\x03\x00abc", 0xfc: "\x00", 0x06: "",
	}
	for typ, v := range value {
		block := "\x01\x01\x00\x01" + string([]byte{typ, 0}) + "\x04name" + v
		text, ok := skipAttributes([]byte(block + "select 1"))
		if !ok || string(text) != "select 1" {
			t.Errorf("type %#x: %q, %t", typ, text, ok)
		}
		for n := range len(block) {
			if text, ok := skipAttributes([]byte(block[:n])); ok {
				t.Errorf("type %#x: %q in %d bytes", typ, text, n)
			}
		}
	}
	// A NULL has no value.
	if text, ok := skipAttributes([]byte("\x02\x01\x01\x01\x0f\x00\x01a\x0f\x00\x01b\x01xselect 2")); !ok || string(text) != "select 2" {
		t.Errorf("%q, %t", text, ok)
	}
	if _, ok := skipAttributes([]byte("\xfc\xff\xff\x01" + strings.Repeat("\x00", 100))); ok {
		t.Error("more attributes than the limit")
	}
}

// TestText is what a watcher is shown of a statement.
func TestText(t *testing.T) {
	attributes := facts{caps: capQueryAttributes}
	tests := []struct {
		in      facts
		payload string
		want    string
	}{
		{classic, "\x03select 1", "select 1"},
		{classic, "\x03", ""},
		{classic, "\x16insert ?", "insert ?"},
		{classic, "\x02shop", "shop"},
		{classic, "\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00", ""},
		{classic, "\x11user\x00\x04pass", ""},
		{attributes, "\x03" + noAttributes + "select 1", "select 1"},
		{attributes, "\x03\x01\x01\x00\x01\x0f\x00\x01a\x02hiselect 1", "select 1"},
	}
	for _, tt := range tests {
		d := &diary{}
		if err := newFollower(tt.in, d).Client([]byte(message(tt.payload))); err != nil {
			t.Fatal(err)
		}
		if len(d.texts) != 1 || d.texts[0] != tt.want {
			t.Errorf("%q: text %q", tt.payload, d.texts)
		}
	}
	// Cut within, it is as much as there is.
	d := &diary{}
	f := newFollower(classic, d)
	for _, p := range []string{"\x09\x00", "\x00\x00\x03sel", "ect 1"} {
		if err := f.Client([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.texts) != 1 || !strings.HasPrefix("select 1", d.texts[0]) || d.texts[0] == "" {
		t.Errorf("text %q", d.texts)
	}
}

// TestMayHide: which statements may begin a transaction and then fail without a word of it.
func TestMayHide(t *testing.T) {
	for text, want := range map[string]bool{
		"select 1": false, "INSERT into": false, "Update t": false, "show tables": false, "kill 5": false,
		"call p()": true, "CALL": true, "begin not atomic": true, "execute s": true, "if 1 then": true, "repeat": true,
		"/* x */ select": true, "(select 1)": true, "set x = 1": true, "do": true, "": true,
	} {
		if got := verbOf([]byte(text))&verbHides != 0; got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
