package asm

import "golang.org/x/sys/cpu"

// pairTiers are the functions over pairs that this machine can run.
func pairTiers() map[string]Pairs {
	out := map[string]Pairs{"generic": GenericPairs()}
	if cpu.X86.HasAVX512BF16 && cpu.X86.HasAVX512BW {
		out["avx512bf16"] = BF16PairsZ()
	}
	return out
}
