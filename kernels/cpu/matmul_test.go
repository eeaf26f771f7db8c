package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// Every transposition, with batches that repeat, gives the chain of fused
// multiply-adds over k.
func TestMatmul(t *testing.T) {
	for _, b := range backends(t, 2) {
		for _, s := range []struct{ m, n, k int }{{1, 7, 65}, {1, 200, 40}, {5, 33, 20}, {13, 64, 3}, {40, 70, 600}, {20, 33, 1024}, {70, 1024, 9}, {1024, 40, 5}} {
			for trans := range 4 {
				for _, d := range []ir.DType{ir.F32, ir.BF16} {
					testMatmul(t, b, s.m, s.n, s.k, op.MatMulAttr{TransA: trans&1 == 1, TransB: trans&2 == 2}, d)
				}
			}
		}
	}
}

// a is [2, 1, m, k], b [3, k, n].
func testMatmul(t *testing.T, b *Backend, m, n, k int, at op.MatMulAttr, d ir.DType) {
	r := rand.New(rand.NewPCG(11, uint64(m)))
	x, w := random(r, 2*m*k), random(r, 3*k*n)
	ash, bsh := []int{2, 1, m, k}, []int{3, k, n}
	if at.TransA {
		ash = []int{2, 1, k, m}
	}
	if at.TransB {
		bsh = []int{3, n, k}
	}
	in := []kernels.Tensor{put(t, b, d, x, "", ash...), put(t, b, d, w, "", bsh...)}
	y := put(t, b, d, nil, "", 2, 3, m, n)
	run(t, b, "matmul", at, in, y)
	want := make([]float32, 6*m*n)
	for z := range 6 {
		xz, wz := x[z/3*m*k:], w[z%3*k*n:]
		for i := range m {
			for j := range n {
				want[(z*m+i)*n+j] = chain(func(l int) float32 {
					if at.TransA {
						return xz[l*m+i]
					}
					return xz[i*k+l]
				}, func(l int) float32 {
					if at.TransB {
						return wz[j*k+l]
					}
					return wz[l*n+j]
				}, k)
			}
		}
	}
	encode(d, want)
	sameBits(t, fmt.Sprintf("%s: %dx%dx%d %v %v", b.Tier(), m, n, k, at, d), get(t, y), want)
}
