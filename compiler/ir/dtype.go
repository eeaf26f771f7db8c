// Package ir is the graph that every pass of the compiler reads and rewrites:
// element types, shapes with named dimensions, values, nodes, state, a printer
// and a verifier of structure.
//
// It knows no operation: what an op means is said in compiler/op.
package ir

import "fmt"

// DType is the element type of a tensor.
type DType uint8

// The element types. Invalid is the zero value, so that a forgotten type shows.
const (
	Invalid DType = iota
	F64
	F32
	BF16
	F16
	I64
	I32
	I8
	U8
	Bool
)

var dtypes = [...]struct {
	name string
	size int
}{
	Invalid: {"invalid", 0},
	F64:     {"f64", 8},
	F32:     {"f32", 4},
	BF16:    {"bf16", 2},
	F16:     {"f16", 2},
	I64:     {"i64", 8},
	I32:     {"i32", 4},
	I8:      {"i8", 1},
	U8:      {"u8", 1},
	Bool:    {"bool", 1},
}

// Size returns the bytes one element takes.
func (d DType) Size() int { return dtypes[d].size }

func (d DType) String() string { return dtypes[d].name }

// Float reports whether d holds floating-point numbers.
func (d DType) Float() bool { return d >= F64 && d <= F16 }

// Int reports whether d holds integers.
func (d DType) Int() bool { return d >= I64 && d <= U8 }

// ParseDType finds an element type by its name, as String gives it.
func ParseDType(s string) (DType, error) {
	for i := F64; i <= Bool; i++ {
		if dtypes[i].name == s {
			return i, nil
		}
	}
	return Invalid, fmt.Errorf("unknown dtype %q", s)
}

// DTypes lists all element types.
func DTypes() []DType { return []DType{F64, F32, BF16, F16, I64, I32, I8, U8, Bool} }
