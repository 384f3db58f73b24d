package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/bench/e2e/real"
)

// guests is how many clients there are.
const guests = 24

// evenPatience is how long it may take until sessions are even again: a backend that has given some takes none for a
// minute, and what has failed counts for two.
const evenPatience = 5 * time.Minute

// spreading is Sluice before three instances of TiDB over which it spreads sessions.
type spreading struct {
	moving
	config string // of its cluster and its listener
}

// spreadOver starts Sluice before instances. places are what each has in its entry besides its addresses, figures are
// where its figures come from, engine and balance are lines of those sections.
func spreadOver(t *testing.T, every []*real.TiDB, places []string, figures, engine string, balance ...string) spreading {
	t.Helper()
	addr := real.FreeAddr()
	var backends []string
	for i, d := range every {
		more := ""
		if places != nil {
			more = ", " + places[i]
		}
		backends = append(backends, fmt.Sprintf("{ addr = %q, status = %q%s }", d.Addr, d.Status, more))
	}
	lines := append([]string{"[cluster.status]", `interval = "500ms"`, `metrics-interval = "1s"`, figures, "[cluster.balance]"}, balance...)
	s := spreading{config: strings.Replace(tidbDoor(addr, []string{"PLACE"}, lines...), `{ addr = "PLACE" }`, strings.Join(backends, ", "), 1)}
	s.moving = moving{addr: addr, every: every, Sluice: startSluice(t, racy(t), "[engine]\n"+engine+"\n\n"+s.config)}
	await(t, s.Sluice, float64(len(every)), "sluice_backend_up")
	return s
}

// has is how many sessions an instance has.
func (s spreading) has(d *real.TiDB) (int, error) {
	n, err := s.Metric("sluice_backend_sessions", fmt.Sprintf("backend=%q", d.Addr))
	return int(n), err
}

// welcome has guests log in, of whom none may have an error.
func (s spreading) welcome(t *testing.T, n int) *crowd {
	t.Helper()
	return startCrowd(t, n, comeTo(t, s.addr), func(i int, err error) {
		if err != nil {
			t.Errorf("guest %d: %v", i, err)
		}
	})
}

// within waits until an instance has so many sessions.
func (s spreading) within(t *testing.T, d *real.TiDB, least, most int) {
	t.Helper()
	eventually(t, func() error {
		n, err := s.has(d)
		if err == nil && (n < least || n > most) {
			err = fmt.Errorf("%s has %d sessions, not %d to %d", d.Addr, n, least, most)
		}
		return err
	})
}

// even waits until no instance has more than 1.2 times as many sessions as another one with one more.
func (s spreading) even(t *testing.T) {
	t.Helper()
	err := real.Eventually(evenPatience, func() error {
		least, most := guests, 0
		for _, d := range s.every {
			n, err := s.has(d)
			if err != nil {
				return err
			}
			least, most = min(least, n), max(most, n)
		}
		if float64(most) > 1.2*float64(least+1) {
			return fmt.Errorf("they have from %d to %d sessions", least, most)
		}
		return nil
	})
	if err != nil {
		page, _ := s.Get("/api/backends")
		t.Fatalf("%v\n%s", err, page)
	}
}

// decided are the decisions to move sessions away from an instance for a reason.
func (s spreading) decided(t *testing.T, from *real.TiDB, reason string) (list []decision) {
	t.Helper()
	page, err := s.Get("/api/balance")
	if err != nil {
		t.Fatal(err)
	}
	var all []decision
	if err := json.Unmarshal([]byte(page), &all); err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if strings.ContainsAny(d.Why, "\n\r") || d.Why == "" {
			t.Errorf("a decision is explained by %q", d.Why)
		}
		if d.From == from.Addr && d.Reason == reason {
			list = append(list, d)
		}
	}
	return list
}

type decision struct {
	From, To, Reason, Why string
	Sessions              int
	Since, Until          time.Time
}

// explained waits until Sluice says of an instance what holds all these words.
func (s spreading) explained(t *testing.T, d *real.TiDB, words ...string) {
	t.Helper()
	eventually(t, func() error {
		page, err := s.Get("/api/backends")
		if err != nil {
			return err
		}
		var all []struct{ Addr, Explain string }
		if err := json.Unmarshal([]byte(page), &all); err != nil {
			return err
		}
		for _, b := range all {
			for _, w := range words {
				if b.Addr == d.Addr && !strings.Contains(b.Explain, w) {
					return fmt.Errorf("%q is not in %q", w, b.Explain)
				}
			}
		}
		return nil
	})
}

// arrived is how many sessions have been moved to an instance.
func (s spreading) arrived(d *real.TiDB) int {
	n, err := s.Metric("sluice_migrations_total", fmt.Sprintf("to=%q", d.Addr), `result="moved"`)
	if err != nil { // there is no such series before the first
		return 0
	}
	return int(n)
}

