package cpu

import (
	"pipe.dev/kernels/cpu/asm"
)

// tallRows is the number of rows of weights that are stored together: all
// heights of tiles divide it. A tall panel holds, for every channel and element
// of the kernel, the weights of its rows; the last panel of a group has as many rows as are left.
const tallRows = 48

// convPart is what a unit of work computes.
type convPart struct {
	panels int // side by side
	tall   int // tall panels
	phases int
	deep   int // channels that are summed before the next are looked at
}

const (
	convK    = 256 // weights of a row that are used at a time, about
	convDeep = 128 // the same of taps: rows of a tile are parts of lines of 48, which the first-level cache is to hold for the next tile
	convRows = 384 // rows that share what is seen, at most: their weights stay in the second-level cache
)

// divide settles units. Nothing here changes a bit.
func (c *convolving) divide() {
	c.settle(asm.Panel)
	best, least := convPart{}, 0.0
	for panels := 1; panels <= 8; panels *= 2 {
		for _, phases := range []int{len(c.phases), c.step[2], 1} {
			for tall := 1; tall <= convRows/tallRows; tall++ {
				p := convPart{panels: panels, tall: tall, phases: phases}
				if one, all, ok := c.time(&p); ok && (least == 0 || all < least) {
					best, least = p, all
					c.perPart = max(1, int(shortPart/one))
				}
			}
		}
	}
	c.part = best
	c.layOut(c.span(best.panels))
	c.list([2]int{min(tallRows, c.rows), c.lastTall()})
	for i, height := range []int{min(tallRows, c.rows), c.lastTall()} {
		c.tiles[i] = evenly(height, parts(height, c.b.asm.Rows))
	}
	c.units = c.count(&best)
}

// count is the number of units.
func (c *convolving) count(p *convPart) int {
	return c.groups * c.batch * parts(c.panels, p.panels) * parts(c.talls(), p.tall) * parts(len(c.phases), p.phases)
}

// talls is the number of tall panels of a group.
func (c *convolving) talls() int { return parts(c.rows, tallRows) }

// lastTall is the number of rows of the last tall panel of a group.
func (c *convolving) lastTall() int { return c.rows - (c.talls()-1)*tallRows }

// span is how many numbers so many panels side by side span at most.
func (c *convolving) span(panels int) int {
	if c.across == 0 {
		return panels * asm.Panel
	}
	most := 0
	for i := 0; i < c.panels; i += panels {
		most = max(most, c.begins(min(c.panels, i+panels)-1, asm.Panel)-c.begins(i, asm.Panel))
	}
	return most + asm.Panel
}

// time estimates the nanoseconds of a unit, and of all of them; ok is false if the
// memory of a worker does not hold it. It settles how deep units are.
func (c *convolving) time(p *convPart) (one, all float64, ok bool) {
	span := c.span(p.panels)
	room, most, taps, views := c.layOut(span), 1, 0, 0
	rows := min(c.rows, p.tall*tallRows)
	if p.phases > 1 && 2*c.step[2]*asm.Panel > convRoom {
		return 0, 0, false
	}
	if room > convRoom || p.phases*rows*sumsApart(p.panels) > sumsRoom || p.panels > 1 && p.panels >= 2*c.panels || p.tall > 1 && p.tall > c.talls() {
		return 0, 0, false
	}
	for i := range c.phases {
		most, taps = max(most, len(c.phases[i].taps)), taps+len(c.phases[i].taps)
	}
	for i := range c.chunks {
		views += len(c.chunks[i].views)
	}
	p.deep = 1
	if len(c.chunks) == 1 {
		p.deep = max(1, min(convDeep/most, convRoom/room, c.channels))
		p.deep = parts(c.channels, parts(c.channels, p.deep))
	}
	runs := float64(views) * (1 + float64(span)/float64(max(1, c.extent[2])))
	look := float64(c.channels) * (0.08*float64(room*len(c.chunks)) + 6*runs)
	if c.extent[2] < shortLine {
		look = float64(c.channels) * 0.6 * float64(room*len(c.chunks))
	}
	share := float64(taps) * float64(p.phases) / float64(len(c.phases))
	mean := float64(c.rows) / float64(parts(c.talls(), p.tall)) // rows of a unit
	multiply := float64(c.channels) * share * mean * (0.1 + float64(p.panels*asm.Panel)/58)
	store := float64(p.phases) * mean * (12 + 3*float64(p.panels))
	if c.across > 0 {
		store = 15 * float64(p.phases*p.panels) * mean
	}
	if p.phases < c.step[2] { // elements are stored one by one
		store *= 4
	}
	one = look + multiply + store
	return one, one * float64(parts(c.count(p), c.b.Threads())), true
}

// products computes some units of work.
func (c *convolving) products(worker, id int) {
	lo, hi := span(id, c.units, c.perPart)
	for ; lo < hi; lo++ {
		c.unit(c.b.local[worker], lo)
	}
}

// convUnit is a unit that is being computed.
type convUnit struct {
	local        []float32
	group        int
	lo, hi       int // panels
	tall0, tall1 int // tall panels
	phase0       int
	phase1       int
	first        int // number of its first position
	rows         int // at most
}

