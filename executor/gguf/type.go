package gguf

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// Type is the way a tensor's elements are stored, by its number in files.
type Type uint32

// The types whose elements stand for themselves.
const (
	F32  Type = 0
	F16  Type = 1
	I8   Type = 24
	I16  Type = 25
	I32  Type = 26
	I64  Type = 27
	F64  Type = 28
	BF16 Type = 30
)

// layout is how many elements a block of a type holds, in how many bytes.
type layout struct {
	name         string
	block, bytes int64
}

// types are those that there are, by number.
var types = map[Type]layout{
	F32: {"f32", 1, 4}, F16: {"f16", 1, 2}, BF16: {"bf16", 1, 2}, F64: {"f64", 1, 8},
	I8: {"i8", 1, 1}, I16: {"i16", 1, 2}, I32: {"i32", 1, 4}, I64: {"i64", 1, 8},
	2: {"q4_0", 32, 18}, 3: {"q4_1", 32, 20}, 6: {"q5_0", 32, 22}, 7: {"q5_1", 32, 24}, 8: {"q8_0", 32, 34}, 9: {"q8_1", 32, 36},
	10: {"q2_k", 256, 84}, 11: {"q3_k", 256, 110}, 12: {"q4_k", 256, 144}, 13: {"q5_k", 256, 176}, 14: {"q6_k", 256, 210}, 15: {"q8_k", 256, 292},
	16: {"iq2_xxs", 256, 66}, 17: {"iq2_xs", 256, 74}, 18: {"iq3_xxs", 256, 98}, 19: {"iq1_s", 256, 50}, 20: {"iq4_nl", 32, 18},
	21: {"iq3_s", 256, 110}, 22: {"iq2_s", 256, 82}, 23: {"iq4_xs", 256, 136}, 29: {"iq1_m", 256, 56},
	34: {"tq1_0", 256, 54}, 35: {"tq2_0", 256, 66},
}

// String is the type's name in lower case, as q4_k.
func (t Type) String() string {
	if l, ok := types[t]; ok {
		return l.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// TypeOf finds a type by its name.
func TypeOf(name string) (Type, bool) {
	for t, l := range types {
		if l.name == name {
			return t, true
		}
	}
	return 0, false
}

// DType is the element type, or type in blocks, of the same name; ir.Invalid if
// there is none.
func (t Type) DType() ir.DType {
	d, err := ir.ParseDType(t.String())
	if err != nil {
		d, _ = ir.ParseBlocked(t.String()) // else Invalid
	}
	return d
}

// Block is how many elements, and how many bytes, a block of the type has.
func (t Type) Block() (elems, bytes int64) { return types[t].block, types[t].bytes }

// bytes is the size of a tensor of shape, innermost axis last: rows hold whole
// blocks.
func (t Type) bytes(shape []int64) (int64, error) {
	l, ok := types[t]
	if !ok {
		return 0, fmt.Errorf("has %v, which is not known", t)
	}
	n := int64(1)
	for _, s := range shape {
		if s < 0 || s > 0 && n > (1<<62)/s {
			return 0, fmt.Errorf("shape %v has too many elements", shape)
		}
		n *= s
	}
	last := int64(1)
	if len(shape) > 0 {
		last = shape[len(shape)-1]
	}
	if last%l.block != 0 {
		return 0, fmt.Errorf("rows of %d elements are no whole number of blocks of %d, as %s wants", last, l.block, l.name)
	}
	if n/l.block > (1<<62)/l.bytes {
		return 0, fmt.Errorf("shape %v has too many elements", shape)
	}
	return n / l.block * l.bytes, nil
}
