package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cpu/asm"
)

// Weights of nf4, whose levels are no whole numbers, are unpacked to f32, a
// stretch of a panel at a time, and multiplied as such.

// packs reports whether weights of a type in blocks are packed in panels.
func packs(d ir.DType) bool {
	p, ok := packingOf(d)
	return ok && !p.coding.InRows() || d == ir.NF4
}

// nf4PanelBytes is the bytes of a panel of k inputs.
func nf4PanelBytes(k int) int { return k / 64 * asm.NF4Panel }

// packNF4 writes panel n of a weight whose out rows, of blocks blocks, lie one
// after another in src. Columns that are missing are zero.
func packNF4(dst, src []byte, out, blocks, n int) {
	const bytes = 36
	clear(dst[:blocks*asm.NF4Panel])
	for b := range blocks {
		to := dst[b*asm.NF4Panel : (b+1)*asm.NF4Panel]
		for j := range min(asm.Panel, out-n*asm.Panel) {
			block := src[((n*asm.Panel+j)*blocks+b)*bytes:][:bytes]
			copy(to[4*j:4*j+4], block)
			for k := range 16 { // inputs 2k and 2k+1, and those 32 later
				low, high := block[4+k], block[20+k]
				at := 4*asm.Panel + 2*k*asm.Panel + j
				to[at], to[at+asm.Panel] = low>>4|high&0xf0, low&15|high<<4
			}
		}
	}
}

// nf4Row writes row from of a packed table to y.
func (b *Backend) nf4Row(local, y []float32, table []byte, from int) {
	panel := table[from/asm.Panel*nf4PanelBytes(len(y)):]
	for s := range len(y) / 64 {
		b.asm.UnpackNF4(1, &panel[s*asm.NF4Panel], &local[0])
		for k := range 64 {
			y[s*64+k] = local[k*asm.Panel+from%asm.Panel]
		}
	}
}
