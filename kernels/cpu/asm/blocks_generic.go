package asm

import (
	"encoding/binary"
	"math"
	"unsafe"

	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// Codes gives the code of input k and column j from a body's planes.
func (p Packing) Codes(planes []byte, k, j int) int {
	g, at := k/4, 4*j+k%4
	low := func(bits int) int { // group g among groups that share bytes
		per := 8 / bits
		if bits == 4 { // g and g+4
			return int(planes[g%4*128+at] >> (g / 4 * 4) & 15)
		}
		return int(planes[g/per*128+at] >> (g % per * bits) & (1<<bits - 1))
	}
	switch p.Bits {
	case 3:
		return low(2) | int(planes[256+at]>>g&1)<<2
	case 5:
		return low(4) | int(planes[512+at]>>g&1)<<4
	}
	return low(p.Bits)
}

// levels are the codes of IQ4NL plus 128.
var levels = [16]byte{1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241}

func unpack(c Coding) Unpack {
	p := PackingOf(c)
	return func(n, per int, w, dst *byte) {
		for range n {
			head := unsafe.Slice(w, p.Head())
			for b := range per {
				body := unsafe.Slice(at(w, p.Head()+b*p.Body()), p.Body())
				whole := body[:p.Whole()]
				p.unpackBody(c, head, whole, body[p.Whole():], unsafe.Slice(dst, p.Kind().Unpacked()))
				dst = at(dst, p.Kind().Unpacked())
			}
			w = at(w, p.Head()+per*p.Body())
		}
	}
}

func (p Packing) unpackBody(c Coding, head, whole, planes, dst []byte) {
	put := func(i int, v float32) { binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v)) }
	halves := p.Kind().Halves()
	for j := range Panel {
		f16 := func(i int) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(head[2*(i*Panel+j):])) }
		for h := range halves {
			scale, least := p.scale(f16, whole, h, j)
			put(h*Panel+j, scale)
			if p.Kind().Least() {
				put((halves+h)*Panel+j, least)
			}
		}
		codes := dst[len(dst)-Block*Panel:]
		for k := range Block {
			q := byte(p.Codes(planes, k, j))
			if c == IQ4NL {
				q = levels[q]
			}
			codes[k/4*128+4*j+k%4] = q
		}
	}
}

// scale is that of half h of a block, and its weight of code 0. f16 reads the
// head's number i of column j.
func (p Packing) scale(f16 func(i int) float32, whole []byte, h, j int) (scale, least float32) {
	d := f16(0)
	switch p.Scales {
	case Least:
		return d, f16(1)
	case Zero:
		return d, -float32(d * f16(1))
	case Halves:
		return d * float32(int8(whole[h*Panel+j])), 0
	case LeastOf:
		s := whole[h*Panel+j]
		return d * float32(s&15), -float32(f16(1) * float32(s>>4))
	}
	return d, 0
}

// unpackRows reads what package quant says of blocks.
func unpackRows(c Coding) UnpackRows {
	p := PackingOf(c)
	f, err := quant.Lookup([...]string{Q8_0: "q8_0", Q4_0: "q4_0", Q4_1: "q4_1", Q4K: "q4_k", Q5K: "q5_k", Q6K: "q6_k"}[c])
	if err != nil {
		panic(err) // there are these formats
	}
	return func(n int, w *byte, stride int, dst *byte) {
		per, size := f.Block/Block, p.Kind().Unpacked()
		for s := range n {
			for j := range Panel {
				block := unsafe.Slice(at(w, j*stride+s*f.Bytes), f.Bytes)
				parts := f.Parts(block)
				for b := range per {
					codes := f.Codes(block, b)
					p.put(unsafe.Slice(at(dst, (s*per+b)*size), size), j, b, &parts, &codes)
				}
			}
		}
	}
}

