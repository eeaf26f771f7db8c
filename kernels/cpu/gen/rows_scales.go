package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eight is 16 bits of eight rows, and the 16 that follow them: of four rows each, in halves of a vector.
type eight struct{ first, second VecVirtual }

// eights gives words 0 and 1, or 6 and 7, of 16 bytes at a place of all rows.
func (r *fileRows) eights(disp int, upper bool) (list []eight) {
	words, doubles := VPUNPCKLWD, VPUNPCKLDQ
	if upper {
		words, doubles = VPUNPCKHWD, VPUNPCKHDQ
	}
	for first := 0; first < r.lanes(); first += 8 {
		var v [4]VecVirtual
		for i := range v {
			v[i] = XMM()
			VMOVDQU(r.from(first+2*i, disp), v[i])
			words(r.from(first+2*i+1, disp), v[i], v[i])
		}
		doubles(v[1], v[0], v[0])
		doubles(v[3], v[2], v[2])
		list = append(list, eight{v[0], v[2]})
	}
	return list
}

// floats gives the numbers, f16, that are the first or the second of eights.
func (r *fileRows) floats(e []eight, second bool) VecVirtual {
	quads := VPUNPCKLQDQ
	if second {
		quads = VPUNPCKHQDQ
	}
	var v [2]VecVirtual
	for i, x := range e {
		v[i] = XMM()
		quads(x.second, x.first, v[i])
	}
	y := r.reg()
	if r.bytes == 64 {
		both := YMM()
		VINSERTI128(Imm(1), v[1], v[0].AsY(), both)
		VCVTPH2PS(both, y)
		return y
	}
	VCVTPH2PS(v[0], y)
	return y
}

// half gives the number, f16, at a place of every row.
func (r *fileRows) half(disp int) VecVirtual {
	if disp+16 > r.size { // the last of 16 bytes
		return r.floats(r.eights(disp-14, true), true)
	}
	return r.floats(r.eights(disp, false), false)
}

// halfOf gives the number, f16, in the low bits of the words of v.
func (r *fileRows) halfOf(v VecVirtual) VecVirtual {
	if r.bytes == 64 {
		words, out := YMM(), r.reg()
		VPMOVDW(v, words)
		VCVTPH2PS(words, out)
		return out
	}
	VPACKUSDW(v, v, v)
	VPERMQ(Imm(0x08), v, v)
	VCVTPH2PS(v.AsX(), v)
	return v
}

// begin reads what the scales of a super-block are made of.
func (r *fileRows) begin() {
	switch r.scales {
	case least:
		e := r.eights(0, false)
		r.keep(roomD, r.floats(e, false))
		r.keep(roomM, r.floats(e, true))
	case small:
		w := r.words(0)
		r.keep(roomD, r.halfOf(r.bitsOf(w[0], 0, 0xffff)))
		VPSRLD(Imm(16), w[0], w[0])
		r.keep(roomM, r.xor(r.halfOf(w[0]), r.bits(1<<31)))
		// Scale and minimum i have a byte each below 4; above, 4 bits of a byte
		// and 2 of those below.
		for i := range 2 {
			rest := r.bitsOf(w[3], 4*i, 0x0f0f0f0f)
			r.with(rest, w[1+i], 2, 0x30303030)
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

func (r *fileRows) keep(place int, v VecVirtual) {
	if r.room == nil {
		r.places[place] = v
		return
	}
	VMOVDQU(v, r.room[place])
}

// kept is what was kept at a place, in a register of its own if it is in memory.
func (r *fileRows) kept(place int) VecVirtual {
	if r.room == nil {
		return r.places[place]
	}
	v := r.reg()
	VMOVDQU(r.room[place], v)
	return v
}

// times makes floats of the whole numbers v and multiplies them by those kept at a place.
func (r *fileRows) times(v VecVirtual, place int) {
	VCVTDQ2PS(v, v)
	if r.room == nil {
		VMULPS(r.places[place], v, v)
		return
	}
	VMULPS(r.room[place], v, v)
}

// scale gives the scale of half h of block b, and the weight of code 0.
func (r *fileRows) scale(b, h int) (scale, low VecVirtual) {
	switch r.scales {
	case least:
		return r.kept(roomD), r.kept(roomM)
	case small:
		var v [2]VecVirtual
		for i := range v {
			v[i] = r.kept(roomScales + b/4*2 + i)
			if b%4 > 0 {
				v[i] = r.shift(VPSRLD, uint64(b%4*8), v[i])
			}
			if b%4 < 3 {
				v[i] = r.and(v[i], r.bits(0xff))
			}
			r.times(v[i], roomD+i)
		}
		return v[0], v[1]
	case halves:
		i := 2*b + h
		v := r.kept(roomScales + i/4)
		if i%4 < 3 {
			v = r.shift(VPSLLD, uint64(24-i%4*8), v)
		}
		v = r.shift(VPSRAD, 24, v)
		r.times(v, roomD)
		return v, nil
	}
	return r.half(0), nil
}
