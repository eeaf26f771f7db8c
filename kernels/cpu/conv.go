package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// convolving computes a convolution, or its adjoint, as products: a row of the
// result is a row of weights times patches of x, which are packed a panel of
// positions at a time, so that no matrix of patches ever exists.
//
//	x [batch, groups*channels, source...]   y [batch, groups*rows, dest...]
//
// The adjoint of stride s is s convolutions of stride 1, each of every s-th
// position with every s-th element of the kernel: the phases. Every element is
// one chain of fused multiply-adds over channels and then the kernel, so
// neither tiles nor threads change a bit. Where there are few rows, lines of y
// are sums of lines of x instead: see direct.
type convolving struct {
	b              *Backend
	batch, groups  int
	rows, channels int    // of a group
	source, dest   [3]int // spatial sizes; those in front are 1 where there are fewer axes
	walk           [3]int // elements of x from one position to the next
	phases         []convPhase
	kernel         int // elements of the kernel
	adjoint        bool
	algorithm      string // as the plan says, or ""
	x, w, y, bias  vec
	act            func(y []float32)
	a              []float32 // weights as the products read them
	aRow, aColumn  int       // distances of rows, 0 if it is the length of a row, and of columns in a phase's part of a
	aFloats        int       // of a, if weights are copied
	units          int
	perPart        int
}

// convPhase is a set of positions that use the same elements of the kernel.
type convPhase struct {
	size        [3]int   // positions
	start, step [3]int   // position p is element start + p*step of y
	taps        [][3]int // which element of x position 0 sees
	element     []int    // of the kernel, for each tap
	lasts       int      // taps along the last axis, which lie evenly apart
	first       int      // where the phase's weights begin in a
	groupFloats int      // of the weights of a group
	firstUnit   int
	tiles       []int // first row of each tile, and rows
	blocks      []int // first tile of each block of rows, and the number of tiles
	group       int   // panels of a unit
	blockRows   int   // rows of a block, at most
}

// fewRows is the greatest number of rows of a group for which lines are summed
// directly where the plan does not say.
const fewRows = 2

// direct reports whether lines are summed: packing patches would cost as much
// as what is computed of them.
func (c *convolving) direct() bool {
	return c.algorithm == op.Lines || c.algorithm == "" && c.rows <= fewRows
}

// positions of a phase in all samples: the columns of its products.
func (c *convolving) columns(p *convPhase) int { return c.batch * prod(p.size[:]) }

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
	c := &convolving{b: b, adjoint: adjoint, algorithm: convAlgorithm(attr), batch: xs[0], groups: at.Groups, rows: ys[1] / at.Groups, channels: xs[1] / at.Groups,
		source: pad3(xs[2:], 1), dest: pad3(ys[2:], 1), kernel: prod(ws[2:])}
	stride, before := pad3(at.Stride.Slice(), 1), pad3(at.Before.Slice(), 0)
	kernel, dilation := pad3(ws[2:], 1), pad3(at.Dilation.Slice(), 1)
	if adjoint {
		c.walk = [3]int{1, 1, 1}
		c.phases = adjointPhases(c.dest, kernel, stride, before, dilation)
	} else {
		c.walk = stride
		p := convPhase{size: c.dest, step: [3]int{1, 1, 1}}
		var along [3][]axisTap
		for d := range along {
			for k := range kernel[d] {
				along[d] = append(along[d], axisTap{k*dilation[d] - before[d], k})
			}
		}
		p.cross(along, kernel)
		c.phases = []convPhase{p}
	}
	c.aColumn = 1
	if k := c.channels * c.kernel; adjoint && !c.direct() {
		c.aRow, c.aColumn = 1, c.rows
	} else if c.spread() {
		c.aRow = k + 16
	}
	for i := range c.phases {
		p := &c.phases[i]
		p.first, p.groupFloats = c.aFloats, c.rows*c.channels*len(p.taps)
		if c.aRow > 1 {
			p.groupFloats = c.rows * c.aRow
		}
		c.aFloats += c.groups * p.groupFloats
	}
	return c, nil
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

// adjointPhases cuts the positions of a result of the given size by their
// rest modulo the stride. Taps are in rising order of what they see.
func adjointPhases(size, kernel, stride, before, dilation [3]int) []convPhase {
	var out []convPhase
	for i := range prod(stride[:]) {
		rest := [3]int{i / stride[2] / stride[1], i / stride[2] % stride[1], i % stride[2]}
		p := convPhase{start: rest, step: stride}
		var along [3][]axisTap
		for d := range along {
			p.size[d] = max(0, (size[d]-rest[d]+stride[d]-1)/stride[d])
			for k := kernel[d] - 1; k >= 0; k-- {
				if e := rest[d] + before[d] - k*dilation[d]; e%stride[d] == 0 {
					along[d] = append(along[d], axisTap{e / stride[d], k})
				}
			}
		}
		if prod(p.size[:]) == 0 {
			continue
		}
		p.cross(along, kernel)
		out = append(out, p)
	}
	return out
}

