package kerneltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/cases"
)

// derivative is a case ready for its gradient check: the loss is the sum of
// all outputs, each element weighted by a fixed number.
type derivative struct {
	table  *op.Table
	name   string
	c      op.Case
	flat   []int // inputs that the op's own gradient leaves out
	x      [][]float64
	weight [][]float64 // of the outputs; nil for those that are no floats
}

// checkGrad compares the gradients of one case with central differences: of
// some single elements, and of all elements at once along a random direction.
// An op without gradient must say so, or be flat.
func checkGrad(table *op.Table, d *op.Def, c op.Case) error {
	types, err := d.Infer(c.In, c.Attr)
	if err != nil {
		return err
	}
	x, _ := cases.Sample(d.Name, c, c.In)
	v := derivative{table: table, name: d.Name, c: c, flat: d.Flat, x: x}
	r := rand.New(rand.NewPCG(3, 4))
	for _, t := range types {
		var w []float64
		if t.DType.Float() {
			w = random(r, t.Elems())
		}
		v.weight = append(v.weight, w)
	}
	grads, err := v.gradients(nil)
	if err != nil {
		return err
	}
	if d.Lower != nil && d.Grad != nil { // its own gradient must be the derived one
		own, err := v.gradients(func(n *ir.Node) bool { return n.Op == d.Name })
		if err != nil {
			return err
		}
		for i, g := range grads {
			if slices.Contains(d.Flat, i) {
				continue
			}
			if err := near(ir.F64, own[i], g, 1e-9); err != nil {
				return fmt.Errorf("own gradient of input %d: %w", i, err)
			}
		}
	}
	if d.NoGrad {
		for i, g := range grads {
			if g != nil {
				return fmt.Errorf("has no gradient by its definition, but input %d gets one", i)
			}
		}
		return nil
	}
	checked := false
	for i, t := range c.In {
		low, high := cases.Bounds(c, i)
		if !t.DType.Float() || low == high || t.Elems() == 0 { // equal elements stand on a kink of most ops
			continue
		}
		checked = true
		g := grads[i]
		if g == nil {
			g = make([]float64, t.Elems())
		}
		if err := v.compare(r, i, g, 1e-5*(high-low)/2); err != nil {
			return fmt.Errorf("gradient of input %d: %w", i, err)
		}
	}
	if !checked {
		return errSkip
	}
	return nil
}

func random(r *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 2*r.Float64() - 1
	}
	return out
}

// gradients evaluates the graph that Builder.Grad makes, after everything that
// keep does not claim was lowered; nil for an input to which nothing flows.
func (v *derivative) gradients(keep func(*ir.Node) bool) ([][]float64, error) {
	fused := op.NewBuilder(v.table)
	args := make([]ir.Value, len(v.c.In))
	inputs := map[string][]float64{}
	for i, t := range v.c.In {
		if t.DType != ir.Invalid {
			args[i] = fused.Graph.AddInput(fmt.Sprint(i), t, ir.Pos{})
			inputs[fmt.Sprint(i)] = v.x[i]
		}
	}
	ys := fused.Apply(v.name, v.c.Attr, args...)
	b := op.NewBuilder(v.table)
	at := b.Lowered(fused.Graph, keep)
	if err := errors.Join(fused.Err(), b.Err()); err != nil {
		return nil, err
	}
	var xs []ir.Value
	var which []int
	for i, a := range args {
		if a.Valid() && (keep == nil || !slices.Contains(v.flat, i)) {
			xs, which = append(xs, at[a]), append(which, i)
		}
	}
	sums := make([]ir.Value, len(xs))
	for o, y := range ys {
		if v.weight[o] == nil {
			continue
		}
		name := fmt.Sprintf("dy%d", o)
		inputs[name] = v.weight[o]
		dy := b.Graph.AddInput(name, y.Type(), ir.Pos{})
		for k, g := range b.Grad(at[y], dy, xs...) {
			if g.Valid() && sums[k].Valid() {
				g = b.Add(sums[k], g)
			}
			if g.Valid() {
				sums[k] = g
			}
		}
	}
	if err := errors.Join(b.Err(), b.Graph.Verify()); err != nil {
		return nil, err
	}
	values, err := op.Values(v.table, b.Graph, inputs, nil)
	out := make([][]float64, len(v.c.In))
	for k, i := range which {
		if sums[k].Valid() {
			out[i] = values[sums[k]]
		}
	}
	return out, err
}

// loss is the weighted sum of the outputs, with input i replaced by x.
func (v *derivative) loss(i int, x []float64) (float64, error) {
	in := slices.Clone(v.x)
	in[i] = x
	out, err := v.table.Reference(v.name, v.c.Attr, in, v.c.In)
	if err != nil {
		return 0, err
	}
	var sum float64
	for o, w := range v.weight {
		for k := range w {
			sum += w[k] * out[o][k]
		}
	}
	return sum, nil
}

// slope is the central difference of the loss along u.
func (v *derivative) slope(i int, u []float64, h float64) (float64, error) {
	up, down := slices.Clone(v.x[i]), slices.Clone(v.x[i])
	for k := range u {
		up[k] += h * u[k]
		down[k] -= h * u[k]
	}
	a, err := v.loss(i, up)
	if err != nil {
		return 0, err
	}
	b, err := v.loss(i, down)
	return (a - b) / (2 * h), err
}

func (v *derivative) compare(r *rand.Rand, i int, grad []float64, h float64) error {
	tol := v.c.GradTol
	if tol == 0 {
		tol = 1e-6
	}
	if len(grad) != len(v.x[i]) {
		return fmt.Errorf("%d elements, want %d", len(grad), len(v.x[i]))
	}
	places := r.Perm(len(grad))
	for _, k := range places[:min(len(places), 10)] {
		u := make([]float64, len(grad))
		u[k] = 1
		want, err := v.slope(i, u, h)
		if err != nil {
			return err
		}
		if err := near(ir.F64, []float64{grad[k]}, []float64{want}, tol); err != nil {
			return fmt.Errorf("at %d: %w", k, err)
		}
	}
	u := random(r, len(grad))
	want, err := v.slope(i, u, h)
	if err != nil {
		return err
	}
	var got float64
	for k := range u {
		got += u[k] * grad[k]
	}
	if err := near(ir.F64, []float64{got}, []float64{want}, tol); err != nil {
		return fmt.Errorf("along a direction: %w", err)
	}
	return nil
}
