// Matrix products on tensor cores, with sums in f32: of 16-bit operands, of f32 with
// these (wide), and of f32 with f32 rounded to tf32 (type F32).
//
// A sum is made of pieces of 512 products. A piece is one chain of mma, in steps of
// 16 from the first k; pieces are added in order. Columns of the result, the rows
// of a weight, are the side of mma that is 16 wide, in all kernels. So a row has
// the same bits whatever the tile, the other rows, and the number of columns; and a
// few rows (product_few.h) spread over the pieces.
//
// Where a is f32 (wide), with bf16 its elements are three numbers of 8 bits each,
// exactly, so that products are exact, too: a step is three mma. With f16 they are
// two of tf32, four mma at half the speed. Results are as good as those of f32.
//
// 2 m n k operations. A tile of 128 x 128 does 64 a byte that it reads of 16-bit
// operands, so that 350 TFLOP/s of an H200 ask for 5.5 TB/s of its second cache. Of
// its 989 TFLOP/s, mma reaches 60 to 65%; wgmma, of sm_90a, is needed for more.
// A warp of 64 x 32 reads 6 KiB of shared memory for 32 mma.
#pragma once
#include "matmul.h"
#include "product_tf32.h"
#include "row.h"

static constexpr u32 Deep = 32, Stages = 4, Piece = 512;

// Side is an operand: [rows, k], or [k, rows] if k is not along its rows.
struct Side {
	const u8 *from, *other; // other is what the second half of a tile's rows is of
	i64 apart;              // how far apart rows are, or places of k, in elements
	u64 first, rows, length;
	u32 half; // of the rows of a tile: those of from
	bool whole; // pieces of 16 bytes lie at multiples of 16
};

DEV bool at_sixteen(const void *p) { return (u64)p % 16 == 0; }

// lies says where a tile has 16 bytes, so that eight neighbours of a row or
// a column are in different banks: rows of 64, 128 or 256 bytes, or of 32.
template <u32 Pieces> DEV u32 lies(u32 row, u32 piece) {
	if (Pieces == 2) return row * 2 + (piece ^ (row / 4 % 2));
	if (Pieces == 4) return row / 2 * 8 + ((row % 2 * 4 + piece) ^ (row / 2 % 4));
	return row * Pieces + (piece ^ (row % 8));
}

// lies_wide is lies for rows of 32 numbers in f32, of which lanes read two at once.
DEV u32 lies_wide(u32 row, u32 piece) { return row * 8 + (piece ^ (row % 4 * 2)); }

// by_element copies n elements, and zeros after them, to fill 16 bytes.
template <u32 bytes> DEV void by_element(u8 *to, const u8 *from, u32 n) {
	u32x4 v = {};
#pragma unroll
	for (u32 i = 0; i < 4; i++)
		if (bytes == 4)
			v[i] = i < n ? ((const u32 *)from)[i] : 0;
		else
			v[i] = (2 * i < n ? ((const u16 *)from)[2 * i] : 0) | (2 * i + 1 < n ? (u32)((const u16 *)from)[2 * i + 1] << 16 : 0);
	*(u32x4 *)to = v;
}

// bring asks for a tile of Tile rows and Depth of k, from k on, by threads numbered
// me. What is beyond the operand is 0.
template <u32 Tile, u32 Depth, bool along, u32 bytes, u32 Threads, bool tf32 = false> DEV void bring(u8 *to, const Side &s, u64 k, u32 me) {
	constexpr u32 Each = 16 / bytes, Pieces = (along ? Depth : Tile) / Each;
#pragma unroll
	for (u32 i = 0; i < Tile * Depth / Each / Threads; i++) {
		u32 e = me + Threads * i, row = e / Pieces, piece = e % Pieces;
		const u8 *from = along && row >= s.half ? s.other : s.from;
		u64 r = along ? s.first + (row & (s.half - 1)) : k + row, c = (along ? k : s.first) + piece * Each;
		u64 rows = along ? s.rows : s.length, columns = along ? s.length : s.rows;
		u32 n = r >= rows || c >= columns ? 0 : columns - c < Each ? (u32)(columns - c) : Each;
		const u8 *at = from + (n ? ((i64)r * s.apart + (i64)c) * bytes : 0);
		u8 *spot = to + 16 * (tf32 ? lies_tf32<along, Pieces>(row, piece) : bytes == 4 ? lies_wide(row, piece) : lies<Pieces>(row, piece));
		if (s.whole)
			copy_async<16>(spot, at, n * bytes);
		else
			by_element<bytes>(spot, at, n);
	}
}

