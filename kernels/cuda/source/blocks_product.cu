// Products with weights in blocks.
//
// As on CPU, activations are quantised to 8 bits in blocks of 32 first, so that
// the product of two blocks is a sum of whole numbers, which is exact, and mma of
// 16 rows of weights with 8 rows of x is one for each unit. To the sum of floats
// each adds by three instructions an element, 12 a thread and unit. With all else a
// warp needs 333 instructions for 16 mma of q4_0, 352 of q4_k and 396 of q8_0, of which
// an H200 starts 9.3e11 a second: 3.1 to 3.6e14 operations a second at most.
//
// few: of 4 rows of x or less, memory bounds it: 4096 x 4096 of q4_0 are 9.4 MB, 2 µs
// at 4.8e12 bytes/s. So 1.2 units come a clock and processor, which starts 55
// instructions meanwhile for 16 of them; 35 are needed of q4_0, 43 of q4_k. Each
// weight is read once, 16 bytes a thread, by warps of their own parts of the sum, and
// what comes next before what is there is used. Rows of x are every other of 8, so
// that a thread has half as many sums.
//
// some: 5 to 32 rows of x, else as few; and more, where sizes are not many tiles.
//
// many: tiles of 128 rows of weights and 64 of x. A warp does 32 by 64, so that
// codes are made of blocks once for 64 rows. Rows of x come by cp.async two fours
// ahead; weights, which no other warp wants, by registers. 19 KB of both operands
// are read for 2.1e6 operations: 3.3e12 bytes/s from the second cache at 3.6e14.
//
// nf4, whose levels are no whole numbers, is two f16 for a level, and so are numbers of x
// (see halve): three products of f16, without that of the lesser ones, to 2^-22. So 16 rows
// of weights by 8 of x are 6 mma for a unit, 39 cycles of a tensor core of an H200 by
// mma.sync: 1.9e14 operations a second at most. Levels of 16 rows take 78 instructions, the
// rest of a unit for few rows 17, where memory leaves time for 55.
#include "blocks_product.h"
#include "tensor.h"

// A record of x has 32 numbers of 8 rows: for each lane words t and t+4 of row g; for
// each t of rows 2t and 2t+1 d and what goes with the sum; of halves, twice.
// Of nf4 they are pairs of the greater f16 and, Lows further on, of the lesser.
template <int format> struct Record {
	static constexpr u32 Lows = 512, Heads = format == Normals ? 1024 : 256, Seconds = 320, Bytes = format == Normals ? 1088 : halves(format) ? 352 : 320;
};

static constexpr i32 Magic = 0x4b400000; // the bits of 3 << 22, to which a whole number may be added

// scaled is c without Magic, as float.
DEV float scaled(i32 c) { return f32_bits((u32)c) - 12582912.0f; }

// multiply adds the products of unit i of 16 rows of weights, a four of each of rows
// g and g+8, with 8 rows of x; or every other of these.
template <int format, bool thin> __attribute__((always_inline)) DEV void multiply(float *sum, const u32 *a, const Scales *s, u32x2 codes, u32x4 head, u32x2 second) {
	u32 b[2] = {codes[0], codes[1]};
	i32 c[4] = {Magic, Magic, Magic, Magic}, e[4] = {Magic, Magic, Magic, Magic};
	if (!lifted(format)) { // what goes with a sum is whole, and where it begins
		c[0] = c[2] = (i32)head[2], c[1] = c[3] = (i32)head[3];
		e[0] = e[2] = (i32)second[0], e[1] = e[3] = (i32)second[1];
	}
	if (halves(format)) {
		u32 left[4] = {a[0], a[1], 0, 0}, right[4] = {a[2], a[3], 0, 0}, from[2] = {b[0], 0}, to[2] = {b[1], 0};
		mma_u8(c, left, from);
		mma_u8(e, right, to);
	} else
		mma_u8(c, a, b);
#pragma unroll
	for (int r = 0; r < 4; r += thin ? 2 : 1) {
		float d = f32_bits(head[r % 2]);
		const Scales &of = s[r / 2];
		sum[r] = fma(scaled(c[r]), d * of.scale[0], sum[r]);
		if (lifted(format)) sum[r] = fma(f32_bits(head[2 + r % 2]), of.least[0], sum[r]);
		if (!halves(format)) continue;
		sum[r] = fma(scaled(e[r]), d * of.scale[1], sum[r]);
		if (lifted(format)) sum[r] = fma(f32_bits(second[r % 2]), of.least[1], sum[r]);
	}
}

