package cuda

import (
	"encoding/binary"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/quant"
)

// Planes is the layout of weights [..., in] in blocks, the only one that kernels
// read: what a unit of 32 weights has of a kind lies in a plane of its own, so that
// neighbouring threads load neighbouring words of 16 bytes, each of which holds what
// the thread brings to mma of four units. Blocks as files have them are 18, 34 or
// 210 bytes, which no wide load takes. It takes the bytes of the
// file; of q3_k, q4_k and q5_k, whose scales become bytes, 2 to 4% more; and rows that
// are no multiple of 128 take what the next one would.
const Planes ir.Layout = "planes"

// coding is how blocks of a format lie in planes; source/blocks.h reads them.
type coding struct {
	bits   uint32 // of a code; 40 for levels of iq4_nl, 44 for those of nf4
	form   uint32
	offset uint32
	format quant.Format
}

// Forms of weights of 4 and 5 bits, as numbered in source/blocks.h.
const (
	formPlain uint32 = iota
	formLeast
	formZero
	formSmall
)

const (
	unit       = 32 // weights
	levelBits  = 40
	normalBits = 44
)

// codingOf finds how weights of a type in blocks lie.
func codingOf(d ir.DType) (coding, error) {
	c, ok := map[ir.DType]coding{
		ir.Q8_0: {bits: 8, offset: 128}, ir.Q6_K: {bits: 6, offset: 32}, ir.Q3_K: {bits: 3, offset: 4}, ir.Q2_K: {bits: 2},
		ir.Q5_0: {bits: 5, offset: 16}, ir.Q5_1: {bits: 5, form: formLeast}, ir.Q5_K: {bits: 5, form: formSmall},
		ir.Q4_0: {bits: 4, offset: 8}, ir.Q4_1: {bits: 4, form: formLeast}, ir.Q4_K: {bits: 4, form: formSmall},
		ir.Q4_G32: {bits: 4, form: formZero}, ir.Q4_G64: {bits: 4, form: formZero}, ir.Q4_G128: {bits: 4, form: formZero},
		ir.IQ4_NL: {bits: levelBits, offset: 128}, ir.NF4: {bits: normalBits},
	}[d]
	if !ok {
		return coding{}, fmt.Errorf("cuda: no layout of weights in %v", d)
	}
	var err error
	c.format, err = quant.Lookup(d.String())
	return c, err
}

// number is that by which kernels know the format.
func (c coding) number() uint32 {
	switch c.form {
	case formLeast, formZero:
		return c.bits + 100
	case formSmall:
		return c.bits + 200
	}
	return c.bits
}

// lifted says that weights are codes times a scale and a number more.
func (c coding) lifted() bool { return c.form != formPlain || c.bits == 2 }

// sizes are the bytes of the codes of a unit, of its small scales, and of what a
// block begins with.
func (c coding) sizes() (low, high, small, head int) {
	low, high, head = 16, 0, 2
	switch c.bits {
	case 8:
		low = 32
	case 6:
		high = 8
	case 5:
		high = 4
	case 3:
		low, high = 8, 4
	case 2:
		low = 8
	}
	if c.lifted() || c.bits == normalBits {
		head = 4
	}
	if c.form == formSmall || c.format.Small() == 16 {
		small = 2
	}
	return low, high, small, head
}

// planes are where those of rows of so many weights begin, and where the last ends.
// Rows are whole fours of units.
func (c coding) planes(rows, width int) (at [5]int) {
	low, high, small, head := c.sizes()
	units := rows * parts(width, 4*unit) * 4
	for i, size := range [...]int{low * units, high * units, small * units, head * (units * unit / c.format.Block)} {
		at[i+1] = at[i] + (size+15)/16*16
	}
	return at
}

// linesOf is how many rows a weight has, and how wide they are.
func linesOf(shape []int) (rows, width int) {
	width = shape[len(shape)-1]
	return prod(shape[:len(shape)-1]), width
}

// pack writes the planes of the blocks of src, rows of so many weights, to dst, which
// is zeros.
func (c coding) pack(dst, src []byte, rows, width int) {
	low, high, small, head := c.sizes()
	at, per, le := c.planes(rows, width), c.format.Block/unit, binary.LittleEndian
	for b := range len(src) / c.format.Bytes {
		block := src[b*c.format.Bytes:][:c.format.Bytes]
		row, column := b/(width/c.format.Block), b%(width/c.format.Block)
		first := row*parts(width, 4*unit)*4 + column*per // unit
		to := dst[at[3]+head*(first/per):]
		scales := c.format.Parts(block)
		le.PutUint16(to, scales.D)
		if c.bits == normalBits {
			copy(to, block[:4])
		} else if head == 4 {
			le.PutUint16(to[2:], scales.M)
		}
		for i := range per {
			u := first + i
			c.packCodes(dst[at[0]+low*u:][:low], dst[at[1]+high*u:][:high], c.codes(block, i))
			if small > 0 {
				s := dst[at[2]+small*u:]
				s[0], s[1] = c.small(scales, i)
			}
		}
	}
	for i := at[0]; c.bits >= 4 && i < at[1]; i += 64 {
		c.turn(dst[i:][:64])
	}
}

