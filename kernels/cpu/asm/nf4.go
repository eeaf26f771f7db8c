package asm

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// NF4Panel is the bytes of 64 inputs of a panel of nf4: the scales of 32 columns,
// f32, and then, for k = 0 ... 31, a byte of each column: the code of input k in
// its low bits, that of input k+32 in the high ones.
const NF4Panel = 4*Panel + 32*Panel

// UnpackNF4 writes n times 64 inputs of a panel as they stand for: dst is
// [64n][Panel], level[code] * scale.
type UnpackNF4 func(n int, w *byte, dst *float32)

// nf4 are the levels of package quant.
var nf4 = [16]float32{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
	-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
	0.5626170039176941, 0.7229568362236023, 1}

func unpackNF4(n int, w *byte, dst *float32) {
	y := unsafe.Slice(dst, n*64*Panel)
	for b := range n {
		block, to := unsafe.Slice(at(w, b*NF4Panel), NF4Panel), y[b*64*Panel:]
		for j := range Panel {
			scale := math.Float32frombits(binary.LittleEndian.Uint32(block[4*j:]))
			for k := range 32 {
				code := block[4*Panel+k*Panel+j]
				to[k*Panel+j], to[(k+32)*Panel+j] = nf4[code&15]*scale, nf4[code>>4]*scale
			}
		}
	}
}