// Bringer asks for tile after tile of an operand, as bring does for one: what a thread copies lies at places that it
// goes on from by addition, so that only the last tile looks at where the sum ends.
template <u32 Tile, u32 Depth, bool along, u32 bytes, u32 Threads, bool tf32 = false> struct Bringer {
	static constexpr u32 Each = 16 / bytes, Pieces = (along ? Depth : Tile) / Each, Count = Tile * Depth / Each / Threads, Rows = Threads / Pieces;
	static_assert(Threads % Pieces == 0);
	const u8 *at;     // the first piece of a thread; others are Rows further each
	i64 jump, across; // bytes to the next of them, and what that is off for rows of `other`
	i64 next;         // bytes to the next tile
	u32 half, there;  // bits of pieces whose rows are there
	u32 most;         // elements of a piece, if the sum goes on
	bool whole;

	DEV_METHOD __attribute__((always_inline)) Bringer(const Side &s, u32 me) : half(s.half), there(0), whole(s.whole) {
		u32 row = me / Pieces, piece = me % Pieces;
		u64 c = (along ? 0 : s.first) + piece * Each;
		at = s.from + ((i64)((along ? s.first : 0) + row) * s.apart + (i64)c) * bytes;
		jump = Rows * s.apart * bytes, next = (along ? Depth : Depth * s.apart) * bytes;
		across = s.other - s.from - half * s.apart * bytes;
		most = along || s.rows >= c + Each ? Each : c >= s.rows ? 0 : (u32)(s.rows - c);
#pragma unroll
		for (u32 i = 0; i < Count; i++) there |= (u32)(!along || s.first + (row + Rows * i & half - 1) < s.rows) << i;
	}

	// ask is for the next tile, when so many places of the sum are left.
	DEV_METHOD __attribute__((always_inline)) void ask(u8 *to, u64 left, u32 me) {
#pragma unroll
		for (u32 i = 0; i < Count; i++) {
			u32 row = me / Pieces + Rows * i, piece = me % Pieces, n = there >> i & 1 ? most : 0;
			if (left < Depth) {
				u32 ends = (u32)left, from = along ? piece * Each : row;
				n = from >= ends ? 0 : along && ends - from < n ? ends - from : n;
			}
			const u8 *from = at + i * jump + (along && row >= half ? across : 0);
			u8 *spot = to + 16 * (tf32 ? lies_tf32<along, Pieces>(row, piece) : bytes == 4 ? lies_wide(row, piece) : lies<Pieces>(row, piece));
			if (whole)
				copy_async<16>(spot, from, n * bytes);
			else
				by_element<bytes>(spot, from, n);
		}
		at += next;
	}
};

// load_left reads 16 rows from row on and 16 of k as mma has its first operand;
// load_right reads 16 rows for two of the second.
template <u32 Pieces, bool along> DEV void load_left(u32 *to, const u8 *tile, u32 row, u32 k) {
	u32 l = tid() % Warp;
	if (along)
		load_matrices<4, false>(to, tile + 16 * lies<Pieces>(row + l % 16, k / 8 + l / 16));
	else
		load_matrices<4, true>(to, tile + 16 * lies<Pieces>(k + l / 16 * 8 + l % 8, row / 8 + l / 8 % 2));
}

template <u32 Pieces, bool along> DEV void load_right(u32 *to, const u8 *tile, u32 row, u32 k) {
	u32 l = tid() % Warp;
	if (along)
		load_matrices<4, false>(to, tile + 16 * lies<Pieces>(row + l / 16 * 8 + l % 8, k / 8 + l / 8 % 2));
	else
		load_matrices<4, true>(to, tile + 16 * lies<Pieces>(k + l / 8 % 2 * 8 + l % 8, row / 8 + l / 16));
}

