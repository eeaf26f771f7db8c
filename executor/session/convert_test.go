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
	for _, from := range []ir.DType{ir.F64, ir.BF16} {
		if got, err := convert(from, ir.T(ir.BF16, 3, 64), files[from]); err != nil || !bytes.Equal(got, files[ir.BF16]) {
			t.Errorf("%v as bf16: %v", from, err)
		}
	}
	if _, err := convert(ir.F32, ir.T(ir.F16, 3, 64), files[ir.F32]); err == nil || err.Error() != "element 40 is 1e+09, and f16 ends at 65504" {
		t.Errorf("a weight beyond f16: %v", err)
	}
}
