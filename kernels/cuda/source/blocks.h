// Weights in blocks, as kernels/cuda/blocks.go lays them out: planes, each of them
// in the order of units, which are 32 weights of a row. Codes of a unit are eight
// words of four, w[j] of weights 4j to 4j+3, of which word t and word t+4 are
// always made together: thread t of four brings both to a product of a warp.
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
	u32 turned; // rows are whole fours of units, and their words lie so that a thread loads what it needs at once:
	            // of 4 bits and more, 16 words of four units, or of two of 8 bits, go by t, then by unit, then t before t+4
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

// halves reports whether the halves of a unit have scales of their own, and
// lifted whether least may be other than 0.
DEV constexpr bool halves(int bits) { return bits == 6 || bits == 3 || bits == 2; }
DEV constexpr bool lifted(int bits) { return bits == 5 || bits == 4 || bits == 2; }

// Four units of a row, whose number is a multiple of four, as a thread of a warp
// reads them: word t of the lower bits of each, or words t and t+4, or all words
// where there are two; and what the block of each begins with.
template <int bits> struct Four {
	static constexpr int Low = bits == 8 || bits < 4 ? 2 : 1, High = bits == 6 ? 2 : 1;
	u32x4 low[Low], high[High], head;
	u32x2 small;
};

// turn makes the second unit the first, and so on.
template <int each, int n> DEV void turn(u32x4 *v) {
#pragma unroll
	for (int i = 0; i + each < 4 * n; i++) v[i / 4][i % 4] = v[(i + each) / 4][(i + each) % 4];
}

template <int bits> DEV void turn(Four<bits> *f) {
	turn<Four<bits>::Low, Four<bits>::Low>(f->low);
	if (bits == 6 || bits == 5 || bits == 3) turn<Four<bits>::High, Four<bits>::High>(f->high);
	turn<1, 1>(&f->head);
	f->small = u32x2{f->small[0] >> 16 | f->small[1] << 16, f->small[1] >> 16};
}

// place_of is where word j of the lower bits of unit u lies, of 4 bits and more.
template <int bits> DEV u64 place_of(const Blocks &w, u64 u, u32 j) {
	if (bits == 8) return w.turned ? u / 2 * 16 + j % 4 * 4 + u % 2 * 2 + j / 4 : 8 * u + j;
	return w.turned ? u / 4 * 16 + j * 4 + u % 4 : 4 * u + j;
}

// words makes words t and t+4 of unit i of four.
template <int bits> DEV void words(const Four<bits> &f, int i, u32 t, u32 *a, u32 *b) {
	constexpr bool two = bits == 8 || bits < 4;
	u32 low = two ? f.low[i / 2][i % 2 * 2] : f.low[0][i], low2 = two ? f.low[i / 2][i % 2 * 2 + 1] : 0;
	u32 high = bits == 6 ? f.high[i / 2][i % 2 * 2] : f.high[0][i], high2 = bits == 6 ? f.high[i / 2][i % 2 * 2 + 1] : 0;
	pair<bits>(t, low, low2, high, high2, a, b);
}

// wide_heads reports whether blocks begin with 4 bytes, and has_small whether units
// have scales of their own.
template <int bits> DEV bool wide_heads(const Blocks &w) { return bits == 2 || lifted(bits) && w.form != Plain; }
template <int bits> DEV bool has_small(const Blocks &w) { return halves(bits) || lifted(bits) && w.form == Small; }

// few_units is four for rows that are no multiple of four units.
template <int bits> DEV void few_units(Four<bits> *f, const Blocks &w, u64 u, u32 count, u32 t) {
	const u32 *low = (const u32 *)w.low, *high = (const u32 *)w.high;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		if (i >= (int)count) break;
		u64 at = u + i, b = at >> w.per;
		if (bits == 8 || bits < 4) {
			f->low[i / 2 % Four<bits>::Low][i % 2 * 2] = low[bits == 8 ? 8 * at + t : 2 * at];
			f->low[i / 2 % Four<bits>::Low][i % 2 * 2 + 1] = low[bits == 8 ? 8 * at + 4 + t : 2 * at + 1];
		} else
			f->low[0][i] = low[4 * at + t];
		if (bits == 5 || bits == 3) f->high[0][i] = high[at];
		if (bits == 6) f->high[i / 2 % Four<bits>::High][i % 2 * 2] = high[2 * at], f->high[i / 2 % Four<bits>::High][i % 2 * 2 + 1] = high[2 * at + 1];
		if (has_small<bits>(w)) f->small[i / 2] = i % 2 ? f->small[i / 2] & 0xffff | (u32)w.small[at] << 16 : w.small[at];
		f->head[i] = wide_heads<bits>(w) ? ((const u32 *)w.head)[b] : ((const u16 *)w.head)[b];
	}
}

