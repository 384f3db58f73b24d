package synth

import (
	"time"

	"golang.org/x/sys/unix"
)

// connState is how far a client has come.
type connState uint8

const (
	connecting connState = iota
	loggingIn
	ready
)

// asked is a question under way.
type asked struct {
	number uint64
	due    time.Duration // when it was to be asked, by the poller's clock
}

// conn is one client's connection.
type conn struct {
	fd       int
	asker    asker
	state    connState
	interest uint32
	in       []byte // read and not yet understood; less than messageMax + fetchMax
	out      []byte // to be sent; the first sent bytes of it are on their way
	sent     int
	asked    []asked // a ring as long as the depth
	oldest   int     // index of the one whose answer is next
	count    int     // of questions under way
	check    check
}

// message takes the next piece of in. done says that the login or an answer has come to its end.
func (k *conn) message(in []byte) (used int, done bool, err error) {
	if k.state == loggingIn {
		used, k.out, done, err = k.asker.login(in, k.out)
		return used, done, err
	}
	if len(in) == 0 {
		return 0, false, nil
	}
	return k.asker.answer(in, &k.check)
}

// ask appends a question; there is room for it.
func (k *conn) ask(number uint64, size int, due time.Duration) {
	k.out = k.asker.ask(k.out, number, size)
	k.asked[(k.oldest+k.count)%len(k.asked)] = asked{number: number, due: due}
	if k.count++; k.count == 1 {
		k.check.expect(number, size)
	}
}

// answered takes away the oldest question and turns to the next one, for which the size is the same.
func (k *conn) answered() asked {
	a := k.asked[k.oldest]
	k.oldest = (k.oldest + 1) % len(k.asked)
	if k.count--; k.count > 0 {
		k.check.expect(k.asked[k.oldest].number, k.check.size)
	}
	return a
}

// flush sends what the kernel takes and returns what the next event has to be.
func (k *conn) flush() (interest uint32, err error) {
	for k.sent < len(k.out) {
		n, errno := write(k.fd, k.out[k.sent:])
		if errno == unix.EAGAIN {
			return readable | writable, nil
		}
		if errno != 0 {
			return 0, errno
		}
		k.sent += n
	}
	k.out, k.sent = k.out[:0], 0
	return readable, nil
}
