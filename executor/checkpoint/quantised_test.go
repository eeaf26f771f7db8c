package checkpoint

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

const quantisedFolder = "../../testdata/golden/quantised"

// floats reads a tensor of any type as f32.
func floats(t *testing.T, d ir.DType, data []byte) []float32 {
	t.Helper()
	var out []float32
	switch {
	case d == ir.F32:
		for ; len(data) > 0; data = data[4:] {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(data)))
		}
	case d == ir.BF16:
		for ; len(data) > 0; data = data[2:] {
			out = append(out, half.BF16ToF32(binary.LittleEndian.Uint16(data)))
		}
	case d.Blocked():
		f, err := quant.Lookup(d.String())
		if err != nil {
			t.Fatal(err)
		}
		out = make([]float32, len(data)/f.Bytes*f.Block)
		if err := f.Decode(out, data); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("%v is no type of weights", d)
	}
	return out
}

// What quantised checkpoints hold stands for what the reference makes of it,
// bit for bit.
func TestUnpack(t *testing.T) {
	types := map[string]ir.DType{"codes_e4m3.weight": ir.BF16, "gptq32.weight": ir.Q4_G32, "awq32.weight": ir.Q4_G32, "gptq16.weight": ir.F32, "ordered.weight": ir.F32}
	for _, name := range []string{"float8", "packed", "grouped", "normed"} {
		t.Run(name, func(t *testing.T) {
			c := open(t, filepath.Join(quantisedFolder, name+".safetensors"))
			if err := c.Unpack(); err != nil {
				t.Fatal(err)
			}
			want := open(t, filepath.Join(quantisedFolder, name+".expected.safetensors"))
			if !slices.Equal(c.names(), want.names()) {
				t.Errorf("tensors %v, want %v", c.names(), want.names())
			}
			for _, w := range want.Tensors() {
				got, ok := c.Lookup(w.Name)
				if !ok || !slices.Equal(got.Shape, w.Shape) {
					t.Errorf("%s: %+v, want shape %v", w.Name, got, w.Shape)
					continue
				}
				if d, ok := types[w.Name]; ok && got.DType != d {
					t.Errorf("%s is of type %v, want %v", w.Name, got.DType, d)
				}
				a, b := view(t, c, w.Name), view(t, want, w.Name)
				if int64(len(a)) != got.Bytes {
					t.Errorf("%s has %d bytes, want %d", w.Name, len(a), got.Bytes)
				}
				if got.DType == w.DType && !got.DType.Float() {
					if !bytes.Equal(a, b) {
						t.Errorf("%s: %v, want %v", w.Name, a, b)
					}
					continue
				}
				x, y := floats(t, got.DType, a), floats(t, w.DType, b)
				for i := range y {
					if math.Float32bits(x[i]) != math.Float32bits(y[i]) && !(x[i] != x[i] && y[i] != y[i]) {
						t.Fatalf("%s: element %d is %v, want %v", w.Name, i, x[i], y[i])
					}
				}
			}
		})
	}
}

// Ordinary weights stay as they are.
func TestUnpackPlain(t *testing.T) {
	double := filepath.Join(folder(t, map[string]string{"w.safetensors": file(`{"a.weight":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}`, 16)}), "w.safetensors")
	for _, path := range []string{"testdata/sharded", double} {
		c := open(t, path)
		before := c.Tensors()
		if err := c.Unpack(); err != nil || !reflect.DeepEqual(c.Tensors(), before) {
			t.Errorf("%v, %v", err, c.Tensors())
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	tensor := func(name, dtype, shape string, at, n int) string {
		return `"` + name + `":{"dtype":"` + dtype + `","shape":` + shape + `,"data_offsets":[` + strconv.Itoa(at) + `,` + strconv.Itoa(at+n) + `]}`
	}
	for name, c := range map[string]struct {
		text, fact string
		size       int
	}{
		"mxfp4":        {tensor("a.x_blocks", "U8", "[4]", 0, 4) + "," + tensor("a.x_scales", "U8", "[4]", 4, 4), `tensor "a.x_blocks": is packed as MXFP4`, 8},
		"bitsandbytes": {tensor("a.weight.absmax", "U8", "[4]", 0, 4), "packed by bitsandbytes", 4},
		"F4":           {tensor("a", "F4", "[4]", 0, 2), `tensor "a": is of dtype F4, which is not read`, 2},
		"F6":           {tensor("a", "F6_E2M3", "[4]", 0, 3), "is of dtype F6_E2M3, which is not read", 3},
		"other F8":     {tensor("a", "F8_E4M3FNUZ", "[4]", 0, 4), "is of dtype F8_E4M3FNUZ, which is not read", 4},
		"scale shape":  {tensor("a.weight", "F8_E4M3", "[2,3]", 0, 6) + "," + tensor("a.weight_scale", "BF16", "[5]", 6, 10), "has scales that fit neither it nor its rows (a.weight_scale has shape [5])", 16},
		"scale blocks": {tensor("a.weight", "F8_E4M3", "[2,3]", 0, 6) + "," + tensor("a.weight_scale", "BF16", "[5,1]", 6, 10), "has scales that fit no blocks", 16},
		"scale dtype":  {tensor("a.weight", "I8", "[2]", 0, 2) + "," + tensor("a.weight_scale", "U8", "[1]", 2, 1), "has scales of dtype U8", 3},
		"zero point":   {tensor("a.weight", "I8", "[2]", 0, 2) + "," + tensor("a.weight_scale", "BF16", "[1]", 2, 2) + "," + tensor("a.weight_zero_point", "I8", "[1]", 4, 1), "zero points", 5},
		"gptq alone":   {tensor("a.qweight", "I32", "[1,8]", 0, 32), "neither GPTQ's nor AWQ's of 4 bits", 32},
		"gptq 3 bits": {tensor("a.qweight", "I32", "[3,32]", 0, 384) + "," + tensor("a.qzeros", "I32", "[1,3]", 384, 12) + "," + tensor("a.scales", "F16", "[1,32]", 396, 64),
			"is not of 4 bits", 460},
		"packed shape": {tensor("a.weight_packed", "I32", "[1,1]", 0, 4) + "," + tensor("a.weight_scale", "BF16", "[1,1]", 4, 2) + "," + tensor("a.weight_shape", "I64", "[2]", 6, 16), "stands for [0, 0], which does not fit", 22},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t, map[string]string{"w.safetensors": file("{"+c.text+"}", c.size)}), "w.safetensors")
			k := open(t, path)
			checkError(t, k.Unpack(), path, c.fact)
		})
	}
}
