package compiler

import (
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// The way that is chosen stands in the plan, and follows from the sizes.
func TestConvolve(t *testing.T) {
	for _, c := range []struct {
		want, op string
		attr     op.ConvLayerAttr
		x        []int
		w        []int
	}{
		{op.Winograd, "conv2d", op.ConvLayerAttr{OutChannels: 320, Kernel: "3", Padding: "1", Groups: 1}, []int{1, 320, 64, 64}, []int{320, 320, 3, 3}},
		{op.Winograd, "conv2d", op.ConvLayerAttr{OutChannels: 64, Kernel: "3", Padding: "1", Groups: 1}, []int{2, 64, 32, 32}, []int{64, 64, 3, 3}},
		{"", "conv2d", op.ConvLayerAttr{OutChannels: 320, Kernel: "3", Padding: "1", Stride: "2", Groups: 1}, []int{1, 320, 64, 64}, []int{320, 320, 3, 3}},
		{op.Winograd, "conv2d", op.ConvLayerAttr{OutChannels: 1280, Kernel: "3", Padding: "1", Groups: 1}, []int{1, 1280, 4, 4}, []int{1280, 1280, 3, 3}},
		{"", "conv2d", op.ConvLayerAttr{OutChannels: 64, Kernel: "3", Padding: "1", Groups: 1}, []int{1, 3, 64, 64}, []int{64, 3, 3, 3}},
		{"", "conv2d", op.ConvLayerAttr{OutChannels: 320, Kernel: "1", Groups: 1}, []int{1, 320, 64, 64}, []int{320, 320, 1, 1}},
		{"", "conv2d", op.ConvLayerAttr{OutChannels: 96, Kernel: "7", Padding: "3", Groups: 96}, []int{1, 96, 56, 56}, []int{96, 1, 7, 7}},
		{"", "conv1d", op.ConvLayerAttr{OutChannels: 1, Kernel: "7", Padding: "3", Groups: 1}, []int{1, 32, 65536}, []int{1, 32, 7}},
		{"", "conv1d", op.ConvLayerAttr{OutChannels: 512, Kernel: "7", Padding: "3", Groups: 1}, []int{1, 512, 256}, []int{512, 512, 7}},
	} {
		table, opt := newContext(t)
		b := op.NewBuilder(table)
		x := b.Graph.AddInput("x", ir.T(ir.F32, c.x...), ir.Pos{})
		w := b.Graph.AddState(ir.State{Path: "w", Kind: ir.Weight}, ir.T(ir.F32, c.w...)).Read
		y := b.Apply(c.op, c.attr, x, w)
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		b.Graph.Outputs = []ir.Output{{Name: "y", Value: y[0]}}
		p, err := Optimize(b.Graph, table, opt)
		if err != nil {
			t.Fatal(err)
		}
		made, err := p.Plan(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := made.Steps[0].Attr.(op.ConvLayerAttr).Algorithm; got != c.want {
			t.Errorf("%s of %v by %v is computed by %q, want %q:\n%v", c.op, c.x, c.w, got, c.want, made)
		}
	}
}

// Weights lie alike whichever way is chosen, so that plans for other sizes may choose
// otherwise. Memory is exact.
func TestConvolveLayout(t *testing.T) {
	const channels = 320
	at := op.ConvLayerAttr{OutChannels: channels, Kernel: "3", Padding: "1", Groups: 1}
	weight := int64(4 * channels * channels * 9)
	known := ir.T(ir.F32, 1, channels, 32, 32)
	named := known.With(ir.Sym("batch"), ir.D(channels), ir.Sym("height"), ir.Sym("width"))
	strided := at
	strided.Stride = "2"
	for _, c := range []struct {
		name           string
		x              ir.Type
		attr           op.ConvLayerAttr
		layout         ir.Layout
		bytes, scratch int64
	}{
		{"known sizes", known, at, "tall48", weight, 2 * 36 * 4 * (channels*32 + 48)},
		{"named sizes", named, at, "tall48", weight, 2 * 36 * 4 * (channels*32 + 48)},
		{"large", known.With(ir.D(1), ir.D(channels), ir.D(640), ir.D(640)), at, "tall48", weight, 11 * 36 * 4 * (channels*32 + 48)},
		{"strided", known, strided, "tall48", weight, 0},
	} {
		table, opt := newContext(t)
		b := op.NewBuilder(table)
		x := b.Graph.AddInput("x", c.x, ir.Pos{})
		w := b.Graph.AddState(ir.State{Path: "w", Kind: ir.Weight}, ir.T(ir.F32, channels, channels, 3, 3)).Read
		y := b.Apply("conv2d", c.attr, x, w)
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		b.Graph.Outputs = []ir.Output{{Name: "y", Value: y[0]}}
		p, err := Optimize(b.Graph, table, opt)
		if err != nil {
			t.Fatal(err)
		}
		made, err := p.Plan(map[string]int{"batch": 1, "height": 32, "width": 32})
		if err != nil {
			t.Fatal(err)
		}
		s := made.States[0]
		var scratch int64
		if at := made.Steps[0].Scratch; at.Type.Rank() > 0 {
			scratch = at.Type.Bytes()
		}
		if s.Layout != c.layout || s.Bytes != c.bytes || scratch != c.scratch {
			t.Errorf("%s: weights as %q, %d bytes, and %d of scratch; want %q, %d and %d", c.name, s.Layout, s.Bytes, scratch, c.layout, c.bytes, c.scratch)
		}
	}
}
