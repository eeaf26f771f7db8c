//go:build linux && (amd64 || arm64)

package cuda

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Logits that are there in chunks of rows give what they give all at once: losses
// and gradients of rows to the bit, those of the weight but for the order of sums.
func TestLossChunks(t *testing.T) {
	b, r := open(t), rand.New(rand.NewPCG(5, 6))
	const rows, dim, classes = 7, 12, 20
	for _, kind := range []ir.DType{ir.F32, ir.BF16} {
		for _, transpose := range []bool{false, true} {
			at := op.CrossEntropyAttr{IgnoreIndex: -1, Smoothing: 0.1, ZLoss: 0.01, Transpose: transpose}
			w := ir.T(kind, classes, dim)
			if transpose {
				w = ir.T(kind, dim, classes)
			}
			loss := ir.T(ir.F32, rows)
			in := []ir.Type{ir.T(kind, rows, dim), w, ir.T(ir.I64, rows), loss}
			data := [][]float64{numbers(r, rows*dim), numbers(r, dim*classes), {3, 0, -1, 19, 7, 7, 2}, numbers(r, rows)}
			out := []ir.Type{loss, in[0], w}
			b.mostLogits = 0
			want := compute(t, b, "linear_cross_entropy_grad", at, in, out, data)
			b.mostLogits = 3 * classes
			got := compute(t, b, "linear_cross_entropy_grad", at, in, out, data)
			for i, what := range []string{"loss", "dx"} {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("%v: %s in chunks is %v, want %v", kind, what, got[i], want[i])
				}
			}
			tol := map[ir.DType]float64{ir.F32: 1e-6, ir.BF16: 1. / 64}[kind]
			for i, v := range want[2] {
				if d := math.Abs(got[2][i] - v); !(d <= tol*(1+math.Abs(v))) {
					t.Fatalf("%v: dweight[%d] in chunks is %v, want %v", kind, i, got[2][i], v)
				}
			}
		}
	}
}
