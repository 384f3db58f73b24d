package router

import (
	"math"
	"testing"
	"time"
)

var (
	noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	nan  = math.NaN()
)

// said are readings of the past, five seconds apart, the last one just now; each is made by what is told.
func said(n int, make func(i int, r *Reading)) []Reading {
	list := []Reading{}
	for i := range n {
		r := Reading{At: noon.Add(time.Duration(i-n+1) * 5 * time.Second), CPU: nan, Procs: nan, Memory: nan, Quota: nan,
			PDFailed: nan, PDTotal: nan, KVFailed: nan, KVTotal: nan}
		make(i, &r)
		list = append(list, r)
	}
	return list
}

// used are readings of a backend with two CPUs that uses them by these shares.
func used(shares ...float64) []Reading {
	total := 0.0
	return said(len(shares)+1, func(i int, r *Reading) {
		if i > 0 {
			total += shares[i-1] * 2 * 5
		}
		r.CPU, r.Procs, r.Sessions = total, 2, 10
	})
}

func near(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-6
}

// TestCPU: usage is smoothed, of the last interval, and over all; a restart and a gap begin anew.
func TestCPU(t *testing.T) {
	tests := []struct {
		name           string
		readings       []Reading
		after          time.Duration // the last reading
		cpu, now, mean float64
	}{
		{"nothing", nil, 0, nan, nan, nan},
		{"one reading", used(), 0, nan, nan, nan},
		{"one interval", used(0.5), 0, 0.5, 0.5, 0.5},
		{"half of a step is followed at once", used(0.2, 0.8), 0, 0.5, 0.8, 0.5},
		{"more of it later", used(0.2, 0.8, 0.8), 0, 0.65, 0.8, 0.6},
		{"more than there is", used(1.5), 0, 1, 1, 1},
		{"old", used(0.5), 119 * time.Second, nan, nan, nan}, // the first reading is older than two minutes
		{"not so old", used(0.5), 114 * time.Second, 0.5, 0.5, 0.5},
		{"of tomorrow", used(0.5), -time.Minute, nan, nan, nan},
		{"a restart", said(4, func(i int, r *Reading) { r.CPU, r.Procs = [...]float64{100, 105, 1, 3}[i], 2 }), 0, 0.2, 0.2, 0.2},
		{"just restarted", said(3, func(i int, r *Reading) { r.CPU, r.Procs = [...]float64{100, 105, 1}[i], 2 }), 0, nan, nan, nan},
		{"a gap in what is said", said(3, func(i int, r *Reading) { r.CPU, r.Procs = [...]float64{0, nan, 10}[i], 2 }), 0, 0.5, 0.5, 0.5},
		{"no CPUs", said(3, func(i int, r *Reading) { r.CPU, r.Procs = float64(i), 0 }), 0, nan, nan, nan},
		{"a long gap", []Reading{{At: noon.Add(-time.Minute), CPU: 0, Procs: 1}, {At: noon, CPU: 60, Procs: 1}}, 0, nan, nan, nan},
		{"twice the same reading", []Reading{{At: noon.Add(-time.Second), CPU: 0, Procs: 1}, {At: noon, CPU: 1, Procs: 1}, {At: noon, CPU: 1, Procs: 1}},
			0, 1, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := measure(tt.readings, noon.Add(tt.after))
			if !near(l.CPU, tt.cpu) || !near(l.CPUNow, tt.now) || !near(l.CPUMean, tt.mean) {
				t.Errorf("CPU %.3f, now %.3f, mean %.3f; want %.3f, %.3f, %.3f", l.CPU, l.CPUNow, l.CPUMean, tt.cpu, tt.now, tt.mean)
			}
		})
	}
}

