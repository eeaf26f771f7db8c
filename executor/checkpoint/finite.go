package checkpoint

import (
	"encoding/binary"

	"pipe.dev/compiler/ir"
)

// FirstNaN returns the index of the first element of data that is not finite,
// a NaN or an infinity, or -1 if there is none or d is not a floating-point
// type. data holds little-endian elements of type d and need not be aligned.
//
// A number is not finite when its exponent bits are all ones; adding one to
// the exponent then carries into the sign bit. This tests 8 bytes at a time.
func FirstNaN(d ir.DType, data []byte) int {
	var exp, one, sign uint64
	switch d {
	case ir.F64:
		exp, one, sign = 0x7ff0000000000000, 0x0010000000000000, 0x8000000000000000
	case ir.F32:
		exp, one, sign = 0x7f8000007f800000, 0x0080000000800000, 0x8000000080000000
	case ir.BF16:
		exp, one, sign = 0x7f807f807f807f80, 0x0080008000800080, 0x8000800080008000
	case ir.F16:
		exp, one, sign = 0x7c007c007c007c00, 0x0400040004000400, 0x8000800080008000
	default:
		return -1
	}
	i := 0
	for ; i+32 <= len(data); i += 32 {
		b := data[i : i+32 : i+32]
		c := binary.LittleEndian.Uint64(b)&exp + one
		c |= binary.LittleEndian.Uint64(b[8:])&exp + one
		c |= binary.LittleEndian.Uint64(b[16:])&exp + one
		c |= binary.LittleEndian.Uint64(b[24:])&exp + one
		if c&sign != 0 {
			break
		}
	}
	size := d.Size()
	for ; i+size <= len(data); i += size {
		var word [8]byte
		copy(word[:], data[i:i+size])
		if (binary.LittleEndian.Uint64(word[:])&exp+one)&sign != 0 {
			return i / size
		}
	}
	return -1
}
