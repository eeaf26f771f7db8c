package cpu

import (
	"cmp"
	"math"
	"slices"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cpu/asm"
)

// convGrid is how positions are numbered and cut into panels, and what of x
// they see.
//
// Of x, padded with zeros, every walk-th element along each axis, from one of
// the residues on, makes a picture of the sizes extent. Position p sees through
// a tap the element p + shift of one of these pictures. So with positions
// numbered as elements of a picture, shifts are distances between numbers.
// Numbers between the lines of positions stand for nothing, and are computed
// where that costs less than to begin a panel at each line.
type convGrid struct {
	extent [3]int
	least  [3]int // element of x, the least that position 0 sees along each axis
	across int    // panels of a line of positions; 0 if panels run over all numbers
	panels int    // of a sample
	chunks []convChunk
	room   int // floats of what a unit sees of a channel, in the chunk that needs most
	// close is that positions are side by side in y along each axis, oneLine that they are so in one line for each channel.
	close, oneLine bool
}

// convChunk is a part of the taps of each phase, and what they see: all of
// them, unless the memory of a worker does not hold that.
type convChunk struct {
	views []convView
	sight [][]int    // by phase and tap: its view, and how far on in it, by turns
	at    [2][][]int // by phase: distances for asm, in full tall panels (or rows) and in the last
}

// convView is a row of elements of a picture that some taps see.
type convView struct {
	residue  [3]int
	from, to int // the least and the greatest shift
	start    int // where it begins among the floats of a channel
}

const (
	convRoom = 1 << 16 // floats of a worker for what it sees of x
	convGap  = 192     // shifts further apart have views of their own
	// shortLine is from which length on lines are copied one by one.
	shortLine = 24
	atSight   = 0
	atSums    = convRoom
	sumsRoom  = localFloats - convRoom
)

// settle numbers the positions and lists views.
func (c *convolving) settle(width int) {
	c.least = [3]int{math.MaxInt, math.MaxInt, math.MaxInt}
	far := [3]int{math.MinInt, math.MinInt, math.MinInt}
	for i := range c.phases {
		for _, t := range c.phases[i].taps {
			for d := range t {
				c.least[d], far[d] = min(c.least[d], t[d]), max(far[d], t[d])
			}
		}
	}
	for d := range c.extent {
		c.extent[d] = c.size[d]
		if far[d] >= c.least[d] {
			c.extent[d] += (far[d] - c.least[d]) / c.walk[d]
		}
	}
	c.close = c.step == [3]int{1, 1, 1}
	c.oneLine = c.close && c.size[0] == 1 && c.size[1] == 1
	c.across = parts(c.size[2], width)
	c.panels = c.size[0] * c.size[1] * c.across
	if over := parts(c.numbers(), width); over < c.panels {
		c.across, c.panels = 0, over
	}
	most := 1
	for i := range c.phases {
		most = max(most, len(c.phases[i].taps))
	}
	for n := 1; ; n *= 2 {
		c.chunks = make([]convChunk, n)
		for i := range c.chunks {
			c.see(&c.chunks[i], i, n)
		}
		if c.layOut(width) <= convRoom || n >= most {
			return
		}
	}
}

// numbers is how many there are from the first position of a sample to the last.
func (c *convolving) numbers() int {
	return ((c.size[0]-1)*c.extent[1]+c.size[1]-1)*c.extent[2] + c.size[2]
}

// begins is the number of the first position of a panel of some width.
func (c *convolving) begins(panel, width int) int {
	if c.across == 0 {
		return panel * width
	}
	line := panel / c.across
	return (line/c.size[1]*c.extent[1]+line%c.size[1])*c.extent[2] + panel%c.across*width
}

// see lists the views of chunk i of n.
func (c *convolving) see(k *convChunk, i, n int) {
	type sight struct {
		residue [3]int
		shift   int
	}
	var all []sight
	phases := make([][]sight, len(c.phases))
	for p := range c.phases {
		taps := c.phases[p].taps
		for _, t := range taps[i*len(taps)/n : (i+1)*len(taps)/n] {
			var s sight
			for d := range t {
				e := t[d] - c.least[d]
				s.residue[d] = e % c.walk[d]
				s.shift = s.shift*c.extent[d] + e/c.walk[d]
			}
			phases[p] = append(phases[p], s)
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b sight) int {
		return cmp.Or(slices.Compare(a.residue[:], b.residue[:]), cmp.Compare(a.shift, b.shift))
	})
	which := map[sight]int{}
	for _, s := range all {
		last := len(k.views) - 1
		if last < 0 || k.views[last].residue != s.residue || s.shift-k.views[last].to > convGap {
			k.views = append(k.views, convView{residue: s.residue, from: s.shift})
			last++
		}
		k.views[last].to = s.shift
		which[s] = last
	}
	for _, list := range phases {
		var at []int
		for _, s := range list {
			v := which[s]
			at = append(at, v, s.shift-k.views[v].from)
		}
		k.sight = append(k.sight, at)
	}
}

// layOut places the views for units that span so many numbers, and returns the
// floats of a channel.
func (c *convolving) layOut(span int) int {
	c.room = 0
	for i := range c.chunks {
		k, at := &c.chunks[i], 0
		for v := range k.views {
			k.views[v].start = at
			at += k.views[v].to - k.views[v].from + span
		}
		c.room = max(c.room, at)
	}
	c.room = multiple(c.room, 16)
	if c.room%32 == 0 { // so that channels fall on other lines of the caches
		c.room += 16
	}
	return c.room
}

