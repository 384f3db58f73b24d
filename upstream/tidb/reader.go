package tidb

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/router"
	"sluice/upstream"
)

const (
	readsMax   = 64               // status ports that are read at one time
	pdRest     = 10 * time.Second // until a PD that has failed is asked again who reads
	sourceRest = 30 * time.Second // until a Prometheus that has failed is asked again, if there are status ports to read
	freshFor   = 2.5              // intervals for which a reading counts as there
	staleAfter = time.Minute      // a sample of Prometheus' that is older does not count as there
)

// reader is a Meter at work by one configuration. What is not said to run elsewhere is its goroutine's alone.
type reader struct {
	m    *Meter
	opt  *Metrics
	prom prometheus
	seat *seat // nil: each reads for itself
	pd   *clientv3.Client

	rest    time.Time // until then Prometheus is not asked
	restPD  time.Time // and PD is not
	failing map[string]bool
	slots   chan struct{}
	reads   sync.WaitGroup
}

func newReader(m *Meter, opt *Metrics) *reader {
	return &reader{m: m, opt: opt, prom: newPrometheus(opt.Timeout), failing: map[string]bool{}, slots: make(chan struct{}, readsMax)}
}

// close waits for what is being read and gives up what is held in PD.
func (r *reader) close() {
	r.reads.Wait()
	if r.seat != nil {
		r.seat.leave()
	}
	if r.pd != nil {
		_ = r.pd.Close()
	}
	r.prom.http.CloseIdleConnections()
}

// round has every backend read once, from where it is to be had.
func (r *reader) round(ctx context.Context) {
	r.connect(ctx)
	missing := r.readable()
	if len(missing) == 0 {
		return
	}
	if r.opt.Source != Status && time.Now().After(r.rest) {
		missing = r.askPrometheus(ctx, missing)
	}
	if r.opt.Source == Prometheus || ctx.Err() != nil || len(missing) == 0 {
		return
	}
	for _, b := range r.share(ctx, missing) {
		r.read(ctx, b)
	}
}

// connect has a client of PD's etcd, if one is of use.
func (r *reader) connect(ctx context.Context) {
	if r.opt.PD == nil || r.pd != nil {
		return
	}
	c, err := r.opt.PD.connect(ctx)
	if err != nil && ctx.Err() != nil {
		return
	}
	r.tell("pd", err)
	if err != nil {
		return
	}
	r.pd = c
	if r.opt.Peer != "" && r.opt.Source != Prometheus {
		r.seat = newSeat(c, r.opt)
	}
}

// readable are the backends that have a status port.
func (r *reader) readable() (list []*upstream.Backend) {
	for _, b := range r.m.c.Backends() {
		if b.Spec().Status != "" {
			list = append(list, b)
		}
	}
	return list
}

// askPrometheus reads there and returns the backends of which it has nothing new enough.
func (r *reader) askPrometheus(ctx context.Context, list []*upstream.Backend) (missing []*upstream.Backend) {
	base, err := r.prometheusAt(ctx)
	if err == nil && base == "" {
		r.rest = time.Now().Add(sourceRest)
		if r.opt.Source == Prometheus {
			r.rest = time.Time{}
			r.tell("prometheus", errUnknown)
		}
		return list
	}
	var found map[string]router.Reading
	if err == nil {
		found, err = r.prom.readings(ctx, base)
	}
	if ctx.Err() != nil {
		return nil
	}
	r.tell("prometheus", err)
	if err != nil {
		if r.opt.Source == Auto {
			r.rest = time.Now().Add(sourceRest)
		}
		return list
	}
	now := time.Now()
	for _, b := range list {
		spec := b.Spec()
		reading, ok := found[spec.Status]
		if !ok && spec.Name != "" {
			reading, ok = found[spec.Name] // as TiDB Operator has it
		}
		if all := b.Readings(); !ok && (r.prom.between[spec.Status] || r.prom.between[spec.Name]) && len(all) > 0 {
			reading, ok = all[len(all)-1], true // it has newer ones, for the next round
		}
		if ok {
			b.AddReadings(now, reading)
		}
		if !ok || now.Sub(reading.At) > staleAfter {
			missing = append(missing, b)
		}
	}
	return missing
}

