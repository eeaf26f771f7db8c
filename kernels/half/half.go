// Package half converts between float32 and the two 16-bit floating-point
// formats: IEEE 754 binary16 (f16: 1 sign, 5 exponent, 10 fraction bits) and
// bfloat16 (bf16: the upper half of a binary32).
//
// Narrowing rounds to nearest, ties to even; subnormal numbers are kept;
// values beyond the largest finite number become infinite; a NaN stays a NaN
// with its sign and the upper bits of its payload, made quiet. Widening is
// exact. It does no arithmetic in 16 bits and no vector code: kernels that
// need speed bring their own and are tested against these.
package half

import "math"

// F16ToF32 widens the binary16 with bits h. Exact; a NaN comes out quiet.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac * 2^-24, exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 0x1f:
		bits := sign | 0x7f800000 | frac<<13
		if frac != 0 {
			bits |= 0x00400000
		}
		return math.Float32frombits(bits)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// F32ToF16 rounds f to the nearest binary16, ties to even. From 65520 in
// magnitude the result is infinite; up to and including 2^-25 it is zero.
func F32ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	mag := bits & 0x7fffffff
	switch {
	case mag > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(mag>>13)&0x3ff
	case mag >= 0x477ff000: // 65520 and above, infinity
		return sign | 0x7c00
	case mag >= 0x38800000: // 2^-14 and above: normal
		// Rebias the exponent; a carry out of the fraction moves to it.
		mag -= (127 - 15) << 23
		return sign | uint16((mag+0xfff+mag>>13&1)>>13)
	case mag <= 0x33000000: // up to 2^-25: half of the smallest, ties to zero
		return sign
	}
	// Subnormal: count in units of 2^-24.
	shift := 126 - mag>>23 // 14 to 24
	frac := mag&0x7fffff | 0x800000
	return sign | uint16((frac+1<<(shift-1)-1+frac>>shift&1)>>shift)
}

// BF16ToF32 widens the bfloat16 with bits h. Exact.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds f to the nearest bfloat16, ties to even.
func F32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 { // NaN: rounding could carry it to infinity
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
