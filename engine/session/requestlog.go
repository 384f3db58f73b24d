package session

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/codec"
)

// requestLog writes the log lines about requests, on a goroutine of its own. The loops hand them over
// through a queue; when it is full, lines are dropped and counted, and the loops go on.
type requestLog struct {
	log     *zap.Logger
	queue   chan requestLine
	dropped atomic.Uint64
}

// requestQueue is how many lines may wait to be written.
const requestQueue = 4096

// requestLine is one request.
type requestLine struct {
	session  uint64
	listener string
	client   string
	user     string
	backend  string
	command  string
	failed   bool
	took     time.Duration // until the answer was complete
	reply    time.Duration // until the answer began
	text     string
}

func newRequestLog(log *zap.Logger) *requestLog {
	return &requestLog{log: log, queue: make(chan requestLine, requestQueue)}
}

// request hands over the line about a request that has its answer.
func (r *requestLog) request(s *Session, k codec.Kind, failed bool, took int64) {
	if time.Duration(took) < s.set.RequestMin {
		return
	}
	line := requestLine{
		session: s.id, listener: s.fe.name, client: s.from.String(), user: s.user,
		backend: s.backend.Addr(), command: s.cluster.Options().Protocol.Kinds()[k], failed: failed,
		took: asDuration(took), reply: asDuration(s.clock.reply), text: string(s.clock.text),
	}
	select {
	case r.queue <- line:
	default:
		r.dropped.Add(1)
	}
}

// run writes lines until stop is closed, and then those that wait.
func (r *requestLog) run(stop <-chan struct{}, done *sync.WaitGroup) {
	defer done.Done()
	for {
		select {
		case line := <-r.queue:
			r.write(line)
		case <-stop:
			for len(r.queue) > 0 {
				r.write(<-r.queue)
			}
			return
		}
	}
}

func (r *requestLog) write(l requestLine) {
	fields := []zap.Field{zap.Uint64("session", l.session), zap.String("listener", l.listener),
		zap.String("client", l.client), zap.String("user", l.user), zap.String("backend", l.backend),
		zap.String("command", l.command), zap.Bool("failed", l.failed), zap.Duration("took", l.took),
		zap.Duration("reply", l.reply)}
	if l.text != "" {
		fields = append(fields, zap.String("text", l.text))
	}
	r.log.Info("request", fields...)
}
