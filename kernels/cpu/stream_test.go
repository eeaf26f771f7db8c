package cpu

import (
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// What is written past the caches has the bits of what is written to them.
func TestStreams(t *testing.T) {
	const rows, dim = 35, 272
	r := rand.New(rand.NewPCG(5, 6))
	x, z, w, c := random(r, rows*dim), random(r, rows*dim), random(r, dim), random(r, dim)
	for _, b := range backends(t, 2) {
		square := func(v []float32) kernels.Tensor { return put(t, b, ir.F32, v, "", rows, dim) }
		row := func(v []float32) kernels.Tensor { return put(t, b, ir.F32, v, "", dim) }
		for _, k := range []struct {
			name string
			attr any
			in   []kernels.Tensor
		}{
			{"add", nil, []kernels.Tensor{square(x), square(z)}},
			{"mul", nil, []kernels.Tensor{square(x), row(w)}},
			{"exp", nil, []kernels.Tensor{square(x)}},
			{"act", op.DefaultAct("silu"), []kernels.Tensor{square(x)}},
			{"act", op.DefaultAct("gelu"), []kernels.Tensor{square(x)}},
			{"act", op.DefaultAct("gelu_tanh"), []kernels.Tensor{square(x)}},
			{"act", op.DefaultAct("relu"), []kernels.Tensor{square(x)}},
			{"pow", nil, []kernels.Tensor{square(x), square(z)}},
			{"elementwise", op.ElementwiseAttr{Expr: "x0 x1 mul x0 add"}, []kernels.Tensor{square(x), row(w)}},
			{"gated_act", op.DefaultAct("silu"), []kernels.Tensor{square(x), square(z)}},
			{"softmax", op.AxisAttr{Axis: -1}, []kernels.Tensor{square(x)}},
			{"log_softmax", op.AxisAttr{Axis: -1}, []kernels.Tensor{square(x)}},
			{"rms_norm", op.RMSNormAttr{Eps: 1e-5}, []kernels.Tensor{square(x), row(w)}},
			{"layer_norm", op.LayerNormAttr{Eps: 1e-5, Affine: true}, []kernels.Tensor{square(x), row(w), row(c)}},
			{"layer_norm", op.LayerNormAttr{Eps: 1e-5}, []kernels.Tensor{square(x)}},
		} {
			plain, past := square(nil), square(nil)
			b.streamFrom = streamBytes
			run(t, b, k.name, k.attr, k.in, plain)
			b.streamFrom = 0
			run(t, b, k.name, k.attr, k.in, past)
			sameBits(t, b.Tier()+" "+k.name, get(t, past), get(t, plain))
		}
	}
}
