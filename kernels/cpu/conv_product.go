package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cpu/asm"
)

// The memory of a worker while it multiplies patches, in floats.
const (
	convK      = 256 // rows of a panel of patches: it stays in the first-level cache
	convPanels = 8   // panels that meet a block of weights while that stays in the second
	convRows   = 384 // rows of a block
	atPatches  = 0
	atConvSums = convPanels * convK * asm.Panel
	convSums   = localFloats - atConvSums
)

// divide settles tiles, blocks and parts. Nothing here changes a bit.
func (c *convolving) divide() {
	c.units = 0
	longest := 0
	for i := range c.phases {
		p := &c.phases[i]
		count := parts(c.rows, c.b.asm.Rows)
		p.tiles = evenly(c.rows, count)
		longest = max(longest, c.share(p, count))
		p.firstUnit = c.units
		c.units += c.groups * (len(p.blocks) - 1) * parts(parts(c.columns(p), asm.Panel), p.group)
	}
	c.perPart = max(1, shortPart/max(longest, 1))
}

// share settles how many panels and which rows a unit has: so that all threads
// are done soonest, by the time it takes to copy patches, to read weights, and
// to multiply. It returns the nanoseconds of a unit.
func (c *convolving) share(p *convPhase, count int) (unit int) {
	k, panels := max(1, c.channels*len(p.taps)), parts(c.columns(p), asm.Panel)
	least := 0
	for group := 1; group <= min(panels, convPanels); group *= 2 {
		for blocks := 1; blocks <= count; blocks++ {
			rows := parts(count, blocks) * parts(c.rows, count)
			if rows > convRows || group*rows*asm.Panel > convSums {
				continue
			}
			one := k * (5*group + rows/5 + group*rows*asm.Panel/55)
			all := c.groups*blocks*parts(panels, group)*one/c.b.Threads() + one
			if least == 0 || all < least {
				least, unit, p.group, p.blockRows = all, one, group, rows
				p.blocks = evenly(count, blocks)
			}
		}
	}
	return unit
}

// products computes some units of work.
func (c *convolving) products(worker, id int) {
	lo, hi := span(id, c.units, c.perPart)
	for ; lo < hi; lo++ {
		i := len(c.phases) - 1
		for c.phases[i].firstUnit > lo {
			i--
		}
		c.unit(c.b.local[worker], &c.phases[i], lo-c.phases[i].firstUnit)
	}
}

// convRun is a run of positions along the last axis.
type convRun struct{ n, p0, p1, p2, len, at int } // sample, first position, length, column of the panel

// convPanel is a panel of positions.
type convPanel struct {
	runs   [asm.Panel]convRun
	count  int
	first  int // column
	width  int
	inside bool // its sums may be written where y lies
}

// panel describes the panel that begins at a column.
func (c *convolving) panel(out *convPanel, p *convPhase, column int) {
	out.first, out.width, out.count = column, min(asm.Panel, c.columns(p)-column), 0
	for at := 0; at < out.width; {
		i := column + at
		r := convRun{p2: i % p.size[2], at: at}
		i /= p.size[2]
		r.p1, i = i%p.size[1], i/p.size[1]
		r.p0, r.n = i%p.size[0], i/p.size[0]
		r.len = min(out.width-at, p.size[2]-r.p2)
		out.runs[out.count] = r
		out.count++
		at += r.len
	}
	all := prod(p.size[:])
	out.inside = c.y.dtype == ir.F32 && p.step == [3]int{1, 1, 1} && out.width == asm.Panel && column/all == (column+asm.Panel-1)/all
}

// place is the element of y of position i of a run, in channel 0.
func (c *convolving) place(p *convPhase, r *convRun, i int) int {
	d := c.dest
	return (r.n*c.groups*c.rows*d[0]*d[1]*d[2] + ((p.start[0]+r.p0*p.step[0])*d[1]+p.start[1]+r.p1*p.step[1])*d[2]) + p.start[2] + (r.p2+i)*p.step[2]
}

