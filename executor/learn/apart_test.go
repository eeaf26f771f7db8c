package learn

import (
	"encoding/binary"
	"math"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu"
	"pipe.dev/kernels/half"
)

// TestNarrowed: of more numbers than go at once, each arrives at its place, and nothing beside them changes.
func TestNarrowed(t *testing.T) {
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	const n, before = 2<<20 + 40_001, 64 // numbers, bytes
	from := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(from[4*i:], math.Float32bits(float32(1+i%251))) // which all types have
	}
	for d, wide := range map[ir.DType]func(uint16) float32{ir.BF16: half.BF16ToF32, ir.F16: half.F16ToF32} {
		b, err := be.Alloc(before + 2*n + 2)
		if err != nil {
			t.Fatal(err)
		}
		trainer := &Trainer{}
		if err := trainer.narrowed(d, from, kernels.Tensor{Buffer: b, Offset: before, DType: d, Shape: []int{n}}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, before+2*n+2)
		if err := b.Read(0, got); err != nil {
			t.Fatal(err)
		}
		for i := range len(got) / 2 {
			want := float32(0)
			if at := i - before/2; at >= 0 && at < n {
				want = float32(1 + at%251)
			}
			if x := wide(binary.LittleEndian.Uint16(got[2*i:])); x != want {
				t.Fatalf("%v: number %d is %v, want %v", d, i-before/2, x, want)
			}
		}
		if err := b.Free(); err != nil {
			t.Error(err)
		}
	}
}
