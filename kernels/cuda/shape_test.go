//go:build linux && (amd64 || arm64)

package cuda

import (
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// What is transposed goes tile by tile where both axes are long enough, whatever lies around
// and between them, and is moved as it is.
func TestTurn(t *testing.T) {
	b := open(t)
	for _, c := range []struct {
		kind ir.DType
		size [4]int
		perm [4]int
	}{
		{ir.F32, [4]int{2, 37, 3, 50}, [4]int{0, 2, 3, 1}},
		{ir.BF16, [4]int{1, 64, 5, 16}, [4]int{2, 0, 3, 1}},
		{ir.I64, [4]int{33, 2, 3, 17}, [4]int{1, 3, 2, 0}},
		{ir.U8, [4]int{2, 40, 1, 65}, [4]int{0, 3, 2, 1}},
		{ir.F32, [4]int{2, 37, 3, 9}, [4]int{0, 3, 2, 1}}, // too little of it
	} {
		var to [4]int
		for i, p := range c.perm {
			to[i] = c.size[p]
		}
		x, y := ir.T(c.kind, c.size[:]...), ir.T(c.kind, to[:]...)
		data := make([]float64, x.Elems())
		for i := range data {
			data[i] = float64(i * 7 % 251)
		}
		at := op.TransposeAttr{Perm: op.MakeInts(c.perm[:]...)}
		got := compute(t, b, "transpose", at, []ir.Type{x}, []ir.Type{y}, [][]float64{data})[0]
		own := cStrides(c.size[:])
		for i, v := range got {
			from, rest := 0, i
			for k := 3; k >= 0; k-- {
				from, rest = from+rest%to[k]*own[c.perm[k]], rest/to[k]
			}
			if v != data[from] {
				t.Fatalf("%v %v by %v: element %d is %v, want %v", c.kind, c.size, c.perm, i, v, data[from])
			}
		}
	}
	if b.functions["turn"] == nil || b.functions["copy"] == nil {
		t.Error("all went by one kernel")
	}
}
