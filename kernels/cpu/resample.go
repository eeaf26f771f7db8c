package cpu

import (
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// axisMap makes elements along one axis of some others along it. Where the axis
// is the last, some rows at a time are turned into columns, so that every map
// is over runs side by side.
//
//	x [outer, n, inner]   y [outer, size, inner]
type axisMap struct {
	b                     *Backend
	x, y                  vec
	from                  []float32 // x, widened
	outer, n, size, inner int
	blocks                int                              // of elements of the result
	reach                 func(o int) (lo, hi int)         // elements of x that make element o
	alone                 func(x []float32, o int) float32 // element o of the row x

	// fill makes element o of several rows side by side, of elements of x from first on, which are ld
	// apart. list is memory for it.
	fill func(y, x []float32, ld, o, first int, list []int)
}

// The memory of a worker that turns rows, in floats.
const (
	turnRows  = 32
	turnBlock = 512  // elements of the result at a time
	turnReach = 1024 // elements of x that make them, at most, or they are computed one by one
	atTurned  = 0
	atMade    = turnRows * turnReach
	atBack    = atMade + turnRows*turnBlock
	atList    = atBack + turnRows*turnBlock + 16
	listTaps  = 32
)

func newAxisMap(b *Backend, a kernels.Args, axis int) (*axisMap, error) {
	vs, err := b.views(a.In[0], a.Out[0])
	if err != nil {
		return nil, err
	}
	m := &axisMap{b: b, x: vs[0], y: vs[1]}
	m.outer, m.n, m.inner = kernels.Around(a.In[0].Shape, axis)
	_, m.size, _ = kernels.Around(a.Out[0].Shape, axis)
	return m, nil
}

// widened is the scratch of a map: x in float32, unless it is.
func widened(_ any, in, _ []ir.Type) int64 {
	if in[0].DType == ir.F32 {
		return 0
	}
	return 4 * int64(in[0].Elems())
}

// steps returns what computes the map.
func (m *axisMap) steps(a kernels.Args) (kernels.Step, error) {
	if m.y.n == 0 {
		return m.b.step(0, nil), nil
	}
	m.blocks = parts(m.size, turnBlock)
	run := m.b.step(m.outer*m.blocks*parts(m.inner, tile), m.across)
	if m.inner == 1 {
		run = m.b.step(parts(m.outer, turnRows)*m.blocks, m.along)
	}
	if m.x.dtype == ir.F32 {
		m.from = m.x.f32()
		return run, nil
	}
	var err error
	if m.from, err = m.b.scratch(a, m.x.n); err != nil {
		return nil, err
	}
	return sequence(m.b.step(parts(m.x.n, grain), func(_, id int) {
		lo, hi := span(id, m.x.n, grain)
		m.x.load(m.from[lo:hi], lo)
	}), run), nil
}

// across maps runs of neighbours beside the axis.
func (m *axisMap) across(worker, id int) {
	local := m.b.local[worker]
	columns := parts(m.inner, tile)
	c0, c1 := span(id%columns, m.inner, tile)
	id /= columns
	lo, hi := span(id%m.blocks, m.size, turnBlock)
	o := id / m.blocks
	for ; lo < hi; lo++ {
		at := (o*m.size+lo)*m.inner + c0
		y := m.y.room(local, at, c1-c0)
		m.fill(y, m.from[o*m.n*m.inner+c0:], m.inner, lo, 0, listOf(local))
		m.y.done(y, at)
	}
}

// along maps some rows.
func (m *axisMap) along(worker, id int) {
	local := m.b.local[worker]
	r0, r1 := span(id/m.blocks, m.outer, turnRows)
	lo, hi := span(id%m.blocks, m.size, turnBlock)
	rows := r1 - r0
	first, end := m.reach(lo)
	for o := lo + 1; o < hi; o++ {
		a, b := m.reach(o)
		if first >= end {
			first, end = a, b
		} else if a < b {
			first, end = min(first, a), max(end, b)
		}
	}
	back := local[atBack:]
	if end-first > turnReach {
		for r := range rows {
			for o := lo; o < hi; o++ {
				back[o-lo] = m.alone(m.from[(r0+r)*m.n:][:m.n], o)
			}
			m.y.store((r0+r)*m.size+lo, back[:hi-lo])
		}
		return
	}
	turned, made := local[atTurned:atMade], local[atMade:atBack]
	m.turn(turned, r0*m.n+first, rows, end-first)
	for o := lo; o < hi; o++ {
		m.fill(made[(o-lo)*turnRows:][:rows], turned, rows, o, first, listOf(local))
	}
	m.b.asm.Interleave[asm.F32](hi-lo, turnRows, floatBytes(&made[0]), 4*turnRows, &back[0])
	for r := range rows {
		m.y.store((r0+r)*m.size+lo, back[r*(hi-lo):][:hi-lo])
	}
}

// listOf is memory of a worker for a list of taps.
func listOf(local []float32) []int {
	return unsafe.Slice((*int)(unsafe.Pointer(&local[atList])), 2*listTaps)
}

// turn writes n elements of rows of x from element i on as columns.
func (m *axisMap) turn(to []float32, i, rows, n int) {
	whole := n &^ 15
	if whole > 0 {
		m.b.asm.Interleave[asm.F32](rows, whole, floatBytes(&m.from[i]), 4*m.n, &to[0])
	}
	for k := whole; k < n; k++ {
		for r := range rows {
			to[k*rows+r] = m.from[i+r*m.n+k]
		}
	}
}

// resampler is a linear map along an axis.
type resampler struct {
	axisMap
	taps   op.AxisTaps
	weight []float32
}

func resampleOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ResampleAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{scratch: widened, bind: func(args kernels.Args) (kernels.Step, error) {
		m, err := newAxisMap(b, args, a.Axis)
		if err != nil {
			return nil, err
		}
		s := &resampler{axisMap: *m, taps: a.Taps(m.n, m.size)}
		for _, w := range s.taps.Weight {
			s.weight = append(s.weight, float32(w))
		}
		s.reach = func(o int) (lo, hi int) {
			if k, end := s.taps.First[o], s.taps.First[o+1]; k < end {
				return s.taps.Index[k], s.taps.Index[end-1] + 1
			}
			return 0, 0
		}
		s.fill, s.alone = s.weigh, s.weighOne
		return s.steps(args)
	}}, ok
}

func (s *resampler) weigh(y, x []float32, ld, o, first int, list []int) {
	k, end := s.taps.First[o], s.taps.First[o+1]
	if k == end {
		clear(y)
	}
	for load := 0; k < end; load = 1 {
		n := min(listTaps, end-k)
		for t := range n {
			list[2*t], list[2*t+1] = 4*(k+t), 4*(s.taps.Index[k+t]-first)*ld
		}
		s.b.asm.Weighted(len(y), n, &s.weight[0], &x[0], &list[0], &y[0], load)
		k += n
	}
}

func (s *resampler) weighOne(x []float32, o int) (sum float32) {
	for k := s.taps.First[o]; k < s.taps.First[o+1]; k++ {
		sum = asm.FMA(s.weight[k], x[s.taps.Index[k]], sum)
	}
	return sum
}
