package synth

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// loaded makes a load within the test.
func loaded(o ClientOptions) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	c, err := newClient(o)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	if err := c.loginAll(); err != nil {
		return Result{}, err
	}
	return c.work(io.Discard)
}

// TestLoads makes each sort of load. The clients compare every byte, so that they end without an error
// says most of it.
func TestLoads(t *testing.T) {
	loads := []struct {
		name string
		o    ClientOptions
	}{
		{"one", ClientOptions{}},
		{"many", ClientOptions{Clients: 100}},
		{"pipelines", ClientOptions{Clients: 3, Depth: 64}},
		{"a little filler", ClientOptions{Clients: 3, Depth: 8, Bytes: 1000}},
		{"much filler", ClientOptions{Clients: 3, Depth: 2, Bytes: 1<<20 + 1}},
		{"paced", ClientOptions{Clients: 5, Depth: 2, Rate: 2000}},
	}
	for name, p := range protocols {
		addr := startServer(t, p.answerer)
		for _, tt := range loads {
			for _, prepared := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%t", name, tt.name, prepared), func(t *testing.T) {
					o := tt.o
					o.Protocol, o.Addr, o.User, o.Database, o.Prepared = name, addr, "me", "mine", prepared
					o.Warm, o.Lasts = 10*time.Millisecond, 50*time.Millisecond
					r, err := loaded(o)
					for tries := 20; err == nil && r.Measured == 0 && tries > 0; tries-- {
						r, err = loaded(o) // the machine stood still from the warm-up to the end
					}
					if err != nil {
						t.Fatal(err)
					}
					counted := int64(0)
					for _, n := range r.Bins {
						counted += n
					}
					if r.Queries == 0 || counted != r.Queries || r.Measured == 0 || r.Measured > r.Queries+r.Unsent {
						t.Errorf("%d queries, %d in bins, %d measured, %d unsent", r.Queries, counted, r.Measured, r.Unsent)
					}
					if r.P50 <= 0 || r.P99 < r.P50 || r.P999 < r.P99 || r.Max < r.P999 || r.CPU <= 0 {
						t.Errorf("p50 %v, p99 %v, p99.9 %v, max %v, CPU %v", r.P50, r.P99, r.P999, r.Max, r.CPU)
					}
				})
			}
		}
	}
}

// spoilt is a server that goes wrong in one of its answers.
type spoilt struct {
	answerer
	answers int
	which   int // the answer to be spoilt
	how     func(answer []byte) []byte
}

func (s *spoilt) message(in []byte, r *reply) (int, error) {
	at := len(r.out)
	used, err := s.answerer.message(in, r)
	if bytes.Contains(r.out[at:], []byte(fmt.Sprint(firstNumber/1000))) {
		if s.answers++; s.answers == s.which {
			r.out = append(r.out[:at], s.how(bytes.Clone(r.out[at:]))...)
		}
	}
	return used, err
}

// TestWrongAnswer has a server give wrong answers, which must not pass.
func TestWrongAnswer(t *testing.T) {
	swap := func(from, to string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(from), []byte(to)) }
	}
	tests := []struct {
		name string
		size int
		how  func([]byte) []byte
		want string
	}{
		{"the answer to another question", 0, swap(fmt.Sprint(firstNumber), fmt.Sprint(firstNumber+1)), "wrong answer"},
		{"a byte of filler", 100, swap(string(filler[50:60]), "!"+string(filler[51:60])), "wrong answer"},
		{"no answer at all", 0, func([]byte) []byte { return nil }, "wrong answer"},
		{"the answer twice", 0, func(b []byte) []byte { return append(b, b...) }, "wrong answer"},
	}
	for name, p := range protocols {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				addr := startServer(t, func() answerer { return &spoilt{answerer: p.answerer(), which: 1, how: tt.how} })
				_, err := loaded(ClientOptions{Protocol: name, Addr: addr, User: "me", Bytes: tt.size, Depth: 4, Lasts: 5 * time.Second})
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v; want %q", err, tt.want)
				}
			})
		}
	}
}

// TestSwappedAnswers has a server give two right answers in the wrong order.
func TestSwappedAnswers(t *testing.T) {
	for name, p := range protocols {
		addr := startServer(t, func() answerer { return &swapping{answerer: p.answerer()} })
		_, err := loaded(ClientOptions{Protocol: name, Addr: addr, User: "me", Depth: 2, Lasts: 5 * time.Second})
		want := fmt.Sprintf("wrong answer: %q to question %d", fmt.Sprint(firstNumber+11), firstNumber+10)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q", name, err, want)
		}
	}
}

// swapping is a server that holds the answer to the eleventh question back until it has given the next.
type swapping struct {
	answerer
	held []byte
}

func (s *swapping) message(in []byte, r *reply) (int, error) {
	at := len(r.out)
	used, err := s.answerer.message(in, r)
	if bytes.Contains(r.out[at:], []byte(fmt.Sprint(firstNumber+10))) {
		s.held = bytes.Clone(r.out[at:])
		r.out = r.out[:at]
	} else if s.held != nil && len(r.out) > at {
		r.out = append(r.out, s.held...)
		s.held = nil
	}
	return used, err
}

