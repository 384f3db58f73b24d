package postgres

import (
	"strconv"
	"testing"

	"sluice/codec"
)

// adopt returns a guest of that application_name that has adopted in.
func adopt(s *shelf, in *introduction, name string) *guest {
	gate := askedGate{params: []codec.Param{{Name: "application_name", Value: name}}}
	g := s.NewGuest(gate, &codec.GuestConfig{}, nil).(*guest)
	g.Adopt(in)
	return g
}

// What thousands of clients of one application know of their session, they know together.
func TestAdoptShares(t *testing.T) {
	s := Protocol{}.NewShelf(codec.ShelfConfig{}).(*shelf)
	in := &introduction{report: &report{[]codec.Param{{Name: "server_version", Value: "15.4"}, {Name: "application_name", Value: "first"}}}}
	a, b, other := adopt(s, in, "shop"), adopt(s, in, "shop"), adopt(s, in, "till")
	if a.intro != b.intro || a.told != b.told || a.settings != b.settings {
		t.Error("two clients of one name have two introductions")
	}
	for g, want := range map[*guest]string{a: "shop", other: "till"} {
		told, _ := g.told.get("application_name")
		set, _ := g.settings.get("application_name")
		if told != want || set != want {
			t.Errorf("%s is told %q and has %q", want, told, set)
		}
	}
	if same := adopt(s, in, "shop\x01"); same.ApplicationName() != "shop?" {
		t.Errorf("the name is %q", same.ApplicationName())
	}
	for i := range 3 * maxNamed {
		adopt(s, in, strconv.Itoa(i))
	}
	if n := len(s.introductions); n > maxNamed {
		t.Errorf("%d introductions are kept", n)
	}
}

// A server that reports what the client was told is found to do so once, not at each turn.
func TestReportsBecomeOne(t *testing.T) {
	p := newPlay(t, 0)
	p.onHost("1")
	p.onClient("1")
	told := &report{append([]codec.Param{}, p.host.report.params...)}
	p.guest.told = told
	p.send("", wire(t, codec.Client, "Q(select 1)"))
	if p.client.Len() > 0 || p.host.report != told || p.guest.told != told {
		t.Errorf("the client is told %s", unwire(p.client.Bytes()))
	}
	p.answer("", wire(t, codec.Server, "C(SELECT 1)Z(I)"))
	p.guest.Detach()
	p.host.report = told.with("TimeZone", "Asia/Tokyo")
	p.client.Reset()
	p.send("", wire(t, codec.Client, "Q(select 1)"))
	p.compare("", &p.client, wire(t, codec.Server, "S(TimeZone;Asia/Tokyo)"))
	if p.guest.told == told || p.host.report == told {
		t.Error("the client is taken to know nothing new")
	}
}

// Clients of one configuration share its words, whatever others come in between.
func TestWordSetsAreShared(t *testing.T) {
	s := Protocol{}.NewShelf(codec.ShelfConfig{}).(*shelf)
	a, b := &codec.GuestConfig{}, &codec.GuestConfig{Functions: []string{"my_login"}}
	ofA, ofB := s.wordSet(a), s.wordSet(b)
	if ofA == ofB || s.wordSet(a) != ofA || s.wordSet(b) != ofB {
		t.Error("the words are not those of the configuration")
	}
	for range 3 * maxWordSets {
		s.wordSet(&codec.GuestConfig{})
	}
	if n := len(s.wordSets); n > maxWordSets {
		t.Errorf("%d are kept", n)
	}
}
