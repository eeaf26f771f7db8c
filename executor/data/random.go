package data

import "math/bits"

// mix is a hash of a 64-bit number that is a bijection: the output function of SplitMix64.
//
// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (doi 10.1145/2660193.2660195).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// random is 64 random bits as a function of a key and a counter, with no state: the counter-th number of SplitMix64 from
// a seed that is a hash of the key.
func random(key, counter uint64) uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio
	return mix(mix(key+golden) + (counter+1)*golden)
}

// below is a random number in [0, n) as a function of a key and a counter. The bias is less than n / 2^64.
func below(n int64, key, counter uint64) int64 {
	hi, _ := bits.Mul64(random(key, counter), uint64(n))
	return int64(hi)
}

// permutation is a bijection of the numbers below n that a key chooses. It needs no memory, so that it can be entered at
// any place: a Feistel network over the next even number of bits, entered again until it leads below n.
//
// Source: Black, Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, section 4 (cycle walking) and 5.
type permutation struct {
	n    uint64
	half uint // bits of a half
	keys [rounds]uint64
}

const rounds = 8

func newPermutation(n int64, key uint64) permutation {
	p := permutation{n: uint64(n)}
	for p.half = 1; p.half < 32 && 1<<(2*p.half) < p.n; p.half++ {
	}
	for i := range p.keys {
		p.keys[i] = random(key, uint64(i))
	}
	return p
}

// at is where the permutation takes i; 0 <= i < n.
func (p *permutation) at(i int64) int64 {
	mask := uint64(1)<<p.half - 1
	x := uint64(i)
	for {
		left, right := x>>p.half, x&mask
		for _, k := range p.keys {
			left, right = right, left^mix(right+k)>>(64-p.half)
		}
		if x = left<<p.half | right; x < p.n {
			return int64(x)
		}
	}
}
