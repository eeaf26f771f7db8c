package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// attentionGrad computes the gradients of attention. A block of rows meets
// block after block of keys: weights p = exp(score - lse) are computed again,
// ds = p (dy valueᵀ - delta) with delta = sum(dy y) - dlse, and
//
//	dquery += scale ds key     dkey += scale dsᵀ query     dvalue += pᵀ dy
//
// Sums run over keys, and over rows, in order: how the work is cut changes no
// bit. A group of heads is one part that computes all three. Where there are
// few groups, ranges of keys are parts that compute dkey and dvalue, and then
// blocks of rows are parts that compute dquery.
//
//	query, dquery [batch, seq, heads, d]   key, dkey [batch, t, groups, d]
//	value, dvalue [batch, t, groups, dv]   y, dy [batch, seq, heads, dv]   lse, dlse f32 [batch, seq, heads]
type attentionGrad struct {
	attending
	y, lse, dy, dlse   vec
	dquery, dkey, dval vec
	keySums, valueSums []float32 // [batch, groups, panels of keys, d or dv, 32]
	room               gradRoom
}

// gradRoom is where things lie in the memory of a worker, in floats.
type gradRoom struct {
	queries, dys           int // rows: [rows][d], [rows][dv]
	sums                   int // dquery [rows][d]
	weights, ds            int // [rows][block]
	slopes                 int // of softcap, for a row
	keys, values, keysOver int // panels [d][32], [dv][32]; and [keys][32] for dquery
	buf, mask, delta       int
}

const (
	// manyGroups is from how many groups on a group is one part.
	manyGroups = 8
	// largestGradHead is the most elements of a head for which there is memory.
	largestGradHead = 512
)

func attentionGradOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AttentionAttr)
	ok = ok && len(in) == 11 && in[0].Shape[0] == in[1].Shape[0] && attends(in, largestGradHead) && stored(in[0].DType) && stored(in[1].DType) && stored(in[2].DType)
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return bindAttentionGrad(b, a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 {
			k, v := in[1].Sizes(), in[2].Sizes()
			return 4*int64(k[0]*k[2]*multiple(k[1], asm.Panel))*int64(k[3]+v[3]) + documentBytes(in[5])
		},
	}, ok
}

func bindAttentionGrad(b *Backend, at op.AttentionAttr, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	s := &attentionGrad{y: vs[7], lse: vs[8], dy: vs[9], dlse: vs[10], dquery: vs[11], dkey: vs[12], dval: vs[13]}
	d, dv := a.In[0].Shape[3], a.In[2].Shape[3]
	wide, wideV, over := multiple(d, 16), multiple(dv, 16), multiple(d, asm.Panel)
	perRow := wide + wideV + over + 2*(4*asm.Panel+16) + 1
	fixed := func(block int) int {
		return block*(wide+wideV+over+2) + asm.Panel*max(wide, wideV)
	}
	if s.attending, err = newAttending(b, at, a.In, vs, perRow, 4, fixed); err != nil {
		return nil, err
	}
	panels := parts(s.keys, asm.Panel)
	units := s.batch * s.groups
	size := units * panels * asm.Panel * (d + dv)
	sums, err := b.scratch(a, size+documentFloats(a.In[5]))
	if err != nil {
		return nil, err
	}
	sums, room := sums[:size], sums[size:]
	s.keySums, s.valueSums = sums[:units*panels*asm.Panel*d], sums[units*panels*asm.Panel*d:]
	s.place(wide, wideV, over)
	rows := s.seq * s.share
	if units >= manyGroups {
		return s.withDocuments(room, b.step(units, func(worker, id int) {
			w := gradWork{s, b.local[worker], id / s.groups, id % s.groups, true, true}
			w.run(0, rows, 0, s.keys)
		})), nil
	}
	keySpan := multiple(parts(s.keys, parts(2*manyGroups, units)), s.block)
	keyParts, rowParts := parts(s.keys, keySpan), parts(rows, s.height)
	return s.withDocuments(room, sequence(b.step(units*keyParts, func(worker, id int) {
		unit := id / keyParts
		lo, hi := span(id%keyParts, s.keys, keySpan)
		w := gradWork{s, b.local[worker], unit / s.groups, unit % s.groups, false, true}
		w.run(0, rows, lo, hi)
	}), b.step(units*rowParts, func(worker, id int) {
		unit := id / rowParts
		lo, hi := span(id%rowParts, rows, s.height)
		w := gradWork{s, b.local[worker], unit / s.groups, unit % s.groups, true, false}
		w.run(lo, hi, 0, s.keys)
	}))), nil
}

