package postgres

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"sluice/codec"
)

// FuzzMoveStreams follows any two streams of a session that may be moved, whole and in pieces: what is said of it has to
// be the same. What a Query may have made is known by its text or by its answer, as that is at hand.
func FuzzMoveStreams(f *testing.F) {
	for _, list := range [][]struct{ name, script, events string }{conversations, copies} {
		for _, c := range list {
			f.Add(parseScript(f, c.script).input(), uint16(3))
		}
	}
	for _, text := range []string{"> Q(select 1) < TDCZ", "> Q(select 1 into temp t) < CZ", "> Q(begin) < CZ(T) > Q(commit) < CZ", "> PBDES < 12TDCZ > Q(x) < E(ERROR)Z"} {
		f.Add(parseScript(f, text).input(), uint16(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, n uint16) {
		steps := turns(data)
		want, late := followMovable(t, steps, whole)
		for _, cut := range []cutting{every(1), every(max(1, int(n))), once(int(n))} {
			got, later := followMovable(t, steps, cut)
			if len(got) != len(want) {
				t.Fatalf("%s: %d turns, want %d", cut.name, len(got), len(want))
			}
			for i := range got {
				if late || later {
					got[i].known, want[i].known = false, false
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s:\ngot  %+v\nwant %+v", cut.name, got, want)
			}
		}
	})
}

// standing is what is said of a session behind a turn.
type standing struct {
	said          string
	known, undone bool
	pin           codec.Pin
}

// followMovable gives turns to a new session, up to an error. late tells that a Query was judged by its answer.
func followMovable(t *testing.T, steps script, cut cutting) (all []standing, late bool) {
	m := newMovableTest(t, nil)
	log := &listener{}
	m.watch = log
	for _, s := range steps {
		for piece := range cut.pieces(s.bytes) {
			if err := feed(&m.follower, s.side, piece); err != nil {
				return append(all, standing{said: fmt.Sprint(log, err)}), late
			}
			late = late || m.makes != 0
		}
		u := &m.unnamed
		all = append(all, standing{known: m.Known(), undone: m.Undone(), pin: m.Pin(),
			said: fmt.Sprint(m.Owed(), m.Busy(), m.Tx(), m.Ending(), m.Mid(codec.Client), m.Mid(codec.Server), m.names.list, m.loaded, m.endings,
				fmt.Sprintf("%q", bytes.Clone(u.raw)), u.unsure, u.risky, u.ends, u.makes, log)})
	}
	return all, late
}
