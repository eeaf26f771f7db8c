package cpu

import (
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// crowded reports whether rows that far apart, in floats, fall on the same few
// lines of the caches.
func crowded(stride int) bool { return stride%1024 == 0 }

// copiesX reports whether x must be copied: if it is not f32, or its rows are
// crowded and copying them is little beside the product.
func copiesX(m, n int, d ir.DType, row, col int) bool {
	return d != ir.F32 || m > 8 && n >= 1024 && row != 1 && crowded(row)
}

// spaced is the distance of rows of n floats in a copy.
func spaced(n int) int {
	if crowded(n) {
		return n + asm.Panel/2
	}
	return n
}

// copied is the rows of memory of x, and their length.
func copied(m, k, col int) (rows, length int) {
	if col == 1 {
		return m, k
	}
	return k, m
}

// productScratch returns the bytes of the copy of x.
func productScratch(batch, m, n, k int, d ir.DType, row, col int) int64 {
	if !copiesX(m, n, d, row, col) {
		return 0
	}
	rows, length := copied(m, k, col)
	return 4 * int64(batch) * int64(rows) * int64(spaced(length))
}

// copyX returns the step that copies x, or nil if x can be read where it lies.
func (p *product) copyX(a kernels.Args) (kernels.Step, error) {
	if p.from = p.x; !copiesX(p.m, p.n, p.x.dtype, p.x.row, p.x.col) {
		return nil, nil
	}
	rows, length := copied(p.m, p.k, p.x.col)
	ld := spaced(length)
	room, err := p.b.scratch(a, p.batch*rows*ld)
	if err != nil {
		return nil, err
	}
	p.from = operand{vec: vecOf(room), row: ld, col: 1}
	stride := p.x.row
	if p.x.col != 1 {
		p.from.row, p.from.col = 1, ld
		stride = p.x.col
	}
	for z := range p.batch {
		p.from.first = append(p.from.first, z*rows*ld)
	}
	perPart := max(1, grain/max(length, 1))
	return p.b.step(parts(p.batch*rows, perPart), func(_, id int) {
		lo, hi := span(id, p.batch*rows, perPart)
		for i := lo; i < hi; i++ {
			p.x.load(room[i*ld:i*ld+length], p.x.first[i/rows]+i%rows*stride)
		}
	}), nil
}

// columns writes n elements of each of the asm.Panel rows of x that begin
// stride apart at element i, as dst[l*asm.Panel+r].
func (b *Backend) columns(dst, local []float32, x vec, i, stride, n int) {
	whole := n &^ 15
	if whole > 0 {
		b.asm.Interleave[x.storage()](asm.Panel, whole, x.at(i), x.dtype.Size()*stride, &dst[0])
	}
	rest := local[atRest : atRest+n-whole]
	for r := range asm.Panel {
		x.load(rest, i+r*stride+whole)
		for l, v := range rest {
			dst[(whole+l)*asm.Panel+r] = v
		}
	}
}

// block is some rows of a panel of w, ld elements apart.
type block struct {
	p       *byte
	storage asm.Storage
	ld      int
	least   uint16 // of pairs, the smallest number
}

// copies reports whether panels of w are copied. Of f32 few rows of x do better without; many go through a panel so often
// that it should lie in one piece, since each row of w may take a page, and the more so where these are a multiple of 2 KiB
// apart and share few sets of the caches.
func (p *product) copies(w weight) bool {
	few := 8 * p.b.asm.Rows
	if w.row*4%2048 == 0 {
		few = 2 * p.b.asm.Rows
	}
	return !w.packed && (p.m >= few || w.dtype != ir.F32 || w.col != 1 || p.n < asm.Panel)
}

// weights returns n rows from k0 on of the panel whose first column is j,
// packed into local memory unless they can be read where they lie.
func (p *product) weights(local []float32, w weight, z, j, k0, n int) block {
	switch {
	case n == 0:
		return block{}
	case p.pairs:
		return p.pairWeights(local, &w, z, j, k0, n)
	case w.packed:
		return block{p: w.at(j*p.k + k0*asm.Panel), storage: w.storage(), ld: asm.Panel}
	case !p.copies(w) && j+asm.Panel <= p.n:
		return block{p: w.at(w.first[z] + k0*w.row + j), ld: w.row}
	}
	to := local[atPanel : atPanel+n*asm.Panel]
	width := min(p.n-j, asm.Panel)
	if width < asm.Panel {
		clear(to)
	}
	from := w.first[z] + k0*w.row + j*w.col
	switch {
	case w.coded:
		p.b.asm.UnpackNF4(n/64, &w.bytes8()[j/asm.Panel*nf4PanelBytes(p.k)+k0/64*asm.NF4Panel], &to[0])
	case p.decode != nil:
		column := local[atRest : atRest+n]
		for c := range width {
			p.decode(column, w.bytes8(), from+c*w.col)
			for k, v := range column {
				to[k*asm.Panel+c] = v
			}
		}
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
		p.b.columns(to, local, w.vec, from, w.col, n)
	default:
		column := local[atRest : atRest+n]
		for c := range width {
			w.load(column, from+c*w.col)
			for k, v := range column {
				to[k*asm.Panel+c] = v
			}
		}
	}
	return block{p: vecOf(to).at(0), ld: asm.Panel}
}

// copiedNext is what weights will copy after row k0 of a panel: of that panel, or the first rows of the next before end. What
// lies in rows of its own is waited for long, unless it was asked for.
func (p *product) copiedNext(w weight, i, z, panel, k0, end int) upcoming {
	if k0 >= p.k {
		panel, k0 = panel+1, 0
	}
	n := min(p.kc, p.k-k0)
	if !p.copies(w) || w.coded || w.col != 1 || p.decode != nil || len(p.w) > 1 || panel >= end || (panel+1)*asm.Panel > p.n || n == 0 {
		return upcoming{}
	}
	size, stride := w.dtype.Size(), w.row*w.dtype.Size()
	from := unsafe.Slice(w.at(w.first[z]+k0*w.row+panel*asm.Panel), (n-1)*stride+asm.Panel*size)
	return upcoming{from, n, asm.Panel*size - 1, stride}
}

// floatBytes is the address of a float as that of a stored element.
func floatBytes(p *float32) *byte { return (*byte)(unsafe.Pointer(p)) }
