package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
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
// tiles, unpacking, one row over packed weights, quantising activations.
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
			p, per := PackingOf(c), 8
			if p.Scales < Zero {
				per = 1
			}
			w := make([]byte, n/per*p.Head(per)+n*p.Body())
			b.Run(fmt.Sprintf("%s/unpack/%d", name, c), func(b *testing.B) {
				s := quickest(b, func() { k.Unpack[c](n/per, per, &w[0], &bytes[0]) })
				b.ReportMetric(s*1e9/n, "ns/block")
			})
			benchRows(b, fmt.Sprintf("%s/rows/%d", name, c), k, c, per, x, y, bytes)
			if k.Row[c] == nil {
				continue
			}
			b.Run(fmt.Sprintf("%s/row/%d", name, c), func(b *testing.B) {
				s := quickest(b, func() { k.Row[c](n/per, per, &x[0], &w[0], &y[0], nil) })
				b.ReportMetric(s*1e9/n, "ns/block")
				b.ReportMetric(float64(n/per*(p.Head(per)+per*p.Body()))/s/1e9, "GB/s")
			})
		}
	}
}

// benchRows times what reads a panel of rows, of 16 blocks each.
func benchRows(b *testing.B, name string, k Kernels, c Coding, per int, x []byte, y []float32, bytes []byte) {
	if k.UnpackRows[c] == nil {
		return
	}
	const n = 16
	size := map[Coding]int{Q8_0: 34, Q4_0: 18, Q4K: 144, Q6K: 210}[c]
	stride := n / per * size
	w := make([]byte, Panel*stride)
	b.Run(name+"/unpack", func(b *testing.B) {
		s := quickest(b, func() { k.UnpackRows[c](n/per, &w[0], stride, &bytes[0]) })
		b.ReportMetric(s*1e9/n, "ns/block")
	})
	b.Run(name+"/row", func(b *testing.B) {
		s := quickest(b, func() { k.RowTimesRows[c](n/per, &x[0], &w[0], stride, &y[0], nil) })
		b.ReportMetric(s*1e9/n, "ns/block")
		b.ReportMetric(float64(len(w))/s/1e9, "GB/s")
	})
}

// What packed weights become, and blocks of activations, is what the Go loops make
// of them, also where a processor with AVX-512 lacks VNNI and so takes AVX2's.
func TestUnpack(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	generic := Generic()
	for name, k := range tiers(t) {
		for c := range Codings {
			p, n, per := PackingOf(c), 3, 8
			if p.Scales < Zero {
				per = 1
			}
			super := p.Head(per) + per*p.Body()
			w := make([]byte, n*super)
			for i := range w {
				w[i] = byte(r.Uint32())
				if at := i % super; at < min(p.Head(per), 4*Panel) && at%2 == 1 {
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
