// Operands of products of f32 with f32 that are rounded to tf32: both to nearest, ties
// away from 0, so that each is off by 2^-11 of itself at most, and summed in f32.
//
// They lie in shared memory as they are, and are rounded by those that read them: 24
// roundings for 16 mma of a warp of 64 x 32. A tile of 128 x 128 does 32 operations a
// byte that it reads, so that the 5.5 TB/s of an H200's second cache feed 176 TFLOP/s,
// of its 495; and it reads 24 rows of shared memory for 16 mma, enough for 310.
#pragma once
#include "tensor.h"

// lies_tf32 says where a tile has 16 bytes: of rows of 32 along k, for ldmatrix, of which
// eight neighbours are in different banks; or of rows of `Pieces` times four operands for
// each place of k, of which a warp reads four neighbours of eight elements.
template <bool along, u32 Pieces> DEV u32 lies_tf32(u32 row, u32 piece) {
	if (along) return row * 8 + (piece ^ (row % 8));
	if (Pieces == 4) return row * 4 + (piece ^ (row / 2 % 2 * 2));
	return row * Pieces + (piece ^ (row % 4 * 2));
}

// word_tf32 is one operand of a tile that has its rows apart.
template <u32 Tile> DEV u32 word_tf32(const u8 *tile, u32 row, u32 k) {
	return *(const u32 *)(tile + 16 * lies_tf32<false, Tile / 4>(k, row / 4) + row % 4 * 4);
}

// left_tf32 reads 16 rows from row on and 8 of k as mma has its first operand;
// right_tf32 reads 16 rows for two of the second.
template <bool along, u32 Tile> DEV void left_tf32(u32 *to, const u8 *tile, u32 row, u32 k) {
	u32 l = tid() % Warp;
	if (along)
		load_matrices<4, false>(to, tile + 16 * lies_tf32<true, 8>(row + l % 16, k / 4 + l / 16));
#pragma unroll
	for (u32 i = 0; i < 4; i++) to[i] = tf32_of(f32_bits(along ? to[i] : word_tf32<Tile>(tile, row + l / 4 + i % 2 * 8, k + l % 4 + i / 2 * 4)));
}

template <bool along, u32 Tile> DEV void right_tf32(u32 *to, const u8 *tile, u32 row, u32 k) {
	u32 l = tid() % Warp;
	if (along)
		load_matrices<4, false>(to, tile + 16 * lies_tf32<true, 8>(row + l / 16 * 8 + l % 8, k / 4 + l / 8 % 2));
#pragma unroll
	for (u32 i = 0; i < 4; i++) to[i] = tf32_of(f32_bits(along ? to[i] : word_tf32<Tile>(tile, row + l / 4 + i / 2 * 8, k + l % 4 + i % 2 * 4)));
}

// add_tf32 adds the products of a tile of Depth: a warp has 16 Lefts columns and 32 rows.
template <bool a_along, bool b_along, u32 Tile, u32 Depth> DEV void add_tf32(float (*sum)[4][4], const u8 *left, const u8 *right, u32 column, u32 row) {
	constexpr u32 Lefts = Tile / 32;
#pragma unroll b_along ? 2 : 1
	for (u32 k = 0; k < Depth; k += 8) {
		u32 a[Lefts][4], b[2][4];
#pragma unroll
		for (u32 f = 0; f < Lefts; f++) left_tf32<b_along, Tile>(a[f], left, column + 16 * f, k);
#pragma unroll
		for (u32 j = 0; j < 2; j++) right_tf32<a_along, Tile>(b[j], right, row + 16 * j, k);
#pragma unroll
		for (u32 f = 0; f < Lefts; f++)
#pragma unroll
			for (u32 j = 0; j < 4; j++) mma_tf32(sum[f][j], a[f], b[j / 2] + j % 2 * 2);
	}
}

// read_tf32 is what a thread has of 8 of row r of a, from its first on: at k and k + 4.
DEV u32x2 read_tf32(const MatMul &p, const float *from, u64 r, u64 k) {
	u32x2 v = {};
	if (r >= p.m) return v;
	const float *at = from + (i64)r * p.a_row + (i64)k * p.a_column;
	if (k < p.k) v[0] = *(const u32 *)at;
	if (k + 4 < p.k) v[1] = *(const u32 *)(at + 4 * p.a_column);
	return v;
}

// add_few_tf32 adds the products of 16 from k on in a tile of a few rows.
template <bool b_along, u32 Groups, u32 Rights> DEV void add_few_tf32(float (*sum)[Rights][4], const u8 *left, const u32x2 (*right)[2], u32 k) {
#pragma unroll
	for (u32 h = 0; h < 2; h++) {
		u32 a[Groups][4];
#pragma unroll
		for (u32 f = 0; f < Groups; f++) left_tf32<b_along, 16 * Groups>(a[f], left, 16 * f, k + 8 * h);
#pragma unroll
		for (u32 j = 0; j < Rights; j++) {
			u32 b[2] = {tf32_of(f32_bits(right[j][h][0])), tf32_of(f32_bits(right[j][h][1]))};
#pragma unroll
			for (u32 f = 0; f < Groups; f++) mma_tf32(sum[f][j], a[f], b);
		}
	}
}
