package cpu

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// attention computes softmax(scale q kᵀ + mask) v for grouped heads, some rows
// at a time over block after block of keys (arXiv:2205.14135): a product gives
// scores, those become exponentials from the greatest score so far, and a
// product with the values is added to sums, which are scaled down when a
// greater score comes (arXiv:1805.02867). Only visible keys are touched, in
// order from the first. Few rows, as those of one token, read keys and values
// where they lie: see fewAttention.
//
//	query [batch, seq, heads, d]   key [batch, t, groups, d]   value [batch, t, groups, dv]
//	mask repeats to [batch, heads, seq, t]   past, lengths [batch]   segments [batch, t]   y [batch, seq, heads, dv]
//	lse, if asked for, f32 [batch, seq, heads]
type attention struct {
	attending
	y, lse vec
	blocks int // of rows, in a group
	room   attentionRoom
}

// attentionRoom is where things lie in the memory of a worker, in floats.
type attentionRoom struct {
	soFar
	rows, scores, keys, values, buf int
}

// largestHead is the most elements of a head for which there is memory.
const largestHead = 1024

func attentionOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AttentionAttr)
	ok = ok && len(in) == 7 && attends(in, largestHead) && stored(in[0].DType) && out[0].DType == in[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) { return bindAttention(b, a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 { return documentBytes(in[5]) }}, ok
}

func bindAttention(b *Backend, at op.AttentionAttr, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	s := &attention{y: vs[7]}
	if at.Stats {
		s.lse = vs[8]
	}
	d, dv := a.In[0].Shape[3], a.In[2].Shape[3]
	wide, panels := multiple(d, 16), multiple(dv, asm.Panel)
	fixed := func(block int) int {
		return block*(wide+panels+1) + b.asm.Rows*(block+16) + asm.Panel*wide + soFarFloats
	}
	if s.attending, err = newAttending(b, at, a.In, vs, wide+panels+4, 8, fixed); err != nil {
		return nil, err
	}
	if s.y.n == 0 && s.lse.n == 0 {
		return b.step(0, nil), nil
	}
	room, err := b.scratch(a, documentFloats(a.In[5]))
	if err != nil {
		return nil, err
	}
	if few, ok := newFew(s); ok {
		return few.withDocuments(room, few.step()), nil
	}
	s.balance()
	s.place(wide, panels)
	return s.withDocuments(room, b.step(s.batch*s.groups*s.blocks, s.part)), nil
}

// partsOf is how many parts there are for each thread, where there are rows enough, and leastRows
// how many rows a part has then.
const partsOf, leastRows = 4, 96

// balance divides the rows of a group into blocks.
func (s *attention) balance() {
	rows, wanted := s.seq*s.share, parts(partsOf*len(s.b.local), s.batch*s.groups)
	least := max(leastRows, parts(rows, wanted))
	s.height = min(s.height, multiple(least, s.b.asm.Rows))
	s.blocks = parts(rows, s.height)
}

func (s *attention) place(wide, panels int) {
	var at places
	take := at.take
	r := &s.room
	r.soFar = newSoFar(take, s.height, panels, s.block)
	r.rows = take(s.height * wide)
	r.scores = take(s.b.asm.Rows * s.ld)
	r.keys = take(s.block*wide + slack)
	r.values = take(s.block * panels)
	r.buf = take(asm.Panel * wide)
}

func (s *attention) part(worker, id int) {
	unit, block := id/s.blocks, s.blocks-1-id%s.blocks // the longest first
	w := attentionWork{attention: s, local: s.b.local[worker], z: unit / s.groups, group: unit % s.groups}
	w.lo, w.hi = span(block, s.seq*s.share, s.height)
	w.wide, w.panels = multiple(s.d, 16), multiple(s.dv, asm.Panel)
	w.run()
}

// attentionWork is one part: rows lo to hi-1 of a group.
type attentionWork struct {
	*attention
	local        []float32
	z, group     int
	lo, hi       int
	wide, panels int // floats from a row of queries to the next, and of sums
}

func (w *attentionWork) run() {
	n := w.hi - w.lo
	w.gather(w.local[w.room.rows:], w.q, w.d, w.z, w.group, w.lo, w.hi, w.scale)
	w.room.begin(w.local, n)
	from, _ := w.visible(w.z, w.lo)
	_, to := w.visible(w.z, w.hi-1)
	for j := from / w.block * w.block; j < to; j += w.block {
		w.keyBlock(j, min(w.block, to-j))
	}
	for r := w.lo; r < w.hi; r++ {
		w.store(w.local, &w.room.soFar, r-w.lo, w.row(w.z, w.group, r))
	}
}

// store writes what the i-th row at hand got, at its place in y.
func (s *attention) store(local []float32, so *soFar, i, row int) {
	sums, greatest, total := so.row(local, i)[:s.dv], local[so.greatest+i], *so.total(local, i)
	if total != 0 {
		s.b.asm.MulS(sums, sums, float32(1/total))
	}
	s.y.store(row*s.dv, sums)
	if s.lse.there() {
		lse := greatest
		if total != 0 {
			lse = float32(float64(greatest)*math.Ln2 + math.Log(total))
		}
		s.lse.f32()[row] = lse
	}
}

// keyBlock adds what the rows get from the n keys from j on, packed as the products
// read them, tile after tile: the scores of one stay in the first-level cache, while keys and
// values come from the second as fast as they are multiplied.
func (w *attentionWork) keyBlock(j, n int) {
	w.columns(w.local[w.room.keys:], w.local[w.room.buf:], w.k, w.d, w.z, w.group, j, n)
	w.valuePanels(w.local[w.room.values:], w.v, w.dv, w.z, w.group, j, n)
	w.tiles(w.z, w.lo, w.hi, j, n, func(r, m, start, seen int) {
		w.tile(scoreTile{w.z, w.group, r, m, j, n, start, seen})
	})
}

// tile adds what some rows get from some keys.
func (w *attentionWork) tile(t scoreTile) {
	rows, scores, sums := w.local[w.room.rows+(t.r-w.lo)*w.wide:], w.local[w.room.scores:], w.room.row(w.local, t.r-w.lo)
	keys, values := w.local[w.room.keys+t.start*w.wide:], w.local[w.room.values+t.start*asm.Panel:]
	w.b.asm.Scores[t.m](w.d, &rows[0], w.wide, &keys[0], asm.Panel*w.wide, parts(t.seen-t.start, asm.Panel), &scores[t.start], w.ld)
	w.weigh(w.local, scores, &w.room.soFar, t.r-w.lo, t)
	if w.dv > 0 {
		w.b.asm.Values[t.m](t.seen-t.start, &scores[t.start], w.ld, &values[0], asm.Panel*w.block, w.dv, &sums[0], w.panels, &w.local[w.room.shrink])
	}
}