// part_of makes words of the upper halves of two floats, and leaves in them what
// the halves lack: nothing of what is not finite.
DEV u32 part_of(float *x, float *y) {
	u32 a = bits_f32(*x), b = bits_f32(*y);
	*x = (a & 0x7fffffff) < 0x7f800000 ? *x - f32_bits(a & 0xffff0000) : 0.0f;
	*y = (b & 0x7fffffff) < 0x7f800000 ? *y - f32_bits(b & 0xffff0000) : 0.0f;
	return permute(a, b, 0x7632);
}

// add_step adds a step's sums. The parts of f32 are summed apart from what came
// before, which is greater: so one rounding to nearest for 16 products, and not a
// loss in each of the mma, is what a sum of many suffers.
DEV void add_step(float *sum, const float *step) {
#pragma unroll
	for (u32 i = 0; i < 4; i++) sum[i] = sum[i] + step[i];
}

// add_wide_half is add_wide with f16, which is exact in tf32: a is two numbers of
// tf32, to half an ulp of f32. The even places of k go first.
template <u32 Lefts, u32 Rights> __attribute__((always_inline)) DEV void add_wide_half(float (*sum)[Rights][4], const u32 (*left)[4], const u32x2 (*right)[2]) {
#pragma unroll
	for (u32 odd = 0; odd < 2; odd++) {
		u32 a[Lefts][4];
#pragma unroll
		for (u32 i = 0; i < Lefts * 4; i++) a[i / 4][i % 4] = bits_f32(f16_value((u16)(left[i / 4][i % 4] >> 16 * odd)));
#pragma unroll
		for (u32 j = 0; j < Rights; j++) {
			u32 high[2], low[2];
#pragma unroll
			for (u32 h = 0; h < 2; h++) {
				u32 x = right[j][h][odd];
				high[h] = tf32_of(f32_bits(x));
				low[h] = (high[h] & 0x7fffffff) < 0x7f800000 ? tf32_of(f32_bits(x) - f32_bits(high[h])) : 0;
			}
#pragma unroll
			for (u32 f = 0; f < Lefts; f++) {
				float step[4] = {0.0f, 0.0f, 0.0f, 0.0f};
				mma_tf32(step, a[f], low), mma_tf32(step, a[f], high);
				add_step(sum[f][j], step);
			}
		}
	}
}

