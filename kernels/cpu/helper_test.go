package cpu

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/half"
)

// each tier that this machine has, with the given threads.
func backends(t testing.TB, threads int) map[string]*Backend {
	out := map[string]*Backend{}
	for _, info := range Tiers() {
		if !info.Available {
			t.Logf("tier %s: %s", info.Name, info.Why)
			continue
		}
		out[info.Name] = open(t, Options{Threads: threads, Tier: info.Name})
	}
	return out
}

func open(t testing.TB, o Options) *Backend {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// encode writes x as elements of type d, and rounds x to what they hold.
func encode(d ir.DType, x []float32) []byte {
	if d == ir.Q8_0 {
		out := make([]byte, len(x)/32*34)
		quantiseQ8(out, x)
		asm.Generic().WidenQ8(x, out)
		return out
	}
	out := make([]byte, len(x)*d.Size())
	for i, v := range x {
		switch d {
		case ir.F32:
			binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(v))
		case ir.I32:
			binary.LittleEndian.PutUint32(out[4*i:], uint32(int32(v)))
		case ir.BF16:
			h := half.F32ToBF16(v)
			x[i] = half.BF16ToF32(h)
			binary.LittleEndian.PutUint16(out[2*i:], h)
		case ir.F16:
			h := half.F32ToF16(v)
			x[i] = half.F16ToF32(h)
			binary.LittleEndian.PutUint16(out[2*i:], h)
		default:
			panic(fmt.Sprintf("encode %v", d))
		}
	}
	return out
}

func decode(d ir.DType, data []byte) []float32 {
	out := make([]float32, len(data)/d.Size())
	for i := range out {
		switch d {
		case ir.F32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		case ir.I32:
			out[i] = float32(int32(binary.LittleEndian.Uint32(data[4*i:])))
		case ir.BF16:
			out[i] = half.BF16ToF32(binary.LittleEndian.Uint16(data[2*i:]))
		case ir.F16:
			out[i] = half.F16ToF32(binary.LittleEndian.Uint16(data[2*i:]))
		default:
			panic(fmt.Sprintf("decode %v", d))
		}
	}
	return out
}

// put makes a tensor of x, in layout l.
func put(t testing.TB, b *Backend, d ir.DType, x []float32, l ir.Layout, shape ...int) kernels.Tensor {
	t.Helper()
	typ := ir.T(d, shape...)
	u, err := b.Alloc(b.LayoutBytes(l, typ))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Free() })
	if x != nil {
		if err := b.Pack(l, typ, u, 0, encode(d, x)); err != nil {
			t.Fatal(err)
		}
	}
	return kernels.Tensor{Buffer: u, DType: d, Shape: shape, Layout: l}
}

func get(t testing.TB, x kernels.Tensor) []float32 {
	t.Helper()
	data := make([]byte, x.Len()*x.DType.Size())
	if err := x.Buffer.Read(x.Offset, data); err != nil {
		t.Fatal(err)
	}
	return decode(x.DType, data)
}

func typeOf(x kernels.Tensor) ir.Type {
	if x.Buffer == nil {
		return ir.Type{}
	}
	return ir.T(x.DType, x.Shape...)
}

// bind finds the kernel and binds it, with scratch as it asks for.
func bind(t testing.TB, b *Backend, name string, attr any, in []kernels.Tensor, out ...kernels.Tensor) kernels.Step {
	t.Helper()
	var it, ot []ir.Type
	for _, x := range in {
		it = append(it, typeOf(x))
	}
	for _, x := range out {
		ot = append(ot, typeOf(x))
	}
	k, ok := b.Kernel(name, attr, it, ot)
	if !ok {
		t.Fatalf("no kernel for %s %v -> %v", name, it, ot)
	}
	a := kernels.Args{Attr: attr, In: in, Out: out}
	if n := k.Scratch(attr, it, ot); n > 0 {
		a.Scratch = put(t, b, ir.U8, nil, "", int(n))
	}
	step, err := k.Bind(a)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return step
}

// run binds and runs once.
func run(t testing.TB, b *Backend, name string, attr any, in []kernels.Tensor, out ...kernels.Tensor) {
	t.Helper()
	if err := bind(t, b, name, attr, in, out...)(context.Background()); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

// near compares with float64 values, relative to max(1, |want|).
func near(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tol*max(1, math.Abs(want[i]))) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}
