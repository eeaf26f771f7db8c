package gauge

import (
	"encoding/binary"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/internal/philox"
	"pipe.dev/kernels"
	"pipe.dev/kernels/half"
)

// deviation of the values that stand for weights and for what was not
// computed.
const deviation = 0.02

// patternElems is how many values there are before they repeat.
const patternElems = 1 << 13

// pattern gives values of an element type in bytes: normal numbers, or ones.
// Of types that hold no numbers to compute with, it gives zeros and ones.
func pattern(d ir.DType, ones bool) []byte {
	out := make([]byte, 0, patternElems*d.Size())
	for i := range uint64(patternElems) {
		x := deviation * philox.Normal(1, i)
		if ones {
			x = 1
		}
		switch d {
		case ir.F64:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
		case ir.F32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
		case ir.BF16:
			out = binary.LittleEndian.AppendUint16(out, half.F32ToBF16(float32(x)))
		case ir.F16:
			out = binary.LittleEndian.AppendUint16(out, half.F32ToF16(float32(x)))
		case ir.I64, ir.I32:
			out = append(out, make([]byte, d.Size())...)
		default:
			out = append(out, byte(i%2))
		}
	}
	return out
}

// fill repeats a pattern over memory.
func fill(b kernels.Buffer, offset, bytes int64, pattern []byte) error {
	for bytes > 0 {
		n := min(bytes, int64(len(pattern)))
		if err := b.Write(offset, pattern[:n]); err != nil {
			return err
		}
		offset, bytes = offset+n, bytes-n
	}
	return nil
}

// fillState gives a state what it holds when a run begins, once.
func (g *gauge) fillState(st plan.State) error {
	if g.filled[st.Path] {
		return nil
	}
	g.filled[st.Path] = true
	t, ok := g.store.Tensor(st.Path)
	if !ok || st.Init == "zeros" || st.Kind == ir.Cache || !st.Type.DType.Float() && !st.Type.DType.Blocked() {
		return nil // as it was allocated
	}
	return fill(t.Buffer, t.Offset, st.Bytes, pattern(st.Type.DType, st.Init == "ones"))
}
