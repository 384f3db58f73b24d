package session

import (
	"errors"
	"sync"

	"sluice/codec"
)

// news is what a session hears of channels that it listens to by the shared listening connection.
type news struct {
	s      *Session
	mu     sync.Mutex
	queue  []notice
	size   int  // bytes in queue
	told   bool // the loop has been asked to look
	over   bool
	cancel map[string]func() // of its channels; only the loop touches it
}

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
	n.queue = append(n.queue, notice{from, channel, payload})
	n.size += len(channel) + len(payload) + 16
	if !n.told {
		n.told = n.s.on.loop.Run(n.s.tellNews)
	}
}

// stop ends all subscriptions.
func (n *news) stop() {
	n.mu.Lock()
	n.over, n.queue = true, nil
	n.mu.Unlock()
	for _, cancel := range n.cancel {
		go cancel()
	}
	n.cancel = nil
}

// tellNews sends the client the notifications that wait for it, if this is the moment.
func (s *Session) tellNews() {
	n := s.sh.news
	if n == nil || s.stage != stageRelay {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = false
	if n.size > newsMax {
		s.end(ClientProtocol, &codec.Error{Cond: codec.LimitOfClient, Text: errNews.Error()}, errNews)
		return
	}
	if len(n.queue) == 0 || s.sh.at != nil || s.sh.waits() {
		return // afterUnit looks again
	}
	t := &s.on.turn
	t.Client.Open(s.client)
	for i, m := range n.queue {
		msg := s.sh.guest.AppendNotification(s.on.buf[:0], m.from, m.channel, m.payload)
		s.on.buf = msg[:0]
		if !s.sh.guest.Notify(msg, t) {
			n.queue = n.queue[i:]
			t.Flush()
			return
		}
		t.Flush()
	}
	n.queue, n.size = n.queue[:0], 0
}

// aside does for the guest what it asks Sluice itself for.
func (s *Session) aside() {
	sh := s.sh
	a := sh.guest.Aside()
	if sh.news == nil {
		sh.news = &news{s: s, cancel: map[string]func(){}}
	}
	n := sh.news
	switch a.Kind {
	case codec.AsideListen:
		if n.cancel[a.Name] != nil {
			s.answered(nil)
			return
		}
		if len(n.cancel) >= channelsMax {
			s.answered(errChannels)
			return
		}
		hub := s.p.hubOf(sh.home.spec)
		go func() {
			cancel, err := hub.Subscribe(a.Name, n.take)
			s.on.loop.Run(func() {
				if err == nil && s.stage == stageRelay {
					n.cancel[a.Name] = cancel
				} else if err == nil {
					go cancel()
				}
				s.answered(err)
			})
		}()
	case codec.AsideUnlisten:
		if cancel := n.cancel[a.Name]; cancel != nil {
			delete(n.cancel, a.Name)
			go cancel()
		}
		s.answered(nil)
	case codec.AsideUnlistenAll:
		for name, cancel := range n.cancel {
			delete(n.cancel, name)
			go cancel()
		}
		s.answered(nil)
	}
}

// answered tells the guest what came of its aside, and goes on with the client.
func (s *Session) answered(err error) {
	if s.stage != stageRelay {
		return
	}
	s.on.around(func() {
		t := &s.on.turn
		t.Client.Open(s.client)
		t.Server.Open(nil)
		var told *codec.Error
		if err != nil {
			told = new(codec.Error)
			if !errors.As(err, told) {
				*told = codec.Error{Cond: codec.NoBackend, Text: "the listening connection can't be had"}
			}
		}
		s.sh.guest.Answered(told, t)
		t.Flush()
		s.resume()
		s.afterUnit()
	})
}
