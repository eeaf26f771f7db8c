// Matrix products. Each element of the result is one sum, by fma, from the first
// product to the last, whatever the sizes and the tile: so a row is the same in
// any company.
//
// 2 m n k operations of 67 TFLOP/s (f32 of an H200). A tile of 128 reads each
// operand once for 128 of the other's rows, 32 operations a byte of f32, and 8 x 8
// sums of a thread need two vectors of four from shared memory for each operand
// and 64 fma.
#include "matmul.h"

static constexpr u32 Deep = 16; // 256 threads do a tile of 16 Each in both directions, each thread Each x Each elements

// spot is the row or column of element i of those of a thread: four lie together.
DEV u32 spot(u32 thread, u32 i) { return i / 4 * 64 + thread * 4 + i % 4; }

// Bring is what a thread brings of each tile of an operand: elements `apart` from each other, of rows that are there as
// the bits of `there` say, and of the sum from `first` on, `by` apart. Neighbouring threads read what lies together.
template <u32 Each> struct Bring {
	i64 at, apart, next;
	u32 there, first, by;

	DEV_METHOD __attribute__((always_inline)) Bring(i64 start, u64 top, u64 rows, i64 row, i64 column) {
		bool along = column == 1;
		u32 r = along ? tid() / Deep : tid() % (16 * Each);
		first = along ? tid() % Deep : tid() / (16 * Each), by = along ? 0 : Deep / Each;
		at = start + (i64)(top + r) * row + (i64)first * column, apart = along ? 16 * row : by * column, next = Deep * column;
		there = 0;
		for (u32 i = 0; i < Each; i++) there |= (u32)(top + r + (along ? 16 * i : 0) < rows) << i;
	}

	// fetch reads those of the next tile, of the sum from k on.
	DEV_METHOD __attribute__((always_inline)) void fetch(float *to, const void *from, u32 type, u64 k, u64 length) {
		u32 bits = there;
		if (k + Deep > length)
#pragma unroll
			for (u32 i = 0; i < Each; i++) bits &= ~((u32)(k + first + by * i >= length) << i);
		if (type == F32) // the usual one by itself
#pragma unroll
			for (u32 i = 0; i < Each; i++) to[i] = bits >> i & 1 ? ((const float *)from)[at + i * apart] : 0.0f;
		else
#pragma unroll
			for (u32 i = 0; i < Each; i++) to[i] = bits >> i & 1 ? load_float(from, type, at + i * apart) : 0.0f;
		at += next;
	}
};

// keep puts what fetch read where all threads of the block see it.
template <u32 Each> __attribute__((always_inline)) DEV void keep(float (*to)[16 * Each + 4], const float *from, bool along) {
#pragma unroll
	for (u32 i = 0; i < Each; i++) {
		u32 e = tid() + 256 * i;
		to[along ? e % Deep : e / (16 * Each)][along ? e / Deep : e % (16 * Each)] = from[i];
	}
}

template <u32 Each> __attribute__((always_inline)) DEV void add_products(float (*sum)[Each], const float (*left)[16 * Each + 4], const float (*right)[16 * Each + 4], u32 deep) {
	u32 row = tid() / 16, column = tid() % 16;
	for (u32 l = 0; l < deep; l++) {
		f32x4 a[Each / 4], b[Each / 4]; // fours, as single ones lie so that two of a warp meet in a bank
#pragma unroll
		for (u32 i = 0; i < Each; i += 4) a[i / 4] = *(const f32x4 *)&left[l][spot(row, i)], b[i / 4] = *(const f32x4 *)&right[l][spot(column, i)];
#pragma unroll
		for (u32 i = 0; i < Each; i++)
#pragma unroll
			for (u32 j = 0; j < Each; j++) sum[i][j] = fma(a[i / 4][i % 4], b[j / 4][j % 4], sum[i][j]);
	}
}

// finish gives the results of a thread. They pass by a place of the thread's own in
// room, row by row, so that what is done to each is written once for a row: else
// the compiler keeps sums in memory.
template <u32 Each, bool gated> __attribute__((always_inline)) DEV void finish(const MatMul &p, u64 z, float (*sum)[Each], float (*up)[Each], float *room, float *room_up) {
	u64 top = (u64)block_y() * 16 * Each, start = (u64)block_x() * 16 * Each;
#pragma unroll
	for (u32 i = 0; i < Each; i++) {
		u64 r = top + spot(tid() / 16, i);
#pragma unroll
		for (u32 j = 0; j < Each; j++) {
			room[256 * j + tid()] = sum[i][j];
			if (gated) room_up[256 * j + tid()] = up[i][j];
		}
#pragma nounroll
		for (u32 j = 0; j < Each; j++) {
			u64 c = start + spot(tid() % 16, j);
			if (r >= p.m || c >= p.n) continue;
			float v = finished(p, c, room[256 * j + tid()], gated ? room_up[256 * j + tid()] : 0.0f);
			put_one(p, (z * p.m + r) * p.n + c, v);
		}
	}
}

// multiply computes a tile of a b, or of both products of a gate. What comes next
// is read while what came before is multiplied.
template <u32 Each, bool gated> __attribute__((always_inline)) DEV void multiply(const MatMul &p) {
	SHARED __attribute__((aligned(16))) float left[Deep][16 * Each + 4], right[Deep][16 * Each + 4], other[gated ? Deep : 1][16 * Each + 4];
	u64 top = (u64)block_y() * 16 * Each, start = (u64)block_x() * 16 * Each;
	for (u64 z = block_z(); z < p.batch.n; z += 65535) {
		i64 where[2];
		at(p.batch, z, where);
		if (!of_expert(p, z, where)) continue;
		float sum[Each][Each] = {}, up[gated ? Each : 1][Each] = {}, a[Each], b[Each], u[Each];
		Bring<Each> of_a(where[0], top, p.m, p.a_row, p.a_column), of_b(where[1], start, p.n, p.b_column, p.b_row), of_up = of_b;
		for (u64 k = 0; k < p.k; k += Deep) {
			if (k == 0) {
				of_a.fetch(a, p.a, p.a_type, 0, p.k);
				of_b.fetch(b, p.b, p.b_type, 0, p.k);
				if (gated) of_up.fetch(u, p.up, p.b_type, 0, p.k);
			}
			keep<Each>(left, a, p.a_column == 1);
			keep<Each>(right, b, p.b_row == 1);
			if (gated) keep<Each>(other, u, p.b_row == 1);
			sync();
			of_a.fetch(a, p.a, p.a_type, k + Deep, p.k);
			of_b.fetch(b, p.b, p.b_type, k + Deep, p.k);
			if (gated) of_up.fetch(u, p.up, p.b_type, k + Deep, p.k);
			u32 deep = p.k - k < Deep ? (u32)(p.k - k) : Deep;
			add_products<Each>(sum, left, right, deep);
			if (gated) add_products<Each>(up, left, other, deep);
			sync();
		}
		finish<Each, gated>(p, z, sum, up, &left[0][0], &right[0][0]);
		sync();
	}
}

KERNEL(matmul, MatMul) { multiply<4, false>(p); }
KERNEL(matmul_large, MatMul) { multiply<8, false>(p); }
KERNEL(matmul_gated, MatMul) { multiply<4, true>(p); }
