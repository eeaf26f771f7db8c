package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// attending is what attention and its gradient share: the shapes, which keys a
// query sees, and how queries and keys are packed for products.
//
// The heads that read the same keys form a group. Its rows are its queries,
// position by position, and in a position head by head; so rows that follow one
// another see the same keys or later ones. Keys are taken in blocks that begin
// at multiples of block, whoever looks at them, so that a query's result
// depends neither on the room for keys nor on the other queries.
type attending struct {
	b                 *Backend
	at                op.AttentionAttr
	q, k, v, mask     vec
	past              *pasts
	segments          documents
	lengths           *indices  // keys of each sequence; nil for all
	slopes, ramp      []float32 // of ALiBi, by head; and 0, 1, 2 ...
	batch, seq, heads int
	d, dv             int
	keys, groups      int
	share             int   // heads of a group
	same              int   // groups in a row that have the same keys and values: parts of one
	maskStrides       []int // along batch, heads, seq, t; by distance: along batch, heads, 1, distances
	oneSequence       bool  // of keys, for all of queries
	scale, softcap    float32
	changes           bool // whether products are not yet scores
	block             int  // keys that are taken at a time: a multiple of a panel
	height            int  // rows that are taken at a time
	ld                int  // from a row of scores to the next, so that they lie on different lines of the cache
}

// hidden stands for scores so low that a mask must have made them: a query
// that has no others gives 0.
const hidden = -1e29

// mostRows is how many rows share what is packed of a block of keys.
const mostRows = 704

// newAttending checks the inputs of attention: query, key, value, mask, past,
// segments, lengths.
// A kernel takes at most so many panels of keys at a time, and needs perRow
// floats of memory for each row, and fixed(block) others.
func newAttending(b *Backend, at op.AttentionAttr, in []kernels.Tensor, vs []vec, perRow, panels int, fixed func(block int) int) (attending, error) {
	qs, ks, vals := in[0].Shape, in[1].Shape, in[2].Shape
	s := attending{b: b, at: at, q: vs[0], k: vs[1], v: vs[2], mask: vs[3], past: pastOf(vs[4]),
		batch: qs[0], seq: qs[1], heads: qs[2], d: qs[3], dv: vals[3], keys: ks[1], groups: ks[2]}
	if s.groups == 0 || s.heads%s.groups != 0 {
		return s, fmt.Errorf("attention: %d heads do not divide into %d groups", s.heads, s.groups)
	}
	s.share, s.same = s.heads/s.groups, 1
	s.oneSequence = ks[0] == 1
	if n := at.Distances; n > 0 {
		s.maskStrides = repeatStrides(in[3].Shape, []int{s.batch, s.heads, 1, 2*n + 1})
	} else if s.mask.there() {
		s.maskStrides = repeatStrides(in[3].Shape, []int{s.batch, s.heads, s.seq, s.keys})
	}
	s.scale, s.softcap = float32(at.Scale), float32(at.Softcap)
	if at.Scale == 0 {
		s.scale = float32(1 / math.Sqrt(float64(s.d)))
	}
	for s.block = panels * asm.Panel; s.block > asm.Panel && s.block*max(s.d, s.dv) > 1<<14; {
		s.block /= 2
	}
	s.ld = s.block + 16
	s.limits(in, vs)
	s.changes = s.softcap > 0 || at.Distances > 0 || s.maskStrides != nil || s.slopes != nil || s.segments.there()
	s.height = min(mostRows, (localFloats-fixed(s.block)-lines)/perRow)
	if s.height <= 0 {
		return s, fmt.Errorf("attention: heads of %d and %d elements are too large", s.d, s.dv)
	}
	// Blocks of rows that are alike, of whole tiles.
	s.height = parts(s.seq*s.share, parts(s.seq*s.share, s.height))
	if whole := multiple(s.height, b.asm.Rows); whole <= mostRows && fixed(s.block)+lines+whole*perRow <= localFloats {
		s.height = whole
	}
	return s, nil
}

const (
	slack = 16         // what an Interleave may write beyond its end
	lines = 12 * slack // and all that is lost so that no vector lies on two lines of the cache
)

// places hands out floats of a worker's memory, from the beginning of a line of the cache on.
type places int

func (p *places) take(n int) int {
	at := int(*p)
	*p += places(multiple(n, 16))
	return at
}

