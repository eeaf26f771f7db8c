package mp3

import (
	"math"
	"sync"
)

// stereo makes left and right of a sum and a difference, or of a sum and positions.
//
// Source: ISO/IEC 11172-3, 2.4.3.4; ISO/IEC 13818-3, 2.4.3.2.
func (d *decoder) stereo(h *header, g *[2]granule) {
	top := max(d.top[0], d.top[1])
	switch {
	case h.intensity:
		d.placed(h, &g[1])
	case h.midSide:
		midSide(d.spectrum[0][:top], d.spectrum[1][:top])
	default:
		return
	}
	d.top = [2]int{top, top}
}

// midSide makes left and right of a sum and a difference, both over the root of 2.
func midSide(left, right []float32) {
	right = right[:len(left)]
	for i, m := range left {
		s := right[i]
		left[i], right[i] = (m+s)*(math.Sqrt2/2), (m-s)*(math.Sqrt2/2)
	}
}

// placed does so where the bands above the right channel's last are one for both, and the
// right channel's scale factors say where it is heard. Where the standard leaves room,
// readers differ: libmpg123 takes the factor of the band below the uppermost for its place
// even if that band is not placed, and in MPEG 2 only 7 for none.
func (d *decoder) placed(h *header, g *granule) {
	f, last := &d.factors[1], g.last(&d.spectrum[1])
	n, step := len(g.edges)-1, g.windows()
	for i := n - step; i < n; i++ { // the uppermost have no factors: they go with those below
		if f.place[i] = f.place[i-step]; last[(n-1-i)%step] >= i-step {
			f.place[i] = noPlace
		}
	}
	from := 0
	for i, to := range g.edges[1:] {
		left, right := d.spectrum[0][from:to], d.spectrum[1][from:to]
		from = int(to)
		if l, r, ok := place(h, g, f.place[i]); ok && i > last[(n-1-i)%step] {
			for k, v := range left {
				left[k], right[k] = v*l, v*r
			}
		} else if h.midSide {
			midSide(left, right)
		}
	}
}

// last finds the last bands that are not silent: that of each window where all are short,
// counted from the last window on, and one for all where not.
func (g *granule) last(x *[576]float32) (last [3]int) {
	last = [3]int{-1, -1, -1}
	n, step := len(g.edges)-1, g.windows()
	for i := range n {
		for _, v := range x[g.edges[i]:g.edges[i+1]] {
			if v != 0 {
				last[(n-1-i)%step] = i
				break
			}
		}
	}
	if g.long > 0 {
		all := max(last[0], last[1], last[2])
		last = [3]int{all, all, all}
	}
	return last
}

// places are the parts of left and right by the positions of MPEG 1: of tan(position * pi/12)
// parts to 1.
var places = sync.OnceValue(func() *[7][2]float32 {
	var p [7][2]float32
	for i := range 6 {
		t := math.Tan(float64(i) * math.Pi / 12)
		p[i] = [2]float32{float32(t / (1 + t)), float32(1 / (1 + t))}
	}
	p[6] = [2]float32{1, 0}
	return &p
})

// place is how much of a band is heard left and right; false if the band has no place.
func place(h *header, g *granule, at uint8) (left, right float32, ok bool) {
	switch {
	case h.version == 1 && at < 7:
		p := places()[at]
		return p[0], p[1], true
	case h.version == 1 || at == noPlace:
		return 0, 0, false
	}
	// one side is weaker by roots of 2, or the fourth roots
	weak := powers()[-(int(at)+1)/2*(1+g.compress&1)-lowest]
	if at&1 == 1 {
		return weak, 1, true
	}
	return 1, weak, true
}
