package checkpoint

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
)

// put stores v as element i of type d.
func put(d ir.DType, b []byte, i int, v float64) {
	le := binary.LittleEndian
	switch d {
	case ir.F64:
		le.PutUint64(b[8*i:], math.Float64bits(v))
	case ir.F32:
		le.PutUint32(b[4*i:], math.Float32bits(float32(v)))
	case ir.F16:
		le.PutUint16(b[2*i:], half.F32ToF16(float32(v)))
	case ir.BF16:
		le.PutUint16(b[2*i:], half.F32ToBF16(float32(v)))
	}
}

func TestFirstNaN(t *testing.T) {
	largest := map[ir.DType]float64{ir.F64: math.MaxFloat64, ir.F32: math.MaxFloat32, ir.F16: 65504, ir.BF16: 0x1.fep127}
	r := rand.New(rand.NewPCG(3, 4))
	for d, big := range largest {
		for n := range 70 {
			b := make([]byte, n*d.Size()+1)[1:] // at an odd address
			for i := range n {
				put(d, b, i, []float64{0, math.Copysign(0, -1), 1, -big, big, r.NormFloat64()}[r.IntN(6)])
			}
			if got := FirstNaN(d, b); got != -1 {
				t.Fatalf("%s: %d of %d finite elements reported", d, got, n)
			}
			for i := n - 1; i >= 0; i-- { // later ones stay
				put(d, b, i, []float64{math.NaN(), math.Inf(1), math.Inf(-1), -math.NaN()}[r.IntN(4)])
				if got := FirstNaN(d, b); got != i {
					t.Fatalf("%s: element %d reported, want %d of %d", d, got, i, n)
				}
			}
		}
	}
	if got := FirstNaN(ir.I64, []byte{255, 255, 255, 255, 255, 255, 255, 255}); got != -1 {
		t.Errorf("integer %d reported", got)
	}
}

// Every 16-bit pattern and, for 32 and 64 bits, the patterns around the edge.
func TestFirstNaNPatterns(t *testing.T) {
	for i := range 1 << 16 {
		b := binary.LittleEndian.AppendUint16(nil, uint16(i))
		for d, f := range map[ir.DType]float32{ir.F16: half.F16ToF32(uint16(i)), ir.BF16: half.BF16ToF32(uint16(i))} {
			want := -1
			if f-f != 0 {
				want = 0
			}
			if got := FirstNaN(d, b); got != want {
				t.Fatalf("%s %#04x: %d, want %d", d, i, got, want)
			}
		}
	}
	for _, bits := range []uint32{0x7f7fffff, 0x7f800000, 0x7f800001, 0xff7fffff, 0xff800000, 0xffffffff, 0x7fffffff} {
		for _, at := range []int{0, 1} { // both halves of a word
			b := make([]byte, 40)
			binary.LittleEndian.PutUint32(b[4*at:], bits)
			want := -1
			if bits<<1 >= 0xff000000 {
				want = at
			}
			if got := FirstNaN(ir.F32, b); got != want {
				t.Errorf("%#08x: %d, want %d", bits, got, want)
			}
		}
	}
}

func BenchmarkFirstNaN(b *testing.B) {
	for _, d := range []ir.DType{ir.F64, ir.F32, ir.BF16, ir.F16} {
		b.Run(d.String(), func(b *testing.B) {
			data := make([]byte, 64<<20)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if FirstNaN(d, data) != -1 {
					b.Fatal("reported")
				}
			}
		})
	}
}
