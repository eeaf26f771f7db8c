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
	tile := local[atTile:atRow]
	clear(tile)
	for c := lo; c < hi; c++ {
		for i := range runs {
			q.gather(tile, local[atRow:], &runs[i], c)
		}
		q.b.asm.TilePatches(asm.Panel, &tile[0], asm.Panel, &q.v[panel*36*q.apart()+c*asm.Panel], q.apart())
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

// store makes positions of sums [36][n*32+winoGap] of rows from row on and a panel.
func (q *winograd) store(local, sums []float32, panel, row, n int) {
	var room [asm.Panel]tileRun
	runs := q.runs(&room, q.chunk+panel)
	tile := local[atTile : atTile+16*asm.Panel]
	for r := range n {
		q.b.asm.TileSums(asm.Panel, &sums[r*asm.Panel], n*asm.Panel+winoGap, &tile[0], asm.Panel)
		q.epilogue(tile, row+r)
		for i := range runs {
			q.scatter(tile, local[atRow:], &runs[i], row+r)
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

// storeFew makes positions of sums [36][tiles*32+winoGap] of n rows from row on and the tiles of a panel.
func (q *winograd) storeFew(local, sums []float32, panel, tiles, row, n int) {
	tile := local[atTile : atTile+16*asm.Panel]
	bias, four := local[atRow:atRow+asm.Panel], local[atRow+asm.Panel:atRow+asm.Panel+4]
	if q.bias.there() {
		q.bias.load(bias[:n], row)
	}
	high, wide := q.dest[1], q.dest[2]
	for t := range tiles {
		q.b.asm.TileSums(n, &sums[t*asm.Panel], tiles*asm.Panel+winoGap, &tile[0], asm.Panel)
		if q.bias.there() {
			for p := 0; p < len(tile); p += asm.Panel {
				q.b.asm.Add(tile[p:p+n], tile[p:p+n], bias[:n])
			}
		}
		if q.act != nil {
			q.act(tile)
		}
		i := (q.chunk+panel)*asm.Panel + t
		sample, down, across := i/q.across/q.down, i/q.across%q.down, i%q.across
		columns := min(4, wide-4*across)
		for r := range n {
			for a := range min(4, high-4*down) {
				from := tile[4*a*asm.Panel+r:]
				four[0], four[1], four[2], four[3] = from[0], from[asm.Panel], from[2*asm.Panel], from[3*asm.Panel]
				q.y.store(((sample*q.rows+row+r)*high+4*down+a)*wide+4*across, four[:columns])
			}
		}
	}
}
