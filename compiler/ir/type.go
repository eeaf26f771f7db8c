package ir

import (
	"fmt"
	"slices"
	"strings"
)

// Layout says how the elements of a weight lie in memory. The zero Layout is
// row-major. Other layouts are named by the backend that asks for them.
type Layout string

// Type is what is known of a value before it runs.
type Type struct {
	DType DType
	Shape []Dim // outermost first; empty for a scalar
}

// T returns the type of known sizes.
func T(d DType, sizes ...int) Type {
	t := Type{DType: d, Shape: make([]Dim, len(sizes))}
	for i, n := range sizes {
		t.Shape[i] = D(n)
	}
	return t
}

// ParseType makes a type of what a document says: the name of an element type,
// and a list of sizes, numbers or names.
func ParseType(dtype, shape any) (Type, error) {
	name, _ := dtype.(string)
	d, err := ParseDType(name)
	if err != nil {
		return Type{}, err
	}
	t := Type{DType: d}
	list, _ := shape.([]any)
	for _, x := range list {
		dim, err := ParseDim(fmt.Sprint(x))
		if err != nil {
			return Type{}, err
		}
		t.Shape = append(t.Shape, dim)
	}
	return t, nil
}

// With returns a type of the same element type and the given shape.
func (t Type) With(shape ...Dim) Type { return Type{DType: t.DType, Shape: shape} }

// As returns a type of the same shape and the given element type.
func (t Type) As(d DType) Type { return Type{DType: d, Shape: t.Shape} }

// Rank returns the number of axes.
func (t Type) Rank() int { return len(t.Shape) }

// Len returns the number of elements as a dimension.
func (t Type) Len() Dim {
	n := D(1)
	for _, d := range t.Shape {
		n = n.Mul(d)
	}
	return n
}

// Known reports whether every axis is a plain number.
func (t Type) Known() bool {
	return !slices.ContainsFunc(t.Shape, func(d Dim) bool { return !d.Known() })
}

// Sizes returns the shape in numbers. It is an error to call it on a type
// that is not Known; named sizes count as their factor then.
func (t Type) Sizes() []int {
	out := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		out[i] = d.N
	}
	return out
}

// Elems returns the number of elements of a Known type.
func (t Type) Elems() int { return t.Len().N }

// Bytes returns the bytes of a Known type.
func (t Type) Bytes() int64 {
	elems, bytes := t.DType.Block()
	return int64(t.Elems()/elems) * int64(bytes)
}

// Blocks reports whether t can be of the type d in blocks: whether its rows
// are whole blocks.
func (t Type) Blocks(d DType) bool {
	elems, _ := d.Block()
	n := len(t.Shape)
	return n > 0 && t.Shape[n-1].Known() && t.Shape[n-1].N%elems == 0
}

// Bind replaces named sizes by numbers.
func (t Type) Bind(sizes map[string]int) Type {
	out := Type{DType: t.DType, Shape: make([]Dim, len(t.Shape))}
	for i, d := range t.Shape {
		out.Shape[i] = d.Bind(sizes)
	}
	return out
}

// Equal reports whether t and u have the same element type and shape.
func (t Type) Equal(u Type) bool { return t.DType == u.DType && slices.Equal(t.Shape, u.Shape) }

func (t Type) String() string { return t.DType.String() + ShapeString(t.Shape) }

// ShapeString prints a shape as "[batch,seq,64]".
func ShapeString(shape []Dim) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		s[i] = d.String()
	}
	return "[" + strings.Join(s, ",") + "]"
}
