// Products of up to 8 rows, or 32, on tensor cores: with the bits of product.h.
//
// They are bound by the memory that weights are read from: 2 m operations for 2
// bytes, where an H200 has 4.8e12 bytes/s. A block has 16 or 32 columns, and each
// of its warps whole pieces of their sums, so that 4096 columns of 4096 make 2048
// warps. A warp asks for 128 bytes of each row ahead, 4 KiB in all, 128 KiB on a
// processor; 40 are needed to keep memory busy. Rows of a are read by the first
// cache, which blocks of a processor share.
#pragma once
#include "product.h"

static constexpr u32 FewDepth = 64, FewStages = 3; // of tf32, half as deep

// Few is how many a block has of columns, warps and rows of a.
template <u32 Groups, u32 Rights> struct Few {
	static constexpr u32 Columns = 16 * Groups, Warps = 8 / Groups, Threads = Warps * Warp, Rows = 8 * Rights;
	static constexpr u32 Stage = Columns * FewDepth * 2, Apart = Columns + 4, Parts = Rows * Apart; // of a warp's sums
};

// two are two neighbours along k of row r of a: a word, or two of f32.
template <bool wide> DEV u32x2 two(const MatMul &p, const u8 *from, u64 r, u64 k, bool together) {
	u32x2 v = {};
	if (r >= p.m || k >= p.k) return v;
	const u8 *at = from + ((i64)r * p.a_row + (i64)k * p.a_column) * (wide ? 4 : 2), *next = at + p.a_column * (wide ? 4 : 2);
	bool both = k + 1 < p.k;
	if (wide && together && both) return *(const u32x2 *)at;
	if (wide) {
		v[0] = *(const u32 *)at, v[1] = both ? *(const u32 *)next : 0;
		return v;
	}
	v[0] = together && both ? *(const u32 *)at : *(const u16 *)at | (both ? (u32) * (const u16 *)next << 16 : 0);
	return v;
}

// read_few reads what the thread has of a for some steps from k on.
template <u32 type, bool wide, u32 Rights, u32 Steps> DEV void read_few(u32x2 (*to)[Rights][2], const MatMul &p, const u8 *a, u64 k, bool together) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll
	for (u32 i = 0; i < Steps; i++)
#pragma unroll
		for (u32 j = 0; j < 2 * Rights; j++)
			if constexpr (type == F32)
				to[i][j / 2][j % 2] = read_tf32(p, (const float *)a, j / 2 * 8 + g, k + i * 16 + j % 2 * 8 + t);
			else
				to[i][j / 2][j % 2] = two<wide>(p, a, j / 2 * 8 + g, k + i * 16 + j % 2 * 8 + 2 * t, together);
}

// add_few adds the products of some steps from k on in a tile.
template <u32 type, bool wide, bool b_along, u32 Groups, u32 Rights, u32 Steps> DEV void add_few(float (*sum)[Rights][4], const u8 *left, const u32x2 (*right)[Rights][2], u32 k) {
#pragma unroll
	for (u32 i = 0; i < Steps; i++) {
		if constexpr (type == F32) {
			add_few_tf32<b_along, Groups, Rights>(sum, left, right[i], k + 16 * i);
			continue;
		}
		u32 a[Groups][4];
#pragma unroll
		for (u32 f = 0; f < Groups; f++) load_left<b_along ? FewDepth / 8 : 2 * Groups, b_along>(a[f], left, 16 * f, k + 16 * i);
		if constexpr (wide) {
			add_wide<type, Groups, Rights>(sum, a, right[i]);
			continue;
		}
#pragma unroll
		for (u32 j = 0; j < Rights; j++) {
			u32 b[2] = {right[i][j][0][0], right[i][j][1][0]};
#pragma unroll
			for (u32 f = 0; f < Groups; f++) mma_half<type>(sum[f][j], a[f], b);
		}
	}
}

// add_pieces adds what the warps have of a sum, in order.
template <u32 Groups, u32 Rights> DEV void add_pieces(float *total, const float *parts, u32 count) {
	using F = Few<Groups, Rights>;
#pragma unroll
	for (u32 i = 0; i < (F::Rows * F::Columns + F::Threads - 1) / F::Threads; i++) {
		u32 e = tid() + F::Threads * i;
		if (e >= F::Rows * F::Columns) break;
		const float *from = parts + e / F::Columns * F::Apart + e % F::Columns;
		for (u32 w = 0; w < count; w++) total[i] += from[w * F::Parts];
	}
}

