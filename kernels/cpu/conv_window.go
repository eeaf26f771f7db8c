package cpu

import (
	"cmp"
	"math"
	"slices"
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
