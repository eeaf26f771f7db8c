package cpu

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// lossOf runs the gradient of a loss: loss, dx, dweight.
func lossOf(t *testing.T, b *Backend, at op.CrossEntropyAttr, dim, classes int, x, w, targets, dy []float32) [3][]float32 {
	t.Helper()
	n := len(targets)
	shape := []int{classes, dim}
	if at.Transpose {
		shape = []int{dim, classes}
	}
	in := []kernels.Tensor{put(t, b, ir.F32, x, "", n, dim), put(t, b, ir.F32, w, "", shape...), put(t, b, ir.I32, targets, "", n), put(t, b, ir.F32, dy, "", n)}
	out := []kernels.Tensor{put(t, b, ir.F32, nil, "", n), put(t, b, ir.F32, nil, "", n, dim), put(t, b, ir.F32, nil, "", shape...)}
	run(t, b, "linear_cross_entropy_grad", at, in, out...)
	only := put(t, b, ir.F32, nil, "", n)
	run(t, b, "linear_cross_entropy", at, in[:3], only)
	sameBits(t, "the loss alone", get(t, only), get(t, out[0]))
	return [3][]float32{get(t, out[0]), get(t, out[1]), get(t, out[2])}
}

// Rows that come in several chunks have the losses and gradients of rows that
// come alone; sums over rows go on from chunk to chunk; all tiers agree.
func TestChunksOfCrossEntropy(t *testing.T) {
	const rows, dim, classes = 130, 3, 33000
	chunk := chunkOf(rows, classes)
	if chunk >= rows/2 {
		t.Fatalf("%d rows come in chunks of %d; want three", rows, chunk)
	}
	r := rand.New(rand.NewPCG(17, 18))
	x, w, dy := random(r, rows*dim), random(r, classes*dim), random(r, rows)
	targets := make([]float32, rows)
	for i := range targets {
		targets[i] = float32(r.IntN(classes+1) - 1) // some are ignored
	}
	targets[3] = -1
	for _, at := range []op.CrossEntropyAttr{{IgnoreIndex: -1, Smoothing: 0.1}, {IgnoreIndex: -1, Transpose: true, ZLoss: 0.01}} {
		var want [3][]float32
		for _, threads := range []int{1, 3} {
			for tier, b := range backends(t, threads) {
				got := lossOf(t, b, at, dim, classes, x, w, targets, dy)
				for i := range got {
					if want[i] == nil {
						want[i] = got[i]
					}
					sameBits(t, fmt.Sprintf("%s, %d threads, %+v, result %d", tier, threads, at, i), got[i], want[i])
				}
			}
		}
		b := open(t, Options{Threads: 2})
		sum := make([]float64, classes*dim)
		for lo := 0; lo < rows; lo += chunk {
			hi := min(lo+chunk, rows)
			alone := lossOf(t, b, at, dim, classes, x[lo*dim:hi*dim], w, targets[lo:hi], dy[lo:hi])
			sameBits(t, "loss", alone[0], want[0][lo:hi])
			sameBits(t, "dx", alone[1], want[1][lo*dim:hi*dim])
			for i, v := range alone[2] {
				sum[i] += float64(v)
			}
		}
		near(t, "dweight", want[2], sum, 1e-6)
	}
}

// A target that is no class is an error that names it.
func TestTargetOutOfRange(t *testing.T) {
	b := open(t, Options{Threads: 1})
	in := []kernels.Tensor{put(t, b, ir.F32, make([]float32, 6), "", 3, 2), put(t, b, ir.F32, make([]float32, 8), "", 4, 2), put(t, b, ir.I32, []float32{0, 4, 1}, "", 3)}
	step := bind(t, b, "linear_cross_entropy", op.CrossEntropyAttr{IgnoreIndex: -100}, in, put(t, b, ir.F32, nil, "", 3))
	if err := step(context.Background()); err == nil || !strings.Contains(err.Error(), "index 1 is 4") {
		t.Errorf("error %v; want it to name target 1", err)
	}
}
