package postgres

import (
	"testing"

	"sluice/codec"
)

// A COPY that fails while the client is in the middle of its data: what has to be asked of the server
// when the transaction is over is asked as soon as that message has ended.
func TestCopyFailsInsideMessage(t *testing.T) {
	data := wire(t, codec.Client, "d(a long line of data)")
	for cut := 1; cut <= len(data); cut++ {
		p := newPlay(t, 0)
		p.run(`
			login search_path=pg_temp
			s: T D C(SELECT 1) Z(I)
			s: T D(S;search_path;pg_temp) D(R;;none) D(U;;joe) C(SELECT 3) Z(I)
			detach
			s~ set_config
			c: Q(copy t from stdin)
			s? Q(copy t from stdin)
			s: G
			c? G`)
		p.send("", data[:cut])
		p.answer("", wire(t, codec.Server, "E(22P02;bad) Z(I)"))
		p.send("", data[cut:])
		p.line("s~ pg_my_temp_schema")
		p.line("taken")
		p.answer("", wire(t, codec.Server, "C(SELECT 0) Z(I)"))
		p.line("free")
	}
}
