package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// convolving computes a convolution, or its adjoint, as products: a row of the
// result is a row of weights times what positions see of x. That is copied a few
// channels and some panels of positions at a time; what an element of the kernel
// sees is the same copy further on, so no matrix of patches ever exists.
//
//	x [batch, groups*channels, source...]   y [batch, groups*rows, dest...]
//
// The adjoint of stride s is s convolutions of stride 1, each of every s-th
// position with every s-th element of the kernel: the phases. Every element is
// one chain of fused multiply-adds over channels and then the kernel, so
// neither tiles nor threads change a bit. Where a group has one row, lines of y
// are sums of lines of x instead.
type convolving struct {
	b              *Backend
	batch, groups  int
	rows, channels int    // of a group
	source, dest   [3]int // spatial sizes; those in front are 1 where there are fewer axes
	walk           [3]int // elements of x from one position to the next
	size           [3]int // positions, of the phase that has most
	step           [3]int // elements of y from one position to the next
	phases         []convPhase
	kernel         int // elements of the kernel
	adjoint        bool
	x, w, y, bias  vec
	act            func(y []float32)
	a              []float32 // weights: in tall panels for products, row-major for lines
	units          int
	perPart        int
	part           convPart
	width          int      // numbers of a unit of lines
	alike          int      // rows of a unit of lines
	tiles          [2][]int // first row of each tile, and rows, of a full tall panel and of the last
	convGrid
}

// convPhase is a set of positions that use the same elements of the kernel.
type convPhase struct {
	start   [3]int   // position p is element start + p*step of y
	taps    [][3]int // which element of x position 0 sees
	element []int    // of the kernel, for each tap
	lasts   int      // taps along the last axis, which lie evenly apart
}

// direct reports whether lines are summed: there is one row, too few to share
// what is seen of x in tiles.
func (c *convolving) direct() bool { return c.rows == 1 }

// pad3 puts fill in front of v until there are three.
func pad3(v []int, fill int) [3]int {
	out := [3]int{fill, fill, fill}
	copy(out[3-len(v):], v)
	return out
}

// newConvolution settles what shapes say. For the adjoint, x is what flows back.
func newConvolution(b *Backend, adjoint bool, attr any, x, w, y ir.Type) (*convolving, error) {
	at, err := op.ConvGeometry(attr, x)
	if err != nil {
		return nil, err
	}
	xs, ws, ys := x.Sizes(), w.Sizes(), y.Sizes()
	c := &convolving{b: b, adjoint: adjoint, batch: xs[0], groups: at.Groups, rows: ys[1] / at.Groups, channels: xs[1] / at.Groups,
		source: pad3(xs[2:], 1), dest: pad3(ys[2:], 1), kernel: prod(ws[2:])}
	stride, before := pad3(at.Stride.Slice(), 1), pad3(at.Before.Slice(), 0)
	kernel, dilation := pad3(ws[2:], 1), pad3(at.Dilation.Slice(), 1)
	c.join(&kernel, &stride, &before, &dilation)
	if adjoint {
		c.walk, c.step = [3]int{1, 1, 1}, stride
		c.phases = adjointPhases(kernel, stride, before, dilation)
	} else {
		c.walk, c.step = stride, [3]int{1, 1, 1}
		p := convPhase{}
		var along [3][]axisTap
		for d := range along {
			for k := range kernel[d] {
				along[d] = append(along[d], axisTap{k*dilation[d] - before[d], k})
			}
		}
		p.cross(along, kernel)
		c.phases = []convPhase{p}
	}
	for d := range c.size {
		c.size[d] = parts(c.dest[d], c.step[d])
	}
	return c, nil
}

