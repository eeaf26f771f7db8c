package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eachRows goes through a panel of rows: begin for as many as a vector has
// lanes, each for their n super-blocks, and end. The offset is that of the rows in a vector
// of the panel's floats, in bytes.
func (s isa) eachRows(c rowCoding, w, stride Register, begin func(offset Register, r *fileRows), each func(left Register), end func()) {
	offset, left := GP64(), GP64()
	XORQ(offset, offset)
	Label("group")
	first := GP64()
	MOVQ(w, first)
	r := s.fileRows(c, thirds(first, stride, s.lanes()), stride)
	for range s.lanes() / 8 {
		LEAQ(Mem{Base: w, Index: stride, Scale: 8}, w)
	}
	Load(Param("n"), left)
	begin(offset, r)
	TESTQ(left, left)
	JE(LabelRef("end"))
	Label("super")
	each(left)
	r.advance()
	DECQ(left)
	JNE(LabelRef("super"))
	Label("end")
	end()
	ADDQ(imm(s.bytes), offset)
	CMPQ(offset, imm(4*panel))
	JNE(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// unpackRows makes of rows what unpack makes of panels.
func (s isa) unpackRows(c rowCoding) {
	name := "UnpackRows" + c.name + s.suffix
	TEXT(name, NOSPLIT, "func(n int, w *byte, stride int, dst *byte)")
	Doc(fmt.Sprintf("%s is the UnpackRows of that coding.", name))
	Pragma("noescape")
	w, stride, dst := Load(Param("w"), GP64()), Load(Param("stride"), GP64()), GP64()
	room := c.kind.scales() + 32*panel
	var r *fileRows
	s.eachRows(c, w, stride, func(offset Register, of *fileRows) {
		r = of
		Load(Param("dst"), dst)
		ADDQ(offset, dst)
		r.hold(c.bitMasks()...)
	}, func(Register) {
		r.begin()
		r.codes(func(b, g int, v VecVirtual) {
			s.put(r.unsigned(v), Mem{Base: dst, Disp: b*room + c.kind.scales() + 4*panel*g})
		}, func(b int) {
			for h := range c.kind.halves {
				scale, low := r.scale(b, h)
				VMOVUPS(scale, Mem{Base: dst, Disp: b*room + 4*panel*h})
				if low != nil {
					VMOVUPS(low, Mem{Base: dst, Disp: b*room + 4*panel*(c.kind.halves+h)})
				}
			}
		})
		ADDQ(imm(c.per*room), dst)
	}, func() {})
}

// bitMasks are those that codes takes.
func (c rowCoding) bitMasks() []uint32 {
	switch {
	case c.kind.signed:
		return []uint32{0x80808080}
	case c.width == 5:
		return []uint32{0x0f0f0f0f, 0x30303030, 0x10101010}
	}
	return []uint32{0x0f0f0f0f, 0x30303030}
}

// codes calls f with the codes of every group of every block, in a register of
// its own, and done for the blocks in order when all of their groups were.
func (r *fileRows) codes(f func(b, g int, v VecVirtual), done func(b int)) {
	const low = 0x0f0f0f0f
	switch r.rowCoding.name {
	case "Q8_0":
		for p := range 2 {
			for i, v := range r.words(2 + 16*p) {
				f(0, 4*p+i, v)
			}
		}
		done(0)
	case "Q4_0", "Q4_1":
		for i, v := range r.words(r.size - 16) {
			f(0, i, r.bitsOf(v, 0, low))
			f(0, 4+i, r.bitsOf(v, 4, low))
		}
		done(0)
	case "Q4K", "Q5K":
		r.wide(f, done)
	case "Q6K":
		for part := range 2 {
			r.sixes(4*part, f)
			for b := range 4 {
				done(4*part + b)
			}
		}
	}
}

// wide reads q4_k and q5_k: the low bits of 32 bytes are one block and the high bits the next; of the
// fifth bits, bit b of 32 bytes belongs to block b.
func (r *fileRows) wide(f func(b, g int, v VecVirtual), done func(b int)) {
	if r.width == 5 {
		for p := range 2 {
			for i, v := range r.words(16 + 16*p) {
				r.keep(roomMore+4*p+i, v)
			}
		}
	}
	for pair := range 4 {
		for p := range 2 {
			for i, v := range r.words(r.size - 128 + 32*pair + 16*p) {
				for side := range 2 {
					b, code := 2*pair+side, r.bitsOf(v, 4*side, 0x0f0f0f0f)
					if r.width == 5 {
						r.with(code, r.kept(roomMore+4*p+i), b-4, 0x10101010)
					}
					f(b, 4*p+i, code)
				}
			}
		}
		done(2 * pair)
		done(2*pair + 1)
	}
}

// sixes reads four blocks of q6_k: the low bits of a byte belong to one of the
// first two, the high ones to one of the others, and pairs of bits are those of
// one block each.
func (r *fileRows) sixes(first int, f func(b, g int, v VecVirtual)) {
	for p := range 2 {
		upper := r.words(128 + first*8 + 16*p)
		for side := range 2 {
			codes := r.words(first*16 + 32*side + 16*p)
			for n := range 2 {
				for i, v := range codes {
					b := 2*n + side
					code := r.bitsOf(v, 4*n, 0x0f0f0f0f)
					r.with(code, upper[i], 2*b-4, 0x30303030)
					f(first+b, 4*p+i, code)
				}
			}
		}
	}
}
