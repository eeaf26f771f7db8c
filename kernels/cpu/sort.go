package cpu

import (
	"cmp"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// ranked makes a kernel that fills, for every row, the places of its first
// elements in some order; values follow from the places.
//
//	x [rows, n]   values [rows, k], indices i32 [rows, k]
func ranked(rank func(x vec, at, n int, places []int32)) func(b *Backend, in, out []ir.Type) (kernels.Kernel, bool) {
	return func(b *Backend, in, out []ir.Type) (kernels.Kernel, bool) {
		ok := len(in) == 1 && len(out) == 2 && stored(in[0].DType) && in[0].DType == out[0].DType && out[1].DType == ir.I32
		return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
			vs, err := b.views(args.In[0], args.Out[0], args.Out[1])
			if err != nil {
				return nil, err
			}
			x, values, places := vs[0], vs[1], slice[int32](vs[2])
			count, n := rows(args.In[0].Shape)
			_, k := rows(args.Out[0].Shape)
			if n == 0 {
				return b.step(0, nil), nil
			}
			perPart := max(1, grain/8/n)
			return b.step(parts(count, perPart), func(_, id int) {
				lo, hi := span(id, count, perPart)
				for r := lo; r < hi; r++ {
					row := places[r*k : (r+1)*k]
					rank(x, r*n, n, row)
					for j, p := range row {
						copy(values.bytes(r*k+j, r*k+j+1), x.bytes(r*n+int(p), r*n+int(p)+1))
					}
				}
			}), nil
		}}, ok
	}
}

// sortOp sorts along the last axis; equal elements keep their order.
func sortOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.SortAttr)
	if !ok {
		return nil, false
	}
	return ranked(func(x vec, at, n int, places []int32) {
		for i := range places {
			places[i] = int32(i)
		}
		slices.SortFunc(places, func(i, j int32) int {
			p, q := x.one(at+int(i)), x.one(at+int(j))
			if a.Descending {
				p, q = q, p
			}
			return cmp.Or(cmp.Compare(p, q), cmp.Compare(i, j))
		})
	})(b, in, out)
}

// topK finds the greatest elements, from the greatest down; the lowest index
// comes first among equals.
func topK(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	if _, ok := attr.(op.TopKAttr); !ok {
		return nil, false
	}
	return ranked(func(x vec, at, n int, places []int32) {
		found := 0
		for i := range n {
			v := x.one(at + i)
			if found == len(places) && v <= x.one(at+int(places[found-1])) {
				continue
			}
			j := min(found, len(places)-1)
			for ; j > 0 && v > x.one(at+int(places[j-1])); j-- {
				places[j] = places[j-1]
			}
			places[j] = int32(i)
			found = min(found+1, len(places))
		}
	})(b, in, out)
}