func (s *attentionGrad) place(wide, wideV, over int) {
	var at places
	take := at.take
	h, r := s.height, &s.room
	r.queries, r.dys = take(h*wide), take(h*wideV)
	r.sums = take(h * over)
	r.weights, r.ds, r.slopes = take(h*s.ld), take(h*s.ld), take(s.block)
	r.keys, r.values, r.keysOver = take(s.block*wide+slack), take(s.block*wideV+slack), take(s.block*over)
	r.buf, r.mask, r.delta = take(asm.Panel*max(wide, wideV)), take(s.block), take(h)
}

// gradWork is one part: a group, and which gradients it computes.
type gradWork struct {
	*attentionGrad
	local    []float32
	z, group int
	rows     bool // dquery
	keys     bool // dkey and dvalue
}

// run computes the gradients of rows lo to hi-1 or of keys from to to-1, from
// all pairs of them.
func (w *gradWork) run(lo, hi, from, to int) {
	over := multiple(w.d, asm.Panel)
	if w.keys {
		clear(w.keySum(from)[:parts(to-from, asm.Panel)*asm.Panel*w.d])
		clear(w.valueSum(from)[:parts(to-from, asm.Panel)*asm.Panel*w.dv])
	}
	for r0 := lo; r0 < hi; r0 += w.height {
		r1 := min(r0+w.height, hi)
		first, _ := w.visible(w.z, r0)
		_, last := w.visible(w.z, r1-1)
		first, last = max(first/w.block*w.block, from), min(last, to)
		if w.rows {
			clear(w.local[w.room.sums:][:(r1-r0)*over])
		}
		if first < last {
			w.take(r0, r1)
		}
		for j := first; j < last; j += w.block {
			w.pairs(r0, r1, j, min(w.block, last-j))
		}
		for r := r0; w.rows && r < r1; r++ {
			row := w.local[w.room.sums+(r-r0)*over:][:w.d]
			w.b.asm.MulS(row, row, w.scale)
			w.dquery.store(w.row(w.z, w.group, r)*w.d, row)
		}
	}
	if w.keys {
		w.give(w.dkey, w.keySum(from), w.d, from, to)
		w.give(w.dval, w.valueSum(from), w.dv, from, to)
	}
}

// keySum is where the sums of the keys from j on begin, [panels][d][32].
func (w *gradWork) keySum(j int) []float32 {
	return w.keySums[((w.z*w.groups+w.group)*parts(w.attending.keys, asm.Panel)*asm.Panel+j)*w.d:]
}

func (w *gradWork) valueSum(j int) []float32 {
	return w.valueSums[((w.z*w.groups+w.group)*parts(w.attending.keys, asm.Panel)*asm.Panel+j)*w.dv:]
}

// take gathers rows lo to hi-1 of query and dy, and sum(dy y) - dlse of each.
func (w *gradWork) take(lo, hi int) {
	w.gather(w.local[w.room.queries:], w.q, w.d, w.z, w.group, lo, hi, w.scale)
	dys, wide := w.local[w.room.dys:], multiple(w.dv, 16)
	w.gather(dys, w.dy, w.dv, w.z, w.group, lo, hi, 1)
	product := w.local[w.room.buf:][:w.dv]
	for r := lo; r < hi; r++ {
		row := w.row(w.z, w.group, r)
		w.b.asm.Mul(product, dys[(r-lo)*wide:], w.y.tile(product, row*w.dv, w.dv))
		delta := w.b.asm.Sum(product)
		if w.dlse.there() {
			delta -= float64(w.dlse.f32()[row])
		}
		w.local[w.room.delta+r-lo] = float32(delta)
	}
}

