package cpu

import (
	"pipe.dev/kernels/cpu/asm"
)

// correlating computes the gradient of a convolution's weight: an element is the sum of products of a line of dy and what an
// element of the kernel sees of x.
//
// What positions see is copied once for all elements of the kernel. Positions are taken in stretches of numbers (see
// convGrid), with zeros in dy where a number stands for nothing; short samples follow one another in a stretch. An element
// has 16 sums, of each 16th number, which are chains over the stretches, and are added up as a tree. Stretches go by the shapes
// alone, so the bits do as well.
type correlating struct {
	convolving
	dy, dw    vec
	positions int     // of a sample
	stretch   int     // numbers that are taken together
	samples   int     // of a stretch
	apart     int     // numbers from one sample to the next
	rowsOf    int     // rows of a unit
	deep      int     // channels of a unit
	at        [][]int // by chunk: what taps of some channels see, in bytes
	perPart   int
}

const (
	gradStretch = 1024     // numbers
	gradTaps    = 512      // taps of a chunk
	lineRows    = 4        // rows of a tile, at most
	atLines     = convRoom // rows of dy in the memory of a worker
	lanes       = asm.CorrelateLanes
)

// asLines is g as sums over lines, if that takes less time than products. That depends on shapes alone.
func (g *convGrad) asLines() (*correlating, bool) {
	if g.k*g.batch == 0 {
		return nil, false
	}
	l := &correlating{convolving: g.convolving, dy: g.dy, dw: g.dw, positions: g.k}
	l.cut()
	rows, stretches := float64(g.rows), float64(parts(g.batch, l.samples)*parts(l.numbers(), l.stretch))
	lines := rows*(0.018*stretches*float64(l.stretch)+2*stretches+8) + 0.1*float64(l.room)*stretches/float64(g.kernel)
	products := float64(g.batch*g.k) * (0.65 + 0.017*rows)
	if g.rows > 1 && products < lines {
		return nil, false
	}
	l.share()
	return l, true
}

// cut settles stretches and chunks, by shapes alone.
func (g *correlating) cut() {
	g.settle(gradStretch)
	g.across = 0
	taps := len(g.phases[0].taps)
	if n := parts(taps, gradTaps); n > len(g.chunks) {
		g.chunks = make([]convChunk, n)
		for i := range g.chunks {
			g.see(&g.chunks[i], i, n)
		}
	}
	reach := 0
	for i := range g.chunks {
		for _, v := range g.chunks[i].views {
			reach = max(reach, v.to-v.from)
		}
	}
	n := g.numbers()
	g.stretch, g.samples, g.apart = min(gradStretch, multiple(n, lanes)), 1, n+reach
	if most := min(g.batch, gradStretch/g.apart); most > 1 {
		g.samples = parts(g.batch, parts(g.batch, most))
		g.stretch = multiple(g.samples*g.apart, lanes)
	}
	g.layOut(g.stretch)
}

// share settles units. Nothing here changes a bit.
func (g *correlating) share() {
	taps, least := parts(len(g.phases[0].taps), len(g.chunks)), 0.0
	for rows := g.rows; ; rows = parts(rows, 2) {
		for deep := g.channels; ; deep = parts(deep, 2) {
			if sums := g.sums(rows, deep*taps); deep*g.room <= convRoom && atLines+rows*g.ldy()+sums <= localFloats {
				look := 0.1*float64(deep*g.room+rows*g.stretch) + 30*float64(deep+rows)
				one := look + float64(sums)*(0.3+0.001*float64(g.stretch))
				one *= float64(parts(g.batch, g.samples) * parts(g.numbers(), g.stretch))
				one += 0.3 * float64(sums) // which are added up in the end
				if all := one * float64(parts(g.count(rows, deep), g.b.Threads())); least == 0 || all < least {
					least, g.rowsOf, g.deep = all, rows, deep
					g.perPart = max(1, int(shortPart/one))
				}
			}
			if deep == 1 {
				break
			}
		}
		if rows <= lineRows {
			break
		}
	}
	for i := range g.chunks {
		var at []int
		for ch := range g.deep {
			for t := 0; t < len(g.chunks[i].sight[0]); t += 2 {
				s := g.chunks[i].sight[0]
				at = append(at, 4*(ch*g.room+g.chunks[i].views[s[t]].start+s[t+1]))
			}
		}
		for range 6 { // a tile may have more taps than are left
			at = append(at, at[len(at)-1])
		}
		g.at = append(g.at, at)
	}
}

// ldy is the distance of rows of dy in the memory of a worker.
func (g *correlating) ldy() int { return g.stretch + 16 }

// count is the number of units of so many rows and channels.
func (g *correlating) count(rows, deep int) int {
	return g.groups * len(g.chunks) * parts(g.rows, rows) * parts(g.channels, deep)
}

// tileSums is how many floats the sums of a tile of m rows take.
func tileSums(m int) int { return lanes * m * asm.CorrelateTaps[m] }

// sums is how many floats the sums of some rows and taps take, of all channels.
func (g *correlating) sums(rows, taps int) int {
	n := 0
	for tiles := evenly(rows, parts(rows, lineRows)); len(tiles) > 1; tiles = tiles[1:] {
		n += tileSums(tiles[1]-tiles[0]) * parts(taps, asm.CorrelateTaps[tiles[1]-tiles[0]])
	}
	return n
}

