package op

import (
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
)

// learnCodes lets a table of 4 numbers follow x for some steps, and says how many of them
// were put on a point at each.
func learnCodes(t *testing.T, steps int, least float64, x []float64) (table, size []float64, drawn []int) {
	t.Helper()
	table, size = []float64{0, 200, -200, 300}, []float64{1, 1, 1, 1}
	types := []ir.Type{ir.T(ir.F32, len(x), 1), ir.T(ir.F32, 4, 1), ir.T(ir.F32, 4)}
	for range steps {
		out := reference(t, "codebook_train", CodebookAttr{Codes: 4, Decay: 0.5, Eps: 1e-14, Least: least}, types, x, table, size)
		drawn = append(drawn, 0)
		for c, n := range out[3] {
			if n == least && out[2][c] == x[c*len(x)/4] {
				drawn[len(drawn)-1]++
			}
		}
		table, size = out[2], out[3]
	}
	return table, size, drawn
}

// A vector that stands for too few points is put on the point of its share of the
// batch and stands for those from then on; one that stands for enough stays, as all
// do without a least number.
func TestCodebookDrawsDeadCodes(t *testing.T) {
	x := []float64{9, 11, -10, -10, 29, 31, 40, 40}
	table, size, drawn := learnCodes(t, 1, 0.75, x)
	if want := []int{3}; !slices.Equal(drawn, want) { // each number but 0 is nearest to none
		t.Errorf("%v are drawn, want %v", drawn, want)
	}
	equal(t, "the numbers of points", size, []float64{4.5, 0.75, 0.75, 0.75})
	equal(t, "the table", table, []float64{70.0 / 4.5, -10, 29, 40}) // of (0 + 140) / 2

	table, size, drawn = learnCodes(t, 60, 0.75, x)
	if first := drawn[0]; first != 3 || slices.Max(drawn[1:]) > 0 {
		t.Errorf("%v are drawn at each step, want 3, then none", drawn)
	}
	equal(t, "the numbers of points in the end", size, []float64{2, 2, 2, 2})
	equal(t, "the table in the end", table, []float64{10, -10, 30, 40})

	_, size, drawn = learnCodes(t, 2, 0.25, x) // 1, 0.5, 0.25
	if slices.Max(drawn) > 0 {
		t.Errorf("%v are drawn, want none: 0.25 is not less than 0.25", drawn)
	}
	equal(t, "the numbers of points at the limit", size, []float64{6.25, 0.25, 0.25, 0.25})
	table, _, drawn = learnCodes(t, 12, 0, x)
	if slices.Max(drawn) > 0 || table[1] < 150 || table[2] > -150 || table[3] < 250 {
		t.Errorf("%v are drawn, the table is %v; want none, and those without points stay", drawn, table)
	}
}

// TestCodebookUnbiased: where numbers of points begin at 0, the first step's averages are those of its points, and
// numbers are held against least as if the averages were complete.
func TestCodebookUnbiased(t *testing.T) {
	x := []float64{9, 11, -10, -10, 29, 31, 40, 40}
	types := []ir.Type{ir.T(ir.F32, len(x), 1), ir.T(ir.F32, 4, 1), ir.T(ir.F32, 4)}
	step := func(least float64, table, size []float64) (next, sizes []float64) {
		out := reference(t, "codebook_train", CodebookAttr{Codes: 4, Decay: 0.5, Eps: 1e-14, Least: least, Unbiased: true}, types, x, table, size)
		return out[2], out[3]
	}
	begin := []float64{0, 200, -200, 300}
	table, size := step(0, begin, make([]float64, 4))
	equal(t, "the table without a least number", table, []float64{17.5, 200, -200, 300}) // of 140 / 8
	equal(t, "the numbers of points then", size, []float64{4, 0, 0, 0})
	table, size = step(0.75, begin, make([]float64, 4))
	equal(t, "the table", table, []float64{17.5, -10, 29, 40})
	equal(t, "the numbers of points", size, []float64{4, 0.375, 0.375, 0.375}) // 0.75 of a batch of which half is known
	for range 60 {
		table, size = step(0.75, table, size)
	}
	equal(t, "the table in the end", table, []float64{10, -10, 30, 40})
	equal(t, "the numbers of points in the end", size, []float64{2, 2, 2, 2})
}
