package stage

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// choose leaves of all samples those that are wanted; all if none is named.
func (w *walk) choose(only []int) error {
	w.all = len(w.seeds)
	var seeds []int
	for _, i := range only {
		if i >= w.all {
			return fmt.Errorf("only names sample %d, and there are %d, counted from 0: change both, or neither", i, w.all)
		}
		seeds = append(seeds, w.seeds[i])
	}
	if len(only) > 0 {
		w.seeds = seeds
	}
	return nil
}

// sampleOf describes a sample that was made. Where only its noise is its own, a seed makes it again.
func sampleOf(c *Call, row int) Sample {
	w, ok := c.kept.(*walk)
	if !ok || row >= len(w.seeds) {
		return Sample{}
	}
	s := Sample{Of: len(w.seeds), Seed: w.seeds[row], Set: []string{fmt.Sprintf("seed=%d", w.seeds[row]), "count=1", "seeds=[]", "only=[]"}}
	if i := row; w.own {
		if len(w.attr.Only) > 0 {
			i = w.attr.Only[row]
		}
		s.Set = []string{fmt.Sprintf("only=[%d]", i)}
	}
	return s
}

// rows are those of the samples that are made, of a tensor with a row for each of all, or with one.
func (w *walk) rows(t tensorfile.Tensor) tensorfile.Tensor {
	if w.all == 1 || t.Type.Rank() == 0 || t.Type.Sizes()[0] != w.all {
		return repeated(t, w.shape[0])
	}
	w.own = true
	if len(w.attr.Only) == 0 {
		return t
	}
	sizes := t.Type.Sizes()
	sizes[0] = len(w.attr.Only)
	picked := tensorfile.Tensor{Name: t.Name, Type: ir.T(t.Type.DType, sizes...)}
	n := len(t.Data) / w.all
	for _, i := range w.attr.Only {
		picked.Data = append(picked.Data, t.Data[i*n:(i+1)*n]...)
	}
	return picked
}

// repeated is a tensor of one row, n times.
func repeated(t tensorfile.Tensor, n int) tensorfile.Tensor {
	if t.Type.Rank() == 0 || t.Type.Sizes()[0] != 1 || n == 1 {
		return t
	}
	sizes := t.Type.Sizes()
	sizes[0] = n
	return tensorfile.Tensor{Name: t.Name, Type: ir.T(t.Type.DType, sizes...), Data: slices.Repeat(t.Data, n)}
}
