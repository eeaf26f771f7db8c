package cpu

import (
	"unsafe"

	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// Few rows times weights in rows, as files have them. Where that is quicker, the rows of a weight that are read together
// lie far apart, so that each is a stream of its own, which processors fetch ahead by themselves: of rows side by side
// they only see that memory is read here and there, and fetch a sixth less.

// streams are rows first + l lane + j unit of a weight, l < asm.Panel, j < count: streams of neighbouring rows that lie apart, or
// panels of rows side by side.
type streams struct{ first, lane, unit, count int }

// streamsOf divides n rows of so many bytes. Up to asm.Panel-1 rows are left over.
func (b *Backend) streamsOf(n, bytes int) []streams {
	if !b.asm.RowsApart || bytes < longRow {
		return []streams{{0, 1, asm.Panel, n / asm.Panel}}
	}
	var out []streams
	for first := 0; n-first >= asm.Panel; {
		apart := wellApart((n-first)/asm.Panel, bytes)
		out = append(out, streams{first, apart, 1, apart})
		first += apart * asm.Panel
	}
	return out
}

// longRow is how many bytes a row has that is worth a stream: putting sums in order takes as long as some computing.
const longRow = 1 << 10

// wellApart is at most that many rows, about that many, so that few streams meet in the sets of the first-level cache.
func wellApart(most, bytes int) int {
	best := most
	for n := most; n > most-max(1, min(8, most/4)); n-- {
		if meeting(n*bytes) < meeting(best*bytes) {
			best = n
		}
	}
	return best
}

// meeting is how many of 16 streams that lie so many bytes apart read the same sets of the first-level cache.
func meeting(apart int) int {
	const sets, near = 4096, 256 // bytes from a line to the next of the same set, and what is asked for ahead
	most := 0
	for i := range 16 {
		n := 0
		for j := range 16 {
			if ((j-i)*apart%sets+sets)%sets < near {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// byStreams returns the step that multiplies few rows of x.
func (p *blockProduct) byStreams() kernels.Step {
	all := p.b.streamsOf(p.n, p.rowBytes())
	from := guided(parts(p.n, asm.Panel), max(1, rowPart/max(1, p.panelBytes(p.k))), p.b.Threads())
	return p.b.step(len(from)-1, func(worker, id int) {
		p.inStreams(p.b.local[worker], p.w, 0, p.m, all, from[id], from[id+1])
	})
}

// inStreams multiplies m rows of x from row0 on by panels lo to hi of weights: of rows that lie apart, and the last of
// those that are left over.
func (p *blockProduct) inStreams(local []float32, weights []weight, row0, m int, all []streams, lo, hi int) {
	begin := 0
	for _, s := range all {
		some := inOrder
		if s.lane == 1 {
			some = inPanels
		}
		for lo < min(hi, begin+s.count) {
			next := min(lo+some, hi, begin+s.count)
			p.stream(local, weights, row0, m, s, lo-begin, next-begin)
			lo = next
		}
		begin += s.count
	}
	if lo < hi {
		p.tiles(local, weights, row0, m, lo, hi)
	}
}

const (
	further  = 256 // bytes further on in each stream that are asked for
	inOrder  = 16  // rows of each stream that are multiplied before their sums are put in order
	inPanels = 8   // panels of rows side by side that are multiplied before they are finished: as many biases fit
)

// stream multiplies m rows of x from row0 on by rows lo to hi of each stream.
func (p *blockProduct) stream(local []float32, weights []weight, row0, m int, s streams, lo, hi int) {
	supers, size := p.k/p.format.Block, (hi-lo)*asm.Panel
	ahead := further
	if s.lane == 1 {
		ahead = asm.Panel / 2 * p.rowBytes() // the rows that follow, of a vector's lanes
	}
	for i, w := range weights {
		y := local[atSum+i*(atSum2-atSum):]
		sums := y // where they stay, or, of rows that lie apart, are put in order from
		if s.lane > 1 {
			sums = local[atPanel:atRest]
		}
		for j := lo; j < hi; j++ {
			at := unsafe.SliceData(w.bytes8()[(s.first+j*s.unit)*p.rowBytes():])
			for r := range m {
				x := unsafe.SliceData(p.quantised[(row0+r)*p.blocks*asm.BlockX:])
				p.b.asm.RowTimesRows[p.coding](supers, x, at, s.lane*p.rowBytes(), ahead, &sums[r*size+(j-lo)*asm.Panel])
			}
		}
		for r := range m {
			if s.lane > 1 {
				p.b.asm.Interleave[asm.F32](hi-lo, asm.Panel, floatBytes(&sums[r*size]), 4*asm.Panel, &y[r*size])
			}
		}
	}
	for r := range m {
		p.finishStream(local, row0+r, r*size, s, lo, hi-lo)
	}
}

// finishStream does to the sums at an offset what finish does, of n rows of each stream from row lo on: what belongs to one lies
// side by side.
func (p *blockProduct) finishStream(local []float32, row, offset int, s streams, lo, n int) {
	count, width := asm.Panel, n
	if s.lane == 1 {
		count, width = 1, asm.Panel*n
	}
	for i := range p.w {
		for l := range count {
			if bias := p.biasOf(p.bias, local, s.first+l*s.lane+lo*s.unit, width); bias != nil {
				y := local[atSum+i*(atSum2-atSum)+offset+l*width:][:width]
				p.b.asm.Add(y, y, unsafe.Slice(bias, width))
			}
		}
	}
	y := p.combined(local, offset, asm.Panel*n)
	for l := range count {
		p.y.store(row*p.n+s.first+l*s.lane+lo*s.unit, y[l*width:][:width])
	}
}
