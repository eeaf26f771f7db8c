// Gradients of the weights of convolutions on tensor cores, of x and dy in 16 bits, or
// in f32 and rounded to tf32:
// the sum over the positions of a part, in their order, in steps of 16 and one chain.
//
// A tile of 128 channels of dy and 64 of x's channels and taps does 2·128·64
// operations for each position, for 128 elements of dy that lie together and 64 of
// x that come one by one: taps find them in the first cache.
#include "conv.h"
#include "product.h"

static constexpr u32 Rows = 128, Columns = 64, GradThreads = 256, Each = 8;

// spot is where a tile has place k of a row.
template <class T> DEV u32 spot(u32 row, u32 k) {
	return sizeof(T) == 4 ? 16 * lies_tf32<true, 8>(row, k / 4) + k % 4 * 4 : 16 * lies<4>(row, k / 8) + k % 8 * 2;
}

// Column is what a column of the tile sees: where, from what a position sees first.
struct Column {
	i64 at;
	i32 move[3];
	u32 there;
};

DEV void lay_columns(const Conv &c, const View &v, Column *to, u32 start, u32 taps, u64 volume) {
	if (tid() >= Columns) return;
	u32 n = start + tid();
	Column column = {0, {}, n < c.channels * taps};
	i32 tap[3];
	digits(n % taps, v.taps, tap);
	UNROLL for (u32 a = 0; a < 3; a++) column.move[a] = tap[a] * v.move[a], column.at = column.at * c.size[a] + column.move[a];
	column.at += (i64)(n / taps * volume);
	to[tid()] = column;
}

// fetch reads elements of x for one position and every eighth column.
template <class T> DEV void fetch(u32 *to, const Conv &c, const View &v, const Column *columns, u32 group, u64 k, u64 end, u32 area, u64 volume) {
	i32 base[3];
	i64 at = 0;
	bool there = k < end;
	digits((u32)(k % area), v.count, base);
	UNROLL for (u32 a = 0; a < 3; a++) base[a] = base[a] * v.walk[a] + v.from[a], at = at * c.size[a] + base[a];
	const T *from = (const T *)c.x + (i64)((k / area * c.groups + group) * c.channels * volume) + at;
#pragma unroll
	for (u32 i = 0; i < Each; i++) {
		const Column &column = columns[tid() / Deep + 8 * i];
		bool inside = there && column.there;
		UNROLL for (u32 a = 0; a < 3; a++) inside = inside && (u32)(base[a] + column.move[a]) < c.size[a];
		to[i] = inside ? from[column.at] : 0;
	}
}

template <class T> DEV void keep(u8 *to, const u32 *from) {
	u32 k = tid() % Deep;
#pragma unroll
	for (u32 i = 0; i < Each; i++) *(T *)(to + spot<T>(tid() / Deep + 8 * i, k)) = (T)from[i];
}

// bring_rows asks for dy: 8 positions (4 of f32) lie together where a sample has a
// multiple of them, else they come one by one.
template <class T> DEV void bring_rows(u8 *to, const Grad &p, u32 group, u32 top, u64 k, u64 end, u32 area) {
	constexpr u32 Few = 16 / sizeof(T), Pieces = Deep / Few;
	bool whole = area % Few == 0 && at_sixteen(p.dy);
#pragma unroll
	for (u32 i = 0; i < Rows * Pieces / GradThreads; i++) {
		u32 e = tid() + GradThreads * i, r = e / Pieces, piece = e % Pieces;
		u64 first = k + piece * Few;
		auto at = [&](u64 n) { return (const T *)p.dy + ((n / area * p.conv.groups + group) * p.conv.rows + top + r) * area + n % area; };
		bool there = top + r < p.conv.rows && first < end;
		T *to_piece = (T *)(to + spot<T>(r, piece * Few));
		if (whole) {
			copy_async<16>(to_piece, there ? at(first) : (const T *)p.dy, there ? 16 : 0);
			continue;
		}
#pragma nounroll
		for (u32 j = 0; j < Few; j++) to_piece[j] = there && first + j < end ? *at(first + j) : 0;
	}
}

