package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// Speed of products with weights in blocks: rows times weights of a layer.
func BenchmarkBlockProduct(b *testing.B) {
	const n, k = 2048, 2048
	for _, m := range []int{1, 4, 16, 128, 512} {
		for _, d := range append([]ir.DType{ir.F32, ir.BF16}, ir.Blocked()...) {
			for name, be := range backends(b, 1) {
				if name == "generic" {
					continue
				}
				b.Run(fmt.Sprintf("m=%d/%v/%s", m, d, name), func(b *testing.B) { benchBlocks(b, be, d, m, n, k) })
			}
		}
	}
}

// benchBlocks goes through weights that no cache holds. It reports the best of
// many runs, since what else the machine does only makes them slower.
func benchBlocks(b *testing.B, be *Backend, d ir.DType, m, n, k int) {
	r := rand.New(rand.NewPCG(1, 1))
	x, attr := put(b, be, ir.F32, random(r, m*k), "", m, k), op.LinearAttr{OutFeatures: n}
	l := be.Layout("linear", attr, 1, ir.T(d, n, k))
	var steps []kernels.Step
	copies := max(2, min(64, 64<<20/int(ir.T(d, n, k).Bytes())))
	blocks, weights := []byte(nil), []float32(nil)
	if d.Blocked() {
		blocks, _ = blocksOf(b, r, d, n*k)
	} else {
		weights = random(r, n*k)
	}
	for range copies {
		var w kernels.Tensor
		if d.Blocked() {
			w = putBlocks(b, be, d, blocks, l, n, k)
		} else {
			w = put(b, be, d, weights, l, n, k)
		}
		steps = append(steps, bind(b, be, "linear", attr, []kernels.Tensor{x, w}, put(b, be, ir.F32, nil, "", m, n)))
	}
	least := math.Inf(1)
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		from := time.Now()
		if err := steps[i%len(steps)](b.Context()); err != nil {
			b.Fatal(err)
		}
		least = min(least, time.Since(from).Seconds())
	}
	b.ReportMetric(float64(ir.T(d, n, k).Bytes())/least/1e9, "GB/s")
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)/least/1e9, "GFLOP/s")
}

// BenchmarkPackBlocks measures how fast weights are packed, in bytes of the file.
func BenchmarkPackBlocks(b *testing.B) {
	const out, in = 4096, 8192
	be := open(b, Options{Threads: 2})
	for _, d := range []ir.DType{ir.Q5_0, ir.IQ4_NL, ir.Q3_K, ir.Q4_G128} {
		p, _ := packingOf(d)
		src, dst := make([]byte, out*in/p.format.Block*p.format.Bytes), make([]byte, out/32*p.panelBytes(in))
		b.Run(d.String(), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				be.packBlocks(d, dst, src, out, in)
			}
		})
	}
}
