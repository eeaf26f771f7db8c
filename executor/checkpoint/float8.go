package checkpoint

import (
	"encoding/binary"
	"math"

	"pipe.dev/kernels/half"
)

// float8 gives the values of the 256 codes of an 8-bit float; ok is false for
// what is none. NaN is a NaN, and what has infinities has them.
//
// Source: arXiv:2209.05433 (E4M3 without infinities, E5M2), the OCP
// microscaling specification (E8M0, a power of two).
func float8(raw string) (values *[256]float32, ok bool) {
	values = new([256]float32)
	for code := range values {
		switch raw {
		case "F8_E4M3":
			values[code] = small(code, 3, 7)
			if code&0x7f == 0x7f {
				values[code] = float32(math.NaN())
			}
		case "F8_E5M2":
			values[code] = half.F16ToF32(uint16(code) << 8)
		case "F8_E8M0":
			values[code] = float32(math.Ldexp(1, code-127))
			if code == 255 {
				values[code] = float32(math.NaN())
			}
		default:
			return nil, false
		}
	}
	return values, true
}

// small is the value of a sign, an exponent with a bias, and a fraction.
func small(code, fraction, bias int) float32 {
	exponent := code & 0x7f >> fraction
	x := float64(code & (1<<fraction - 1))
	if exponent == 0 {
		exponent = 1
	} else {
		x += float64(int(1) << fraction)
	}
	x = math.Ldexp(x, exponent-bias-fraction)
	if code&0x80 != 0 {
		x = -x
	}
	return float32(x)
}

// bf16 writes 8-bit floats as bfloat16, which has all their values.
func bf16(values *[256]float32, data []byte) []byte {
	out := make([]byte, 0, 2*len(data))
	for _, code := range data {
		out = binary.LittleEndian.AppendUint16(out, half.F32ToBF16(values[code]))
	}
	return out
}
