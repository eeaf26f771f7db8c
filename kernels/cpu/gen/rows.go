package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Weights in rows of blocks, as files have them: as many rows at once as a vector
// has lanes, from which words of four codes are put side by side.

// rowCoding is a coding of which rows are read as they are.
type rowCoding struct {
	coding
	size, per int // of a block of the format: bytes, and blocks of 32
}

// rowCodings are those that most files have.
func rowCodings() (list []rowCoding) {
	sizes := map[string][2]int{"Q8_0": {34, 1}, "Q4_0": {18, 1}, "Q4K": {144, 8}, "Q6K": {210, 8}}
	for _, c := range codings {
		if size, ok := sizes[c.name]; ok {
			list = append(list, rowCoding{c, size[0], size[1]})
		}
	}
	return list
}

// fileRows reads blocks of neighbouring rows, which lie stride bytes apart.
type fileRows struct {
	isa
	rowCoding
	at     []Register // thirds of the rows
	stride Register
	room   []Mem // vectors in memory
}

// The places in room: of halves, the first four are scales as they are stored.
const (
	roomScales = 0 // of small: 6 bits of scales 0 to 3, of minima, of scales 4 to 7, of minima
	roomD      = 4
	roomM      = 5
	roomSums   = 6 // of four blocks, for each of two halves
)

func (s isa) fileRows(c rowCoding, at []Register, stride Register) *fileRows {
	r := &fileRows{isa: s, rowCoding: c, at: at, stride: stride}
	vectors := map[scaling]int{small: roomSums, halves: roomSums + 8}[c.scales]
	if vectors == 0 {
		return r
	}
	local := AllocLocal(vectors * s.bytes)
	for i := range vectors {
		r.room = append(r.room, local.Offset(i*s.bytes))
	}
	return r
}

func (r *fileRows) from(i, disp int) Mem {
	m := third(r.at, r.stride, i)
	m.Disp = disp
	return m
}

// words gives four vectors: word i of 16 bytes of every row.
func (r *fileRows) words(disp int) (w [4]VecVirtual) {
	var q [4]VecVirtual
	for i := range q {
		q[i] = r.reg()
		VBROADCASTI128(r.from(i, disp), q[i]) // as quick as half of it, and of a whole register
		VINSERTI128(Imm(1), r.from(i+4, disp), q[i], q[i])
	}
	var low, high [2]VecVirtual
	for i := range low {
		low[i], high[i] = r.reg(), r.reg()
		VPUNPCKLDQ(q[2*i+1], q[2*i], low[i])
		VPUNPCKHDQ(q[2*i+1], q[2*i], high[i])
	}
	for i := range w {
		w[i] = r.reg()
	}
	VPUNPCKLQDQ(low[1], low[0], w[0])
	VPUNPCKHQDQ(low[1], low[0], w[1])
	VPUNPCKLQDQ(high[1], high[0], w[2])
	VPUNPCKHQDQ(high[1], high[0], w[3])
	return w
}

// bitsOf gives the bits of mask, of v shifted to the right by n.
func (r *fileRows) bitsOf(v VecVirtual, n int, mask uint32) VecVirtual {
	t := r.moved(v, n)
	if t != v {
		VPAND(r.bits(mask).Mem, t, t)
		return t
	}
	t = r.reg()
	VPAND(r.bits(mask).Mem, v, t)
	return t
}

// half gives the number, f16, at a place of every row.
func (r *fileRows) half(disp int) VecVirtual {
	v := r.reg()
	r.zero(v)
	for i := range r.lanes() {
		VPINSRW(Imm(uint64(i)), r.from(i, disp), v.AsX(), v.AsX())
	}
	VCVTPH2PS(v.AsX(), v)
	return v
}

// halfOf gives the number, f16, in the low bits of the words of v.
func (r *fileRows) halfOf(v VecVirtual) VecVirtual {
	VPACKUSDW(v, v, v)
	VPERMQ(Imm(0x08), v, v)
	VCVTPH2PS(v.AsX(), v)
	return v
}

// begin reads what the scales of a super-block are made of.
func (r *fileRows) begin() {
	switch r.scales {
	case small:
		w := r.words(0)
		r.keep(roomD, r.halfOf(r.bitsOf(w[0], 0, 0xffff)))
		VPSRLD(Imm(16), w[0], w[0])
		m := r.halfOf(w[0])
		VXORPS(r.bits(1<<31).Mem, m, m)
		r.keep(roomM, m)
		// Scale and minimum i have a byte each below 4; above, 4 bits of a byte
		// and 2 of those below.
		for i := range 2 {
			rest := r.bitsOf(w[3], 4*i, 0x0f0f0f0f)
			VPOR(r.bitsOf(w[1+i], 2, 0x30303030), rest, rest)
			r.keep(roomScales+2+i, rest)
			r.keep(roomScales+i, r.bitsOf(w[1+i], 0, 0x3f3f3f3f))
		}
	case halves:
		for i, w := range r.words(192) {
			r.keep(roomScales+i, w)
		}
		r.keep(roomD, r.half(208))
	}
}

func (r *fileRows) keep(place int, v VecVirtual) { VMOVDQU(v, r.room[place]) }

func (r *fileRows) kept(place int) VecVirtual {
	v := r.reg()
	VMOVDQU(r.room[place], v)
	return v
}

// scale gives the scale of half h of block b, and the weight of code 0.
func (r *fileRows) scale(b, h int) (scale, low VecVirtual) {
	switch r.scales {
	case small:
		var v [2]VecVirtual
		for i := range v {
			v[i] = r.kept(roomScales + b/4*2 + i)
			VPSLLD(Imm(uint64(24-8*(b%4))), v[i], v[i])
			VPSRLD(Imm(24), v[i], v[i])
			VCVTDQ2PS(v[i], v[i])
			VMULPS(r.room[roomD+i], v[i], v[i])
		}
		return v[0], v[1]
	case halves:
		i := 2*b + h
		v := r.kept(roomScales + i/4)
		VPSLLD(Imm(uint64(24-8*(i%4))), v, v)
		VPSRAD(Imm(24), v, v)
		VCVTDQ2PS(v, v)
		VMULPS(r.room[roomD], v, v)
		return v, nil
	}
	return r.half(0), nil
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
	case "Q4_0":
		w := r.words(2)
		for i, v := range w {
			f(0, i, r.bitsOf(v, 0, low))
			f(0, 4+i, r.bitsOf(v, 4, low))
		}
		done(0)
	case "Q4K":
		for pair := range 4 {
			for p := range 2 {
				for i, v := range r.words(16 + 32*pair + 16*p) {
					f(2*pair, 4*p+i, r.bitsOf(v, 0, low))
					f(2*pair+1, 4*p+i, r.bitsOf(v, 4, low))
				}
			}
			done(2 * pair)
			done(2*pair + 1)
		}
	case "Q6K":
		for part := range 2 {
			r.sixes(4*part, f)
			for b := range 4 {
				done(4*part + b)
			}
		}
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
					VPOR(r.bitsOf(upper[i], 2*b-4, 0x30303030), code, code)
					f(first+b, 4*p+i, code)
				}
			}
		}
	}
}

// advance goes to the next super-block.
func (r *fileRows) advance() {
	for _, p := range r.at {
		ADDQ(imm(r.size), p)
	}
}
