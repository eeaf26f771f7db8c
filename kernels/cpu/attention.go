package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// attention computes softmax(scale q kᵀ + mask) v for grouped heads, one query
// at a time: its scores against a tile of keys, the exponentials from the
// greatest score so far, and the sum of values, which is scaled down when a
// greater score comes (arXiv:1805.02867). Only visible keys are touched, in
// order from the first, so the result depends neither on the room for keys nor
// on the other queries. The heads that share a group take turns on a tile of
// its keys, so that memory is read once.
//
//	query [batch, seq, heads, d]   key [batch, t, groups, d]   value [batch, t, groups, dv]
//	mask repeats to [batch, heads, seq, t]   past [batch]   y [batch, seq, heads, dv]
type attention struct {
	b                    *Backend
	at                   op.AttentionAttr
	q, k, v, mask, y     vec
	past                 *pasts
	seq, heads, d, dv    int
	keys, groups         int
	share, chunk, chunks int   // heads of a group; as many of them as take turns, and how often
	maskStrides          []int // along batch, heads, seq, t
	scale, softcap       float32
	queries, perPart     int
	keyStride, valStride int // bytes from one key of a group to the next
}

// hidden stands for scores so low that a mask must have made them: a query
// that has no others gives 0.
const hidden = -1e29

const (
	keyTile = 64 // keys that are scored at a time

	// The memory of a worker, in floats.
	atQuery    = 0
	atSums     = maxHead
	atGreatest = 2 * maxHead
	atTotals   = 3 * maxHead // float64
	atScores   = 5 * maxHead
	atMask     = atScores + keyTile
)

func attentionOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AttentionAttr)
	ok = ok && len(in) == 5
	for i, t := range in {
		switch {
		case !ok:
		case i < 3:
			ok = stored(t.DType) && len(t.Shape) == 4
		case i == 3:
			ok = t.DType == ir.Invalid || stored(t.DType)
		case i == 4:
			ok = t.DType == ir.Invalid || isIndex(t)
		}
	}
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) { return bindAttention(b, a, args) }}, ok && out[0].DType == in[0].DType
}

func bindAttention(b *Backend, at op.AttentionAttr, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out[0])...)
	if err != nil {
		return nil, err
	}
	qs, ks, vals := a.In[0].Shape, a.In[1].Shape, a.In[2].Shape
	s := &attention{b: b, at: at, q: vs[0], k: vs[1], v: vs[2], mask: vs[3], past: pastOf(vs[4]), y: vs[5],
		seq: qs[1], heads: qs[2], d: qs[3], dv: vals[3], keys: ks[1], groups: ks[2]}
	if s.d > maxHead || s.dv > maxHead {
		return nil, fmt.Errorf("attention: heads of %d and %d elements, more than %d", s.d, s.dv, maxHead)
	}
	if s.groups == 0 || s.heads%s.groups != 0 {
		return nil, fmt.Errorf("attention: %d heads do not divide into %d groups", s.heads, s.groups)
	}
	if s.y.n == 0 {
		return b.step(0, nil), nil
	}
	if s.mask.there() {
		s.maskStrides = repeatStrides(a.In[3].Shape, []int{qs[0], s.heads, s.seq, s.keys})
	}
	s.scale, s.softcap = float32(at.Scale), float32(at.Softcap)
	if at.Scale == 0 {
		s.scale = float32(1 / math.Sqrt(float64(s.d)))
	}
	s.keyStride = s.groups * s.d * s.k.dtype.Size()
	s.valStride = s.groups * s.dv * s.v.dtype.Size()
	s.share = s.heads / s.groups
	s.chunk = min(s.share, maxHead/max(s.d, s.dv, 1))
	s.chunks = parts(s.share, s.chunk)
	// A part is some queries of some heads: about 32K products.
	s.perPart = max(1, 4*grain/max(1, s.keys*s.chunk*(s.d+s.dv)))
	s.queries = parts(s.seq, s.perPart)
	return b.step(qs[0]*s.groups*s.chunks*s.queries, s.part), nil
}

func (s *attention) part(worker, id int) {
	lo, hi := span(id%s.queries, s.seq, s.perPart)
	unit := id / s.queries
	batch, group := unit/s.chunks/s.groups, unit/s.chunks%s.groups
	first, last := span(unit%s.chunks, s.share, s.chunk)
	for i := lo; i < hi; i++ {
		s.query(s.b.local[worker], batch, group, group*s.share+first, last-first, i)
	}
}

// visible returns the range of keys that query i of a sequence sees.
func (s *attention) visible(batch, i int) (lo, hi int) {
	hi = s.keys
	if s.at.Causal {
		position := s.past.of(batch) + i
		hi = min(hi, position+1)
		if s.at.Window > 0 {
			lo = max(0, position-s.at.Window+1)
		}
	}
	return lo, hi
}

// query computes query i of n heads of a group, from head on.
func (s *attention) query(local []float32, batch, group, head, n, i int) {
	row := (batch*s.seq+i)*s.heads + head
	q := s.q.tile(local[atQuery:], row*s.d, n*s.d)
	sums, greatest := local[atSums:atSums+n*s.dv], local[atGreatest:atGreatest+n]
	totals := unsafe.Slice((*float64)(unsafe.Pointer(&local[atTotals])), n)
	clear(sums)
	for h := range n {
		greatest[h], totals[h] = hidden, 0
	}
	lo, hi := s.visible(batch, i)
	for j := lo; j < hi; j += keyTile {
		p := local[atScores : atScores+min(keyTile, hi-j)]
		key := s.k.at(((batch*s.keys+j)*s.groups + group) * s.d)
		value := s.v.at(((batch*s.keys+j)*s.groups + group) * s.dv)
		for h := range n {
			s.b.asm.Dots[s.k.storage()](len(p), s.d, first(q[h*s.d:]), key, s.keyStride, &p[0])
			m := s.scores(local, p, batch, head+h, i, j)
			sum := sums[h*s.dv : (h+1)*s.dv]
			if m > greatest[h] {
				shrink := expAt(greatest[h], float64(m))
				totals[h] *= shrink
				for l := range sum {
					sum[l] *= float32(shrink)
				}
				greatest[h] = m
			}
			totals[h] += s.b.asm.SumExp(p, p, greatest[h])
			if s.dv > 0 {
				s.b.asm.Mix[s.v.storage()](len(p), s.dv, &p[0], value, s.valStride, &sum[0])
			}
		}
	}
	for h, total := range totals {
		if total != 0 {
			for l, v := range sums[h*s.dv : (h+1)*s.dv] {
				sums[h*s.dv+l] = float32(float64(v) / total)
			}
		}
	}
	s.y.store(row*s.dv, sums)
}

// scores turns products with the keys from j on into scores, and returns the
// greatest.
func (s *attention) scores(local, p []float32, batch, head, i, j int) float32 {
	for l, v := range p {
		p[l] = v * s.scale
	}
	if s.softcap > 0 {
		s.b.asm.DivS(p, p, s.softcap)
		s.b.asm.Tanh(p, p)
		s.b.asm.MulS(p, p, s.softcap)
	}
	if s.mask.there() {
		st := s.maskStrides
		at := batch*st[0] + head*st[1] + i*st[2] + j*st[3]
		if st[3] == 1 {
			s.b.asm.Add(p, p, s.mask.tile(local[atMask:], at, len(p)))
		} else {
			shift := s.mask.one(at)
			for l := range p {
				p[l] += shift
			}
		}
	}
	m := float32(math.Inf(-1))
	for _, v := range p {
		m = max(m, v)
	}
	return m
}
