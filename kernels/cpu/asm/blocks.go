package asm

import (
	"encoding/binary"
	"math"
	"unsafe"

	"pipe.dev/kernels/half"
)

// Products with weights in blocks of 8 bits. Activations are quantised to 8
// bits as well, so that a block is a product of whole numbers, which is exact.
const (
	Block      = 32                  // elements along k that share a scale
	BlockX     = 8 + Block           // bytes of a block of a row of activations
	BlockPanel = Panel * (2 + Block) // bytes of a block of a panel of weights
)

// Blocks is a tile of rows times a panel, for a fixed number of rows m, over n
// blocks of k. A block of x is a scale d, f32, an i32 c and 32 values q of i8;
// c is -128 times the sum of q. Row i begins at byte i*ldx. A block of w is 32
// scales, f16, and then, for k = 0, 4, 8 ... 28, four bytes of each column:
// its values at k to k+3, plus 128.
//
//	for i < m, j < Panel:
//		acc := load != 0 ? y[i*ldy+j] : 0
//		for each block: acc = fma(float32(c + sum over k of w[k][j] q[k]), d*scale[j], acc)
//		y[i*ldy+j] = bias != nil ? acc + bias[j] : acc
type Blocks func(n int, x *byte, ldx int, w *byte, y *float32, ldy int, bias *float32, load int)

// QuantiseRow writes the blocks of x, of which there are len(x)/Block, to dst.
// The greatest of a block becomes 127; values are rounded to even. A block
// whose scale would be subnormal is all zero. A block with a value that is not
// finite has the scale NaN.
func QuantiseRow(dst []byte, x []float32) {
	for ; len(x) >= Block; x, dst = x[Block:], dst[BlockX:] {
		quantiseBlock((*[BlockX]byte)(dst), (*[Block]float32)(x))
	}
}

func quantiseBlock(dst *[BlockX]byte, x *[Block]float32) {
	var most uint32 // the order of magnitudes is that of their bits, NaN last
	for _, v := range x {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	d := math.Float32frombits(most) / 127
	le := binary.LittleEndian
	if most >= 0x7f800000 || math.Float32bits(d) < 0x00800000 {
		clear(dst[:])
		if most >= 0x7f800000 {
			le.PutUint32(dst[:], math.Float32bits(float32(math.NaN())))
		}
		return
	}
	inverse := 1 / d
	var sum int32
	for i, v := range x {
		// Adding 3 << 22 leaves no bits for a fraction.
		q := int32(math.Float32bits(float32(v*inverse)+(3<<22))) - 0x4b400000
		dst[8+i] = byte(q)
		sum += q
	}
	le.PutUint32(dst[:], math.Float32bits(d))
	le.PutUint32(dst[4:], uint32(-128*sum))
}

func blocks(m int) Blocks {
	return func(n int, x *byte, ldx int, w *byte, y *float32, ldy int, bias *float32, resume int) {
		var acc [genericRows][Panel]float32
		begin(acc[:m], y, ldy, resume)
		for b := range n {
			panel := (*[BlockPanel]byte)(unsafe.Pointer(at(w, b*BlockPanel)))
			for i := range m {
				multiplyBlock(&acc[i], (*[BlockX]byte)(unsafe.Pointer(at(x, i*ldx+b*BlockX))), panel)
			}
		}
		end(acc[:m], y, ldy, bias)
	}
}

func multiplyBlock(acc *[Panel]float32, x *[BlockX]byte, w *[BlockPanel]byte) {
	le := binary.LittleEndian
	d, c := math.Float32frombits(le.Uint32(x[:])), int32(le.Uint32(x[4:]))
	var sum [Panel]int32
	for j := range sum {
		sum[j] = c
	}
	for k := 0; k < Block; k += 4 {
		q0, q1, q2, q3 := int32(int8(x[8+k])), int32(int8(x[9+k])), int32(int8(x[10+k])), int32(int8(x[11+k]))
		row := w[2*Panel+k*Panel:]
		for j := range sum {
			v := row[4*j : 4*j+4]
			sum[j] += int32(v[0])*q0 + int32(v[1])*q1 + int32(v[2])*q2 + int32(v[3])*q3
		}
	}
	for j, s := range sum {
		scale := half.F16ToF32(le.Uint16(w[2*j:]))
		acc[j] = FMA(float32(s), float32(d*scale), acc[j])
	}
}