// list writes the distances for asm, where weights of an element of the kernel
// are so many floats apart in full panels and in the last.
func (c *convolving) list(apart [2]int) {
	for i := range c.chunks {
		k := &c.chunks[i]
		for w := range apart {
			k.at[w] = nil
			for p := range c.phases {
				taps := c.phases[p].element
				first := i * len(taps) / len(c.chunks)
				at := make([]int, len(k.sight[p]))
				for t := 0; t < len(at); t += 2 {
					at[t] = 4 * taps[first+t/2] * apart[w]
					at[t+1] = 4 * (k.views[k.sight[p][t]].start + k.sight[p][t+1])
				}
				k.at[w] = append(k.at[w], at)
			}
		}
	}
}

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

// emit stores sums for n numbers from the given one on, of some phases whose
// sums lie apart floats apart, in a channel of y, with its bias and function.
// There are either all phases of the last axis, which are put in order, or one. room is for twice as
// many floats.
func (c *convolving) emit(sums []float32, apart, phase, count, sample, channel, number, n int, room []float32) {
	step := c.step[2]
	if count > 1 {
		c.b.asm.Interleave[asm.F32](count, multiple(n, 16), floatBytes(&sums[0]), 4*apart, &room[0])
		sums = room[:n*count]
	}
	if c.oneLine {
		c.emitLine(sums[:min(n, c.size[2]-number)], (sample*c.groups*c.rows+channel)*c.size[2]+number, channel)
		return
	}
	if count == 1 && c.extent[2] < shortLine && !c.close {
		c.emitShort(sums[:n], phase, sample, channel, number)
		return
	}
	start, d := c.phases[phase].start, &c.dest
	plane := (sample*c.groups*c.rows + channel) * d[0]
	for at, l := 0, c.lineAt(number); at < n; {
		y0, y1, y2 := l[0]*c.step[0]+start[0], l[1]*c.step[1]+start[1], l[2]*step+start[2]
		length, skip := c.run(&l, n-at)
		if length > 0 && y0 < d[0] && y1 < d[1] && y2 < d[2] {
			i := ((plane+y0)*d[1]+y1)*d[2] + y2
			switch {
			case c.close:
				c.emitLine(sums[at:][:length], i, channel)
			case count == step:
				c.emitLine(sums[at*step:][:min(length*step, d[2]-y2)], i, channel)
			default:
				c.emitApart(sums[at:][:min(length, (d[2]-y2-1)/step+1)], i, step, channel)
			}
		}
		at += skip
	}
}

// run is how many numbers from l on, most at most, stand for positions side by side, and how many there are up to
// those of the next, to which l goes.
func (c *convolving) run(l *convLine, most int) (length, skip int) {
	here := *l
	if c.close && c.extent[2] == c.size[2] { // lines follow one another
		length, skip = (c.size[1]-here[1])*c.size[2]-here[2], (c.extent[1]-here[1])*c.extent[2]-here[2]
		*l = convLine{here[0] + 1, 0, 0}
	} else {
		length, skip = c.size[2]-here[2], c.extent[2]-here[2]
		l.next(&c.extent)
	}
	if here[1] >= c.size[1] || here[0] >= c.size[0] {
		length = 0
	}
	return min(length, most), skip
}

// emitShort is emit of one phase where lines are short: bias and function are computed of all sums at once.
func (c *convolving) emitShort(sums []float32, phase, sample, channel, number int) {
	if c.bias.there() {
		c.b.asm.AddS(sums, sums, c.bias.one(channel))
	}
	if c.act != nil {
		c.act(sums)
	}
	start, d := c.phases[phase].start, &c.dest
	plane := (sample*c.groups*c.rows + channel) * d[0]
	l := c.lineAt(number)
	for at := 0; at < len(sums); l.next(&c.extent) {
		y0, y1, y2 := l[0]*c.step[0]+start[0], l[1]*c.step[1]+start[1], l[2]*c.step[2]+start[2]
		if l[1] < c.size[1] && y0 < d[0] && y1 < d[1] {
			line := ((plane+y0)*d[1] + y1) * d[2]
			for j := range min(len(sums)-at, c.size[2]-l[2]) {
				if e := y2 + j*c.step[2]; e < d[2] {
					c.y.set(line+e, sums[at+j])
				}
			}
		}
		at += c.extent[2] - l[2]
	}
}

// emitLine stores sums side by side.
func (c *convolving) emitLine(sums []float32, i, channel int) {
	y := sums
	if c.y.dtype == ir.F32 {
		y = c.y.f32()[i : i+len(sums)]
	}
	if c.bias.there() {
		c.b.asm.AddS(y, sums, c.bias.one(channel))
	} else if c.y.dtype == ir.F32 {
		copy(y, sums)
	}
	if c.act != nil {
		c.act(y)
	}
	c.y.done(y, i)
}

// emitApart stores sums step elements apart.
func (c *convolving) emitApart(sums []float32, i, step, channel int) {
	if c.bias.there() {
		c.b.asm.AddS(sums, sums, c.bias.one(channel))
	}
	if c.act != nil {
		c.act(sums)
	}
	for j, v := range sums {
		c.y.set(i+j*step, v)
	}
}
