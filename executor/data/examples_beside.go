package data

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Beside are the examples with the fields of others: of as many as the longer has,
// the shorter begins anew after its end. The fields of the two differ.
func (e *Examples) Beside(o *Examples) (*Examples, error) {
	out := *e
	n := max(e.total, o.total)
	out.fields, out.floats, out.ints, out.pictures, out.named, out.cuts = nil, nil, nil, nil, nil, nil
	for _, x := range []*Examples{e, o} {
		if x.sizes != nil {
			return nil, optionErrorf("beside", "examples stand beside others, and pictures have buckets: give them one size")
		}
		for i, f := range x.fields {
			if x.cuts[i] != nil {
				return nil, optionErrorf("beside", "examples stand beside others, and %s says how a picture was cut", f.Name)
			}
			out.fields, out.cuts, out.named = append(out.fields, f), append(out.cuts, nil), append(out.named, nil)
			out.floats, out.ints = append(out.floats, again(x.floats[i], x.total, n)), append(out.ints, again(x.ints[i], x.total, n))
			out.pictures = append(out.pictures, again(x.pictures[i], x.total, n))
		}
	}
	out.lo, out.hi, out.total = 0, n, n
	out.files = append(slices.Clone(e.files), o.files...)
	out.lenient = e.lenient || o.lenient
	sum := sha256.Sum256([]byte(e.key + " beside " + o.key))
	out.key = hex.EncodeToString(sum[:])
	return &out, nil
}

// again are the values of n examples, of those of fewer, from the beginning again
// after the last.
func again[T any](values []T, have, n int) []T {
	if len(values) == 0 || have == n {
		return values
	}
	width := len(values) / have
	out := make([]T, 0, n*width)
	for len(out) < n*width {
		out = append(out, values[:min(len(values), n*width-len(out))]...)
	}
	return out
}
