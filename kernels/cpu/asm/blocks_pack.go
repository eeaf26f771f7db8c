package asm

import "encoding/binary"

// Put writes the codes of 32 inputs of column j, four to a word, to the planes of
// a body that was clear there.
func (p Packing) Put(planes []byte, j int, c *[8]uint32) {
	le := binary.LittleEndian
	put := func(offset int, v uint32) { le.PutUint32(planes[offset+4*j:], v) }
	const ones = 0x01010101
	switch p.Bits {
	case 2, 3:
		for q := range 2 {
			g := c[4*q : 4*q+4]
			put(128*q, g[0]&(3*ones)|g[1]&(3*ones)<<2|g[2]&(3*ones)<<4|g[3]&(3*ones)<<6)
		}
	default:
		for g := range 4 {
			put(128*g, c[g]&(15*ones)|c[g+4]&(15*ones)<<4)
		}
	}
	switch p.Bits {
	case 3:
		put(256, bitOf(c, 2))
	case 5:
		put(512, bitOf(c, 4))
	}
}

// bitOf is bit n of all codes, that of group g in bit g.
func bitOf(c *[8]uint32, n int) (v uint32) {
	for g, w := range c {
		v |= w >> n & 0x01010101 << g
	}
	return v
}