// TestTiDBHot has one of three instances get hot, by its figures: its sessions leave at the speed that is asked for, do
// not come back while it is hot, no new ones come, and all are even again when it is cool. No client notices.
func TestTiDBHot(t *testing.T) {
	every := []*real.TiDB{tidb(t, 0), tidb(t, 1), tidb(t, 2)}
	prepareStateful(t, every)
	for _, tt := range []struct {
		reason  string
		speed   float64
		hot     figure
		left    int // sessions that may stay: the last one may be what takes all the memory
		explain []string
		figure  string
		above   float64
	}{
		{"cpu", 2, figure{cpu: 0.95, memory: 0.3}, 4, []string{"uses", "of its CPUs"}, "cpu_now", 0.9},
		{"memory", 3, figure{cpu: 0.2, memory: 0.8}, 1, []string{"of its memory"}, "memory", 0.75},
		{"health", 3, figure{cpu: 0.2, memory: 0.3, kv: 1}, 0, []string{"to TiKV failed"}, "tikv_failures", 0.3},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			t.Parallel()
			heater := startHeater(t, every)
			s := spreadOver(t, every, nil, heater.lines(), "",
				`policy = "resource"`, `interval = "20ms"`, "count-speed = 10", fmt.Sprintf("%s-speed = %v", tt.reason, tt.speed))
			crowd := s.welcome(t, guests)
			s.even(t)
			before := s.arrived(every[0])
			heater.is(every[0], tt.hot)
			s.within(t, every[0], 0, tt.left)

			list := s.decided(t, every[0], tt.reason)
			moved := 0
			for _, d := range list {
				moved += d.Sessions
				if took := d.Until.Sub(d.Since).Seconds(); float64(d.Sessions) > tt.speed*(took+1)+1 {
					t.Errorf("%d sessions in %.1f s: %s", d.Sessions, took, d.Why)
				}
				wants(t, d.Why, append(tt.explain, every[0].Addr, d.To)...)
			}
			if moved < guests/3-tt.left {
				t.Errorf("by its decisions %d sessions were to leave", moved)
			}
			if v, err := s.Metric("sluice_backend_figure", fmt.Sprintf("backend=%q", every[0].Addr), fmt.Sprintf("figure=%q", tt.figure)); err != nil || v < tt.above {
				t.Errorf("its figure is %v: %v", v, err)
			}
			if v, err := s.Metric("sluice_backend_score", fmt.Sprintf("backend=%q", every[0].Addr), fmt.Sprintf("factor=%q", tt.reason)); err != nil || v < 2 {
				t.Errorf("its score is %v: %v", v, err)
			}

			late := s.welcome(t, guests/3)
			heater.lasts(t, 4)
			if n := s.arrived(every[0]); n != before {
				t.Errorf("%d sessions were moved to the hot one", n-before)
			}
			s.within(t, every[0], 0, tt.left) // and those that came last are elsewhere
			late.stop()
			heater.is(every[0], cool)
			s.even(t)
			if n := strings.Count(s.Log(), "sessions are moved"); n == 0 || n > 50 {
				t.Errorf("the log tells %d times that sessions are moved", n)
			}
			crowd.worksOn(t)
			crowd.stop()
		})
	}
}

// TestTiDBBusy makes an instance busy with queries that do not come through Sluice, and has its figures read at its status
// port: it is relieved.
func TestTiDBBusy(t *testing.T) {
	every := []*real.TiDB{tidb(t, 0), tidb(t, 1), tidb(t, 2)}
	prepareStateful(t, every)
	s := spreadOver(t, every, nil, `metrics = "status"`, "", `policy = "resource"`, "cpu-speed = 5")
	crowd := s.welcome(t, guests)
	s.even(t)
	before, err := s.has(every[0])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	heat := openMySQL(t, every[0].Addr, "app", "")
	done := make(chan error, 4)
	for range cap(done) {
		go func() { done <- burn(ctx, heat) }()
	}
	s.within(t, every[0], 0, before-3)
	wants(t, fmt.Sprint(s.decided(t, every[0], "cpu")), every[0].Addr+" uses")
	cancel()
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	crowd.stop()
}

