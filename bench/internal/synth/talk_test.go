package synth

import (
	"bytes"
	"fmt"
	"testing"
)

// serverSays returns all that a server says to what a client sends, in pieces as they come.
func serverSays(a answerer, pieces ...[]byte) []byte {
	c := session{answerer: a}
	a.greet(&c.reply)
	out := drain(nil, &c)
	for _, in := range pieces {
		c.in = append(c.in, in...)
		for before := -1; before != len(c.in); {
			before = len(c.in)
			c.in = bytes.Clone(c.answer(c.in))
			out = drain(out, &c)
		}
	}
	return out
}

// drain takes what a server has to send.
func drain(out []byte, c *session) []byte {
	for c.reply.prepare(c.answerer) {
		out = append(append(out, c.reply.out...), c.reply.part...)
		c.reply.took(len(c.reply.out) + len(c.reply.part))
	}
	return out
}

// clientHears lets a client that has asked hear the server in pieces. It returns how many answers were
// whole, and all that the client says from its login on.
func clientHears(o ClientOptions, questions int, pieces ...[]byte) (answers int, said []byte, err error) {
	k := conn{asker: protocols[o.Protocol].asker(&o), state: loggingIn, asked: make([]asked, questions)}
	if _, _, err := k.message(nil); err != nil {
		return 0, nil, err
	}
	for _, in := range pieces {
		in = append(k.in, in...)
		for len(in) > 0 {
			used, done, err := k.message(in)
			if err != nil {
				return answers, k.out, err
			}
			in = in[used:]
			switch {
			case done && k.state == loggingIn:
				k.state = ready
				for i := range questions {
					k.ask(firstNumber+uint64(i), o.Bytes, 0)
				}
			case done:
				k.answered()
				answers++
			}
			if used == 0 {
				break
			}
		}
		k.in = in
	}
	return answers, k.out, nil
}

// talk is a whole conversation, made in memory by the two sides themselves.
type talk struct {
	name           string
	o              ClientOptions
	client, server []byte // all that each of them says
}

// talkQuestions is how many questions are asked in a talk.
const talkQuestions = 3

// talks makes a talk of each sort.
func talks(t testing.TB) (all []talk) {
	for name, p := range protocols {
		for _, size := range []int{0, 300, rowMax + 7} {
			for _, prepared := range []bool{false, true} {
				o := ClientOptions{Protocol: name, User: "me", Database: "mine", Bytes: size, Prepared: prepared}
				k := talk{name: fmt.Sprintf("%s/%d/%t", name, size, prepared), o: o}
				// Each round lets both sides hear all that the other one has said until then.
				for range 6 {
					var err error
					k.server = serverSays(p.answerer(), k.client)
					if _, k.client, err = clientHears(o, talkQuestions, k.server); err != nil {
						t.Fatalf("%s: %v", k.name, err)
					}
				}
				all = append(all, k)
			}
		}
	}
	return all
}

// places are where a stream is cut: everywhere, but for the middle of a long one.
func places(stream []byte) (at []int) {
	for i := range stream {
		if i < 600 || i > len(stream)-100 || i%4001 == 0 {
			at = append(at, i)
		}
	}
	return at
}

// TestCuts cuts each conversation at every byte. The answers must be the same.
func TestCuts(t *testing.T) {
	for _, k := range talks(t) {
		t.Run(k.name, func(t *testing.T) {
			for _, i := range places(k.client) {
				if got := serverSays(protocols[k.o.Protocol].answerer(), k.client[:i], k.client[i:]); !bytes.Equal(got, k.server) {
					t.Fatalf("cut at %d of %d, the server says %.200q; want %.200q", i, len(k.client), got, k.server)
				}
			}
			for _, i := range places(k.server) {
				answers, said, err := clientHears(k.o, talkQuestions, k.server[:i], k.server[i:])
				if err != nil || answers != talkQuestions || !bytes.Equal(said, k.client) {
					t.Fatalf("cut at %d of %d, the client has %d answers, %v", i, len(k.server), answers, err)
				}
			}
		})
	}
}

// TestEndsEarly ends each conversation at every byte: less than all answers is not all answers.
func TestEndsEarly(t *testing.T) {
	for _, k := range talks(t) {
		for _, i := range places(k.server) {
			if answers, _, err := clientHears(k.o, talkQuestions, k.server[:i]); err != nil || answers >= talkQuestions {
				t.Fatalf("%s: ended at %d of %d: %d answers, %v", k.name, i, len(k.server), answers, err)
			}
		}
	}
}

// TestDamage changes single bytes of what the server says. Nothing may panic, and a change within an
// answer's values must be seen.
func TestDamage(t *testing.T) {
	for _, k := range talks(t) {
		number := bytes.Index(k.server, []byte(fmt.Sprint(firstNumber+1)))
		if number < 0 {
			t.Fatalf("%s: the answer to the second question is not there", k.name)
		}
		for _, i := range places(k.server) {
			damaged := bytes.Clone(k.server)
			damaged[i] ^= 0x41
			answers, _, err := clientHears(k.o, talkQuestions, damaged)
			if i >= number && i < number+len(fmt.Sprint(firstNumber)) && err == nil {
				t.Errorf("%s: byte %d of an answer was changed: %d answers", k.name, i-number, answers)
			}
		}
	}
}
