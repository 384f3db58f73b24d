package session

import (
	"errors"
	"sync"
	"time"

	"sluice/codec"
	"sluice/engine"
	"sluice/upstream"
)

// news is what a session hears of channels that it listens to by the shared listening connection.
type news struct {
	s     *Session
	mu    sync.Mutex
	queue []notice
	size  int  // bytes in queue
	told  bool // the loop has been asked to look
	over  bool

	// Only the loop touches these.
	from     hubKey                   // where its channels are heard
	channels map[string]*subscription // those that it listens to
	lost     int64                    // engine.Nano at which the present place was chosen for those that it had
}

// subscription is one channel that a session listens to.
type subscription struct{ cancel func() }

// notice is one notification.
type notice struct {
	from             uint32
	channel, payload string
}

// newsMax bounds, in bytes, the notifications that wait for a client: it is in a long transaction, or
// does not read. Then the session ends, for it would miss some.
const newsMax = 1 << 20

// channelsMax bounds the channels that one client listens to.
const channelsMax = 1000

var errChannels = codec.Error{Cond: codec.LimitOfClient, Text: "the session listens to too many channels"}

var errNews = errors.New("too many notifications wait for the client")

// take is called by the listening connection, on its goroutine.
func (n *news) take(from uint32, channel, payload string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over || n.size > newsMax {
		return
	}
	m := notice{from, channel, payload}
	n.queue = append(n.queue, m)
	n.size += m.size()
	if !n.told {
		n.told = n.s.on.loop.Run(n.s.tellNews)
	}
}

// stop ends all subscriptions.
func (n *news) stop() {
	n.mu.Lock()
	n.over, n.queue = true, nil
	n.mu.Unlock()
	for _, sub := range n.channels {
		go sub.cancel()
	}
	n.channels = nil
}

// tellNews sends the client the notifications that wait for it, if this is the moment. A client that does
// not read what it was sent is sent no more: they wait in the queue, which is bounded.
func (s *Session) tellNews() {
	n := s.sh.news
	if n == nil || s.stage != stageRelay {
		return
	}
	if n.tooMany() {
		s.end(ClientProtocol, &codec.Error{Cond: codec.LimitOfClient, Text: errNews.Error()}, errNews)
		return
	}
	if s.sh.at != nil || s.sh.waits() || s.client.Full() {
		return // afterUnit, or OnRoom, looks again
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	t := &s.on.turn
	t.Client.Open(s.client)
	for len(n.queue) > 0 {
		m := n.queue[0]
		msg := s.sh.guest.AppendNotification(s.on.buf[:0], m.from, m.channel, m.payload)
		s.on.buf = msg[:0]
		if !s.sh.guest.Notify(msg, t) {
			break
		}
		n.queue = n.queue[1:]
		n.size -= m.size()
	}
	if len(n.queue) == 0 {
		n.queue = nil
	}
	t.Flush()
}

// tooMany takes note that the loop looks, and tells whether more waits for the client than may.
func (n *news) tooMany() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = false
	return n.size > newsMax
}

// size is what a notification counts for, in bytes.
func (m *notice) size() int { return len(m.channel) + len(m.payload) + 64 }

// aside does for the guest what it asks Sluice itself for. If that takes time it returns false, and
// answered follows.
func (s *Session) aside() (err error, done bool) {
	sh := s.sh
	a := sh.guest.Aside()
	if sh.news == nil {
		sh.news = &news{s: s, channels: map[string]*subscription{}}
		s.on.listeners[s] = struct{}{}
	}
	n := sh.news
	switch a.Kind {
	case codec.AsideListen:
		if n.channels[a.Name] != nil {
			return nil, true
		}
		if len(n.channels) >= channelsMax {
			return errChannels, true
		}
		s.listen(a.Name)
		return nil, false
	case codec.AsideUnlisten:
		if sub := n.channels[a.Name]; sub != nil {
			delete(n.channels, a.Name)
			go sub.cancel()
		}
	case codec.AsideUnlistenAll:
		for name, sub := range n.channels {
			delete(n.channels, name)
			go sub.cancel()
		}
	}
	return nil, true
}

