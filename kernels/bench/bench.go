// Package bench measures the kernels of a backend on the large cases of the op
// table, and compares them with what the device can do at most.
//
// It judges nothing: a figure is a figure of the machine, and of what else ran
// on it meanwhile.
package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// Case is a kernel with types to measure it on.
type Case struct {
	Op, Case, Type string   // of the table: "linear", "large row", "bf16 weights"
	FLOPs          int64    // by the op's cost
	Read, Written  int64    // bytes of the inputs, and of the outputs
	Bytes          bool     // multiplies bytes: weights in blocks
	Half           ir.DType // BF16 or F16, if it multiplies these

	of      op.Case
	in, out []ir.Type
	kernel  kernels.Kernel
}

// Huge is the FLOPs of a case above which it is for GPUs, and runs only if it is asked for.
const Huge = 400e9

// String names a case: "linear/large row/bf16 weights".
func (c *Case) String() string { return c.Op + "/" + c.Case + "/" + c.Type }

// List gives the large cases of a table, at every element type, that be has
// kernels for.
func List(be kernels.Backend, table *op.Table) ([]Case, error) {
	var list []Case
	for _, d := range table.Defs() {
		for _, c := range d.Cases {
			if !c.Large {
				continue
			}
			for _, v := range cases.Variants(d, c) {
				out, err := d.Infer(v.In, c.Attr)
				if err != nil {
					return nil, fmt.Errorf("%s/%s: %w", d.Name, c.Name, err)
				}
				k, ok := be.Kernel(d.Name, c.Attr, v.In, out)
				if !ok {
					continue
				}
				x := Case{Op: d.Name, Case: cases.Label(c.Name), Type: typeName(v), of: c, in: v.In, out: out, kernel: k}
				x.FLOPs = table.FLOPs(node(d.Name, c.Attr, v.In, out))
				x.Bytes = slices.ContainsFunc(v.In, func(t ir.Type) bool { return t.DType.Blocked() })
				x.Half = half(v.In)
				x.Read, x.Written = bytesOf(v.In), bytesOf(out)
				if experts, ok := c.Attr.(op.ExpertLinearAttr); ok { // those that are chosen alone
					x.Read += experts.Read(v.In[2].Bytes(), int64(v.In[1].Elems())) - v.In[2].Bytes()
				}
				list = append(list, x)
			}
		}
	}
	return list, nil
}

// typeName is the name of a variant, or the type of the first floats.
func typeName(v cases.Variant) string {
	if v.Name != "" {
		return strings.TrimSpace(v.Name)
	}
	i := slices.IndexFunc(v.In, func(t ir.Type) bool { return t.DType.Float() })
	return v.In[max(i, 0)].DType.String()
}

// half is the type of all floats among types, if that has 16 bits.
func half(types []ir.Type) ir.DType {
	d := ir.Invalid
	for _, t := range types {
		if !t.DType.Float() {
			continue
		}
		if t.DType.Size() != 2 || d != ir.Invalid && t.DType != d {
			return ir.Invalid
		}
		d = t.DType
	}
	return d
}

// node stands for a call, for the table's cost of it.
func node(name string, attr any, in, out []ir.Type) *ir.Node {
	g := ir.Graph{}
	n := &ir.Node{Op: name, Attr: attr, Types: out}
	for _, t := range in {
		var x ir.Value
		if t.DType != ir.Invalid {
			x = g.AddInput("", t, ir.Pos{})
		}
		n.In = append(n.In, x)
	}
	return n
}

func bytesOf(types []ir.Type) (n int64) {
	for _, t := range types {
		if t.DType != ir.Invalid {
			n += t.Bytes()
		}
	}
	return n
}

// Options say how to measure.
type Options struct {
	Time     time.Duration                  // for each case, at least three runs
	Progress func(c *Case, done, total int) // before each case; may be nil
	Now      func() time.Time               // the clock; nil is the system's

}

// Result is what was measured of a case.
type Result struct {
	*Case
	Seconds Summary // of one run
}

// Measure runs every case in turn. When ctx ends, it returns what there is
// with the error of ctx.
func Measure(ctx context.Context, be kernels.Backend, list []Case, o Options) ([]Result, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	var done []Result
	for i := range list {
		c := &list[i]
		if o.Progress != nil {
			o.Progress(c, i, len(list))
		}
		s, err := c.measure(ctx, be, o)
		if err != nil {
			return done, err
		}
		done = append(done, Result{c, Summarize(s)})
	}
	return done, nil
}

// fewest is how often a case is run at least.
const fewest = 3

func (c *Case) measure(ctx context.Context, be kernels.Backend, o Options) (s []float64, err error) {
	call, err := c.Bind(be)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", c, err)
	}
	defer func() {
		if e := call.Free(); err == nil {
			err = e
		}
	}()
	if clock, ok := be.(kernels.Clock); ok {
		return clock.Took(ctx, call.step, o.Time)
	}
	if err := call.Run(ctx); err != nil { // pages and caches
		return nil, err
	}
	for begin := o.Now(); len(s) < fewest || o.Now().Sub(begin) < o.Time; {
		from := o.Now()
		if err := call.Run(ctx); err != nil {
			return nil, err
		}
		s = append(s, o.Now().Sub(from).Seconds())
	}
	return s, nil
}
