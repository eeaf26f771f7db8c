package tensorfile

import (
	"encoding/binary"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/kernels/half"
)

// FromFloat32s returns a tensor of type f32 with the given sizes (none: a
// scalar), whose product must be len(v); Write refuses it otherwise.
func FromFloat32s(name string, v []float32, sizes ...int) Tensor {
	data := make([]byte, 0, 4*len(v))
	for _, f := range v {
		data = appendF32(data, f)
	}
	return Tensor{name, ir.T(ir.F32, sizes...), data}
}

// FromInt32s returns a tensor of type i32 with the given sizes (none: a
// scalar), whose product must be len(v); Write refuses it otherwise.
func FromInt32s(name string, v []int32, sizes ...int) Tensor {
	data := make([]byte, 0, 4*len(v))
	for _, n := range v {
		data = binary.LittleEndian.AppendUint32(data, uint32(n))
	}
	return Tensor{name, ir.T(ir.I32, sizes...), data}
}

// Float64s returns the elements in C order. Only 64-bit integers beyond 2^53
// are rounded.
func (t Tensor) Float64s() []float64 {
	out := make([]float64, t.elems())
	for i := range out {
		if t.Type.DType == ir.I64 {
			out[i] = float64(t.integer(i))
		} else {
			out[i] = t.number(i)
		}
	}
	return out
}

// Float32s returns the elements in C order, rounded to nearest even where
// float32 cannot hold them.
func (t Tensor) Float32s() []float32 {
	out := make([]float32, t.elems())
	for i := range out {
		if t.Type.DType == ir.I64 {
			out[i] = float32(t.integer(i)) // once, not by way of float64
		} else {
			out[i] = float32(t.number(i))
		}
	}
	return out
}

// Int32s returns the elements in C order. It fails on the first element that
// is out of range or not a whole number, and names its index; the error is a
// *checkpoint.Error about the tensor.
func (t Tensor) Int32s() ([]int32, error) {
	out := make([]int32, t.elems())
	for i := range out {
		if t.Type.DType == ir.I64 {
			v := t.integer(i)
			if v < math.MinInt32 || v > math.MaxInt32 {
				return nil, t.misfit(i, fmt.Sprint(v), "is out of range for a 32-bit integer")
			}
			out[i] = int32(v)
			continue
		}
		switch v := t.number(i); {
		case v != math.Trunc(v) && !math.IsInf(v, 0): // a NaN too
			return nil, t.misfit(i, fmt.Sprint(v), "is not a whole number")
		case v < math.MinInt32 || v > math.MaxInt32:
			return nil, t.misfit(i, fmt.Sprint(v), "is out of range for a 32-bit integer")
		default:
			out[i] = int32(v)
		}
	}
	return out, nil
}

// misfit is the error for element i of t. It names the index on every axis.
func (t Tensor) misfit(i int, value, fact string) error {
	sizes := t.Type.Sizes()
	at := make([]int, len(sizes))
	rest := i
	for a := len(sizes) - 1; a >= 0; a-- {
		at[a] = rest % sizes[a]
		rest /= sizes[a]
	}
	return &checkpoint.Error{File: fmt.Sprintf("tensor %q", t.Name), Msg: fmt.Sprintf("element %v is %s, which %s", at, value, fact)}
}

// elems returns the number of whole elements in Data.
func (t Tensor) elems() int {
	if size := t.Type.DType.Size(); size > 0 {
		return len(t.Data) / size
	}
	return 0
}

// integer returns element i of an i64 tensor.
func (t Tensor) integer(i int) int64 { return int64(binary.LittleEndian.Uint64(t.Data[8*i:])) }

// number returns element i of a tensor of any type but i64; it is exact.
func (t Tensor) number(i int) float64 {
	le := binary.LittleEndian
	switch t.Type.DType {
	case ir.F64:
		return math.Float64frombits(le.Uint64(t.Data[8*i:]))
	case ir.F32:
		return float64(math.Float32frombits(le.Uint32(t.Data[4*i:])))
	case ir.BF16:
		return float64(half.BF16ToF32(le.Uint16(t.Data[2*i:])))
	case ir.F16:
		return float64(half.F16ToF32(le.Uint16(t.Data[2*i:])))
	case ir.I32:
		return float64(int32(le.Uint32(t.Data[4*i:])))
	case ir.I8:
		return float64(int8(t.Data[i]))
	}
	return float64(t.Data[i]) // u8, bool
}

// AppendFloats appends values as little-endian elements of a floating-point
// type, rounded to nearest even; those narrower than f32 by way of f32.
func AppendFloats(data []byte, to ir.DType, values ...float64) []byte {
	for _, x := range values {
		switch to {
		case ir.F64:
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
		case ir.BF16:
			data = binary.LittleEndian.AppendUint16(data, half.F32ToBF16(float32(x)))
		case ir.F16:
			data = binary.LittleEndian.AppendUint16(data, half.F32ToF16(float32(x)))
		default:
			data = appendF32(data, float32(x))
		}
	}
	return data
}

func appendF32(data []byte, f float32) []byte {
	return binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
}
