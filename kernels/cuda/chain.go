package cuda

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emit"
)

// chainOp makes the kernel of an expression of elementwise ops, which is written
// when it is bound. It reads each input and writes each result once: bytes rule
// it, but where it has several functions for each element.
func chainOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ElementwiseAttr)
	ok = ok && len(in) <= emit.MaxInputs && len(out) <= emit.MaxResults
	for _, t := range append(in[:len(in):len(in)], out...) {
		ok = ok && stored(t.DType)
	}
	bind := func(args kernels.Args) (kernels.Step, error) { return b.bindChain(a.Expr, args) }
	return chainKernel{kernel{bind: bind}, sameType(in, out)}, ok
}

// chainKernel is a kernel with several results, each of which may lie over an
// input of its type.
type chainKernel struct {
	kernel
	same func(in int) bool
}

// InPlace holds for inputs of the results' type and shape.
func (k chainKernel) InPlace(_, in int) bool { return k.same(in) }

// bindChain writes and loads the kernel that fits how the operands lie.
func (b *Backend) bindChain(expr string, args kernels.Args) (kernels.Step, error) {
	in, err := b.pointers(args.In...)
	if err != nil {
		return nil, err
	}
	out, err := b.pointers(args.Out...)
	n := args.Out[0].Len()
	if err != nil || n == 0 {
		return nothing, err
	}
	c := emit.Chain{Expr: expr, Result: args.Out[0].DType, Results: len(args.Out), Lanes: 4}
	for i, x := range args.In {
		reach := emit.Repeats
		switch x.Len() {
		case n:
			reach = emit.Whole
		case 1:
			reach = emit.One
		}
		c.Inputs = append(c.Inputs, emit.Input{DType: x.DType, Reach: reach})
		if reach != emit.One && !alignedFor(c.Lanes, in[i], x) {
			c.Lanes = 1
		}
	}
	for i, y := range args.Out {
		if !alignedFor(4, out[i], y) {
			c.Lanes = 1
		}
	}
	p := &emit.Params{N: uint64(n / c.Lanes)}
	if p.N > math.MaxInt32 {
		return nil, fmt.Errorf("cuda: a chain over %d elements", n)
	}
	for i, x := range args.In {
		p.Inputs[i].At, p.Inputs[i].Size = uint64(in[i]), uint32(x.Len()/c.Lanes)
	}
	for i := range args.Out {
		p.Results[i] = uint64(out[i])
	}
	k, err := emit.Write(b.library(), c)
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	return launchText(b, k, overElements(int(p.N)), p)
}

// alignedFor reports whether a tensor can be read in runs of lanes elements.
func alignedFor(lanes int, at driver.Pointer, t kernels.Tensor) bool {
	return t.Len()%lanes == 0 && int(at)%(lanes*t.DType.Size()) == 0
}

// library is the PTX of the functions that chains call.
func (b *Backend) library() string {
	text, err := ptx.ReadFile("ptx/function.ptx")
	if err != nil {
		return "" // then emit tells which function is not there
	}
	return string(text)
}

// launchText is launch for a kernel that was written; the same text is compiled
// once.
func launchText(b *Backend, k emit.Kernel, g grid, p *emit.Params) (kernels.Step, error) {
	if err := b.load(k); err != nil {
		return nil, err
	}
	return launch(b, k.Name, k.Name, g, p)
}

// load compiles a kernel that was written, unless it has been.
func (b *Backend) load(k emit.Kernel) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.modules[k.Name] != nil {
		return nil
	}
	m, err := b.device.Load(k.Text)
	if err != nil {
		return fmt.Errorf("cuda: the kernel of %q: %w", k.Text[3:min(len(k.Text), 80)], err)
	}
	b.modules[k.Name] = m
	return nil
}
