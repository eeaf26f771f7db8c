package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// Instructions that neither avo nor Go's assembler knows: another one with the
// same operands holds their place, so that registers are allocated, and the
// file has their bytes instead.

// dotPairs is VDPBF16PS: acc += upper halves of x y, then lower ones.
func dotPairs(x, y, acc VecVirtual) { VPDPBUSD(x, y, acc) }

const (
	dotPlace   = "VPDPBUSD"
	dotName    = "VDPBF16PS"
	dotOpcode  = 0x52
	placeNeeds = "AVX512VNNI"
	dotNeeds   = "AVX512BF16"
)

var dotLine = regexp.MustCompile(`(?m)^\t` + dotPlace + `\s+Z(\d+), Z(\d+), Z(\d+)$`)

// encodePairs writes the bytes of VDPBF16PS to a file that avo wrote.
func encodePairs(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out := dotLine.ReplaceAllStringFunc(string(text), func(line string) string {
		var r [3]int
		for i, m := range dotLine.FindStringSubmatch(line)[1:] {
			r[i], _ = strconv.Atoi(m)
		}
		b := evexF3(dotOpcode, r[2], r[1], r[0])
		return fmt.Sprintf("\t// %s Z%d, Z%d, Z%d\n\tLONG $0x%02x%02x%02x%02x\n\tWORD $0x%02x%02x", dotName, r[0], r[1], r[2], b[3], b[2], b[1], b[0], b[5], b[4])
	})
	out = strings.ReplaceAll(out, placeNeeds, dotNeeds)
	if strings.Contains(out, dotPlace) {
		return fmt.Errorf("%s: %s has operands other than vectors of 512 bits", file, dotPlace)
	}
	return os.WriteFile(file, []byte(out), 0o644)
}

// evexF3 is an instruction of 512 bits, of the map 0F38 with the prefix F3, over
// registers alone. Source: Intel SDM, volume 2, "Intel AVX-512 encoding".
func evexF3(opcode byte, dst, src1, src2 int) [6]byte {
	not := func(r, bit, to int) byte { return byte((^r >> bit & 1) << to) }
	return [6]byte{
		0x62,
		not(dst, 3, 7) | not(src2, 4, 6) | not(src2, 3, 5) | not(dst, 4, 4) | 2,
		byte(^src1&15<<3) | 1<<2 | 2,
		2<<5 | not(src1, 4, 3),
		opcode,
		byte(0xc0 | dst&7<<3 | src2&7),
	}
}
