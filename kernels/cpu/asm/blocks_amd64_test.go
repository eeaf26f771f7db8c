package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pipe.dev/kernels/quant"
)

// quickest times f, whose runs are so short that few are disturbed, and returns the
// least seconds of one.
func quickest(b *testing.B, f func()) float64 {
	best := math.Inf(1)
	for b.Loop() {
		for range 50 {
			from := time.Now()
			f()
			best = min(best, time.Since(from).Seconds())
		}
	}
	return best
}

// What products with quantised weights are made of, in the first-level cache:
// tiles, unpacking, one row over weights, quantising activations.
func BenchmarkBlocked(b *testing.B) {
	const n = 16 // blocks
	x, y, bytes, floats := make([]byte, 64*n*BlockX), make([]float32, 64*Panel), make([]byte, n*2048), make([]float32, n*Block)
	for name, k := range tiers(b) {
		for kind := range Kinds {
			for m := 1; m < len(k.Blocks[kind]); m++ {
				b.Run(fmt.Sprintf("%s/tile/%d/%d", name, kind, m), func(b *testing.B) {
					s := quickest(b, func() {
						for range 4 {
							k.Blocks[kind][m](n, &x[0], n*BlockX, &bytes[0], &y[0], Panel, nil, 1)
						}
					})
					b.ReportMetric(float64(4*2*n*m*Block*Panel)/s/1e9, "GOP/s")
				})
			}
			b.Run(fmt.Sprintf("%s/quantise/%d", name, kind), func(b *testing.B) {
				s := quickest(b, func() { k.Quantise[kind](n, &floats[0], &x[0], 3) })
				b.ReportMetric(s*1e9/n, "ns/block")
			})
		}
		for c := range Codings {
			if c.InRows() {
				benchRows(b, fmt.Sprintf("%s/%d", name, c), k, c, x, y, bytes)
				continue
			}
			p, per := PackingOf(c), 8
			if p.Scales < Zero {
				per = 1
			}
			w := make([]byte, n/per*p.Head()+n*p.Body())
			b.Run(fmt.Sprintf("%s/%d/unpack", name, c), func(b *testing.B) {
				s := quickest(b, func() { k.Unpack[c](n/per, per, &w[0], &bytes[0]) })
				b.ReportMetric(s*1e9/n, "ns/block")
			})
			if k.Row[c] == nil {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d/row", name, c), func(b *testing.B) {
				s := quickest(b, func() { k.Row[c](n/per, per, &x[0], &w[0], &y[0], nil) })
				b.ReportMetric(s*1e9/n, "ns/block")
				b.ReportMetric(float64(len(w))/s/1e9, "GB/s")
			})
		}
	}
}

// benchRows times what reads a panel of rows, of 16 blocks each.
func benchRows(b *testing.B, name string, k Kernels, c Coding, x []byte, y []float32, bytes []byte) {
	const n = 16
	f := formatOf(b, c)
	supers := n * Block / f.Block
	stride := supers * f.Bytes
	w := make([]byte, Panel*stride)
	b.Run(name+"/unpack", func(b *testing.B) {
		s := quickest(b, func() { k.UnpackRows[c](supers, &w[0], stride, &bytes[0]) })
		b.ReportMetric(s*1e9/n, "ns/block")
	})
	if k.RowTimesRows[c] == nil {
		return
	}
	b.Run(name+"/row", func(b *testing.B) {
		s := quickest(b, func() { k.RowTimesRows[c](supers, &x[0], &w[0], stride, 16*stride, &y[0]) })
		b.ReportMetric(s*1e9/n, "ns/block")
		b.ReportMetric(float64(len(w))/s/1e9, "GB/s")
	})
}

