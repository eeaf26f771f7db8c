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

	// Weights in blocks, as package quant says.
	Q8_0
	Q6_K
	Q5_1
	Q5_0
	Q5_K
	Q4_1
	Q4_0
	Q4_K
	IQ4_NL
	NF4
	Q3_K
	Q2_K
	Q4_G32
	Q4_G64
	Q4_G128
)

var dtypes = [...]struct {
	name  string
	size  int // of an element; of a block, if there are several in one
	block int // elements in a block; 0 for 1
}{
	Invalid: {"invalid", 0, 0},
	F64:     {"f64", 8, 0},
	F32:     {"f32", 4, 0},
	BF16:    {"bf16", 2, 0},
	F16:     {"f16", 2, 0},
	I64:     {"i64", 8, 0},
	I32:     {"i32", 4, 0},
	I8:      {"i8", 1, 0},
	U8:      {"u8", 1, 0},
	Bool:    {"bool", 1, 0},
	Q8_0:    {"q8_0", 34, 32},
	Q6_K:    {"q6_k", 210, 256},
	Q5_1:    {"q5_1", 24, 32},
	Q5_0:    {"q5_0", 22, 32},
	Q5_K:    {"q5_k", 176, 256},
	Q4_1:    {"q4_1", 20, 32},
	Q4_0:    {"q4_0", 18, 32},
	Q4_K:    {"q4_k", 144, 256},
	IQ4_NL:  {"iq4_nl", 18, 32},
	NF4:     {"nf4", 36, 64},
	Q3_K:    {"q3_k", 110, 256},
	Q2_K:    {"q2_k", 84, 256},
	Q4_G32:  {"q4_g32", 20, 32},
	Q4_G64:  {"q4_g64", 36, 64},
	Q4_G128: {"q4_g128", 68, 128},
}

// Size returns the bytes one element takes, or 0 if elements come in blocks.
func (d DType) Size() int {
	if d.Blocked() {
		return 0
	}
	return dtypes[d].size
}

// Blocked reports whether elements come in blocks: quantised weights, which
// only products and tables of vectors read.
func (d DType) Blocked() bool { return dtypes[d].block > 1 }

// Block returns the elements of a block and its bytes. Rows, that is the last
// axis, are whole blocks.
func (d DType) Block() (elems, bytes int) { return max(1, dtypes[d].block), dtypes[d].size }

func (d DType) String() string { return dtypes[d].name }

// Float reports whether d holds floating-point numbers.
func (d DType) Float() bool { return d >= F64 && d <= F16 }

// Int reports whether d holds integers.
func (d DType) Int() bool { return d >= I64 && d <= U8 }

// ParseDType finds an element type by its name, as String gives it. Types in
// blocks are not among them: see ParseBlocked.
func ParseDType(s string) (DType, error) {
	for i := F64; i <= Bool; i++ {
		if dtypes[i].name == s {
			return i, nil
		}
	}
	return Invalid, fmt.Errorf("unknown dtype %q", s)
}

// ParseBlocked finds a type in blocks by its name.
func ParseBlocked(s string) (DType, error) {
	for _, d := range Blocked() {
		if d.String() == s {
			return d, nil
		}
	}
	return Invalid, fmt.Errorf("unknown type of quantised weights %q", s)
}

// Blocked lists the types in blocks, in the order of package quant.
func Blocked() []DType {
	var list []DType
	for d := Q8_0; d <= Q4_G128; d++ {
		list = append(list, d)
	}
	return list
}

// DTypes lists the types whose elements stand alone.
func DTypes() []DType { return []DType{F64, F32, BF16, F16, I64, I32, I8, U8, Bool} }
