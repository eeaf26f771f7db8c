// Rows of tables in blocks, and what comes before products with weights in blocks:
// rows of x are quantised.
#include "blocks.h"

struct BlockRows {
	Blocks w;
	float *y;
	const void *index;
	u32 *bad;
	u64 m, n, units;
	u32 index_type;
};

// words_at makes words t and t+4 of unit u.
template <int format> DEV void words_at(const Blocks &w, u64 u, u32 t, u32 *a, u32 *b) {
	constexpr int bits = bits_of(format);
	const u32 *low = (const u32 *)w.low, *high = (const u32 *)w.high;
	u32 l, l2 = 0, h = 0, h2 = 0;
	if (bits >= 4)
		l = low[place_of<format>(u, t)];
	else
		l = low[2 * u], l2 = low[2 * u + 1];
	if (bits == 8) l2 = low[place_of<format>(u, t + 4)];
	if (bits == 5 || bits == 3) h = high[u];
	if (bits == 6) h = high[2 * u], h2 = high[2 * u + 1];
	pair<format>(t, l, l2, h, h2, a, b);
}

// row_of writes words t and t+4 of a unit.
template <int format> DEV void row_of(const Blocks &w, u64 u, u32 t, float *y) {
	u32 c[2];
	words_at<format>(w, u, t, &c[0], &c[1]);
	Scales s = scales_at<format>(w, u);
#pragma unroll
	for (int half = 0; half < 2; half++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			u32 q = c[half] >> 8 * e & 255;
			float v = s.scale[half] * (format == Normals ? normal[q] : (float)((i32)q - (i32)w.offset));
			if (lifted(format)) v = v + s.least[half];
			y[16 * half + 4 * t + e] = v;
		}
}

// block_rows: y [m, units] are rows of a table of n; a thread does 8 weights. These
// are as package quant has them, bit for bit.
KERNEL(block_rows, BlockRows) {
	for (u64 i = place(); i < p.m * p.units * 4; i += (u64)blocks_x() * threads()) {
		u32 t = i % 4;
		u64 row = i / 4 / p.units, u = i / 4 % p.units;
		i64 id = load_whole(p.index, p.index_type, (i64)row);
		if (id < 0 || id >= (i64)p.n) {
			least(p.bad, (u32)row);
			continue;
		}
		u64 from = (u64)id * ((p.units + 3) / 4 * 4) + u;
		float *y = p.y + (row * p.units + u) * 32;
#define ROW(format) \
	case format: row_of<format>(p.w, from, t, y); break;
		switch (p.w.format) {
			ROW(2)
			ROW(3)
			ROW(4)
			ROW(104)
			ROW(204)
			ROW(5)
			ROW(105)
			ROW(205)
			ROW(6)
			ROW(8)
			ROW(Levels)
			ROW(Normals)
		}
	}
}

struct Quantise {
	u8 *y;             // records, see blocks_product.cu
	const void *x;     // [rows, 32 units]; records are of whole fours of units, of zeros at the end
	const i32 *row_of; // [slots], -1 for none; or none, and row i is slot i spread
	u64 slots, units, spread, share; // share rows have the same x
	u32 type;
	u32 offset; // of codes of weights, for those that have no least value
	u32 plain;
	u32 bytes; // of a record
};

