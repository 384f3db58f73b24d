package tidb

import (
	"strings"
	"time"

	"go.uber.org/zap"
)

// failed notes that PD could not be asked, and then tells so those who wait.
func (f *Finder) failed(err error, opt *Options) {
	f.note(err, opt)
	f.ask()
	f.answer()
}

// note keeps how a look went, and says so in the log where that has changed.
func (f *Finder) note(err error, opt *Options) {
	from := strings.Join(opt.PD.Addrs, ",")
	f.mu.Lock()
	f.status.Polls++
	f.status.Stale = err != nil
	if err != nil {
		f.status.Failures++
		f.status.LastError = err.Error()
	} else {
		f.status.At, f.status.From = time.Now(), from
	}
	f.mu.Unlock()
	switch {
	case err != nil && !f.mourned && f.said.may(time.Now()):
		f.mourned = true
		opt.logger().Warn("pd does not tell of the servers: what is known stays in force", zap.String("pd", from), zap.Error(err))
	case err == nil && f.mourned:
		f.mourned = false
		opt.logger().Info("pd tells of the servers again", zap.String("pd", from))
	}
}

// warn says what is odd about servers, once for each until it changes.
func (f *Finder) warn(odd map[string]string, opt *Options) {
	for addr, reason := range odd {
		if f.warned[addr] == reason {
			continue
		}
		if !f.said.may(time.Now()) {
			delete(odd, addr) // it is said later
			continue
		}
		opt.logger().Warn("pd tells something odd about a server", zap.String("server", addr), zap.String("reason", reason))
	}
	f.warned = odd
}

// sayMax is how many warnings may be written in a minute: keys that come and go all the time fill no log.
const sayMax = 60

// sayings count the warnings of a minute.
type sayings struct {
	since time.Time
	n     int
}

// may tells whether one more may be written now, and counts it.
func (s *sayings) may(now time.Time) bool {
	if now.Sub(s.since) >= time.Minute {
		*s = sayings{since: now}
	}
	s.n++
	return s.n <= sayMax
}
