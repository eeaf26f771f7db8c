//go:build linux && (amd64 || arm64)

package cuda

import (
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Rows of each variant, and more of them than a team takes at once, have the norms
// and gradients that float64 gives.
func TestNormRows(t *testing.T) {
	b := open(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ rows, n int }{{5, 260}, {4500, 4}, {3, 2044}, {2, 4100}, {2, 8196}, {3, 8193}} {
		x, w, dy := numbers(random, c.rows*c.n), numbers(random, c.n), numbers(random, c.rows*c.n)
		kind, vector := ir.T(ir.F32, c.rows, c.n), ir.T(ir.F32, c.n)
		want := normGradOf(x, w, dy, c.n)
		at := op.LayerNormAttr{Eps: 1e-5, Affine: true}
		y := compute(t, b, "layer_norm", at, []ir.Type{kind, vector, vector}, []ir.Type{kind}, [][]float64{x, w, w})
		got := compute(t, b, "layer_norm_grad", at, []ir.Type{kind, vector, kind}, []ir.Type{kind, vector, vector}, [][]float64{x, w, dy})
		for i, what := range []string{"y", "dx", "dweight", "dbias"} {
			have := append(y, got...)[i]
			for j, v := range want[i] {
				if d := math.Abs(have[j] - v); !(d <= 2e-5*(1+math.Abs(v))) {
					t.Fatalf("%d rows of %d: %s[%d] is %v, want %v", c.rows, c.n, what, j, have[j], v)
				}
			}
		}
	}
}

// Rows of softmax of each variant are what float64 gives.
func TestSoftmaxRows(t *testing.T) {
	b, r := open(t), rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{4, 260, 516, 4100, 8196} {
		const rows = 5
		x, kind := numbers(r, rows*n), []ir.Type{ir.T(ir.F32, rows, n)}
		y := compute(t, b, "softmax", op.AxisAttr{Axis: 1}, kind, kind, [][]float64{x})[0]
		log := compute(t, b, "log_softmax", op.AxisAttr{Axis: 1}, kind, kind, [][]float64{x})[0]
		for i := 0; i < len(x); i += 1 + n/200 {
			sum := 0.0
			for _, o := range x[i/n*n:][:n] {
				sum += math.Exp(o - x[i])
			}
			if math.Abs(y[i]*sum-1) > 2e-6 || math.Abs(log[i]+math.Log(sum)) > 2e-6*math.Log(sum)+1e-6 {
				t.Fatalf("rows of %d: [%d] is %v and %v, want %v and %v", n, i, y[i], log[i], 1/sum, -math.Log(sum))
			}
		}
	}
}

func numbers(r *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(float32(r.Float64()*4 - 1))
	}
	return out
}

// normGradOf computes y with bias w, dx, dweight and dbias of rows of n.
func normGradOf(x, w, dy []float64, n int) [4][]float64 {
	out := [4][]float64{make([]float64, len(x)), make([]float64, len(x)), make([]float64, n), make([]float64, n)}
	for at := 0; at < len(x); at += n {
		var mean, variance, g, gz float64
		for _, v := range x[at : at+n] {
			mean += v / float64(n)
		}
		for _, v := range x[at : at+n] {
			variance += (v - mean) * (v - mean) / float64(n)
		}
		scale := 1 / math.Sqrt(variance+1e-5)
		for i := range n {
			z := (x[at+i] - mean) * scale
			out[0][at+i] = z*w[i] + w[i]
			out[2][i] += dy[at+i] * z
			out[3][i] += dy[at+i]
			g += dy[at+i] * w[i] / float64(n)
			gz += dy[at+i] * w[i] * z / float64(n)
		}
		for i := range n {
			out[1][at+i] = scale * (dy[at+i]*w[i] - g - (x[at+i]-mean)*scale*gz)
		}
	}
	return out
}

// Groups of more than a slice, whose channels are cut in pieces or end within four
// elements, have the norms and gradients of rows.
func TestGroupSlices(t *testing.T) {
	b, r := open(t), rand.New(rand.NewPCG(3, 9))
	for _, c := range []struct{ batch, groups, share, positions int }{{2, 2, 3, 2000}, {1, 2, 2, 4099}, {3, 2, 1, 8200}} {
		channels := c.groups * c.share
		n := c.share * c.positions
		x, dy, w := numbers(r, c.batch*c.groups*n), numbers(r, c.batch*c.groups*n), numbers(r, channels)
		kind, vector := ir.T(ir.F32, c.batch, channels, c.positions), ir.T(ir.F32, channels)
		at := op.GroupNormAttr{Groups: c.groups, Eps: 1e-5, Affine: true}
		got := append(compute(t, b, "group_norm", at, []ir.Type{kind, vector, vector}, []ir.Type{kind}, [][]float64{x, w, w}),
			compute(t, b, "group_norm_grad", at, []ir.Type{kind, vector, kind}, []ir.Type{kind, vector, vector}, [][]float64{x, w, dy})...)
		want := [4][]float64{nil, nil, make([]float64, channels), make([]float64, channels)}
		for row := range c.batch * c.groups {
			each := make([]float64, n)
			for i := range each {
				each[i] = w[row%c.groups*c.share+i/c.positions]
			}
			one := normGradOf(x[row*n:][:n], each, dy[row*n:][:n], n)
			want[0], want[1] = append(want[0], one[0]...), append(want[1], one[1]...)
			for i := range each {
				want[2][row%c.groups*c.share+i/c.positions] += one[2][i]
				want[3][row%c.groups*c.share+i/c.positions] += one[3][i]
			}
		}
		for i, what := range []string{"y", "dx", "dweight", "dbias"} {
			for j, v := range want[i] {
				if d := math.Abs(got[i][j] - v); !(d <= 3e-5*(1+math.Abs(v))) {
					t.Fatalf("%+v: %s[%d] is %v, want %v", c, what, j, got[i][j], v)
				}
			}
		}
	}
}
