// Rows that a team of threads takes together, four elements of a thread at a time.
#pragma once
#include "number.h"

// always inlines what has arrays of a thread's own, which else would lie in memory.
#define ALWAYS __attribute__((always_inline)) DEV

// load4 reads four elements that lie together from element i on, of f32, bf16 or
// f16, aligned to their size.
ALWAYS void load4(float *v, const void *p, u32 type, u64 i) {
	if (type == F32) {
		u32x4 w = *(const u32x4 *)((const float *)p + i);
		v[0] = f32_bits(w[0]), v[1] = f32_bits(w[1]), v[2] = f32_bits(w[2]), v[3] = f32_bits(w[3]);
		return;
	}
	u32x2 w = *(const u32x2 *)((const u16 *)p + i);
	if (type == BF16) {
		v[0] = f32_bits(w[0] << 16), v[1] = f32_bits(w[0] & 0xffff0000);
		v[2] = f32_bits(w[1] << 16), v[3] = f32_bits(w[1] & 0xffff0000);
	} else {
		v[0] = f16_value((u16)w[0]), v[1] = f16_value((u16)(w[0] >> 16));
		v[2] = f16_value((u16)w[1]), v[3] = f16_value((u16)(w[1] >> 16));
	}
}

// store4 writes what load4 reads.
ALWAYS void store4(void *p, u32 type, u64 i, const float *v) {
	if (type == F32) {
		u32x4 w = {bits_f32(v[0]), bits_f32(v[1]), bits_f32(v[2]), bits_f32(v[3])};
		*(u32x4 *)((float *)p + i) = w;
		return;
	}
	u32x2 w;
	if (type == BF16)
		w = (u32x2){bf16_of(v[0]) | (u32)bf16_of(v[1]) << 16, bf16_of(v[2]) | (u32)bf16_of(v[3]) << 16};
	else
		w = (u32x2){f16_of(v[0]) | (u32)f16_of(v[1]) << 16, f16_of(v[2]) | (u32)f16_of(v[3]) << 16};
	*(u32x2 *)((u16 *)p + i) = w;
}

// MostWarps is the most that a team has.
static constexpr u32 MostWarps = 32;

// team_sums adds up N values of each thread of a team; all get the sums, of the
// same bits. A team is a warp, or all threads of a block.
template <u32 N> ALWAYS void team_sums(float *v, u32 team, float (*room)[MostWarps]) {
#pragma unroll
	for (u32 k = 0; k < N; k++)
#pragma unroll
		for (u32 m = Warp / 2; m > 0; m /= 2) v[k] += f32_bits(exchange(bits_f32(v[k]), m));
	if (team <= Warp) return;
	sync(); // all have read what was there before
#pragma unroll
	for (u32 k = 0; k < N; k++)
		if (tid() % Warp == 0) room[k][tid() / Warp] = v[k];
	sync();
#pragma unroll
	for (u32 k = 0; k < N; k++) {
		v[k] = 0.0f;
		for (u32 w = 0; w < team / Warp; w++) v[k] += room[k][w];
	}
}

// team_most is the greatest value of all threads of a team; a NaN stays.
ALWAYS float team_most(float v, u32 team, float (*room)[MostWarps]) {
#pragma unroll
	for (u32 m = Warp / 2; m > 0; m /= 2) {
		float o = f32_bits(exchange(bits_f32(v), m));
		v = o > v || o != o ? o : v;
	}
	if (team <= Warp) return v;
	sync();
	if (tid() % Warp == 0) room[0][tid() / Warp] = v;
	sync();
	for (u32 w = 0; w < team / Warp; w++) v = room[0][w] > v || room[0][w] != room[0][w] ? room[0][w] : v;
	return v;
}
