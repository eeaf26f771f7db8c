package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// The memory of a worker while it sums lines, in floats.
const (
	lineChunk = 2048    // positions of a line that are summed at a time
	lineRoom  = 1 << 16 // for elements of x that are copied
	atLine    = 0
	atLineSum = lineRoom
)

// chunk is how many positions of a line of a phase are summed at a time, and
// whether what each tap sees is copied by itself.
func (c *convolving) chunk(p *convPhase) (n int, apart bool) {
	if c.walk[2] == 1 && (p.lasts < 2 || (p.lasts-1)*p.distance()+lineChunk <= lineRoom) {
		return lineChunk, false
	}
	return min(lineChunk, lineRoom/max(p.lasts, 1)), true
}

// distance is how far apart neighbouring taps see along the last axis.
func (p *convPhase) distance() int {
	if p.lasts < 2 {
		return 0
	}
	return p.taps[1][2] - p.taps[0][2]
}

// divideLines settles the parts. Nothing here changes a bit.
func (c *convolving) divideLines() error {
	c.units, c.perPart = 0, 1
	for i := range c.phases {
		p := &c.phases[i]
		n, _ := c.chunk(p)
		if n < 1 {
			return fmt.Errorf("a kernel of %d elements along an axis; at most %d", p.lasts, lineRoom)
		}
		p.firstUnit = c.units
		c.units += c.batch * c.groups * c.rows * p.size[0] * p.size[1] * parts(p.size[2], n)
		c.perPart = max(c.perPart, shortPart/(20+c.channels*len(p.taps)*min(n, p.size[2])/16))
	}
	return nil
}

// lines computes some units of work.
func (c *convolving) lines(worker, id int) {
	lo, hi := span(id, c.units, c.perPart)
	for ; lo < hi; lo++ {
		i := len(c.phases) - 1
		for c.phases[i].firstUnit > lo {
			i--
		}
		c.line(c.b.local[worker], &c.phases[i], lo-c.phases[i].firstUnit)
	}
}

// line computes a chunk of a line of y: the sum over channels and taps of
// weights times lines of x.
func (c *convolving) line(local []float32, p *convPhase, id int) {
	n, apart := c.chunk(p)
	chunks := parts(p.size[2], n)
	r := convRun{p2: id % chunks * n}
	id /= chunks
	r.p1, id = id%p.size[1], id/p.size[1]
	r.p0, id = id%p.size[0], id/p.size[0]
	channel := id % (c.groups * c.rows)
	r.n, r.len = id/(c.groups*c.rows), min(n, p.size[2]-r.p2)
	g, row := channel/c.rows, channel%c.rows
	at := c.place(p, &r, 0) + channel*c.dest[0]*c.dest[1]*c.dest[2]
	sum, inside := local[atLineSum:atLineSum+r.len], false
	if c.y.dtype == ir.F32 && p.step[2] == 1 {
		sum, inside = c.y.f32()[at:at+r.len], true
	}
	clear(sum)
	for ch := range c.channels {
		for t := 0; t < len(p.taps); t += p.lasts {
			values, stride := c.seen(local, p, &r, g*c.channels+ch, t, apart)
			if values != nil {
				c.b.asm.Mix[0](p.lasts, r.len, c.weights(p, g, row, ch*len(p.taps)+t), values, stride, &sum[0])
			}
		}
	}
	c.epilogue(sum, channel)
	if !inside {
		c.keep(sum, at, p.step[2])
	}
}

// seen returns what the positions of a run see of a channel of x through the
// taps from t on along the last axis, and how many bytes apart what neighbouring
// taps see begins; nil if it is all beyond x.
func (c *convolving) seen(local []float32, p *convPhase, r *convRun, channel, t int, apart bool) (*byte, int) {
	s, tap := c.source, &p.taps[t]
	e0, e1 := tap[0]+r.p0*c.walk[0], tap[1]+r.p1*c.walk[1]
	if uint(e0) >= uint(s[0]) || uint(e1) >= uint(s[1]) {
		return nil, 0
	}
	line := (((r.n*c.groups*c.channels+channel)*s[0]+e0)*s[1] + e1) * s[2]
	if apart {
		for i := range p.lasts {
			c.copyLine(local[atLine+i*r.len:][:r.len], line, p.taps[t+i][2]+r.p2*c.walk[2], c.walk[2])
		}
		return vecOf(local[atLine:]).at(0), 4 * r.len
	}
	e2, n := tap[2]+r.p2, (p.lasts-1)*p.distance()+r.len
	if c.x.dtype == ir.F32 && e2 >= 0 && e2+n <= s[2] {
		return c.x.at(line + e2), 4 * p.distance()
	}
	c.copyLine(local[atLine:atLine+n], line, e2, 1)
	return vecOf(local[atLine:]).at(0), 4 * p.distance()
}

// copyLine copies elements of a line of x, walk apart from element e on, and
// zeros where there are none.
func (c *convolving) copyLine(to []float32, line, e, walk int) {
	lo, hi := within(e, walk, len(to), c.source[2])
	clear(to[:lo])
	clear(to[hi:])
	switch {
	case walk == 1 && lo < hi:
		c.x.load(to[lo:hi], line+e+lo)
	case c.x.dtype == ir.F32:
		x := c.x.f32()
		for i := lo; i < hi; i++ {
			to[i] = x[line+e+i*walk]
		}
	default:
		for i := lo; i < hi; i++ {
			to[i] = c.x.one(line + e + i*walk)
		}
	}
}
