package asm

// Products with quantised weights. Activations are quantised to 8 bits as well,
// in blocks of 32, so that the product of two blocks is one of whole numbers,
// which is exact.
//
// Weights of the codings that most files have lie in rows, as package quant has them. Those of
// the others lie in panels of 32 columns: for each super-block of inputs a head,
// then the bodies of its blocks of 32. A head is 32 scales, f16, and 32 more
// where Scales says so. A body is the scales of the block in whole numbers,
// where Scales says so, and then the codes in planes of 4, 2 and 1 bits. All planes
// hold four inputs of a column, then those of the next: a
// group, g of 0 to 7, is four inputs of 32 columns, 128 bytes.
//
//	4 bits      [4][32][4]: of group g the low bits, of group g+4 the high ones
//	2 bits      [2][32][4]: of group 4p+r bits 2r and 2r+1 of plane p
//	1 bit       [32][4]: of group g bit g
const (
	Block  = 32         // elements along k that share a scale of activations
	BlockX = 16 + Block // bytes of a block of a row of activations
)

// Coding is a way in which weights are coded.
type Coding int

// The codings: those of package quant by their names, and groups with a scale
// and a zero.
const (
	Q8_0 Coding = iota // in rows
	Q4_0
	Q4_1
	Q4K
	Q5K
	Q6K
	Q5_0 // in panels, as are those that follow
	IQ4NL
	Q5_1
	Q4G
	Q3K
	Q2K
	Codings // their number
)

// InRows reports whether weights are read in rows.
func (c Coding) InRows() bool { return c < Q5_0 }

// Scales says what scales there are.
type Scales int

// With d and m the first and the second of the head, the weight of code q is
const (
	Plain   Scales = iota // d (q - Offset)
	Least                 // d q + m
	Zero                  // d q - d m
	Small                 // d s q - m t, of 6 bits each: in rows alone
	Halves                // d s (q - Offset): bodies begin with 32 signed bytes s for each 16 inputs
	LeastOf               // d s q - m t: with 32 bytes for each 16 inputs, s their low 4 bits, t the high ones
)

// Packing describes a coding.
type Packing struct {
	Bits   int // of a code
	Scales Scales
	Shift  int // the Offset, as a power of two
}

// PackingOf describes c. The codes of IQ4NL are places among levels, which are
// whole numbers and 128 more.
func PackingOf(c Coding) Packing {
	return [Codings]Packing{
		Q8_0: {8, Plain, 7}, Q4_0: {4, Plain, 3}, Q4_1: {4, Least, 0}, Q4K: {4, Small, 0}, Q5K: {5, Small, 0}, Q6K: {6, Halves, 5},
		Q5_0: {5, Plain, 4}, IQ4NL: {4, Plain, 7}, Q5_1: {5, Least, 0}, Q4G: {4, Zero, 0}, Q3K: {3, Halves, 2}, Q2K: {2, LeastOf, 0},
	}[c]
}

// Head returns the bytes of a head, of a coding in panels.
func (p Packing) Head() int {
	if p.Scales == Plain || p.Scales == Halves {
		return 2 * Panel
	}
	return 4 * Panel
}

// Whole returns the bytes of the scales at the beginning of a body.
func (p Packing) Whole() int {
	if p.Scales < Halves {
		return 0
	}
	return 2 * Panel
}

// Body returns the bytes of a body, of a coding in panels.
func (p Packing) Body() int { return p.Whole() + p.Bits*Block*Panel/8 }

// Kind is the form of a block that was unpacked, and of the sums of a block of
// activations.
func (p Packing) Kind() Kind {
	switch {
	case p.Scales == Halves:
		return OffsetHalves
	case p.Scales == LeastOf:
		return LeastHalves
	case p.Scales != Plain:
		return LeastWhole
	case p.Shift == 7:
		return OffsetBytes
	}
	return OffsetWhole
}

