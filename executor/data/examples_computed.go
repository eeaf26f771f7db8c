package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Computed are the examples without some fields, and with others, of numbers that
// are computed of them: zeros, until Fill gives them. Batches, and what is kept for
// validation, are of the same examples as before. key tells apart how the numbers
// are computed.
func (e *Examples) Computed(drop []string, add []Field, key string) (*Examples, error) {
	out := *e
	out.fields, out.floats, out.ints, out.pictures, out.named, out.cuts = nil, nil, nil, nil, nil, nil
	for i, f := range e.fields {
		gone := slices.Contains(drop, f.Name)
		if gone && e.sizes != nil {
			return nil, optionErrorf("images."+f.Name, "have buckets, and what is computed of pictures once has one size")
		}
		if !gone {
			out.fields, out.floats, out.ints = append(out.fields, f), append(out.floats, e.floats[i]), append(out.ints, e.ints[i])
			out.pictures, out.named, out.cuts = append(out.pictures, e.pictures[i]), append(out.named, e.named[i]), append(out.cuts, e.cuts[i])
		}
	}
	for _, f := range add {
		out.fields, out.floats, out.ints = append(out.fields, f), append(out.floats, nil), append(out.ints, nil)
		out.pictures, out.named, out.cuts = append(out.pictures, nil), append(out.named, nil), append(out.cuts, nil)
	}
	for i, f := range out.fields {
		if out.cuts[i] != nil && !out.ofFiles() {
			return nil, optionErrorf("columns", "%s says how a picture was cut, and what is computed of pictures once has none", f.Name)
		}
	}
	out.scattered = e.scattered || e.ofFiles()
	sum := sha256.Sum256([]byte(e.key + " " + key))
	out.key = hex.EncodeToString(sum[:])
	return &out, nil
}

// Fill gives a field of Computed its numbers: of all examples, in order, whichever
// are used. Examples that were split of these have them, too.
func (e *Examples) Fill(field string, values []float32) error {
	i := slices.IndexFunc(e.fields, func(f Field) bool { return f.Name == field })
	if i < 0 || len(values) != e.total*e.fields[i].Width {
		return fmt.Errorf("%s: %d numbers are not those of %d examples", field, len(values), e.total)
	}
	e.floats[i] = values
	return nil
}
