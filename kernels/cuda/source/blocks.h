// Weights in blocks, as kernels/cuda/blocks.go lays them out: planes, each of them
// in the order of the weights, 32 of which are a unit. Codes of a unit are eight
// words of four, w[j] of weights 4j to 4j+3, of which word t and word t+4 are
// always made together.
#pragma once
#include "number.h"

// Form says what a weight of code q is, with s and t the bytes of small.
// of 4 and 5 bits; others have one form.
enum Form : u32 {
	Plain, // d (q - offset); so are 8 bits and levels, d (level[q] - offset)
	Least, // d q + m
	Zero,  // d q - d m
	Small, // d s q - m t
	       // of 6 and 3 bits: d s (q - offset), a signed byte s for each 16 weights
	       // of 2 bits: d s q - m t, a byte s + 16 t for each 16 weights
	       // nf4: d normal[q], d in f32
};

// Codes of 4 bits that stand for levels have numbers of their own as bits.
static constexpr int LevelBits = 40, NormalBits = 44;

struct Blocks {
	const u8 *low;    // [units]: 4, 8 or the lower 2 bits of codes: 16, 32 or 8 bytes
	const u8 *high;   // [units]: 1 or 2 bits above them: 4 or 8 bytes
	const u16 *small; // [units]
	const void *head; // [units >> per]: d, and m
	u32 form, bits, offset, per;
};

// normal are the levels of nf4.
CONSTANT float normal[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
	-0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f,
	0.5626170039176941f, 0.7229568362236023f, 1.0f};

// level are the levels of iq4_nl for four codes, and 128 more.
DEV u32 level(u32 q) {
	u32 s = q | q >> 4;
	s = (s & 0xff) | (s >> 8 & 0xff00);
	u32 below = permute(0x3f2d1801, 0x766a5d4f, s & 0x7777), above = permute(0xa6998d81, 0xf1d9c5b5, s & 0x7777);
	return permute(below, above, 0x3210 | (s & 0x8888) >> 1);
}

// pair makes words t and t+4 of the codes: low is word t of their lower bits, or
// words t and t+4 of 8 bits, or both words of 2 bits; high the words above them.
template <int bits> DEV void pair(u32 t, u32 low, u32 low2, u32 high, u32 high2, u32 *a, u32 *b) {
	if (bits == 8) {
		*a = low, *b = low2;
	} else if (bits >= 4) {
		*a = low & 0x0f0f0f0f, *b = low >> 4 & 0x0f0f0f0f;
		if (bits == LevelBits) *a = level(*a), *b = level(*b);
	} else {
		*a = low >> 2 * t & 0x03030303, *b = low2 >> 2 * t & 0x03030303;
	}
	if (bits == 5 || bits == 3) {
		*a |= (high >> t & 0x01010101) << (bits - 1);
		*b |= (high >> (t + 4) & 0x01010101) << (bits - 1);
	}
	if (bits == 6) {
		*a |= (high >> 2 * t & 0x03030303) << 4;
		*b |= (high2 >> 2 * t & 0x03030303) << 4;
	}
}

// words makes words t and t+4 of unit u.
template <int bits> DEV void words(const Blocks &w, u64 u, u32 t, u32 *a, u32 *b) {
	const u32 *low = (const u32 *)w.low, *high = (const u32 *)w.high;
	u32 l, l2 = 0, h = 0, h2 = 0;
	if (bits == 8)
		l = low[8 * u + t], l2 = low[8 * u + 4 + t];
	else if (bits >= 4)
		l = low[4 * u + t];
	else
		l = low[2 * u], l2 = low[2 * u + 1];
	if (bits == 5 || bits == 3) h = high[u];
	if (bits == 6) h = high[2 * u], h2 = high[2 * u + 1];
	pair<bits>(t, l, l2, h, h2, a, b);
}

// codes makes all words of unit u, by loads as wide as can be.
template <int bits> DEV void codes(const Blocks &w, u64 u, u32 *c) {
	u32x4 low = {}, low2 = {};
	u32x2 high = {};
	if (bits >= 4)
		low = ((const u32x4 *)w.low)[bits == 8 ? 2 * u : u];
	else {
		u32x2 both = ((const u32x2 *)w.low)[u];
		low = u32x4{both[0], both[0], both[0], both[0]}, low2 = u32x4{both[1], both[1], both[1], both[1]};
	}
	if (bits == 8) low2 = ((const u32x4 *)w.low)[2 * u + 1];
	if (bits == 5 || bits == 3) high[0] = ((const u32 *)w.high)[u];
	if (bits == 6) high = ((const u32x2 *)w.high)[u];
#pragma unroll
	for (int t = 0; t < 4; t++) pair<bits>(t, low[t], low2[t], high[0], high[1], &c[t], &c[t + 4]);
}

// Scales make weights of codes: scale (q - offset) + least, of each half of a unit.
struct Scales {
	float scale[2], least[2];
};

// halves reports whether the halves of a unit have scales of their own, and
// lifted whether least may be other than 0.
DEV constexpr bool halves(int bits) { return bits == 6 || bits == 3 || bits == 2; }
DEV constexpr bool lifted(int bits) { return bits == 5 || bits == 4 || bits == 2; }

// scales are those of unit u. They are rounded as package quant rounds, so that
// weights are the same bit for bit.
template <int bits> DEV Scales scales(const Blocks &w, u64 u) {
	u64 b = u >> w.per;
	if (bits == NormalBits) {
		float d = ((const float *)w.head)[b];
		return {{d, d}, {}};
	}
	if (!lifted(bits) || bits != 2 && w.form == Plain) {
		float d = f16_value(((const u16 *)w.head)[b]);
		if (!halves(bits)) return {{d, d}, {}};
		u32 small = w.small[u];
		return {{d * (float)(i8)small, d * (float)(i8)(small >> 8)}, {}};
	}
	u32 h = ((const u32 *)w.head)[b];
	float d = f16_value((u16)h), m = f16_value((u16)(h >> 16));
	if (bits != 2 && w.form != Small) {
		if (w.form == Zero) m = -(d * m);
		return {{d, d}, {m, m}};
	}
	u32 small = w.small[u];
	if (bits != 2) {
		d = d * (float)(small & 255), m = -(m * (float)(small >> 8));
		return {{d, d}, {m, m}};
	}
	return {{d * (float)(small & 15), d * (float)(small >> 8 & 15)}, {-(m * (float)(small >> 4 & 15)), -(m * (float)(small >> 12))}};
}
