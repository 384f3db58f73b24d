package guard

import (
	"bytes"
	"errors"
	"testing"

	"sluice/bench/e2e/wire"
)

// TestFunnelTalk has clients ask the backend itself, by a text that it knows.
func TestFunnelTalk(t *testing.T) {
	b, err := startBackend(funnels[0], always)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(funnels[0], b.addr(), 3)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 100)
	err = c.ask(30, func() error { asked <- struct{}{}; return nil })
	c.close()
	if err := errors.Join(err, b.stop()); err != nil || len(asked) != 30 {
		t.Errorf("asked %d times: %v; want 30", len(asked), err)
	}
}

// TestFunnelNoticesTheClientsName: with nothing in between, a client's own name for its statement comes
// to the backend, which must not happen in a funnel.
func TestFunnelNoticesTheClientsName(t *testing.T) {
	b, err := startBackend(funnels[2], always)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(funnels[2], b.addr(), 1)
	if err != nil {
		t.Fatal(err)
	}
	asked := c.ask(1, always)
	c.close()
	if err := b.stop(); asked == nil || !errors.Is(err, errUnasked) {
		t.Errorf("the client got %v, the backend %v; want %v", asked, err, errUnasked)
	}
}

// TestReplyPG: each message of Sluice's gets its own part of the answer, and any other is noticed.
func TestReplyPG(t *testing.T) {
	const server = "sluice_0_1"
	tests := []struct {
		name    string
		message []byte
		want    []byte // nil: it is not due
	}{
		{"the query", wire.Query(funnelText), funnels[0].answer},
		{"a look", wire.Query("SELECT FROM pg_catalog.pg_settings"), wire.Join(wire.OneColumn("look"), wire.Complete("SELECT 0"), wire.Ready('I'))},
		{"another query", wire.Query(funnelText + " "), nil},
		{"the statement", wire.Parse(server, funnelText), wire.Msg('1', nil)},
		{"another statement", wire.Parse(server, "SELECT 1"), nil},
		{"the values", wire.Bind("", server, funnelValue), wire.Msg('2', nil)},
		{"other values", wire.Bind("", server, "1"), nil},
		{"the client's name", wire.Bind("", funnelName, funnelValue), nil},
		{"what a row is like", wire.Describe('P', ""), rowDescription("abalance")},
		{"the rows", wire.Execute("", 0), wire.Join(dataRow(funnelRow), wire.Complete("SELECT 1"))},
		{"the end", wire.Sync(), wire.Ready('I')},
		{"a Flush", wire.Flush(), nil},
	}
	for _, tt := range tests {
		kind, body, err := wire.ReadMsg(bytes.NewReader(tt.message))
		if err != nil {
			t.Fatal(err)
		}
		got, err := replyPG(kind, body)
		if !bytes.Equal(got, tt.want) || errors.Is(err, errUnasked) != (tt.want == nil) {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}
