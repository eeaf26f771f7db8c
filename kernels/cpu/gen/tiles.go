package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Products with quantised weights by tiles of AMX: sums of whole numbers are those of tiles, the rest is as in
// blocksTile. While tiles multiply a block, the sums of the block before are scaled: these are the instructions that take
// longest, since after one over tiles a processor has one unit for 512 bits of floats, and not two, for some time. So
// kinds with a scale for each half of a block, which has twice as many, are multiplied faster without tiles.

// The heights of a tile over blocks: 24 sums of 16 columns leave the registers for what they are made of; those of
// lower ones wait for the instructions over tiles.
const (
	leastTileRows = 8
	tileRows      = 12
)

// The tiles: sums of columns 0 to 15 and 16 to 31, activations, weights of these columns.
const (
	tileLow = iota
	tileHigh
	tileX
	tileW
	tileW2
)

// The registers. Rows of x are reached as by thirds.
var (
	tilesX    = []Register{RSI, R8, R9, R10}
	tilesLdx  = RDX
	tilesW    = RDI
	tilesN    = RCX
	tilesY    = RAX
	tilesLdy  = RBX
	tilesFrom = R11 // the first row of the group
	tilesLeft = R13 // groups
	tilesRoom = R12
	tilesWide = R14 // bytes of a row of room, and of four rows of a panel
	tilesTemp = R15

	tilesScale = []Register{Z0, Z1}
	tilesLeast = []Register{Z2, Z3}
	tilesAcc   = []Register{Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}
)

// tilesParams are kept in registers.
var tilesParams = []struct {
	name string
	in   Register
}{{"groups", tilesLeft}, {"x", tilesFrom}, {"ldx", tilesLdx}, {"y", tilesY}, {"ldy", tilesLdy}, {"room", tilesRoom}}

// tiled writes what multiplies by tiles.
func (s isa) tiled() {
	for m := leastTileRows; m <= tileRows; m++ {
		for _, k := range kinds {
			if k.tiles() && !k.signed {
				s.tilesOf(k, m)
			}
		}
		tileShape(tileShapeName(m), [8]int{m, m, m, 8, 8}, [8]int{64, 64, 32, 64, 64})
	}
	s.makeSigned()
	s.peakTiles()
}

// tiles reports whether there are Tiles of a kind; those with a sign have the ones of kinds without.
func (k kind) tiles() bool { return k.halves == 1 }

func tileShapeName(m int) string { return fmt.Sprintf("tiles%d", m) }

func tilesName(k kind, m int) string { return fmt.Sprintf("Tiles%s%d", k.name, m) }

// tileGroup is the code for a group of m rows.
type tileGroup struct {
	kind
	m int
}

// tilesOf is the Tiles of m rows.
func (s isa) tilesOf(k kind, m int) {
	t := tileGroup{k, m}
	TEXT(tilesName(k, m), NOSPLIT, "func(groups, n int, x *byte, ldx int, w *byte, y *float32, ldy int, bias *float32, load int, room *byte)")
	Doc(tilesName(k, m) + fmt.Sprintf(" is the Tiles of %d rows.", m))
	Pragma("noescape")
	for _, p := range tilesParams {
		Load(Param(p.name), p.in)
	}
	SHLQ(Imm(2), tilesLdy)
	MOVQ(U32(8*panel/2), tilesWide)
	LEAQ(NewDataAddr(NewStaticSymbol(tileShapeName(m)), 0), tilesTemp)
	tileConfig(tilesTemp)
	Label("group")
	t.begin()
	Load(Param("n"), tilesN)
	TESTQ(tilesN, tilesN)
	JE(LabelRef("end"))
	Load(Param("w"), tilesW)
	MOVQ(tilesFrom, tilesX[0])
	for i := 3; i < m; i += 3 {
		LEAQ(Mem{Base: tilesX[i/3-1], Index: tilesLdx, Scale: 2}, tilesX[i/3])
		ADDQ(tilesLdx, tilesX[i/3])
	}
	t.multiply(0)
	Label("block")
	tileStore(tileLow, tilesRoom, tilesWide, 0)
	tileStore(tileHigh, tilesRoom, tilesWide, 64)
	DECQ(tilesN)
	JE(LabelRef("last"))
	t.multiply(1)
	Label("last")
	t.scale()
	for i := 0; i < m; i += 3 {
		ADDQ(Imm(blockX), tilesX[i/3])
	}
	ADDQ(imm(k.scales()+32*panel), tilesW)
	TESTQ(tilesN, tilesN)
	JNE(LabelRef("block"))
	Label("end")
	t.store()
	DECQ(tilesLeft)
	JE(LabelRef("done"))
	IMUL3Q(imm(m), tilesLdx, tilesTemp)
	ADDQ(tilesTemp, tilesFrom)
	JMP(LabelRef("group"))
	Label("done")
	tileRelease()
	VZEROUPPER()
	RET()
}