// turn reorders the words of four units, or of two of 8 bits: word t of the first
// and of the next, then word t+1 of each; of 8 bits, word t+4 comes after t.
func (c coding) turn(words []byte) {
	old := slices.Clone(words)
	for i := range 16 {
		from := i%4*4 + i/4
		if c.bits == 8 {
			from = i%4/2*8 + i/4 + i%2*4
		}
		copy(words[4*i:][:4], old[4*from:])
	}
}

// small are the two bytes of scales of a unit.
func (c coding) small(p quant.Parts, i int) (first, second byte) {
	switch {
	case c.bits == 2:
		return byte(p.Scale[2*i]) | p.Least[2*i]<<4, byte(p.Scale[2*i+1]) | p.Least[2*i+1]<<4
	case c.form == formSmall:
		return byte(p.Scale[i]), p.Least[i]
	}
	return byte(p.Scale[2*i]), byte(p.Scale[2*i+1])
}

// codes are those of a unit, as quant.Format.Codes has them.
func (c coding) codes(block []byte, i int) (words [8]uint32) {
	if c.bits != normalBits {
		return c.format.Codes(block, i)
	}
	for k, v := range block[4+16*i:][:16] {
		words[k/2] |= (uint32(v>>4) | uint32(v&15)<<8) << (k % 2 * 16)
	}
	return words
}

// packCodes writes the codes of a unit, words of four: of 4 bits and more, word t
// and word t+4 share one; of 2 bits, four words do.
func (c coding) packCodes(low, high []byte, words [8]uint32) {
	le := binary.LittleEndian
	var bits [2]uint32 // above the lower ones
	for j, w := range words {
		switch {
		case c.bits == 8:
			le.PutUint32(low[4*j:], w)
		case c.bits >= 4:
			if j < 4 {
				le.PutUint32(low[4*j:], w&0x0f0f0f0f|words[j+4]&0x0f0f0f0f<<4)
			}
		default:
			at := low[j/4*4:]
			le.PutUint32(at, le.Uint32(at)|w&0x03030303<<(j%4*2))
		}
		switch c.bits {
		case 5:
			bits[0] |= w >> 4 & 0x01010101 << j
		case 3:
			bits[0] |= w >> 2 & 0x01010101 << j
		case 6:
			bits[j/4] |= w >> 4 & 0x03030303 << (j % 4 * 2)
		}
	}
	for i := range len(high) / 4 {
		le.PutUint32(high[4*i:], bits[i])
	}
}

// readsBlocks reports whether an op reads its input i in blocks.
func readsBlocks(name string, i int) bool {
	switch name {
	case "linear", "embedding":
		return i == 1
	case "gated_linear":
		return i == 1 || i == 2
	case "expert_linear":
		return i == 2
	}
	return false
}

// Layout is Planes for weights in blocks, and row-major for all others.
func (b *Backend) Layout(name string, _ any, i int, weight ir.Type) ir.Layout {
	if weight.DType.Blocked() && readsBlocks(name, i) {
		return Planes
	}
	return ""
}

// Accepts reports whether l is what Layout says: kernels read no other.
func (b *Backend) Accepts(name string, attr any, i int, weight ir.Type, l ir.Layout) bool {
	return l == b.Layout(name, attr, i, weight)
}

// LayoutBytes returns the bytes of a weight.
func (b *Backend) LayoutBytes(l ir.Layout, weight ir.Type) int64 {
	if c, err := codingOf(weight.DType); err == nil && l == Planes {
		return int64(c.planes(linesOf(weight.Sizes()))[4])
	}
	return weight.Bytes()
}

// Pack writes src into dst at offset.
func (b *Backend) Pack(l ir.Layout, weight ir.Type, dst kernels.Buffer, offset int64, src []byte) error {
	if l != "" && (l != Planes || !weight.DType.Blocked()) || int64(len(src)) != weight.Bytes() {
		return fmt.Errorf("cuda: pack %v as %q of %d bytes, want %d, row-major or blocks as %q", weight, l, len(src), weight.Bytes(), Planes)
	}
	if l == "" {
		return dst.Write(offset, src)
	}
	c, err := codingOf(weight.DType)
	if err != nil {
		return err
	}
	rows, width := linesOf(weight.Sizes())
	return c.packInto(dst, offset, src, rows, width, packBytes)
}

// blocks is Blocks of source/blocks.h.
type blocks struct {
	low, high, small, head    driver.Pointer
	form, format, offset, per uint32
}

// blocksOf is where the planes of a weight lie.
func (b *Backend) blocksOf(t kernels.Tensor) (blocks, error) {
	c, err := codingOf(t.DType)
	if err != nil {
		return blocks{}, err
	}
	if t.Layout != Planes {
		return blocks{}, fmt.Errorf("cuda: a weight of %v is in layout %q, want %q", t.DType, t.Layout, Planes)
	}
	p, err := b.pointer(t)
	at := c.planes(linesOf(t.Shape))
	where := func(i int) driver.Pointer { return p + driver.Pointer(at[i]) }
	per := slices.Index([]int{32, 64, 128, 256}, c.format.Block)
	return blocks{where(0), where(1), where(2), where(3), c.form, c.number(), c.offset, uint32(per)}, err
}
