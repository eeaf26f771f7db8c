package cpu

import (
	"encoding/binary"

	"pipe.dev/kernels/cpu/asm"
)

// The formats that most files have are packed by functions of their own, equal
// to packing.column: starting up is then bound by memory.

// columnOf returns what writes blocks of the format as column j of as many
// super-blocks, of size bytes each.
func (p packing) columnOf() func(to, blocks []byte, size, j int) {
	switch p.format.Name {
	case "q4_0", "iq4_nl":
		return columnQ4
	case "q8_0":
		return columnQ8
	case "q4_k":
		return columnQ4K
	}
	return func(to, blocks []byte, size, j int) {
		for n := p.format.Bytes; len(blocks) >= n; blocks, to = blocks[n:], to[size:] {
			p.column(to[:size], blocks[:n], j)
		}
	}
}

// columnQ4: four bits lie in a plane as in the block.
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

// columnQ8: bytes without their sign.
func columnQ8(to, blocks []byte, size, j int) {
	const plane = 4 * asm.Panel
	for ; len(blocks) >= 34; blocks, to = blocks[34:], to[size:] {
		block := (*[34]byte)(blocks)
		binary.LittleEndian.PutUint16(to[2*j:], binary.LittleEndian.Uint16(block[:]))
		planes := (*[7*plane + 4]byte)(to[2*asm.Panel+4*j:])
		for g := range 8 {
			binary.LittleEndian.PutUint32(planes[plane*g:], binary.LittleEndian.Uint32(block[2+4*g:])^0x80808080)
		}
	}
}

// columnQ4K: of 32 bytes, the low bits are one block and the high bits the
// next; in a plane, words g and g+4 of a block share one.
func columnQ4K(to, blocks []byte, size, j int) {
	const plane, low, high = 4 * asm.Panel, 0x0f0f0f0f, 0xf0f0f0f0
	const bodies, body = 4*asm.Panel + 8*asm.SmallBytes, 4 * plane
	le := binary.LittleEndian
	for ; len(blocks) >= 144; blocks, to = blocks[144:], to[size:] {
		block := (*[144]byte)(blocks)
		le.PutUint16(to[2*j:], le.Uint16(block[:]))
		le.PutUint16(to[2*asm.Panel+2*j:], le.Uint16(block[2:]))
		// Scale and minimum i have a byte each below 4; above, 4 bits of a byte
		// and 2 of those below.
		for i := range 4 {
			s, t, rest := block[4+i], block[8+i], block[12+i]
			small := to[4*asm.Panel+i*asm.SmallBytes:]
			asm.PutSmall(small, j, s&63, t&63)
			asm.PutSmall(small[4*asm.SmallBytes:], j, rest&15|s>>6<<4, rest>>4|t>>6<<4)
		}
		for b := range 4 {
			even := (*[3*plane + 4]byte)(to[bodies+2*b*body+4*j:])
			odd := (*[3*plane + 4]byte)(to[bodies+(2*b+1)*body+4*j:])
			codes := (*[32]byte)(block[16+32*b:])
			for g := range 4 {
				first, second := le.Uint32(codes[4*g:]), le.Uint32(codes[16+4*g:])
				le.PutUint32(even[plane*g:], first&low|second&low<<4)
				le.PutUint32(odd[plane*g:], first&high>>4|second&high)
			}
		}
	}
}
