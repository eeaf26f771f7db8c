package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// number is vector j of number i of the head.
func (r *reader) number(i, j int) VecVirtual {
	v := r.reg()
	VCVTPH2PS(Mem{Base: r.head, Disp: 2*panel*i + 2*r.lanes()*j}, v)
	return v
}

func (r *reader) negate(v VecVirtual) { VXORPS(r.sign(), v, v) }

// sign is a register with the signs; AVX2 has none to keep it in.
func (r *reader) sign() VecVirtual {
	if r.bytes == 32 {
		return r.all(r.isa.bits(1 << 31))
	}
	if _, ok := r.masks[1<<31]; !ok {
		r.masks[1<<31] = r.all(r.isa.bits(1 << 31))
	}
	return r.masks[1<<31]
}

// inner gives the numbers of the head as scale takes them: the first, and the
// second or what code 0 stands for.
func (r *reader) inner(j int) (d, m VecVirtual) {
	d = r.number(0, j)
	switch r.scales {
	case plain, halves:
		return d, nil
	case zero:
		m = r.number(1, j)
		VMULPS(m, d, m)
		r.negate(m)
		return d, m
	case least:
		return d, r.number(1, j)
	}
	m = r.number(1, j)
	r.negate(m)
	return d, m
}

// scale gives the scale of half h of a block, and the weight of code 0.
func (r *reader) scale(h, j int, d, m VecVirtual) (scale, low VecVirtual) {
	whole := func(row int, signed bool) VecVirtual {
		v, from := r.reg(), Mem{Base: r.body, Disp: panel*row + r.lanes()*j}
		if signed {
			VPMOVSXBD(from, v)
		} else {
			VPMOVZXBD(from, v)
		}
		return v
	}
	times := func(v, x VecVirtual) VecVirtual {
		VCVTDQ2PS(v, v)
		VMULPS(x, v, v)
		return v
	}
	switch r.scales {
	case halves:
		return times(whole(h, true), d), nil
	case leastOf:
		v, t := whole(h, false), r.reg()
		VPSRLD(Imm(4), v, t)
		VPSLLD(Imm(28), v, v)
		VPSRLD(Imm(28), v, v)
		return times(v, d), times(t, m)
	}
	return d, m
}
