package cpu

// lineChunk is how many numbers of positions a unit of lines has, at most.
const lineChunk = 2048

// divideLines settles the units of lines. Nothing here changes a bit.
func (c *convolving) divideLines() {
	c.width = lineChunk
	for c.settle(c.width); c.width > 32 && (c.room > convRoom || c.sumsOfLine(1) > sumsRoom || 2*c.width*c.step[2] > convRoom); c.settle(c.width) {
		c.width /= 2
	}
	c.alike = c.rows
	for c.alike > 1 && c.sumsOfLine(c.alike) > sumsRoom {
		c.alike--
	}
	c.list([2]int{1, 1})
	c.units = c.batch * c.groups * parts(c.rows, c.alike) * c.panels
	taps := 0
	for i := range c.phases {
		taps += len(c.phases[i].taps)
	}
	c.perPart = max(1, shortPart/(20+c.alike*c.channels*taps*min(c.width, c.numbers())/16))
}

// sumsOfLine is the floats of the sums of some rows.
func (c *convolving) sumsOfLine(rows int) int { return rows * len(c.phases) * c.width }

// lines computes some units of work.
func (c *convolving) lines(worker, id int) {
	lo, hi := span(id, c.units, c.perPart)
	for ; lo < hi; lo++ {
		c.line(c.b.local[worker], lo)
	}
}

// line computes a run of positions of some rows: sums over channels and taps of weights times lines of x.
func (c *convolving) line(local []float32, id int) {
	number := c.begins(id%c.panels, c.width)
	n := min(c.width, c.numbers()-number)
	if c.across > 0 {
		n = min(c.width, c.size[2]-id%c.panels%c.across*c.width)
	}
	id /= c.panels
	blocks := parts(c.rows, c.alike)
	row0, end := span(id%blocks, c.rows, c.alike)
	id /= blocks
	group, sample := id%c.groups, id/c.groups
	for ch := range c.channels {
		for j := range c.chunks {
			k := &c.chunks[j]
			c.look(local[atSight:], k, (sample*c.groups+group)*c.channels+ch, 1, number, n)
			for row := row0; row < end; row++ {
				a := (group*c.rows+row)*c.channels + ch
				if c.adjoint {
					a = (group*c.channels+ch)*c.rows + row
				}
				for phase := range c.phases {
					c.add(local, k.at[0][phase], a*c.kernel, ((row-row0)*len(c.phases)+phase)*c.width, n, ch+j > 0)
				}
			}
		}
	}
	count := 1
	if c.step[2]*c.width*2 <= convRoom {
		count = c.step[2]
	}
	for row := row0; row < end; row++ {
		for phase := 0; phase < len(c.phases); phase += count {
			c.emit(local[atSums+((row-row0)*len(c.phases)+phase)*c.width:], c.width, phase, count, sample, group*c.rows+row, number, n, local[atSight:])
		}
	}
}

// add adds what the taps of a phase see, weighted, to its sums.
func (c *convolving) add(local []float32, at []int, a, sums, n int, again bool) {
	load := 0
	if again {
		load = 1
	}
	if len(at) == 0 {
		if !again {
			clear(local[atSums+sums:][:n])
		}
		return
	}
	c.b.asm.Weighted(n, len(at)/2, &c.a[a], &local[atSight], &at[0], &local[atSums+sums], load)
}
