package main

import (
	"io"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for args, reads := range map[string]int{
		"":                    1,
		"-edge":               edgeReads,
		"-readloop 4":         4,
		"-edge -readloop 2":   2,
		"-coalesce -spin 100": 1,
	} {
		o, err := parse(append(strings.Fields(args), "127.0.0.1:1", "[::1]:2"), io.Discard)
		if err != nil || o.reads != reads || o.listen.Port() != 1 || !o.server.Addr().Is6() {
			t.Errorf("%q: got %+v, %v", args, o, err)
		}
	}
	for args, want := range map[string]string{
		"127.0.0.1:1":                               "1 arguments",
		"127.0.0.1:1 127.0.0.1:2 3":                 "3 arguments",
		"somewhere:1 127.0.0.1:2":                   "somewhere",
		"-readloop -1 127.0.0.1:1 127.0.0.1:2":      "not below zero",
		"-quickack maybe 127.0.0.1:1 127.0.0.1:2":   "on or off",
		"-splice -coalesce 127.0.0.1:1 127.0.0.1:2": "one of them",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v; want %q", args, err, want)
		}
	}
}