template <u32 type> DEV void add_products(float (*sum)[4][4], const u8 *left, const u8 *right, u32 row, u32 column) {
	if constexpr (type == F32) {
#pragma unroll 2
		for (u32 k = 0; k < Deep; k += 8) {
			u32 a[2][4], b[2][4];
#pragma unroll
			for (u32 i = 0; i < 2; i++) left_tf32<true, Rows>(a[i], left, row + 16 * i, k), right_tf32<true, Columns>(b[i], right, column + 16 * i, k);
#pragma unroll
			for (u32 i = 0; i < 8; i++) mma_tf32(sum[i / 4][i % 4], a[i / 4], b[i % 4 / 2] + i % 2 * 2);
		}
		return;
	}
#pragma unroll
	for (u32 k = 0; k < Deep; k += 16) {
		u32 a[2][4], b[4][2];
#pragma unroll
		for (u32 f = 0; f < 2; f++) load_left<4, true>(a[f], left, row + 16 * f, k);
#pragma unroll
		for (u32 j = 0; j < 4; j += 2) load_right<4, true>(b[j], right, column + 8 * j, k);
#pragma unroll
		for (u32 f = 0; f < 2; f++)
#pragma unroll
			for (u32 j = 0; j < 4; j++) mma_half<type>(sum[f][j], a[f], b[j]);
	}
}

template <u32 type, class T> __attribute__((always_inline)) DEV void weight_grad(const Grad &p) {
	constexpr u32 Left = Rows * Deep * sizeof(T), Right = Columns * Deep * sizeof(T);
	u8 *stages = room();
	SHARED View v;
	SHARED Column columns[Columns];
	const Conv &c = p.conv;
	if (tid() == 0) view(c, 0, &v);
	sync();
	u32 group = block_z() % c.groups, part = block_z() / c.groups, top = block_y() * Rows, start = block_x() * Columns;
	u32 area = product(v.count), taps = product(v.taps), all = c.channels * taps, warp = tid() / Warp, row = warp % 4 * 32, column = warp / 4 * 32;
	u64 volume = (u64)c.size[0] * c.size[1] * c.size[2], total = c.batch * area, first = part * p.length, end = first + p.length < total ? first + p.length : total;
	lay_columns(c, v, columns, start, taps, volume);
	sync();
	float sum[2][4][4] = {};
	u32 x[Each];
	u64 steps = first < end ? (end - first + Deep - 1) / Deep : 0;
	for (u64 s = 0; steps; s++) { // what comes next is read while what came before is multiplied
		u8 *next = stages + s % 2 * (Left + Right);
		u64 k = first + s * Deep;
		if (s < steps) {
			fetch<T>(x, c, v, columns, group, k + tid() % Deep, end, area, volume);
			bring_rows<T>(next, p, group, top, k, end, area);
		}
		commit_copies();
		const u8 *stage = stages + (s + 1) % 2 * (Left + Right);
		if (s) add_products<type>(sum, stage, stage + Left, row, column);
		if (s == steps) break;
		keep<T>(next + Left, x);
		wait_copies<0>();
		sync();
	}
	u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll
	for (u32 i = 0; i < 32; i++) {
		u32 r = top + row + i / 16 * 16 + i / 2 % 2 * 8 + g, n = start + column + i / 4 % 4 * 8 + 2 * t + i % 2;
		if (r >= c.rows || n >= all) continue;
		float value = sum[i / 16][i / 4 % 4][i % 4];
		u64 to = ((u64)group * c.rows + r) * all + n;
		if (p.parts > 1)
			p.partial[(u64)part * c.groups * c.rows * all + to] = value;
		else
			store_float(c.y, c.y_type, to, value);
	}
}

KERNEL(conv_weight_grad_bf16, Grad) { weight_grad<BF16, u16>(p); }
KERNEL(conv_weight_grad_f16, Grad) { weight_grad<F16, u16>(p); }
KERNEL(conv_weight_grad_tf32, Grad) { weight_grad<F32, u32>(p); }
