package quant

// Super-blocks of 256 weights: small blocks whose scales, and minima, are
// quantised themselves.

// decodeQ2K: scale and minimum [16] of 4 bits each, q [64] of 2 bits, d, dmin
// f16; x = d scale q - dmin minimum, 16 weights to a scale. Half h of the
// weights lies in bytes 32h to 32h+31 of q, 32 weights to each pair of bits.
func decodeQ2K(dst []float32, src []byte) {
	scales, qs := src[:16], src[16:80]
	d, dmin := f16(src[80:]), f16(src[82:])
	for i := range dst {
		sc := scales[i/16]
		q := qs[i/128*32+i%32] >> (i % 128 / 32 * 2) & 3
		dst[i] = float32(d*float32(sc&15)*float32(q)) - float32(dmin*float32(sc>>4))
	}
}

// decodeQ3K: third bits [32], q [64] of 2 bits as in q2_k, scales of 6 bits
// [12], d f16; x = d (scale-32) (q - 4), 16 weights to a scale.
func decodeQ3K(dst []float32, src []byte) {
	high, qs, d := src[:32], src[32:96], f16(src[108:])
	for i := range dst {
		q := int(qs[i/128*32+i%32]>>(i%128/32*2)&3) | int(high[i%32]>>(i/32)&1)<<2
		dst[i] = float32(d*float32(int(scaleQ3K(src[96:108], i/16))-32)) * float32(q-4)
	}
}

// scaleQ3K is scale i of 16: its low 4 bits in the first 8 bytes, the upper 2
// in the last 4.
func scaleQ3K(b []byte, i int) byte {
	return b[i%8]>>(i/8*4)&15 | b[8+i%4]>>(i/4*2)&3<<4
}

func putScaleQ3K(b []byte, i int, s byte) {
	b[i%8] |= s & 15 << (i / 8 * 4)
	b[8+i%4] |= s >> 4 << (i / 4 * 2)
}

// decodeQ4K: d, dmin f16, scales and minima of 6 bits [12], q [128] of 4 bits;
// x = d scale q - dmin minimum, 32 weights to a scale. The low bits of 32 bytes
// are 32 weights, the high bits the next 32.
func decodeQ4K(dst []float32, src []byte) {
	d, dmin, qs := f16(src), f16(src[2:]), src[16:]
	for i := range dst {
		sc, m := scaleQ4K(src[4:16], i/32)
		q := qs[i/64*32+i%32] >> (i % 64 / 32 * 4) & 15
		dst[i] = float32(d*float32(sc)*float32(q)) - float32(dmin*float32(m))
	}
}

// decodeQ5K is decodeQ4K with fifth bits [32] before q: bit i/32 of byte i%32
// for weight i.
func decodeQ5K(dst []float32, src []byte) {
	d, dmin, high, qs := f16(src), f16(src[2:]), src[16:48], src[48:]
	for i := range dst {
		sc, m := scaleQ4K(src[4:16], i/32)
		q := qs[i/64*32+i%32]>>(i%64/32*4)&15 | high[i%32]>>(i/32)&1<<4
		dst[i] = float32(d*float32(sc)*float32(q)) - float32(dmin*float32(m))
	}
}

// scaleQ4K is scale and minimum i of 8. The first four have a byte each; of
// the others, 4 bits share a byte, and 2 are the upper bits of the first four.
func scaleQ4K(b []byte, i int) (scale, minimum byte) {
	if i < 4 {
		return b[i] & 63, b[4+i] & 63
	}
	return b[4+i]&15 | b[i-4]>>6<<4, b[4+i]>>4 | b[i]>>6<<4
}

func putScaleQ4K(b []byte, i int, scale, minimum byte) {
	if i < 4 {
		b[i] |= scale
		b[4+i] |= minimum
		return
	}
	b[4+i] = scale&15 | minimum<<4
	b[i-4] |= scale >> 4 << 6
	b[i] |= minimum >> 4 << 6
}

// decodeQ6K: low 4 bits [128], upper 2 bits [64], scales [16] int8, d f16;
// x = d scale (q - 32), 16 weights to a scale.
func decodeQ6K(dst []float32, src []byte) {
	d := f16(src[208:])
	for i := range dst {
		low, lowShift, high, highShift := placeQ6K(i)
		q := src[low]>>lowShift&15 | src[high]>>highShift&3<<4
		dst[i] = float32(d*float32(int8(src[192+i/16]))) * float32(int(q)-32)
	}
}

// placeQ6K says where the bits of weight i lie: of each half of the weights,
// the first 64 are the low and the others the high bits of 64 bytes, and their
// upper bits lie in 32 bytes, 32 weights to each pair of bits.
func placeQ6K(i int) (low, lowShift, high, highShift int) {
	h, r := i/128, i%128
	return h*64 + r%64, r / 64 * 4, 128 + h*32 + r%32, r / 32 * 2
}
