package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Sums over taps are those of the Go loops.
func TestTaps(t *testing.T) {
	const channels, taps, nextA, nextB, ldc = 3, 7, 200, 100, Panel + 5
	r := rand.New(rand.NewPCG(11, 12))
	a, b, before := random(r, 1024), random(r, 1024), random(r, 12*ldc+500)
	at := make([]int, 2*taps)
	for i := range taps {
		at[2*i], at[2*i+1] = 4*16*(taps-1-i), 4*5*i
	}
	generic := genericWindows()
	for name, kernels := range tiers(t) {
		for load := range 2 {
			for m := 1; m <= kernels.Rows; m++ {
				got, want := slices.Clone(before), slices.Clone(before)
				kernels.Taps[m](channels, taps, &a[0], nextA, &b[0], nextB, &at[0], &got[0], ldc, load)
				for i := range m {
					generic.Taps[1](channels, taps, &a[i], nextA, &b[0], nextB, &at[0], &want[i*ldc], ldc, load)
				}
				sameBits(t, fmt.Sprintf("%s: %d rows, load %d", name, m, load), got, want)
			}
			for _, n := range []int{1, 15, 16, 67, 128, 333} {
				got, want := slices.Clone(before), slices.Clone(before)
				kernels.Weighted(n, taps, &a[0], &b[0], &at[0], &got[0], load)
				generic.Weighted(n, taps, &a[0], &b[0], &at[0], &want[0], load)
				sameBits(t, fmt.Sprintf("%s: %d in a row, load %d", name, n, load), got, want)
			}
		}
	}
}

// Sums of products of rows with what taps see are those of the Go loops.
func TestCorrelate(t *testing.T) {
	const next = 333
	r := rand.New(rand.NewPCG(17, 18))
	x, dy, before := random(r, 400), random(r, 4*next), random(r, 12*CorrelateLanes)
	at := []int{4 * 5, 0, 4 * 17, 4, 4 * 60, 4 * 60}
	generic := genericWindows()
	for name, kernels := range tiers(t) {
		for m := 1; m < len(CorrelateTaps); m++ {
			for _, n := range []int{16, 48, 320} {
				for load := range 2 {
					got, want := slices.Clone(before), slices.Clone(before)
					kernels.Correlate[m](n, &dy[0], next, &x[0], &at[0], &got[0], load)
					generic.Correlate[m](n, &dy[0], next, &x[0], &at[0], &want[0], load)
					sameBits(t, fmt.Sprintf("%s: %d rows, %d elements, load %d", name, m, n, load), got, want)
				}
			}
		}
	}
}

// Steps of Fourier transforms are those of the Go loops, and of the formula.
func TestButterflies(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	w, x, before := random(r, 14), random(r, 10*340), random(r, 10*340)
	generic := genericWindows()
	for name, kernels := range tiers(t) {
		for _, n := range []int{1, 7, 8, 16, 67, 333} {
			for _, c := range []struct {
				what      string
				radix     int
				fast, own Butterfly
			}{
				{"quarters", 4, kernels.Quarters, generic.Quarters},
				{"windowed quarters", 4, kernels.WindowedQuarters, generic.WindowedQuarters},
				{"pairs", 2, kernels.Pairs, generic.Pairs},
				{"fifths", 5, kernels.Fifths, generic.Fifths},
			} {
				w, row, im := slices.Clone(w), n+3, c.radix*(n+3)
				if c.radix == 5 {
					for i := range 2 {
						sin, cos := math.Sincos(2 * math.Pi * float64(i+1) / 5)
						w[8+i], w[10+i] = float32(cos), float32(sin)
					}
				}
				got, want := slices.Clone(before), slices.Clone(before)
				c.fast(n, &w[0], &x[0], &x[im], 4*row, &got[im], &got[0], 4*row)
				c.own(n, &w[0], &x[0], &x[im], 4*row, &want[im], &want[0], 4*row)
				sameBits(t, fmt.Sprintf("%s: %s of %d", name, c.what, n), got, want)
				for e := range c.radix * n {
					i, j := e/n, e%n
					var y complex128
					for k := range c.radix {
						re, imag := float64(x[k*row+j]), float64(x[im+k*row+j])
						if c.what == "windowed quarters" {
							re, imag = re*float64(w[6+2*k]), imag*float64(w[7+2*k])
						}
						sin, cos := math.Sincos(2 * math.Pi * float64(i*k) / float64(c.radix))
						y += complex(re, imag) * complex(cos, -sin)
					}
					if i > 0 {
						y *= complex(float64(w[2*i-2]), float64(w[2*i-1]))
					}
					if d := y - complex(float64(got[im+i*row+j]), float64(got[i*row+j])); math.Hypot(real(d), imag(d)) > 1e-5 {
						t.Fatalf("%s: %s, row %d, element %d: off by %v", name, c.what, i, j, d)
					}
				}
			}
			row := n + 3
			got, want := slices.Clone(before), slices.Clone(before)
			for y, f := range map[*[]float32]RealBins{&got: kernels.RealBins, &want: generic.RealBins} {
				f(n, &w[0], &x[0], &x[row], &x[2*row], &x[3*row], &(*y)[0], &(*y)[row], &(*y)[2*row], &(*y)[3*row])
			}
			sameBits(t, fmt.Sprintf("%s: bins of %d", name, n), got, want)
		}
	}
}

