package kerneltest

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/half"
)

// Encode gives the little-endian bytes of x at an element type, each element
// rounded to it.
func Encode(t ir.DType, x []float64) []byte {
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

// bounds of input i of a case.
func bounds(c op.Case, i int) (low, high float64) {
	if b, ok := c.Bounds[i]; ok {
		return b[0], b[1]
	}
	return c.Low, c.High
}

// sample draws the inputs of a case, the same ones each time, exactly as the
// element types hold them. An input that is left out is nil.
func sample(name string, c op.Case, in []ir.Type) [][]float64 {
	h := fnv.New64a()
	fmt.Fprint(h, name, "/", c.Name)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	out := make([][]float64, len(in))
	for i, t := range in {
		if t.DType == ir.Invalid {
			continue
		}
		low, high := bounds(c, i)
		x := make([]float64, t.Elems())
		for k := range x {
			if t.DType.Float() {
				x[k] = low + r.Float64()*(high-low)
			} else {
				x[k] = low + float64(r.Int64N(int64(high-low)+1))
			}
		}
		out[i] = Decode(t.DType, Encode(t.DType, x))
	}
	return out
}

// epsilon is the distance of 1 from the next number of a type.
func epsilon(t ir.DType) float64 {
	switch t {
	case ir.BF16:
		return 1. / 128
	case ir.F16:
		return 1. / 1024
	}
	return 0
}

// near compares an output with what it should be: whole numbers exactly, others
// to tol relative to max(1, |want|).
func near(t ir.DType, got, want []float64, tol float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d elements, want %d", len(got), len(want))
	}
	if !t.Float() {
		tol = 0
	}
	worst, at := 0., -1
	for i, w := range want {
		if t == ir.F16 || t == ir.BF16 { // so that what overflows is infinite in both
			w = Decode(t, Encode(t, want[i:i+1]))[0]
		}
		g := got[i]
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		off := math.Abs(g-w) / math.Max(1, math.Abs(w))
		if !(off <= tol) && !(off <= worst) {
			worst, at = off, i
			if math.IsNaN(off) {
				break
			}
		}
	}
	if at >= 0 {
		return fmt.Errorf("element %d is %v, want %v (off by %.2g, tolerance %.2g)", at, got[at], want[at], worst, tol)
	}
	return nil
}
