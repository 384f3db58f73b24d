package upstream

import (
	"time"

	"sluice/router"
)

// BalanceOptions say how the sessions of a cluster are spread over its backends.
type BalanceOptions struct {
	Spread   *router.Spread // nil: new ones go where the fewest are, and nothing else is done
	Interval time.Duration  // between two looks at who should move
}

// SetLoad tells how the backend does by its own figures; nil: that is of no concern. The choice for new sessions goes
// by it.
func (b *Backend) SetLoad(l *router.Load) { b.load.Store(l) }

// Score is the number of sessions that the backend has when all moves under way have come to an end.
func (b *Backend) Score() int { return b.Sessions() - b.Outgoing() }