// burn keeps a CPU of an instance busy.
func burn(ctx context.Context, db *sql.DB) error {
	for ctx.Err() == nil {
		var n int64
		if err := db.QueryRowContext(ctx, "select benchmark(20000, sha2(repeat('x', 1000), 512))").Scan(&n); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// TestTiDBPlaces: sessions go to the zone of Sluice and stay there, with policy location also when the servers there are
// busy, with policy resource not then; and they leave a server that has not the label that is asked for, as soon as
// that is configured.
func TestTiDBPlaces(t *testing.T) {
	every := []*real.TiDB{tidb(t, 0), tidb(t, 1), tidb(t, 2)}
	prepareStateful(t, every)
	places := []string{
		`zone = "east", tags = ["tenant=shop"]`,
		`zone = "east", tags = ["tenant=bank"]`,
		`zone = "west", tags = ["tenant=shop"]`,
	}
	heater := startHeater(t, every)
	engine := "zone = \"east\"\nlabels = [\"tenant=shop\"]"
	s := spreadOver(t, every, places, heater.lines(), engine,
		`policy = "location"`, "location-speed = 10", "count-speed = 10", "cpu-speed = 10")
	s.only(t, 2)
	crowd := s.welcome(t, guests)
	s.within(t, every[2], guests, guests)
	for _, d := range every[:2] {
		s.order(t, d, "resume")
	}
	s.within(t, every[2], 0, 0)
	list := s.decided(t, every[2], "location")
	wants(t, fmt.Sprint(list), every[2].Addr+` stands in zone "west"`, `in zone "east"`)

	for _, d := range every[:2] {
		heater.is(d, figure{cpu: 0.95, memory: 0.3})
		s.explained(t, d, "CPU 9")
	}
	heater.lasts(t, 3)
	s.within(t, every[2], 0, 0)

	resource := strings.Replace(s.config, `policy = "location"`, `policy = "resource"`, 1)
	if err := s.Reload(unhurried("[engine]\n" + engine + "\n\n" + resource)); err != nil {
		t.Fatal(err)
	}
	// Whoever has been in the west does not go back there for a while, so it is for new ones to show.
	logs(t, s.Sluice, "reloaded")
	crowd.stop()
	crowd = s.welcome(t, guests)
	s.within(t, every[2], guests*2/3, guests)

	crowd.stop()
}

// TestTiDBLabel: sessions leave an instance without the label that is asked for, one each second, as soon as that is
// configured, and no new ones come.
func TestTiDBLabel(t *testing.T) {
	every := []*real.TiDB{tidb(t, 0), tidb(t, 1), tidb(t, 2)}
	prepareStateful(t, every)
	places := []string{`tags = ["tenant=shop"]`, `tags = ["tenant=bank"]`, `tags = ["tenant=shop"]`}
	engine := `labels = ["tenant=shop"]`
	s := spreadOver(t, every, places, `metrics = "off"`, engine, `policy = "connection"`)
	crowd := s.welcome(t, guests)
	s.even(t)
	config := strings.Replace(s.config, "[cluster.balance]", "[cluster.balance]\nlabel = \"tenant\"", 1)
	if err := s.Reload(unhurried("[engine]\n" + engine + "\n\n" + config)); err != nil {
		t.Fatal(err)
	}
	s.explained(t, every[1], "has not the tag that is asked for")
	s.within(t, every[1], 0, 0)
	for _, d := range s.decided(t, every[1], "label") {
		if took := d.Until.Sub(d.Since).Seconds(); float64(d.Sessions) > took+3 {
			t.Errorf("%d sessions in %.1f s", d.Sessions, took)
		}
		wants(t, d.Why, every[1].Addr+" has not the tag tenant=shop")
	}
	late := s.welcome(t, guests/3)
	s.within(t, every[1], 0, 0)
	late.stop()
	crowd.stop()
}

// TestTiDBComesBack: by connections, sessions are even again behind the restart of an instance that had lost all its
// sessions to the others. No client notices either.
func TestTiDBComesBack(t *testing.T) {
	every := ownInstances(t, 3, tidbOptions())
	s := spreadOver(t, every, nil, `metrics = "off"`, "", `policy = "connection"`, "count-speed = 5")
	crowd := s.welcome(t, guests)
	s.even(t)
	s.drain(t, every[1])
	if err := every[1].Restart(); err != nil {
		t.Fatal(err)
	}
	s.order(t, every[1], "resume")
	s.even(t)
	moved := 0
	for _, d := range []*real.TiDB{every[0], every[2]} {
		for _, one := range s.decided(t, d, "connection") {
			if one.To != every[1].Addr {
				t.Errorf("sessions went from %s to %s", one.From, one.To)
			}
			if took := one.Until.Sub(one.Since).Seconds(); float64(one.Sessions) > 5*(took+1)+1 {
				t.Errorf("%d sessions in %.1f s: %s", one.Sessions, took, one.Why)
			}
			moved += one.Sessions
			wants(t, one.Why, "sessions, "+every[1].Addr)
		}
	}
	if moved < guests/3-3 {
		t.Errorf("by its decisions %d sessions were to go there", moved)
	}
	crowd.stop()
}