// Kind says whether there is a scale for 32 inputs or for each 16, and what
// takes the place of code 0: a multiple of the scale, or a value of its own.
type Kind int

// The kinds. OffsetBytes is OffsetWhole with an offset of 128.
const (
	OffsetBytes Kind = iota
	OffsetWhole
	OffsetHalves
	LeastWhole
	LeastHalves
	Kinds // their number
)

// Halves returns 2 if there is a scale for each 16 inputs.
func (k Kind) Halves() int {
	if k == OffsetHalves || k == LeastHalves {
		return 2
	}
	return 1
}

// Least reports whether code 0 has a value of its own.
func (k Kind) Least() bool { return k == LeastWhole || k == LeastHalves }

// Unpacked returns the bytes of a block of a panel that was unpacked: the scales
// of its columns, f32, [32] or [2][32]; as many least weights, of codes 0, if
// they have a value of their own; and the codes, one byte each, [8][32][4].
func (k Kind) Unpacked() int {
	n := 4 * Panel * k.Halves()
	if k.Least() {
		n *= 2
	}
	return n + Block*Panel
}

// Unpack writes the blocks of n super-blocks of a panel, of per blocks each. Its
// float operations are those of package quant: d*s, and -(m*t).
type Unpack func(n, per int, w, dst *byte)

// Quantise writes the blocks of x, of which there are n, to dst. A block is a
// scale d, f32, two sums, four bytes of nothing and 32 values q of i8. The greatest
// magnitude of a block becomes 127; values are rounded to even. A block whose
// scale would be subnormal is all zero. A block with a value that is not finite
// has the scale NaN, and zeros.
//
// A sum is that of all q and 0, or those of the halves, by the kind: -sum<<shift as
// i32, or, for kinds with a value of their own for code 0, d*sum as f32.
type Quantise func(n int, x *float32, dst *byte, shift int)

// Blocks is a tile of rows times a panel, for a fixed number of rows m, over n
// blocks that were unpacked. Row i of x begins at byte i*ldx.
//
//	for i < m, j < Panel:
//		acc := load != 0 ? y[i*ldy+j] : 0
//		for each block, for each of its halves, if there are:
//			acc = fma(float32(sum of w[k][j] q[k]) [+ the offset's sum first], d*scale[j], acc)
//			acc = fma(d*sum, least[j], acc), if there is such
//		y[i*ldy+j] = bias != nil ? acc + bias[j] : acc
type Blocks func(n int, x *byte, ldx int, w *byte, y *float32, ldy int, bias *float32, load int)

// Tiles is Blocks for groups of m rows, at least one, which follow each other, over blocks that MakeSigned went over, of
// kinds that it knows. So sums need no offset. room is 128 m bytes, best at a multiple of 64.
type Tiles func(groups, n int, x *byte, ldx int, w *byte, y *float32, ldy int, bias *float32, load int, room *byte)

// LeastTiles is the smallest height of a Tiles; the largest is half as much again, so that rows from 2 LeastTiles on
// divide into such groups.
const LeastTiles = 8

// MakeSigned takes the offset, 1<<shift, away from the codes of n blocks that were unpacked, n > 0, and makes them signed bytes.
type MakeSigned func(n int, w *byte, shift int)

// Row is one row times a panel as it is packed, of n super-blocks of per blocks
// each: Unpack and Blocks in one.
type Row func(n, per int, x, w *byte, y *float32, bias *float32)

// UnpackRows writes what Unpack does of n super-blocks of Panel rows of blocks as
// package quant has them, of which rows lie stride bytes apart.
type UnpackRows func(n int, w *byte, stride int, dst *byte)

// RowTimesRows is one row times a panel as UnpackRows reads it: that and Blocks in
// one, without a bias. It asks for memory, which need not be there: for what lies ahead bytes further on in each row
// or, without AVX-512, for what follows the panel.
type RowTimesRows func(n int, x, w *byte, stride, ahead int, y *float32)
