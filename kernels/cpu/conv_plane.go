package cpu

import "pipe.dev/compiler/ir"

// planes is a convolution of each channel by itself, of a picture as large as
// the result: sums over taps of x where it lies, written where y lies. All elements
// from the first to the last that see the picture alone are one run of numbers;
// those beside it, at the begin and end of lines, come out wrong there, and are
// computed once more from copies of the columns that they see, with zeros above and
// below. The chains are those of lines.
type planes struct {
	*convolving
	high, wide           int
	above, below, lo, hi int // how many lines and columns at each side see what is not there
	column               int // floats of a copied column
	inside               []int
	lines                [][]int // as inside, of the lines at the top and then of those at the bottom
	edges                [][]int // of the columns at the left and then of those at the right, in copied columns
}

// planeRun is how many numbers are summed before bias and function.
const planeRun = 2048

// newPlanes returns c as planes where it is such a convolution and pays as one.
func newPlanes(c *convolving) (*planes, bool) {
	one := [3]int{1, 1, 1}
	p := &planes{convolving: c, high: c.source[1], wide: c.source[2]}
	if c.rows != 1 || c.channels != 1 || len(c.phases) != 1 || c.walk != one || c.step != one || c.source != c.dest ||
		c.source[0] != 1 || p.high == 1 || c.x.dtype != ir.F32 || c.y.dtype != ir.F32 {
		return nil, false
	}
	for _, t := range c.phases[0].taps {
		p.above, p.below = max(p.above, -t[1]), max(p.below, t[1])
		p.lo, p.hi = max(p.lo, -t[2]), max(p.hi, t[2])
	}
	p.column = p.above + p.high + p.below
	columns := 2*(p.lo+p.hi)*p.column + (p.lo+p.hi)*p.high
	if p.above+p.below >= p.high || p.lo+p.hi >= p.wide || columns > convRoom || p.high*p.wide < shortLine*shortLine {
		return nil, false
	}
	p.list()
	return p, true
}

// list writes the distances for asm, from the element itself, and in copied columns from
// the first element that the first column sees.
func (p *planes) list() {
	taps := func(sees func(t [3]int) (distance int, ok bool)) (at []int) {
		for i, t := range p.phases[0].taps {
			if d, ok := sees(t); ok {
				at = append(at, 4*p.phases[0].element[i], 4*d)
			}
		}
		return at
	}
	all := func(t [3]int) int { return t[1]*p.wide + t[2] }
	p.inside = taps(func(t [3]int) (int, bool) { return all(t), true })
	for i := range p.above + p.below {
		y := i
		if i >= p.above {
			y = p.high - p.below + i - p.above
		}
		p.lines = append(p.lines, taps(func(t [3]int) (int, bool) { return all(t), uint(y+t[1]) < uint(p.high) }))
	}
	for i := range p.lo + p.hi {
		x, from := p.edge(i)
		p.edges = append(p.edges, taps(func(t [3]int) (int, bool) {
			return (x+t[2]-from)*p.column + p.above + t[1], uint(x+t[2]) < uint(p.wide)
		}))
	}
}

// edge is the i-th column that is copied for, and the first of those that its side sees.
func (p *planes) edge(i int) (x, from int) {
	if i < p.lo {
		return i, 0
	}
	return p.wide - p.hi + i - p.lo, p.wide - p.hi - p.lo
}

func (p *planes) part(worker, id int) {
	size := p.high * p.wide
	local, x, y := p.b.local[worker], p.x.f32()[id*size:][:size], p.y.f32()[id*size:][:size]
	channel := id % p.groups
	a := &p.a[channel*p.kernel]
	results := local[2*(p.lo+p.hi)*p.column:]
	p.columns(local, results, x, a)
	most := max(1, planeRun/p.wide)
	for from := 0; from < p.high; {
		to := from + 1
		if from >= p.above && from < p.high-p.below {
			to = min(from+most, p.high-p.below)
		}
		p.sum(x, y, a, from, to)
		for i := range p.lo + p.hi {
			column, _ := p.edge(i)
			for j, v := range results[i*p.high:][from:to] {
				y[(from+j)*p.wide+column] = v
			}
		}
		lines := y[from*p.wide : to*p.wide]
		if p.bias.there() {
			p.b.asm.AddS(lines, lines, p.bias.one(channel))
		}
		if p.act != nil {
			p.act(lines)
		}
		from = to
	}
}

// sum computes the lines from from to to-1, which see the same taps, but for the columns at either side.
func (p *planes) sum(x, y []float32, a *float32, from, to int) {
	at := p.inside
	if from < p.above {
		at = p.lines[from]
	} else if under := from - (p.high - p.below); under >= 0 {
		at = p.lines[p.above+under]
	}
	first, last := from*p.wide+p.lo, to*p.wide-p.hi
	p.weighted(y[first:last], a, &x[first], at)
}

// weighted sums what taps see, if there are any.
func (p *planes) weighted(y []float32, a, x *float32, at []int) {
	if len(at) == 0 {
		clear(y)
		return
	}
	p.b.asm.Weighted(len(y), len(at)/2, a, x, &at[0], &y[0], 0)
}

// columns copies what the columns at either side see, and sums it.
func (p *planes) columns(local, results, x []float32, a *float32) {
	both := p.lo + p.hi
	for i := range 2 * both {
		column, from := local[i*p.column:][:p.column], i
		if i >= both {
			from += p.wide - 2*both
		}
		clear(column[:p.above])
		clear(column[p.above+p.high:])
		for j := range p.high {
			column[p.above+j] = x[j*p.wide+from]
		}
	}
	for i := range both {
		side := local
		if i >= p.lo {
			side = local[both*p.column:]
		}
		p.weighted(results[i*p.high:][:p.high], a, &side[0], p.edges[i])
	}
}
