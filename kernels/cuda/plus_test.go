//go:build linux && (amd64 || arm64)

package cuda

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// What a kernel adds to what it has computed has the bits of the result of the op before,
// stored and then added: for each form of products and of convolutions, and for norms.
func TestPlusBits(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	oldest, newest := open(t), openAs(t, "capability=90")
	bf, hf, f := ir.BF16, ir.F16, ir.F32
	linear, eps := op.LinearAttr{OutFeatures: 35, Bias: true, Act: "silu"}, op.RMSNormAttr{Eps: 1e-6}
	conv := op.ConvLayerAttr{OutChannels: 19, Kernel: "3", Padding: "1", Groups: 1, Bias: true}
	wgmma, rounded := "wgmma", conv
	rounded.TF32 = true
	for _, c := range []struct {
		name, op string
		attr     any
		in       []ir.Type
	}{
		{wgmma, "matmul", op.MatMulAttr{TransB: true}, []ir.Type{ir.T(bf, 70, 256), ir.T(bf, 259, 256)}},
		{wgmma, "matmul", op.MatMulAttr{Wide: true}, []ir.Type{ir.T(hf, 9, 256), ir.T(hf, 256, 264)}},
		{"few rows", "matmul", op.MatMulAttr{}, []ir.Type{ir.T(f, 3, 40), ir.T(f, 40, 21)}},
		{"tiles", "matmul", op.MatMulAttr{TransB: true}, []ir.Type{ir.T(f, 37, 40), ir.T(f, 21, 40)}},
		{"few rows", "matmul", op.MatMulAttr{}, []ir.Type{ir.T(bf, 3, 40), ir.T(bf, 40, 21)}},
		{"tiles", "matmul", op.MatMulAttr{}, []ir.Type{ir.T(bf, 70, 40), ir.T(bf, 40, 36)}},
		{"tiles that end within four", "matmul", op.MatMulAttr{}, []ir.Type{ir.T(hf, 35, 40), ir.T(hf, 40, 35)}},
		{"widened", "matmul", op.MatMulAttr{TransA: true, Wide: true}, []ir.Type{ir.T(bf, 70, 36), ir.T(bf, 70, 40)}},
		{"tf32", "matmul", op.MatMulAttr{TF32: true}, []ir.Type{ir.T(f, 37, 40), ir.T(f, 40, 21)}},
		{"one row", "linear", linear, []ir.Type{ir.T(f, 1, 40), ir.T(bf, 35, 40), ir.T(f, 35)}},
		{"some rows", "linear", linear, []ir.Type{ir.T(f, 20, 40), ir.T(hf, 35, 40), ir.T(f, 35)}},
		{"tiles", "linear", linear, []ir.Type{ir.T(f, 66, 40), ir.T(bf, 35, 40), ir.T(f, 35)}},
		{"fma", "conv2d", conv, []ir.Type{ir.T(f, 1, 9, 5, 7), ir.T(f, 19, 9, 3, 3), ir.T(f, 19)}},
		{"tensor cores", "conv2d", conv, []ir.Type{ir.T(f, 2, 9, 5, 7), ir.T(hf, 19, 9, 3, 3), ir.T(f, 19)}},
		{"tf32", "conv2d", rounded, []ir.Type{ir.T(f, 2, 9, 5, 7), ir.T(f, 19, 9, 3, 3), ir.T(f, 19)}},
		{"narrow", "conv2d", conv, []ir.Type{ir.T(bf, 2, 9, 5, 7), ir.T(bf, 19, 9, 3, 3), ir.T(f, 19)}},
		{"in quads", "rms_norm_grad", eps, []ir.Type{ir.T(bf, 5, 72), ir.T(f, 72), ir.T(bf, 5, 72)}},
		{"one by one", "rms_norm_grad", eps, []ir.Type{ir.T(hf, 5, 35), ir.T(f, 35), ir.T(hf, 5, 35)}},
		{"in quads", "layer_norm_grad", op.LayerNormAttr{Eps: 1e-6, Affine: true}, []ir.Type{ir.T(f, 5, 72), ir.T(f, 72), ir.T(f, 5, 72)}},
	} {
		b := oldest
		if c.name == wgmma {
			b = newest
		}
		table, err := op.New()
		if err != nil {
			t.Fatal(err)
		}
		d, _ := table.Lookup(c.op)
		out, err := d.Infer(c.in, c.attr)
		if err != nil {
			t.Fatal(c.op, c.name, err)
		}
		var data [][]float64
		for _, x := range append(out[:1:1], c.in...) {
			data = append(data, numbers(r, x.Elems()))
		}
		got := compute(t, b, c.op+op.Plus, c.attr, append(out[:1:1], c.in...), out, data)
		want := compute(t, b, c.op, c.attr, c.in, out, data[1:])
		want[0] = compute(t, b, "add", nil, []ir.Type{out[0], out[0]}, out[:1], [][]float64{data[0], want[0]})[0]
		for i := range out {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%s, %s: result %d has other bits than one after the other", c.op, c.name, i)
			}
		}
	}
}