// prepares reports whether weights must be copied: to another type or order,
// or since their rows would fall on the same lines of the caches.
func (c *convolving) prepares(w ir.DType) bool {
	return c.adjoint || w != ir.F32 || c.spread()
}

// spread reports whether rows of weights would fall on the same lines of the
// caches, and are copied further apart.
func (c *convolving) spread() bool {
	return !c.adjoint && !c.direct() && crowded(c.channels*c.kernel)
}

// weightRow is the distance of rows of weights of a phase, in floats.
func (c *convolving) weightRow(p *convPhase) int {
	if c.aRow > 0 {
		return c.aRow
	}
	return c.channels * len(p.taps)
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
		return kernel{
			bind: func(a kernels.Args) (kernels.Step, error) {
				if convAlgorithm(a.Attr) == op.Winograd {
					return bindWinograd(b, inPlace(act), a)
				}
				return bindConv(b, adjoint, inPlace(act), a)
			},
			scratch: func(attr any, in, out []ir.Type) int64 {
				if convAlgorithm(attr) == op.Winograd {
					if q, err := newWinograd(b, attr, in[0], in[1], out[0]); err == nil {
						u, v := q.floats()
						return 4 * int64(u+v)
					}
					return 0 // bind says why
				}
				if c, err := newConvolution(b, adjoint, attr, in[0], in[1], out[0]); err == nil && c.prepares(in[1].DType) {
					return 4 * int64(c.aFloats)
				}
				return 0
			},
		}, true
	}
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
	if c.w.n != c.groups*c.rows*c.channels*c.kernel {
		return nil, fmt.Errorf("weight has %d elements, want %d x %d x %d", c.w.n, c.groups*c.rows, c.channels, c.kernel)
	}
	if c.y.n == 0 {
		return b.step(0, nil), nil
	}
	steps := []kernels.Step{}
	if c.prepares(c.w.dtype) {
		if c.a, err = b.scratch(a, c.aFloats); err != nil {
			return nil, err
		}
		steps = append(steps, b.step(c.groups*c.channels, c.prepare))
	} else {
		c.a = c.w.f32()
	}
	if c.direct() {
		if err := c.divideLines(); err != nil {
			return nil, err
		}
		steps = append(steps, b.step(parts(c.units, c.perPart), c.lines))
	} else {
		c.divide()
		steps = append(steps, b.step(parts(c.units, c.perPart), c.products))
	}
	return sequence(steps...), nil
}

// prepare copies the weights of one channel of x to where products read them.
func (c *convolving) prepare(worker, id int) {
	g, ch := id/c.channels, id%c.channels
	from, next, row := (g*c.rows*c.channels+ch)*c.kernel, c.channels*c.kernel, 0
	if c.adjoint {
		from, next = id*c.rows*c.kernel, c.kernel
		if c.aRow == 1 {
			row = c.prepareColumns(c.b.local[worker], from, g, ch)
		}
	}
	for j := range c.phases {
		p := &c.phases[j]
		for t, e := range p.element {
			to, step := c.a[p.first+g*p.groupFloats+(ch*len(p.taps)+t)*c.aColumn:], c.weightRow(p)
			if c.w.dtype != ir.F32 {
				for i := row; i < c.rows; i++ {
					to[i*step] = c.w.one(from + e + i*next)
				}
				continue
			}
			w := c.w.f32()[from+e:]
			for i := row; i < c.rows; i++ {
				to[i*step] = w[i*next]
			}
		}
	}
}

// prepareColumns copies the weights of one channel for as many rows as it can, 32 at a
// time, and returns how many. What the kernels read beyond a row is not used.
func (c *convolving) prepareColumns(local []float32, from, g, ch int) (row int) {
	n := multiple(c.kernel, 16)
	if (n+1)*asm.Panel > localFloats {
		return 0
	}
	for ; row+asm.Panel <= c.rows && from+(row+asm.Panel-1)*c.kernel+n <= c.w.n; row += asm.Panel {
		c.b.asm.Interleave[c.w.storage()](asm.Panel, n, c.w.at(from+row*c.kernel), c.kernel*c.w.dtype.Size(), &local[0])
		for j := range c.phases {
			p := &c.phases[j]
			to := c.a[p.first+g*p.groupFloats+ch*len(p.taps)*c.aColumn+row:]
			for t, e := range p.element {
				*(*[asm.Panel]float32)(to[t*c.aColumn:]) = *(*[asm.Panel]float32)(local[e*asm.Panel:])
			}
		}
	}
	return row
}

// weights returns the weights of row i of a group from column k on.
func (c *convolving) weights(p *convPhase, g, i, k int) *float32 {
	return &c.a[p.first+g*p.groupFloats+i*c.weightRow(p)+k*c.aColumn]
}