// join makes one axis of the last two, and of what that leaves again, where positions along the last
// see what lies at their own place and those along the other are as close as elements: lines are longer so.
func (c *convolving) join(kernel, stride, before, dilation *[3]int) {
	for range 2 {
		wide := c.source[2]
		if kernel[2] != 1 || stride[2] != 1 || before[2] != 0 || wide != c.dest[2] || wide > 1 && stride[1] != 1 {
			return
		}
		c.source = [3]int{1, c.source[0], c.source[1] * wide}
		c.dest = [3]int{1, c.dest[0], c.dest[1] * wide}
		*kernel = [3]int{1, kernel[0], kernel[1]}
		*stride = [3]int{1, stride[0], stride[1]}
		*before = [3]int{0, before[0], before[1] * wide}
		*dilation = [3]int{1, dilation[0], dilation[1] * wide}
	}
}

// axisTap is an element k of the kernel along one axis, and the element of x
// that position 0 sees through it.
type axisTap struct{ at, k int }

// cross makes the taps of all combinations along the axes, in C order.
func (p *convPhase) cross(along [3][]axisTap, kernel [3]int) {
	p.lasts = len(along[2])
	for _, t0 := range along[0] {
		for _, t1 := range along[1] {
			for _, t2 := range along[2] {
				p.taps = append(p.taps, [3]int{t0.at, t1.at, t2.at})
				p.element = append(p.element, (t0.k*kernel[1]+t1.k)*kernel[2]+t2.k)
			}
		}
	}
}

// adjointPhases cuts positions by their rest modulo the stride, the last axis
// fastest. Taps are in rising order of what they see.
func adjointPhases(kernel, stride, before, dilation [3]int) []convPhase {
	var out []convPhase
	for i := range prod(stride[:]) {
		rest := [3]int{i / stride[2] / stride[1], i / stride[2] % stride[1], i % stride[2]}
		p := convPhase{start: rest}
		var along [3][]axisTap
		for d := range along {
			for k := kernel[d] - 1; k >= 0; k-- {
				if e := rest[d] + before[d] - k*dilation[d]; e%stride[d] == 0 {
					along[d] = append(along[d], axisTap{e / stride[d], k})
				}
			}
		}
		p.cross(along, kernel)
		out = append(out, p)
	}
	return out
}

// convOp is the kernel of conv and its layers, or of conv_transpose and its.
func convOp(adjoint bool) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		if len(in) < 2 || !stored(out[0].DType) {
			return nil, false
		}
		for _, t := range in {
			if !stored(t.DType) {
				return nil, false
			}
		}
		act, ok := b.actOf(op.DefaultAct(convAct(attr)))
		if !ok {
			return nil, false
		}
		return convKernel{b: b, adjoint: adjoint, act: inPlace(act)}, true
	}
}

// convKernel is the kernel of a convolution.
type convKernel struct {
	b       *Backend
	adjoint bool
	act     func([]float32)
}

func (k convKernel) Bind(a kernels.Args) (kernels.Step, error) {
	if convAlgorithm(a.Attr) == op.Winograd {
		return bindWinograd(k.b, k.act, a)
	}
	return bindConv(k.b, k.adjoint, k.act, a)
}

func (k convKernel) InPlace(int, int) bool { return false }

func (k convKernel) Scratch(attr any, in, out []ir.Type) int64 {
	return k.ScratchOf(attr, in, out, make([]ir.Layout, len(in)))
}

// ScratchOf is the memory of weights, unless they lie as they are read, or of
// what Winograd's tiles see of x. Where there is none, Bind says why.
func (k convKernel) ScratchOf(attr any, in, out []ir.Type, layouts []ir.Layout) int64 {
	if convAlgorithm(attr) == op.Winograd {
		if q, err := newWinograd(k.b, attr, in[0], in[1], out[0]); err == nil {
			return 4 * int64(q.floats())
		}
		return 0
	}
	c, err := newConvolution(k.b, k.adjoint, attr, in[0], in[1], out[0])
	if err != nil || !c.prepares(in[1].DType, layouts[1] != "") || in[1].DType == ir.F32 && c.isProduct(in[0].DType, out[0].DType) {
		return 0
	}
	return 4 * int64(c.weights())
}

