package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/cpu"

	"pipe.dev/kernels/half"
)

// tiers are the kernels that this machine can run.
func tiers(t testing.TB) map[string]Kernels {
	out := map[string]Kernels{"generic": Generic()}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && CPUID1()>>29&1 == 1 {
		out["avx2"] = AVX2()
	}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW {
		out["avx512"] = AVX512()
	}
	if len(out) == 1 {
		t.Log("this CPU has neither AVX2 with FMA and F16C nor AVX-512")
	}
	return out
}

// The AVX2 kernels must not use an instruction that only AVX-512 has.
func TestAVX2NeedsNoAVX512(t *testing.T) {
	for _, file := range []string{"avx2_amd64.s", "avx2_vector_amd64.s", "avx2_blocks_amd64.s"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "Requires:"); n < 20 {
			t.Fatalf("%s: %d functions say what they require, want 20 or more", file, n)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "AVX512") {
				t.Errorf("%s: %s", file, line)
			}
		}
	}
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// store narrows x, and returns it with the values that were kept.
func store(s Storage, x []float32) *byte {
	if s == F32 {
		return (*byte)(unsafe.Pointer(&x[0]))
	}
	out := make([]uint16, len(x))
	for i, v := range x {
		if s == BF16 {
			out[i] = half.F32ToBF16(v)
			x[i] = half.BF16ToF32(out[i])
		} else {
			out[i] = half.F32ToF16(v)
			x[i] = half.F16ToF32(out[i])
		}
	}
	return (*byte)(unsafe.Pointer(&out[0]))
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

// No kernel uses an instruction of SSE: with the upper halves of vectors in use
// each costs more than a hundred cycles.
func TestNoSSE(t *testing.T) {
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files of assembly: %v", len(files), err)
	}
	old := regexp.MustCompile(`(?m)^\t[A-UW-Z]\w*[ \t].*\b[XYZ]\d+\b.*$`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range old.FindAllString(string(text), 3) {
			if !strings.HasPrefix(line, "\tK") { // of masks
				t.Errorf("%s: %s", file, line)
			}
		}
	}
}

// Every height, storage and length gives the bits of the chain of FMAs.
func TestStrided(t *testing.T) {
	for name, kernels := range tiers(t) {
		r := rand.New(rand.NewPCG(3, 5))
		for m := 1; m <= kernels.Rows; m++ {
			for _, k := range []int{0, 1, 3, 4, 5, 64} {
				what := fmt.Sprintf("%s: %d rows, k %d", name, m, k)
				for s := F32; s <= F16; s++ {
					testStrided(t, fmt.Sprintf("%s by row, %d", what, s), kernels.ByRow[s][m], r, s, m, k, k+3, 1, Panel)
				}
				testStrided(t, what+" by column", kernels.ByCol[m], r, F32, m, k, 1, m+2, Panel)
			}
		}
	}
}

// Element (i, l) of a is at i*down + l*along.
func testStrided(t *testing.T, what string, f Strided, r *rand.Rand, s Storage, m, k, down, along, width int) {
	const ldb, ldc = 45, 37
	lda := max(down, along)
	a, b, bias := random(r, m*down+k*along), random(r, k*ldb+Panel), random(r, Panel)
	w := store(s, b)
	c := random(r, m*ldc)
	want := append([]float32(nil), c...)
	for _, resume := range []int{0, 1} {
		for _, bp := range []*float32{nil, &bias[0]} {
			f(k, &a[0], lda, w, ldb, &c[0], ldc, bp, resume)
			for i := range m {
				for j := range width {
					acc := float32(0)
					if resume != 0 {
						acc = want[i*ldc+j]
					}
					for l := range k {
						acc = FMA(a[i*down+l*along], b[l*ldb+j], acc)
					}
					if bp != nil {
						acc += bias[j]
					}
					want[i*ldc+j] = acc
				}
			}
			sameBits(t, what, c, want)
		}
	}
}

