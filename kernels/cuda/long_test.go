//go:build linux && (amd64 || arm64)

package cuda

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// compute runs an op on the device.
func compute(t *testing.T, b *Backend, name string, attr any, in, out []ir.Type, data [][]float64) [][]float64 {
	t.Helper()
	k, ok := b.Kernel(name, attr, in, out)
	if !ok {
		t.Fatalf("no kernel of %s", name)
	}
	place := func(bytes int64) kernels.Buffer {
		buf, err := b.Alloc(bytes)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { buf.Free() })
		return buf
	}
	args := kernels.Args{Attr: attr}
	for i, ty := range in {
		if ty.DType == ir.Invalid {
			args.In = append(args.In, kernels.Tensor{})
			continue
		}
		buf := place(ty.Bytes())
		if err := buf.Write(0, cases.Encode(ty.DType, data[i])); err != nil {
			t.Fatal(err)
		}
		args.In = append(args.In, kernels.Tensor{Buffer: buf, DType: ty.DType, Shape: ty.Sizes()})
	}
	for _, ty := range out {
		args.Out = append(args.Out, kernels.Tensor{Buffer: place(ty.Bytes()), DType: ty.DType, Shape: ty.Sizes()})
	}
	if n := k.Scratch(attr, in, out); n > 0 {
		args.Scratch = kernels.Tensor{Buffer: place(n), DType: ir.U8, Shape: []int{int(n)}}
	}
	step, err := k.Bind(args)
	if err == nil {
		err = step(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	var got [][]float64
	for i, ty := range out {
		raw := make([]byte, ty.Bytes())
		if err := args.Out[i].Buffer.Read(0, raw); err != nil {
			t.Fatal(err)
		}
		got = append(got, cases.Decode(ty.DType, raw))
	}
	return got
}

// compareF32 orders as sort does: NaN is less than all others.
func compareF32(a, b float64) int {
	switch {
	case a < b || math.IsNaN(a) && !math.IsNaN(b):
		return -1
	case a > b || math.IsNaN(b) && !math.IsNaN(a):
		return 1
	}
	return 0
}

// unevenRow has equal elements, both zeros, infinities and NaN.
func unevenRow(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		switch x[i] = float64(r.IntN(3*n/2)-n/2) / 64; r.IntN(40) {
		case 0:
			x[i] = math.Copysign(0, -1)
		case 1:
			x[i] = math.Inf(1)
		case 2:
			x[i] = math.Inf(-1)
		case 3:
			x[i] = math.NaN()
		}
	}
	return x
}

// Rows beyond what a block sorts are merged, and of them the first are selected
// by digits; the order is that of a stable sort.
func TestLongRows(t *testing.T) {
	b, r := open(t), rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		op   string
		attr any
		n, k int
		down bool
		row  func(n int) []float64
	}{
		{"sort", op.SortAttr{}, chunk + 1, chunk + 1, false, func(n int) []float64 { return unevenRow(r, n) }},
		{"sort", op.SortAttr{Descending: true}, 2*chunk + 77, 2*chunk + 77, true, func(n int) []float64 { return unevenRow(r, n) }},
		{"topk", op.TopKAttr{K: 50}, 3000, 50, true, func(n int) []float64 { return unevenRow(r, n) }},
		{"topk", op.TopKAttr{K: 700}, 2500, 700, true, func(n int) []float64 { return make([]float64, n) }},
		{"topk", op.TopKAttr{K: chunk + 5}, chunk + 9, chunk + 5, true, func(n int) []float64 { return unevenRow(r, n) }},
	} {
		x := append(c.row(c.n), c.row(c.n)...)
		in, out := []ir.Type{ir.T(ir.F32, 2, c.n)}, []ir.Type{ir.T(ir.F32, 2, c.k), ir.T(ir.I32, 2, c.k)}
		got := compute(t, b, c.op, c.attr, in, out, [][]float64{x})
		for row := range 2 {
			order := make([]int, c.n)
			for i := range order {
				order[i] = i
			}
			mine := x[row*c.n:][:c.n]
			slices.SortStableFunc(order, func(i, j int) int {
				if c.down {
					i, j = j, i
				}
				return compareF32(float64(float32(mine[i])), float64(float32(mine[j])))
			})
			for i, want := range order[:c.k] {
				v, place := got[0][row*c.k+i], int(got[1][row*c.k+i])
				if place != want || math.Float64bits(v) != math.Float64bits(float64(float32(mine[want]))) && !math.IsNaN(v) {
					t.Fatalf("%s of %d, row %d: element %d is %v from %d, want %v from %d", c.op, c.n, row, i, v, place, mine[want], want)
				}
			}
		}
	}
}

// The gradient of a kernel is summed in parts where there are many positions, and
// a transform goes over several tiles.
func TestLongSums(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	b, r := open(t), rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		op   string
		attr any
		in   []ir.Type
		tol  float64
	}{
		{"conv_weight_grad", op.ConvAttr{Stride: "2", Before: "1", After: "2", Dilation: "1", Groups: 2, Kernel: "3"}, []ir.Type{ir.T(ir.F32, 2, 4, 1400), ir.T(ir.F32, 2, 18, 701)}, 1e-5},
		{"analysis", op.FourierAttr{N: 150, Hop: 20, Window: "hann", Even: true}, []ir.Type{ir.T(ir.F32, 2, 1500)}, 1e-5},
		{"synthesis", op.FourierAttr{N: 150, Hop: 20, Window: "hann", Inverse: true, Even: true, Size: "1500"}, []ir.Type{ir.T(ir.F32, 1, 76, 68), ir.T(ir.F32, 1, 76, 68)}, 1e-5},
	} {
		d, _ := table.Lookup(c.op)
		out, err := d.Infer(c.in, c.attr)
		if err != nil {
			t.Fatal(err)
		}
		var data [][]float64
		for _, ty := range c.in {
			x := make([]float64, ty.Elems())
			for i := range x {
				x[i] = float64(float32(2*r.Float64() - 1))
			}
			data = append(data, x)
		}
		want, got := d.Ref(data, c.in, c.attr), compute(t, b, c.op, c.attr, c.in, out, data)
		for o := range want {
			for i, w := range want[o] {
				if off := math.Abs(got[o][i]-w) / max(1, math.Abs(w)); !(off <= c.tol) {
					t.Fatalf("%s: element %d of result %d is %v, want %v", c.op, i, o, got[o][i], w)
				}
			}
		}
	}
	if count, _ := gradParts(tile, 9, 6, 2, 1402); count < 2 {
		t.Errorf("a sum of 1402 positions has %d parts, so they were not tried", count)
	}
}
