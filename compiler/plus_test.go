package compiler

import (
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/kerneltest"
)

// What meets a product, a convolution or a gradient of a norm is added by its kernel, under
// another shape as well, where nothing else reads what is made and z is no part of a chain;
// and what comes before a gradient alone can be added to it, since others read its other
// results.
func TestPlus(t *testing.T) {
	x, w, n := ir.T(ir.F32, 2, 3, 8), ir.T(ir.F32, 8, 8), ir.T(ir.F32, 8)
	for _, c := range []struct {
		name  string
		write func(b *op.Builder, x, w, n ir.Value) ir.Value
		want  []string // ops, but of views
	}{
		{"residual", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			return b.Add(x, b.Apply("linear", op.LinearAttr{OutFeatures: 8}, x, w)[0])
		}, []string{"linear_plus"}},
		{"under another shape", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			y := b.MatMul(b.Reshape(x, ir.D(6), ir.D(8)), w, false, false)
			return b.Add(b.Reshape(y, x.Type().Shape...), x)
		}, []string{"matmul_plus"}},
		{"three", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			q := b.MatMul(x, w, false, false)
			k := b.MatMul(x, w, false, true)
			return b.Add(b.Add(q, k), b.MatMul(b.Exp(x), w, false, false))
		}, []string{"exp", "matmul", "matmul_plus", "matmul_plus"}},
		{"read by others", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			y := b.MatMul(x, w, false, false)
			return b.MatMul(b.Add(x, y), y, true, false)
		}, []string{"add", "matmul", "matmul"}},
		{"of a chain", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			return b.Add(b.MatMul(x, w, false, false), b.Mul(x, n))
		}, []string{"elementwise", "matmul"}},
		{"spread", func(b *op.Builder, x, w, n ir.Value) ir.Value { return b.Add(b.MatMul(x, w, false, false), n) }, []string{"add", "matmul"}},
		{"gradient", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			g := b.Apply("rms_norm_grad", op.RMSNormAttr{Eps: 1e-6}, x, n, x)
			return b.Mul(b.Add(x, g[0]), g[1])
		}, []string{"mul", "rms_norm_grad_plus"}},
		{"gradient before", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			g := b.Apply("rms_norm_grad", op.RMSNormAttr{Eps: 1e-6}, x, n, x)
			return b.Add(b.MatMul(x, b.Mul(w, g[1]), false, false), g[0])
		}, []string{"matmul_plus", "mul", "rms_norm_grad"}},
		{"another result", func(b *op.Builder, x, w, n ir.Value) ir.Value {
			g := b.Apply("rms_norm_grad", op.RMSNormAttr{Eps: 1e-6}, x, n, x)
			return b.Mul(g[0], b.Add(n, g[1]))
		}, []string{"add", "mul", "rms_norm_grad"}},
	} {
		table, o := newContext(t)
		o.Target = kerneltest.Reference()
		b := op.NewBuilder(table)
		input := func(name string, ty ir.Type) ir.Value { return b.Graph.AddInput(name, ty, ir.Pos{}) }
		b.Graph.Outputs = []ir.Output{{Name: "y", Value: c.write(b, input("x", x), input("w", w), input("n", n))}}
		if b.Err() != nil {
			t.Fatal(c.name, b.Err())
		}
		p, err := Optimize(b.Graph, table, o)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var got []string
		for _, n := range p.graph.Nodes {
			if d, _ := table.Lookup(n.Op); n.Op != ir.OpInput && !d.View {
				got = append(got, n.Op)
			}
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A sum is made where the product in it was, if all of it is there by then: what the product is made of is free from there on.
func TestPlusComesEarly(t *testing.T) {
	table, o := newContext(t)
	o.Target = kerneltest.Reference()
	b := op.NewBuilder(table)
	x := b.Graph.AddInput("x", ir.T(ir.F32, 8, 8), ir.Pos{})
	w := b.Graph.AddInput("w", ir.T(ir.F32, 8, 8), ir.Pos{})
	y, e := b.MatMul(x, w, false, false), b.Exp(x)
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: b.MatMul(b.Add(x, y), e, false, false)}}
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	p, err := Optimize(b.Graph, table, o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range p.graph.Nodes {
		if n.Op != ir.OpInput {
			got = append(got, n.Op)
		}
	}
	if want := []string{"matmul_plus", "exp", "matmul"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
