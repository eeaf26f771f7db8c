package op

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

// monotonicPath: scores [batch, frames, seq] -> i32 [batch, frames].
//
// With F frames and S places of a sequence, its path p has p[0] = 0, p[F-1] = S-1 and
// p[i] - p[i-1] either 0 or 1, and of all these the greatest sum of scores[i, p[i]]; among equals, looked at from
// the end, it has been at a place for as long as it can. If there are fewer frames than places, p[i] = i.
//
// Source: arXiv:2005.11129, algorithm 1; ties as in its authors' code.
func monotonicPath() Def {
	c := func(name string, sizes ...int) Case {
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, sizes...), {}, {}}, Low: -3, High: 3}
	}
	told := c("lengths", 5, 13, 7)
	told.In[1], told.In[2] = ir.T(ir.I32, 5), ir.T(ir.I64, 5)
	told.Bounds = map[int][2]float64{1: {0, 13}, 2: {0, 7}}
	equal := c("equal", 2, 9, 4)
	equal.Low = 3
	narrow := c("narrow", 1, 9, 3)
	narrow.In[0] = narrow.In[0].As(ir.BF16)
	large := c("large", 16, 600, 120)
	large.Large = true
	lengths := func(name string, t ir.Type, batch ir.Dim) error {
		if t.DType == ir.Invalid {
			return nil
		}
		if err := first(wantIndex(name, t), wantRank(name, t, "[batch]", 1)); err != nil {
			return err
		}
		if t.Shape[0] != batch {
			return fmt.Errorf("%s has %v sequences but scores has %v", name, t.Shape[0], batch)
		}
		return nil
	}
	return Def{Name: "monotonic_path", Title: "MonotonicPath", NoGrad: true,
		Doc: "y[i] = the place that frame i belongs to: from the first place to the last, staying or going on by one, so that the sum of scores[i, y[i]] is the greatest; later frames have the last place.",
		Ports: []Port{{Name: "scores", Doc: "[batch, frames, seq]"},
			{Name: "frames", Doc: "i32 [batch], how many frames each sequence has; all without", Optional: true},
			{Name: "places", Doc: "i32 [batch], how many places each sequence has; all without", Optional: true}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			if err := first(wantFloat("scores", in[0]), wantRank("scores", in[0], "[batch, frames, seq]", 3)); err != nil {
				return nil, err
			}
			s := in[0].Shape
			return []ir.Type{in[0].With(s[0], s[1]).As(ir.I32)}, first(lengths("frames", in[1], s[0]), lengths("places", in[2], s[0]))
		},
		Ref: func(in [][]float64, types []ir.Type, _ any) [][]float64 {
			s := types[0].Sizes()
			y := make([]float64, s[0]*s[1])
			for b := range s[0] {
				frames, places := s[1], s[2]
				if in[1] != nil {
					frames = min(max(int(in[1][b]), 0), frames)
				}
				if in[2] != nil {
					places = min(max(int(in[2][b]), 0), places)
				}
				scores := in[0][b*s[1]*s[2]:]
				path := bestPath(func(i, j int) float64 { return scores[i*s[2]+j] }, frames, places)
				for i := range s[1] {
					y[b*s[1]+i] = float64(path(i))
				}
			}
			return [][]float64{y}
		},
		Cost:  func(in, _ []ir.Type, _ any) int64 { return 2 * int64(in[0].Elems()) },
		Cases: []Case{c("", 3, 11, 5), c("as many", 2, 6, 6), c("fewer frames", 2, 3, 5), c("one", 1, 1, 1), told, equal, narrow, large},
	}
}

// bestPath finds the path by the greatest sums from the first place to each.
func bestPath(score func(i, j int) float64, frames, places int) func(i int) int {
	if frames < places || places == 0 {
		return func(i int) int { return max(0, min(i, places-1)) }
	}
	best := make([][]float64, frames)
	for i := range best {
		best[i] = make([]float64, places)
		for j := range places {
			stay, enter := math.Inf(-1), math.Inf(-1)
			if i > 0 {
				stay = best[i-1][j]
			}
			if i > 0 && j > 0 {
				enter = best[i-1][j-1]
			}
			if best[i][j] = score(i, j) + max(stay, enter); i == 0 && j == 0 {
				best[i][j] = score(i, j)
			}
		}
	}
	path := make([]int, frames)
	for i, j := frames-1, places-1; i >= 0; i-- {
		path[i] = j
		if i > 0 && j > 0 && (j == i || best[i-1][j] < best[i-1][j-1]) {
			j--
		}
	}
	return func(i int) int { return path[min(i, frames-1)] }
}
