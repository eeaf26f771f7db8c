package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// Transforms that are longer than the cases of the table, of every mix of radices: bins are sums
// in float64, the signal comes back, and every tier gives the same bits.
func TestFourier(t *testing.T) {
	const frames = 70
	for _, n := range []int{400, 1024, 2048, 30, 24, 96, 200, 250, 50, 66, 15} {
		at := op.FourierAttr{N: n, Hop: max(1, n/4), Window: "hann", Inverse: false}
		size, bins := (frames-1)*at.Hop+n, n/2+1
		x, w := random(rand.New(rand.NewPCG(uint64(n), 1)), size), at.Windows()
		var before []float32
		for tier, b := range backends(t, 2) {
			in := put(t, b, ir.F32, x, "", size)
			re, im := put(t, b, ir.F32, nil, "", bins, frames), put(t, b, ir.F32, nil, "", bins, frames)
			run(t, b, "analysis", at, []kernels.Tensor{in}, re, im)
			all := append(get(t, re), get(t, im)...)
			if before == nil {
				before = all
			}
			sameBits(t, fmt.Sprintf("%s: %d", tier, n), all, before)
			scale := math.Sqrt(float64(n))
			for k := 0; k < bins; k += 1 + bins/40 {
				for _, f := range []int{0, 1, 31, 64, frames - 1} {
					var a, c float64
					for i := range n {
						sin, cos := math.Sincos(2 * math.Pi * float64(k*i%n) / float64(n))
						v := float64(x[f*at.Hop+i]) * w[i]
						a, c = a+v*cos, c-v*sin
					}
					if d := math.Hypot(float64(all[k*frames+f])-a, float64(all[(bins+k)*frames+f])-c); d > 1e-6*scale {
						t.Fatalf("%s: %d: bin %d of frame %d is off by %v", tier, n, k, f, d)
					}
				}
			}
			back := at
			back.Inverse, back.Even, back.Size = true, true, op.MakeDims(ir.D(size))
			y := put(t, b, ir.F32, nil, "", size)
			run(t, b, "synthesis", back, []kernels.Tensor{re, im}, y)
			for i, v := range get(t, y)[n : size-n] {
				if d := math.Abs(float64(v - x[n+i])); d > 1e-5 {
					t.Fatalf("%s: %d: element %d came back %v off", tier, n, n+i, d)
				}
			}
		}
	}
}