// prometheusAt is where Prometheus can be asked; "" = nobody has said.
func (r *reader) prometheusAt(ctx context.Context) (string, error) {
	if r.opt.Prometheus != "" || r.pd == nil {
		return r.opt.Prometheus, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.opt.PD.Timeout)
	defer cancel()
	return prometheusInPD(ctx, r.pd)
}

// share returns those of the backends that are to be read here, after the others' readings have been fetched.
func (r *reader) share(ctx context.Context, list []*upstream.Backend) []*upstream.Backend {
	if r.seat == nil || time.Now().Before(r.restPD) {
		return list
	}
	owners, err := r.seat.claim(ctx)
	if ctx.Err() != nil {
		return nil // and the result is that of a question cut short
	}
	r.tell("pd", err)
	if err != nil {
		r.restPD = time.Now().Add(pdRest)
		return list
	}
	own := owners.of(list, r.opt.Zone, r.seat.mine)
	r.fetch(ctx, owners)
	old := time.Now().Add(-time.Duration(freshFor * float64(r.opt.Interval)))
	for _, b := range list {
		if _, mine := own[b]; mine {
			continue
		}
		all := b.Readings()
		if len(all) == 0 || all[len(all)-1].At.Before(old) {
			own[b] = struct{}{}
		}
	}
	list = list[:0:0]
	for b := range own {
		list = append(list, b)
	}
	return list
}

// fetch takes over what the others have read.
func (r *reader) fetch(ctx context.Context, owners owners) {
	var all sync.WaitGroup
	for zone, addr := range owners {
		if addr == r.opt.Peer {
			continue
		}
		token := r.seat.tokens[zone]
		all.Add(1)
		go func() {
			defer all.Done()
			if err := fetchReadings(ctx, r.opt, addr, token, r.m.c); err != nil && ctx.Err() == nil {
				r.opt.logger().Debug("figures can't be had of another sluice", zap.String("zone", zone), zap.String("at", addr), zap.Error(err))
			}
		}()
	}
	all.Wait()
}

// read reads one status port, elsewhere: one that hangs delays no other one.
func (r *reader) read(ctx context.Context, b *upstream.Backend) {
	status := r.m.c.Options().Status
	if status == nil || !r.m.enter(b.Addr()) {
		return
	}
	r.reads.Add(1)
	go func() {
		defer r.reads.Done()
		defer r.m.leave(b.Addr())
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return
		}
		reading, err := scrape(ctx, status, b.Spec().Status)
		if err == nil {
			b.AddReadings(time.Now(), reading)
		} else if ctx.Err() == nil {
			r.opt.logger().Debug("a backend's figures can't be read", zap.String("backend", b.Addr()), zap.Error(err))
		}
	}()
}

// scrape reads one status port's /metrics.
func scrape(ctx context.Context, status *upstream.StatusOptions, addr string) (router.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, status.Timeout)
	defer cancel()
	answer, err := status.Get(ctx, addr, "/metrics")
	if err != nil {
		return router.Reading{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return router.Reading{}, fmt.Errorf("the answer's status is %d", answer.StatusCode)
	}
	return readText(answer.Body)
}

// tell says in the log when something fails and when it does not any more.
func (r *reader) tell(what string, err error) {
	was := r.failing[what]
	r.failing[what] = err != nil
	switch {
	case err != nil && !was:
		r.opt.logger().Warn("figures of backends can't be had from there", zap.String("from", what), zap.Error(err))
	case err == nil && was:
		r.opt.logger().Info("figures of backends can be had again", zap.String("from", what))
	}
}
