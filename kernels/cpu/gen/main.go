// Command gen writes the assembly of kernels/cpu/asm with avo. It is a module
// of its own, so that who builds pipe never needs avo. See README.md for the
// command lines, which asm/doc.go holds as go:generate directives.
package main

import (
	"flag"
	"fmt"
	"go/format"
	"os"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	tier := flag.String("tier", "", "instruction set: avx2, avx512 or amx")
	table := flag.String("table", "", "file for the table of the functions")
	part := flag.String("part", "", "what to write: products, pairs, vectors, blocks, tiles or taps")
	constants := flag.String("constants", "", "file for the constants of the Go loops, if any")
	flag.Parse()
	isa, ok := isas[*tier]
	if !ok {
		fmt.Fprintf(os.Stderr, "gen: -tier %q: want avx2, avx512 or amx\n", *tier)
		os.Exit(2)
	}
	ConstraintExpr("amd64")
	var text string
	switch *part {
	case "products":
		isa.products()
		text = isa.table()
	case "vectors":
		isa.vectors()
		text = isa.vectorTable()
	case "blocks":
		isa.quantised()
		text = isa.blocksTable()
	case "pairs":
		isa.writePairs()
		text = isa.pairsTable()
	case "tiles":
		isa.tiled()
		text = isa.tiledTable()
	case "taps":
		isa.windows()
		isa.writePool()
		text = isa.windowTable()
	default:
		fmt.Fprintf(os.Stderr, "gen: -part %q: want products, pairs, vectors, blocks, tiles or taps\n", *part)
		os.Exit(2)
	}
	Generate()
	err := writeGo(*table, text)
	if err == nil && *part == "pairs" {
		err = encodePairs(flag.Lookup("out").Value.String())
	}
	if err == nil && *constants != "" {
		err = writeConstants(*constants)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// products writes tiles and mixes, by element.
func (s isa) products() {
	for _, e := range elems {
		s.gemv(e)
		s.mix(e)
		s.dots(e)
		s.interleave(e)
	}
	for m := 1; m <= s.rows; m++ {
		for _, e := range elems {
			s.strided(m, byRow, e)
		}
		s.strided(m, byCol, elems[0])
		s.scores(m)
		s.values(m)
	}
	s.peak()
	if s.name == "AVX2" {
		cpuid()
	}
}

// writeGo formats and writes a Go file.
func writeGo(file, text string) error {
	out, err := format.Source([]byte(text))
	if err != nil {
		return err
	}
	return os.WriteFile(file, out, 0o644)
}

// isa is an instruction set with its vector register.
type isa struct {
	name      string // in the table: AVX512
	suffix    string // of function names
	reg       func() VecVirtual
	bytes     int // of a vector
	rows      int // largest height of a tile
	panels    int // panels that gemv takes at once
	blockRows int // largest height of a tile over blocks
	pool      *pool
	stream    bool // rows are written past the caches
	held      *held
}

var isas = map[string]isa{
	"avx512": {name: "AVX512", suffix: "Z", reg: ZMM, bytes: 64, rows: 12, panels: 4, blockRows: 6, pool: &pool{at: map[uint32]int{}, at64: map[uint64]int{}}, held: &held{most: 14}},
	"amx":    {name: "AMX"},
	"avx2":   {name: "AVX2", suffix: "Y", reg: YMM, bytes: 32, rows: 6, panels: 2, blockRows: 4, pool: &pool{at: map[uint32]int{}, at64: map[uint64]int{}}, held: &held{most: 14}},
}

// elem is how a weight is stored.
type elem struct {
	name string
	size int
}

var elems = []elem{{"F32", 4}, {"BF16", 2}, {"F16", 2}}

// lanes is the number of floats in a vector.
func (s isa) lanes() int { return s.bytes / 4 }

// load widens a vector of stored elements to float32.
func (s isa) load(e elem, m Mem, dst Op) {
	switch e.name {
	case "F32":
		VMOVUPS(m, dst)
	case "BF16":
		VPMOVZXWD(m, dst)
		VPSLLD(Imm(16), dst, dst)
	case "F16":
		VCVTPH2PS(m, dst)
	}
}

// loadOne widens one stored element.
func (s isa) loadOne(e elem, m Mem, tmp GPVirtual, dst VecVirtual) {
	switch e.name {
	case "F32":
		VMOVSS(m, dst)
		return
	case "BF16":
		MOVWLZX(m, tmp)
		SHLL(Imm(16), tmp)
		VMOVD(tmp, dst)
	case "F16":
		MOVWLZX(m, tmp)
		VMOVD(tmp, dst)
		VCVTPH2PS(dst, dst)
	}
}

// zero clears a vector.
func (s isa) zero(v Op) {
	if s.bytes == 64 {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

// imm is an immediate for 64-bit arithmetic: avo takes 8 bits for Imm below
// 256, which the processor would extend with a sign from 128 on.
func imm(n int) Op {
	if n > 127 {
		return I32(n)
	}
	return Imm(uint64(n))
}

// peak is the most multiply-adds the machine can do, for benchmarks.
func (s isa) peak() {
	s.peakOf("Peak", fmt.Sprintf("executes n times 10 independent vector multiply-adds of %d lanes.", s.lanes()),
		func(x, y, acc VecVirtual) { VFMADD231PS(x, y, acc) })
}

// peakOf repeats an instruction that adds to acc, 10 at once.
func (s isa) peakOf(name, does string, add func(x, y, acc VecVirtual)) {
	TEXT(name+s.suffix, NOSPLIT, "func(n int)")
	Doc(name + s.suffix + " " + does)
	n := Load(Param("n"), GP64())
	x, y := s.reg(), s.reg()
	s.zero(x)
	s.zero(y)
	acc := make([]VecVirtual, 10)
	for i := range acc {
		acc[i] = s.reg()
		s.zero(acc[i])
	}
	Label("loop")
	for i := range acc {
		add(x, y, acc[i])
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func cpuid() {
	TEXT("CPUID1", NOSPLIT, "func() (c uint32)")
	Doc("CPUID1 returns register ECX of CPUID leaf 1; bit 29 is F16C.")
	MOVL(U32(1), EAX)
	XORL(ECX, ECX)
	CPUID()
	Store(ECX, Return("c"))
	RET()
}
