package cases

import (
	"encoding/binary"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// Encode gives the little-endian bytes of x at an element type, each element
// rounded to it. Of a type in blocks, x is whole blocks of weights that the
// format can hold.
func Encode(t ir.DType, x []float64) []byte {
	if t.Blocked() {
		return encodeBlocks(t, x)
	}
	out := make([]byte, 0, len(x)*t.Size())
	le := binary.LittleEndian
	for _, v := range x {
		switch t {
		case ir.F64:
			out = le.AppendUint64(out, math.Float64bits(v))
		case ir.F32:
			out = le.AppendUint32(out, math.Float32bits(float32(v)))
		case ir.BF16:
			out = le.AppendUint16(out, half.F32ToBF16(float32(v)))
		case ir.F16:
			out = le.AppendUint16(out, half.F32ToF16(float32(v)))
		case ir.I64:
			out = le.AppendUint64(out, uint64(int64(v)))
		case ir.I32:
			out = le.AppendUint32(out, uint32(int32(v)))
		case ir.I8:
			out = append(out, byte(int8(v)))
		default:
			out = append(out, byte(v))
		}
	}
	return out
}

// Decode reads what Encode writes.
func Decode(t ir.DType, data []byte) []float64 {
	if t.Blocked() {
		return decodeBlocks(t, data)
	}
	out := make([]float64, len(data)/t.Size())
	le := binary.LittleEndian
	for i := range out {
		e := data[i*t.Size():]
		switch t {
		case ir.F64:
			out[i] = math.Float64frombits(le.Uint64(e))
		case ir.F32:
			out[i] = float64(math.Float32frombits(le.Uint32(e)))
		case ir.BF16:
			out[i] = float64(half.BF16ToF32(le.Uint16(e)))
		case ir.F16:
			out[i] = float64(half.F16ToF32(le.Uint16(e)))
		case ir.I64:
			out[i] = float64(int64(le.Uint64(e)))
		case ir.I32:
			out[i] = float64(int32(le.Uint32(e)))
		case ir.I8:
			out[i] = float64(int8(e[0]))
		default:
			out[i] = float64(e[0])
		}
	}
	return out
}

// format is how blocks of t are read; every type in blocks has one.
func format(t ir.DType) quant.Format {
	f, err := quant.Lookup(t.String())
	if err != nil {
		panic(err)
	}
	return f
}

func encodeBlocks(t ir.DType, x []float64) []byte {
	f, narrow := format(t), make([]float32, len(x))
	for i, v := range x {
		narrow[i] = float32(v)
	}
	out := make([]byte, len(x)/f.Block*f.Bytes)
	if err := f.Encode(out, narrow); err != nil {
		panic(err)
	}
	return out
}

func decodeBlocks(t ir.DType, data []byte) []float64 {
	f := format(t)
	narrow := make([]float32, len(data)/f.Bytes*f.Block)
	if err := f.Decode(narrow, data); err != nil {
		panic(err)
	}
	out := make([]float64, len(narrow))
	for i, v := range narrow {
		out[i] = float64(v)
	}
	return out
}