// quantise: a thread does a word of four numbers, eight of them a block of 32. d is
// 1/127 of the greatest magnitude; NaN if that is not finite, and 0 if it is below
// the least normal number. With the sum of codes of either half, or of both, goes
// what a product makes of it: 3 << 22 as float's bits, less offset times it; or d
// times it.
KERNEL(quantise, Quantise) {
	u64 fours = (p.units + 3) / 4 * 4, all = p.slots * fours * 8, step = (u64)blocks_x() * threads();
	for (u64 i = place(); i < (all + Warp - 1) / Warp * Warp; i += step) {
		u32 j = i % 8, half = j / 4;
		u64 block = i / 8 < all / 8 ? i / 8 : all / 8 - 1, slot = block / fours, unit = block % fours;
		i64 row = p.row_of ? p.row_of[slot] : (i64)slot;
		u64 from = ((u64)(row < 0 ? 0 : row) / p.share * p.units + unit) * 32 + 4 * j;
		float v[4] = {};
		if (unit < p.units) load_four(v, p.x, p.type, from);
		u32 most = 0;
#pragma unroll
		for (u32 e = 0; e < 4; e++) {
			u32 size = bits_f32(v[e]) & 0x7fffffff;
			most = size > most ? size : most;
		}
		for (u32 m = 4; m; m /= 2) {
			u32 other = exchange(most, m);
			most = other > most ? other : most;
		}
		float d = f32_bits(most) / 127.0f;
		bool finite = most < 0x7f800000, some = bits_f32(d) >= 0x00800000;
		u32 word = 0;
		i32 sum = 0;
#pragma unroll
		for (u32 e = 0; e < 4; e++) {
			i32 q = 0;
			// Adding 3 << 22 leaves no bits for a fraction.
			if (finite && some) q = (i32)(bits_f32(v[e] * (1.0f / d) + 12582912.0f) - 0x4b400000);
			word |= (u32)(u8)q << 8 * e;
			sum += q;
		}
		d = !finite ? f32_bits(0x7fc00000) : some ? d : 0.0f;
		sum += (i32)exchange((u32)sum, 1);
		sum += (i32)exchange((u32)sum, 2);
		i32 other = (i32)exchange((u32)sum, 4);
		if (p.bytes == 320) sum += other;
		if (row < 0 || i >= all) continue;
		u64 to = slot * p.spread;
		u8 *y = p.y + (to / 8 * fours + unit) * p.bytes;
		u32 r = to % 8;
		*(u32 *)(y + 32 * r + 8 * (j % 4) + 4 * half) = word;
		u32 extra = p.plain ? (u32)(0x4b400000 - (i32)p.offset * sum) : bits_f32(d * (float)sum);
		if (j == 0) {
			float *head = (float *)(y + 256 + 16 * (r / 2)) + r % 2;
			head[0] = d;
			head[2] = f32_bits(extra);
		}
		if (j == 4 && p.bytes != 320) *(u32 *)(y + 320 + 8 * (r / 2) + 4 * (r % 2)) = extra;
	}
}

// halve: of nf4, whose levels are no whole numbers, x stays as it is but for bits below
// 2^-22: a block of 32 numbers is a power of 2 times two f16 for each, of which the first
// has at most 2^15; NaN if one is not finite. A thread does numbers 4t to 4t + 3, and as
// many 16 further on.
KERNEL(halve, Quantise) {
	u64 fours = (p.units + 3) / 4 * 4, all = p.slots * fours * 4, step = (u64)blocks_x() * threads();
	for (u64 i = place(); i < (all + Warp - 1) / Warp * Warp; i += step) {
		u32 t = i % 4, most = 0;
		u64 block = i / 4 < all / 4 ? i / 4 : all / 4 - 1, slot = block / fours, unit = block % fours;
		i64 row = p.row_of ? p.row_of[slot] : (i64)slot;
		u64 from = ((u64)(row < 0 ? 0 : row) / p.share * p.units + unit) * 32 + 4 * t;
		float v[8] = {};
		if (unit < p.units) load_four(v, p.x, p.type, from), load_four(v + 4, p.x, p.type, from + 16);
#pragma unroll
		for (u32 e = 0; e < 8; e++) {
			u32 size = bits_f32(v[e]) & 0x7fffffff;
			most = size > most ? size : most;
		}
		for (u32 m = 2; m; m /= 2) {
			u32 other = exchange(most, m);
			most = other > most ? other : most;
		}
		bool finite = most < 0x7f800000;
		i32 power = (i32)(most >> 23) - 127;
		if (power < -102) power = -102;
		float up = finite ? power_of_two(14 - power) : 0.0f;
		u32x4 high, low;
#pragma unroll
		for (u32 e = 0; e < 4; e++) {
			float a = finite ? v[e] * up : 0.0f, b = finite ? v[4 + e] * up : 0.0f;
			u16 x = f16_of(a), y = f16_of(b);
			high[e] = x | (u32)y << 16;
			low[e] = f16_of(a - f16_value(x)) | (u32)f16_of(b - f16_value(y)) << 16;
		}
		if (row < 0 || i >= all) continue;
		u64 to = slot * p.spread;
		u8 *y = p.y + (to / 8 * fours + unit) * p.bytes;
		u32 r = to % 8;
		*(u32x4 *)(y + 16 * (4 * r + t)) = high;
		*(u32x4 *)(y + 512 + 16 * (4 * r + t)) = low;
		if (t == 0) ((float *)(y + 1024 + 16 * (r / 2)))[r % 2] = finite ? power_of_two(power - 24) : f32_bits(0x7fc00000);
	}
}
