package quant

import "encoding/binary"

// Parts is what surrounds the codes of a block. With q the code of a weight in
// the small block b, as Codes gives it, formats stand for
//
//	q8_0, q4_0, q5_0, iq4_nl   d (q - offset)
//	q4_1, q5_1                 d q + m
//	q4_gN                      d q - d m
//	q4_k, q5_k, q2_k           d scale[b] q - m least[b]
//	q6_k, q3_k                 d scale[b] (q - offset)
type Parts struct {
	D, M  uint16 // f16
	Scale [16]int8
	Least [16]uint8
}

// Small is the weights of a block that share a scale of Parts, or all of them.
func (f Format) Small() int {
	switch f.Name {
	case "q4_k", "q5_k":
		return 32
	case "q2_k", "q3_k", "q6_k":
		return 16
	}
	return f.Block
}

// Parts takes a block apart. nf4 has no such parts.
func (f Format) Parts(block []byte) (p Parts) {
	u16 := binary.LittleEndian.Uint16
	switch f.Name {
	case "q8_0", "q4_0", "q5_0", "iq4_nl":
		p.D = u16(block)
	case "q4_1", "q5_1", "q4_g32", "q4_g64", "q4_g128":
		p.D, p.M = u16(block), u16(block[2:])
	case "q4_k", "q5_k":
		p.D, p.M = u16(block), u16(block[2:])
		for b := range 8 {
			s, m := scaleQ4K(block[4:16], b)
			p.Scale[b], p.Least[b] = int8(s), m
		}
	case "q2_k":
		p.D, p.M = u16(block[80:]), u16(block[82:])
		for b, s := range block[:16] {
			p.Scale[b], p.Least[b] = int8(s&15), s>>4
		}
	case "q3_k":
		p.D = u16(block[108:])
		for b := range p.Scale {
			p.Scale[b] = int8(scaleQ3K(block[96:108], b)) - 32
		}
	case "q6_k":
		p.D = u16(block[208:])
		for b, s := range block[192:208] {
			p.Scale[b] = int8(s)
		}
	}
	return p
}

// Levels are what the codes of iq4_nl stand for, to be multiplied by its scale.
func Levels() [16]int8 { return iq4nl }

// Codes gives weights 32b to 32b+31 of a block as unsigned codes, four to a
// word, the first in its low byte. Those of q8_0 are its values plus 128. nf4
// has no such codes.
func (f Format) Codes(block []byte, b int) (c [8]uint32) {
	switch f.Name {
	case "q8_0":
		fields(&c, block[2:], 0, 0xff)
		for g := range c {
			c[g] ^= 0x80808080
		}
	case "q4_0", "iq4_nl":
		nibbles(&c, block[2:])
	case "q4_1":
		nibbles(&c, block[4:])
	case "q4_g32", "q4_g64", "q4_g128":
		nibbles(&c, block[4+16*b:])
	case "q5_0":
		nibbles(&c, block[6:])
		fifths(&c, block[2:])
	case "q5_1":
		nibbles(&c, block[8:])
		fifths(&c, block[4:])
	case "q4_k":
		fields(&c, block[16+b/2*32:], b%2*4, 15)
	case "q5_k":
		fields(&c, block[48+b/2*32:], b%2*4, 15)
		upper(&c, block[16:], b, 1, 4)
	case "q6_k":
		low, lowShift, high, highShift := placeQ6K(32 * b)
		fields(&c, block[low:], lowShift, 15)
		upper(&c, block[high:], highShift, 3, 4)
	case "q3_k":
		fields(&c, block[32+b/4*32:], b%4*2, 3)
		upper(&c, block, b, 1, 2)
	case "q2_k":
		fields(&c, block[16+b/4*32:], b%4*2, 3)
	}
	return c
}

// fields takes the bits of mask, above shift, of each of 32 bytes.
func fields(c *[8]uint32, from []byte, shift int, mask uint32) {
	from = from[:32]
	mask *= 0x01010101
	for g := range c {
		c[g] = binary.LittleEndian.Uint32(from[4*g:]) >> shift & mask
	}
}

// upper puts such bits above the to lowest of the codes.
func upper(c *[8]uint32, from []byte, shift int, mask uint32, to int) {
	from = from[:32]
	mask *= 0x01010101
	for g := range c {
		c[g] |= binary.LittleEndian.Uint32(from[4*g:]) >> shift & mask << to
	}
}

// nibbles takes the low bits of 16 bytes, and then the high ones.
func nibbles(c *[8]uint32, from []byte) {
	from = from[:16]
	for g := range 4 {
		v := binary.LittleEndian.Uint32(from[4*g:])
		c[g], c[g+4] = v&0x0f0f0f0f, v>>4&0x0f0f0f0f
	}
}

// fifths puts 32 bits above the four of the codes.
func fifths(c *[8]uint32, from []byte) {
	bits := binary.LittleEndian.Uint32(from)
	for g := range c {
		// Bit i of four goes to bit 8i: the shifts of this product don't meet.
		c[g] |= bits >> (4 * g) & 15 * 0x00204081 & 0x01010101 << 4
	}
}