// attends reports whether in begins with the inputs of attention, in types that
// kernels read, of heads that are not too large. Keys and values may be in blocks.
func attends(in []ir.Type, largest int) bool {
	for i, t := range in[:7] {
		switch {
		case i < 3 && (!keeps(t) || len(t.Shape) != 4 || t.Shape[3].N > largest):
			return false
		case i == 3 && t.DType != ir.Invalid && !stored(t.DType):
			return false
		case i > 3 && t.DType != ir.Invalid && !isIndex(t):
			return false
		}
	}
	return true
}

// multiple is the least multiple of unit that is at least n.
func multiple(n, unit int) int { return (n + unit - 1) / unit * unit }

// row is the place of row r of a group among all queries [batch, seq, heads].
func (s *attending) row(z, group, r int) int {
	return (z*s.seq+r/s.share)*s.heads + group*s.share + r%s.share
}

// key is the place of key j of a group among all keys [batch, t, groups].
func (s *attending) key(z, group, j int) int {
	if s.oneSequence {
		z = 0
	}
	return (z*s.keys+j)*(s.groups/s.same) + group/s.same
}

// sees returns the range of keys of the block [j, j+n) that row r sees,
// counted from j; it may be empty.
func (s *attending) sees(z, r, j, n int) (lo, hi int) {
	lo, hi = s.visible(z, r)
	hi = max(0, min(hi-j, n))
	return min(max(lo-j, 0), hi), hi
}

// tiles calls f for each tile of rows from lo to hi-1 that sees some of the n
// keys from j on: with the panel in which the first lies that it sees, and the
// first key after the last, both counted from j.
func (s *attending) tiles(z, lo, hi, j, n int, f func(r, m, first, seen int)) {
	for r := lo; r < hi; r += s.b.asm.Rows {
		m := min(s.b.asm.Rows, hi-r)
		first, _ := s.sees(z, r, j, n)
		if _, last := s.sees(z, r+m-1, j, n); first < last {
			f(r, m, first/asm.Panel*asm.Panel, last)
		}
	}
}

// gather writes rows lo to hi-1 of x, of dim elements each, times scale, side by
// side, multiple(dim, 16) apart.
func (s *attending) gather(to []float32, x vec, dim, z, group, lo, hi int, scale float32) {
	wide := multiple(dim, 16)
	for r := lo; r < hi; r, to = r+1, to[wide:] {
		row := to[:dim]
		s.b.asm.MulS(row, x.tile(row, s.row(z, group, r)*dim, dim), scale)
	}
}

// columns writes the n keys or values of dim elements from j on as panels
// [dim][32 keys], wide*32 floats each, with wide = multiple(dim, 16); zero
// where there is no key.
func (s *attending) columns(to, buf []float32, x vec, dim, z, group, j, n int) {
	wide := multiple(dim, 16)
	interleave, stride := s.b.asm.Interleave[x.storage()], s.groups/s.same*dim*x.dtype.Size()
	for ; n > 0; n, j, to = n-asm.Panel, j+asm.Panel, to[wide*asm.Panel:] {
		if n >= asm.Panel && wide == dim && !x.dtype.Blocked() {
			interleave(asm.Panel, dim, x.at(s.key(z, group, j)*dim), stride, &to[0])
			continue
		}
		clear(buf[:wide*asm.Panel])
		for i := range min(n, asm.Panel) {
			x.load(buf[i*wide:i*wide+dim], s.key(z, group, j+i)*dim)
		}
		if wide > 0 {
			s.b.asm.Interleave[asm.F32](asm.Panel, wide, vecOf(buf).at(0), 4*wide, &to[0])
		}
	}
}

// valuePanels writes the n keys or values of dim elements from j on as panels [block
// keys][32 elements]; zero where there is no element.
func (s *attending) valuePanels(to []float32, x vec, dim, z, group, j, n int) {
	for i := range n {
		from := s.key(z, group, j+i) * dim
		for c := 0; c < dim; c += asm.Panel {
			row, width := to[c*s.block+i*asm.Panel:][:asm.Panel], min(asm.Panel, dim-c)
			if x.dtype == ir.F32 && width == asm.Panel {
				*(*[asm.Panel]float32)(row) = *(*[asm.Panel]float32)(x.f32()[from+c:])
				continue
			}
			x.load(row[:width], from+c)
			clear(row[width:])
		}
	}
}

// from is v without its first i elements.
func (v vec) from(i int) vec {
	i = min(i, v.n)
	v.p, v.n = unsafe.Add(v.p, i*v.dtype.Size()), v.n-i
	return v
}