// put writes block b of row j of Panel.
func (p Packing) put(dst []byte, j, b int, parts *quant.Parts, codes *[8]uint32) {
	le, halves := binary.LittleEndian, p.Kind().Halves()
	float := func(i int, v float32) { le.PutUint32(dst[4*(i*Panel+j):], math.Float32bits(v)) }
	for h := range halves {
		d, m, i := half.F16ToF32(parts.D), half.F16ToF32(parts.M), b*halves+h // of the scales
		if p.Scales >= Small {
			d, m = d*float32(parts.Scale[i]), -float32(m*float32(parts.Least[i]))
		}
		float(h, d)
		if p.Kind().Least() {
			float(halves+h, m)
		}
	}
	for g, v := range codes {
		le.PutUint32(dst[len(dst)-Block*Panel+4*(g*Panel+j):], v)
	}
}

func quantise(kind Kind) Quantise {
	return func(n int, x *float32, dst *byte, shift int) {
		for i := range n {
			quantiseBlock(kind, (*[BlockX]byte)(unsafe.Pointer(at(dst, i*BlockX))), unsafe.Slice(x, Block*n)[i*Block:], shift)
		}
	}
}

func quantiseBlock(kind Kind, dst *[BlockX]byte, x []float32, shift int) {
	var most uint32 // the order of magnitudes is that of their bits, NaN last
	for _, v := range x[:Block] {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	d := math.Float32frombits(most) / 127
	le := binary.LittleEndian
	clear(dst[:])
	if most >= 0x7f800000 || math.Float32bits(d) < 0x00800000 {
		if most >= 0x7f800000 {
			le.PutUint32(dst[:], math.Float32bits(float32(math.NaN())))
		}
		return
	}
	inverse := 1 / d
	var sum [2]int32
	for i, v := range x[:Block] {
		// Adding 3 << 22 leaves no bits for a fraction.
		q := int32(math.Float32bits(float32(v*inverse)+(3<<22))) - 0x4b400000
		dst[16+i] = byte(q)
		sum[i/16*(kind.Halves()-1)] += q
	}
	le.PutUint32(dst[:], math.Float32bits(d))
	for h, s := range sum {
		if kind.Least() {
			le.PutUint32(dst[4+4*h:], math.Float32bits(float32(d*float32(s))))
		} else {
			le.PutUint32(dst[4+4*h:], uint32(-s<<shift))
		}
	}
}

func blocks(kind Kind, m int) Blocks {
	return func(n int, x *byte, ldx int, w *byte, y *float32, ldy int, bias *float32, resume int) {
		var acc [genericRows][Panel]float32
		begin(acc[:m], y, ldy, Panel, resume)
		for b := range n {
			panel := unsafe.Slice(at(w, b*kind.Unpacked()), kind.Unpacked())
			for i := range m {
				kind.multiply(&acc[i], (*[BlockX]byte)(unsafe.Pointer(at(x, i*ldx+b*BlockX))), panel)
			}
		}
		end(acc[:m], y, ldy, Panel, bias)
	}
}

func (k Kind) multiply(acc *[Panel]float32, x *[BlockX]byte, w []byte) {
	le := binary.LittleEndian
	d, halves := math.Float32frombits(le.Uint32(x[:])), k.Halves()
	codes := w[len(w)-Block*Panel:]
	for h := range halves {
		var sum [Panel]int32
		off := le.Uint32(x[4+4*h:])
		if !k.Least() {
			for j := range sum {
				sum[j] = int32(off)
			}
		}
		for g := h * 4; g < 8*(h+1)/halves; g++ {
			q0, q1, q2, q3 := int32(int8(x[16+4*g])), int32(int8(x[17+4*g])), int32(int8(x[18+4*g])), int32(int8(x[19+4*g]))
			row := codes[g*128:]
			for j := range sum {
				v := row[4*j : 4*j+4]
				sum[j] += int32(v[0])*q0 + int32(v[1])*q1 + int32(v[2])*q2 + int32(v[3])*q3
			}
		}
		for j, s := range sum {
			scale := math.Float32frombits(le.Uint32(w[4*(h*Panel+j):]))
			acc[j] = FMA(float32(s), float32(d*scale), acc[j])
			if k.Least() {
				acc[j] = FMA(math.Float32frombits(off), math.Float32frombits(le.Uint32(w[4*((halves+h)*Panel+j):])), acc[j])
			}
		}
	}
}
