package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// convGrad computes the gradient of a convolution's weight as products: a row
// of dy times columns of what an element of the kernel sees of x. A sum runs
// over samples and then positions, in order.
//
//	x [batch, groups*channels, source...]   dy [batch, groups*rows, dest...]   dw [groups*rows, channels, kernel...]
//
// It reads x as the convolution does, whose geometry it has. Where columns would cost more than their products, there
// are sums over lines instead: see correlating.
type convGrad struct {
	convolving
	dy, dw      vec
	k           int   // positions of a sample
	heights     []int // first row of each tile, and rows
	blocks      []int
	group       int // panels of a unit
	gradPerPart int
}

// The memory of a worker, in floats.
const (
	gradRows   = 256 // rows of a block
	gradPanels = 2
	seenBlock  = 128        // positions on their way to columns
	gradLead   = convK + 16 // distance of rows of dy, which are not crowded so
	atSeen     = gradPanels * convK * asm.Panel
	atDy       = atSeen + asm.Panel*seenBlock
	atGradSums = atDy + gradRows*gradLead
)

func convGradOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	_, ok := attr.(op.ConvAttr)
	if !ok || len(in) != 2 || !stored(in[0].DType) || !stored(in[1].DType) || !stored(out[0].DType) {
		return nil, false
	}
	return kernel{bind: func(a kernels.Args) (kernels.Step, error) { return bindConvGrad(b, a) }}, true
}

func bindConvGrad(b *Backend, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	typ := func(t kernels.Tensor) ir.Type { return ir.T(t.DType, t.Shape...) }
	c, err := newConvolution(b, false, a.Attr, typ(a.In[0]), typ(a.Out[0]), typ(a.In[1]))
	if err != nil {
		return nil, err
	}
	g := &convGrad{convolving: *c, dy: vs[1], dw: vs[2]}
	g.x, g.k = vs[0], prod(c.dest[:])
	if want := g.batch * g.groups * g.rows * g.k; g.dy.n != want {
		return nil, fmt.Errorf("dy has %d elements, want %d", g.dy.n, want)
	}
	if g.dw.n == 0 {
		return b.step(0, nil), nil
	}
	if l, ok := g.asLines(); ok {
		return b.step(parts(l.count(l.rowsOf, l.deep), l.perPart), l.gradients), nil
	}
	g.divideGrad()
	return b.step(parts(g.units, g.gradPerPart), g.gradients), nil
}

// divideGrad settles blocks and parts. Nothing here changes a bit.
func (g *convGrad) divideGrad() {
	height := g.b.asm.Rows
	g.heights = evenly(g.rows, parts(g.rows, height))
	count := len(g.heights) - 1
	blocks := parts(g.rows, gradRows-height)
	panels := parts(g.channels*g.kernel, asm.Panel)
	g.group = min(panels, gradPanels)
	for g.group > 1 && g.groups*blocks*parts(panels, g.group) < 4*g.b.Threads() {
		g.group /= 2
	}
	g.blocks = evenly(count, min(count, blocks))
	g.units = g.groups * (len(g.blocks) - 1) * parts(panels, g.group)
	g.gradPerPart = max(1, shortPart/max(1, g.batch*g.k*g.group*asm.Panel*(g.rows/blocks+16)/50))
}

// gradients computes some units of work.
func (g *convGrad) gradients(worker, id int) {
	lo, hi := span(id, g.units, g.gradPerPart)
	for ; lo < hi; lo++ {
		g.gradUnit(g.b.local[worker], lo)
	}
}

// gradUnit computes a block of rows of a group of panels of dw.
func (g *convGrad) gradUnit(local []float32, id int) {
	columns := g.channels * g.kernel
	panels := parts(columns, asm.Panel)
	groups := parts(panels, g.group)
	lo, hi := span(id%groups, panels, g.group)
	id /= groups
	blocks, tiles := len(g.blocks)-1, g.heights
	group, from, to := id/blocks, g.blocks[id%blocks], g.blocks[id%blocks+1]
	row0, end := tiles[from], tiles[to]
	load := 0
	for n := range g.batch {
		for k0 := 0; k0 < g.k; k0 += convK {
			m := min(convK, g.k-k0)
			for row := row0; row < end; row++ {
				g.dy.load(local[atDy+(row-row0)*gradLead:][:m], ((n*g.groups+group)*g.rows+row)*g.k+k0)
			}
			for i := lo; i < hi; i++ {
				b := local[(i-lo)*convK*asm.Panel:]
				g.turned(local, b, n, group, i*asm.Panel, k0, m)
				for t := from; t < to; t++ {
					row := tiles[t] - row0
					g.b.asm.ByRow[asm.F32][tiles[t+1]-tiles[t]](m, &local[atDy+row*gradLead], gradLead, floatBytes(&b[0]), asm.Panel,
						&local[atGradSums+((i-lo)*gradRows+row)*asm.Panel], asm.Panel, nil, load)
				}
			}
			load = 1
		}
	}
	for i := lo; i < hi; i++ {
		width := min(asm.Panel, columns-i*asm.Panel)
		for row := row0; row < end; row++ {
			sums := local[atGradSums+((i-lo)*gradRows+row-row0)*asm.Panel:][:width]
			if load == 0 {
				clear(sums)
			}
			g.dw.store((group*g.rows+row)*columns+i*asm.Panel, sums)
		}
	}
}

// turned writes what m positions from k0 on of a sample see, for a panel of
// columns of dw: position l of column j at to[l*32+j].
func (g *convGrad) turned(local, to []float32, n, group, column, k0, m int) {
	rows, p := local[atSeen:atDy], &g.phases[0]
	width := min(asm.Panel, g.channels*g.kernel-column)
	clear(rows[width*seenBlock:])
	for l := 0; l < m; l += seenBlock {
		count := min(seenBlock, m-l)
		for j := range width {
			ch, t := (column+j)/g.kernel, (column+j)%g.kernel
			g.positions(rows[j*seenBlock:][:count], p, (n*g.groups+group)*g.channels+ch, t, k0+l)
		}
		whole := count &^ 15
		if whole > 0 {
			g.b.asm.Interleave[asm.F32](asm.Panel, whole, floatBytes(&rows[0]), 4*seenBlock, &to[l*asm.Panel])
		}
		for i := whole; i < count; i++ {
			for j := range asm.Panel {
				to[(l+i)*asm.Panel+j] = rows[j*seenBlock+i]
			}
		}
	}
}

// positions writes what positions from the given one on see of a plane of x
// through a tap.
func (g *convGrad) positions(to []float32, p *convPhase, plane, t, from int) {
	s, tap := g.source, &p.taps[t]
	for len(to) > 0 {
		p2, line := from%g.size[2], from/g.size[2]
		n := min(len(to), g.size[2]-p2)
		e0, e1 := tap[0]+line/g.size[1]*g.walk[0], tap[1]+line%g.size[1]*g.walk[1]
		if uint(e0) >= uint(s[0]) || uint(e1) >= uint(s[1]) {
			clear(to[:n])
		} else {
			g.copyLine(to[:n], ((plane*s[0]+e0)*s[1]+e1)*s[2], tap[2]+p2*g.walk[2], g.walk[2])
		}
		to, from = to[n:], from+n
	}
}