// gradients computes some units of work.
func (g *correlating) gradients(worker, id int) {
	lo, hi := span(id, g.count(g.rowsOf, g.deep), g.perPart)
	for ; lo < hi; lo++ {
		g.unit(g.b.local[worker], lo)
	}
}

// gradUnit is a unit that is being computed.
type gradUnit struct {
	local         []float32
	group, chunk  int
	row, rows     int // of the group
	channel, deep int
	taps          int // of a chunk and all its channels
	atSums        int
}

// unit computes the elements of dw of some rows, channels and taps.
func (g *correlating) unit(local []float32, id int) {
	u := gradUnit{local: local}
	var end int
	blocks := parts(g.channels, g.deep)
	u.channel, end = span(id%blocks, g.channels, g.deep)
	u.deep = end - u.channel
	id /= blocks
	blocks = parts(g.rows, g.rowsOf)
	u.row, end = span(id%blocks, g.rows, g.rowsOf)
	u.rows = end - u.row
	id /= blocks
	u.chunk, u.group = id%len(g.chunks), id/len(g.chunks)
	u.taps = u.deep * len(g.chunks[u.chunk].sight[0]) / 2
	u.atSums = atLines + u.rows*g.ldy()
	again := 0
	for sample := 0; sample < g.batch; sample += g.samples {
		for number := 0; number < g.numbers(); number += g.stretch {
			g.products(&u, g.bring(&u, sample, number), again)
			again = 1
		}
	}
	g.finish(&u)
}

// bring copies a stretch of rows of dy, and what the taps see of x beside it, and returns the stretch's length, a
// multiple of the lanes.
func (g *correlating) bring(u *gradUnit, sample, number int) int {
	samples := min(g.samples, g.batch-sample)
	n := min(g.stretch, g.numbers()-number)
	length := multiple((samples-1)*g.apart+n, lanes)
	if samples > 1 || g.samples > 1 { // what lies between and behind samples
		clear(u.local[atSight:][:u.deep*g.room])
	}
	ldy := g.ldy()
	for r := range u.rows {
		clear(u.local[atLines+r*ldy:][:length])
	}
	seen := n
	if g.samples == 1 {
		seen = length
	}
	for s := range samples {
		at := s * g.apart
		g.look(u.local[atSight+at:convRoom], &g.chunks[u.chunk], ((sample+s)*g.groups+u.group)*g.channels+u.channel, u.deep, number, seen)
		for r := range u.rows {
			g.lay(u.local[atLines+r*ldy+at:][:n], (((sample+s)*g.groups+u.group)*g.rows+u.row+r)*g.positions, number)
		}
	}
	return length
}

// lay copies a line of dy, whose first position is element i, to where numbers from the given one on stand for its positions.
func (g *correlating) lay(to []float32, i, number int) {
	for at, l := 0, g.lineAt(number); at < len(to); {
		from := (l[0]*g.size[1]+l[1])*g.size[2] + l[2]
		length, skip := g.run(&l, len(to)-at)
		if length > 0 {
			g.dy.load(to[at:at+length], i+from)
		}
		at += skip
	}
}

// products adds those of a stretch of n numbers to the sums.
func (g *correlating) products(u *gradUnit, n, again int) {
	sums, rows := u.atSums, parts(u.rows, lineRows)
	for t := range rows {
		row, m := t*u.rows/rows, (t+1)*u.rows/rows-t*u.rows/rows
		for first := 0; first < u.taps; first += asm.CorrelateTaps[m] {
			g.b.asm.Correlate[m](n, &u.local[atLines+row*g.ldy()], g.ldy(), &u.local[atSight], &g.at[u.chunk][first], &u.local[sums], again)
			sums += tileSums(m)
		}
	}
}

// finish adds up the sums of each element and stores it: numbers of one lane are put side by side first.
func (g *correlating) finish(u *gradUnit) {
	sums, tiles := u.atSums, parts(u.rows, lineRows)
	for t := range tiles {
		row, m := t*u.rows/tiles, (t+1)*u.rows/tiles-t*u.rows/tiles
		count := parts(u.taps, asm.CorrelateTaps[m]) * asm.CorrelateTaps[m] * m
		x := u.local[:lanes*count]
		g.b.asm.Interleave[asm.F32](count, lanes, floatBytes(&u.local[sums]), 4*lanes, &x[0])
		for n := lanes / 2 * count; n >= count; n /= 2 {
			g.b.asm.Add(x[:n], x[:n], x[n:2*n])
		}
		g.keep(u, x, row, m)
		sums += lanes * count
	}
}

// keep stores the elements of m rows, which stand tap by tap.
func (g *correlating) keep(u *gradUnit, x []float32, row, m int) {
	taps := g.phases[0].element
	first, end := u.chunk*len(taps)/len(g.chunks), (u.chunk+1)*len(taps)/len(g.chunks)
	apart := g.channels * g.kernel // from a row to the next
	for ch := range u.deep {
		at := ((u.group*g.rows+u.row+row)*g.channels + u.channel + ch) * g.kernel
		for _, tap := range taps[first:end] {
			for i, v := range x[:m] {
				g.dw.set(at+tap+i*apart, v)
			}
			x = x[m:]
		}
	}
}