// convAct is the activation that a layer's attribute asks for.
func convAct(attr any) string {
	switch a := attr.(type) {
	case op.ConvLayerAttr:
		return a.Act
	case op.ConvTransposeLayerAttr:
		return a.Act
	}
	return ""
}

// convAlgorithm is how the compiler chose to compute it.
func convAlgorithm(attr any) string {
	if a, ok := attr.(op.ConvLayerAttr); ok {
		return a.Algorithm
	}
	return ""
}

func bindConv(b *Backend, adjoint bool, act func([]float32), a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	typ := func(t kernels.Tensor) ir.Type { return ir.T(t.DType, t.Shape...) }
	c, err := newConvolution(b, adjoint, a.Attr, typ(a.In[0]), typ(a.In[1]), typ(a.Out[0]))
	if err != nil {
		return nil, err
	}
	c.x, c.w, c.y, c.act = vs[0], vs[1], vs[len(a.In)], act
	if len(a.In) > 2 {
		if err := checkWeight("bias", a.In[2], c.groups*c.rows); err != nil {
			return nil, err
		}
		c.bias = vs[2]
	}
	if typ(a.In[1]).Elems() != c.weights() {
		return nil, fmt.Errorf("weight has %d elements, want %d x %d x %d", typ(a.In[1]).Elems(), c.groups*c.rows, c.channels, c.kernel)
	}
	if c.y.n == 0 {
		return b.step(0, nil), nil
	}
	if c.isProduct(a.In[0].DType, c.y.dtype) {
		return c.asProduct(a)
	}
	steps := []kernels.Step{}
	if c.a = nil; c.prepares(c.w.dtype, a.In[1].Layout != "") {
		if c.a, err = b.scratch(a, c.weights()); err != nil {
			return nil, err
		}
		steps = append(steps, c.prepare())
	} else {
		c.a = c.w.f32()
	}
	if p, ok := newPlanes(c); ok {
		return sequence(append(steps, b.step(c.batch*c.groups, p.part))...), nil
	}
	if c.direct() {
		c.divideLines()
		return sequence(append(steps, b.step(parts(c.units, c.perPart), c.lines))...), nil
	}
	c.divide()
	return sequence(append(steps, b.step(parts(c.units, c.perPart), c.products))...), nil
}

// isProduct reports whether a convolution is the product of its weights, as they lie or widened, with
// x as it lies: each position sees one element, the next one the next. types are those of x and y.
func (c *convolving) isProduct(types ...ir.DType) bool {
	for _, t := range types {
		if t != ir.F32 {
			return false
		}
	}
	return !c.adjoint && c.kernel == 1 && c.groups == 1 && c.rows > 1 && c.walk == [3]int{1, 1, 1} && c.source == c.dest &&
		c.phases[0].taps[0] == [3]int{} && !copiesX(c.rows, prod(c.dest[:]), ir.F32, c.channels, 1)
}

// asProduct is the step of such a convolution.
func (c *convolving) asProduct(a kernels.Args) (kernels.Step, error) {
	n := prod(c.dest[:])
	w := weight{vec: c.x, row: n, col: 1}
	p := &product{b: c.b, batch: c.batch, m: c.rows, n: n, k: c.channels, act: c.act, y: c.y, offsets: c.bias,
		x: operand{vec: c.w, row: c.channels, col: 1, first: make([]int, c.batch)}}
	for z := range c.batch {
		w.first = append(w.first, z*c.channels*n)
	}
	p.w = []weight{w}
	if c.w.dtype == ir.F32 {
		return p.bind(a)
	}
	room, err := c.b.scratch(a, c.weights())
	if err != nil {
		return nil, err
	}
	c.a, p.x.vec = room, vecOf(room)
	multiply, err := p.bind(a)
	return sequence(c.widen(), multiply), err
}