// Lines are rows of weights of a warp: tiles of 16, of which a thread reads two
// rows each. Of a gate, the second of two tiles is of the other weight.
template <int tiles> struct Lines {
	u32 first[2 * tiles]; // the first four of each
};

// lines finds them from column start on, of the expert's weights.
template <int tiles> DEV Lines<tiles> lines(const BlockProduct &p, u64 expert, u64 start) {
	Lines<tiles> l;
	u32 g = tid() % Warp / 4;
#pragma unroll
	for (int k = 0; k < 2 * tiles; k++) {
		u64 column = start + (p.count == 2 ? 0 : k / 2 * 16) + k % 2 * 8 + g;
		l.first[k] = (u32)(expert * p.n + (column < p.n ? column : p.n - 1)) * fours_of(p);
	}
	return l;
}

// weight is that of tile k, field by field: a place in a parameter has no address.
DEV Blocks weight(const BlockProduct &p, int k) {
	if (k == 0) return p.w[0];
	bool other = p.count == 2;
	return {other ? p.w[1].low : p.w[0].low, other ? p.w[1].high : p.w[0].high, other ? p.w[1].small : p.w[0].small,
		other ? p.w[1].head : p.w[0].head, p.w[0].form, p.w[0].format, p.w[0].offset, p.w[0].per};
}

// ask reads four q of all lines.
template <int format, int tiles> __attribute__((always_inline)) DEV void ask(Four<format> *f, const BlockProduct &p, const Lines<tiles> &l, u32 q) {
#pragma unroll
	for (int k = 0; k < 2 * tiles; k++) read<format>(&f[k], weight(p, k / 2), l.first[k] + q, tid() % 4);
}

// ahead says that what comes next is read before what is there is used, as registers
// allow with so many sums: formats with scales for each 16 weights have twice as
// much to do with what they have read.
DEV constexpr bool ahead(int format, int sums) { return sums == 1 || !halves(format) && (sums < 16 || bits_of(format) == 4 || format == Levels || format == Normals); }

// add_normals is add of nf4. What is least goes first.
template <int tiles, int across, bool thin> __attribute__((always_inline)) DEV void add_normals(float (*sum)[across][4], const Four<Normals> *f, int i, const u8 *x, u64 next, u32 used) {
	typedef Record<Normals> R;
	u32 lane = tid() % Warp, a[2][tiles][2][4]; // the greater and the lesser
#pragma unroll
	for (int k = 0; k < 2 * tiles; k++) {
		u32 part[2][4];
		normals(f[k].low[0][i], part[0], part[1]);
#pragma unroll
		for (int e = 0; e < 8; e++) a[e / 4][k / 2][e / 2 % 2][e % 2 * 2 + k % 2] = part[e / 4][e % 4];
	}
#pragma unroll
	for (int j = 0; j < across; j++) {
		if (across > 1 && 8 * j >= used) break;
		const u8 *from = x + next * j;
		u32x4 high = {0, 0, 0, 0}, low = {0, 0, 0, 0};
		if (8 * j + lane / 4 < used) high = *(const u32x4 *)(from + 16 * lane), low = *(const u32x4 *)(from + R::Lows + 16 * lane);
		u32x4 head = *(const u32x4 *)(from + R::Heads + 16 * (lane % 4));
		u32 b[2][2][2] = {{{high[0], high[1]}, {high[2], high[3]}}, {{low[0], low[1]}, {low[2], low[3]}}};
#pragma unroll
		for (int k = 0; k < tiles; k++) {
			float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
			for (int n = 0; n < 6; n++) mma_half<F16>(c, a[n / 2 == 1][k][n % 2], b[n / 2 == 0][n % 2]);
#pragma unroll
			for (int r = 0; r < 4; r += thin ? 2 : 1) sum[k][j][r] = fma(c[r] * f32_bits(head[r % 2]), f32_bits(f[2 * k + r / 2].head[i]), sum[k][j][r]);
		}
	}
}

