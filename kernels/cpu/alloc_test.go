package cpu

import (
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// No step allocates, in any tier: every case of every op that has a kernel is
// run, in the layouts that the backend prefers.
func TestStepsDoNotAllocate(t *testing.T) {
	for _, b := range backends(t, 2) {
		t.Run(b.Tier(), func(t *testing.T) { checkAllocations(t, b) })
	}
}

func checkAllocations(t *testing.T, b *Backend) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, d := range table.Defs() {
		for _, c := range d.Cases {
			out, err := d.Infer(c.In, c.Attr)
			if err != nil {
				t.Fatalf("%s %s: %v", d.Name, c.Name, err)
			}
			if _, ok := b.Kernel(d.Name, c.Attr, c.In, out); !ok || c.Large && (d.Name != "linear" || c.In[0].Elems() > 1<<20) {
				continue
			}
			step := bind(t, b, d.Name, c.Attr, sampled(t, b, d.Name, c), blank(t, b, out)...)
			ctx := t.Context()
			if n := testing.AllocsPerRun(2, func() {
				if err := step(ctx); err != nil {
					t.Error(err)
				}
			}); n != 0 {
				t.Errorf("%s %s: %v allocations a step", d.Name, c.Name, n)
			}
			checked++
		}
	}
	if checked < 200 {
		t.Errorf("%d cases were run, want at least 200", checked)
	}
}

// sampled makes inputs within the bounds of a case.
func sampled(t *testing.T, b *Backend, name string, c op.Case) []kernels.Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	in := make([]kernels.Tensor, len(c.In))
	for i, typ := range c.In {
		if typ.DType == ir.Invalid {
			continue
		}
		low, high := c.Low, c.High
		if bound, ok := c.Bounds[i]; ok {
			low, high = bound[0], bound[1]
		}
		x := make([]float64, typ.Elems())
		for j := range x {
			x[j] = low + r.Float64()*(high-low)
		}
		l := b.Layout(name, c.Attr, i, typ)
		in[i] = put(t, b, typ.DType, nil, l, typ.Sizes()...)
		if err := b.Pack(l, typ, in[i].Buffer, 0, cases.Encode(typ.DType, x)); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

func blank(t *testing.T, b *Backend, types []ir.Type) []kernels.Tensor {
	var out []kernels.Tensor
	for _, typ := range types {
		out = append(out, put(t, b, typ.DType, nil, "", typ.Sizes()...))
	}
	return out
}
