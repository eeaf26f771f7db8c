package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/cpu"

	"pipe.dev/kernels/half"
)

// pairTiers are the functions over pairs that this machine can run.
func pairTiers() map[string]Pairs {
	out := map[string]Pairs{"generic": GenericPairs()}
	if cpu.X86.HasAVX512BF16 && cpu.X86.HasAVX512BW {
		out["avx512bf16"] = BF16PairsZ()
	}
	return out
}

// elements are n numbers of bf16, some of them zeros of either sign.
func elements(r *rand.Rand, n int) []uint16 {
	x := make([]uint16, n)
	for i := range x {
		if r.IntN(8) == 0 {
			x[i] = uint16(r.IntN(2)) << 15
			continue
		}
		x[i] = half.F32ToBF16(float32(math.Ldexp(r.NormFloat64(), r.IntN(24)-12)))
	}
	return x
}

// testPairTile compares a tile over pairs with the chain over elements. Element (i, l) of
// x is at i*k+l.
func testPairTile(t *testing.T, what string, f Strided, byRow bool, r *rand.Rand, m, k int, x, w []uint16) {
	t.Helper()
	const ldb, ldc = 45, 37
	lda := k + 3
	if !byRow {
		lda = m + 2
	}
	a, b, c, bias := make([]float32, (m+2)*(k+3)), make([]float32, k*ldb+Panel), random(r, m*ldc), random(r, Panel)
	for i := range m {
		for l := range k {
			at := i*lda + l
			if !byRow {
				at = l*lda + i
			}
			a[at] = Pair(x[i*2*k+2*l], x[i*2*k+2*l+1])
		}
	}
	for l := range k {
		for j := range Panel {
			b[l*ldb+j] = Pair(w[2*l*Panel+j], w[(2*l+1)*Panel+j])
		}
	}
	want := append([]float32(nil), c...)
	for resume := range 2 {
		for _, bp := range []*float32{nil, &bias[0]} {
			f(k, &a[0], lda, (*byte)(unsafe.Pointer(&b[0])), ldb, &c[0], ldc, bp, resume)
			for i := range m {
				for j := range Panel {
					acc := float32(0)
					if resume != 0 {
						acc = want[i*ldc+j]
					}
					for l := range 2 * k {
						acc = FMA(half.BF16ToF32(x[i*2*k+l]), half.BF16ToF32(w[l*Panel+j]), acc)
					}
					if want[i*ldc+j] = acc; bp != nil {
						want[i*ldc+j] += bias[j]
					}
				}
			}
			sameBits(t, what, c, want)
		}
	}
}

// Every height and length of tiles over pairs gives the bits of the chain, the
// split ones also of subnormal numbers.
func TestPairTiles(t *testing.T) {
	for name, p := range pairTiers() {
		r := rand.New(rand.NewPCG(19, 20))
		for m := 1; m < len(p.ByRow); m++ {
			for _, k := range []int{1, 3, 4, 5, 64} {
				x, w := elements(r, m*2*k), elements(r, 2*k*Panel)
				what := fmt.Sprintf("%s: %d rows, %d pairs", name, m, k)
				testPairTile(t, what+" by row", p.ByRow[m], true, r, m, k, x, w)
				testPairTile(t, what+" by column", p.ByCol[m], false, r, m, k, x, w)
				for i := range w {
					if r.IntN(3) == 0 {
						w[i] = uint16(r.IntN(1<<16)) &^ 0x4000 // down to the smallest
					}
				}
				testPairTile(t, what+" by row, split", p.SplitByRow[m], true, r, m, k, x, w)
				testPairTile(t, what+" by column, split", p.SplitByCol[m], false, r, m, k, x, w)
			}
		}
		if !InOrder(p) {
			t.Errorf("%s: pairs are not added in order", name)
		}
	}
}

