package checkpoint

import (
	"slices"
	"strconv"
	"strings"
)

// EachExpert stands in the name of a weight for the index of an expert: the
// weight is a stack of tensors, one for each expert, and is wanted, looked up
// and read under that name.
const EachExpert = "{e}"

// Stacked reports whether a name is that of a stack.
func Stacked(name string) bool { return strings.Contains(name, EachExpert) }

// Part is the name of the tensor of one expert.
func Part(name string, expert int) string {
	return strings.Replace(name, EachExpert, strconv.Itoa(expert), 1)
}

// Parts are the tensors that a stack is made of, in order; a name that is of no
// stack has none.
func (c *Checkpoint) Parts(name string) []Tensor {
	var parts []Tensor
	for Stacked(name) {
		i, ok := c.index[Part(name, len(parts))]
		if !ok {
			return parts
		}
		parts = append(parts, c.tensors[i])
	}
	return parts
}

// stack describes the tensors of a stack as one.
func (c *Checkpoint) stack(name string) (Tensor, bool) {
	parts := c.Parts(name)
	if len(parts) == 0 {
		return Tensor{}, false
	}
	t := parts[0]
	t.Name, t.Shape, t.Bytes = name, append([]int{len(parts)}, t.Shape...), 0
	for _, p := range parts {
		if p.DType != t.DType || !slices.Equal(p.Shape, t.Shape[1:]) {
			return Tensor{}, false
		}
		t.Bytes += p.Bytes
	}
	return t, true
}

// viewStack copies the tensors of a stack, one after the other.
func (c *Checkpoint) viewStack(name string) ([]byte, error) {
	t, ok := c.stack(name)
	if !ok {
		return nil, errorf(c.path, "has no tensors %q of one shape", name)
	}
	out := make([]byte, 0, t.Bytes)
	for _, p := range c.Parts(name) {
		data, err := c.View(p.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, data...)
	}
	return out, nil
}

// parts wants each tensor of the stacks among wants.
func parts(wants []Want) []Want {
	var out []Want
	for _, w := range wants {
		if !Stacked(w.Name) || len(w.Shape) == 0 {
			out = append(out, w)
			continue
		}
		for i := range w.Shape[0] {
			one := w
			one.Name, one.Shape = Part(w.Name, i), w.Shape[1:]
			out = append(out, one)
		}
	}
	return out
}

// unstack replaces stacks by the tensors that a file holds. fill gives the
// bytes of what tensors has; so does the function returned, of what the list
// returned has.
func unstack(tensors []Data, fill func(Data) ([]byte, error)) ([]Data, func(Data) ([]byte, error)) {
	type part struct {
		of    Data
		index int
	}
	from := map[string]part{}
	var out []Data
	for _, d := range tensors {
		if !Stacked(d.Name) || d.Type.Rank() == 0 {
			out = append(out, d)
			continue
		}
		one := d.Type.With(d.Type.Shape[1:]...)
		for i := range d.Type.Shape[0].N {
			name := Part(d.Name, i)
			from[name] = part{d, i}
			out = append(out, Data{Name: name, Type: one})
		}
	}
	return out, func(d Data) ([]byte, error) {
		p, ok := from[d.Name]
		if !ok {
			return fill(d)
		}
		data, err := fill(p.of)
		size := int(d.Type.Bytes())
		if err != nil || len(data) < (p.index+1)*size {
			return data, err // of the wrong length, which who writes tells
		}
		return data[p.index*size : (p.index+1)*size], nil
	}
}
