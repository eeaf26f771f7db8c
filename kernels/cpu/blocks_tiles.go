package cpu

import "pipe.dev/kernels/cpu/asm"

// Weights in blocks, multiplied by tiles of an instruction set that has them.

const (
	unpackedTiled = 40 << 10           // unpacked, for tiles: the longer a stretch, the less often sums are read and written
	tiledRows     = 3 * asm.LeastTiles // rows from which tiles are quicker
	groupRows     = 48                 // rows of a call, about: little is what it takes to begin and to end then
)

// tiled reports whether m rows are multiplied by tiles.
func (p *blockProduct) tiled(m int) bool {
	return m >= tiledRows && len(p.b.asm.Tiles[p.Kind()]) > 0
}

// sign makes what multiplyGroups reads of n blocks that were unpacked.
func (p *blockProduct) sign(w *byte, n int) {
	if f := p.b.asm.MakeSigned[p.Kind()]; f != nil && n > 0 {
		f(n, w, p.Shift)
	}
}

// multiplyGroups is multiplyTiles for blocks that sign went over.
func (p *blockProduct) multiplyGroups(local []float32, w *byte, next upcoming, row0, m, lo, n int, y []float32, ldy int, bias *float32) {
	room := vecOf(local[atPanel:atRest]).bytes(0, atRest-atPanel) // which is free here
	tiles := p.b.asm.Tiles[p.Kind()]
	ldx, load := p.blocks*asm.BlockX, min(lo, 1)
	groups := parts(m, len(tiles)-1)
	height, taller := m/groups, m%groups // so many groups have a row more
	calls, r := parts(m, groupRows), 0
	for t := range calls {
		next.ask(p.b.asm.Prefetch, t, calls)
		end := (t + 1) * groups / calls
		for g := t * groups / calls; g < end; {
			h, some := height, end-g
			if g < taller {
				h, some = height+1, min(some, taller-g)
			}
			var x *byte
			if n > 0 {
				x = &p.quantised[(row0+r)*ldx+lo*asm.BlockX]
			}
			tiles[h](some, n, x, ldx, w, &y[r*ldy], ldy, bias, load, &room[0])
			g, r = g+some, r+some*h
		}
	}
}
