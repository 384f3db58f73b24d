package router

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Explain tells in one line how the backend stands, and what becomes of its sessions.
func (v *Verdict) Explain() string {
	var parts []string
	for _, f := range v.Heard {
		if text := v.explain(f); text != "" {
			parts = append(parts, text)
		}
	}
	note := v.Note
	if note == "" {
		note = "nothing is moved from it"
	}
	return strings.Join(append(parts, note), "; ")
}

// explain tells what a factor has to say; "" if that is nothing.
func (v *Verdict) explain(f Factor) string {
	grade := v.Grades[f]
	switch f {
	case FactorLabel:
		return ifBad(grade, "has not the tag that is asked for")
	case FactorStatus:
		return ifBad(grade, "fails its checks")
	case FactorLocation:
		return ifBad(grade, "stands in another zone")
	case FactorHealth:
		return ifBad(grade, "fails in what it asks of PD or TiKV")
	case FactorMemory:
		if math.IsNaN(v.Load.Memory) {
			return ""
		}
		text := fmt.Sprintf("memory %.0f %% of its quota", 100*v.Load.Memory)
		if v.Load.OOM > 0 && v.Load.OOM < oomLater {
			text += fmt.Sprintf(", out of it in %v", v.Load.OOM.Round(time.Second))
		}
		return text
	case FactorCPU:
		if math.IsNaN(v.Load.CPUNow) {
			return ""
		}
		return fmt.Sprintf("CPU %.0f %%, now %.0f %%", 100*v.Load.CPU, 100*v.Load.CPUNow)
	}
	return fmt.Sprintf("%d sessions", grade)
}

func ifBad(grade int, text string) string {
	if grade == 0 {
		return ""
	}
	return text
}

// Figures are a backend's figures by name, those that are known: shares, and seconds until it is out of memory.
func (l *Load) Figures() map[string]float64 {
	all := map[string]float64{"cpu": l.CPU, "cpu_now": l.CPUNow, "memory": l.Memory, "pd_failures": l.PDFailures,
		"tikv_failures": l.KVFailures}
	for name, v := range all {
		if math.IsNaN(v) {
			delete(all, name)
		}
	}
	if l.OOM > 0 {
		all["memory_seconds_left"] = l.OOM.Seconds()
	}
	return all
}