// begin clears the sums, or reads what they go on from.
func (t tileGroup) begin() {
	Load(Param("load"), tilesTemp)
	TESTQ(tilesTemp, tilesTemp)
	JNE(LabelRef("resume"))
	for _, v := range tilesAcc[:2*t.m] {
		VPXORD(v, v, v)
	}
	JMP(LabelRef("begun"))
	Label("resume")
	MOVQ(tilesY, tilesTemp)
	for i := range t.m {
		VMOVUPS(Mem{Base: tilesTemp}, tilesAcc[2*i])
		VMOVUPS(Mem{Base: tilesTemp, Disp: 64}, tilesAcc[2*i+1])
		ADDQ(tilesLdy, tilesTemp)
	}
	Label("begun")
	t.fetch()
}

// fetch asks for the next rows of y, which take as long to come as a group does.
func (t tileGroup) fetch() {
	IMUL3Q(imm(t.m), tilesLdy, tilesTemp)
	ADDQ(tilesY, tilesTemp)
	for i := range t.m {
		for j := range 2 {
			prefetchW(tilesTemp, 64*j)
		}
		if i < t.m-1 {
			ADDQ(tilesLdy, tilesTemp)
		}
	}
}

// multiply makes the sums of the block at hand, or of the next.
func (t tileGroup) multiply(next int) {
	x, w := next*blockX+16, next*(t.scales()+32*panel)+t.scales()
	tileLoad(tileX, tilesX[0], tilesLdx, x)
	for j, sums := range []int{tileLow, tileHigh} {
		tileLoad(tileW+j, tilesW, tilesWide, w+64*j)
		tileZero(sums)
		tileDot(!t.least, sums, tileX, tileW+j)
	}
}

// element is what lies at a byte of the block of row i.
func (t tileGroup) element(i, disp int) Mem {
	m := third(tilesX, tilesLdx, i)
	m.Disp = disp
	return m
}

// scale adds the sums of a block, as that of blockTile does.
func (t tileGroup) scale() {
	hand := []Register{Z4, Z5, Z6} // an activation, a sum, a scale
	at := func(part, j int) Mem {
		return Mem{Base: tilesW, Disp: 4*panel*part + 64*j}
	}
	for j := range 2 {
		VMOVUPS(at(0, j), tilesScale[j])
		if t.least {
			VMOVUPS(at(1, j), tilesLeast[j])
		}
	}
	for i := range t.m {
		VBROADCASTSS(t.element(i, 0), hand[0])
		for j := range 2 {
			VCVTDQ2PS(Mem{Base: tilesRoom, Disp: 128*i + 64*j}, hand[1])
			VMULPS(tilesScale[j], hand[0], hand[2])
			VFMADD231PS(hand[2], hand[1], tilesAcc[2*i+j])
		}
		if t.least {
			VBROADCASTSS(t.element(i, 4), hand[0])
			for j := range 2 {
				VFMADD231PS(tilesLeast[j], hand[0], tilesAcc[2*i+j])
			}
		}
	}
}

