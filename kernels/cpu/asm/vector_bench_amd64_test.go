package asm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkVector measures functions over a row that stays in the first-level
// cache: nanoseconds for 16 elements, of the quickest ten calls, so that other
// work on the machine disturbs little.
func BenchmarkVector(b *testing.B) {
	const n, calls = 2048, 10
	r := rand.New(rand.NewPCG(1, 2))
	x, y, w := aligned(n), aligned(n), aligned(n)
	for i := range x {
		x[i], w[i] = float32(r.NormFloat64()*2), float32(r.NormFloat64()*2)
	}
	for tier, k := range tiers(b) {
		v := &k.Vector
		rows := map[string]func(){
			"SumExp": func() { v.SumExp(y, x, 8) }, "Highest": func() { v.Highest(x) }, "Sum": func() { v.Sum(x) }, "Squares": func() { v.Squares(x) },
			"Moments": func() { v.Moments(x, 0.5) }, "Add": func() { v.Add(y, x, w) }, "MulS": func() { v.MulS(y, x, 0.3) }, "Div": func() { v.Div(y, x, w) },
			"Normalize": func() { v.Normalize(y, x, w, w, 1, 2, 3) },
		}
		for _, c := range exactly {
			rows[c.name] = func() { c.pick(v)(y, x) }
		}
		for name, f := range rows {
			b.Run(fmt.Sprintf("%s/%s", name, tier), func(b *testing.B) {
				best := time.Hour
				for b.Loop() {
					from := time.Now()
					for range calls {
						f()
					}
					best = min(best, time.Since(from))
				}
				b.ReportMetric(float64(best.Nanoseconds())/calls/(n/16), "ns/16")
			})
		}
	}
}
