package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// product computes y = f(x w) for batch matrices x [m,k], w [k,n], y [m,n].
//
// Both are read where they lie if the kernels can: else x is copied once,
// widened, and w, unless it comes in panels (see N32), is packed a panel at a
// time by whoever needs it. Every element is one chain of fused multiply-adds
// over k, so neither tiles nor threads change a bit.
type product struct {
	b       *Backend
	batch   int
	m, n, k int
	x       operand
	w       []weight // one, or two for y = act(x w0) * (x w1)
	act     func(y []float32)
	y       vec
	offsets vec  // [m], added to the rows of y before act, or none; for one weight, and results in f32
	add     bool // to what y holds, which is f32, rather than write it; for one weight that is not packed

	from     operand  // x as it is read: itself, or its copy
	pairs    bool     // both operands go as pairs of bf16
	smallest smallest // numbers of x, if so
	tiles    []int    // first row of each tile, and m
	blocks   []int    // first tile of each block that shares a pass over a panel, and the number of tiles
	group    int      // panels of a unit of work
	units    int      // of work, for one matrix of the batch: a block times a group
	perPart  int      // units
	kc       int      // length of a block of k

	decode func(dst []float32, blocks []byte, from int) // of weights in blocks: len(dst) of them, from weight from on
}

// operand is x: element (i, k) of batch z is at first[z] + i*row + k*col.
type operand struct {
	vec
	row, col int
	first    []int
}

// weight is w. Packed, panel p of it begins at element p*32*k. Else element
// (k, j) of batch z is at first[z] + k*row + j*col.
type weight struct {
	vec
	packed   bool // N32
	coded    bool // BN32, of nf4
	row, col int
	first    []int
	bias     vec // [n], or none
}

// The memory of a worker, in floats.
const (
	maxBlock  = 384                        // rows that share a pass over a panel
	unpackedK = 512                        // rows of a matrix w that stay in the cache between tiles
	copiedK   = 256                        // rows of a matrix w that are copied at a time
	packedK   = 1024                       // rows of a panel that stay in the cache between tiles
	atPanel   = 0                          // a block of w, packed
	atRest    = unpackedK * asm.Panel      // what is left over of columns
	atBias    = atRest + unpackedK         // bias of the panels at hand
	atSum     = atBias + 8*asm.Panel       // sums that are not written to y directly
	atSum2    = atSum + maxBlock*asm.Panel // sums of the second weight
)

// bind settles tiles and parts and returns the step.
func (p *product) bind(a kernels.Args) (kernels.Step, error) {
	if p.batch*p.m*p.n == 0 {
		return p.b.step(0, nil), nil
	}
	p.pairs = p.pairable()
	copyX := p.copyX
	if p.pairs {
		copyX = p.pairX
	}
	copied, err := copyX(a)
	if err != nil {
		return nil, err
	}
	p.divide()
	run := p.b.step(parts(p.batch*p.units, p.perPart), p.part)
	if copied == nil {
		return run, nil
	}
	return sequence(copied, run), nil
}

// vector reports whether there is one row and packed weights, which several
// panels at once suit best.
func (p *product) vector() bool { return p.m == 1 && p.w[0].packed }

// part computes some units of work.
func (p *product) part(worker, id int) {
	lo, hi := span(id, p.batch*p.units, p.perPart)
	for ; lo < hi; lo++ {
		p.unit(p.b.local[worker], lo/p.units, lo%p.units)
	}
}

// unit computes a group of panels for a block of tiles.
func (p *product) unit(local []float32, z, id int) {
	panels := parts(p.n, asm.Panel)
	groups := parts(panels, p.group)
	lo, hi := span(id%groups, panels, p.group)
	if p.vector() {
		for ; lo+p.b.asm.Panels <= hi; lo += p.b.asm.Panels {
			p.row(local, z, lo)
		}
	}
	for ; lo < hi; lo++ {
		p.panel(local, z, id/groups, lo, hi)
	}
}

// row computes several panels of the only row.
func (p *product) row(local []float32, z, panel int) {
	j := panel * asm.Panel
	width := min(p.n-j, p.b.asm.Panels*asm.Panel)
	x := p.from.f32()[p.from.first[z]:]
	for i, w := range p.w {
		bias := p.biasOf(w.bias, local, j, p.b.asm.Panels*asm.Panel)
		y := local[atSum+i*(atSum2-atSum):]
		if p.intoY() && width == p.b.asm.Panels*asm.Panel {
			y = p.y.f32()[z*p.n+j:]
		}
		stride := p.k * asm.Panel * w.dtype.Size()
		p.b.asm.Gemv[w.storage()](p.k, first(x), w.at(panel*p.k*asm.Panel), stride, &y[0], bias)
	}
	p.finish(local, z*p.n+j, width, 0, width == p.b.asm.Panels*asm.Panel)
}