// put_few stores totals, which pass through shared memory so that those of a gate
// and of what it gates meet.
template <u32 Groups, u32 Rights> DEV void put_few(const MatMul &p, u64 z, const float *total, float *parts, u64 column, u32 columns) {
	using F = Few<Groups, Rights>;
#pragma unroll
	for (u32 i = 0; i < (F::Rows * F::Columns + F::Threads - 1) / F::Threads; i++) {
		u32 e = tid() + F::Threads * i;
		if (e < F::Rows * F::Columns) parts[e / F::Columns * F::Apart + e % F::Columns] = total[i];
	}
	sync();
	for (u32 e = tid(); e < F::Rows * columns; e += F::Threads) {
		u32 r = e / columns, c = e % columns;
		if (r >= p.m || column + c >= p.n) continue;
		const float *v = parts + r * F::Apart + c;
		put_one(p, (z * p.m + r) * p.n + column + c, finished(p, column + c, *v, p.up ? v[columns] : 0.0f));
	}
	sync();
}

template <u32 type, bool wide, bool b_along, u32 Groups, u32 Rights> __attribute__((always_inline)) DEV void multiply_few(const MatMul &p) {
	using F = Few<Groups, Rights>;
	constexpr bool tf32 = type == F32;
	constexpr u32 Bytes = tf32 ? 4 : 2, Depth = FewDepth * 2 / Bytes, Each = Piece / Depth, Steps = Rights == 1 ? Depth / 16 : 1;
	u32 warp = tid() / Warp, lane = tid() % Warp, g = lane / 4, t = lane % 4, columns = p.up ? F::Columns / 2 : F::Columns;
	u8 *mine = room() + warp * FewStages * F::Stage;
	float *parts = (float *)(room() + F::Warps * FewStages * F::Stage);
	u64 tiles = (p.k + Depth - 1) / Depth, pieces = (p.k + Piece - 1) / Piece, column = (u64)block_x() * columns;
	for (u64 z = block_z(); z < p.batch.n; z += 65535) {
		i64 where[2];
		at(p.batch, z, where);
		if (!of_expert(p, z, where)) continue;
		const u8 *a = (const u8 *)p.a + where[0] * (wide ? 4 : 2);
		bool together = p.a_column == 1 && p.a_row % 2 == 0 && (u64)a % (wide ? 8 : 4) == 0;
		Side b = {(const u8 *)p.b + where[1] * Bytes, (const u8 *)p.up + where[1] * Bytes, b_along ? p.b_column : p.b_row, column, p.n, p.k, columns};
		b.whole = at_sixteen(b.from) && b.apart % (16 / Bytes) == 0 && (!p.up || at_sixteen(b.other));
		auto tile_of = [&](u64 i) { return (i / Each * F::Warps + warp) * Each + i % Each; }; // of those of the warp
		auto ask = [&](u64 i) {
			if (tile_of(i) < tiles) bring<F::Columns, Depth, b_along, Bytes, Warp, tf32>(mine + i % FewStages * F::Stage, b, tile_of(i) * Depth, lane);
			commit_copies();
		};
		float total[(F::Rows * F::Columns + F::Threads - 1) / F::Threads] = {};
		for (u32 i = 0; i < FewStages - 1; i++) ask(i);
		for (u64 first = 0, i = 0; first < pieces; first += F::Warps) {
			float sum[Groups][Rights][4] = {};
			for (u64 end = i + Each; i < end; i++) {
				u64 k = tile_of(i) * Depth;
				u32x2 right[Steps][Rights][2];
				read_few<type, wide, Rights, Steps>(right, p, a, k, together);
				wait_copies<FewStages - 2>();
				sync_warp();
				ask(i + FewStages - 1);
				if (tile_of(i) >= tiles) continue;
				for (u32 step = 0;;) {
					add_few<type, wide, b_along, Groups, Rights, Steps>(sum, mine + i % FewStages * F::Stage, right, step * 16);
					step += Steps;
					if (step == Depth / 16) break;
					read_few<type, wide, Rights, Steps>(right, p, a, k + step * 16, together);
				}
			}
#pragma unroll
			for (u32 j = 0; j < Groups * Rights * 4; j++)
				parts[warp * F::Parts + (j / 4 % Rights * 8 + 2 * t + j % 2) * F::Apart + j / 4 / Rights * 16 + j / 2 % 2 * 8 + g] = sum[j / 4 / Rights][j / 4 % Rights][j % 4];
			sync();
			add_pieces<Groups, Rights>(total, parts, pieces - first < F::Warps ? (u32)(pieces - first) : F::Warps);
			sync();
		}
		put_few<Groups, Rights>(p, z, total, parts, column, columns);
		wait_copies<0>();
	}
}
