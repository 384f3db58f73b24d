package router

import (
	"fmt"
	"testing"
)

// crowd are n backends, and a wish for which each factor has something to say.
func crowd(n int) ([]Backend, Want) {
	backends := make([]Backend, n)
	behind := map[string]bool{}
	for i := range backends {
		backends[i] = Backend{Addr: fmt.Sprintf("10.0.0.%d:5432", i), Role: Role(i % 3), Healthy: i != n-1,
			Out: i%7 == 5, NoBalance: i%11 == 9, Zone: "abc"[i%3 : i%3+1], Sessions: 1000 - i%7,
			Tags: map[string]string{"disk": "fast"}}
		if i%13 == 4 {
			behind[backends[i].Addr] = true
		}
	}
	return backends, Want{Roles: Roles(0).With(Leader).With(Sync), Zone: "a", Behind: behind,
		Tags: []TagRule{{Name: "disk", Value: "fast"}}}
}

// BenchmarkPick chooses among backends for which each factor has something to say.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100} {
		b.Run(fmt.Sprintf("%d backends", n), func(b *testing.B) {
			backends, want := crowd(n)
			b.ReportAllocs()
			random := uint64(12345)
			for b.Loop() {
				random = mix(random)
				if c := Pick(backends, want, random); c.Index < 0 || Fits(&backends[c.Index], want) != "" {
					b.Fatalf("chose %+v", c)
				}
			}
		})
	}
}

// BenchmarkFits asks whether a session may stay where it is.
func BenchmarkFits(b *testing.B) {
	backends, want := crowd(3)
	b.ReportAllocs()
	for b.Loop() {
		if why := Fits(&backends[0], want); why != "" {
			b.Fatal(why)
		}
	}
}