// store writes the sums, and the bias beside them, and goes to the next rows of y.
func (t tileGroup) store() {
	Load(Param("bias"), tilesTemp)
	TESTQ(tilesTemp, tilesTemp)
	JE(LabelRef("write"))
	for j := range 2 {
		VMOVUPS(Mem{Base: tilesTemp, Disp: 64 * j}, tilesScale[j])
	}
	for i := range t.m {
		for j := range 2 {
			VADDPS(tilesScale[j], tilesAcc[2*i+j], tilesAcc[2*i+j])
		}
	}
	Label("write")
	for i := range t.m {
		for j := range 2 {
			VMOVUPS(tilesAcc[2*i+j], Mem{Base: tilesY, Disp: 64 * j})
		}
		ADDQ(tilesLdy, tilesY)
	}
}

// makeSigned is the MakeSigned of kinds with one scale.
func (s isa) makeSigned() {
	TEXT("MakeSignedWhole", NOSPLIT, "func(n int, w *byte, shift int)")
	Doc("MakeSignedWhole is the MakeSigned of kinds with one scale.")
	Pragma("noescape")
	n, w, one := Load(Param("n"), GP64()), Load(Param("w"), GP64()), GP32()
	Load(Param("shift"), RCX)
	MOVL(U32(1), one)
	SHLL(CL, one)
	offset := ZMM()
	VPBROADCASTB(one, offset)
	scales := kinds[0].scales()
	Label("block")
	for i := range 32 * panel / 64 {
		m, v := Mem{Base: w, Disp: scales + 64*i}, ZMM()
		VMOVDQU32(m, v)
		VPSUBB(offset, v, v)
		VMOVDQU32(v, m)
	}
	ADDQ(imm(scales+32*panel), w)
	DECQ(n)
	JNE(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// peakTiles is the most multiply-adds of bytes that tiles can do.
func (s isa) peakTiles() {
	tileShape("tilesPeak", [8]int{16, 16, 16, 16, 16, 16, 16, 16}, [8]int{64, 64, 64, 64, 64, 64, 64, 64})
	TEXT("PeakTiles", NOSPLIT, "func(n int)")
	Doc("PeakTiles adds n times 10 sums of 16384 products of bytes, five of which are independent.")
	n := Load(Param("n"), GP64())
	LEAQ(NewDataAddr(NewStaticSymbol("tilesPeak"), 0), tilesTemp)
	tileConfig(tilesTemp)
	for t := range 8 {
		tileZero(t)
	}
	Label("loop")
	for i := range 10 {
		tileDot(true, i%5, 6, 7)
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	tileRelease()
	RET()
}

// tiledTable is the Go file that finds the functions over tiles.
func (s isa) tiledTable() string {
	var b strings.Builder
	b.WriteString(tableHead)
	b.WriteString("// AMX holds the functions over tiles of that instruction set.\nfunc AMX() Tiled {\n\treturn Tiled{\n\t\tTiles: [Kinds][]Tiles{\n")
	for _, k := range kinds {
		if !k.tiles() {
			continue
		}
		fmt.Fprintf(&b, "\t\t\t%s: {", k.name)
		for m := leastTileRows; m <= tileRows; m++ {
			fmt.Fprintf(&b, "%d: %s, ", m, tilesName(isas["avx512"].tileOf(k), m))
		}
		b.WriteString("},\n")
	}
	b.WriteString("\t\t},\n\t\tMakeSigned: [Kinds]MakeSigned{")
	for _, k := range kinds {
		if k.tiles() && !k.least {
			fmt.Fprintf(&b, "%s: MakeSignedWhole, ", k.name)
		}
	}
	b.WriteString("},\n\t}\n}\n")
	return b.String()
}