// four reads units u to u+3, of which the first count are there, by loads as wide
// as can be: words of neighbours along four units of a row lie together.
template <int bits> __attribute__((always_inline)) DEV void four(Four<bits> *f, const Blocks &w, u64 u, u32 count, u32 t) {
	const u32 *low = (const u32 *)w.low, *high = (const u32 *)w.high;
	if (!w.turned) return few_units<bits>(f, w, u, count, t);
	const u32x4 *wide = (const u32x4 *)(low + (bits < 4 ? 2 * u : bits == 8 ? 8 * u + 4 * t : 4 * u + 4 * t));
	f->low[0] = wide[0];
	if (bits == 8) f->low[Four<bits>::Low - 1] = wide[4];
	if (bits < 4) f->low[Four<bits>::Low - 1] = wide[1];
	if (bits == 5 || bits == 3) f->high[0] = *(const u32x4 *)(high + u);
	if (bits == 6) f->high[0] = *(const u32x4 *)(high + 2 * u), f->high[Four<bits>::High - 1] = *(const u32x4 *)(high + 2 * u + 4);
	if (has_small<bits>(w)) f->small = *(const u32x2 *)(w.small + u);
	u64 b = u >> w.per;
	if (w.per == 0 && wide_heads<bits>(w)) {
		f->head = *(const u32x4 *)((const u32 *)w.head + b);
	} else if (w.per == 0) {
		u32x2 h = *(const u32x2 *)((const u16 *)w.head + b);
		f->head = u32x4{h[0], h[0] >> 16, h[1], h[1] >> 16};
	} else if (w.per == 1) { // wide
		u32x2 h = *(const u32x2 *)((const u32 *)w.head + b);
		f->head = u32x4{h[0], h[0], h[1], h[1]};
	} else {
		u32 h = wide_heads<bits>(w) ? ((const u32 *)w.head)[b] : ((const u16 *)w.head)[b];
		f->head = u32x4{h, h, h, h};
	}
}

// Scales make weights of codes: scale (q - offset) + least, of each half of a unit.
struct Scales {
	float scale[2], least[2];
};

// scales_of makes them of what a block begins with and of the small scales of a
// unit. They are rounded as package quant rounds, so that weights are the same bit
// for bit.
template <int bits> DEV Scales scales_of(u32 form, u32 head, u32 small) {
	if (bits == NormalBits) return {{f32_bits(head), f32_bits(head)}, {}};
	float d = f16_value((u16)head);
	if (!lifted(bits) || bits != 2 && form == Plain) {
		if (!halves(bits)) return {{d, d}, {}};
		return {{d * (float)(i8)small, d * (float)(i8)(small >> 8)}, {}};
	}
	float m = f16_value((u16)(head >> 16));
	if (bits == 2) return {{d * (float)(small & 15), d * (float)(small >> 8 & 15)}, {-(m * (float)(small >> 4 & 15)), -(m * (float)(small >> 12 & 15))}};
	if (form == Small) d = d * (float)(small & 255), m = -(m * (float)(small >> 8 & 255));
	if (form == Zero) m = -(d * m);
	return {{d, d}, {m, m}};
}

// scales are those of unit i of four.
template <int bits> DEV Scales scales(const Four<bits> &f, u32 form, int i) { return scales_of<bits>(form, f.head[i], f.small[i / 2] >> i % 2 * 16); }

// scales_at are those of unit u.
template <int bits> DEV Scales scales_at(const Blocks &w, u64 u) {
	u64 b = u >> w.per;
	bool wide = bits == NormalBits || wide_heads<bits>(w);
	return scales_of<bits>(w.form, wide ? ((const u32 *)w.head)[b] : ((const u16 *)w.head)[b], has_small<bits>(w) ? w.small[u] : 0);
}

// load_four reads elements i to i+3 of a tensor of floats; i is a multiple of four.
DEV void load_four(float *to, const void *p, u32 type, u64 i) {
	if (type == F32) {
		u32x4 v = *(const u32x4 *)((const float *)p + i);
#pragma unroll
		for (int e = 0; e < 4; e++) to[e] = f32_bits(v[e]);
		return;
	}
	u32x2 v = *(const u32x2 *)((const u16 *)p + i);
#pragma unroll
	for (int e = 0; e < 4; e++) {
		u16 h = (u16)(v[e / 2] >> e % 2 * 16);
		to[e] = type == BF16 ? bf16_value(h) : f16_value(h);
	}
}
