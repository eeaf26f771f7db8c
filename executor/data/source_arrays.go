package data

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// readArrays gives the rows of arrays, along their first axes, which must be
// equally long. Their names are the fields.
func readArrays(_ *opened, name string, _ *Attr, yield func(Row) error) error {
	arrays, err := tensorfile.Read(name)
	if err != nil {
		return err
	}
	n := -1
	values := map[string][]float64{}
	width := map[string]int{}
	for _, x := range arrays {
		shape := x.Type.Sizes()
		if len(shape) == 0 {
			return errorf(name, "%s is one number, want an array of examples", x.Name)
		}
		if n >= 0 && shape[0] != n {
			return errorf(name, "%s has %d examples, %s has %d", x.Name, shape[0], arrays[0].Name, n)
		}
		n = shape[0]
		values[x.Name], width[x.Name] = x.Float64s(), product(shape[1:])
		if x.Type.DType == ir.Bool {
			return errorf(name, "%s is of truth values, want numbers", x.Name)
		}
	}
	for i := range max(n, 0) {
		row := Row{File: name, Line: i + 1, Values: map[string]any{}}
		for k, v := range values {
			w := width[k]
			row.Values[k] = slices.Clip(v[i*w : (i+1)*w])
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
