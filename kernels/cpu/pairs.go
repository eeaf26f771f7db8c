package cpu

import (
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// Where both operands of a product are bf16, and the machine multiplies pairs
// of these, x is copied as pairs along k rather than widened, and panels of w
// are packed so. The chain over k is the same.

const (
	pairK     = 2 * unpackedK // elements of k of a packed panel of pairs, at most
	pairChunk = 128           // columns of a copy of x that are looked at together
	pairRows  = 4             // rows from which on pairs are worth packing
	pairLeast = 16            // of k: a copy of pairs is then not larger than one of floats

	// What a last pair lacks of an odd k. The product of the two is -0, which
	// alters no sum.
	xLacks, wLacks = 0, 0x8000
)

// pairable reports whether the product goes by pairs. One that adds to y may
// begin with any number, so that it doesn't.
func (p *product) pairable() bool {
	for _, w := range p.w {
		if w.dtype != ir.BF16 || w.coded {
			return false
		}
	}
	return p.b.asm.BF16.ByRow != nil && p.x.dtype == ir.BF16 && (p.x.col == 1 || p.x.row == 1) &&
		p.decode == nil && !p.add && p.m >= pairRows && p.k >= pairLeast
}

// pairBlock is the length of a block of k: evenly long, and whole pairs.
func pairBlock(k int) int {
	n := parts(k, parts(k, pairK))
	return n + n%2
}

// smallest is the smallest number of each block of k of some rows of x, in the
// form of asm.Smallest.
type smallest struct {
	least  []uint16 // [batch, blocks, chunks]
	blocks int
	chunks int
	rows   int // of x, of a chunk
}

// of is that of rows r to r+m of matrix z, in blocks of k up to block.
func (s *smallest) of(z, r, m, block int) uint16 {
	least := ^uint16(0)
	for b := range block + 1 {
		for c := r / s.rows; c <= (r+m-1)/s.rows; c++ {
			least = min(least, s.least[(z*s.blocks+b)*s.chunks+c])
		}
	}
	return least
}

// pairX returns the step that copies x as pairs. Its copy has rows of x, or,
// if x is transposed, rows of pairs, as that of floats.
func (p *product) pairX(a kernels.Args) (kernels.Step, error) {
	kc := pairBlock(p.k)
	s := smallest{blocks: parts(p.k, kc), rows: 1}
	rows, length := copied(p.m, parts(p.k, 2), p.x.col)
	ld := spaced(length)
	p.from = operand{row: ld, col: 1}
	if p.x.col != 1 {
		p.from.row, p.from.col, s.rows = 1, ld, pairChunk
	}
	s.chunks = parts(p.m, s.rows)
	units, floats := p.batch*s.blocks*s.chunks, p.batch*rows*ld
	room, err := p.b.scratch(a, floats+parts(units, 2))
	if err != nil {
		return nil, err
	}
	p.from.vec = vecOf(room[:floats])
	for z := range p.batch {
		p.from.first = append(p.from.first, z*rows*ld)
	}
	s.least = unsafe.Slice((*uint16)(unsafe.Pointer(&room[floats])), units)
	p.smallest = s
	perPart := max(1, grain/(kc*s.rows))
	return p.b.step(parts(units, perPart), func(worker, id int) {
		lo, hi := span(id, units, perPart)
		for ; lo < hi; lo++ {
			s.least[lo] = p.pairUnit(p.b.local[worker], lo/s.chunks/s.blocks, lo/s.chunks%s.blocks*kc, lo%s.chunks*s.rows)
		}
	}), nil
}

// pairUnit copies a block of k, from k0 on, of some rows of matrix z, from row
// r on.
func (p *product) pairUnit(local []float32, z, k0, r int) uint16 {
	seen := leastIn(local)
	n := min(pairBlock(p.k), p.k-k0)
	to := p.from.f32()[p.from.first[z]+r*p.from.row+k0/2*p.from.col:]
	from := p.x.first[z] + r*p.x.row + k0*p.x.col
	m := min(p.smallest.rows, p.m-r)
	if p.x.col == 1 {
		p.b.swapPairs(to, p.x.vec, from, n, xLacks, seen)
	} else {
		p.b.zipPairs(to, p.from.col, p.x.vec, from, p.x.col, n, m, xLacks, seen)
	}
	return seen.Of()
}

// leastIn is a worker's memory for the smallest number, without any yet.
func leastIn(local []float32) *asm.Smallest {
	seen := (*asm.Smallest)(unsafe.Pointer(&local[atRest]))
	seen.Reset()
	return seen
}

// swapPairs writes pairs of the n elements of x from element i on.
func (b *Backend) swapPairs(to []float32, x vec, i, n int, lacks uint16, seen *asm.Smallest) {
	whole := n / 2 &^ 15
	if whole > 0 {
		b.asm.BF16.Swap(whole, x.at(i), &to[0], &seen[0])
	}
	pairsOf(to[whole:], x, i+2*whole, 1, n-2*whole, lacks, seen, 1)
}

// zipPairs writes pairs of n rows of x, stride elements apart, the first from
// element i on, of width elements each, to rows ld apart.
func (b *Backend) zipPairs(to []float32, ld int, x vec, i, stride, n, width int, lacks uint16, seen *asm.Smallest) {
	whole, paired := width&^15, n&^1
	if whole > 0 && paired > 0 {
		b.asm.BF16.Zip(paired/2, whole, x.at(i), 2*stride, &to[0], ld, &seen[0])
	}
	for c := range width {
		done := 0
		if c < whole {
			done = paired
		}
		if done < n {
			pairsOf(to[done/2*ld+c:], x, i+done*stride+c, stride, n-done, lacks, seen, ld)
		}
	}
}

// pairsOf writes pairs of n elements of x, stride apart, one by one, ld apart.
func pairsOf(to []float32, x vec, i, stride, n int, lacks uint16, seen *asm.Smallest, ld int) {
	from := slice[uint16](x)
	for l := 0; l < n; l += 2 {
		upper, lower := from[i+l*stride], lacks
		if seen.See(upper); l+1 < n {
			lower = from[i+(l+1)*stride]
			seen.See(lower)
		}
		to[l/2*ld] = asm.Pair(upper, lower)
	}
}

// pairWeights packs n rows from k0 on of the panel whose first column is j as
// pairs into local memory.
func (p *product) pairWeights(local []float32, w *weight, z, j, k0, n int) block {
	to := local[atPanel : atPanel+parts(n, 2)*asm.Panel]
	seen := leastIn(local)
	width := min(p.n-j, asm.Panel)
	if width < asm.Panel {
		clear(to)
	}
	switch {
	case w.packed:
		p.b.zipPairs(to, asm.Panel, w.vec, j*p.k+k0*asm.Panel, asm.Panel, n, asm.Panel, wLacks, seen)
	case w.col == 1:
		p.b.zipPairs(to, asm.Panel, w.vec, w.first[z]+k0*w.row+j, w.row, n, width, wLacks, seen)
	default:
		p.turnPairs(to, w, w.first[z]+k0*w.row+j*w.col, n, width, seen)
	}
	return block{p: vecOf(to).at(0), ld: asm.Panel, least: seen.Of()}
}

// turnPairs packs columns of a panel that lie along k, from element i on.
func (p *product) turnPairs(to []float32, w *weight, i, n, width int, seen *asm.Smallest) {
	whole := 0
	if w.row == 1 && width == asm.Panel {
		whole = n / 2 &^ 15
	}
	if whole > 0 {
		p.b.asm.Interleave[asm.F32](asm.Panel, whole, w.at(i), 2*w.col, &to[0])
		p.b.asm.BF16.Swap(whole*asm.Panel, floatBytes(&to[0]), &to[0], &seen[0])
	}
	for c := range width {
		if 2*whole < n {
			pairsOf(to[whole*asm.Panel+c:], w.vec, i+2*whole*w.row+c*w.col, w.row, n-2*whole, wLacks, seen, asm.Panel)
		}
	}
}

// pairTile computes n steps of k, in pairs, of a tile.
func (p *product) pairTile(z, t, k0, n int, w block, y *float32, ldy int, bias *float32, load int) {
	r, m := p.tiles[t], p.tiles[t+1]-p.tiles[t]
	x, k := &p.from, &p.b.asm.BF16
	byRow, byCol := k.ByRow, k.ByCol
	if !asm.Normal(p.smallest.of(z, r, m, k0/p.kc), w.least) {
		byRow, byCol = k.SplitByRow, k.SplitByCol
	}
	from := &x.f32()[x.first[z]+r*x.row+k0/2*x.col]
	if x.col == 1 {
		byRow[m](parts(n, 2), from, x.row, w.p, w.ld, y, ldy, bias, load)
	} else {
		byCol[m](parts(n, 2), from, x.col, w.p, w.ld, y, ldy, bias, load)
	}
}
