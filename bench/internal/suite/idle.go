package suite

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"syscall"
	"time"
)

// Idle clients: how many, if the machine allows two descriptors for each of them in one process, the
// descriptors that a proxy needs beside, and how long all may take to log in.
const (
	idleWanted   = 10000
	idleReserve  = 200
	idlePatience = 60 * time.Second
)

// idleClients is how many fit, with a server connection for each, or with a few for all.
func idleClients(files, pool int) int {
	if pool > 0 {
		return max(min(idleWanted, files-idleReserve-pool), 1)
	}
	return max(min(idleWanted, (files-idleReserve)/2), 1)
}

// idle measures what a silent client costs at each contender, one that is started for it alone.
func (r *run) idle(ctx context.Context, st stage, c cell, s *server) error {
	c.Clients = idleClients(r.files, c.Pool)
	if c.Clients < idleWanted {
		r.report.note(fmt.Sprintf("A process may have %d descriptors here, so there are %d idle clients, not %d.", r.files, c.Clients, idleWanted))
	}
	list := r.lineup(c, r.list)
	results := r.begin(c, 0, list)
	for round := range r.rounds(c) {
		for i, x := range list {
			if x.start == nil {
				continue // nothing stands in between that could have memory
			}
			at := r.station(st, s, x)
			at.clients = c.Clients + idleReserve/4
			sample, err := idleAt(ctx, c.Load, x, at)
			if err != nil {
				what := fmt.Sprintf("%s is left out of %s, %s", x.Name, c.Scenario.Name, c.Load.Name)
				if err := r.goOn(ctx, x.Guest, what, err); err != nil {
					return err
				}
				continue
			}
			results[i].Rounds = append(results[i].Rounds, sample)
			fmt.Fprintf(r.Progress, "%-10s %-15s %d/%d  %-10s %9.0f bytes each\n",
				c.Scenario.Name, c.Load.Name, round+1, r.rounds(c), x.Name, sample.ResidentEach)
		}
	}
	return nil
}

// footprint is what a contender holds at one moment.
type footprint struct {
	resident int64
	heap     heap
}

// idleAt takes one sample.
func idleAt(ctx context.Context, l Load, x Contender, at station) (Sample, error) {
	e, err := startEntrant(ctx, x, at)
	if err != nil {
		return Sample{}, err
	}
	defer e.stop()
	before, err := e.footprint(ctx)
	if err != nil {
		return Sample{}, err
	}
	clients, err := startIdle(ctx, l, e.addr)
	if err != nil {
		return Sample{}, err
	}
	defer clients.Kill()
	after, err := e.footprint(ctx)
	if err != nil {
		return Sample{}, err
	}
	if err := clients.Stop(syscall.SIGTERM, idlePatience); err != nil {
		return Sample{}, err
	}
	each := func(after, before int64) float64 { return max(float64(after-before), 0) / float64(l.Clients) }
	return Sample{
		Resident:     float64(after.resident),
		ResidentEach: each(after.resident, before.resident),
		HeapEach:     each(after.heap.live, before.heap.live),
		HeapScanEach: each(after.heap.scan, before.heap.scan),
	}, nil
}

// footprint reads the memory first, as it is, and only then has Sluice collect its garbage.
func (e *entrant) footprint(ctx context.Context) (f footprint, err error) {
	pids, err := e.pids()
	if err != nil {
		return f, err
	}
	u, err := usageOfAll(pids)
	if err != nil {
		return f, err
	}
	f.resident = u.Resident
	if e.admin != "" {
		f.heap, err = readHeap(ctx, e.admin)
	}
	return f, err
}

// heap is a Go program's own account of its memory after a collection.
type heap struct {
	live int64 // bytes of objects
	scan int64 // of those, what the collector looks through for pointers; 0 = not told
}

// readHeap has Sluice collect its garbage and asks for the account of it. The profile tells the live
// heap, as a line of runtime.MemStats; the metrics tell what of it is scanned.
// https://pkg.go.dev/runtime/metrics
func readHeap(ctx context.Context, admin string) (h heap, err error) {
	var profile, metrics bytes.Buffer
	if err := ask(ctx, http.MethodGet, "http://"+admin+"/debug/pprof/heap?gc=1&debug=1", "", &profile); err != nil {
		return h, err
	}
	if err := ask(ctx, http.MethodGet, "http://"+admin+"/metrics", "", &metrics); err != nil {
		return h, err
	}
	h.live = field(profile.Bytes(), "# HeapAlloc =")
	if h.live == 0 {
		return h, fmt.Errorf("the heap profile of %s tells no HeapAlloc", admin)
	}
	h.scan = field(metrics.Bytes(), scanMetric+" ")
	return h, nil
}

// scanMetric is Sluice's name for /gc/scan/heap:bytes of runtime/metrics.
const scanMetric = "go_gc_scan_heap_bytes"
