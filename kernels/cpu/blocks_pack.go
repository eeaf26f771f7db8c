package cpu

import (
	"encoding/binary"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/quant"
)

// BN32 is the layout of weights [out, in] in blocks, in panels of 32 output
// columns: what asm.Unpack reads, super-block by super-block. It takes the bytes
// of the row-major form, 4% more of q3_k, whose scales become bytes, and those of columns that fill the last
// panel.
const BN32 ir.Layout = "bn32"

// packing is how weights of one type in blocks lie, in panels or in rows.
type packing struct {
	asm.Packing
	coding asm.Coding
	per    int // blocks of 32 in a super-block, which is a block of the format
	format quant.Format
}

// packingOf is the packing of a type, or false for one that is not multiplied in bytes.
func packingOf(d ir.DType) (packing, bool) {
	c, ok := map[ir.DType]asm.Coding{
		ir.Q8_0: asm.Q8_0, ir.Q4_0: asm.Q4_0, ir.Q5_0: asm.Q5_0, ir.IQ4_NL: asm.IQ4NL, ir.Q4_1: asm.Q4_1, ir.Q5_1: asm.Q5_1,
		ir.Q4_G32: asm.Q4G, ir.Q4_G64: asm.Q4G, ir.Q4_G128: asm.Q4G,
		ir.Q4_K: asm.Q4K, ir.Q5_K: asm.Q5K, ir.Q6_K: asm.Q6K, ir.Q3_K: asm.Q3K, ir.Q2_K: asm.Q2K,
	}[d]
	if !ok {
		return packing{}, false
	}
	f, err := quant.Lookup(d.String())
	return packing{asm.PackingOf(c), c, f.Block / asm.Block, f}, err == nil
}

// packBlocks writes a weight [out, in] in panels.
func (b *Backend) packBlocks(d ir.DType, dst, src []byte, out, in int) {
	if d == ir.NF4 {
		b.pool.Run(parts(out, asm.Panel), func(_, n int) { packNF4(dst[n*nf4PanelBytes(in):], src, out, in/64, n) })
		return
	}
	p, _ := packingOf(d)
	supers := in / p.format.Block
	b.pool.Run(parts(out, asm.Panel), func(_, n int) {
		p.pack(dst[n*p.panelBytes(in):], src, out, supers, n, 0, supers)
	})
}

// superBytes returns the bytes of a super-block of a panel.
func (p packing) superBytes() int { return p.Head() + p.per*p.Body() }

// panelBytes returns the bytes of a panel of k inputs, or of the rows that take its place.
func (p packing) panelBytes(k int) int {
	if p.coding.InRows() {
		return asm.Panel * k / p.format.Block * p.format.Bytes
	}
	return k / p.format.Block * p.superBytes()
}

// reads returns an error for a weight in a layout in which p does not read it.
func (p packing) reads(w kernels.Tensor) error {
	if w.Layout == "" || w.Layout == BN32 && packs(w.DType) {
		return nil
	}
	return fmt.Errorf("weight of %v is in layout %q", w.DType, w.Layout)
}

// packedAtOnce is about how many bytes of a panel are written column after column:
// they stay in the first-level cache, and rows are read in stretches.
const packedAtOnce = 16 << 10

// pack writes super-blocks lo to hi of panel n of a weight whose out rows, of
// supers blocks, lie one after another in src. Columns that are missing are zero.
func (p packing) pack(dst, src []byte, out, supers, n, lo, hi int) {
	columns := min(asm.Panel, out-n*asm.Panel)
	column, size, row := p.columnOf(), p.superBytes(), supers*p.format.Bytes
	some := max(1, packedAtOnce/size)
	for from := lo; from < hi; from += some {
		count := min(some, hi-from)
		to := dst[(from-lo)*size:][:count*size]
		clear(to)
		for j := range columns {
			blocks := src[(n*asm.Panel+j)*row+from*p.format.Bytes:][:count*p.format.Bytes]
			column(to, blocks, size, j)
		}
	}
}

// columnOf returns what writes blocks of the format as column j of as many
// super-blocks, of size bytes each.
func (p packing) columnOf() func(to, blocks []byte, size, j int) {
	if p.format.Name == "iq4_nl" {
		return columnQ4
	}
	return func(to, blocks []byte, size, j int) {
		for n := p.format.Bytes; len(blocks) >= n; blocks, to = blocks[n:], to[size:] {
			p.column(to[:size], blocks[:n], j)
		}
	}
}

// columnQ4 packs iq4_nl four times as fast as column: four bits lie in a plane as in the block.
func columnQ4(to, blocks []byte, size, j int) {
	const plane = 4 * asm.Panel
	for ; len(blocks) >= 18; blocks, to = blocks[18:], to[size:] {
		block := (*[18]byte)(blocks)
		binary.LittleEndian.PutUint16(to[2*j:], binary.LittleEndian.Uint16(block[:]))
		planes := (*[3*plane + 4]byte)(to[2*asm.Panel+4*j:])
		for g := range 4 {
			*(*[4]byte)(planes[plane*g:]) = *(*[4]byte)(block[2+4*g:])
		}
	}
}

// column writes a block of the format as column j of a super-block.
func (p packing) column(to, block []byte, j int) {
	parts := p.format.Parts(block)
	binary.LittleEndian.PutUint16(to[2*j:], parts.D)
	if p.Scales != asm.Plain && p.Scales != asm.Halves {
		binary.LittleEndian.PutUint16(to[2*asm.Panel+2*j:], parts.M)
	}
	for b := range p.per {
		body := to[p.Head()+b*p.Body():][:p.Body()]
		switch p.Scales {
		case asm.Halves:
			body[j], body[asm.Panel+j] = byte(parts.Scale[2*b]), byte(parts.Scale[2*b+1])
		case asm.LeastOf:
			for h := range 2 {
				body[h*asm.Panel+j] = byte(parts.Scale[2*b+h]) | parts.Least[2*b+h]<<4
			}
		}
		codes := p.format.Codes(block, b)
		p.Put(body[p.Whole():], j, &codes)
	}
}