// listen has the shared listening connection hear a channel, at a backend that fits. While there is none the
// session seeks.
func (s *Session) listen(channel string) {
	if want := s.want(); s.backend.Fits(want) != "" || s.backend.Health() == upstream.Down {
		s.on.turn.Flush() // what the client was told comes before what it may be told here
		why, over := s.rehome(want)
		if over {
			return
		}
		if why != "" {
			_, cause := noServer(why)
			s.seek(cause, retryPause, func() { s.listen(channel) })
			return
		}
	}
	s.sought(soughtFound)
	s.sh.since = 0
	n, hub := s.sh.news, s.p.hubOf(s.sh.home.spec)
	n.from = s.sh.home.spec.hubKey()
	go func() {
		cancel, err := hub.Subscribe(channel, n.take)
		s.on.loop.Run(func() {
			if err == nil && s.stage == stageRelay {
				n.channels[channel] = &subscription{cancel}
			} else if err == nil {
				go cancel()
			}
			s.answered(err)
		})
	}()
}

// listenElsewhere has the session's channels heard where its pool is now. What was notified meanwhile is
// lost, as it is for a client that has to connect anew.
func (s *Session) listenElsewhere() {
	n, spec := s.sh.news, s.sh.home.spec
	if n == nil || len(n.channels) == 0 || n.from == spec.hubKey() {
		return
	}
	n.from, n.lost = spec.hubKey(), engine.Nano()
	for channel, old := range n.channels {
		sub := &subscription{old.cancel} // another one: what is under way for the old one comes too late
		n.channels[channel] = sub
		s.listenFor(channel, sub)
	}
}

// listenFor has a channel heard where the session's pool is now, in place of where it was.
func (s *Session) listenFor(channel string, sub *subscription) {
	n, hub, stop := s.sh.news, s.p.hubOf(s.sh.home.spec), sub.cancel
	go func() {
		stop()
		cancel, err := hub.Subscribe(channel, n.take)
		s.on.loop.Run(func() { s.listensElsewhere(channel, sub, cancel, err) })
	}()
}

// listenPause is the time after which a channel that can't be heard yet is tried again.
const listenPause = 500 * time.Millisecond

// listensElsewhere takes note of what came of it for one channel. A session that would hear no more ends,
// for its client could not know; but a new leader may take its time to become one.
func (s *Session) listensElsewhere(channel string, sub *subscription, cancel func(), err error) {
	n := s.sh.news
	switch opt := s.cluster.Options(); {
	case err != nil && s.stage == stageRelay && n.channels[channel] == sub && opt.Discovery != nil &&
		asDuration(engine.Nano()-n.lost) < dialTime(opt):
		again := &engine.Timer{Fn: func() {
			if s.stage == stageRelay && n.channels[channel] == sub {
				s.listenFor(channel, sub)
			}
		}}
		s.on.loop.Arm(again, listenPause)
	case err != nil && s.stage == stageRelay && n.channels[channel] == sub:
		s.end(ServerLost, &codec.Error{Cond: codec.BackendLost,
			Text: "the channels that the session listens to can't be heard any more"}, err)
	case err != nil:
	case s.stage != stageRelay || n.channels[channel] != sub: // meanwhile
		go cancel()
	default:
		sub.cancel = cancel
	}
}

// moveListeners has sessions that only listen leave a backend that does not fit any more or is down, if there
// is another one.
func (on *loopState) moveListeners() {
	for s := range on.listeners {
		if s.sh.at != nil || s.sh.waits() || len(s.sh.news.channels) == 0 {
			continue
		}
		if want := s.want(); s.backend.Fits(want) != "" || s.backend.Health() == upstream.Down {
			s.rehome(want)
		}
	}
}

// answered goes on with a client for which something aside has been done that took time.
func (s *Session) answered(err error) {
	if s.stage != stageRelay {
		return
	}
	s.on.around(func() {
		t := &s.on.turn
		t.Client.Open(s.client)
		t.Server.Open(nil)
		s.answer(err, t)
		t.Flush()
		s.resume()
		s.afterUnit()
	})
}

// answer tells the guest what came of its aside.
func (s *Session) answer(err error, t *codec.Turn) {
	var told *codec.Error
	if err != nil {
		told = new(codec.Error)
		if !errors.As(err, told) {
			*told = codec.Error{Cond: codec.NoBackend, Text: "the listening connection can't be had"}
		}
	}
	s.sh.guest.Answered(told, t)
}
