package cuda

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// kinked are the activation functions that have a kernel of their own: the others
// are lowered, so that chains take them in.
var kinked = []string{"relu", "relu2", "leaky_relu", "elu"}

// actParams is Act of source/act.cu.
type actParams struct {
	y, second      driver.Pointer
	x, up, dy      driver.Pointer
	n              uint64
	code, function uint32
	quads          uint32
	slope, alpha   float32
}

// actOp makes the kernel of act, or of gated_act: y = fn(x) up.
func actOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	return b.act(a, false, ok && slices.Contains(kinked, a.Fn) && len(in) <= 2 && len(out) == 1, in, out)
}

// actGradOp makes the kernel of act_grad, or of gated_act_grad, which gives the
// gradient by up, too. The activation is computed again.
func actGradOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	return b.act(a, true, ok && len(in) == len(out)+1 && len(out) <= 2, in, out)
}

// act makes a kernel over x, up if it is there, and if a gradient is wanted dy.
func (b *Backend) act(a op.ActAttr, grad, ok bool, in, out []ir.Type) (kernels.Kernel, bool) {
	function, known := activations[a.Fn]
	ok = ok && known && function != 0 && stored(in[0].DType)
	for _, t := range slices.Concat(in, out) {
		ok = ok && t.DType == in[0].DType
	}
	bind := func(args kernels.Args) (kernels.Step, error) {
		all := slices.Concat(args.In, args.Out)
		at, err := b.pointers(all...)
		n := args.In[0].Len()
		if err != nil || n == 0 {
			return nothing, err
		}
		p := &actParams{x: at[0], n: uint64(n), code: codes[all[0].DType], function: function, slope: float32(a.Slope), alpha: float32(a.Alpha)}
		rest := at[1:len(args.In)]
		if grad {
			p.dy, rest = rest[len(rest)-1], rest[:len(rest)-1]
		}
		if len(rest) > 0 {
			p.up = rest[0]
		}
		p.y = at[len(args.In)]
		if len(args.Out) > 1 {
			p.second = at[len(at)-1]
		}
		if n%4 == 0 && inQuads(at, all) {
			p.quads, n = 1, n/4
		}
		return launch(b, "act", "act", overElements(n), p)
	}
	return chainKernel{kernel{bind: bind}, func(int) bool { return true }}, ok
}
