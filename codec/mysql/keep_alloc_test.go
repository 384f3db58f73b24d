package mysql

import (
	"testing"

	"sluice/codec"
)

// TestKeepAllocates: a query that leaves nothing to be kept costs no memory, neither as a text nor prepared with types
// that are bound already.
func TestKeepAllocates(t *testing.T) {
	m, _ := replayed(t)
	execute := []byte("\x12\x00\x00\x00\x17\x03\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x08\x00\x07\x00\x00\x00")
	query := append(appendHeader(nil, 1+len("select a from b where c = 'd'"), 0), "\x03select a from b where c = 'd'"...)
	ok := []byte("\x07\x00\x00\x01" + plainOK)
	for name, p := range map[string][]byte{"text": query, "prepared": execute} {
		turn := func() {
			if m.Client(p) != nil || m.Server(ok) != nil {
				t.Fatal("refused")
			}
		}
		turn()
		if n := testing.AllocsPerRun(200, turn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if m.Busy() != "" || len(m.keep.notes) != 0 || m.Pin() != (codec.Pin{}) {
		t.Errorf("busy %q, %d notes", m.Busy(), len(m.keep.notes))
	}
}
