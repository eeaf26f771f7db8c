//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// ran returns the f32 result of a kernel over one shape.
func ran(t *testing.T, b *Backend, name string, attr any, in ...[]float32) []float32 {
	t.Helper()
	ty := ir.T(ir.F32, len(in[0]))
	types := make([]ir.Type, len(in))
	args := kernels.Args{Attr: attr}
	tensor := func() kernels.Tensor {
		buf, err := b.Alloc(ty.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { buf.Free() })
		return kernels.Tensor{Buffer: buf, DType: ir.F32, Shape: []int{len(in[0])}}
	}
	for i, x := range in {
		types[i] = ty
		args.In = append(args.In, tensor())
		data, err := binary.Append(nil, binary.LittleEndian, x)
		if err == nil {
			err = args.In[i].Buffer.Write(0, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	args.Out = []kernels.Tensor{tensor()}
	k, ok := b.Kernel(name, attr, types, []ir.Type{ty})
	if !ok {
		t.Fatalf("no kernel %s", name)
	}
	step, err := k.Bind(args)
	if err == nil {
		err = step(t.Context())
	}
	data := make([]byte, ty.Bytes())
	if err == nil {
		err = args.Out[0].Buffer.Read(0, data)
	}
	if err != nil {
		t.Fatal(name, attr, err)
	}
	out := make([]float32, len(in[0]))
	if _, err := binary.Decode(data, binary.LittleEndian, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// sample are floats of all sizes, with those that have a case of their own.
func sample(n int, seed uint32) []float32 {
	own := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.5, 88.9, -103.5, 1e30, 3e9, -1.1e9, 1e-40, math.MaxFloat32,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	out := make([]float32, n)
	for i := range out {
		seed = seed*1664525 + 1013904223
		switch {
		case i%3 == 0:
			out[i] = own[seed>>8%uint32(len(own))]
		case i%3 == 1:
			out[i] = math.Float32frombits(seed)
		default:
			out[i] = float32(int32(seed)) / (1 << 28)
		}
	}
	return out
}

// A chain of more inputs than a kernel is told of itself reads a table.
func TestManyInputs(t *testing.T) {
	b := open(t)
	const inputs = 40
	expr, want := "x0", make([]float32, 33)
	var in [][]float32
	for i := range inputs {
		x := make([]float32, len(want))
		for j := range x {
			x[j] = float32(i*j - 7*i)
			want[j] += x[j]
		}
		if in = append(in, x); i > 0 {
			expr += fmt.Sprintf(" x%d add", i)
		}
	}
	got := ran(t, b, "elementwise", op.ElementwiseAttr{Expr: expr}, in...)
	for j, v := range want {
		if got[j] != v {
			t.Fatalf("element %d is %v, want %v", j, got[j], v)
		}
	}
}

// An op over many elements is a chain of its own, of the same bits.
func TestOneOpText(t *testing.T) {
	b := open(t)
	x, y := sample(worthText, 3), sample(worthText, 4)
	got := ran(t, b, "sub", nil, x, y)
	if n := len(b.modules); n != 1 || b.modules["elementwise"] != nil {
		t.Errorf("%d modules, want one that was written", n)
	}
	for i := range 300 {
		from := i * (worthText / 300)
		want := ran(t, b, "sub", nil, x[from:from+1], y[from:from+1])[0]
		if nan := want != want && got[from] != got[from]; !nan && math.Float32bits(got[from]) != math.Float32bits(want) {
			t.Fatalf("element %d is %v, want %v", from, got[from], want)
		}
	}
}

// A number for each channel or row, as a bias or a norm, is taken by the written
// kernel as NumPy has it.
func TestSpread(t *testing.T) {
	b := open(t)
	x := make([]float64, 2*3*12000)
	for i := range x {
		x[i] = float64(i % 1000)
	}
	for _, c := range []struct {
		whole, part []int
		at          func(i int) int
	}{
		{[]int{2, 3, 120, 100}, []int{3, 1, 1}, func(i int) int { return i / 12000 % 3 }},
		{[]int{2, 3, 12000}, []int{1, 3, 1}, func(i int) int { return i / 12000 % 3 }},
		{[]int{24000, 3}, []int{24000, 1}, func(i int) int { return i / 3 }},
		{[]int{6, 12000}, []int{6, 1}, func(i int) int { return i / 12000 }},
		{[]int{6, 12000, 1}, []int{12000, 1}, func(i int) int { return i % 12000 }},
	} {
		part := ir.T(ir.F32, c.part...)
		y := x[:part.Elems()]
		got := compute(t, b, "sub", nil, []ir.Type{ir.T(ir.F32, c.whole...), part}, []ir.Type{ir.T(ir.F32, c.whole...)}, [][]float64{x, y})
		for i, v := range x {
			if want := v - y[c.at(i)]; got[0][i] != want {
				t.Fatalf("%v - %v: [%d] is %v, want %v", c.whole, c.part, i, got[0][i], want)
			}
		}
	}
	if b.modules["elementwise"] != nil {
		t.Error("the kernel with divisions was taken")
	}
}

// A chain of one op has the bits of the op's own kernel, with four lanes and
// with one; of a NaN it has a NaN.
func TestChainBits(t *testing.T) {
	b := open(t)
	for arity := 1; arity <= 2; arity++ {
		for _, name := range op.ElementwiseOps(arity) {
			expr := "x0 x1 "[:3*arity] + name
			for _, n := range []int{300, 301} {
				in := [][]float32{sample(n, 1), sample(n, 7)}[:arity]
				got, want := ran(t, b, "elementwise", op.ElementwiseAttr{Expr: expr}, in...), ran(t, b, name, nil, in...)
				for i := range want {
					nan := want[i] != want[i] && got[i] != got[i]
					if !nan && math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatal(fmt.Sprintf("%s of %d: element %d of %v", expr, n, i, in[0][i]), got[i], want[i])
					}
				}
			}
		}
	}
}
