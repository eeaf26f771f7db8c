package kerneltest

import (
	"testing"

	"context"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// Bench measures be's kernels on the cases that are marked Large, weights in
// the layout that be prefers. It reports GFLOP/s by the op's cost, and GB/s of
// inputs and outputs. Ops without a kernel are left out.
func Bench(b *testing.B, be kernels.Backend) {
	table, err := op.New()
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range table.Defs() {
		for _, c := range d.Cases {
			if !c.Large {
				continue
			}
			for _, v := range variants(d, c) {
				b.Run(d.Name+"/"+label(c.Name)+v.name, func(b *testing.B) { bench(b, be, table, &d, c, v) })
			}
		}
	}
}

func bench(b *testing.B, be kernels.Backend, table *op.Table, d *op.Def, c op.Case, v variant) {
	out, err := d.Infer(v.in, c.Attr)
	if err != nil {
		b.Fatal(err)
	}
	k, ok := be.Kernel(d.Name, c.Attr, v.in, out)
	if !ok {
		b.Skipf("%s has no kernel", be.Name())
	}
	data := make([][]byte, len(v.in))
	var moved int64
	for i, x := range sample(d.Name, c, v.in) {
		if t := v.in[i]; t.DType != ir.Invalid {
			data[i] = Encode(t.DType, x)
			moved += t.Bytes()
		}
	}
	for _, t := range out {
		moved += t.Bytes()
	}
	run, err := bind(be, k, c.Attr, v.in, out, data, layoutsOf(be, d.Name, c.Attr, v.in)[0], -1)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := run.step(ctx); err != nil {
			b.Fatal(err)
		}
		if err := be.Sync(ctx); err != nil {
			b.Fatal(err)
		}
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	g := ir.Graph{}
	n := &ir.Node{Op: d.Name, Attr: c.Attr, Types: out}
	for _, t := range v.in {
		var x ir.Value
		if t.DType != ir.Invalid {
			x = g.AddInput("", t, ir.Pos{})
		}
		n.In = append(n.In, x)
	}
	b.ReportMetric(float64(table.FLOPs(n))/seconds/1e9, "GFLOP/s")
	b.ReportMetric(float64(moved)/seconds/1e9, "GB/s")
	if err := run.free(); err != nil {
		b.Fatal(err)
	}
}
