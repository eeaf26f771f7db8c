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
var rowCodings = []rowCoding{
	{coding{"Q8_0", 8, plain, kinds[0], false}, 34, 1}, {coding{"Q4_0", 4, plain, kinds[1], false}, 18, 1}, {coding{"Q4_1", 4, least, kinds[3], false}, 20, 1},
	{coding{"Q4K", 4, small, kinds[3], false}, 144, 8}, {coding{"Q5K", 5, small, kinds[3], false}, 176, 8}, {coding{"Q6K", 6, halves, kinds[2], false}, 210, 8},
}

// fileRows reads blocks of neighbouring rows, which lie stride bytes apart.
type fileRows struct {
	isa
	rowCoding
	at     []Register // thirds of the rows
	stride Register
	room   []Mem        // what was kept in memory: AVX2 has few registers
	places []VecVirtual // and in registers
	masks  map[uint32]VecVirtual
	fourth [4]Op // masks of the quarters of a vector but the first, of AVX-512
}

// The places in room: of halves, the first four are scales as they are stored.
const (
	roomScales = 0 // of small: 6 bits of scales 0 to 3, of minima, of scales 4 to 7, of minima
	roomD      = 4
	roomM      = 5
	roomMore   = 6 // eight: of halves, sums of four blocks, two halves each; of q5_k, fifth bits
	rooms      = roomMore + 8
)

func (s isa) fileRows(c rowCoding, at []Register, stride Register) *fileRows {
	r := &fileRows{isa: s, rowCoding: c, at: at, stride: stride, masks: map[uint32]VecVirtual{}, places: make([]VecVirtual, rooms)}
	if s.bytes == 64 {
		for i := 1; i < len(r.fourth); i++ {
			bits := GP32()
			r.fourth[i] = K()
			MOVL(U32(0xf<<(4*i)), bits)
			KMOVW(bits, r.fourth[i])
		}
		return r
	}
	n := map[bool]int{true: roomMore, false: rooms}[c.name == "Q4K"]
	if c.per == 1 {
		n = 0 // there are few
	}
	local := AllocLocal(n * s.bytes)
	for i := range n {
		r.room = append(r.room, local.Offset(i*s.bytes))
	}
	return r
}

func (r *fileRows) from(i, disp int) Mem {
	m := third(r.at, r.stride, i)
	m.Disp = disp
	return m
}

// pair gives 16 bytes of row i in the first quarter or half of a vector, and of row i+4 and
// so on in the others: inserting a half that is in memory takes twice as long as what AVX2 does.
func (r *fileRows) pair(i, disp int) VecVirtual {
	v := r.reg()
	if r.bytes == 64 {
		VBROADCASTI32X4(r.from(i, disp), v)
		for q := 1; q < len(r.fourth); q++ {
			VBROADCASTI32X4(r.from(i+4*q, disp), r.fourth[q], v)
		}
		return v
	}
	w := r.reg()
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

// mask is a mask, in a register if it is held there.
func (r *fileRows) mask(m uint32) Op {
	if held, ok := r.masks[m]; ok {
		return held
	}
	return r.bits(m)
}

// bitsOf gives the bits of mask, of v shifted to the right by n.
func (r *fileRows) bitsOf(v VecVirtual, n int, mask uint32) VecVirtual {
	return r.and(r.moved(v, n), r.mask(mask))
}

// unsigned makes bytes with a sign 128 more.
func (r *fileRows) unsigned(v VecVirtual) VecVirtual {
	if !r.kind.signed {
		return v
	}
	return r.xor(v, r.mask(0x80808080))
}

// with puts the bits of mask, of plane shifted by n, beside those of v.
func (r *fileRows) with(v, plane VecVirtual, n int, mask uint32) {
	if r.bytes == 64 {
		VPTERNLOGD(Imm(0xf8), r.masks[mask], r.moved(plane, n), v) // v | plane & mask
		return
	}
	VPOR(r.bitsOf(plane, n, mask), v, v)
}

// advance goes to the next super-block.
func (r *fileRows) advance() {
	for _, p := range r.at {
		ADDQ(imm(r.size), p)
	}
}
