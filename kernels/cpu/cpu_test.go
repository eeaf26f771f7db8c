package cpu

import (
	"testing"

	"pipe.dev/kernels/kerneltest"
)

// The whole test of the kernels: every op of the table, in every tier.
func TestKernels(t *testing.T) {
	for _, info := range Tiers() {
		t.Run(info.Name, func(t *testing.T) {
			if !info.Available {
				t.Skip(info.Why)
			}
			kerneltest.Run(t, open(t, Options{Threads: 2, Tier: info.Name}))
		})
	}
}
