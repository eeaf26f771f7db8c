package cpu

import "unsafe"

// soFar says where a worker has what rows got from the keys so far: sums of
// values, and the greatest scores and the sums of weights, as asm.Vector.Weigh has
// them; in floats.
type soFar struct {
	sums, width        int // width floats from the sums of a row to the next
	greatest, totals   int // totals are float64
	seen, shrink, mask int
}

const (
	// mostTile is how many rows a tile has at most.
	mostTile = 12
	// soFarFloats is what there is beside what each row and each key of a block needs.
	soFarFloats = 4*mostTile + 2*slack
)

// newSoFar has room for some rows, with sums width apart, and for masks of a block of keys.
func newSoFar(take func(n int) int, rows, width, block int) soFar {
	return soFar{totals: take(2 * rows), seen: take(4 * mostTile), shrink: take(slack), greatest: take(rows + slack),
		sums: take(rows * width), width: width, mask: take(block)}
}

// begin is before the first key.
func (so *soFar) begin(local []float32, rows int) {
	clear(local[so.sums:][:rows*so.width])
	for i := range rows {
		local[so.greatest+i] = hidden
		*so.total(local, i) = 0
	}
}

// row are the sums of the i-th row.
func (so *soFar) row(local []float32, i int) []float32 { return local[so.sums+i*so.width:] }

// total is the sum of its weights.
func (so *soFar) total(local []float32, i int) *float64 {
	return (*float64)(unsafe.Pointer(&local[so.totals+2*i]))
}

// scoreTile is m rows of a group from r on, and n keys from j on, of which they see those from
// start, the first of a panel, to seen-1.
type scoreTile struct{ z, group, r, m, j, n, start, seen int }

// weigh turns the products of rows with keys, a row of p each, into weights, zero
// where a row does not see a key, and says by what those of earlier keys shrink. The first row is the i-th at hand.
func (s *attention) weigh(local, p []float32, so *soFar, i int, t scoreTile) {
	seen := unsafe.Slice((*[2]int)(unsafe.Pointer(&local[so.seen])), mostTile)[:t.m]
	s.seenBy(seen, t)
	for k, span := range seen {
		row := p[k*s.ld:][:t.seen]
		clear(row[t.start:span[0]])
		clear(row[span[1]:])
		if s.changes && span[0] < span[1] {
			s.scores(local[so.mask:], row[span[0]:span[1]], t.z, t.group, t.r+k, t.j+span[0])
		}
	}
	s.b.asm.Weigh(t.m, &p[0], s.ld, &seen[0], &local[so.greatest+i], so.total(local, i), &local[so.shrink])
}

// seenBy sets which keys of a tile each row sees, counted from the block's first one; where there
// are none, the range is empty and not before start.
func (s *attention) seenBy(seen [][2]int, t scoreTile) {
	if first, last := s.within(t, 0), s.within(t, t.m-1); first == last { // so do those between
		for k := range seen {
			seen[k] = first
		}
		return
	}
	for k := range seen {
		seen[k] = s.within(t, k)
	}
}

// within is what the k-th row of a tile sees.
func (s *attention) within(t scoreTile, k int) [2]int {
	from, to := s.sees(t.z, t.r+k, t.j, t.n)
	return [2]int{max(from, t.start), max(to, t.start)}
}
