package compiler

import (
	"strings"
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
		{op.Patches, "conv2d", op.ConvLayerAttr{OutChannels: 320, Kernel: "3", Padding: "1", Stride: "2", Groups: 1}, []int{1, 320, 64, 64}, []int{320, 320, 3, 3}},
		{op.Patches, "conv2d", op.ConvLayerAttr{OutChannels: 1280, Kernel: "3", Padding: "1", Groups: 1}, []int{1, 1280, 4, 4}, []int{1280, 1280, 3, 3}},
		{op.Patches, "conv2d", op.ConvLayerAttr{OutChannels: 64, Kernel: "3", Padding: "1", Groups: 1}, []int{1, 3, 64, 64}, []int{64, 3, 3, 3}},
		{op.Patches, "conv2d", op.ConvLayerAttr{OutChannels: 320, Kernel: "1", Groups: 1}, []int{1, 320, 64, 64}, []int{320, 320, 1, 1}},
		{op.Lines, "conv2d", op.ConvLayerAttr{OutChannels: 96, Kernel: "7", Padding: "3", Groups: 96}, []int{1, 96, 56, 56}, []int{96, 1, 7, 7}},
		{op.Lines, "conv1d", op.ConvLayerAttr{OutChannels: 1, Kernel: "7", Padding: "3", Groups: 1}, []int{1, 32, 65536}, []int{1, 32, 7}},
		{op.Patches, "conv1d", op.ConvLayerAttr{OutChannels: 512, Kernel: "7", Padding: "3", Groups: 1}, []int{1, 512, 256}, []int{512, 512, 7}},
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
		if text := made.String(); !strings.Contains(text, "algorithm="+c.want) {
			t.Errorf("%s of %v by %v is not computed by %s:\n%s", c.op, c.x, c.w, c.want, text)
		}
	}
}
