// Products of up to 8 rows in f32, with the bits of matmul.cu: a sum is one chain of
// fma from the first product to the last.
//
// They are bound by the memory that weights are read from: 2 m operations for 4
// bytes. A block has 16 columns and asks ahead for 128 of k of each, 24 KiB; 4096
// columns make two blocks for each processor of an H200, so that 48 KiB are on
// their way, where 40 keep its memory busy. A thread has one sum; its fma come one
// every 4 cycles, 4096 in 9 microseconds, in which 4096 columns take 14 to read.
#include "matmul.h"
#include "tensor.h"

static constexpr u32 Columns = 16, Rows = 8, Threads = Columns * Rows, Depth = 128, Stages = 4;

// Rows of a tile along k are padded, so that a vector from each of eight rows lies
// in banks of its own.
static constexpr u32 Pitch = Depth + 4, Stage = Columns * Pitch;

// bring asks for a tile: [Columns, Pitch], or [Depth, Columns] where columns lie
// together. Of a gate, half of the columns are those of up.
template <bool along> DEV void bring(float *to, const MatMul &p, i64 where, u64 first, u32 columns, u64 k, bool whole) {
	constexpr u32 Pieces = (along ? Depth : Columns) / 4;
#pragma unroll
	for (u32 i = 0; i < Columns * Depth / 4 / Threads; i++) {
		u32 e = tid() + Threads * i, row = e / Pieces, piece = e % Pieces * 4;
		const float *from = (const float *)(along && row >= columns ? p.up : p.b) + where;
		u64 r = along ? first + row % columns : k + row, c = (along ? k : first) + piece;
		u64 rows = along ? p.n : p.k, length = along ? p.k : p.n;
		u32 n = r >= rows || c >= length ? 0 : length - c < 4 ? (u32)(length - c) : 4;
		const float *at = n ? from + (i64)r * (along ? p.b_column : p.b_row) + (i64)c : from;
		float *spot = to + (along ? row * Pitch : row * Columns) + piece;
		if (whole)
			copy_async<16>(spot, at, 4 * n);
		else
#pragma unroll
			for (u32 j = 0; j < 4; j++) spot[j] = j < n ? at[j] : 0.0f;
	}
}

// add_products adds `deep` products of row r of a and of column c of a tile.
template <bool along> DEV float add_products(const float *a, i64 apart, bool together, const float *tile, u32 c, u32 deep, float sum) {
	u32 k = 0;
	if (together)
		for (; k + 4 <= deep; k += 4) {
			u32x4 x = *(const u32x4 *)(a + k), w;
			if (along) w = *(const u32x4 *)(tile + c * Pitch + k);
#pragma unroll
			for (u32 i = 0; i < 4; i++) sum = fma(f32_bits(x[i]), along ? f32_bits(w[i]) : tile[(k + i) * Columns + c], sum);
		}
	for (; k < deep; k++) sum = fma(a[k * apart], along ? tile[c * Pitch + k] : tile[k * Columns + c], sum);
	return sum;
}

template <bool along> __attribute__((always_inline)) DEV void multiply(const MatMul &p) {
	SHARED float up[Rows][Columns];
	float *stages = (float *)room();
	u32 columns = p.up ? Columns / 2 : Columns, c = tid() % Columns, r = tid() / Columns;
	u64 first = (u64)block_x() * columns, steps = (p.k + Depth - 1) / Depth;
	for (u64 z = block_z(); z < p.batch.n; z += 65535) {
		i64 where[2];
		at(p.batch, z, where);
		if (!of_expert(p, z, where)) continue;
		const float *a = (const float *)p.a + where[0] + (i64)r * p.a_row;
		bool together = p.a_column == 1 && p.a_row % 4 == 0 && (u64)((const float *)p.a + where[0]) % 16 == 0;
		bool whole = ((u64)((const float *)p.b + where[1]) | (p.up ? (u64)p.up : 0)) % 16 == 0 && (along ? p.b_column : p.b_row) % 4 == 0;
		auto ask = [&](u64 s) {
			if (s < steps) bring<along>(stages + s % Stages * Stage, p, where[1], first, columns, s * Depth, whole);
			commit_copies();
		};
		for (u32 s = 0; s < Stages - 1; s++) ask(s);
		float sum = 0.0f;
		for (u64 s = 0; s < steps; s++) {
			wait_copies<Stages - 2>();
			sync();
			ask(s + Stages - 1);
			u32 deep = p.k - s * Depth < Depth ? (u32)(p.k - s * Depth) : Depth;
			if (r < p.m) sum = add_products<along>(a + (i64)(s * Depth) * p.a_column, p.a_column, together, stages + s % Stages * Stage, c, deep, sum);
		}
		if (p.up) up[r][c] = sum;
		wait_copies<0>();
		sync();
		if (r < p.m && c < columns && first + c < p.n)
			put_one(p, (z * p.m + r) * p.n + first + c, finished(p, first + c, sum, p.up ? up[r][c + columns] : 0.0f));
		sync();
	}
}

KERNEL(matmul_few_k, MatMul) { multiply<true>(p); }
KERNEL(matmul_few_n, MatMul) { multiply<false>(p); }
