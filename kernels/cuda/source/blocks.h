// Weights in blocks, as kernels/cuda/blocks.go lays them out: planes, each of them
// in the order of units, which are 32 weights of a row. Codes of a unit are eight
// words of four, w[j] of weights 4j to 4j+3, of which word t and word t+4 are
// always made together: thread t of four brings both to a product of a warp. Rows are
// whole fours of units, the last of which may be of no weights. Of 4 bits and more, the 16
// words of four units, or of two of 8 bits, go by t, then by unit, then t before t+4,
// so that what a thread brings lies together.
#pragma once
#include "number.h"

// Form says what a weight of code q is, with s and t the bytes of small, of 4 and 5
// bits; others have one form.
enum Form : u32 {
	Plain, // d (q - offset); so are 8 bits and levels, d (level[q] - offset)
	Least, // d q + m
	Zero,  // d q - d m
	Small, // d s q - m t
	       // of 6 and 3 bits: d s (q - offset), a signed byte s for each 16 weights
	       // of 2 bits: d s q - m t, a byte s + 16 t for each 16 weights
	       // nf4: d normal[q], d in f32
};

// Kernels know a format by a number: its bits; of 4 bits that stand for levels a number
// of their own; and of forms Least and Zero 100, of Small 200 more.
static constexpr int Levels = 40, Normals = 44;
DEV constexpr int bits_of(int format) { return format % 100; }

// halves reports whether the halves of a unit have scales of their own, lifted
// whether there is what is added to weights, and so blocks begin with four bytes; and
// has_small whether units have scales of their own.
DEV constexpr bool halves(int format) { return format == 6 || format == 3 || format == 2; }
DEV constexpr bool lifted(int format) { return format == 2 || format > 100; }
DEV constexpr bool has_small(int format) { return halves(format) || format > 200; }

struct Blocks {
	const u8 *low;    // [units]: 4, 8 or the lower 2 bits of codes: 16, 32 or 8 bytes
	const u8 *high;   // [units]: 1 or 2 bits above them: 4 or 8 bytes
	const u16 *small; // [units]
	const void *head; // [units >> per]: d, and m
	u32 form, format, offset, per;
};

// normal are the levels of nf4.
CONSTANT float normal[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
	-0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f,
	0.5626170039176941f, 0.7229568362236023f, 1.0f};

// normal_parts are 1024 times the levels of nf4 as two f16 each, the greater first, which
// hold them to 2^-23: of each byte, the lower first, that of all levels.
static constexpr u32 normal_parts[4][4] = {{0x52339200, 0x00d4ea8d, 0x68e02618, 0x00c9800d},
	{0xdee0e1e4, 0x00d5d9dc, 0x5d5b5955, 0x6461605f},
	{0xb0984f00, 0x008f609a, 0x74dd7201, 0x0026abb8},
	{0x2eb12e00, 0x002329a4, 0x262429a1, 0x00b22f28}};

// normals makes pairs of levels of the codes in a word of four units: pair e is of weights
// 4t + e and 16 + 4t + e, as the greater and the lesser f16.
DEV void normals(u32 word, u32 *high, u32 *low) {
#pragma unroll
	for (u32 half = 0; half < 2; half++) {
		u32 w = word >> 16 * half, at = w & 0x7777, which = 0x3210 | (w & 0x8888) >> 1, byte[4];
#pragma unroll
		for (u32 i = 0; i < 4; i++) byte[i] = permute(permute(normal_parts[i][0], normal_parts[i][1], at), permute(normal_parts[i][2], normal_parts[i][3], at), which);
		high[2 * half] = permute(byte[0], byte[1], 0x5140), high[2 * half + 1] = permute(byte[0], byte[1], 0x7362);
		low[2 * half] = permute(byte[2], byte[3], 0x5140), low[2 * half + 1] = permute(byte[2], byte[3], 0x7362);
	}
}

// level are the levels of iq4_nl for four codes, and 128 more.
DEV u32 level(u32 q) {
	u32 s = q | q >> 4;
	s = (s & 0xff) | (s >> 8 & 0xff00);
	u32 below = permute(0x3f2d1801, 0x766a5d4f, s & 0x7777), above = permute(0xa6998d81, 0xf1d9c5b5, s & 0x7777);
	return permute(below, above, 0x3210 | (s & 0x8888) >> 1);
}

