package cpu

import "pipe.dev/kernels/cpu/asm"

// divide settles the tiles, the blocks of them, and the parts. Nothing here
// changes a bit of the result.
func (p *product) divide() {
	height := p.b.asm.Rows
	count := parts(p.m, height)
	p.tiles = evenly(p.m, count)
	p.kc = max(p.k, 1)
	local := p.pairs || p.copies(p.w[0])
	if local {
		p.kc = min(p.kc, copiedK)
	} else if !p.w[0].packed {
		p.kc = min(p.kc, unpackedK)
	} else if count > 1 {
		p.kc = min(p.kc, packedK)
	}
	if p.kc = max(1, parts(p.k, parts(p.k, p.kc))); p.decode != nil {
		p.kc = unpackedK // whole blocks
	}
	deep := p.kc // floats of a row of x
	if p.pairs {
		p.kc = pairBlock(p.k)
		deep = p.kc / 2
	}
	// A block of x stays in the second-level cache, or w is packed seldom,
	// and there are parts enough for every thread unless they become too short or
	// pack w too often.
	panels := parts(p.n, asm.Panel)
	rows := min(maxBlock, max(4*height, secondCache/2/4/max(deep, 1)))
	shortest := height
	if local {
		shortest = 8 * height
		if !p.pairs {
			rows = 2 * maxBlock / len(p.w) // there is memory for the sums of two weights
		}
	}
	for rows/2 >= shortest && p.batch*panels*parts(p.m, rows) < 6*p.b.Threads() {
		rows /= 2
	}
	p.blocks = evenly(count, min(count, parts(p.m, rows)))
	rows = min(p.m, rows)
	// Nanoseconds to read a panel, and to multiply it.
	panel := p.k*asm.Panel*p.w[0].dtype.Size()/40 + p.k*rows*asm.Panel/50
	p.group = min(panels, max(1, shortPart/max(panel, 1)))
	if p.vector() {
		p.group = (p.group + p.b.asm.Panels - 1) / p.b.asm.Panels * p.b.asm.Panels
	}
	p.units = (len(p.blocks) - 1) * parts(panels, p.group)
	p.perPart = max(1, shortPart/max(panel*p.group, 1))
}

const (
	secondCache = 1 << 20 // bytes of the second-level cache
	shortPart   = 4000    // nanoseconds below which a part is not worth claiming
)

// evenly returns where each of some parts of n begins, and n.
func evenly(n, parts int) []int {
	var out []int
	for t := range parts + 1 {
		out = append(out, t*n/parts)
	}
	return out
}
