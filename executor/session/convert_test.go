package session

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// Weights become the blocks that package quant makes of them, whatever type
// they are stored in.
func TestQuantise(t *testing.T) {
	f, err := quant.Lookup("q8_0")
	if err != nil {
		t.Fatal(err)
	}
	x, files := make([]float32, 3*64), map[ir.DType][]byte{}
	for i := range x {
		x[i] = half.BF16ToF32(half.F32ToBF16(float32(math.Sin(float64(i)))))
		files[ir.F32] = binary.LittleEndian.AppendUint32(files[ir.F32], math.Float32bits(x[i]))
		files[ir.F64] = binary.LittleEndian.AppendUint64(files[ir.F64], math.Float64bits(float64(x[i])))
		files[ir.BF16] = binary.LittleEndian.AppendUint16(files[ir.BF16], half.F32ToBF16(x[i]))
	}
	want := make([]byte, 6*f.Bytes)
	if err := f.Encode(want, x); err != nil {
		t.Fatal(err)
	}
	for d, data := range files {
		if got, err := convert(d, ir.T(ir.Q8_0, 3, 64), data); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: other blocks than quant makes, error %v", d, err)
		}
	}
	binary.LittleEndian.PutUint32(files[ir.F32][4*40:], math.Float32bits(1e9))
	if _, err := convert(ir.F32, ir.T(ir.Q8_0, 3, 64), files[ir.F32]); err == nil || !strings.HasPrefix(err.Error(), "block 1: q8_0: weight 8 is 1e+09") {
		t.Errorf("a weight beyond the format: %v", err)
	}
	if _, err := convert(ir.I32, ir.T(ir.Q8_0, 3, 64), files[ir.F32]); err == nil {
		t.Error("whole numbers were quantised")
	}
	if _, err := convert(ir.F32, ir.T(ir.BF16, 3, 64), files[ir.F32]); err == nil {
		t.Error("f32 was read as bf16")
	}
}