// Scores and Values are tiles of Strided, panel after panel.
func TestPanels(t *testing.T) {
	for name, kernels := range tiers(t) {
		r := rand.New(rand.NewPCG(9, 10))
		for m := 1; m <= kernels.Rows; m++ {
			for _, k := range []int{0, 1, 4, 7, 64} {
				lda, apart, ldc := k+3, k*Panel+16, 3*Panel+5
				a, b, c, shrink := random(r, m*lda+1), random(r, 3*apart), random(r, m*ldc), random(r, m)
				one, half := strided(1, F32, true, Panel), strided(1, F32, true, Panel/2)
				got, want := slices.Clone(c), slices.Clone(c)
				kernels.Scores[m](k, &a[0], lda, &b[0], apart, 3, &got[0], ldc)
				for i := range 3 * m {
					row, p := i/3, i%3*Panel
					one(k, &a[row*lda], lda, store(F32, b[i%3*apart:]), Panel, &want[row*ldc+p], ldc, nil, 0)
				}
				sameBits(t, fmt.Sprintf("%s: scores of %d rows, k %d", name, m, k), got, want)
				for _, width := range []int{1, 16, 17, 32, 48, 64, 80, 96} {
					got, want := slices.Clone(c), slices.Clone(c)
					kernels.Values[m](k, &a[0], lda, &b[0], apart, width, &got[0], ldc, &shrink[0])
					for i := range 3 * m {
						row, p, f := i/3, i%3*Panel, one
						if width-p <= Panel/2 {
							f = half
						}
						for j := p; j < min(p+Panel, multipleOf(width, Panel/2)); j++ {
							want[row*ldc+j] *= shrink[row]
						}
						if p < width {
							f(k, &a[row*lda], lda, store(F32, b[i%3*apart:]), Panel, &want[row*ldc+p], ldc, nil, 1)
						}
					}
					sameBits(t, fmt.Sprintf("%s: values of %d rows, k %d, width %d", name, m, k, width), got, want)
				}
			}
		}
	}
}

func multipleOf(n, unit int) int { return (n + unit - 1) / unit * unit }

func TestGemv(t *testing.T) {
	for name, kernels := range tiers(t) {
		r := rand.New(rand.NewPCG(5, 6))
		one := Generic()
		p := kernels.Panels
		for s := F32; s <= F16; s++ {
			for _, k := range []int{0, 1, 5, 32} {
				stride := (Panel*k + 3) * sizes[s]
				x, bias := random(r, k+1), random(r, p*Panel)
				w := store(s, random(r, p*stride/sizes[s]+1))
				got, want := random(r, p*Panel), make([]float32, p*Panel)
				for _, bp := range []*float32{nil, &bias[0]} {
					kernels.Gemv[s](k, &x[0], w, stride, &got[0], bp)
					for i := range p {
						one.Gemv[s](k, &x[0], at(w, i*stride), stride, &want[i*Panel], nil)
					}
					if bp != nil {
						for i := range want {
							want[i] += bias[i]
						}
					}
					sameBits(t, fmt.Sprintf("%s %d: k %d", name, s, k), got, want)
				}
			}
		}
	}
}

func TestMix(t *testing.T) {
	for name, kernels := range tiers(t) {
		r := rand.New(rand.NewPCG(7, 8))
		want := Generic()
		for s := F32; s <= F16; s++ {
			for _, d := range []int{1, 7, 8, 15, 16, 24, 33, 64, 80, 128, 131} {
				for _, n := range []int{1, 2, 5} {
					what := fmt.Sprintf("%s %d: n %d, d %d", name, s, n, d)
					stride := (d + 2) * sizes[s]
					values := store(s, random(r, n*(d+2)))
					p, a := random(r, n), random(r, d+1)
					b := append([]float32(nil), a...)
					kernels.Mix[s](n, d, &p[0], values, stride, &a[0])
					want.Mix[s](n, d, &p[0], values, stride, &b[0])
					sameBits(t, what, a, b)
				}
			}
		}
	}
}

func TestDots(t *testing.T) {
	for tier, k := range tiers(t) {
		r := rand.New(rand.NewPCG(9, 10))
		for s, f := range k.Dots {
			for _, c := range []struct{ m, n, k, gap int }{{1, 16, 16, 0}, {4, 48, 64, 32}, {5, 32, 128, 16}, {2, 16, 48, 3}} {
				rows := c.k + c.gap
				q, keys := random(r, c.m*rows), random(r, c.n*rows)
				stored := store(Storage(s), keys)
				got, want := random(r, c.m*(c.n+1)), make([]float32, c.m*(c.n+1))
				copy(want, got)
				for i := range c.m {
					for j := range c.n {
						for l := range c.k {
							want[i*(c.n+1)+j] = FMA(q[i*rows+l], keys[j*rows+l], want[i*(c.n+1)+j])
						}
					}
				}
				size := sizes[s]
				f(c.m, c.n, c.k, &q[0], rows, stored, rows*size, &got[0], c.n+1)
				sameBits(t, fmt.Sprintf("%s, %v, %+v", tier, s, c), got, want)
			}
		}
	}
}

func TestInterleave(t *testing.T) {
	for name, kernels := range tiers(t) {
		r := rand.New(rand.NewPCG(9, 10))
		for s := F32; s <= F16; s++ {
			for m := 1; m <= 33; m++ {
				for _, k := range []int{16, 48} {
					stride := k + 3
					x := random(r, m*stride)
					rows := store(s, x)
					got := make([]float32, m*k+15)
					kernels.Interleave[s](m, k, rows, stride*sizes[s], &got[0])
					want := make([]float32, m*k)
					for i := range m {
						for l := range k {
							want[l*m+i] = x[i*stride+l]
						}
					}
					sameBits(t, fmt.Sprintf("%s %d: %d rows, k %d", name, s, m, k), got, want)
				}
			}
		}
	}
}