// add adds the products of unit i of a four; x is its record, and those of the
// next 8 rows are so many bytes on. used says how many rows x has.
template <int format, int tiles, int across, bool thin> __attribute__((always_inline)) DEV void add(float (*sum)[across][4], const Four<format> *f, int i, u32 form, const u8 *x, u64 next, u32 used) {
	if constexpr (format == Normals) {
		add_normals<tiles, across, thin>(sum, f, i, x, next, used);
		return;
	}
	u32 lane = tid() % Warp, t = lane % 4, a[tiles][4];
	Scales s[tiles][2];
#pragma unroll
	for (int k = 0; k < tiles; k++) {
		words<format>(f[2 * k], i, t, &a[k][0], &a[k][2]);
		words<format>(f[2 * k + 1], i, t, &a[k][1], &a[k][3]);
		s[k][0] = scales<format>(f[2 * k], form, i), s[k][1] = scales<format>(f[2 * k + 1], form, i);
	}
#pragma unroll
	for (int j = 0; j < across; j++) {
		if (across > 1 && 8 * j >= used) break;
		const u8 *from = x + next * j;
		u32x2 codes = {0, 0}, second = {0, 0};
		if (8 * j + lane / 4 < used) codes = *(const u32x2 *)(from + 8 * lane);
		u32x4 head = *(const u32x4 *)(from + Record<format>::Heads + 16 * t);
		if (halves(format)) second = *(const u32x2 *)(from + Record<format>::Seconds + 8 * t);
#pragma unroll
		for (int k = 0; k < tiles; k++) multiply<format, thin>(sum[k][j], a[k], s[k], codes, head, second);
	}
}

// add_four is add of a four. Where there are many products of each unit, units take
// turns, so that the code is short.
template <int format, int tiles, int across, bool thin> __attribute__((always_inline)) DEV void add_four(float (*sum)[across][4], Four<format> *f, u32 form, const u8 *x, u64 next, u32 used) {
	if constexpr (across > 1) {
#pragma nounroll
		for (u32 i = 0; i < 4; i++) {
			add<format, tiles, across, thin>(sum, f, 0, form, x + Record<format>::Bytes * i, next, used);
#pragma unroll
			for (int k = 0; k < 2 * tiles; k++) turn(&f[k]);
		}
	} else {
#pragma unroll
		for (int i = 0; i < 4; i++) add<format, tiles, across, thin>(sum, f, i, form, x + Record<format>::Bytes * i, next, used);
	}
}

// share_out adds the sums of a warp to room [8 across][pitch], or to zeros; the first
// column is at `at`, and those of the next tile `other` further on.
template <int tiles, int across> DEV void share_out(float *room, u32 pitch, u32 at, u32 other, float (*sum)[across][4], bool more) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll
	for (int k = 0; k < tiles; k++)
#pragma unroll
		for (int j = 0; j < across; j++)
#pragma unroll
			for (int r = 0; r < 4; r++) {
				float *to = &room[(8 * j + 2 * t + r % 2) * pitch + at + k * other + r / 2 * 8 + g];
				*to = (more ? *to : 0.0f) + sum[k][j][r];
			}
}

// used_at is how many of the slots from top on have rows of x, or more.
DEV u32 used_at(const BlockProduct &p, u64 top, u32 high) {
	if (p.chosen) return 1;
	u32 n = p.slots - top < high ? (u32)(p.slots - top) : high;
	while (p.row_of && n > 8 && p.row_of[top + n - 8] < 0) n -= 8;
	return n;
}

// few: a warp does a part of the sums of 16 tiles by 8 across, or by every other of 8.
template <int format, int tiles, int across, bool thin> DEV void few(const BlockProduct &p) {
	constexpr bool early = ahead(format, thin ? 1 : tiles * across);
	constexpr u32 wide = 16 * tiles, high = 8 * across;
	SHARED __attribute__((aligned(16))) float sums[Parts][high * wide];
	u32 part = tid() / Warp, lane = tid() % Warp, each = p.count == 2 ? wide / 2 : wide;
	u64 start = (u64)block_x() * each, next = 4 * (u64)fours_of(p) * Record<format>::Bytes;
	for (u64 top = (u64)block_y() * high; top < p.slots; top += 65535 * high) {
		i64 expert = expert_at(p, top);
		if (expert == -2) continue;
		u32 used = used_at(p, top, high);
		float sum[tiles][across][4] = {};
		if (expert >= 0) {
			u32 q = part_at(fours_of(p), part), end = part_at(fours_of(p), part + 1);
			Lines<tiles> l = lines<tiles>(p, (u64)expert, start);
			const u8 *x = (const u8 *)p.x + top / 8 * next;
			Four<format> now[2 * tiles], then[2 * tiles];
			if (early && q < end) ask<format, tiles>(then, p, l, q);
			for (; q < end; q++) {
				if (!early) ask<format, tiles>(now, p, l, q);
#pragma unroll
				for (int k = 0; k < 2 * tiles && early; k++) now[k] = then[k];
				if (early && q + 1 < end) ask<format, tiles>(then, p, l, q + 1);
				add_four<format, tiles, across, thin>(sum, now, p.w[0].form, x + (u64)q * (4 * Record<format>::Bytes), next, used);
			}
		}
		share_out<tiles, across>(sums[part], wide, 0, 16, sum, false);
		sync();
		for (u32 e = tid(); e < each * high; e += threads()) {
			u32 c = e % each, r = e / each;
			i64 row = row_at(p, top + r);
			if (row < 0 || start + c >= p.n) continue;
			float v = 0.0f, up = 0.0f;
			for (u32 i = 0; i < Parts; i++) {
				v = v + sums[i][r * wide + c];
				if (p.count == 2) up = up + sums[i][r * wide + each + c];
			}
			end_product(p, row, start + c, v, up, expert < 0);
		}
		sync();
	}
}

