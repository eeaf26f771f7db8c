package cpu

import (
	"math"
	"unsafe"

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
// order from the first. One token is a block of as many rows as share a group.
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
	rows, sums, scores, keys, values, buf, mask int
	greatest, totals                            int // totals are float64
}

// largestHead is the most elements of a head for which there is memory.
const largestHead = 1024

func attentionOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AttentionAttr)
	ok = ok && len(in) == 7 && attends(in, largestHead) && out[0].DType == in[0].DType
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
		return block*(wide+panels+1) + asm.Panel*wide + 4*mostRows
	}
	if s.attending, err = newAttending(b, at, a.In, vs, wide+panels+4*asm.Panel+16, fixed); err != nil {
		return nil, err
	}
	if s.y.n == 0 && s.lse.n == 0 {
		return b.step(0, nil), nil
	}
	s.blocks = parts(s.seq*s.share, s.height)
	s.place(wide, panels)
	room, err := b.scratch(a, documentFloats(a.In[5]))
	if err != nil {
		return nil, err
	}
	return s.withDocuments(room, b.step(s.batch*s.groups*s.blocks, s.part)), nil
}

func (s *attention) place(wide, panels int) {
	at := 0
	take := func(n int) int {
		at += n
		return at - n
	}
	r := &s.room
	r.totals = take(2 * mostRows)
	r.greatest = take(mostRows)
	r.rows = take(s.height * wide)
	r.sums = take(s.height * panels)
	r.scores = take(s.height * s.ld)
	r.keys = take(s.block*wide + slack)
	r.values = take(s.block * panels)
	r.buf = take(asm.Panel * wide)
	r.mask = take(s.block)
}

func (s *attention) part(worker, id int) {
	unit, block := id/s.blocks, s.blocks-1-id%s.blocks // the longest first
	z, group := unit/s.groups, unit%s.groups
	lo, hi := span(block, s.seq*s.share, s.height)
	local := s.b.local[worker]
	panels := multiple(s.dv, asm.Panel)
	s.gather(local[s.room.rows:], s.q, s.d, z, group, lo, hi, s.scale)
	greatest, totals := local[s.room.greatest:][:hi-lo], s.totals(local, hi-lo)
	for i := range greatest {
		greatest[i], totals[i] = hidden, 0
	}
	clear(local[s.room.sums:][:(hi-lo)*panels])
	from, _ := s.visible(z, lo)
	_, to := s.visible(z, hi-1)
	for j := from / s.block * s.block; j < to; j += s.block {
		s.keyBlock(local, z, group, lo, hi, j, min(s.block, to-j))
	}
	for r := lo; r < hi; r++ {
		s.store(local[s.room.sums+(r-lo)*panels:][:s.dv], s.row(z, group, r), greatest[r-lo], totals[r-lo])
	}
}

func (s *attention) totals(local []float32, n int) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(&local[s.room.totals])), n)
}

// store writes what row gets, at its place in y.
func (s *attention) store(sums []float32, row int, greatest float32, total float64) {
	if total != 0 {
		s.b.asm.MulS(sums, sums, float32(1/total))
	}
	s.y.store(row*s.dv, sums)
	if s.lse.there() {
		lse := greatest
		if total != 0 {
			lse = float32(float64(greatest) + math.Log(total))
		}
		s.lse.f32()[row] = lse
	}
}

// keyBlock adds what rows lo to hi-1 get from the n keys from j on.
func (s *attention) keyBlock(local []float32, z, group, lo, hi, j, n int) {
	wide, panels := multiple(s.d, 16), multiple(s.dv, asm.Panel)
	keys, values := local[s.room.keys:], local[s.room.values:]
	s.columns(keys, local[s.room.buf:], s.k, s.d, z, group, j, n)
	few := hi-lo <= 4 // then values are read where they lie
	if !few {
		s.panels(values, s.v, s.dv, z, group, j, n)
	}
	s.tiles(z, lo, hi, j, n, func(r, m, seen int) {
		rows, p := local[s.room.rows+(r-lo)*wide:], local[s.room.scores+(r-lo)*s.ld:]
		product := s.b.asm.ByRow[asm.F32][m]
		for c := 0; c < seen; c += asm.Panel {
			product(s.d, first(rows), wide, floatBytes(first(keys[c*wide:])), asm.Panel, &p[c], s.ld, nil, 0)
		}
		for i := range m {
			row := p[i*s.ld:][:seen]
			from, to := s.sees(z, r+i, j, n)
			s.exponentials(local, row[from:to], z, group, r+i, r-lo+i, j+from)
			clear(row[:from])
			clear(row[to:])
			if few && from < to && s.dv > 0 {
				s.b.asm.Mix[s.v.storage()](to-from, s.dv, &row[from], s.v.at(s.key(z, group, j+from)*s.dv),
					s.groups*s.dv*s.v.dtype.Size(), &local[s.room.sums+(r-lo+i)*panels])
			}
		}
		for c := 0; c < s.dv && !few; c += asm.Panel {
			product(seen, &p[0], s.ld, floatBytes(&values[c*s.block]), asm.Panel, &local[s.room.sums+(r-lo)*panels+c], panels, nil, 1)
		}
	})
}

// exponentials turns products of row r, the i-th at hand, with the keys from j
// on into exponentials, and what the row got so far to their scale.
func (s *attention) exponentials(local, p []float32, z, group, r, i, j int) {
	if len(p) == 0 {
		return
	}
	s.scores(local[s.room.mask:], p, z, group, r, j)
	greatest, total := &local[s.room.greatest+i], &s.totals(local, i+1)[i]
	if m := s.b.asm.Greatest(p); m > *greatest {
		if *total > 0 {
			shrink := math.Exp(float64(*greatest) - float64(m))
			*total *= shrink
			sums := local[s.room.sums+i*multiple(s.dv, asm.Panel):][:s.dv]
			s.b.asm.MulS(sums, sums, float32(shrink))
		}
		*greatest = m
	}
	*total += s.b.asm.SumExp(p, p, *greatest)
}
