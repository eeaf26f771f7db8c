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
// few groups, blocks of keys are parts that compute dkey and dvalue, and then
// blocks of rows are parts that compute dquery.
//
//	query, dquery [batch, seq, heads, d]   key, dkey [batch, t, groups, d]
//	value, dvalue [batch, t, groups, dv]   y, dy [batch, seq, heads, dv]   lse, dlse f32 [batch, seq, heads]
type attentionGrad struct {
	attending
	y, lse, dy, dlse   vec
	dquery, dkey, dval vec
	keySums, valueSums []float32 // [batch, groups, panels of keys, d or dv, 32]
	side               int       // columns of a slice of query or dy
	room               gradRoom
}

// gradRoom is where things lie in the memory of a worker, in floats.
type gradRoom struct {
	queries, dys           int // tiles of rows: [d][m], [dv][m]
	querySlices, dySlices  int // columns of rows: [rows][side]
	sums                   int // dquery [rows][d]
	weights, ds            int // panels [rows][32]
	slopes                 int // of softcap, for a row
	turned                 int // ds of a tile: [keys][m]
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
	ok = ok && len(in) == 9 && attends(in, largestGradHead)
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return bindAttentionGrad(b, a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 {
			k, v := in[1].Sizes(), in[2].Sizes()
			return 4 * int64(k[0]*k[2]*multiple(k[1], asm.Panel)) * int64(k[3]+v[3])
		},
	}, ok
}

func bindAttentionGrad(b *Backend, at op.AttentionAttr, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	s := &attentionGrad{y: vs[5], lse: vs[6], dy: vs[7], dlse: vs[8], dquery: vs[9], dkey: vs[10], dval: vs[11]}
	for s.side = 8; s.side > b.asm.Rows; s.side /= 2 {
	}
	d, dv := a.In[0].Shape[3], a.In[2].Shape[3]
	wide, wideV, over := multiple(d, 16), multiple(dv, 16), multiple(d, asm.Panel)
	perRow := 2*(wide+wideV) + over + 2*2*asm.Panel + 1
	fixed := func(block int) int {
		return block*(wide+wideV+over+2) + asm.Panel*max(wide, wideV) + b.asm.Rows*block + 8*slack
	}
	if s.attending, err = newAttending(b, at, a.In, vs, perRow, fixed); err != nil {
		return nil, err
	}
	panels := parts(s.keys, asm.Panel)
	units := s.batch * s.groups
	sums, err := b.scratch(a, units*panels*asm.Panel*(d+dv))
	if err != nil {
		return nil, err
	}
	s.keySums, s.valueSums = sums[:units*panels*asm.Panel*d], sums[units*panels*asm.Panel*d:]
	s.place(wide, wideV, over)
	rows := s.seq * s.share
	if units >= manyGroups {
		return b.step(units, func(worker, id int) {
			w := gradWork{s, b.local[worker], id / s.groups, id % s.groups, true, true}
			w.run(0, rows, 0, s.keys)
		}), nil
	}
	keyParts, rowParts := parts(s.keys, s.block), parts(rows, s.height)
	return sequence(b.step(units*keyParts, func(worker, id int) {
		unit := id / keyParts
		lo, hi := span(id%keyParts, s.keys, s.block)
		w := gradWork{s, b.local[worker], unit / s.groups, unit % s.groups, false, true}
		w.run(0, rows, lo, hi)
	}), b.step(units*rowParts, func(worker, id int) {
		unit := id / rowParts
		lo, hi := span(id%rowParts, rows, s.height)
		w := gradWork{s, b.local[worker], unit / s.groups, unit % s.groups, true, false}
		w.run(lo, hi, 0, s.keys)
	})), nil
}

