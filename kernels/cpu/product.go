package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// product computes y = f(x w) for batch matrices x [m,k], w [k,n], y [m,n].
//
// x is packed into tiles of rows, k-major, once; w comes packed in panels
// (see N32), or is packed a block at a time by whoever needs it. Every element
// is one chain of fused multiply-adds over k, so neither tiles nor threads
// change a bit.
type product struct {
	b       *Backend
	batch   int
	m, n, k int
	x       operand
	w       []weight // one, or two for y = act(x w0) * (x w1)
	bias    vec      // [n], or none
	act     func(y []float32)
	y       vec

	packed []float32 // x in tiles, or nil if x is read where it lies
	tiles  []int     // first row of each tile, and m
	block  int       // tiles that share a pass over a panel
	group  int       // panels of one part
	kc     int       // length of a block of k
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
	packed   bool
	row, col int
	first    []int
}

// The memory of a worker, in floats.
const (
	maxBlock  = 240                        // rows that share a pass over a panel
	unpackedK = 512                        // rows of w that are packed at a time
	packedK   = 1024                       // rows of a panel that stay in the cache between tiles
	atPanel   = 0                          // a block of w, packed
	atColumn  = unpackedK * asm.Panel      // a column of w on its way there
	atBias    = atColumn + unpackedK       // bias of the panels at hand
	atSum     = atBias + 8*asm.Panel       // sums that are not written to y directly
	atSum2    = atSum + maxBlock*asm.Panel // sums of the second weight
)

// packsX reports whether x must be packed: one contiguous row of f32 needn't.
func packsX(m int, d ir.DType, col int) bool { return m > 1 || d != ir.F32 || col != 1 }

// productScratch returns the bytes of packed x.
func productScratch(batch, m, k int, d ir.DType, col int) int64 {
	if !packsX(m, d, col) {
		return 0
	}
	return 4 * int64(batch) * int64(m) * int64(k)
}

// bind settles tiles and parts and returns the step.
func (p *product) bind(a kernels.Args) (kernels.Step, error) {
	if p.batch*p.m*p.n == 0 {
		return p.b.step(0, nil), nil
	}
	if packsX(p.m, p.x.dtype, p.x.col) {
		var err error
		if p.packed, err = p.b.scratch(a, p.batch*p.m*p.k); err != nil {
			return nil, err
		}
	}
	height := p.b.asm.Rows
	count := parts(p.m, height)
	for t := range count + 1 {
		p.tiles = append(p.tiles, t*p.m/count)
	}
	p.block = min(count, maxBlock/height)
	p.kc = max(p.k, 1)
	if !p.w[0].packed {
		p.kc = unpackedK
	} else if p.block > 1 {
		p.kc = packedK
	}
	// A part should take some microseconds: here nanoseconds to read a panel,
	// and to multiply it.
	panel := p.k*asm.Panel*p.w[0].dtype.Size()/40 + p.k*min(p.m, p.block*height)*asm.Panel/100
	p.group = max(1, 8000/max(panel, 1))
	if p.vector() {
		p.group = (p.group + p.b.asm.Panels - 1) / p.b.asm.Panels * p.b.asm.Panels
	}
	n := p.batch * parts(count, p.block) * parts(parts(p.n, asm.Panel), p.group)
	run := p.b.step(n, p.part)
	if p.packed == nil {
		return run, nil
	}
	pack := p.b.step(p.batch*count, p.pack)
	return sequence(pack, run), nil
}

// vector reports whether there is one row and packed weights, which several
// panels at once suit best.
func (p *product) vector() bool { return p.m == 1 && p.w[0].packed }

// pack writes one tile of x as [k][rows of the tile], in blocks that stay in
// the cache.
func (p *product) pack(worker, id int) {
	tiles := len(p.tiles) - 1
	z, t := id/tiles, id%tiles
	lo, m := p.tiles[t], p.tiles[t+1]-p.tiles[t]
	dst := p.packed[(z*p.m+lo)*p.k : (z*p.m+lo+m)*p.k]
	from := p.x.first[z] + lo*p.x.row
	buf := p.b.local[worker][:packBlock]
	if p.x.row == 1 {
		for l := range p.k {
			p.x.load(dst[l*m:l*m+m], from+l*p.x.col)
		}
		return
	}
	for l := 0; l < p.k; l += packBlock {
		n := min(packBlock, p.k-l)
		for i := range m {
			interleaveRow(dst[l*m+i:], p.x.tile(buf, from+i*p.x.row+l, n), m)
		}
	}
}

// packBlock is how many elements of a row are packed at a time.
const packBlock = 128

// interleaveRow is dst[l*m] = x[l].
func interleaveRow(dst, x []float32, m int) {
	for l, v := range x {
		dst[l*m] = v
	}
}

// part computes a group of panels for a block of tiles.
func (p *product) part(worker, id int) {
	panels := parts(p.n, asm.Panel)
	groups, blocks := parts(panels, p.group), parts(len(p.tiles)-1, p.block)
	lo, hi := span(id%groups, panels, p.group)
	block, z := id/groups%blocks, id/groups/blocks
	local := p.b.local[worker]
	if p.vector() {
		for ; lo+p.b.asm.Panels <= hi; lo += p.b.asm.Panels {
			p.row(local, z, lo)
		}
	}
	for ; lo < hi; lo++ {
		p.panel(local, z, block, lo)
	}
}

