package cpu

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/quant"
)

// What is appended to a cache in blocks is encoded as weights are, at its place
// alone; rows beyond the cache are dropped.
func TestAppendInBlocks(t *testing.T) {
	const batch, ctx, seq, groups, d, row = 2, 7, 3, 2, 64, 2 * 64 / 32 * 34
	f, err := quant.Lookup("q8_0")
	if err != nil {
		t.Fatal(err)
	}
	for tier, b := range backends(t, 2) {
		r := rand.New(rand.NewPCG(5, 6))
		x := random(r, batch*seq*groups*d)
		for i := range 32 {
			x[i] = []float32{0, -3, 2.5, 0.5}[i%4] // ties of the rounding
			x[32+i] = 0
		}
		cache, out := put(t, b, ir.Q8_0, random(r, batch*ctx*groups*d), "", batch, ctx, groups, d), put(t, b, ir.Q8_0, nil, "", batch, ctx, groups, d)
		want, got := make([]byte, batch*ctx*row), make([]byte, batch*ctx*row)
		if err := cache.Buffer.Read(0, want); err != nil {
			t.Fatal(err)
		}
		for z, past := range []int{2, 6} {
			for s := range seq {
				if past+s < ctx {
					at := (z*ctx + past + s) * row
					if err := f.Encode(want[at:at+row], x[(z*seq+s)*groups*d:][:groups*d]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		in := []kernels.Tensor{cache, put(t, b, ir.F32, x, "", batch, seq, groups, d), put(t, b, ir.I32, []float32{2, 6}, "", batch)}
		for _, y := range []kernels.Tensor{out, cache} { // beside the cache, and in its place
			run(t, b, "cache_append", nil, in, y)
			if err := y.Buffer.Read(0, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: the cache is not what quant.Encode gives", tier)
			}
		}
	}
}

// A value that is not finite makes its block NaN, and no other.
func TestAppendNotFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 3e38} {
		x, out := make([]float32, 64), make([]byte, 68)
		x[3], x[40] = bad, 1
		quantiseQ8(out, x)
		b := open(t, Options{})
		b.asm.WidenQ8(x, out)
		for i, v := range x {
			if want := float32(0); i >= 32 && (i == 40 && math.Abs(float64(v-1)) > 1e-3 || i != 40 && v != want) || i < 32 && v == v {
				t.Errorf("with %g, value %d becomes %g", bad, i, v)
			}
		}
	}
}

// Attention over a narrow cache differs from that over f32 by no more than the
// values that it keeps do: the weights of a softmax move by at most twice the
// error of a score, and the result by that of the values.
func TestNarrowCache(t *testing.T) {
	const seq, heads, groups, d = 200, 4, 2, 64
	one := newCached(rand.New(rand.NewPCG(3, 4)), seq, heads, groups, d)
	b := open(t, Options{Threads: 2})
	at := op.AttentionAttr{Causal: true}
	want := attend(t, b, at, ir.F32, seq, seq-1, seq, one)
	greatest, norm := 0., 0.
	for _, v := range one.k {
		greatest = max(greatest, math.Abs(float64(v)))
	}
	for _, v := range one.v {
		greatest = max(greatest, math.Abs(float64(v)))
	}
	for h := range heads {
		sum := 0.
		for _, v := range one.q[((seq-1)*heads+h)*d:][:d] {
			sum += math.Abs(float64(v))
		}
		norm = max(norm, sum)
	}
	for kv, unit := range map[ir.DType]float64{ir.BF16: 1. / 256, ir.F16: 1. / 2048, ir.Q8_0: 1. / 250} {
		off := unit * greatest // of a key or a value
		score := off * norm / math.Sqrt(d)
		bound := off + greatest*(math.Exp(2*score)-1)
		for i, v := range attend(t, b, at, kv, seq, seq-1, seq, one) {
			if diff := math.Abs(float64(v - want[i])); diff > bound {
				t.Fatalf("%v: element %d is off by %g, want at most %g", kv, i, diff, bound)
			}
		}
	}
}