func (s *attentionGrad) place(wide, wideV, over int) {
	at := 0
	take := func(n int) int {
		at += n
		return at - n
	}
	h, r := s.height, &s.room
	r.queries, r.dys = take(h*wide+slack), take(h*wideV+slack)
	r.querySlices, r.dySlices = take(h*wide), take(h*wideV)
	r.sums = take(h * over)
	r.weights, r.ds, r.slopes = take(h*s.block), take(h*s.block), take(s.block)
	r.turned = take(s.b.asm.Rows*s.block + slack)
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

// take packs rows lo to hi-1 of query and dy.
func (w *gradWork) take(lo, hi int) {
	wide, wideV := multiple(w.d, 16), multiple(w.dv, 16)
	buf := w.local[w.room.buf:]
	for r := lo; r < hi; r += w.b.asm.Rows {
		m := min(w.b.asm.Rows, hi-r)
		w.pack(w.local[w.room.queries+(r-lo)*wide:], buf, w.q, w.d, w.z, w.group, r, m, w.scale)
		w.slices(w.local[w.room.querySlices:], buf, w.d, wide, hi-lo, r-lo, m)
		w.pack(w.local[w.room.dys+(r-lo)*wideV:], buf, w.dy, w.dv, w.z, w.group, r, m, 1)
		w.slices(w.local[w.room.dySlices:], buf, w.dv, wideV, hi-lo, r-lo, m)
		for i := range m {
			row := w.row(w.z, w.group, r+i)
			w.local[w.room.delta+r-lo+i] = w.deltaOf(buf[i*wideV:][:w.dv], row)
		}
	}
}

// deltaOf is sum(dy y) - dlse of a row.
func (w *gradWork) deltaOf(dy []float32, row int) float32 {
	y := w.y.tile(w.local[w.room.turned:], row*w.dv, w.dv)
	var sum [4]float64
	for l, v := range dy {
		sum[l%4] += float64(v) * float64(y[l])
	}
	all := (sum[0] + sum[1]) + (sum[2] + sum[3])
	if w.dlse.there() {
		all -= float64(w.dlse.f32()[row])
	}
	return float32(all)
}

// slices writes m rows, wide apart, as rows i to i+m-1 of the slices of all
// rows: slice c holds columns c*side to c*side+width-1, width apart.
func (w *gradWork) slices(to, rows []float32, dim, wide, all, i, m int) {
	for c := 0; c < dim; c += w.side {
		width := min(w.side, dim-c)
		dst := to[c*all+i*width:]
		for k := range m {
			if width == 8 {
				*(*[8]float32)(dst[k*8:]) = *(*[8]float32)(rows[k*wide+c:])
			} else {
				copy(dst[k*width:(k+1)*width], rows[k*wide+c:])
			}
		}
	}
}

// pairs adds what rows lo to hi-1 and the n keys from j on give each other.
func (w *gradWork) pairs(lo, hi, j, n int) {
	local, r := w.local, &w.room
	w.columns(local[r.keys:], local[r.buf:], w.k, w.d, w.z, w.group, j, n)
	w.columns(local[r.values:], local[r.buf:], w.v, w.dv, w.z, w.group, j, n)
	over := vecOf(local[r.keysOver:r.buf])
	over.dtype = w.k.dtype
	if w.rows {
		w.panels(over, w.k, w.d, w.z, w.group, j, n)
	}
	first, last := hi, lo // rows that see some of the keys
	w.tiles(w.z, lo, hi, j, n, func(row, m, seen int) {
		first, last = min(first, row), row+m
		w.weigh(lo, hi, j, n, row, m, seen)
		if w.rows {
			w.turn(over, lo, hi, row, m, seen)
		}
	})
	if !w.keys || first >= last {
		return
	}
	for c := 0; c < n; c += asm.Panel {
		at := c*(hi-lo) + (first-lo)*asm.Panel
		w.spread(w.valueSum(j+c), local[r.dySlices:], local[r.weights+at:], w.dv, hi-lo, first-lo, last-first)
		w.spread(w.keySum(j+c), local[r.querySlices:], local[r.ds+at:], w.d, hi-lo, first-lo, last-first)
	}
}

// spread adds to sums [dim][32] the slices of rows i to i+n-1, transposed,
// times a panel [n][32].
func (w *gradWork) spread(sums, slices, panel []float32, dim, all, i, n int) {
	for c := 0; c < dim; c += w.side {
		width := min(w.side, dim-c)
		w.b.asm.Gemm[asm.F32][width](n, &slices[c*all+i*width], vecOf(panel).at(0), &sums[c*asm.Panel], asm.Panel, nil, 1)
	}
}

// weigh computes the weights of a tile of m rows for the keys from j on, and
// the gradients of their scores, zero where a row does not see a key.
func (w *gradWork) weigh(lo, hi, j, n, row, m, seen int) {
	wide, wideV := multiple(w.d, 16), multiple(w.dv, 16)
	local, r, gemm := w.local, &w.room, w.b.asm.Gemm[asm.F32][m]
	for c := 0; c < n; c += asm.Panel {
		at := (c*(hi-lo) + (row-lo)*asm.Panel)
		p, ds := local[r.weights+at:][:m*asm.Panel], local[r.ds+at:][:m*asm.Panel]
		if c >= seen {
			clear(p)
			clear(ds)
			continue
		}
		gemm(w.d, &local[r.queries+(row-lo)*wide], vecOf(local).at(r.keys+c*wide), &p[0], asm.Panel, nil, 0)
		gemm(w.dv, &local[r.dys+(row-lo)*wideV], vecOf(local).at(r.values+c*wideV), &ds[0], asm.Panel, nil, 0)
		for i := range m {
			from, to := w.sees(w.z, row+i, j+c, min(asm.Panel, n-c))
			pi, di := p[i*asm.Panel:(i+1)*asm.Panel], ds[i*asm.Panel:(i+1)*asm.Panel]
			clear(pi[:from])
			clear(pi[to:])
			clear(di[:from])
			clear(di[to:])
			w.rowWeights(pi[from:to], di[from:to], row+i, row+i-lo, j+c+from)
		}
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

// turn adds what a tile of m rows gets of the keys that it sees.
func (w *gradWork) turn(keys vec, lo, hi, row, m, seen int) {
	local, r, over := w.local, &w.room, multiple(w.d, asm.Panel)
	for c := 0; c < seen; c += asm.Panel {
		ds := local[r.ds+c*(hi-lo)+(row-lo)*asm.Panel:]
		w.b.asm.Interleave[asm.F32](m, asm.Panel, vecOf(ds).at(0), 4*asm.Panel, &local[r.turned+c*m])
	}
	for c := 0; c < w.d; c += asm.Panel {
		w.b.asm.Gemm[w.k.storage()][m](seen, &local[r.turned], keys.at(c*w.block), &local[r.sums+(row-lo)*over+c], over, nil, 1)
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
