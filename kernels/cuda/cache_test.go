//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/quant"
)

// What is appended to a cache in blocks is encoded as weights are, at its place
// alone; rows beyond the cache are dropped. A value that is not finite makes its block
// NaN, and no other.
func TestAppendInBlocks(t *testing.T) {
	const batch, ctx, seq, groups, d, row = 2, 7, 3, 2, 64, 2 * 64 / 32 * 34
	f, err := quant.Lookup("q8_0")
	if err != nil {
		t.Fatal(err)
	}
	b, r := open(t), rand.New(rand.NewPCG(5, 6))
	x := make([]float32, batch*seq*groups*d)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for i := range 32 {
		x[i] = []float32{0, -3, 2.5, 0.5}[i%4] // ties of the rounding
		x[32+i] = 0
	}
	old := make([]byte, batch*ctx*row)
	for i := range old {
		old[i] = byte(r.Uint32())
	}
	want := bytes.Clone(old)
	for z, past := range []int{2, 6} {
		for s := range seq {
			if past+s < ctx {
				if err := f.Encode(want[(z*ctx+past+s)*row:][:row], x[(z*seq+s)*groups*d:][:groups*d]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	cache, beside := put(t, b, ir.Q8_0, "", old, batch, ctx, groups, d), put(t, b, ir.Q8_0, "", nil, batch, ctx, groups, d)
	past := put(t, b, ir.I32, "", cases.Encode(ir.I32, []float64{2, 6}), batch)
	got := make([]byte, len(old))
	to := func(x []float32, y kernels.Tensor) {
		t.Helper()
		in := []kernels.Tensor{cache, put(t, b, ir.F32, "", f32Bytes(x), batch, seq, groups, d), past}
		k, ok := b.Kernel("cache_append", nil, []ir.Type{ir.T(ir.Q8_0, cache.Shape...), ir.T(ir.F32, in[1].Shape...), ir.T(ir.I32, batch)}, []ir.Type{ir.T(ir.Q8_0, cache.Shape...)})
		if !ok {
			t.Fatal("no kernel")
		}
		step, err := k.Bind(kernels.Args{In: in, Out: []kernels.Tensor{y}})
		if err == nil {
			err = step(t.Context())
		}
		if err == nil {
			err = y.Buffer.Read(0, got)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, y := range []kernels.Tensor{beside, cache} {
		if to(x, y); !bytes.Equal(got, want) {
			t.Error("the cache is not what quant.Encode gives")
		}
	}
	for i, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 3e38} {
		x[64+i*groups*d/2] = bad
	}
	to(x, cache)
	for z, blocks := range map[int][]int{2: {2}, 3: {0, 2}, 4: nil} {
		values := make([]float32, groups*d)
		if err := f.Decode(values, got[z*row:][:row]); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if math.IsNaN(float64(v)) != slices.Contains(blocks, i/32) {
				t.Errorf("row %d: element %d is %v", z, i, v)
			}
		}
	}
}
