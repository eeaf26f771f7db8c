package cpu

import (
	"math"
	"sync"
	"time"

	"golang.org/x/sys/cpu"

	"pipe.dev/kernels/cpu/asm"
)

// tiers lists the instruction sets, the best first. The last always works.
func tiers() []tier {
	list := []tier{
		{name: "amx", missing: missingTiles, kernels: amx, multiplyAdds: asm.PeakZ, lanes: 16, byteAdds: peakTiles, byteLanes: 512},
		{name: "avx512bf16", missing: missingPairs, kernels: avx512bf16, slow: slowPairs, multiplyAdds: asm.PeakZ, lanes: 16, byteAdds: asm.PeakBytesZ, byteLanes: 64, pairAdds: asm.PeakPairsZ, pairLanes: 32},
		{name: "avx512", missing: missingAVX512, kernels: avx512, multiplyAdds: asm.PeakZ, lanes: 16, byteAdds: asm.PeakBytesZ, byteLanes: 64},
		{name: "avx2", missing: missingAVX2, kernels: asm.AVX2, multiplyAdds: asm.PeakY, lanes: 8, byteAdds: asm.PeakBytesY, byteLanes: 32},
		generic(),
	}
	if !cpu.X86.HasAVX512VNNI {
		for i := 1; i < 3; i++ {
			list[i].byteAdds, list[i].byteLanes = asm.PeakBytesY, 32
		}
	}
	if amx := &list[0]; len(missingTiles()) == 0 && pairsPay() {
		amx.pairAdds, amx.pairLanes = asm.PeakPairsZ, 32
	}
	return list
}

type feature struct {
	name string
	has  bool
}

func missing(fs ...feature) []string {
	var out []string
	for _, f := range fs {
		if !f.has {
			out = append(out, f.name)
		}
	}
	return out
}

func missingAVX2() []string {
	x := cpu.X86
	return missing(feature{"AVX2", x.HasAVX2}, feature{"FMA", x.HasFMA}, feature{"F16C", asm.CPUID1()>>29&1 == 1}, feature{"BMI2", x.HasBMI2})
}

func missingAVX512() []string {
	x := cpu.X86
	return append(missingAVX2(), missing(feature{"AVX512F", x.HasAVX512F}, feature{"AVX512BW", x.HasAVX512BW},
		feature{"AVX512DQ", x.HasAVX512DQ}, feature{"AVX512VL", x.HasAVX512VL})...)
}

// avx512 takes products of bytes from AVX2 where the processor lacks VNNI.
func avx512() asm.Kernels {
	k := asm.AVX512()
	if !cpu.X86.HasAVX512VNNI {
		k.Blocked = asm.AVX2().Blocked
	}
	return k
}

// missingPairs also asks whether the processor adds the two products of a pair
// one after the other, each sum rounded, since results would differ if not.
func missingPairs() []string {
	out := append(missingAVX512(), missing(feature{"AVX512_BF16", cpu.X86.HasAVX512BF16})...)
	if len(out) == 0 && !asm.InOrder(asm.BF16PairsZ()) {
		out = []string{"sums of bf16 in order"}
	}
	return out
}

// avx512bf16 also multiplies pairs of bf16.
func avx512bf16() asm.Kernels {
	k := avx512()
	k.BF16 = asm.BF16PairsZ()
	return k
}

// slowPairs measures, once, whether VDPBF16PS is worth its two products: some microseconds of
// it beside as many multiply-adds. On some Intel processors it takes as long as four of these.
var slowPairs = sync.OnceValue(func() string {
	const rounds = 500
	pair, one := shortest(asm.PeakPairsZ, rounds), shortest(asm.PeakZ, rounds)
	if 8*one < 5*pair { // fewer than 1.25 times as many products in the same time
		return "its products of bf16 are no quicker here than those of f32"
	}
	return ""
})

// shortest is the least of some times of f(n), which what else the machine does only makes longer.
func shortest(f func(n int), n int) time.Duration {
	least := time.Duration(math.MaxInt64)
	for range 20 {
		from := time.Now()
		f(n)
		least = min(least, time.Since(from))
	}
	return least
}

// pairsPay reports whether the processor multiplies pairs, and is quicker so.
func pairsPay() bool { return len(missingPairs()) == 0 && slowPairs() == "" }

// missingTiles also asks the system, which keeps tiles only for those who do.
func missingTiles() []string {
	x := cpu.X86
	out := append(missingAVX512(), missing(feature{"AVX512_VNNI", x.HasAVX512VNNI}, feature{"AMX_TILE", x.HasAMXTile}, feature{"AMX_INT8", x.HasAMXInt8})...)
	if len(out) == 0 && !asm.PermitTiles() {
		out = []string{"a system that keeps tiles"}
	}
	return out
}

// amx also multiplies quantised weights by tiles.
func amx() asm.Kernels {
	k := avx512()
	if pairsPay() {
		k = avx512bf16()
	}
	k.Tiled = asm.AMX()
	return k
}

// peakTiles adds 512 products of bytes for each of n times fmaChains: a tile has 32 times as many.
func peakTiles(n int) { asm.PeakTiles(n / 32) }
