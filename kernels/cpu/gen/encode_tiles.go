package main

import (
	"encoding/binary"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Instructions over tiles (AMX), which neither avo nor Go's assembler knows: their bytes, over
// registers that are fixed, since avo does not see them. Source: Intel SDM, volume 2, "Intel AMX instruction
// reference".

// The prefixes of VEX encodings.
const (
	vexNone = iota
	vex66
	vexF3
	vexF2
)

// numbers are those of general registers in encodings.
var numbers = map[Register]byte{RAX: 0, RCX: 1, RDX: 2, RBX: 3, RSI: 6, RDI: 7, R8: 8, R9: 9, R10: 10, R11: 11, R12: 12, R13: 13, R14: 14, R15: 15}

// data writes bytes as an instruction that needs what isa says.
func data(isa, comment string, b ...byte) {
	Comment(comment)
	for len(b) > 0 {
		var v uint64
		n := map[bool]int{true: 4, false: 1}[len(b) >= 4]
		for i := range n {
			v |= uint64(b[i]) << (8 * i)
		}
		i := &ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(v)}, ISA: []string{isa}}
		if n == 4 {
			i.Opcode, i.Operands = "LONG", []Op{U32(v)}
		}
		Instruction(i)
		b = b[n:]
	}
}

// vexTile is an instruction of the map 0F38 over rows of memory, base + disp + i*stride, and a tile.
func vexTile(comment string, prefix, opcode byte, tile int, base, stride Register, disp int) {
	b, s := numbers[base], numbers[stride]
	data("AMXTILE", comment, 0xc4, 1<<7|(^s>>3&1)<<6|(^b>>3&1)<<5|2, 0x78|prefix, opcode,
		0x80|byte(tile)<<3|4, s&7<<3|b&7, byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
}

func tileLoad(tile int, base, stride Register, disp int) {
	vexTile("TILELOADD", vexF2, 0x4b, tile, base, stride, disp)
}

func tileStore(tile int, base, stride Register, disp int) {
	vexTile("TILESTORED", vexF3, 0x4b, tile, base, stride, disp)
}

func tileZero(tile int) {
	data("AMXTILE", "TILEZERO", 0xc4, 0xe2, 0x78|vexF2, 0x49, 0xc0|byte(tile)<<3)
}

// tileDot adds the products of signed bytes of a with bytes of b to dst, four at a time, by TDPBSSD, or by
// TDPBSUD if those of b have no sign.
func tileDot(signed bool, dst, a, b int) {
	prefix, name := byte(vexF3), "TDPBSUD"
	if signed {
		prefix, name = vexF2, "TDPBSSD"
	}
	data("AMXINT8", name, 0xc4, 0xe2, byte(^b&15)<<3|prefix, 0x5e, 0xc0|byte(dst)<<3|byte(a))
}

// tileConfig takes the 64 bytes at base as the shape of all tiles.
func tileConfig(base Register) {
	b := numbers[base]
	data("AMXTILE", "LDTILECFG", 0xc4, 0xe2&^0x20|(^b>>3&1)<<5, 0x78, 0x49, b&7)
}

func tileRelease() { data("AMXTILE", "TILERELEASE", 0xc4, 0xe2, 0x78, 0x49, 0xc0) }

// tileShape writes the data that tileConfig takes: rows and bytes of a row by tile.
func tileShape(name string, rows, bytes [8]int) {
	GLOBL(name, RODATA|NOPTR)
	shape := [64]byte{1} // the palette
	for t := range rows {
		shape[16+2*t], shape[48+t] = byte(bytes[t]), byte(rows[t])
	}
	for i := 0; i < len(shape); i += 8 {
		DATA(i, U64(binary.LittleEndian.Uint64(shape[i:])))
	}
}

// prefetchW asks for a line that will be written.
func prefetchW(base Register, disp int) {
	b := numbers[base]
	data("3DNOWPREFETCH", "PREFETCHW", 0x40|b>>3, 0x0f, 0x0d, 0x40|1<<3|b&7, byte(disp))
}
