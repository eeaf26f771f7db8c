package attr

import (
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
)

// Attributes of ops are comparable, so that equal nodes can be found by ==.
// Ints, Floats and Dims are lists in a comparable form.

// Ints is a list of integers: "0,2,1".
type Ints string

// MakeInts returns the list of vs.
func MakeInts(vs ...int) Ints {
	s := make([]string, len(vs))
	for i, v := range vs {
		s[i] = strconv.Itoa(v)
	}
	return Ints(strings.Join(s, ","))
}

// Slice returns the list.
func (l Ints) Slice() []int {
	if l == "" {
		return nil
	}
	var out []int
	for s := range strings.SplitSeq(string(l), ",") {
		v, err := strconv.Atoi(s)
		if err != nil {
			panic("attr: malformed Ints " + string(l))
		}
		out = append(out, v)
	}
	return out
}

// Floats is a list of numbers, as a document spells them: "1,1.05,2".
type Floats string

// Slice returns the list.
func (l Floats) Slice() []float64 {
	if l == "" {
		return nil
	}
	var out []float64
	for s := range strings.SplitSeq(string(l), ",") {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			panic("attr: malformed Floats " + string(l))
		}
		out = append(out, v)
	}
	return out
}

// Dims is a shape: "batch,seq,8,64". A "-1" stands for what is left, where an
// op allows it.
type Dims string

// MakeDims returns the shape of ds.
func MakeDims(ds ...ir.Dim) Dims {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = d.String()
	}
	return Dims(strings.Join(s, ","))
}

// Slice returns the shape; -1 becomes the Dim of N -1.
func (l Dims) Slice() ([]ir.Dim, error) {
	if l == "" {
		return nil, nil
	}
	var out []ir.Dim
	for s := range strings.SplitSeq(string(l), ",") {
		if s == "-1" {
			out = append(out, ir.D(-1))
			continue
		}
		d, err := ir.ParseDim(s)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
