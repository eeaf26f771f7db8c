// Package philox gives random numbers as functions of a seed and a position,
// with no state: the same numbers whatever else runs, and after a resume.
package philox

import (
	"math"
	"math/bits"
)

// Bits is Philox4x32-10: 128 random bits as a function of a counter and a
// key, with no state.
//
//	ten rounds: (c0, c1, c2, c3) = (hi(B c2)^c1^k0, lo(B c2), hi(A c0)^c3^k1, lo(A c0)); k += W
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1,
// 2, 3", SC11 (doi 10.1145/2063384.2063405).
func Bits(counter [4]uint32, key [2]uint32) [4]uint32 {
	const (
		multiplyA, multiplyB = 0xD2511F53, 0xCD9E8D57
		weylA, weylB         = 0x9E3779B9, 0xBB67AE85 // golden ratio, sqrt(3)-1
	)
	c, k := counter, key
	for range 10 {
		hiA, loA := bits.Mul32(multiplyA, c[0])
		hiB, loB := bits.Mul32(multiplyB, c[2])
		c = [4]uint32{hiB ^ c[1] ^ k[0], loB, hiA ^ c[3] ^ k[1], loA}
		k[0], k[1] = k[0]+weylA, k[1]+weylB
	}
	return c
}

// Uniform returns the number in [0, 1) that belongs to a seed and a position:
// the seed is the key, the position the counter, and the first 53 bits count.
func Uniform(seed, position uint64) float64 {
	r := Bits([4]uint32{uint32(position), uint32(position >> 32)}, [2]uint32{uint32(seed), uint32(seed >> 32)})
	return float64(uint64(r[0])<<21|uint64(r[1])>>11) * 0x1p-53
}

// Normal returns the number of the standard normal distribution that belongs
// to a seed and a position, by the transform of Box and Muller.
func Normal(seed, position uint64) float64 {
	r := Bits([4]uint32{uint32(position), uint32(position >> 32), 1}, [2]uint32{uint32(seed), uint32(seed >> 32)})
	u := (float64(uint64(r[0])<<21|uint64(r[1])>>11) + 1) * 0x1p-53 // in (0, 1]
	v := float64(uint64(r[2])<<21|uint64(r[3])>>11) * 0x1p-53
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// Words returns four random words: number block of the stream that a seed and a
// number of the stream name.
func Words(seed uint64, stream uint32, block uint64) [4]uint32 {
	return Bits([4]uint32{uint32(block), uint32(block >> 32), stream, 2}, [2]uint32{uint32(seed), uint32(seed >> 32)})
}
