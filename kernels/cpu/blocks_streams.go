package cpu

import (
	"sort"
	"unsafe"

	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// Few rows times weights in rows, as files have them. Where that is quicker, the rows of a weight that are read together
// lie far apart, so that each is a stream of its own, which processors fetch ahead by themselves: of rows side by side
// they only see that memory is read here and there, and fetch a sixth less.

// streams are rows first + l apart + j of a weight, stream l of asm.Panel, j < apart.
type streams struct{ first, apart int }

// streamsOf divides n rows of so many bytes among streams, or into panels of rows side by side. Up to asm.Panel-1 rows are left over.
func (b *Backend) streamsOf(n, bytes int) []streams {
	var out []streams
	for first := 0; n-first >= asm.Panel; {
		s := streams{first, 1}
		if b.asm.RowsApart {
			s.apart = wellApart((n-first)/asm.Panel, bytes)
		}
		out = append(out, s)
		first += s.apart * asm.Panel
	}
	return out
}

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
	at := func(i int) int { return all[i].first / asm.Panel } // its first panel
	for i := sort.Search(len(all), func(i int) bool { return at(i)+all[i].apart > lo }); i < len(all) && lo < hi; i++ {
		for end := at(i) + all[i].apart; lo < min(hi, end); {
			next := min(lo+inOrder, hi, end)
			p.stream(local, weights, row0, m, all[i], lo-at(i), next-at(i))
			lo = next
		}
	}
	if lo < hi {
		p.tiles(local, weights, row0, m, lo, hi)
	}
}

// inOrder is how many rows of each stream are multiplied before their sums are put in order.
const inOrder = 16

// stream multiplies m rows of x from row0 on by rows lo to hi of each stream.
func (p *blockProduct) stream(local []float32, weights []weight, row0, m int, s streams, lo, hi int) {
	supers, n := p.k/p.format.Block, hi-lo
	sums := local[atPanel:atRest] // of weights, rows of x, rows of streams, and streams
	for i, w := range weights {
		for j := range n {
			at := unsafe.SliceData(w.bytes8()[(s.first+lo+j)*p.rowBytes():])
			for r := range m {
				x := unsafe.SliceData(p.quantised[(row0+r)*p.blocks*asm.BlockX:])
				p.b.asm.RowTimesRows[p.coding](supers, x, at, s.apart*p.rowBytes(), &sums[((i*m+r)*n+j)*asm.Panel])
			}
		}
	}
	for r := range m {
		for i := range weights {
			y := local[atSum+i*(atSum2-atSum):]
			from := sums[(i*m+r)*n*asm.Panel:][:n*asm.Panel]
			if s.apart > 1 {
				p.b.asm.Interleave[asm.F32](n, asm.Panel, (*byte)(unsafe.Pointer(&from[0])), 4*asm.Panel, &y[0])
			} else {
				copy(y, from)
			}
		}
		p.finishStream(local, (row0+r)*p.n, s, lo, n)
	}
}

// finishStream does to sums what finish does, of rows lo to lo+n of each stream: what belongs to one lies side by side.
func (p *blockProduct) finishStream(local []float32, row int, s streams, lo, n int) {
	count, width := asm.Panel, n
	if s.apart == 1 {
		count, width = 1, asm.Panel
	}
	for l := range count {
		if bias := p.biasOf(p.bias, local, s.first+l*s.apart+lo, width); bias != nil {
			y := local[atSum+l*width:][:width]
			p.b.asm.Add(y, y, unsafe.Slice(bias, width))
		}
	}
	y := p.combined(local, 0, asm.Panel*n)
	for l := range count {
		p.y.store(row+s.first+l*s.apart+lo, y[l*width:][:width])
	}
}