// pair makes words t and t+4 of the codes: low is word t of their lower bits, or
// words t and t+4 of 8 bits, or both words of 2 bits; high the words above them.
template <int format> DEV void pair(u32 t, u32 low, u32 low2, u32 high, u32 high2, u32 *a, u32 *b) {
	constexpr int bits = bits_of(format);
	if (bits == 8) {
		*a = low, *b = low2;
	} else if (bits >= 4) {
		*a = low & 0x0f0f0f0f, *b = low >> 4 & 0x0f0f0f0f;
		if (bits == Levels) *a = level(*a), *b = level(*b);
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

// Four units of a row, as a thread of a warp reads them: word t of the lower bits of
// each, or words t and t+4, or all words where there are two; and what the block of
// each begins with.
template <int format> struct Four {
	static constexpr int Low = bits_of(format) == 8 || bits_of(format) < 4 ? 2 : 1, High = format == 6 ? 2 : 1;
	u32x4 low[Low], high[High], head;
	u32x2 small;
};

// turn makes the second unit the first, and so on.
template <int each, int n> DEV void turn(u32x4 *v) {
#pragma unroll
	for (int i = 0; i + each < 4 * n; i++) v[i / 4][i % 4] = v[(i + each) / 4][(i + each) % 4];
}

template <int format> DEV void turn(Four<format> *f) {
	turn<Four<format>::Low, Four<format>::Low>(f->low);
	turn<Four<format>::High, Four<format>::High>(f->high);
	turn<1, 1>(&f->head);
	f->small = u32x2{f->small[0] >> 16 | f->small[1] << 16, f->small[1] >> 16};
}

// place_of is where word j of the lower bits of unit u lies, of 4 bits and more.
template <int format> DEV u64 place_of(u64 u, u32 j) {
	if (format == 8) return u / 2 * 16 + j % 4 * 4 + u % 2 * 2 + j / 4;
	return u / 4 * 16 + j * 4 + u % 4;
}

// words makes words t and t+4 of unit i of four.
template <int format> DEV void words(const Four<format> &f, int i, u32 t, u32 *a, u32 *b) {
	constexpr bool two = Four<format>::Low == 2, high = Four<format>::High == 2;
	u32 low = two ? f.low[i / 2][i % 2 * 2] : f.low[0][i], low2 = two ? f.low[i / 2][i % 2 * 2 + 1] : 0;
	u32 above = high ? f.high[i / 2][i % 2 * 2] : f.high[0][i], above2 = high ? f.high[i / 2][i % 2 * 2 + 1] : 0;
	pair<format>(t, low, low2, above, above2, a, b);
}

// read reads four f, by loads as wide as can be.
template <int format> __attribute__((always_inline)) DEV void read(Four<format> *to, const Blocks &w, u32 f, u32 t) {
	constexpr int bits = bits_of(format);
	const u32x4 *low = (const u32x4 *)w.low + (bits < 4 ? 2 * f : bits == 8 ? 8 * f + t : 4 * f + t);
	to->low[0] = low[0];
	if (bits == 8) to->low[Four<format>::Low - 1] = low[4];
	if (bits < 4) to->low[Four<format>::Low - 1] = low[1];
	if (bits == 5 || bits == 3) to->high[0] = ((const u32x4 *)w.high)[f];
	if (bits == 6) to->high[0] = ((const u32x4 *)w.high)[2 * f], to->high[Four<format>::High - 1] = ((const u32x4 *)w.high)[2 * f + 1];
	if (has_small(format)) to->small = ((const u32x2 *)w.small)[f];
	u32 h;
	if (format == Normals) { // a block is two units
		u32x2 both = ((const u32x2 *)w.head)[f];
		to->head = u32x4{both[0], both[0], both[1], both[1]};
		return;
	}
	if (has_small(format)) { // a block is two fours
		h = lifted(format) ? ((const u32 *)w.head)[f / 2] : ((const u16 *)w.head)[f / 2];
	} else if (!lifted(format)) {
		u32x2 both = ((const u32x2 *)w.head)[f];
		to->head = u32x4{both[0], both[0] >> 16, both[1], both[1] >> 16};
		return;
	} else if (w.per == 0) {
		to->head = ((const u32x4 *)w.head)[f];
		return;
	} else if (w.per == 1) {
		u32x2 both = ((const u32x2 *)w.head)[f];
		to->head = u32x4{both[0], both[0], both[1], both[1]};
		return;
	} else
		h = ((const u32 *)w.head)[f];
	to->head = u32x4{h, h, h, h};
}

// Scales make weights of codes: scale (q - offset) + least, of each half of a unit.
struct Scales {
	float scale[2], least[2];
};

// scales_of makes them of what a block begins with and of the small scales of a
// unit. They are rounded as package quant rounds, so that weights are the same bit
// for bit.
template <int format> DEV Scales scales_of(u32 form, u32 head, u32 small) {
	if (format == Normals) return {{f32_bits(head), f32_bits(head)}, {0.0f, 0.0f}};
	float d = f16_value((u16)head);
	if (!lifted(format)) {
		if (!halves(format)) return {{d, d}, {0.0f, 0.0f}};
		return {{d * (float)(i8)small, d * (float)(i8)(small >> 8)}, {0.0f, 0.0f}};
	}
	float m = f16_value((u16)(head >> 16));
	if (halves(format)) return {{d * (float)(small & 15), d * (float)(small >> 8 & 15)}, {-(m * (float)(small >> 4 & 15)), -(m * (float)(small >> 12 & 15))}};
	if (has_small(format))
		d = d * (float)(small & 255), m = -(m * (float)(small >> 8 & 255));
	else if (form == Zero)
		m = -(d * m);
	return {{d, d}, {m, m}};
}

// scales are those of unit i of four.
template <int format> DEV Scales scales(const Four<format> &f, u32 form, int i) { return scales_of<format>(form, f.head[i], f.small[i / 2] >> i % 2 * 16); }

// scales_at are those of unit u.
template <int format> DEV Scales scales_at(const Blocks &w, u64 u) {
	u64 b = u >> w.per;
	return scales_of<format>(w.form, format == Normals || lifted(format) ? ((const u32 *)w.head)[b] : ((const u16 *)w.head)[b], has_small(format) ? w.small[u] : 0);
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