// stalling is a server that does nothing for a while before its hundredth message.
type stalling struct {
	answerer
	messages *int
	stall    time.Duration
}

func (s stalling) message(in []byte, r *reply) (int, error) {
	if *s.messages++; *s.messages == 100 {
		time.Sleep(s.stall)
	}
	return s.answerer.message(in, r)
}

// TestStall has a server stall once for 100 ms. Of an open loop's questions of half a second a fifth
// came due meanwhile, and must show that they waited; those of a closed loop just were not asked.
func TestStall(t *testing.T) {
	const stall = 100 * time.Millisecond
	for name, p := range protocols {
		for _, open := range []bool{true, false} {
			messages := 0
			addr := startServer(t, func() answerer { return stalling{p.answerer(), &messages, stall} })
			o := ClientOptions{Protocol: name, Addr: addr, User: "me", Clients: 4, Lasts: 500 * time.Millisecond}
			if open {
				o.Rate = 2000
			}
			r, err := loaded(o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Max < stall {
				t.Errorf("%s: the longest latency is %v; the server stalled for %v", name, r.Max, stall)
			}
			if open && (r.P99 < stall*8/10 || r.P50 > stall/2) {
				t.Errorf("%s: p50 %v, p99 %v in an open loop with a stall of %v", name, r.P50, r.P99, stall)
			}
		}
	}
}

// TestLateWord has the word that a load is warm come when its time is over already, as on a machine that
// stood still. Then nothing that was counted behind the word is a load's.
func TestLateWord(t *testing.T) {
	addr := startServer(t, protocols[Postgres].answerer)
	o := ClientOptions{Protocol: Postgres, Addr: addr, User: "me", Clients: 4, Depth: 1, Lasts: 50 * time.Millisecond}
	c, err := newClient(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.loginAll(); err != nil {
		t.Fatal(err)
	}
	var word time.Time
	r, err := c.work(lateWriter{&word, 2 * o.Lasts})
	if err != nil {
		t.Fatal(err)
	}
	if r.Covers(word) || !r.Covers(word.Add(-2*o.Lasts)) {
		t.Errorf("the word came at %v; asked from %v to %v", word, time.Unix(0, r.Start), time.Unix(0, r.Until))
	}
}

// lateWriter takes its time and notes when it is done.
type lateWriter struct {
	done *time.Time
	late time.Duration
}

func (w lateWriter) Write(p []byte) (int, error) {
	time.Sleep(w.late)
	*w.done = time.Now()
	return len(p), nil
}

// TestOverload offers more than the server does. What could not be asked must count.
func TestOverload(t *testing.T) {
	messages := 0
	addr := startServer(t, func() answerer { return stalling{protocols[Postgres].answerer(), &messages, 300 * time.Millisecond} })
	const rate = 1000
	r, err := loaded(ClientOptions{Protocol: Postgres, Addr: addr, User: "me", Rate: rate, Lasts: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	offered := float64(r.Queries + r.Unsent)
	if r.Unsent < 20 || offered < 120 || offered > 280 || r.Measured != r.Queries+r.Unsent {
		t.Errorf("%d answered, %d unsent, %d measured; %d were offered", r.Queries, r.Unsent, r.Measured, rate/5)
	}
}

// TestClientsFail has clients meet what no load can go on with.
func TestClientsFail(t *testing.T) {
	nobody := startServer(t, protocols[MySQL].answerer)
	tests := []struct {
		name string
		o    ClientOptions
		want string
	}{
		{"another protocol", ClientOptions{Protocol: Postgres, Addr: nobody}, "login"},
		{"nobody listens", ClientOptions{Protocol: MySQL, Addr: "127.0.0.1:1"}, "connection refused"},
		{"a name for an address", ClientOptions{Protocol: MySQL, Addr: "localhost:1"}, "address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.User, tt.o.Lasts = "me", time.Second
			if _, err := loaded(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
}

// mute is a server that says nothing from one of its messages on.
type mute struct {
	answerer
	from, messages int
}

func (m *mute) message(in []byte, r *reply) (int, error) {
	if m.messages++; m.messages >= m.from {
		return len(in), nil
	}
	return m.answerer.message(in, r)
}

// TestPatience has clients wait for a server that has fallen silent, in the login and later.
func TestPatience(t *testing.T) {
	for protocol, p := range protocols {
		for from, want := range map[int]string{1: "0 of 1 clients have logged in", 5: "1 questions are without an answer"} {
			addr := startServer(t, func() answerer { return &mute{answerer: p.answerer(), from: from} })
			c, err := newClient(ClientOptions{Protocol: protocol, Addr: addr, User: "me", Clients: 1, Depth: 1, Lasts: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			c.patience = 50 * time.Millisecond
			if err = c.loginAll(); err == nil {
				_, err = c.work(io.Discard)
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v; want %q", protocol, err, want)
			}
			c.close()
		}
	}
}
