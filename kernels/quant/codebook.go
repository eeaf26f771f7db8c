package quant

import (
	"encoding/binary"
	"math"
)

// iq4nl are the levels of iq4_nl, finer near 0.
var iq4nl = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// decodeIQ4NL: d f16, q [16]: weight i in the low bits, i+16 in the high; x = level[q] d.
func decodeIQ4NL(dst []float32, src []byte) {
	d := f16(src)
	for i := range dst {
		dst[i] = d * float32(iq4nl[src[2+i%16]>>(i/16*4)&15])
	}
}

// encodeIQ4NL tries scales that put the greatest weight near either end of the
// levels, and takes the one of least squared error.
func encodeIQ4NL(dst []byte, src []float32) {
	most := float64(largest(src))
	var xx float64
	for _, x := range src {
		xx += float64(float64(x) * float64(x))
	}
	best, scale := math.Inf(1), 0.
	for _, end := range []float64{-127, 113} {
		for try := -8; try <= 8 && most != 0; try++ {
			inverse := float32(end * (1 + float64(try)/64) / most)
			var xv float64
			var vv int32
			for _, x := range src {
				v := int32(iq4nl[nearestLevel(float32(x*inverse))])
				xv += float64(float64(x) * float64(v))
				vv += v * v
			}
			if vv == 0 {
				continue
			}
			if e := xx - float64(xv*xv)/float64(vv); e < best {
				best, scale = e, xv/float64(vv)
			}
		}
	}
	d := putF16(dst, float32(scale))
	clear(dst[2:])
	id := inverse(d)
	for i, x := range src {
		dst[2+i%16] |= byte(nearestLevel(float32(x*id))) << (i / 16 * 4)
	}
}

// iq4nlAt is the index of the level of iq4_nl nearest to (i - 256)/2; all that
// is nearer to one level than to others lies between such halves.
var iq4nlAt = func() (near [512]uint8) {
	for i := range near {
		at := float64(i-256)/2 + 0.25
		for k, v := range iq4nl {
			if math.Abs(at-float64(v)) < math.Abs(at-float64(iq4nl[near[i]])) {
				near[i] = uint8(k)
			}
		}
	}
	return near
}()

// nearestLevel is the index of the level of iq4_nl nearest to at; where two
// are, the upper one.
func nearestLevel(at float32) int {
	i := int32(at*2 + 256)
	if at < -128 {
		i = 0
	}
	if at >= 128 {
		i = 511
	}
	return int(iq4nlAt[i&511])
}

// nf4 are the levels of nf4: quantiles of the normal distribution, scaled to
// [-1, 1], with an exact 0. Source: arXiv:2305.14314, appendix E.
var nf4 = [16]float32{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
	-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
	0.5626170039176941, 0.7229568362236023, 1}

// decodeNF4: m f32, q [32]: weight 2i in the high bits, 2i+1 in the low; x = level[q] m.
func decodeNF4(dst []float32, src []byte) {
	m := math.Float32frombits(binary.LittleEndian.Uint32(src))
	for i := range dst {
		dst[i] = nf4[src[4+i/2]>>(4-i%2*4)&15] * m
	}
}

func encodeNF4(dst []byte, src []float32) {
	m := abs(largest(src))
	binary.LittleEndian.PutUint32(dst, math.Float32bits(m))
	clear(dst[4:])
	id := inverse(m)
	for i, x := range src {
		q := 0
		for q < 15 && x*id > (nf4[q]+nf4[q+1])/2 {
			q++
		}
		dst[4+i/2] |= byte(q) << (4 - i%2*4)
	}
}