// TestPerSession: what a session takes is that of all of them, and is kept while next to nothing goes on.
func TestPerSession(t *testing.T) {
	of := func(usage float64, sessions int) *Load { return &Load{CPUNow: usage, CPUSessions: sessions} }
	for _, tt := range []struct {
		name  string
		loads []*Load
		was   float64
		want  float64
	}{
		{"nobody", nil, 0, perSessionMin},
		{"nobody any more", []*Load{of(nan, 10), of(0.5, 0)}, 0.02, 0.02},
		{"two", []*Load{of(0.5, 10), of(0.1, 20)}, 0, 0.02},
		{"one that is not known", []*Load{of(0.5, 10), of(nan, 1000)}, 0, 0.05},
		{"idle", []*Load{of(0.01, 1000)}, 0.02, 0.02},
		{"busy with many", []*Load{of(0.5, 10000)}, 0.02, perSessionMin},
	} {
		if got := perSession(tt.loads, tt.was); !near(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestMemoryRisk: by what is used, and by how it grows; not by what a server does that has just begun.
func TestMemoryRisk(t *testing.T) {
	at := func(shares ...float64) []Reading {
		return said(len(shares), func(i int, r *Reading) { r.Memory, r.Quota = shares[i]*1000, 1000 })
	}
	// grows has memory come to a share, by so much in each five seconds.
	grows := func(to, by float64) []Reading {
		return said(10, func(i int, r *Reading) { r.Memory, r.Quota = (to-float64(9-i)*by)*1000, 1000 })
	}
	tests := []struct {
		name     string
		readings []Reading
		after    time.Duration
		risk     int
		left     time.Duration // 0: nothing is said of that
	}{
		{"nothing", nil, 0, 0, 0},
		{"little", at(0.5, 0.5, 0.5), 0, 0, 0},
		{"raised", at(0.61), 0, 1, 0},
		{"high", at(0.76), 0, 2, 0},
		{"all", at(0.95), 0, 2, 0},
		{"old", at(0.95), 61 * time.Second, 0, 0},
		{"no quota", said(3, func(_ int, r *Reading) { r.Memory, r.Quota = 1000, 0 }), 0, 0, 0},
		{"grows fast", grows(0.6, 0.06), 0, 2, 25 * time.Second},
		{"grows", grows(0.6, 0.01), 0, 1, 150 * time.Second},
		{"grows slowly", grows(0.6, 0.001), 0, 0, 1500 * time.Second},
		{"grows from below is softened", grows(0.45, 0.02), 0, 1, 150 * time.Second},
		{"has just begun", grows(0.29, 0.03), 0, 0, 0},
		{"not for long", said(3, func(i int, r *Reading) { r.Memory, r.Quota = 400+100*float64(i), 1000 }), 0, 0, 0},
		{"a jump that is over", at(0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.55, 0.55, 0.55), 0, 0, 0},
		{"shrinks", grows(0.5, -0.02), 0, 0, 0},
		{"another process", said(10, func(i int, r *Reading) {
			r.CPU, r.Memory, r.Quota = float64(100+i), (0.32+0.05*float64(i))*1000, 1000
			if i == 7 {
				r.CPU = 1
			} else if i > 7 {
				r.CPU = float64(i)
			}
		}), 0, 2, 0}, // 77 %
		{"gaps", said(10, func(i int, r *Reading) {
			r.Memory, r.Quota = (0.6-float64(9-i)*0.06)*1000, 1000
			if i == 8 || i == 5 {
				r.Memory = nan
			}
		}), 0, 2, 25 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := measure(tt.readings, noon.Add(tt.after))
			if l.Risk != tt.risk || (l.OOM-tt.left).Abs() > time.Second {
				t.Errorf("risk %d, out of memory in %v; want %d, %v", l.Risk, l.OOM, tt.risk, tt.left)
			}
		})
	}
}

// TestFailures: by the share of what failed in two minutes.
func TestFailures(t *testing.T) {
	kv := func(failed, total []float64) []Reading {
		return said(len(failed), func(i int, r *Reading) { r.KVFailed, r.KVTotal = failed[i], total[i] })
	}
	tests := []struct {
		name     string
		readings []Reading
		after    time.Duration
		share    float64
		level    int
	}{
		{"nothing", nil, 0, nan, 0},
		{"no requests", kv([]float64{5, 5}, []float64{10, 10}), 0, nan, 0},
		{"all is well", kv([]float64{5, 5}, []float64{10, 110}), 0, 0, 0},
		{"a tenth", kv([]float64{0, 10}, []float64{0, 100}), 0, 0.1, 0},
		{"a fifth", kv([]float64{0, 20}, []float64{0, 100}), 0, 0.2, 1},
		{"a third", kv([]float64{0, 30}, []float64{0, 100}), 0, 0.3, 2},
		{"all", kv([]float64{0, 30}, []float64{7, 7}), 0, 1, 2},
		{"none has failed yet", kv([]float64{nan, nan}, []float64{0, 100}), 0, 0, 0},
		{"the first that fails", kv([]float64{nan, 50}, []float64{0, 100}), 0, 0.5, 2},
		{"a gap", kv([]float64{0, nan, 50}, []float64{0, nan, 100}), 0, 0.5, 2},
		{"a restart", kv([]float64{90, 95, 0, 1}, []float64{100, 110, 0, 100}), 0, 0.01, 0},
		{"old", kv([]float64{0, 50}, []float64{0, 100}), 61 * time.Second, nan, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := measure(tt.readings, noon.Add(tt.after))
			if !near(l.KVFailures, tt.share) || l.Failing != tt.level || !math.IsNaN(l.PDFailures) {
				t.Errorf("share %v, level %d; want %v, %d", l.KVFailures, l.Failing, tt.share, tt.level)
			}
		})
	}
	half := said(2, func(i int, r *Reading) {
		r.PDFailed, r.PDTotal, r.KVFailed, r.KVTotal = 40*float64(i), 100*float64(i), 0, float64(i)
	})
	if l := measure(half, noon); l.Failing != 1 || l.PDFailures != 0.4 {
		t.Errorf("PD that fails for 40 %%: %+v", l)
	}
}
