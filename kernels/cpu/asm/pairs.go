package asm

import (
	"math"
	"math/bits"
	"unsafe"

	"pipe.dev/kernels/half"
)

// Pairs is what concerns products of bf16 with bf16. Two elements that follow
// each other along k are a pair, a word of 32 bits: the first in the upper
// half, the second in the lower one. The tiles are Strided over words: k and
// lda count pairs, and b has rows of Panel words.
//
//	for l < k: acc = fma(upper a(i, l), upper b[l*ldb+j], acc)
//	           acc = fma(lower a(i, l), lower b[l*ldb+j], acc)
//
// which is the chain over the elements. ByRow and ByCol go by an instruction
// that takes what is below the least normal number as zero, among elements and
// among sums; the chain never meets such numbers if Normal says so.
type Pairs struct {
	ByRow, ByCol           []Strided // by height; nil where no instruction multiplies pairs
	SplitByRow, SplitByCol []Strided // by height, for all numbers
	Zip                    ZipPairs
	Swap                   SwapPairs
}

// ZipPairs makes pairs of rows of elements that lie stride bytes apart: for
// l < pairs and i < n, word i at dst[l*ld] is the pair of element i of row 2l
// and that of row 2l+1. pairs > 0, and n is a multiple of 16, at least 16. least
// is the first word of a Smallest, which sees all elements.
type ZipPairs func(pairs, n int, x *byte, stride int, dst *float32, ld int, least *uint16)

// SwapPairs makes n pairs of 2n elements that follow each other. n is a
// multiple of 16, at least 16; dst may be x. least is as in ZipPairs.
type SwapPairs func(n int, x *byte, dst *float32, least *uint16)

// Pair is the word of two elements.
func Pair(upper, lower uint16) float32 {
	return math.Float32frombits(uint32(upper)<<16 | uint32(lower))
}

// Smallest is the smallest of some elements, in lanes: bits without the sign, less
// one, so that zeros are the greatest.
type Smallest [32]uint16

// Reset forgets all elements.
func (l *Smallest) Reset() {
	for i := range l {
		l[i] = math.MaxUint16
	}
}

// See takes an element into account.
func (l *Smallest) See(x uint16) { l[0] = min(l[0], x&math.MaxInt16-1) }

// Of is the smallest of all lanes, in the form of a lane.
func (l *Smallest) Of() uint16 {
	least := uint16(math.MaxUint16)
	for _, v := range l {
		least = min(least, v)
	}
	return least
}

// Normal reports whether chains of products of elements that are not smaller
// than x with such that are not smaller than w, both as Smallest.Of gives them,
// have no subnormal numbers: an element of exponent e is a multiple of 2^(e-7),
// so sums are multiples of the least product's last place, and rounding keeps
// that. It must be 2^-126 at least.
func Normal(x, w uint16) bool {
	const bias, places, least = 127, 7, -126
	ex, ew := int(x+1)>>places, int(w+1)>>places
	if x == math.MaxUint16 || w == math.MaxUint16 { // zeros alone
		return true
	}
	return ex > 0 && ew > 0 && ex+ew-2*bias-2*places >= least
}

// InOrder reports whether ByRow of p adds the two products of a pair one after
// the other, the upper one first, and rounds each sum to nearest, ties to even:
// what the instruction is said to do. It tries sums that any other order or
// rounding would alter.
func InOrder(p Pairs) bool {
	const k = 16
	var x [k]float32
	var w [k * Panel]float32
	var got, want [Panel]float32
	state := uint32(1)
	element := func() uint16 { // of either sign, 2^-8 to 2^8
		state = state*1664525 + 1013904223
		return uint16(state>>16)&0x807f | uint16(119+state>>8&15)<<7
	}
	for i := range x {
		x[i] = Pair(element(), element())
	}
	for i := range w {
		w[i] = Pair(element(), element())
	}
	b := (*byte)(unsafe.Pointer(&w[0]))
	p.ByRow[1](k, &x[0], k, b, Panel, &got[0], Panel, nil, 0)
	pairTile(1, true)(k, &x[0], k, b, Panel, &want[0], Panel, nil, 0)
	return got == want
}

// GenericPairs holds the portable loops, which define what the others compute.
// They are slower than products that widen.
func GenericPairs() Pairs {
	p := Pairs{ByRow: []Strided{nil}, ByCol: []Strided{nil}, Zip: zipPairs, Swap: swapPairs}
	for m := 1; m <= genericRows; m++ {
		p.ByRow, p.ByCol = append(p.ByRow, pairTile(m, true)), append(p.ByCol, pairTile(m, false))
	}
	p.SplitByRow, p.SplitByCol = p.ByRow, p.ByCol
	return p
}

// pairTile is a tile of m rows.
func pairTile(m int, byRow bool) Strided {
	return func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc int, bias *float32, resume int) {
		down, along := lda, 1
		if !byRow {
			down, along = 1, lda
		}
		var acc [genericRows][Panel]float32
		begin(acc[:m], c, ldc, Panel, resume)
		var upper, lower [Panel]float32
		for l := range k {
			for j, w := range unsafe.Slice((*uint32)(unsafe.Pointer(at(b, 4*l*ldb))), Panel) {
				upper[j], lower[j] = halves(w)
			}
			for i := range m {
				first, second := halves(*(*uint32)(unsafe.Add(unsafe.Pointer(a), 4*(i*down+l*along))))
				fmas(acc[i][:], first, upper[:])
				fmas(acc[i][:], second, lower[:])
			}
		}
		end(acc[:m], c, ldc, Panel, bias)
	}
}

// halves are the elements of a pair.
func halves(w uint32) (upper, lower float32) {
	return half.BF16ToF32(uint16(w >> 16)), half.BF16ToF32(uint16(w))
}

func zipPairs(pairs, n int, x *byte, stride int, dst *float32, ld int, least *uint16) {
	seen := (*Smallest)(unsafe.Pointer(least))
	for l := range pairs {
		upper := unsafe.Slice((*uint16)(unsafe.Pointer(at(x, 2*l*stride))), n)
		lower := unsafe.Slice((*uint16)(unsafe.Pointer(at(x, (2*l+1)*stride))), n)
		y := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(dst), 4*l*ld)), n)
		for i := range y {
			y[i] = Pair(upper[i], lower[i])
			seen.See(upper[i])
			seen.See(lower[i])
		}
	}
}

func swapPairs(n int, x *byte, dst *float32, least *uint16) {
	seen := (*Smallest)(unsafe.Pointer(least))
	y := unsafe.Slice((*uint32)(unsafe.Pointer(dst)), n)
	for i, v := range unsafe.Slice((*uint32)(unsafe.Pointer(x)), n) {
		y[i] = bits.RotateLeft32(v, 16)
		seen.See(uint16(v))
		seen.See(uint16(v >> 16))
	}
}