// A machine that sums the two products before it rounds is found out.
func TestInOrder(t *testing.T) {
	for what, sum := range map[string]func(acc, x0, w0, x1, w1 float32) float32{
		"lower first": func(acc, x0, w0, x1, w1 float32) float32 { return FMA(x0, w0, FMA(x1, w1, acc)) },
		"rounded once": func(acc, x0, w0, x1, w1 float32) float32 {
			return float32(float64(acc) + float64(x0)*float64(w0) + float64(x1)*float64(w1))
		},
		"products first": func(acc, x0, w0, x1, w1 float32) float32 { return acc + FMA(x0, w0, x1*w1) },
	} {
		p := GenericPairs()
		p.ByRow[1] = func(k int, a *float32, _ int, b *byte, ldb int, c *float32, _ int, _ *float32, _ int) {
			x, w, y := unsafe.Slice(a, k), unsafe.Slice((*float32)(unsafe.Pointer(b)), k*ldb), unsafe.Slice(c, Panel)
			clear(y)
			for l := range k {
				for j := range y {
					x0, x1 := halves(math.Float32bits(x[l]))
					w0, w1 := halves(math.Float32bits(w[l*ldb+j]))
					y[j] = sum(y[j], x0, w0, x1, w1)
				}
			}
		}
		if InOrder(p) {
			t.Errorf("%s: not found out", what)
		}
	}
	if !InOrder(GenericPairs()) {
		t.Error("the Go loop is not in order")
	}
}

// Pairs are made of the right elements, whose smallest is known.
func TestMakePairs(t *testing.T) {
	for name, p := range pairTiers() {
		r := rand.New(rand.NewPCG(21, 22))
		for _, n := range []int{16, 32, 80} {
			for _, pairs := range []int{1, 2, 5} {
				stride, ld := n+3, n+5
				x := elements(r, 2*pairs*stride)
				got, want := random(r, pairs*ld), []float32(nil)
				want = append(want, got...)
				var seen, all Smallest
				seen.Reset()
				all.Reset()
				for l := range pairs {
					for i := range n {
						upper, lower := x[2*l*stride+i], x[(2*l+1)*stride+i]
						want[l*ld+i] = Pair(upper, lower)
						all.See(upper)
						all.See(lower)
					}
				}
				p.Zip(pairs, n, (*byte)(unsafe.Pointer(&x[0])), 2*stride, &got[0], ld, &seen[0])
				sameBits(t, fmt.Sprintf("%s: %d pairs of rows of %d", name, pairs, n), got, want)
				if seen.Of() != all.Of() {
					t.Errorf("%s: %d pairs of rows of %d: smallest %#x, want %#x", name, pairs, n, seen.Of(), all.Of())
				}
			}
			x := elements(r, 2*n)
			got, want := make([]float32, n), make([]float32, n)
			var seen, all Smallest
			seen.Reset()
			all.Reset()
			for i := range want {
				want[i] = Pair(x[2*i], x[2*i+1])
				all.See(x[2*i])
				all.See(x[2*i+1])
			}
			p.Swap(n, (*byte)(unsafe.Pointer(&x[0])), &got[0], &seen[0])
			sameBits(t, fmt.Sprintf("%s: %d pairs of a row", name, n), got, want)
			if seen.Of() != all.Of() {
				t.Errorf("%s: %d pairs of a row: smallest %#x, want %#x", name, n, seen.Of(), all.Of())
			}
		}
	}
}

// What is said to have no subnormal numbers has none: neither elements nor
// sums of products, whatever cancels.
func TestNormal(t *testing.T) {
	see := func(x float64) uint16 { return half.F32ToBF16(float32(x))&math.MaxInt16 - 1 }
	for _, c := range []struct {
		x, w float64
		want bool
	}{
		{1, 1, true}, {0, 0, true}, {0, 0x1p-130, true},
		{0x1p-56, 0x1p-56, true}, {0x1.fcp-57, 0x1p-56, false}, {0x1p-112, 1, true}, {0x1.fcp-113, 1, false},
		{0x1p-126, 0x1p14, true}, {0x1p-127, 0x1p100, false}, {0x1p100, 0x1p-133, false},
	} {
		if got := Normal(see(c.x), see(c.w)); got != c.want {
			t.Errorf("from %g and %g on: %v, want %v", c.x, c.w, got, c.want)
		}
	}
	const least = 0x1p-126
	x, w := float32(0x1.02p-56), float32(0x1.02p-56) // the last places of both count
	sum := FMA(x, w, FMA(-0x1p-56, 0x1.04p-56, 0))
	if sum == 0 || math.Abs(float64(sum)) < least {
		t.Errorf("the sum %g is subnormal", sum)
	}
}
