//go:build linux && (amd64 || arm64)

package cuda

import (
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// Rows of experts have the same bits whether those of an expert are put together or
// not; none gives zeros.
func TestExperts(t *testing.T) {
	const tokens, choices, experts, n, k = 37, 2, 3, 20, 256
	b := open(t)
	attr := op.ExpertLinearAttr{OutFeatures: n, Experts: experts}
	for _, d := range []ir.DType{ir.Q4_K, ir.Q8_0, ir.NF4, ir.F32, ir.BF16} {
		r := rand.New(rand.NewPCG(4, uint64(d)))
		w := weights(t, b, r, d, experts, n, k)
		x, chosen := make([]float32, tokens*k), make([]float64, tokens*choices)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		for i := range chosen {
			chosen[i] = float64(r.IntN(experts+1) - 1)
		}
		for _, own := range []bool{false, true} {
			rows, xs := tokens, []int{tokens, k}
			if own {
				rows, xs = tokens/2, []int{tokens / 2, choices, k}
			}
			in := []kernels.Tensor{put(t, b, ir.F32, "", f32Bytes(x[:prod(xs)]), xs...),
				put(t, b, ir.I32, "", cases.Encode(ir.I32, chosen[:rows*choices]), rows, choices), w}
			types := []ir.Type{ir.T(ir.F32, xs...), ir.T(ir.I32, rows, choices), ir.T(d, experts, n, k)}
			var alone []float32
			for i := range rows {
				at := []kernels.Tensor{piece(in[0], i*prod(xs[1:]), prod(xs[1:])), piece(in[1], i*choices, choices), w}
				at[0].Shape, at[1].Shape = append([]int{1}, xs[1:]...), []int{1, choices}
				alone = append(alone, product(t, b, "expert_linear", attr, at, 1, choices, n)...)
			}
			for _, by := range []int{fewSlots, someSlots, manySlots} {
				if d == ir.NF4 && by == someSlots {
					continue
				}
				var k kernels.Kernel = blockProduct{b: b, dtype: d, weights: []int{2}, chosen: 1, experts: experts, features: n, rows: by}
				if !d.Blocked() {
					k, _ = b.Kernel("expert_linear", attr, types, []ir.Type{ir.T(ir.F32, rows, choices, n)})
				}
				y := outcome(t, b, k, attr, in, types, rows, choices, n)
				for i, v := range y {
					if math.Float32bits(v) != math.Float32bits(alone[i]) || chosen[i/n] < 0 && v != 0 {
						t.Fatalf("%v: element %d of expert %v is %v by %d, %v alone", d, i, chosen[i/n], v, by, alone[i])
					}
				}
			}
		}
	}
}

// weights makes random ones.
func weights(t *testing.T, b *Backend, r *rand.Rand, d ir.DType, shape ...int) kernels.Tensor {
	t.Helper()
	if d.Blocked() {
		data, _ := randomBlocks(t, r, d, prod(shape))
		return put(t, b, d, Planes, data, shape...)
	}
	values := make([]float64, prod(shape))
	for i := range values {
		values[i] = r.NormFloat64()
	}
	return put(t, b, d, "", cases.Encode(d, values), shape...)
}
