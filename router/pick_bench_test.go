package router

import (
	"fmt"
	"testing"
)

// BenchmarkPick chooses among backends of which a third are in another role and one is down, so that
// each factor has something to say.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100} {
		b.Run(fmt.Sprintf("%d backends", n), func(b *testing.B) {
			backends := make([]Backend, n)
			for i := range backends {
				backends[i] = Backend{Role: Role(i % 3), Healthy: i != n-1, Sessions: 1000 - i%7}
			}
			want := Want{Roles: Roles(0).With(Leader).With(Sync)}
			b.ReportAllocs()
			random := uint64(12345)
			for b.Loop() {
				random = mix(random)
				if c := Pick(backends, want, random); c.Index < 0 || !want.Roles.Has(backends[c.Index].Role) {
					b.Fatalf("chose %+v", c)
				}
			}
		})
	}
}