// formatOf is the format of a coding in rows.
func formatOf(t testing.TB, c Coding) quant.Format {
	f, err := quant.Lookup(map[Coding]string{Q8_0: "q8_0", Q4_0: "q4_0", Q4_1: "q4_1", Q4K: "q4_k", Q5K: "q5_k", Q6K: "q6_k"}[c])
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Rows of blocks become bytes, and a row of activations is multiplied by them, as the Go loops say.
func TestRows(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	generic := Generic()
	for name, k := range tiers(t) {
		for c := range Q5_0 {
			f, p := formatOf(t, c), PackingOf(c)
			for _, n := range []int{0, 1, 3, 9} {
				what, blocks, size := fmt.Sprintf("%s: %d of %s", name, n, f.Name), n*f.Block/Block, p.Kind().Unpacked()
				w := append(blocksOf(r, f, n), 0)
				got, want := make([]byte, blocks*size+1), make([]byte, blocks*size+1)
				k.UnpackRows[c](n, &w[0], n*f.Bytes, &got[0])
				generic.UnpackRows[c](n, &w[0], n*f.Bytes, &want[0])
				if i := differ(got, want); i >= 0 {
					t.Fatalf("%s: byte %d of a block of %d is %d, want %d", what, i%size, size, got[i], want[i])
				}
				if k.RowTimesRows[c] == nil {
					if name != "generic" {
						t.Errorf("%s: nothing multiplies one row", what)
					}
					continue
				}
				x, row := random(r, n*f.Block+1), make([]byte, blocks*BlockX+1)
				generic.Quantise[p.Kind()](blocks, &x[0], &row[0], p.Shift)
				y, sums := make([]float32, Panel), make([]float32, Panel)
				k.RowTimesRows[c](n, &row[0], &w[0], n*f.Bytes, 256, &y[0])
				generic.Blocks[p.Kind()][1](blocks, &row[0], 0, &want[0], &sums[0], Panel, nil, 0)
				sameBits(t, what, y, sums)
			}
		}
	}
}

// blocksOf makes Panel rows of n blocks of a format, of random bits but for numbers of f16, which are finite.
func blocksOf(r *rand.Rand, f quant.Format, n int) []byte {
	w := make([]byte, Panel*n*f.Bytes)
	for i := range w {
		w[i] = byte(r.Uint32())
		if at := i % f.Bytes; at == 209 || f.Bytes < 210 && (at == 1 || at == 3) {
			w[i] &= 0xa7
		}
	}
	return w
}

// What packed weights become, and blocks of activations, is what the Go loops make
// of them, also where a processor with AVX-512 lacks VNNI and so takes AVX2's.
func TestUnpack(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	generic := Generic()
	for name, k := range tiers(t) {
		for c := Q5_0; c < Codings; c++ {
			p, n, per := PackingOf(c), 3, 8
			if p.Scales < Zero {
				per = 1
			}
			super := p.Head() + per*p.Body()
			w := make([]byte, n*super)
			for i := range w {
				w[i] = byte(r.Uint32())
				if at := i % super; at < min(p.Head(), 4*Panel) && at%2 == 1 {
					w[i] &= 0xa7 // f16 that are finite
				}
			}
			got, want := make([]byte, n*per*p.Kind().Unpacked()), make([]byte, n*per*p.Kind().Unpacked())
			k.Unpack[c](n, per, &w[0], &got[0])
			generic.Unpack[c](n, per, &w[0], &want[0])
			if i := differ(got, want); i >= 0 {
				t.Errorf("%s: coding %d: byte %d of a block of %d is %d, want %d", name, c, i%p.Kind().Unpacked(), p.Kind().Unpacked(), got[i], want[i])
			}
		}
		for kind := range Kinds {
			const n = 9
			x, got, want := random(r, n*Block), make([]byte, n*BlockX), make([]byte, n*BlockX)
			k.Quantise[kind](n, &x[0], &got[0], 3)
			generic.Quantise[kind](n, &x[0], &want[0], 3)
			if i := differ(got, want); i >= 0 {
				t.Errorf("%s: kind %d: byte %d of a block of activations is %d, want %d", name, kind, i%BlockX, got[i], want[i])
			}
		}
	}
}

// differ is the first place where a and b do, or -1.
func differ(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
