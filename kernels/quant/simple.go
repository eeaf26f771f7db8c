package quant

import (
	"encoding/binary"
	"math"
)

// decodeQ8: d f16, q [32] int8; x = q d.
func decodeQ8(dst []float32, src []byte) {
	d := f16(src)
	for i := range dst {
		dst[i] = float32(int8(src[2+i])) * d
	}
}

func encodeQ8(dst []byte, src []float32) {
	d := abs(largest(src)) / 127
	putF16(dst, d)
	id := inverse(d)
	for i, x := range src {
		dst[2+i] = byte(int8(math.Round(float64(x * id))))
	}
}

// simple is a block of 32 weights of 4 or 5 bits:
//
//	d f16, m f16 if min, bit 4 of all 32 if there is one, q [16]: low bits of weight i and of weight i+16
//
// x = q d + m if min, else (q - middle) d.
type simple struct {
	bits int
	min  bool
}

// parts returns what follows the scale: the fifth bits, and the other four.
func (s simple) parts(block []byte) (fifth, four []byte) {
	rest := block[2:]
	if s.min {
		rest = rest[2:]
	}
	if s.bits == 5 {
		return rest[:4], rest[4:]
	}
	return nil, rest
}

func (s simple) middle() int { return 1 << (s.bits - 1) }

func (s simple) decode(dst []float32, src []byte) {
	fifth, four := s.parts(src)
	var high uint32
	if fifth != nil {
		high = binary.LittleEndian.Uint32(fifth)
	}
	d := f16(src)
	for i := range dst {
		q := int(four[i%16]>>(i/16*4)&15) | int(high>>i&1)<<4
		if s.min {
			dst[i] = float32(float32(q)*d) + f16(src[2:])
		} else {
			dst[i] = float32(q-s.middle()) * d
		}
	}
}

func (s simple) encode(dst []byte, src []float32) {
	fifth, four := s.parts(dst)
	clear(four)
	most := 1<<s.bits - 1
	var d, low float32
	if s.min {
		low = src[0]
		high := src[0]
		for _, x := range src {
			low, high = min(low, x), max(high, x)
		}
		d = (high - low) / float32(most)
		putF16(dst[2:], low)
	} else {
		d = largest(src) / -float32(s.middle())
	}
	putF16(dst, d)
	id := inverse(d)
	var high uint32
	for i, x := range src {
		var at float64
		switch {
		case s.min:
			at = float64(float32((x-low)*id) + 0.5)
		case s.bits == 4: // the reference rounds once here
			at = float64(x)*float64(id) + 8.5
		default:
			at = float64(float32(x*id) + 16.5)
		}
		q := min(int(at), most)
		four[i%16] |= byte(q&15) << (i / 16 * 4)
		high |= uint32(q>>4) << i
	}
	if fifth != nil {
		binary.LittleEndian.PutUint32(fifth, high)
	}
}

// largest is the element of greatest magnitude, the first of several.
func largest(x []float32) float32 {
	var best float32
	for _, v := range x {
		if abs(v) > abs(best) {
			best = v
		}
	}
	return best
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// inverse is 1/d, or 0 where that is not finite.
func inverse(d float32) float32 {
	if id := 1 / d; d != 0 && abs(id) <= math.MaxFloat32 {
		return id
	}
	return 0
}
