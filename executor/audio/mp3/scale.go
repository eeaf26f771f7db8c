package mp3

import (
	"math"
	"sync"
)

// factors are the scale factors of a granule of a channel, by bands of its division. The
// last band, or three, have none.
type factors struct {
	by [39]uint8
	// how each band of the right channel is placed between left and right where that is
	// what its factors say; noPlace where they say nothing
	place [39]uint8
}

const noPlace = 255

// sizes of scale factors in MPEG 1, bits, of the lower and upper bands.
var scaleBits = [16][2]int{
	{0, 0}, {0, 1}, {0, 2}, {0, 3}, {3, 0}, {1, 1}, {1, 2}, {1, 3},
	{2, 1}, {2, 2}, {2, 3}, {3, 1}, {3, 2}, {3, 3}, {4, 2}, {4, 3},
}

// scaleParts1 are how many bands each part of the scale factors has in MPEG 1: with long
// windows, short ones, both.
var scaleParts1 = [3][4]int{{6, 5, 5, 5}, {9, 9, 9, 9}, {8, 9, 9, 9}}

// scaleParts2 are those of MPEG 2, by six forms.
//
// Source: ISO/IEC 13818-3, 2.4.3.2.
var scaleParts2 = [6][3][4]int{
	{{6, 5, 5, 5}, {9, 9, 9, 9}, {6, 9, 9, 9}},
	{{6, 5, 7, 3}, {9, 9, 12, 6}, {6, 9, 12, 6}},
	{{11, 10, 0, 0}, {18, 18, 0, 0}, {15, 18, 0, 0}},
	{{7, 7, 7, 0}, {12, 12, 12, 0}, {6, 15, 12, 0}},
	{{6, 6, 6, 3}, {12, 9, 9, 6}, {6, 12, 9, 6}},
	{{8, 8, 5, 0}, {15, 12, 9, 0}, {6, 18, 9, 0}},
}

// parts says how many scale factors there are, and their bits.
func (g *granule) parts(h *header, right bool) (bands, size [4]int) {
	kind := 0
	switch {
	case g.short() && g.long > 0:
		kind = 2
	case g.short():
		kind = 1
	}
	if h.version == 1 {
		s := scaleBits[g.compress]
		return scaleParts1[kind], [4]int{s[0], s[0], s[1], s[1]}
	}
	c, form := g.compress, 0
	if right && h.intensity {
		switch c /= 2; {
		case c < 180:
			form, size = 3, [4]int{c / 36, c % 36 / 6, c % 6}
		case c < 244:
			form, size = 4, [4]int{(c - 180) / 16, (c - 180) / 4 % 4, c % 4}
		default:
			form, size = 5, [4]int{(c - 244) / 3, (c - 244) % 3}
		}
		return scaleParts2[form][kind], size
	}
	switch {
	case c < 400:
		size = [4]int{c / 80, c / 16 % 5, c / 4 % 4, c % 4}
	case c < 500:
		form, size = 1, [4]int{(c - 400) / 20, (c - 400) / 4 % 5, c % 4}
	default:
		form, size = 2, [4]int{(c - 500) / 3, (c - 500) % 3}
	}
	return scaleParts2[form][kind], size
}

// read reads scale factors. Those of the parts that are shared stay what they are.
func (f *factors) read(b *bits, g *granule, h *header, share *[4]bool, right bool) {
	bands, size := g.parts(h, right)
	band := 0
	for part, n := range bands {
		for range n {
			if !share[part] {
				f.by[band] = uint8(b.get(size[part]))
				f.place[band] = f.by[band]
				if h.version > 1 && size[part] > 0 && int(f.by[band]) == 1<<size[part]-1 {
					f.place[band] = noPlace
				}
			}
			band++
		}
	}
	for ; band < len(f.by); band++ {
		f.by[band], f.place[band] = 0, 0
	}
}

// raise is what is added to the factors of long windows where a granule says so.
//
// Source: ISO/IEC 11172-3, table B.6.
var raise = [22]uint8{11: 1, 1, 1, 1, 2, 2, 3, 3, 3, 2}

// lowest is the least exponent of a gain, quarters.
const lowest = -512

// powers are powers of two in quarters, from lowest on.
var powers = sync.OnceValue(func() *[lowest*-1 + 64]float32 {
	var p [lowest*-1 + 64]float32
	for i := range p {
		p[i] = float32(math.Exp2(float64(i+lowest) / 4))
	}
	return &p
})

// apply multiplies the lines of a granule, up to top, with the gains of their bands.
//
// Source: ISO/IEC 11172-3, 2.4.3.4.
func (f *factors) apply(x *[576]float32, g *granule, top int) {
	p := powers()
	for band := 0; band+1 < len(g.edges); band++ {
		from, to := int(g.edges[band]), min(int(g.edges[band+1]), top)
		if from >= to {
			return
		}
		s, e := int(f.by[band]), g.gain-210
		if band >= g.long {
			e -= 8 * g.lower[(band-g.long)%3]
		} else if g.raised {
			s += int(raise[band])
		}
		gain := p[e-2*g.scale*s-lowest]
		for i := range x[from:to] {
			x[from+i] *= gain
		}
	}
}
