package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Constants: in memory, and in registers where there is room.

// pool holds the constants of a file, each once. An AVX-512 instruction
// repeats one element; an AVX2 one reads a whole vector. Vector 0 counts the
// lanes of AVX2.
type pool struct {
	at   map[uint32]int
	bits []uint32

	at64   map[uint64]int
	bits64 []uint64
}

// word is a constant of 32 bits, as an operand in memory.
type word struct{ Mem }

// bits returns a constant by its bits.
func (s isa) bits(v uint32) word {
	i, ok := s.pool.at[v]
	if !ok {
		i = len(s.pool.bits)
		s.pool.at[v], s.pool.bits = i, append(s.pool.bits, v)
	}
	return word{s.constantAt(1 + i)}
}

func (s isa) constantAt(i int) Mem {
	return NewDataAddr(NewStaticSymbol("constants"+s.suffix), 4*i*s.repeat())
}

// writePool writes the constants that were asked for.
func (s isa) writePool() {
	GLOBL("constants"+s.suffix, RODATA|NOPTR)
	for k := range s.repeat() {
		DATA(4*k, U32(k))
	}
	for i, v := range s.pool.bits {
		for k := range s.repeat() {
			DATA(4*((1+i)*s.repeat()+k), U32(v))
		}
	}
}

// repeat is how often a constant lies in memory.
func (s isa) repeat() int {
	if s.bytes == 64 {
		return 1
	}
	return s.lanes()
}

// c returns a constant.
func (s isa) c(v float32) word { return s.bits(math.Float32bits(v)) }

// named returns a constant by its name.
func (s isa) named(name string) word { return s.c(named(name)) }

// held are the constants of one function that lie in registers, as many as
// there is room for: AVX-512 alone has registers to spare. They are loaded
// after the function's end, where it is known which there are, and it begins
// with a jump there.
type held struct {
	most  int // registers for them, unless a function says otherwise
	room  int
	on    bool
	words []word
	regs  []VecVirtual
}

// hold begins a function that has so many registers for constants.
func (s isa) hold(room int) {
	s.held.room, s.held.on = room, true
	JMP(LabelRef("constants"))
	Label("begin")
}

// release ends it.
func (s isa) release() {
	h := s.held
	if h.on {
		Label("constants")
		for i, w := range h.words {
			VBROADCASTSS(w.Mem, h.regs[i])
		}
		JMP(LabelRef("begin"))
	}
	*h = held{most: h.most}
}

// inRegister returns the register of a constant, if it has one.
func (s isa) inRegister(w word) (VecVirtual, bool) {
	h := s.held
	for i, x := range h.words {
		if x == w {
			return h.regs[i], true
		}
	}
	if len(h.words) == h.room {
		return nil, false
	}
	v := s.reg()
	h.words, h.regs = append(h.words, w), append(h.regs, v)
	return v, true
}

// all returns a register with a constant in every lane.
func (s isa) all(w word) VecVirtual {
	if v, ok := s.inRegister(w); ok {
		return s.copyOf(v)
	}
	v := s.reg()
	VBROADCASTSS(w.Mem, v)
	return v
}
