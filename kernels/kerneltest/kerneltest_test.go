package kerneltest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

func TestReference(t *testing.T) { Run(t, Reference()) }

// Gradients of the table are right, whatever the backend.
func TestGradients(t *testing.T) { Gradients(t, newTable(t)) }

// A backend without fused kernels and views passes by its primitives.
func TestLowered(t *testing.T) {
	table := newTable(t)
	Run(t, altered{Backend: Reference(), has: func(name string) bool {
		d, ok := table.Lookup(name)
		return ok && d.Ref != nil && !d.View
	}})
}

func newTable(t testing.TB) *op.Table {
	t.Helper()
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// altered is a backend with some kernels taken away or replaced.
type altered struct {
	kernels.Backend
	has  func(name string) bool
	wrap func(kernels.Kernel) kernels.Kernel
}

func (a altered) Kernel(name string, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	k, ok := a.Backend.Kernel(name, attr, in, out)
	if ok && a.has != nil {
		ok = a.has(name)
	}
	if ok && a.wrap != nil {
		k = a.wrap(k)
	}
	return k, ok
}

// fault is a kernel that goes wrong: before or after the real one runs, or
// instead of it.
type fault struct {
	kernels.Kernel
	attr   func(any) any              // what the kernel takes for its attributes
	after  func(a kernels.Args) error // runs once the result is there
	inside bool                       // asks for scratch
}

func (f fault) Scratch(attr any, in, out []ir.Type) int64 {
	if f.inside {
		return 100
	}
	return f.Kernel.Scratch(attr, in, out)
}

func (f fault) Bind(a kernels.Args) (kernels.Step, error) {
	if f.attr != nil {
		a.Attr = f.attr(a.Attr)
	}
	step, err := f.Kernel.Bind(a)
	return func(ctx context.Context) error {
		if err := step(ctx); err != nil {
			return err
		}
		if f.after == nil {
			return nil
		}
		return f.after(a)
	}, err
}

// change applies f to an element of output 0.
func change(i int, f func(v float64) float64) func(kernels.Args) error {
	return func(a kernels.Args) error {
		t := a.Out[0]
		size := int64(t.DType.Size())
		e := make([]byte, size)
		at := t.Offset + int64(i)*size
		if err := t.Buffer.Read(at, e); err != nil {
			return err
		}
		return t.Buffer.Write(at, cases.Encode(t.DType, []float64{f(cases.Decode(t.DType, e)[0])}))
	}
}

// Deliberately wrong kernels are caught, and what is said names the fault.
func TestWrongKernels(t *testing.T) {
	runs := 0
	stray := func(pick func(a kernels.Args) kernels.Tensor, at func(kernels.Tensor) int64) func(kernels.Args) error {
		return func(a kernels.Args) error {
			x := pick(a)
			return x.Buffer.Write(x.Offset+at(x), []byte{1})
		}
	}
	output := func(a kernels.Args) kernels.Tensor { return a.Out[0] }
	end := func(x kernels.Tensor) int64 { return int64(x.Len() * x.DType.Size()) }
	for _, c := range []struct {
		name, op, caseName, want string
		fault                    fault
	}{
		{"adds a thousandth", "add", "", "output 0: element 5", fault{after: change(5, func(v float64) float64 { return v + 1e-3 })}},
		{"forgets the last element", "mul", "odd", "element 98 is NaN", fault{after: change(98, func(float64) float64 { return nan() })}},
		{"ignores the axis", "softmax", "middle axis", "element", fault{attr: func(any) any { return op.AxisAttr{Axis: -1} }}},
		{"ignores the window", "attention", "window", "element", fault{attr: func(any) any { return op.AttentionAttr{Causal: true} }}},
		{"takes another eps", "rms_norm", "small", "element", fault{attr: func(any) any { return op.RMSNormAttr{Eps: 1.1e-5} }}},
		{"another order among equals", "argmax", "float ties", "is 3, want 0", fault{after: change(0, func(float64) float64 { return 3 })}},
		{"writes beyond the output", "exp", "odd", "output 0: writes at byte 204", fault{after: stray(output, end)}},
		{"writes before the output", "exp", "odd", "output 0: writes at byte -1", fault{after: stray(output, func(kernels.Tensor) int64 { return -1 })}},
		{"writes to an input", "sub", "", "input 1 was written to", fault{after: stray(func(a kernels.Args) kernels.Tensor { return a.In[1] }, func(kernels.Tensor) int64 { return 0 })}},
		{"writes beyond its scratch", "neg", "", "scratch: writes at byte 100", fault{inside: true, after: stray(func(a kernels.Args) kernels.Tensor { return a.Scratch }, end)}},
		{"another result each time", "cos", "", "output 0 differs between two runs", fault{after: func(a kernels.Args) error {
			runs++
			return change(0, func(v float64) float64 { return v + float64(runs)*1e-7 })(a)
		}}},
		{"wrong in place", "tanh", "", "differs if it lies in place of input 0", fault{after: func(a kernels.Args) error {
			if a.In[0].Buffer != a.Out[0].Buffer {
				return nil
			}
			return change(1, func(v float64) float64 { return v + 1e-7 })(a)
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(t)
			d, _ := table.Lookup(c.op)
			i := slices.IndexFunc(d.Cases, func(x op.Case) bool { return x.Name == c.caseName })
			plain := cases.Variant{In: d.Cases[i].In}
			if err := checkValue(Reference(), table, d, d.Cases[i], plain); err != nil {
				t.Fatalf("the right kernel: %v", err)
			}
			be := altered{Backend: Reference(), wrap: func(k kernels.Kernel) kernels.Kernel {
				f := c.fault
				f.Kernel = k
				return f
			}}
			err := checkValue(be, table, d, d.Cases[i], plain)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func nan() float64 { return cases.Decode(ir.F32, []byte{0, 0, 0xc0, 0x7f})[0] }

// A primitive without a kernel is an error, a narrow type that is not claimed is none.
func TestMissingKernel(t *testing.T) {
	table := newTable(t)
	d, _ := table.Lookup("add")
	be := altered{Backend: Reference(), has: func(name string) bool { return name != "add" }}
	if err := checkValue(be, table, d, d.Cases[0], cases.Variant{In: d.Cases[0].In}); err == nil || !strings.Contains(err.Error(), "no kernel for add") {
		t.Errorf("error is %v", err)
	}
	narrow := cases.Variants(*d, d.Cases[0])
	if len(narrow) != 3 {
		t.Fatalf("%d variants of add, want f32, bf16 and f16", len(narrow))
	}
	if err := checkValue(be, table, d, d.Cases[0], narrow[1]); err != errSkip {
		t.Errorf("error is %v, want %v", err, errSkip)
	}
}

// Weights and caches are tried narrower than what flows.
func TestVariants(t *testing.T) {
	table := newTable(t)
	for name, want := range map[string]string{
		"linear":       ", bf16, bf16 weights, f16, f16 weights",
		"attention":    ", bf16, bf16 cache, f16, f16 cache",
		"cache_append": ", bf16, bf16 cache, f16, f16 cache",
		"matmul":       ", bf16, f16",
		"fill":         "",
	} {
		d, _ := table.Lookup(name)
		var got []string
		for _, v := range cases.Variants(*d, d.Cases[0]) {
			got = append(got, strings.TrimSpace(v.Name))
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s: %q, want %q", name, s, want)
		}
	}
}

// Deliberately wrong gradients are caught.
func TestWrongGradients(t *testing.T) {
	type gradient = func(b *op.Builder, n *ir.Node, dy []ir.Value) []ir.Value
	for _, c := range []struct {
		name, op, want string
		grad           gradient
	}{
		{"sign", "sub", "gradient of input 1", func(b *op.Builder, n *ir.Node, dy []ir.Value) []ir.Value { return []ir.Value{dy[0], dy[0]} }},
		{"factor", "tanh", "gradient of input 0", func(b *op.Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			y := ir.Value{Node: n}
			return []ir.Value{b.Mul(dy[0], b.Sub(b.Scalar(1.001, y), b.Mul(y, y)))}
		}},
		{"forgotten", "mul", "gradient of input 1", func(b *op.Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{b.Mul(dy[0], n.In[1]), {}}
		}},
		{"shape", "reduce_sum", "gradient of input 0 is", func(b *op.Builder, n *ir.Node, dy []ir.Value) []ir.Value { return dy }},
		{"own", "softmax", "own gradient of input 0", func(b *op.Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{b.Mul(ir.Value{Node: n}, dy[0])}
		}},
		{"transposed", "transpose", "gradient of input 0", func(b *op.Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{b.Reshape(dy[0], n.In[0].Type().Shape...)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defs := slices.Clone(newTable(t).Defs())
			i := slices.IndexFunc(defs, func(d op.Def) bool { return d.Name == c.op })
			if err := checkGrad(newTable(t), &defs[i], defs[i].Cases[0]); err != nil {
				t.Fatalf("the right gradient: %v", err)
			}
			defs[i].Grad = c.grad
			table, err := op.NewTable(defs...)
			if err != nil {
				t.Fatal(err)
			}
			err = checkGrad(table, &defs[i], defs[i].Cases[0])
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

// An op that says it has no gradient must not hand one on, and one that says
// nothing flows must be flat.
func TestWrongNoGrad(t *testing.T) {
	defs := slices.Clone(newTable(t).Defs())
	i := slices.IndexFunc(defs, func(d op.Def) bool { return d.Name == "exp" })
	defs[i].NoGrad = true
	table, err := op.NewTable(defs...)
	if err != nil {
		t.Fatal(err)
	}
	d := defs[i]
	d.NoGrad = false
	if err := checkGrad(table, &d, d.Cases[0]); err == nil {
		t.Error("no gradient flows through exp, and nobody sees it")
	}
}

func TestNear(t *testing.T) {
	inf := cases.Decode(ir.F32, []byte{0, 0, 0x80, 0x7f})[0]
	for _, c := range []struct {
		t         ir.DType
		got, want float64
		ok        bool
	}{
		{ir.F32, 1, 1 + 1e-7, true}, {ir.F32, 1, 1 + 3e-6, false},
		{ir.F32, 1e4, 1e4 + 1e-3, true}, {ir.F32, nan(), nan(), true}, {ir.F32, nan(), 1, false}, {ir.F32, 1, nan(), false},
		{ir.F32, inf, inf, true}, {ir.F32, inf, 1, false}, {ir.F32, inf, -inf, false},
		{ir.I32, 5, 5, true}, {ir.I32, 1000000, 1000001, false}, {ir.F16, inf, 70000, true},
	} {
		if err := near(c.t, []float64{c.got}, []float64{c.want}, 1e-6); (err == nil) != c.ok {
			t.Errorf("%v: %v against %v: %v", c.t, c.got, c.want, err)
		}
	}
	if near(ir.F32, []float64{1}, []float64{1, 2}, 1) == nil {
		t.Error("a missing element is not seen")
	}
}

func BenchmarkReference(b *testing.B) { Bench(b, Reference()) }
