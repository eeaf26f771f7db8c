package cpu

import (
	"encoding/binary"

	"pipe.dev/kernels/cpu/asm"
)

// The formats that most files have are packed by functions of their own, equal
// to packing.column: starting up is then bound by memory.

// columnOf returns what writes a block of the format as a column of a
// super-block.
func (p packing) columnOf() func(to, block []byte, j int) {
	switch p.format.Name {
	case "q4_0", "iq4_nl":
		return columnQ4
	case "q8_0":
		return columnQ8
	case "q4_k":
		return columnQ4K
	}
	return p.column
}

// columnQ4: four bits lie in a plane as in the block.
func columnQ4(to, block []byte, j int) {
	_, _ = to[2*asm.Panel+4*4*asm.Panel-1], block[17]
	binary.LittleEndian.PutUint16(to[2*j:], binary.LittleEndian.Uint16(block))
	planes := to[2*asm.Panel+4*j:]
	for g := range 4 {
		binary.LittleEndian.PutUint32(planes[4*asm.Panel*g:], binary.LittleEndian.Uint32(block[2+4*g:]))
	}
}

// columnQ8: bytes without their sign.
func columnQ8(to, block []byte, j int) {
	_, _ = to[2*asm.Panel+8*4*asm.Panel-1], block[33]
	binary.LittleEndian.PutUint16(to[2*j:], binary.LittleEndian.Uint16(block))
	planes := to[2*asm.Panel+4*j:]
	for g := range 8 {
		binary.LittleEndian.PutUint32(planes[4*asm.Panel*g:], binary.LittleEndian.Uint32(block[2+4*g:])^0x80808080)
	}
}

// columnQ4K: of 32 bytes, the low bits are one block and the high bits the
// next; in a plane, words g and g+4 of a block share one.
func columnQ4K(to, block []byte, j int) {
	const body, low, high = 4 * 4 * asm.Panel, 0x0f0f0f0f, 0xf0f0f0f0
	const bodies = 4*asm.Panel + 8*asm.SmallBytes
	le := binary.LittleEndian
	le.PutUint16(to[2*j:], le.Uint16(block))
	le.PutUint16(to[2*asm.Panel+2*j:], le.Uint16(block[2:]))
	scales := block[4:16]
	for b := range 4 {
		even, odd := to[bodies+2*b*body:][:body], to[bodies+(2*b+1)*body:][:body]
		small := to[4*asm.Panel+2*b*asm.SmallBytes:][:2*asm.SmallBytes]
		// Scale and minimum i have a byte each below 4; above, 4 bits of a byte
		// and 2 of those below.
		if i := 2 * b; i < 4 {
			asm.PutSmall(small, j, scales[i]&63, scales[4+i]&63)
			asm.PutSmall(small[asm.SmallBytes:], j, scales[i+1]&63, scales[5+i]&63)
		} else {
			asm.PutSmall(small, j, scales[4+i]&15|scales[i-4]>>6<<4, scales[4+i]>>4|scales[i]>>6<<4)
			asm.PutSmall(small[asm.SmallBytes:], j, scales[5+i]&15|scales[i-3]>>6<<4, scales[5+i]>>4|scales[i+1]>>6<<4)
		}
		codes := block[16+32*b:][:32]
		for g := range 4 {
			first, second := le.Uint32(codes[4*g:]), le.Uint32(codes[16+4*g:])
			at := 4*asm.Panel*g + 4*j
			le.PutUint32(even[at:], first&low|second&low<<4)
			le.PutUint32(odd[at:], first&high>>4|second&high)
		}
	}
}
