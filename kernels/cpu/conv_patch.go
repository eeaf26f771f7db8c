package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cpu/asm"
)

// within returns which of n elements, walk apart from element e on, lie in a
// line of size elements.
func within(e, walk, n, size int) (lo, hi int) {
	if e < 0 {
		lo = (-e + walk - 1) / walk
	}
	if e < size {
		hi = (size-1-e)/walk + 1
	}
	hi = min(hi, n)
	return min(lo, hi), hi
}

// patches writes rows k0 to k0+n of a panel of patches: row c*taps+t has what
// the positions of the panel see of channel c through tap t.
func (c *convolving) patches(to []float32, p *convPhase, g int, d *convPanel, k0, n int) {
	if d.width < asm.Panel {
		clear(to[:n*asm.Panel])
	}
	taps := len(p.taps)
	s := c.source
	for i := range d.runs[:d.count] {
		r := &d.runs[i]
		for t := range p.taps {
			tap := &p.taps[t]
			e0, e1, e2 := tap[0]+r.p0*c.walk[0], tap[1]+r.p1*c.walk[1], tap[2]+r.p2*c.walk[2]
			lo, hi := 0, 0
			if uint(e0) < uint(s[0]) && uint(e1) < uint(s[1]) {
				lo, hi = within(e2, c.walk[2], r.len, s[2])
			}
			ch := max(0, (k0-t+taps-1)/taps)
			from := (((r.n*c.groups+g)*c.channels+ch)*s[0]+e0)*s[1]*s[2] + e1*s[2] + e2
			c.patch(to[r.at:], (ch*taps+t-k0)*asm.Panel, n*asm.Panel, taps*asm.Panel, from, lo, hi, r.len)
		}
	}
}

// patch writes one run and one tap of all channels: rows of to from first up
// to end, step apart.
func (c *convolving) patch(to []float32, first, end, step, from, lo, hi, n int) {
	area, walk := c.source[0]*c.source[1]*c.source[2], c.walk[2]
	if first >= end {
		return
	}
	rows := (end - first + step - 1) / step
	switch {
	case lo == hi:
		for ; first < end; first += step {
			clear(to[first : first+n])
		}
	case walk == 1 && n == asm.Panel && from >= 0 && from+(rows-1)*area+asm.Panel <= c.x.n:
		c.b.asm.CopyRows[c.x.storage()](rows, c.x.at(from), area*c.x.dtype.Size(), &to[first], step)
		if hi-lo < asm.Panel { // what lies beyond the line was copied, too
			for ; first < end; first += step {
				clear(to[first : first+lo])
				clear(to[first+hi : first+asm.Panel])
			}
		}
	case c.x.dtype != ir.F32:
		for ; first < end; first, from = first+step, from+area {
			row := to[first : first+n]
			clear(row[:lo])
			clear(row[hi:])
			if walk == 1 {
				c.x.load(row[lo:hi], from+lo)
				continue
			}
			for i := lo; i < hi; i++ {
				row[i] = c.x.one(from + i*walk)
			}
		}
	case walk == 1:
		x := c.x.f32()
		for ; first < end; first, from = first+step, from+area {
			row := to[first : first+n]
			clear(row[:lo])
			copy(row[lo:hi], x[from+lo:])
			clear(row[hi:])
		}
	default:
		x := c.x.f32()
		for ; first < end; first, from = first+step, from+area {
			row := to[first : first+n]
			clear(row[:lo])
			for i := lo; i < hi; i++ {
				row[i] = x[from+i*walk]
			}
			clear(row[hi:])
		}
	}
}
