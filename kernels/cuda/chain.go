package cuda

import (
	"fmt"
	"math"
	"slices"

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
	ok = ok && len(in) <= emit.MostInputs && len(out) <= emit.MaxResults
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

// worthText is from how many elements on a kernel is written for a single op: it
// has no divisions, and four elements for each thread, but must be compiled.
const worthText = 1 << 16

// inChain reports whether a chain takes operands as they lie, and is worth it.
func inChain(args kernels.Args) bool {
	to := args.Out[0].Shape
	for _, x := range args.In {
		if _, ok := eachOf(x.Shape, to); !ok && x.Len() != 1 {
			return false
		}
	}
	return args.Out[0].Len() >= worthText
}

// eachOf is how many elements of a shape that follow one another an element of x
// stands for; false where x is not some axes of it, one after the other.
func eachOf(x, to []int) (each int, ok bool) {
	each = 1
	if len(x) > len(to) {
		return 1, false
	}
	for len(x) > 0 && x[len(x)-1] == 1 {
		each *= to[len(to)-1]
		x, to = x[:len(x)-1], to[:len(to)-1]
	}
	for len(x) > 0 && x[0] == 1 {
		x = x[1:]
	}
	return each, slices.Equal(x, to[len(to)-len(x):])
}

// bindChain writes and loads the kernel that fits how the operands lie.
func (b *Backend) bindChain(expr string, args kernels.Args) (kernels.Step, error) {
	out, err := b.pointers(args.Out...)
	n := args.Out[0].Len()
	if err != nil || n == 0 {
		return nothing, err
	}
	c := emit.Chain{Expr: expr, Result: args.Out[0].DType, Results: len(args.Out), Lanes: 4}
	for i, y := range args.Out {
		if !alignedFor(4, out[i], y) {
			c.Lanes = 1
		}
	}
	p := &emit.Params{}
	if err := b.operands(&c, p, args.In, n, args.Out[0].Shape); err != nil {
		return nil, err
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

// operands says of the inputs of a chain over n elements of a shape how and where
// they lie.
func (b *Backend) operands(c *emit.Chain, p *emit.Params, xs []kernels.Tensor, n int, to []int) error {
	in, err := b.pointers(xs...)
	if err != nil {
		return err
	}
	each := make([]int, len(xs)) // elements of the result that one of x stands for
	for i, x := range xs {
		reach := emit.Repeats
		each[i], _ = eachOf(x.Shape, to)
		switch {
		case x.Len() == n:
			reach = emit.Whole
		case x.Len() == 1:
			reach = emit.One
		case each[i] > 1:
			reach = emit.Spread
		}
		c.Inputs = append(c.Inputs, emit.Input{DType: x.DType, Reach: reach})
		if reach == emit.Spread && each[i]%c.Lanes != 0 || reach < emit.One && !alignedFor(c.Lanes, in[i], x) {
			c.Lanes = 1
		}
	}
	if p.N = uint64(n / c.Lanes); p.N > math.MaxInt32 {
		return fmt.Errorf("cuda: a chain over %d elements", n)
	}
	places := make([]emit.Place, len(xs))
	for i, x := range xs {
		places[i] = emit.Place{At: uint64(in[i]), Size: uint32(x.Len() / c.Lanes)}
		if c.Inputs[i].Reach == emit.Spread {
			places[i].Size, places[i].Each = uint32(x.Len()), uint32(each[i]/c.Lanes)
		}
	}
	if len(places) > emit.MaxInputs {
		at, err := b.lasting(places)
		p.Inputs[0].At = uint64(at)
		return err
	}
	copy(p.Inputs[:], places)
	return nil
}

// sumOp makes the kernel of the sum of an expression, which goes through memory
// once as that of a chain does; then the sums of its warps are added up. It reads
// each input once and writes 8 bytes a warp, so that bytes rule it.
func sumOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ElementwiseAttr)
	ok = ok && len(in) <= emit.MostInputs && len(out) == 1
	for _, t := range append(in[:len(in):len(in)], out...) {
		ok = ok && stored(t.DType)
	}
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) { return b.bindSum(a.Expr, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 { return 8 * int64(warps(overSum(elementsOf(tensorsOf(in))))) }}, ok
}

// elementsOf is how many elements an expression over xs has.
func elementsOf(xs []kernels.Tensor) int {
	n := 1
	for _, x := range xs {
		if x.Len() == 0 {
			return 0
		}
		n = max(n, x.Len())
	}
	return n
}

// overSum spreads n elements over so many blocks as an H200 holds at once, twice,
// so that there are few sums.
func overSum(n int) grid {
	g := overElements(max(n, 1))
	g.blocks.X = min(g.blocks.X, 2112)
	return g
}

func warps(g grid) int { return g.blocks.X * g.threads / 32 }

func (b *Backend) bindSum(expr string, args kernels.Args) (kernels.Step, error) {
	at, err := b.pointers(args.Out[0], args.Scratch)
	if err != nil {
		return nil, err
	}
	n := elementsOf(args.In)
	if n == 0 {
		return b.reduceParts(at[0], at[1], 0, 1, args.Out[0].DType, 0)
	}
	c, p := emit.Chain{Expr: expr, Result: ir.F32, Results: 1, Lanes: 4, Sum: true}, &emit.Params{}
	if n%4 != 0 {
		c.Lanes = 1
	}
	if err := b.operands(&c, p, args.In, n, nil); err != nil {
		return nil, err
	}
	p.Results[0] = uint64(at[1])
	k, err := emit.Write(b.library(), c)
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	g := overSum(int(p.N))
	first, err := launchText(b, k, g, p)
	if err != nil {
		return nil, err
	}
	then, err := b.reduceParts(at[0], at[1], warps(g), 1, args.Out[0].DType, 0)
	return sequence([]kernels.Step{first, then}), err
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
	var m *driver.Module
	if err := b.measure(&b.held.code, func() (err error) { m, err = b.device.Load(k.Text); return err }); err != nil {
		return fmt.Errorf("cuda: the kernel of %q: %w", k.Text[3:min(len(k.Text), 80)], err)
	}
	b.modules[k.Name] = m
	return nil
}