// row computes several panels of the only row.
func (p *product) row(local []float32, z, panel int) {
	j := panel * asm.Panel
	width := min(p.n-j, p.b.asm.Panels*asm.Panel)
	x := p.packed
	if x == nil {
		x = p.x.f32()[p.x.first[z]:]
	} else {
		x = x[z*p.k:]
	}
	bias := p.biasOf(local, j, p.b.asm.Panels*asm.Panel)
	for i, w := range p.w {
		y := local[atSum+i*(atSum2-atSum):]
		if p.direct() && width == p.b.asm.Panels*asm.Panel {
			y = p.y.f32()[z*p.n+j:]
		}
		stride := p.k * asm.Panel * w.dtype.Size()
		p.b.asm.Gemv[w.storage()](p.k, first(x), w.at(panel*p.k*asm.Panel), stride, &y[0], bias)
	}
	p.finish(local, z*p.n+j, width, 0, width == p.b.asm.Panels*asm.Panel)
}

// panel computes one panel of a block of tiles.
func (p *product) panel(local []float32, z, block, panel int) {
	lo, hi := span(block, len(p.tiles)-1, p.block)
	j := panel * asm.Panel
	width := min(p.n-j, asm.Panel)
	direct := p.direct() && width == asm.Panel
	bias := p.biasOf(local, j, asm.Panel)
	row0 := p.tiles[lo]
	for i, w := range p.w {
		y, ldy := local[atSum+i*(atSum2-atSum):], asm.Panel
		if direct {
			y, ldy = p.y.f32()[(z*p.m+row0)*p.n+j:], p.n
		}
		for k0 := 0; k0 == 0 || k0 < p.k; k0 += p.kc {
			n := min(p.kc, p.k-k0)
			from, storage := p.weights(local, w, z, panel, k0, n)
			last, load := bias, 0
			if k0+n < p.k {
				last = nil
			}
			if k0 > 0 {
				load = 1
			}
			for t := lo; t < hi; t++ {
				r, m := p.tiles[t], p.tiles[t+1]-p.tiles[t]
				x := p.rows(z, r, k0, m)
				p.b.asm.Gemm[storage][m](n, x, from, &y[(r-row0)*ldy], ldy, last, load)
			}
		}
	}
	for r := row0; r < p.tiles[hi]; r++ {
		p.finish(local, (z*p.m+r)*p.n+j, width, (r-row0)*asm.Panel, direct)
	}
}

// direct reports whether sums may be written where y lies.
func (p *product) direct() bool { return p.y.dtype == ir.F32 && len(p.w) == 1 }

// rows returns the packed tile of m rows from r on, at k0.
func (p *product) rows(z, r, k0, m int) *float32 {
	if p.packed == nil {
		return first(p.x.f32()[p.x.first[z]+k0:])
	}
	return first(p.packed[(z*p.m+r)*p.k+k0*m:])
}

// weights returns n rows of a panel from k0 on, packed.
func (p *product) weights(local []float32, w weight, z, panel, k0, n int) (*byte, asm.Storage) {
	if n == 0 {
		return nil, asm.F32
	}
	if w.packed {
		return w.at((panel*p.k + k0) * asm.Panel), w.storage()
	}
	to := vecOf(local[atPanel : atPanel+n*asm.Panel])
	width := min(p.n-panel*asm.Panel, asm.Panel)
	from := w.first[z] + k0*w.row + panel*asm.Panel*w.col
	if width < asm.Panel {
		clear(to.f32())
	}
	if w.col == 1 {
		for k := range n {
			w.load(to.f32()[k*asm.Panel:k*asm.Panel+width], from+k*w.row)
		}
		return to.at(0), asm.F32
	}
	column := local[atColumn : atColumn+n]
	for j := range width {
		w.load(column, from+j*w.col)
		for k, v := range column {
			to.f32()[k*asm.Panel+j] = v
		}
	}
	return to.at(0), asm.F32
}

// biasOf returns width biases from j on, or nil.
func (p *product) biasOf(local []float32, j, width int) *float32 {
	if !p.bias.there() {
		return nil
	}
	if p.bias.dtype == ir.F32 && j+width <= p.n {
		return &p.bias.f32()[j]
	}
	buf := local[atBias : atBias+width]
	clear(buf)
	p.bias.load(buf[:min(width, p.n-j)], j)
	return &buf[0]
}

// finish applies the function to width sums that belong at element i of y, and
// stores them. They are there already if direct, else at offset of the sums.
func (p *product) finish(local []float32, i, width, offset int, direct bool) {
	if direct && p.direct() {
		if p.act != nil {
			p.act(p.y.f32()[i : i+width])
		}
		return
	}
	sum := local[atSum+offset:][:width]
	if p.act != nil {
		p.act(sum)
	}
	if len(p.w) > 1 {
		for j, v := range local[atSum2+offset:][:width] {
			sum[j] *= v
		}
	}
	p.y.store(i, sum)
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
