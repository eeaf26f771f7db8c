//go:build arm64 || ppc64le || s390x || riscv64

package asm

// FMA returns x*y + z, rounded once: on these processors the compiler makes
// one instruction of it, as the test of FMA checks.
func FMA(x, y, z float32) float32 { return x*y + z }

// fmas is acc[j] = FMA(x, w[j], acc[j]).
func fmas(acc []float32, x float32, w []float32) {
	w = w[:len(acc)]
	for j := range acc {
		acc[j] = x*w[j] + acc[j]
	}
}
