package cpu

import (
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cpu/asm"
)

// pack writes one tile of x as [k][rows of the tile], in blocks that stay in
// the cache.
func (p *product) pack(worker, id int) {
	tiles := len(p.tiles) - 1
	z, t := id/tiles, id%tiles
	lo, m := p.tiles[t], p.tiles[t+1]-p.tiles[t]
	dst := p.packed[(z*p.m+lo)*p.k : (z*p.m+lo+m)*p.k]
	from := p.x.first[z] + lo*p.x.row
	if p.x.col != 1 {
		for l := range p.k {
			p.x.load(dst[l*m:l*m+m], from+l*p.x.col)
		}
		return
	}
	local := p.b.local[worker]
	columns := local[atColumns : atColumns+m*packBlock+asm.Panel]
	for l := 0; l < p.k; l += packBlock {
		n := min(packBlock, p.k-l)
		p.b.columns(columns, local, p.x.vec, from+l, p.x.row, m, n)
		copy(dst[l*m:], columns[:n*m])
	}
}

// columns writes n <= packBlock elements of each of m <= 32 rows of x, which
// begin stride apart at element i, as dst[l*m+r]. Up to 15 more floats of dst
// may change.
func (b *Backend) columns(dst, local []float32, x vec, i, stride, m, n int) {
	if x.dtype != ir.F32 {
		rows := local[atRows:]
		for r := range m {
			x.load(rows[r*packBlock:r*packBlock+n], i+r*stride)
		}
		x, i, stride = vecOf(rows), 0, packBlock
	}
	whole := n &^ 15
	if whole > 0 {
		b.asm.Interleave[asm.F32](m, whole, x.at(i), 4*stride, &dst[0])
	}
	from := x.f32()
	for r := range m {
		for l := whole; l < n; l++ {
			dst[l*m+r] = from[i+r*stride+l]
		}
	}
}

// block is some rows of a panel of w, ld floats apart; without a distance if
// they are packed and stored in another type than f32.
type block struct {
	p       *byte
	storage asm.Storage
	ld      int
}

func (b block) f32() *float32 { return (*float32)(unsafe.Pointer(b.p)) }

// direct reports whether panels of w can be read where they lie.
func (p *product) direct(w weight) bool {
	return !w.packed && w.dtype == ir.F32 && w.col == 1 && p.n >= asm.Panel
}

// weights returns n rows from k0 on of the panel whose first column is j,
// packed into local memory unless they can be read where they lie.
func (p *product) weights(local []float32, w weight, z, j, k0, n int) block {
	switch {
	case n == 0:
		return block{}
	case w.packed:
		return block{w.at(j*p.k + k0*asm.Panel), w.storage(), asm.Panel}
	case p.direct(w):
		return block{w.at(w.first[z] + k0*w.row + j), asm.F32, w.row}
	}
	to := local[atPanel : atPanel+n*asm.Panel]
	width := min(p.n-j, asm.Panel)
	if width < asm.Panel {
		clear(to)
	}
	from := w.first[z] + k0*w.row + j*w.col
	switch {
	case w.col == 1 && w.dtype == ir.F32 && width == asm.Panel:
		rows := w.f32()
		for k := range n {
			*(*[asm.Panel]float32)(to[k*asm.Panel:]) = *(*[asm.Panel]float32)(rows[from+k*w.row:])
		}
	case w.col == 1:
		for k := range n {
			w.load(to[k*asm.Panel:k*asm.Panel+width], from+k*w.row)
		}
	case width == asm.Panel:
		for k := 0; k < n; k += packBlock {
			p.b.columns(to[k*asm.Panel:], local, w.vec, from+k, w.col, asm.Panel, min(packBlock, n-k))
		}
	default:
		column := local[atRows : atRows+n]
		for c := range width {
			w.load(column, from+c*w.col)
			for k, v := range column {
				to[k*asm.Panel+c] = v
			}
		}
	}
	return block{vecOf(to).at(0), asm.F32, asm.Panel}
}