// unit computes some panels, rows and phases.
func (c *convolving) unit(local []float32, id int) {
	u := convUnit{local: local}
	groups, blocks := parts(c.panels, c.part.panels), parts(c.talls(), c.part.tall)
	u.lo, u.hi = span(id%groups, c.panels, c.part.panels)
	id /= groups
	sample := id % c.batch
	id /= c.batch
	u.tall0, u.tall1 = span(id%blocks, c.talls(), c.part.tall)
	id /= blocks
	u.phase0, u.phase1 = span(id/c.groups, len(c.phases), c.part.phases)
	u.group = id % c.groups
	u.first, u.rows = c.begins(u.lo, asm.Panel), min(c.rows, c.part.tall*tallRows)
	numbers := c.begins(u.hi-1, asm.Panel) - u.first + asm.Panel
	for c0 := 0; c0 < c.channels; c0 += c.part.deep {
		channels := min(c.part.deep, c.channels-c0)
		for j := range c.chunks {
			c.look(local[atSight:], &c.chunks[j], (sample*c.groups+u.group)*c.channels+c0, channels, u.first, numbers)
			for i := u.lo; i < u.hi; i++ {
				c.multiply(&u, j, i, c0, channels)
			}
		}
	}
	for row := range min(u.tall1*tallRows, c.rows) - u.tall0*tallRows {
		if wide := (u.hi - u.lo) * asm.Panel; c.across == 0 && 2*c.step[2]*wide <= convRoom {
			c.store(&u, sample, row, u.lo, min(wide, c.numbers()-u.first))
			continue
		}
		for i := u.lo; i < u.hi; i++ {
			n := asm.Panel
			if c.across > 0 {
				n = min(n, c.size[2]-i%c.across*asm.Panel)
			}
			c.store(&u, sample, row, i, n)
		}
	}
}

// sums is where the sums of a phase begin for a panel and the first row. Those of a row lie side by side for all panels.
func (u *convUnit) sums(phase, panel int) int {
	return atSums + (phase-u.phase0)*u.rows*u.apart() + (panel-u.lo)*asm.Panel
}

// apart is the distance of the sums of rows.
func (u *convUnit) apart() int { return sumsApart(u.hi - u.lo) }

// sumsApart is the distance of the sums of rows of some panels, which fall on other lines of the caches so.
func sumsApart(panels int) int {
	if panels == 1 {
		return asm.Panel
	}
	return panels*asm.Panel + 16
}

// multiply adds the products of a chunk, some channels and a panel.
func (c *convolving) multiply(u *convUnit, chunk, panel, c0, channels int) {
	k := &c.chunks[chunk]
	bAt := atSight + c.begins(panel, asm.Panel) - u.first
	b := &u.local[bAt]
	apart := u.apart()
	for phase := u.phase0; phase < u.phase1; phase++ {
		taps, load := len(k.sight[phase])/2, 1
		if c0 == 0 && chunk == 0 {
			load = 0
		}
		sums := u.sums(phase, panel)
		if taps == 0 {
			if load == 0 {
				for row := range u.rows {
					clear(u.local[sums+row*apart:][:asm.Panel])
				}
			}
			continue
		}
		for t := u.tall0; t < u.tall1; t++ {
			a, height := c.tallOf(u.group, t)
			a += c0 * c.kernel * height
			last := 0
			if t == c.talls()-1 {
				last = 1
			}
			heights := c.tiles[last]
			for i := range heights[1:] {
				row := heights[i]
				if taps == 1 { // a product of matrices
					at := k.at[last][phase]
					c.b.asm.ByCol[heights[i+1]-row](channels, &c.a[a+at[0]/4+row], c.kernel*height, floatBytes(&u.local[bAt+at[1]/4]), c.room,
						&u.local[sums+((t-u.tall0)*tallRows+row)*apart], apart, nil, load)
					continue
				}
				c.b.asm.Taps[heights[i+1]-row](channels, taps, &c.a[a+row], c.kernel*height, b, c.room, &k.at[last][phase][0],
					&u.local[sums+((t-u.tall0)*tallRows+row)*apart], apart, load)
			}
		}
	}
}

// store stores the sums of a row for n numbers from a panel on.
func (c *convolving) store(u *convUnit, sample, row, panel, n int) {
	count := 1
	if c.part.phases >= c.step[2] {
		count = c.step[2]
	}
	channel := u.group*c.rows + u.tall0*tallRows + row
	number, apart := c.begins(panel, asm.Panel), u.apart()
	for phase := u.phase0; phase < u.phase1; phase += count {
		c.emit(u.local[u.sums(phase, panel)+row*apart:], u.rows*apart, phase, count, sample, channel, number, n, u.local[atSight:])
	}
}

// tallOf is where the weights of a tall panel begin, and its rows.
func (c *convolving) tallOf(group, panel int) (at, rows int) {
	return (group*c.rows + panel*tallRows) * c.channels * c.kernel, min(tallRows, c.rows-panel*tallRows)
}