// Transforms of Winograd's tiles are those of the Go loops, and these those of the matrices of Cook and Toom.
func TestSquares(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	const ldx, ldy = 70, 73
	x := random(r, 36*ldx)
	points := []float64{0, winogradA, -winogradA, winogradB, -winogradB}
	g, bt, at := make([][]float64, 6), make([][]float64, 6), make([][]float64, 4)
	poly := func(skip int) []float64 { // coefficients of the product of x - p over all points but one
		c := []float64{1}
		for k, p := range points {
			if k == skip {
				continue
			}
			c = append(c, 0)
			for i := len(c) - 1; i >= 0; i-- {
				if c[i] *= -p; i > 0 {
					c[i] += c[i-1]
				}
			}
		}
		return append(c, make([]float64, 6-len(c))...)
	}
	for j, p := range points {
		scale := 1.0
		for k, q := range points {
			if k != j {
				scale *= p - q
			}
		}
		bt[j] = poly(j)
		g[j] = []float64{1 / scale, p / scale, p * p / scale}
		for i := range at {
			at[i] = append(at[i], math.Pow(p, float64(i)))
		}
	}
	g[5], bt[5] = []float64{0, 0, 1}, poly(-1)
	for i := range at {
		at[i] = append(at[i], []float64{0, 0, 0, 1}[i])
	}
	generic := genericWindows()
	for name, k := range tiers(t) {
		for _, c := range []struct {
			what      string
			fast, own Squares
			m         [][]float64
		}{
			{"weights", k.TileWeights, generic.TileWeights, g},
			{"patches", k.TilePatches, generic.TilePatches, bt},
			{"sums", k.TileSums, generic.TileSums, at},
		} {
			for _, n := range []int{1, 7, 8, 16, 32, 67} {
				got, want := random(r, 36*ldy), []float32(nil)
				want = slices.Clone(got)
				c.fast(n, &slices.Clone(x)[0], ldx, &got[0], ldy)
				c.own(n, &slices.Clone(x)[0], ldx, &want[0], ldy)
				sameBits(t, fmt.Sprintf("%s: %s of %d", name, c.what, n), got, want)
				rows, cols := len(c.m), len(c.m[0])
				for e := range rows * rows * n {
					i, j, at := e/n/rows, e/n%rows, e%n
					var y, size float64
					for u := range cols {
						for v := range cols {
							p := c.m[i][u] * c.m[j][v] * float64(x[(u*cols+v)*ldx+at])
							y, size = y+p, size+math.Abs(p)
						}
					}
					if d := math.Abs(y - float64(got[(i*rows+j)*ldy+at])); d > 4e-7*size {
						t.Fatalf("%s: %s, element (%d, %d) of matrix %d: off by %v of %v", name, c.what, i, j, at, d, size)
					}
				}
			}
		}
	}
}
