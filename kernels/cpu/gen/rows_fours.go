package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// fours adds a super-block by products of four bytes, which need no place of their own to be added up in: codes
// change places first, as unpackRows has them, two or four of them in a byte, and a vector then has a sum for each row.
func (a *rowSums) fours() {
	sums, n := map[place]VecVirtual{}, 0
	a.codes(func(b, g int, v VecVirtual) {
		to := place{b, g / 4}
		if sums[to] == nil {
			sums[to] = a.first(to)
		}
		VPDPBUSD_BCST(a.activations(b, 16+4*g), a.unsigned(v), sums[to])
		if n++; a.per > 1 && n%(8*a.per/a.times()) == 0 {
			a.ask()
		}
	}, func(b int) {
		one, two := place{b, 0}, place{b, 1}
		if a.kind.halves == 1 {
			VPADDD(sums[two], sums[one], sums[one])
			a.add(one, sums[one])
			return
		}
		a.add(one, sums[one])
		a.add(two, sums[two])
	})
}

// first is what a sum begins with: the part of the offset of codes, or nothing, as
// also the second half of a sum that has one scale. (Clearing a register would read it, to avo.)
func (a *rowSums) first(at place) VecVirtual {
	if a.kind.least || at.h >= a.kind.halves {
		return a.copyOf(a.none)
	}
	v := a.reg()
	VPBROADCASTD(a.activations(at.b, 4+4*at.h), v)
	return v
}
