package lift

import (
	"encoding/binary"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/onnx"
)

// Values are the values of a weight, little-endian, outermost axis first. Those
// of a constant that stayed in its file are read now.
func (w *Weight) Values() ([]byte, error) {
	src := w.from.src
	if src == nil || w.from.nums != nil && w.from.typ.DType != ir.F32 {
		return floats(w.from.nums), nil
	}
	data, err := w.read(src.tensor)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != src.tensor.Bytes {
		return nil, fmt.Errorf("tensor %s has %d bytes, want %d", onnx.Show(src.tensor.Name), len(data), src.tensor.Bytes)
	}
	if w.from.typ.DType != ir.F32 { // whole numbers and truth values are weights as f32
		nums := numbers(src.tensor.DType, data)
		if src.perm != nil {
			nums = transposed(nums, src.tensor.Shape, src.perm)
		}
		return floats(nums), nil
	}
	if src.perm == nil {
		return data, nil
	}
	return turned(data, widths[src.tensor.DType], src.tensor.Shape, src.perm), nil
}

func floats(nums []float64) []byte {
	out := make([]byte, 0, 4*len(nums))
	for _, x := range nums {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
	}
	return out
}

// turned gives elements of some bytes another order of axes.
func turned(data []byte, width int, shape, perm []int) []byte {
	out := make([]byte, 0, len(data))
	walk(shape, perm, func(i int) { out = append(out, data[i*width:(i+1)*width]...) })
	return out
}
