package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cpu/asm"
)

// tileRun is some tiles of a line of tiles: the n-th sample, tiles from
// (down, across) on, which are columns of a panel from at on.
type tileRun struct{ n, down, across, len, at int }

// runs lists the runs of a panel.
func (q *winograd) runs(out *[asm.Panel]tileRun, panel int) []tileRun {
	count, first := 0, panel*asm.Panel
	for at := 0; at < min(asm.Panel, q.tileCount-first); count++ {
		i := first + at
		r := tileRun{n: i / q.across / q.down, down: i / q.across % q.down, across: i % q.across, at: at}
		r.len = min(q.across-r.across, min(asm.Panel, q.tileCount-first)-at)
		out[count] = r
		at += r.len
	}
	return out[:count]
}

// transformPart transforms some channels of a panel of x.
func (q *winograd) transformPart(worker, id int) {
	local := q.b.local[worker]
	groups := parts(q.channels, channelsOf)
	panel := id / groups
	var room [asm.Panel]tileRun
	runs := q.runs(&room, q.chunk+panel)
	lo, hi := span(id%groups, q.channels, channelsOf)
	tile, half := local[atTile:atHalf], local[atHalf:atRow]
	clear(tile)
	for c := lo; c < hi; c++ {
		for i := range runs {
			q.gather(tile, local[atRow:], &runs[i], c)
		}
		for v := range 6 {
			q.small(6, 6, q.bt, &tile[v*asm.Panel], 6*asm.Panel, &half[v*asm.Panel], 6*asm.Panel)
		}
		for u := range 6 {
			q.small(6, 6, q.bt, &half[u*6*asm.Panel], asm.Panel, &q.v[((panel*36+u*6)*q.channels+c)*asm.Panel], q.channels*asm.Panel)
		}
	}
}

// gather writes the 6 x 6 elements under each tile of a run: element (u, v) of
// the tile in column i at [u][v][i].
func (q *winograd) gather(tile, row []float32, r *tileRun, channel int) {
	high, wide := q.source[1], q.source[2]
	e2, n := 4*r.across-q.pads[1], 4*r.len+2
	for u := range 6 {
		to := tile[u*6*asm.Panel:]
		e1 := 4*r.down + u - q.pads[0]
		if uint(e1) >= uint(high) {
			for v := range 6 {
				clear(to[v*asm.Panel+r.at:][:r.len])
			}
			continue
		}
		line := ((r.n*q.channels+channel)*high + e1) * wide
		from := row[:n]
		if q.x.dtype == ir.F32 && e2 >= 0 && e2+n <= wide {
			from = q.x.f32()[line+e2:][:n]
		} else {
			q.copyLine(from, line, e2, 1)
		}
		d0, d1, d2 := to[r.at:][:r.len], to[asm.Panel+r.at:][:r.len], to[2*asm.Panel+r.at:][:r.len]
		d3, d4, d5 := to[3*asm.Panel+r.at:][:r.len], to[4*asm.Panel+r.at:][:r.len], to[5*asm.Panel+r.at:][:r.len]
		for i := range d0 {
			s := (*[6]float32)(from[4*i:])
			d0[i], d1[i], d2[i], d3[i], d4[i], d5[i] = s[0], s[1], s[2], s[3], s[4], s[5]
		}
	}
}

// multiplyPart computes a block of rows of a panel of tiles.
func (q *winograd) multiplyPart(worker, id int) {
	local := q.b.local[worker]
	blocks := len(q.blocks) - 1
	panel, from, to := id/blocks, q.blocks[id%blocks], q.blocks[id%blocks+1]
	row0, end := q.heights[from], q.heights[to]
	n := end - row0
	sums := local[atProducts : 36*n*asm.Panel]
	for i := range 36 {
		b := floatBytes(&q.v[(panel*36+i)*q.channels*asm.Panel])
		for t := from; t < to; t++ {
			row, m := q.heights[t], q.heights[t+1]-q.heights[t]
			q.b.asm.ByRow[asm.F32][m](q.channels, &q.u[(i*q.rows+row)*q.ld], q.ld, b, asm.Panel, &sums[(i*n+row-row0)*asm.Panel], asm.Panel, nil, 0)
		}
	}
	var room [asm.Panel]tileRun
	runs := q.runs(&room, q.chunk+panel)
	half, tile := local[atHalf:atRow], local[atTile:atTile+16*asm.Panel]
	for row := row0; row < end; row++ {
		for v := range 6 {
			q.small(4, 6, q.at, &sums[(v*n+row-row0)*asm.Panel], 6*n*asm.Panel, &half[v*asm.Panel], 6*asm.Panel)
		}
		for a := range 4 {
			q.small(4, 6, q.at, &half[a*6*asm.Panel], asm.Panel, &tile[a*4*asm.Panel], asm.Panel)
		}
		q.epilogue(tile, row)
		for i := range runs {
			q.scatter(tile, local[atRow:], &runs[i], row)
		}
	}
}

// scatter stores what lies within y of the tiles of a run: position (a, b) of the tile
// in column i from [a][b][i].
func (q *winograd) scatter(tile, row []float32, r *tileRun, channel int) {
	high, wide := q.dest[1], q.dest[2]
	for a := range min(4, high-4*r.down) {
		from := tile[a*4*asm.Panel:]
		s0, s1 := from[r.at:][:r.len], from[asm.Panel+r.at:][:r.len]
		s2, s3 := from[2*asm.Panel+r.at:][:r.len], from[3*asm.Panel+r.at:][:r.len]
		at := ((r.n*q.rows+channel)*high+4*r.down+a)*wide + 4*r.across
		n := min(4*r.len, wide-4*r.across)
		to, inside := row[:4*r.len], false
		if q.y.dtype == ir.F32 && n == 4*r.len {
			to, inside = q.y.f32()[at:at+n], true
		}
		for i := range s0 {
			d := (*[4]float32)(to[4*i:])
			d[0], d[1], d[2], d[3] = s0[i], s1[i], s2[i], s3[i]
		}
		if !inside {
			q.y.store(at, to[:n])
		}
	}
}

// epilogue adds the bias of a channel and applies the function.
func (q *winograd) epilogue(y []float32, channel int) {
	if q.bias.there() {
		q.b.asm.AddS(y, y, q.bias.one(channel))
	}
	if q.act != nil {
		q.act(y)
	}
}
