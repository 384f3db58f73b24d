package paths

import "time"

// Cancelled has cancel called until the query that ended tells the end of is over, and returns how it
// ended; then some times more, when there is nothing of its client's to be cancelled any longer.
// A cancel that comes before its query has reached a server cancels nothing, so one may not be enough.
func (p *P) Cancelled(ended <-chan error, cancel func() error) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		p.Must(cancel())
		select {
		case err := <-ended:
			for range 10 {
				p.Must(cancel())
			}
			return err
		case <-p.Done():
			p.Fail("the query was not cancelled")
		case <-again.C:
		}
	}
}
