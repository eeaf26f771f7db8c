package cpu

import (
	"math"
	"unsafe"

	"pipe.dev/compiler/ir"
)

// look copies what positions from the given number on see of some channels, the first
// of which is a plane of x: views of span numbers and their shifts.
func (c *convolving) look(to []float32, k *convChunk, plane, channels, number, span int) {
	if c.extent[2] < shortLine && channels > 1 && (channels+1)*c.room <= min(len(to), convRoom) && prod(c.source[:]) <= math.MaxInt32 {
		c.lookListed(to, k, plane, channels, number, span)
		return
	}
	for i := range k.views {
		v := &k.views[i]
		at := v.start
		for l := c.lineAt(number + v.from); at < v.start+v.to-v.from+span; l.next(&c.extent) {
			n := min(v.start+v.to-v.from+span-at, c.extent[2]-l[2])
			x0 := l[0]*c.walk[0] + v.residue[0] + c.least[0]
			x1 := l[1]*c.walk[1] + v.residue[1] + c.least[1]
			x2 := l[2]*c.walk[2] + v.residue[2] + c.least[2]
			c.lookAlong(to[at:], plane, channels, x0, x1, x2, n)
			at += n
		}
	}
}

// lookListed is look by a list of which elements of a channel are seen, which lies behind what is copied.
func (c *convolving) lookListed(to []float32, k *convChunk, plane, channels, number, span int) {
	s, area := &c.source, prod(c.source[:])
	which := unsafe.Slice((*int32)(unsafe.Pointer(&to[channels*c.room])), c.room)
	for i := range k.views {
		v := &k.views[i]
		at, end := v.start, v.start+v.to-v.from+span
		for l := c.lineAt(number + v.from); at < end; l.next(&c.extent) {
			x0 := l[0]*c.walk[0] + v.residue[0] + c.least[0]
			x1 := l[1]*c.walk[1] + v.residue[1] + c.least[1]
			x2 := l[2]*c.walk[2] + v.residue[2] + c.least[2]
			line, inside := (x0*s[1]+x1)*s[2], uint(x0) < uint(s[0]) && uint(x1) < uint(s[1])
			for n := min(end-at, c.extent[2]-l[2]); n > 0; n-- {
				if which[at] = -1; inside && uint(x2) < uint(s[2]) {
					which[at] = int32(line + x2)
				}
				at, x2 = at+1, x2+c.walk[2]
			}
		}
		for ch := range channels {
			c.takeListed(to[ch*c.room:][v.start:end], which[v.start:end], (plane+ch)*area, area)
		}
	}
}

// takeListed copies the listed elements of a plane that begins at element from of x; what is listed as -1 is zero.
func (c *convolving) takeListed(to []float32, which []int32, from, area int) {
	if c.x.dtype != ir.F32 {
		for j, i := range which {
			if to[j] = 0; i >= 0 {
				to[j] = c.x.one(from + int(i))
			}
		}
		return
	}
	x := c.x.f32()[from:][:area]
	for j, i := range which {
		var v float32
		if uint(i) < uint(len(x)) {
			v = x[i]
		}
		to[j] = v
	}
}

// convLine is an element of a picture.
type convLine [3]int

// lineAt is the element of a number.
func (c *convolving) lineAt(number int) convLine {
	line := number / c.extent[2]
	return convLine{line / c.extent[1], line % c.extent[1], number % c.extent[2]}
}

// next goes to the begin of the next line.
func (l *convLine) next(extent *[3]int) {
	l[2] = 0
	if l[1]++; l[1] == extent[1] {
		l[0], l[1] = l[0]+1, 0
	}
}

// lookAlong copies n elements of a line of each of some channels.
func (c *convolving) lookAlong(to []float32, plane, channels, x0, x1, x2, n int) {
	s, walk := &c.source, c.walk[2]
	lo, hi := 0, 0
	if uint(x0) < uint(s[0]) && uint(x1) < uint(s[1]) {
		lo, hi = within(x2, walk, n, s[2])
	}
	from, area := ((plane*s[0]+x0)*s[1]+x1)*s[2]+x2+lo*walk, s[0]*s[1]*s[2]
	for ch := range channels {
		row := to[ch*c.room:][:n]
		if lo >= hi {
			clear(row)
			continue
		}
		clear(row[:lo])
		clear(row[hi:])
		c.take(row[lo:hi], from, walk)
		from += area
	}
}

// take copies elements of x from i on, walk apart.
func (c *convolving) take(to []float32, i, walk int) {
	switch {
	case walk == 1:
		c.x.load(to, i)
	case c.x.dtype == ir.F32:
		x := c.x.f32()[i:]
		for j := range to {
			to[j] = x[j*walk]
		}
	default:
		for j := range to {
			to[j] = c.x.one(i + j*walk)
		}
	}
}

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

// copyLine copies elements of a line of x, walk apart from element e on, and
// zeros where there are none.
func (c *convolving) copyLine(to []float32, line, e, walk int) {
	lo, hi := within(e, walk, len(to), c.source[2])
	clear(to[:lo])
	clear(to[hi:])
	if lo < hi {
		c.take(to[lo:hi], line+e+lo*walk, walk)
	}
}