static constexpr u32 Wide = 128, High = 64, Pitch = Wide + 4;

// bring copies the records of four q of the rows of a tile.
template <int format> DEV void bring(u8 *to, const BlockProduct &p, u64 top, u32 q) {
	constexpr u32 size = 4 * Record<format>::Bytes / 16; // copies for 8 rows
	u64 last = (p.slots - 1) / 8;
	for (u32 c = tid(); c < size * High / 8; c += threads()) {
		u32 j = c / size, r = c % size;
		u64 of = top / 8 + j < last ? top / 8 + j : last;
		copy_async<16>(to + 16 * c, (const u8 *)p.x + (of * fours_of(p) + q) * (4 * Record<format>::Bytes) + 16 * r, 16);
	}
}

// many: four warps do a tile. Sums of all parts stay in shared memory, since they
// are needed seldom, with the first rows of room at Pitch.
template <int format> DEV void many(const BlockProduct &p) {
	constexpr bool early = ahead(format, 16);
	constexpr u32 stage = High / 8 * 4 * Record<format>::Bytes, Stages = format == Normals ? 2 : 3;
	float *sums = (float *)room();
	u8 *store = room() + Pitch * High * 4;
	u32 each = p.count == 2 ? Wide / 2 : Wide, warp = tid() / Warp, at = warp * each / 4, other = p.count == 2 ? Wide / 2 : 16;
	u64 start = (u64)block_x() * each;
	for (u64 top = (u64)block_y() * High; top < p.slots; top += 65535 * High) {
		i64 expert = expert_at(p, top);
		if (expert == -2) continue;
		u32 q = 0, all = expert < 0 ? 0 : fours_of(p);
		Lines<2> l = lines<2>(p, expert < 0 ? 0 : (u64)expert, start + at);
		for (u32 s = 0; s + 1 < Stages; s++) {
			if (s < all) bring<format>(store + stage * s, p, top, s);
			commit_copies();
		}
		Four<format> now[4], then[4];
		if (early && all > 0) ask<format, 2>(then, p, l, 0);
		u32 slot = 0;
		for (u32 part = 0; part < Parts; part++) {
			float sum[2][8][4] = {};
			for (u32 end = part_at(all, part + 1); q < end; q++) {
				if (!early) ask<format, 2>(now, p, l, q);
#pragma unroll
				for (int k = 0; k < 4 && early; k++) now[k] = then[k];
				if (early && q + 1 < all) ask<format, 2>(then, p, l, q + 1);
				wait_copies<Stages - 2>();
				sync(); // and all are done with the stage that is filled next
				if (q + Stages - 1 < all) bring<format>(store + stage * (slot == 0 ? Stages - 1 : slot - 1), p, top, q + Stages - 1);
				commit_copies();
				add_four<format, 2, 8, false>(sum, now, p.w[0].form, store + stage * slot, 4 * Record<format>::Bytes, High);
				slot = slot + 1 == Stages ? 0 : slot + 1;
			}
			share_out<2, 8>(sums, Pitch, at, other, sum, part > 0);
		}
		sync();
		for (u32 e = tid(); e < each * High; e += threads()) {
			u32 c = e % each, r = e / each;
			i64 row = row_at(p, top + r);
			if (row >= 0 && start + c < p.n) end_product(p, row, start + c, sums[r * Pitch + c], sums[r * Pitch + Wide / 2 + c], expert < 0);
		}
		sync();
	}
}

#define PRODUCT(format) \
	KERNEL(block_few_##format, BlockProduct) { few<format, 1, 1, true>(p); } \
	KERNEL(block_gate_##format, BlockProduct) { few<format, 2, 1, true>(p); } \
	KERNEL(block_some_##format, BlockProduct) { few<format, 2, 4, false>(p); } \
	KERNEL(block_many_##format, BlockProduct) { many<format>(p); }

PRODUCT(2)
PRODUCT(3)
PRODUCT(4)
PRODUCT(104)
PRODUCT(204)
PRODUCT(5)
PRODUCT(105)
PRODUCT(205)
PRODUCT(6)
PRODUCT(8)
PRODUCT(40)
PRODUCT(44)