// add_wide does a step of 16 with a of f32: right is what a thread has of k from 2t
// on, and from 2t + 8 on. With bf16, a is three parts of 8 bits, the least of which
// goes first.
template <u32 type, u32 Lefts, u32 Rights> __attribute__((always_inline)) DEV void add_wide(float (*sum)[Rights][4], const u32 (*left)[4], const u32x2 (*right)[2]) {
	if constexpr (type == F16) {
		add_wide_half<Lefts, Rights>(sum, left, right);
		return;
	}
#pragma unroll
	for (u32 j = 0; j < Rights; j++) {
		u32 b[3][2];
#pragma unroll
		for (u32 h = 0; h < 2; h++) {
			float x = f32_bits(right[j][h][0]), y = f32_bits(right[j][h][1]);
#pragma unroll
			for (u32 i = 0; i < 3; i++) b[i][h] = part_of(&x, &y);
		}
#pragma unroll
		for (u32 f = 0; f < Lefts; f++) {
			float step[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
			for (i32 i = 2; i >= 0; i--) mma_half<BF16>(step, left[f], b[i]);
			add_step(sum[f][j], step);
		}
	}
}

// add_tile adds the products of a tile: a warp has 16 Lefts columns and 32 rows.
template <u32 type, bool wide, bool a_along, bool b_along, u32 Tile> DEV void add_tile(float (*sum)[4][4], const u8 *left, const u8 *right, u32 column, u32 row) {
	constexpr u32 Lefts = Tile / 32;
	if constexpr (type == F32) {
		add_tf32<a_along, b_along, Tile, Deep>(sum, left, right, column, row);
		return;
	}
#pragma unroll wide ? 1 : 2
	for (u32 k = 0; k < Deep; k += 16) {
		u32 a[Lefts][4];
#pragma unroll
		for (u32 f = 0; f < Lefts; f++) load_left<b_along ? 4 : Tile / 8, b_along>(a[f], left, column + 16 * f, k);
		if constexpr (wide) {
			u32 g = row + tid() % Warp / 4, t = tid() % 4;
			u32x2 b[4][2];
#pragma unroll
			for (u32 j = 0; j < 8; j++) b[j / 2][j % 2] = *(const u32x2 *)(right + 16 * lies_wide(g + j / 2 * 8, k / 4 + j % 2 * 2 + t / 2) + 8 * (t % 2));
			add_wide<type, Lefts, 4>(sum, a, b);
		} else {
			u32 b[4][2];
#pragma unroll
			for (u32 j = 0; j < 4; j += 2) load_right<a_along ? 4 : Tile / 8, a_along>(b[j], right, row + 8 * j, k);
#pragma unroll
			for (u32 f = 0; f < Lefts; f++)
#pragma unroll
				for (u32 j = 0; j < 4; j++) mma_half<type>(sum[f][j], a[f], b[j]);
		}
	}
}

// join_four is joined for n of four neighbours of the result.
DEV void join_four(const MatMul &p, u64 i, float *v, u32 n) {
	u32 size = p.y_type == F32 ? 4 : 2;
	if (n == 4 && ((u64)p.plus + i * size) % (4 * size) == 0) {
		float z[4];
		load4(z, p.plus, p.y_type, i);
#pragma unroll
		for (u32 j = 0; j < 4; j++) v[j] = z[j] + rounded(p.y_type, v[j]);
		return;
	}
	for (u32 j = 0; j < n; j++) v[j] = joined(p.plus, p.y_type, (i64)(i + j), v[j]);
}

// put_four stores n of four neighbours of the result.
DEV void put_four(const MatMul &p, u64 i, const float *v, u32 n) {
	bool wide = p.y_type == F32, together = n == 4 && ((u64)p.y + i * (wide ? 4 : 2)) % (wide ? 16 : 8) == 0;
	if (together && wide)
		*(u32x4 *)((float *)p.y + i) = *(const u32x4 *)v;
	else if (together && p.y_type == BF16)
		*(u32x2 *)((u16 *)p.y + i) = u32x2{bf16_of(v[0]) | (u32)bf16_of(v[1]) << 16, bf16_of(v[2]) | (u32)bf16_of(v[3]) << 16};
	else if (together)
		*(u32x2 *)((u16 *)p.y + i) = u32x2{f16_of(v[0]) | (u32)f16_of(v[1]) << 16, f16_of(v[2]) | (u32)f16_of(v[3]) << 16};
	else
		for (u32 j = 0; j < n; j++) store_float(p.y, p.y_type, (i64)(i + j), v[j]);
}

// put_tile stores a tile that lies in shared memory, [Tile rows, Apart]: half of
// its columns are those of the result, or all.
template <u32 Tile> DEV void put_tile(const MatMul &p, u64 z, float *tile, u64 row, u64 column) {
	constexpr u32 Apart = Tile + 4;
	u32 columns = p.up ? Tile / 2 : Tile;
	for (u32 e = tid(); e < Tile * columns / 4; e += 2 * Tile) {
		u32 r = e / (columns / 4), c = e % (columns / 4) * 4;
		if (row + r >= p.m || column + c >= p.n) continue;
		float *v = tile + r * Apart + c;
		u32 n = p.n - column - c < 4 ? (u32)(p.n - column - c) : 4;
		if (p.bias || p.activation || p.up)
#pragma nounroll
			for (u32 j = 0; j < n; j++) v[j] = finished(p, column + c + j, v[j], p.up ? v[j + Tile / 2] : 0.0f);
		u64 i = (z * p.m + row + r) * p.n + column + c;
		if (p.plus) join_four(p, i, v, n);
		put_four(p, i, v, n);
	}
}

// place_of_tile says where tile i is, so that those of blocks that run together lie
// together, 8 rows of tiles: they share what the second cache has.
DEV void place_of_tile(u32 i, u32 rows, u32 columns, u32 *row, u32 *column) {
	u32 group = i / (8 * columns), first = 8 * group, high = rows - first < 8 ? rows - first : 8;
	i -= group * 8 * columns;
	*row = first + i % high, *column = i / high;
}

template <u32 type, bool wide, bool a_along, bool b_along, u32 Tile> __attribute__((always_inline)) DEV void multiply(const MatMul &p) {
	constexpr bool tf32 = type == F32;
	constexpr u32 Bytes = tf32 ? 4 : 2, Ahead = tf32 ? 3 : Stages; // of b, and how many stages
	constexpr u32 Left = Tile * Deep * Bytes, Right = Tile * Deep * (wide ? 4 : 2), Lefts = Tile / 32, Threads = 2 * Tile;
	u32 columns = p.up ? Tile / 2 : Tile, across = (u32)((p.n + columns - 1) / columns), down = (u32)((p.m + Tile - 1) / Tile), row, column;
	place_of_tile(block_x(), down, across, &row, &column);
	u32 warp = tid() / Warp, my_column = warp % 2 * (Tile / 2), my_row = warp / 2 * 32;
	u64 steps = (p.k + Deep - 1) / Deep;
	for (u64 z = block_z(); z < p.batch.n; z += 65535) {
		i64 where[2];
		at(p.batch, z, where);
		if (!of_expert(p, z, where)) continue;
		Side a = {(const u8 *)p.a + where[0] * (wide ? 4 : 2), nullptr, a_along ? p.a_row : p.a_column, (u64)row * Tile, p.m, p.k, Tile};
		Side b = {(const u8 *)p.b + where[1] * Bytes, (const u8 *)p.up + where[1] * Bytes, b_along ? p.b_column : p.b_row, (u64)column * columns, p.n, p.k, columns};
		a.whole = at_sixteen(a.from) && a.apart % (wide ? 4 : 8) == 0;
		b.whole = at_sixteen(b.from) && b.apart % (16 / Bytes) == 0 && (!p.up || at_sixteen(b.other));
		Bringer<Tile, Deep, b_along, Bytes, Threads, tf32> of_b(b, tid());
		Bringer<Tile, Deep, a_along, wide ? 4 : 2, Threads, tf32> of_a(a, tid());
		auto ask = [&](u64 s) __attribute__((always_inline)) {
			u8 *to = room() + s % Ahead * (Left + Right);
			if (wide && !tf32 && s < steps) { // parts of f32 leave no registers for more
				bring<Tile, Deep, b_along, Bytes, Threads>(to, b, s * Deep, tid());
				bring<Tile, Deep, a_along, 4, Threads>(to + Left, a, s * Deep, tid());
			} else if (s < steps) {
				of_b.ask(to, p.k - s * Deep, tid()), of_a.ask(to + Left, p.k - s * Deep, tid());
			}
			commit_copies();
		};
		float sum[Lefts][4][4] = {}, total[Lefts][4][4] = {};
		for (u32 s = 0; s < Ahead - 1; s++) ask(s);
		for (u64 s = 0; s < steps; s++) {
			wait_copies<Ahead - 2>();
			sync();
			ask(s + Ahead - 1);
			const u8 *stage = room() + s % Ahead * (Left + Right);
			add_tile<type, wide, a_along, b_along, Tile>(sum, stage, stage + Left, my_column, my_row);
			if ((s + 1) % (Piece / Deep) && s + 1 < steps) continue;
#pragma unroll
			for (u32 i = 0; i < Lefts * 16; i++) {
				float *from = &sum[i / 16][i / 4 % 4][i % 4];
				total[i / 16][i / 4 % 4][i % 4] += *from, *from = 0.0f;
			}
		}
		wait_copies<0>();
		sync();
		float *tile = (float *)room();
		u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll
		for (u32 i = 0; i < Lefts * 16; i++)
			tile[(my_row + i / 4 % 4 * 8 + 2 * t + i % 2) * (Tile + 4) + my_column + i / 16 * 16 + i / 2 % 2 * 8 + g] = total[i / 16][i / 4 % 4][i % 4];
		sync();
		put_tile<Tile>(p, z, tile, (u64)row * Tile, (u64)column * columns);
		sync();
	}
}
