package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// copyRows writes rows of a panel, widened.
func (s isa) copyRows(e elem) {
	name := fmt.Sprintf("CopyRows%s%s", s.suffix, e.name)
	TEXT(name, NOSPLIT, "func(n int, x *byte, stride int, dst *float32, step int)")
	Doc(fmt.Sprintf("%s is the CopyRows of %s elements.", name, e.name))
	Pragma("noescape")
	n, x, stride := Load(Param("n"), GP64()), Load(Param("x"), GP64()), Load(Param("stride"), GP64())
	dst, step := Load(Param("dst"), GP64()), Load(Param("step"), GP64())
	SHLQ(Imm(2), step)
	Label("row")
	for j := range 32 / s.lanes() {
		v := s.reg()
		s.load(e, Mem{Base: x, Disp: e.size * s.lanes() * j}, v)
		VMOVUPS(v, Mem{Base: dst, Disp: s.bytes * j})
	}
	ADDQ(stride, x)
	ADDQ(step, dst)
	DECQ(n)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}
