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
	masks  map[uint32]VecVirtual
}

// The places in room: of halves, the first four are scales as they are stored.
const (
	roomScales = 0 // of small: 6 bits of scales 0 to 3, of minima, of scales 4 to 7, of minima
	roomD      = 4
	roomM      = 5
	roomSums   = 6 // of four blocks, for each of two halves
)

func (s isa) fileRows(c rowCoding, at []Register, stride Register) *fileRows {
	r := &fileRows{isa: s, rowCoding: c, at: at, stride: stride, masks: map[uint32]VecVirtual{}}
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

// pair gives 16 bytes of row i in the lower half of a vector, and of row i+4:
// inserting a half that is in memory takes twice as long as this.
func (r *fileRows) pair(i, disp int) VecVirtual {
	v, w := r.reg(), r.reg()
	VBROADCASTI128(r.from(i, disp), v)
	VBROADCASTI128(r.from(i+4, disp), w)
	VPBLENDD(Imm(0xf0), w, v, v)
	return v
}

// words gives four vectors: word i of 16 bytes of every row.
func (r *fileRows) words(disp int) (w [4]VecVirtual) {
	var q [4]VecVirtual
	for i := range q {
		q[i] = r.pair(i, disp)
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

// hold keeps masks in registers, since reading memory is what there is much of.
func (r *fileRows) hold(masks ...uint32) {
	for _, m := range masks {
		r.masks[m] = r.all(r.bits(m))
	}
}

// bitsOf gives the bits of mask, of v shifted to the right by n.
func (r *fileRows) bitsOf(v VecVirtual, n int, mask uint32) VecVirtual {
	var m Op = r.bits(mask).Mem
	if held, ok := r.masks[mask]; ok {
		m = held
	}
	t := r.moved(v, n)
	if t == v {
		t = r.reg()
		VPAND(m, v, t)
		return t
	}
	VPAND(m, t, t)
	return t
}

// half gives the number, f16, at a place of every row.
func (r *fileRows) half(disp int) VecVirtual {
	words, doubles, quads := VPUNPCKLWD, VPUNPCKLDQ, VPUNPCKLQDQ
	if disp+16 > r.size { // the last of 16 bytes
		disp -= 14
		words, doubles, quads = VPUNPCKHWD, VPUNPCKHDQ, VPUNPCKHQDQ
	}
	var v [4]VecVirtual
	for i := range v {
		v[i] = XMM()
		VMOVDQU(r.from(2*i, disp), v[i])
		words(r.from(2*i+1, disp), v[i], v[i])
	}
	doubles(v[1], v[0], v[0])
	doubles(v[3], v[2], v[2])
	quads(v[2], v[0], v[0])
	y := r.reg()
	VCVTPH2PS(v[0], y)
	return y
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
			if b%4 > 0 {
				VPSRLD(Imm(uint64(b%4*8)), v[i], v[i])
			}
			if b%4 < 3 {
				VPAND(r.bits(0xff).Mem, v[i], v[i])
			}
			VCVTDQ2PS(v[i], v[i])
			VMULPS(r.room[roomD+i], v[i], v[i])
		}
		return v[0], v[1]
	case halves:
		i := 2*b + h
		v := r.kept(roomScales + i/4)
		if i%4 < 3 {
			VPSLLD(Imm(uint64(24-i%4*8)), v, v)
		}
		VPSRAD(Imm(24), v, v)
		VCVTDQ2PS(v, v)
		VMULPS(r.room[roomD], v, v)
		return v, nil
	}
	return r.half(0), nil
}

// advance goes to the next super-block.
func (r *fileRows) advance() {
	for _, p := range r.at {
		ADDQ(imm(r.size), p)
	}
}
