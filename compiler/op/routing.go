package op

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

// WithinCapacityAttr bounds how many tokens of a sequence an expert takes.
type WithinCapacityAttr struct {
	Experts int     `cue:"experts!: int & >0" doc:"number of experts"`
	Factor  float64 `cue:"factor!: number & >0" doc:"room of an expert, as a multiple of what it gets of a sequence where all are used alike"`
}

// Room is how many tokens of a sequence of seq an expert takes that go through
// k experts each: factor k seq / experts, rounded up.
func (a WithinCapacityAttr) Room(seq, k int) int {
	return int(math.Ceil(a.Factor * float64(k*seq) / float64(a.Experts)))
}

// Keep writes chosen, [seq, k] of a sequence, to kept, -1 in place of what
// exceeds the room of an expert; used has room for a number for each expert.
func (a WithinCapacityAttr) Keep(kept, chosen, used []int, k int) {
	seq := len(chosen) / k
	room := a.Room(seq, k)
	clear(used)
	for j := range k {
		for s := range seq {
			e := chosen[s*k+j]
			if e < 0 || e >= a.Experts {
				e = -1
			} else if used[e]++; used[e] > room {
				e = -1
			}
			kept[s*k+j] = e
		}
	}
}

// withinCapacity: chosen [batch, seq, k] -> i32 [batch, seq, k]. First choices
// come before second ones, and earlier tokens before later ones. Sequences have
// rooms of their own, so none depends on its company.
func withinCapacity() Def {
	c := func(name string, experts int, factor float64, sizes ...int) Case {
		return Case{Name: name, In: []ir.Type{ir.T(ir.I32, sizes...)}, Attr: WithinCapacityAttr{experts, factor}, Low: 0, High: float64(experts - 1)}
	}
	less, wide := c("none among them", 5, 1, 2, 17, 3), c("i64", 3, 1, 1, 9, 2)
	less.Low = -1
	wide.In[0] = ir.T(ir.I64, 1, 9, 2)
	large := c("large", 64, 1.25, 8, 512, 6)
	large.Large = true
	return Def{Name: "within_capacity", Title: "WithinCapacity", NoGrad: true, Cost: free,
		Doc:   "y = chosen, but -1 where ceil(factor k seq / experts) earlier choices of the sequence have the same expert, while a model is trained; first choices come before second ones. Else y = chosen.",
		Attr:  WithinCapacityAttr{},
		Ports: []Port{{Name: "chosen", Doc: "i32 [batch, seq, k], the experts of each token, the preferred first"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(WithinCapacityAttr)
			if at.Experts <= 0 || !(at.Factor > 0) {
				return nil, fmt.Errorf("experts is %d and factor %v; want more than 0", at.Experts, at.Factor)
			}
			if err := first(wantIndex("chosen", in[0]), wantRank("chosen", in[0], "[batch, seq, k]", 3), wantKnown("chosen", in[0], 2)); err != nil {
				return nil, err
			}
			return []ir.Type{in[0].As(ir.I32)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(WithinCapacityAttr)
			s := types[0].Sizes()
			y := make([]float64, len(in[0]))
			used := make(map[[2]int]int) // by sequence and expert
			for b := range s[0] {
				for j := range s[2] {
					for i := range s[1] {
						p := (b*s[1]+i)*s[2] + j
						e := int(in[0][p])
						used[[2]int{b, e}]++
						if y[p] = float64(e); e < 0 || used[[2]int{b, e}] > at.Room(s[1], s[2]) {
							y[p] = -1
						}
					}
				}
			}
			return [][]float64{y}
		},
		Cases: []Case{c("", 4, 1, 2, 11, 2), c("less than all", 6, 0.5, 3, 8, 2), c("one", 2, 1, 1, 1, 1), less, wide, large},
	}
}

// ExpertChoiceAttr says how many tokens an expert chooses.
type ExpertChoiceAttr struct {
	Factor float64 `cue:"factor!: number & >0" doc:"how many experts a token has in the mean"`
}

// Takes is how many of seq tokens each of n experts chooses.
func (a ExpertChoiceAttr) Takes(seq, n int) int {
	return min(seq, int(math.Ceil(a.Factor*float64(seq)/float64(n))))
}

// expertChoice: scores [batch, seq, experts] -> i32 [batch, seq, experts].
//
// Source: arXiv:2202.09368.
func expertChoice() Def {
	c := func(name string, factor float64, sizes ...int) Case {
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, sizes...)}, Attr: ExpertChoiceAttr{factor}, Low: 0, High: 1}
	}
	equal := c("equal", 1, 2, 9, 4)
	equal.Low = 1
	large := c("large", 2, 8, 512, 64)
	large.Large = true
	return Def{Name: "expert_choice", Title: "ExpertChoice", NoGrad: true,
		Doc:   "y[b, s, e] = e where token s is among the min(seq, ceil(factor seq / experts)) tokens of its sequence with the greatest scores of expert e, the earliest among equals; else -1.",
		Attr:  ExpertChoiceAttr{},
		Ports: []Port{{Name: "scores", Doc: "[batch, seq, experts]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			if f := attr.(ExpertChoiceAttr).Factor; !(f > 0) {
				return nil, fmt.Errorf("factor is %v; want more than 0", f)
			}
			if err := first(wantFloat("scores", in[0]), wantRank("scores", in[0], "[batch, seq, experts]", 3), wantKnown("scores", in[0], 2)); err != nil {
				return nil, err
			}
			return []ir.Type{in[0].As(ir.I32)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			s := types[0].Sizes()
			y := make([]float64, len(in[0]))
			for b := range s[0] {
				for e := range s[2] {
					row := make([]float64, s[1])
					for i := range row {
						row[i] = in[0][(b*s[1]+i)*s[2]+e]
						y[(b*s[1]+i)*s[2]+e] = -1
					}
					if s[1] == 0 {
						continue
					}
					for _, i := range ranked(row, s[1], attr.(ExpertChoiceAttr).Takes(s[1], s[2]), greater)[1] {
						y[(b*s[1]+int(i))*s[2]+e] = float64(e)
					}
				}
			}
			return [][]float64{y}
		},
		Cases: []Case{c("", 2, 2, 11, 4), c("every token", 8, 3, 5, 4), c("one", 1, 1, 1, 3), equal, large},
	}
}
