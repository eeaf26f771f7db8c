package cpu

import (
	"cmp"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// withinCapacity puts -1 in place of choices that exceed the room of an expert.
//
//	chosen [batch, seq, k]   y i32 [batch, seq, k]
func withinCapacity(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.WithinCapacityAttr)
	ok = ok && len(in) == 1 && isIndex(in[0]) && out[0].DType == ir.I32
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.Out[0])
		if err != nil {
			return nil, err
		}
		s := args.In[0].Shape
		chosen, y, n := indices{vec: vs[0]}, slice[int32](vs[1]), s[1]*s[2]
		if prod(s) == 0 {
			return b.step(0, nil), nil
		}
		room := make([]int, s[0]*(2*n+a.Experts)) // of a sequence: choices, what is kept, tokens of an expert
		return b.step(s[0], func(_, id int) {
			mine := room[id*(2*n+a.Experts):]
			from, kept, used := mine[:n], mine[n:2*n], mine[2*n:2*n+a.Experts]
			for i := range from {
				from[i] = chosen.get(id*n + i)
			}
			a.Keep(kept, from, used, s[2])
			for i, e := range kept {
				y[id*n+i] = int32(e)
			}
		}), nil
	}}, ok
}

// expertChoice lets each expert choose tokens.
//
//	scores [batch, seq, experts]   y i32 [batch, seq, experts]
func expertChoice(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ExpertChoiceAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && out[0].DType == ir.I32
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.Out[0])
		if err != nil {
			return nil, err
		}
		s := args.In[0].Shape
		scores, y := vs[0], slice[int32](vs[1])
		if prod(s) == 0 {
			return b.step(0, nil), nil
		}
		takes := a.Takes(s[1], s[2])
		places := make([]int, s[0]*prod(s[1:])) // the tokens, for each expert of each sequence
		return b.step(s[0]*s[2], func(_, id int) {
			row, e := id/s[2], id%s[2]
			order := places[id*s[1] : (id+1)*s[1]]
			at := func(i int) int { return (row*s[1]+i)*s[2] + e }
			for i := range order {
				order[i] = i
			}
			slices.SortFunc(order, func(i, j int) int {
				return cmp.Or(cmp.Compare(scores.one(at(j)), scores.one(at(i))), cmp.Compare(i, j))
			})
			for n, i := range order {
				if y[at(i)] = int32(e); n >= takes {
					y[at(i)] = -1
				}
			}
		}), nil
	}}, ok
}