// unit computes a group of panels for a block of rows.
func (c *convolving) unit(local []float32, p *convPhase, id int) {
	panels := parts(c.columns(p), asm.Panel)
	groups := parts(panels, p.group)
	lo, hi := span(id%groups, panels, p.group)
	id /= groups
	blocks := len(p.blocks) - 1
	g, from, to := id/blocks, p.blocks[id%blocks], p.blocks[id%blocks+1]
	row0 := p.tiles[from]
	k, area := c.channels*len(p.taps), c.dest[0]*c.dest[1]*c.dest[2]
	var desc [convPanels]convPanel
	for i := lo; i < hi; i++ {
		c.panel(&desc[i-lo], p, i*asm.Panel)
	}
	for k0 := 0; k0 == 0 || k0 < k; k0 += convK {
		n, load := min(convK, k-k0), 0
		if k0 > 0 {
			load = 1
		}
		for i := range desc[:hi-lo] {
			c.patches(local[atPatches+i*convK*asm.Panel:], p, g, &desc[i], k0, n)
		}
		for i := range desc[:hi-lo] {
			d := &desc[i]
			b := floatBytes(&local[atPatches+i*convK*asm.Panel])
			for t := from; t < to; t++ {
				row := p.tiles[t]
				y, ldy := &local[atConvSums+(i*p.blockRows+row-row0)*asm.Panel], asm.Panel
				if d.inside {
					y, ldy = &c.y.f32()[c.place(p, &d.runs[0], 0)+(g*c.rows+row)*area], area
				}
				c.tile(p, g, row, p.tiles[t+1]-row, k0, n, b, y, ldy, load)
			}
		}
	}
	for i := range desc[:hi-lo] {
		for row := row0; row < p.tiles[to]; row++ {
			c.finish(local[atConvSums+(i*p.blockRows+row-row0)*asm.Panel:][:asm.Panel], p, &desc[i], g*c.rows+row)
		}
	}
}

// tile computes n steps of k of m rows.
func (c *convolving) tile(p *convPhase, g, row, m, k0, n int, b *byte, y *float32, ldy, load int) {
	k := &c.b.asm
	switch {
	case n == 0:
		k.ByRow[asm.F32][m](0, nil, 0, nil, 0, y, ldy, nil, load)
	case c.aRow == 1:
		k.ByCol[m](n, c.weights(p, g, row, k0), c.aColumn, b, asm.Panel, y, ldy, nil, load)
	default:
		k.ByRow[asm.F32][m](n, c.weights(p, g, row, k0), c.weightRow(p), b, asm.Panel, y, ldy, nil, load)
	}
}

// finish adds the bias to the sums of a panel in one channel, applies the
// function, and stores them, unless they are there already.
func (c *convolving) finish(sums []float32, p *convPhase, d *convPanel, channel int) {
	area := c.dest[0] * c.dest[1] * c.dest[2]
	if d.inside {
		at := c.place(p, &d.runs[0], 0) + channel*area
		c.epilogue(c.y.f32()[at:at+asm.Panel], channel)
		return
	}
	c.epilogue(sums[:d.width], channel)
	for i := range d.runs[:d.count] {
		r := &d.runs[i]
		c.keep(sums[r.at:r.at+r.len], c.place(p, r, 0)+channel*area, p.step[2])
	}
}

// epilogue adds the bias of a channel and applies the function.
func (c *convolving) epilogue(y []float32, channel int) {
	if c.bias.there() {
		c.b.asm.AddS(y, y, c.bias.one(channel))
	}
	if c.act != nil {
		c.act(y)
	}
}

// keep stores values step elements apart, from element i of y on.
func (c *convolving) keep(x []float32, i, step int) {
	switch {
	case step == 1:
		c.y.store(i, x)
	case c.y.dtype == ir.F32:
		y := c.y.f32()[i:]
		for j, v := range x {
			y[j*step] = v
		}
	default:
		for j, v := range x {
			c.y.set(i+j*step, v)
		}
	}
}
