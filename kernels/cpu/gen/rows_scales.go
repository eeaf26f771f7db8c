package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

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

// numbers keeps the two numbers, f16, of a word; the second with its sign turned, if
// it is taken off.
func (r *fileRows) numbers(w VecVirtual, turned bool) {
	r.keep(roomD, r.halfOf(r.bitsOf(w, 0, 0xffff)))
	VPSRLD(Imm(16), w, w)
	m := r.halfOf(w)
	if turned {
		m = r.xor(m, r.bits(1<<31))
	}
	r.keep(roomM, m)
}

// begin reads what the scales of a super-block are made of.
func (r *fileRows) begin() {
	switch r.scales {
	case least:
		r.numbers(r.word(), false)
	case small:
		w := r.words(0)
		r.numbers(w[0], true)
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