// panel computes one panel of a block of tiles. Of weights that are not packed,
// a last panel that is not full begins further to the left, and what was
// computed before is dropped. The panels after it, before end, follow.
func (p *product) panel(local []float32, z, block, panel, end int) {
	lo, hi := p.blocks[block], p.blocks[block+1]
	j := panel * asm.Panel
	width := min(p.n-j, asm.Panel)
	left := j
	if !p.w[0].packed && !p.w[0].coded {
		left = max(0, min(j, p.n-asm.Panel))
	}
	direct := p.intoY() && width == asm.Panel && (p.kc >= p.k || !p.copies(p.w[0])) // sums come back soon: rows of y may share sets of the caches
	row0 := p.tiles[lo]
	for r := row0; p.add && !direct && r < p.tiles[hi]; r++ {
		copy(local[atSum+(r-row0)*asm.Panel+j-left:][:width], p.y.f32()[(z*p.m+r)*p.n+j:])
	}
	for i, w := range p.w {
		bias := p.biasOf(w.bias, local, left, asm.Panel)
		y, ldy := local[atSum+i*(atSum2-atSum):], asm.Panel
		if direct {
			y, ldy = p.y.f32()[(z*p.m+row0)*p.n+j:], p.n
		}
		least := ^uint16(0)
		for k0 := 0; k0 == 0 || k0 < p.k; k0 += p.kc {
			n := min(p.kc, p.k-k0)
			from := p.weights(local, w, z, left, k0, n)
			least = min(least, from.least)
			from.least = least // of all that the sums are made of
			last, load := bias, 0
			if k0+n < p.k {
				last = nil
			}
			if k0 > 0 || p.add {
				load = 1
			}
			next := p.copiedNext(w, i, z, panel, k0+n, end)
			for t := lo; t < hi; t++ {
				next.ask(p.b.asm.Prefetch, t-lo, hi-lo)
				p.tile(z, t, k0, n, from, &y[(p.tiles[t]-row0)*ldy], ldy, last, load)
			}
		}
	}
	if len(p.w) == 2 && width == asm.Panel {
		p.gate(local, (z*p.m+row0)*p.n+j, p.tiles[hi]-row0)
		return
	}
	for r := row0; r < p.tiles[hi]; r++ {
		at := (z*p.m+r)*p.n + j
		if p.offsets.there() {
			y := local[atSum+(r-row0)*asm.Panel+j-left:][:width]
			if direct {
				y = p.y.f32()[at:][:width]
			}
			p.b.asm.AddS(y, y, p.offsets.one(r))
		}
		p.finish(local, at, width, (r-row0)*asm.Panel+j-left, direct)
	}
}

// gate makes rows of a panel, the first at element i of y, of the sums of two weights.
func (p *product) gate(local []float32, i, rows int) {
	sums := local[atSum:][:rows*asm.Panel]
	if p.act != nil {
		p.act(sums)
	}
	p.b.asm.Mul(sums, sums, local[atSum2:][:rows*asm.Panel])
	for r := range rows {
		p.y.store(i+r*p.n, sums[r*asm.Panel:][:asm.Panel])
	}
}

// tile computes n steps of k of a tile.
func (p *product) tile(z, t, k0, n int, w block, y *float32, ldy int, bias *float32, load int) {
	if p.pairs {
		p.pairTile(z, t, k0, n, w, y, ldy, bias, load)
		return
	}
	r, m := p.tiles[t], p.tiles[t+1]-p.tiles[t]
	x, k := &p.from, &p.b.asm
	switch at := x.first[z] + r*x.row + k0*x.col; {
	case n == 0:
		k.ByRow[asm.F32][m](0, nil, 0, nil, 0, y, ldy, bias, load)
	case x.col == 1:
		k.ByRow[w.storage][m](n, &x.f32()[at], x.row, w.p, w.ld, y, ldy, bias, load)
	default:
		k.ByCol[m](n, &x.f32()[at], x.col, w.p, w.ld, y, ldy, bias, load)
	}
}

// intoY reports whether sums may be written where y lies.
func (p *product) intoY() bool { return p.y.dtype == ir.F32 && len(p.w) == 1 }

// biasOf returns width biases from j on, or nil.
func (p *product) biasOf(bias vec, local []float32, j, width int) *float32 {
	if !bias.there() {
		return nil
	}
	if bias.dtype == ir.F32 && j+width <= p.n {
		return &bias.f32()[j]
	}
	buf := local[atBias : atBias+width]
	clear(buf)
	bias.load(buf[:min(width, p.n-j)], j)
	return &buf[0]
}

// finish applies the function to width sums that belong at element i of y, and
// stores them. They are there already if direct, else at offset of the sums.
func (p *product) finish(local []float32, i, width, offset int, direct bool) {
	if direct && p.intoY() {
		if p.act != nil {
			p.act(p.y.f32()[i : i+width])
		}
		return
	}
	p.y.store(i, p.combined(local, offset, width))
}

// combined is what becomes of width sums that lie at offset: the function of them, times those of the second weight.
func (p *product) combined(local []float32, offset, width int) []float32 {
	sum := local[atSum+offset:][:width]
	if p.act != nil {
		p.act(sum)
	}
	if len(p.w) > 1 {
		p.b.asm.Mul(sum, sum, local[atSum2+offset:][:width])
	}
	return sum
}

// first is the address of x[0], nil if there is none.
func first(x []float32) *float32 {
	if len(x) == 0 {
		return nil
	}
	return &x[0]
}

// checkWeight compares the shape of a weight with what x asks for.
func checkWeight(what string, t kernels.Tensor, want ...int) error {
	if len(t.Shape) != len(want) {
		return fmt.Errorf("%s has %d axes, want %d", what, len(t.Shape), len(want))
	}
	for i, n := range want {
		if t.Shape[i] != n {
			return fmt.Errorf("%s is %v, want %v", what, t.Shape, want)
		}
	}
	return nil
}
