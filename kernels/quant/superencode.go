package quant

import "math"

// encodeQ2K, encodeQ4K and encodeQ5K fit scale and minimum to each small block
// by least squares, quantise them, and then the weights by what came out.

func encodeQ2K(dst []byte, src []float32) {
	clear(dst)
	f := fitBlocks(src, 16, 3, 15)
	d, dmin := putF16(dst[80:], f.d), putF16(dst[82:], f.dmin)
	for b := range 16 {
		sc, m := f.quantised(b, d, dmin)
		dst[b] = sc | m<<4
	}
	for i, x := range src {
		sc := dst[i/16]
		q := levelOf(x, float32(d*float32(sc&15)), float32(dmin*float32(sc>>4)), 3)
		dst[16+i/128*32+i%32] |= q << (i % 128 / 32 * 2)
	}
}

func encodeQ4K(dst []byte, src []float32) { encode45(dst, src, 15, nil, 16) }

func encodeQ5K(dst []byte, src []float32) { encode45(dst, src, 31, dst[16:48], 48) }

// encode45 writes q from byte at on, and bits beyond the fourth to high.
func encode45(dst []byte, src []float32, most int, high []byte, at int) {
	clear(dst)
	f := fitBlocks(src, 32, most, 63)
	d, dmin := putF16(dst, f.d), putF16(dst[2:], f.dmin)
	for b := range 8 {
		sc, m := f.quantised(b, d, dmin)
		putScaleQ4K(dst[4:16], b, sc, m)
	}
	for i, x := range src {
		sc, m := scaleQ4K(dst[4:16], i/32)
		q := levelOf(x, float32(d*float32(sc)), float32(dmin*float32(m)), most)
		dst[at+i/64*32+i%32] |= q & 15 << (i % 64 / 32 * 4)
		if high != nil {
			high[i%32] |= q >> 4 << (i / 32)
		}
	}
}

// encodeQ3K and encodeQ6K fit a signed scale to each 16 weights.

func encodeQ3K(dst []byte, src []float32) {
	clear(dst)
	scales, d := fitScales(src, 4, 32)
	d = putF16(dst[108:], d)
	for b, s := range scales {
		putScaleQ3K(dst[96:108], b, byte(levelAround(s, d, 32)+32))
	}
	for i, x := range src {
		s := float32(d * float32(int(scaleQ3K(dst[96:108], i/16))-32))
		q := levelAround(x, s, 4) + 4
		dst[32+i/128*32+i%32] |= byte(q&3) << (i % 128 / 32 * 2)
		dst[i%32] |= byte(q>>2) << (i / 32)
	}
}

func encodeQ6K(dst []byte, src []float32) {
	clear(dst)
	scales, d := fitScales(src, 32, 128)
	d = putF16(dst[208:], d)
	for b, s := range scales {
		dst[192+b] = byte(int8(levelAround(s, d, 128)))
	}
	for i, x := range src {
		q := byte(levelAround(x, float32(d*float32(int8(dst[192+i/16]))), 32) + 32)
		low, lowShift, high, highShift := placeQ6K(i)
		dst[low] |= q & 15 << lowShift
		dst[high] |= q >> 4 << highShift
	}
}

// levelOf is the level q in 0 ... most whose q scale - minimum is nearest to x.
func levelOf(x, scale, minimum float32, most int) byte {
	if scale == 0 {
		return 0
	}
	q := math.RoundToEven((float64(x) + float64(minimum)) / float64(scale))
	return byte(min(max(q, 0), float64(most)))
}

// levelAround is the level q in -middle ... middle-1 whose q scale is nearest
// to x.
func levelAround(x, scale float32, middle int) int {
	if scale == 0 {
		return 0
	}
	q := math.RoundToEven(float64(x) / float64(scale))
	return int(min(max(q, -float64(middle)), float64(middle-1)))
}
