package cpu

import (
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// fewAttention is attention of few rows, as those of one token: then time is
// that of reading keys and values once. A part is a range of groups, whose rows
// go over the keys together, some keys at a time, so that memory is read in
// the order in which it lies. Sums are those of attention, bit for bit.
type fewAttention struct {
	*attention
	groupsOf int // groups of a part
	parts    int // of a sequence
	rows     int // of a group
	width    [2]int
	room     fewRoom
}

// fewRoom is where things lie in the memory of a worker, in floats.
type fewRoom struct {
	soFar
	queries, scores, keys, buf int
}

const (
	// fewQueries is how many rows of a group are few.
	fewQueries = 8
	// fewSame is in how many groups one of more rows is divided at most: they read
	// the same keys, which stay in the cache between them.
	fewSame = 8
	// fewKeys is how many keys all groups of a part meet at a time: as many rows
	// of memory as processors read ahead in.
	fewKeys = 16
)

// newFew returns the attention of s where its rows are few enough.
func newFew(s *attention) (*fewAttention, bool) {
	s = s.divided(min(fewQueries, s.b.asm.Rows))
	f := &fewAttention{attention: s, rows: s.seq * s.share, width: [2]int{multiple(s.d, 16), multiple(s.dv, asm.Panel)}}
	if f.rows > min(fewQueries, s.b.asm.Rows) {
		return nil, false
	}
	f.groupsOf = min(s.groups, parts(s.groups*s.batch, len(s.b.local)))
	for ; f.place() > localFloats; f.groupsOf = parts(f.groupsOf, 2) {
		if f.groupsOf == 1 {
			return nil, false
		}
	}
	f.parts = parts(s.groups, f.groupsOf)
	return f, true
}

// divided is s with groups of at most so many rows, if there are so few.
func (s *attention) divided(most int) *attention {
	for same := 2; same <= fewSame && s.seq*s.share > most; same++ {
		if s.share%same == 0 && s.seq*s.share/same <= most {
			d := *s
			d.groups, d.share, d.same = s.groups*same, s.share/same, same
			return &d
		}
	}
	return s
}

// place lays out the memory of a worker, and returns how much it is.
func (f *fewAttention) place() int {
	var at places
	take := at.take
	n, r := f.groupsOf*f.rows, &f.room
	r.soFar = newSoFar(take, n, f.width[1], f.block)
	r.queries, r.scores, r.keys = take(n*f.width[0]), take(n*f.ld), take(asm.Panel*f.width[0]+slack)
	r.buf = take(max(asm.Panel*f.width[0], fewKeys*f.groupsOf*max(f.d, f.dv)))
	return int(at)
}

func (f *fewAttention) step() kernels.Step {
	return f.b.step(f.batch*f.parts, func(worker, id int) {
		w := fewWork{fewAttention: f, local: f.b.local[worker], z: id / f.parts}
		w.first, w.last = span(id%f.parts, f.groups, f.groupsOf)
		w.run()
	})
}

// fewWork is one part: groups first to last-1 of a sequence.
type fewWork struct {
	*fewAttention
	local       []float32
	z           int
	first, last int
}

// row is where row r of a group lies among those of the part.
func (w *fewWork) row(group, r int) int { return (group-w.first)*w.rows + r }

func (w *fewWork) queries(group int) []float32 {
	return w.local[w.room.queries+w.row(group, 0)*w.width[0]:]
}

func (w *fewWork) sums(group, r int) []float32 {
	return w.room.row(w.local, w.row(group, r))
}

// weights are those of a row for a block of keys, or the scores that they come from.
func (w *fewWork) weights(group, r int) []float32 {
	return w.local[w.room.scores+w.row(group, r)*w.ld:][:w.ld]
}

// each calls f for every row of the part.
func (w *fewWork) each(f func(group, r int)) {
	for g := w.first; g < w.last; g++ {
		for r := range w.rows {
			f(g, r)
		}
	}
}

func (w *fewWork) run() {
	for g := w.first; g < w.last; g++ {
		w.gather(w.queries(g), w.q, w.d, w.z, g, 0, w.rows, w.scale)
	}
	w.room.begin(w.local, (w.last-w.first)*w.rows)
	from, _ := w.visible(w.z, 0)
	_, to := w.visible(w.z, w.rows-1)
	for j := from / w.block * w.block; j < to; j += w.block {
		n, start := min(w.block, to-j), max(0, from-j)/fewKeys*fewKeys
		w.products(j, start, n)
		for g := w.first; g < w.last; g++ {
			w.weigh(w.local, w.local[w.room.scores+w.row(g, 0)*w.ld:], &w.room.soFar, w.row(g, 0), scoreTile{w.z, g, 0, w.rows, j, n, start, n})
			for r, shrink := range w.local[w.room.shrink:][:w.rows] {
				if sums := w.sums(g, r)[:w.dv]; shrink != 1 {
					w.b.asm.MulS(sums, sums, shrink)
				}
			}
		}
		for c := start; c < n; c += fewKeys {
			v := w.decoded(w.v, w.dv, j+c, min(fewKeys, n-c))
			for g := w.first; g < w.last; g++ {
				w.mix(v, g, j, c, min(fewKeys, n-c))
			}
		}
	}
	w.each(func(g, r int) { w.store(w.local, &w.room.soFar, w.row(g, r), w.attending.row(w.z, g, r)) })
}

// products are those of all rows with the keys j+start to j+n-1.
func (w *fewWork) products(j, start, n int) {
	whole := start
	if w.d == w.width[0] && w.d > 0 {
		whole += (n - start) / fewKeys * fewKeys
	}
	w.each(func(g, r int) { clear(w.weights(g, r)[start:whole]) })
	for c := start; c < whole; c += fewKeys {
		keys := w.decoded(w.k, w.d, j+c, fewKeys)
		for g := w.first; g < w.last; g++ {
			k := keys.of(g, w.d)
			w.b.asm.Dots[k.storage()](w.rows, fewKeys, w.d, &w.queries(g)[0], w.width[0], k.at(0), k.stride*k.dtype.Size(), &w.weights(g, 0)[c], w.ld)
		}
	}
	keys := w.local[w.room.keys:]
	for c := whole; c < n; c += asm.Panel {
		for g := w.first; g < w.last; g++ {
			w.columns(keys, w.local[w.room.buf:], w.k, w.d, w.z, g, j+c, min(asm.Panel, n-c))
			w.b.asm.ByRow[asm.F32][w.rows](w.d, first(w.queries(g)), w.width[0], floatBytes(first(keys)), asm.Panel, &w.weights(g, 0)[c], w.ld, nil, 0)
		}
	}
}

// entries are some keys or values of several groups, from the group first on;
// from each to the next are stride elements.
type entries struct {
	vec
	first, stride int
	same          int // groups that have the same
}

// of are those of a group, of dim elements each.
func (e entries) of(group, dim int) entries {
	return entries{e.from((group/e.same - e.first/e.same) * dim), group, e.stride, e.same}
}

// decoded returns the n keys or values from j on, of dim elements each, of all
// groups of the part: where they lie, or decoded, if they are in blocks.
func (w *fewWork) decoded(x vec, dim, j, n int) entries {
	if !x.dtype.Blocked() {
		return entries{x.from(w.key(w.z, 0, j) * dim), 0, w.groups / w.same * dim, w.same}
	}
	buf, row := w.local[w.room.buf:], ((w.last-1)/w.same-w.first/w.same+1)*dim
	for i := range n {
		x.load(buf[i*row:(i+1)*row], w.key(w.z, w.first, j+i)*dim)
	}
	return entries{vecOf(buf), w.first, row, w.same}
}

// mix adds to the sums of a group what it gets from the values v, j+c to j+c+n-1.
func (w *fewWork) mix(values entries, group, j, c, n int) {
	v, panels := values.of(group, w.dv), 0
	if w.rows > 1 {
		panels = w.dv / asm.Panel
	}
	for i := 0; i < panels*asm.Panel; i += asm.Panel {
		w.b.asm.ByRow[v.storage()][w.rows](n, &w.weights(group, 0)[c], w.ld, v.at(i), v.stride, &w.sums(group, 0)[i], w.width[1], nil, 1)
	}
	rest := panels * asm.Panel
	for r := 0; r < w.rows && rest < w.dv; r++ {
		from, to := w.sees(w.z, r, j, c+n)
		if from = max(from, c); from < to {
			w.b.asm.Mix[v.storage()](to-from, w.dv-rest, &w.weights(group, r)[from], v.at((from-c)*v.stride+rest),
				v.stride*v.dtype.Size(), &w.sums(group, r)[rest])
		}
	}
}
