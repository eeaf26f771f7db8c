package kerneltest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// checkValue compares be's kernel for d, or its lowering where be has none,
// with the reference on one variant of a case.
func checkValue(be kernels.Backend, table *op.Table, d *op.Def, c op.Case, v cases.Variant) error {
	out, err := d.Infer(v.In, c.Attr)
	if err != nil {
		return err
	}
	x, data := cases.Sample(d.Name, c, v.In)
	want, err := table.Reference(d.Name, c.Attr, x, v.In)
	if err != nil {
		return err
	}
	k, ok := be.Kernel(d.Name, c.Attr, v.In, out)
	switch {
	case ok:
		return checkKernel(be, k, d, c, v, out, data, want)
	case v.Name != "" || d.View:
		return errSkip // not claimed, or not needed
	case d.Lower == nil:
		return fmt.Errorf("%s has no kernel for %s of %v", be.Name(), d.Name, v.In)
	}
	got, err := runLowered(be, table, d, c, v.In, data)
	if err != nil {
		return fmt.Errorf("lowered: %w", err)
	}
	return compare(c, out, got, want)
}

// compare checks each output at the tolerance of the case, widened by one unit
// in the last place of a narrow result.
func compare(c op.Case, types []ir.Type, got [][]byte, want [][]float64) error {
	tol := c.Tol
	if tol == 0 {
		tol = 1e-6
	}
	for i, t := range types {
		if err := near(t.DType, cases.Decode(t.DType, got[i]), want[i], tol+epsilon(t.DType)); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	return nil
}

func checkKernel(be kernels.Backend, k kernels.Kernel, d *op.Def, c op.Case, v cases.Variant, out []ir.Type, data [][]byte, want [][]float64) error {
	for _, layouts := range cases.Layouts(be, d.Name, c.Attr, v.In) {
		once, err := runTwice(be, k, c, v.In, out, data, layouts)
		if err == nil {
			err = compare(c, out, once, want)
		}
		if err == nil {
			err = checkInPlace(be, k, c, v.In, out, data, layouts, once)
		}
		if err != nil {
			return fmt.Errorf("%s with inputs laid out as %q: %w", d.Name, layouts, err)
		}
	}
	return nil
}

// runTwice runs a kernel twice over poisoned outputs and asks for the same bits.
func runTwice(be kernels.Backend, k kernels.Kernel, c op.Case, in, out []ir.Type, data [][]byte, layouts []ir.Layout) (once [][]byte, err error) {
	b, err := bind(be, k, c.Attr, in, out, data, layouts, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.free()) }()
	if once, err = b.run(nil); err != nil {
		return nil, err
	}
	for _, r := range b.out {
		if err := r.tensor.Buffer.Write(r.tensor.Offset, bytes.Repeat([]byte{poison}, int(r.size))); err != nil {
			return nil, err
		}
	}
	twice, err := b.run(nil)
	if err != nil {
		return nil, fmt.Errorf("second run: %w", err)
	}
	for i := range once {
		if !bytes.Equal(once[i], twice[i]) {
			return nil, fmt.Errorf("output %d differs between two runs", i)
		}
	}
	return once, nil
}

// checkInPlace lays outputs over inputs as the kernel claims they may lie, one at
// a time and then as many as can, and asks for the same bits as before.
func checkInPlace(be kernels.Backend, k kernels.Kernel, c op.Case, in, out []ir.Type, data [][]byte, layouts []ir.Layout, want [][]byte) error {
	may := func(o, i int) bool {
		return k.InPlace(o, i) && in[i].DType != ir.Invalid && slices.Equal(in[i].Shape, out[o].Shape) && in[i].Bytes() == out[o].Bytes() && layouts[i] == ""
	}
	var tries [][]int
	for o := range out {
		all := slices.Repeat([]int{-1}, len(out))
		for i := range in {
			if may(o, i) {
				one := slices.Repeat([]int{-1}, len(out))
				one[o] = i
				tries = append(tries, one)
			}
		}
		for p := range out { // from output o on, each over the next input that is free
			q := (o + p) % len(out)
			for i := range in {
				if may(q, i) && !slices.Contains(all, i) {
					all[q] = i
					break
				}
			}
		}
		if len(out) > 1 {
			tries = append(tries, all)
		}
	}
	for _, over := range tries {
		b, err := bind(be, k, c.Attr, in, out, data, layouts, over)
		if err != nil {
			return err
		}
		got, err := b.run(over)
		if err := errors.Join(err, b.free()); err != nil {
			return fmt.Errorf("if %s: %w", lies(over), err)
		}
		for o := range want {
			if !bytes.Equal(got[o], want[o]) {
				return fmt.Errorf("output %d differs if %s", o, lies(over))
			}
		}
	}
	return nil
}

// lies says which outputs lie over which inputs.
func lies(over []int) string {
	if len(over) == 1 {
		return fmt.Sprintf("it lies in place of input %d", over[0])
	}
	return fmt.Sprintf("outputs lie in place of inputs %v", over)
}

// runLowered runs an op as simpler ones that be has kernels for.
func runLowered(be kernels.Backend, table *op.Table, d *op.Def, c op.Case, in []ir.Type, data [][]byte) ([][]byte, error) {
	b := op.NewBuilder(table)
	args, values := make([]ir.Value, len(in)), map[ir.Value][]byte{}
	for i, t := range in {
		if t.DType != ir.Invalid {
			args[i] = b.Graph.AddInput(fmt.Sprint(i), t, ir.Pos{})
		}
	}
	out := b.Apply(d.Name, c.Attr, args...)
	low := op.NewBuilder(table)
	at := low.Lowered(b.Graph, func(n *ir.Node) bool {
		_, ok := be.Kernel(n.Op, n.Attr, ir.TypesOf(n.In), n.Types)
		return ok
	})
	if err := errors.Join(b.Err(), low.Err()); err != nil {
		return nil, err
	}
	for i, a := range args {
		values[at[a]] = data[i]
	}
	for _, n := range low.Graph.Nodes {
		if n.Op == ir.OpInput {
			continue
		}
		if err := runNode(be, table, n, values); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Op, err)
		}
	}
	y := make([][]byte, len(out))
	for i, v := range out {
		y[i] = values[at[v]]
	}
	return y, nil
}

// runNode computes one node of a lowered graph from the bytes of its inputs.
func runNode(be kernels.Backend, table *op.Table, n *ir.Node, values map[ir.Value][]byte) error {
	in := ir.TypesOf(n.In)
	k, ok := be.Kernel(n.Op, n.Attr, in, n.Types)
	if !ok {
		if d, _ := table.Lookup(n.Op); d.View {
			values[ir.Value{Node: n}] = values[n.In[0]]
			return nil
		}
		return fmt.Errorf("%s has no kernel for %v", be.Name(), in)
	}
	data := make([][]byte, len(in))
	for i, v := range n.In {
		data[i] = values[v]
	}
	layouts := cases.Layouts(be, n.Op, n.Attr, in)
	b, err := bind(be, k, n.Attr, in, n.Types, data, layouts[len(layouts)-1], nil)
	if err != nil {
		return err
	}
	out, err := b.run(nil)
	for i := range out {
		values[ir.Value{Node: n, Out: i}] = out[i]
	}
	return errors.Join(err, b.free())
}
