package upstream

import (
	"testing"
	"time"

	"sluice/router"
)

// TestChanges: whatever may change an answer of Fits, Leads or Held is counted, and nothing else is.
func TestChanges(t *testing.T) {
	one := []Spec{{Addr: "127.0.0.1:1", Role: router.Leader}}
	opt := options()
	opt.Backends = one
	c := newCluster(t, opt)
	two := append([]Spec{{Addr: "127.0.0.1:2"}}, one...)
	steps := []struct {
		name    string
		do      func()
		changes bool
	}{
		{"a backend comes", func() { c.Found(two) }, false},
		{"nothing new", func() { c.Found(two) }, false},
		{"a role", func() { two[0].Role = router.Sync; c.Found(two) }, true},
		{"a state", func() { two[0].Out = "stopped"; c.Found(two) }, true},
		{"a tag", func() { two[0].Tags = map[string]string{"a": "b"}; c.Found(two) }, true},
		{"a hold", func() { c.Hold("why", time.Hour) }, true},
		{"a hold while there is one", func() { c.Hold("why", time.Hour) }, false},
		{"the hold's end", c.EndHold, true},
		{"no hold", c.EndHold, false},
		{"a backend goes", func() { c.Found(one) }, true},
		{"other options", func() { opt.Backends = two; c.Update(opt) }, false},
		{"no backends", func() { opt.Backends = nil; c.Update(opt) }, true},
	}
	for _, s := range steps {
		before := c.Changes()
		if s.do(); c.Changes() != before != s.changes {
			t.Errorf("%s: %d changes", s.name, c.Changes()-before)
		}
	}
}