// pairs adds what rows lo to hi-1 and the n keys from j on give each other.
func (w *gradWork) pairs(lo, hi, j, n int) {
	local, r, wide, wideV := w.local, &w.room, multiple(w.d, 16), multiple(w.dv, 16)
	w.columns(local[r.keys:], local[r.buf:], w.k, w.d, w.z, w.group, j, n)
	w.columns(local[r.values:], local[r.buf:], w.v, w.dv, w.z, w.group, j, n)
	over := local[r.keysOver:r.buf]
	if w.rows {
		w.valuePanels(over, w.k, w.d, w.z, w.group, j, n)
	}
	first, last := hi, lo // rows that see some of the keys
	w.tiles(w.z, lo, hi, j, n, func(row, m, from, seen int) {
		first, last = min(first, row), row+m
		w.weigh(lo, j, n, row, m, from, seen)
		sums, dim := local[r.sums+(row-lo)*multiple(w.d, asm.Panel):], multiple(w.d, asm.Panel)
		for c := 0; c < w.d && w.rows; c += asm.Panel {
			w.b.asm.ByRow[asm.F32][m](seen-from, &local[r.ds+(row-lo)*w.ld+from], w.ld, floatBytes(&over[c*w.block+from*asm.Panel]), asm.Panel, &sums[c], dim, nil, 1)
		}
	})
	if !w.keys || first >= last {
		return
	}
	for c := 0; c < n; c += asm.Panel {
		at := (first-lo)*w.ld + c
		w.spread(w.valueSum(j+c), local[r.dys+(first-lo)*wideV:], local[r.weights+at:], w.dv, last-first)
		w.spread(w.keySum(j+c), local[r.queries+(first-lo)*wide:], local[r.ds+at:], w.d, last-first)
	}
}

// spread adds to sums [dim][32] n rows of dim elements, transposed, times 32
// columns of weights [n][block].
func (w *gradWork) spread(sums, rows, weights []float32, dim, n int) {
	tiles := parts(dim, w.b.asm.Rows)
	for t := 0; t < tiles && dim > 0; t++ {
		c, end := t*dim/tiles, (t+1)*dim/tiles
		w.b.asm.ByCol[end-c](n, &rows[c], multiple(dim, 16), floatBytes(&weights[0]), w.ld, &sums[c*asm.Panel], asm.Panel, nil, 1)
	}
}

// weigh computes the weights of a tile of m rows for the keys from j on, and
// the gradients of their scores, zero where a row does not see a key.
func (w *gradWork) weigh(lo, j, n, row, m, from, seen int) {
	wide, wideV := multiple(w.d, 16), multiple(w.dv, 16)
	local, r, product := w.local, &w.room, w.b.asm.Scores[m]
	p, ds := local[r.weights+(row-lo)*w.ld:], local[r.ds+(row-lo)*w.ld:]
	panels := parts(seen-from, asm.Panel)
	product(w.d, &local[r.queries+(row-lo)*wide], wide, &local[r.keys+from*wide], asm.Panel*wide, panels, &p[from], w.ld)
	product(w.dv, &local[r.dys+(row-lo)*wideV], wideV, &local[r.values+from*wideV], asm.Panel*wideV, panels, &ds[from], w.ld)
	all := multiple(n, asm.Panel)
	for i := range m {
		from, to := w.sees(w.z, row+i, j, n)
		for _, x := range [2][]float32{p[i*w.ld:][:all], ds[i*w.ld:][:all]} {
			clear(x[:from])
			clear(x[to:])
		}
		w.rowWeights(p[i*w.ld+from:i*w.ld+to], ds[i*w.ld+from:i*w.ld+to], row+i, row+i-lo, j+from)
	}
}

// rowWeights turns products of row r, the i-th at hand, with the keys from j on
// into weights, and the gradients of the weights into those of the products.
func (w *gradWork) rowWeights(p, ds []float32, r, i, j int) {
	if len(p) == 0 {
		return
	}
	slopes := w.local[w.room.slopes:][:len(p)]
	if w.softcap > 0 {
		w.b.asm.DivS(slopes, p, w.softcap)
		w.b.asm.Tanh(slopes, slopes)
		w.b.asm.Mul(slopes, slopes, slopes)
		w.b.asm.SSub(slopes, slopes, 1)
	}
	w.scores(w.local[w.room.mask:], p, w.z, w.group, r, j)
	w.b.asm.SumExp(p, p, w.lse.f32()[w.row(w.z, w.group, r)])
	w.b.asm.SubS(ds, ds, w.local[w.room.delta+i])
	w.b.asm.Mul(ds, ds, p)
	if w.softcap > 0 {
		w.b.asm.Mul(ds, ds, slopes)
	}
}

// give writes the sums of keys from to to-1 where they belong.
func (w *gradWork) give(to vec, sums []float32, dim, from, end int) {
	if dim == 0 {
		return
	}
	rows := w.local[:asm.Panel*dim+slack]
	for j := from; j < end; j += asm.Panel {
		w.b.asm.Interleave[asm.F32](dim, asm.Panel, vecOf(sums[(j-from)*dim:]).at(0), 4*asm.Panel, &rows[0])
		for i := range min(asm.Panel, end-j) {
			to.store(w.key(w.z, w.group, j+i)*dim, rows[i*dim:(i+1)*dim])
		}
	}
}
