// Products with weights in nf4, which numbers of x are multiplied with as they are:
// levels of nf4 are no whole numbers. An fma for each of the 32 weights of a unit, in
// order; sums have the parts that others have, see blocks_product.h.
//
// 67e12 operations a second (f32 of an H200) at most. normal_few reads a weight once for four rows of x:
// a look into a table in shared memory, a product and four fma for each weight.
// normal_many makes floats of 64 rows of weights at once, which 64 rows of x share: two
// vectors of four from shared memory for 16 fma.
#include "blocks_product.h"

template <int rows> DEV void few(const BlockProduct &p) {
	SHARED float table[16], room[Parts][rows][2][32];
	if (tid() < 16) table[tid()] = normal[tid()];
	sync();
	u32 part = tid() / Warp, lane = tid() % Warp;
	u64 column = (u64)block_x() * Warp + lane, high = rows == 1 ? p.step : rows;
	for (u64 top = (u64)block_y() * high; top < p.slots; top += 65535 * high) {
		i64 expert = expert_at(p, top);
		if (expert == -2) continue;
		u64 from[rows]; // the units of x
#pragma unroll
		for (u32 r = 0; r < rows; r++) {
			i64 row = row_at(p, top + r);
			from[r] = (u64)(row < 0 ? 0 : row) / p.share * p.units;
		}
		for (u32 k = 0; k < p.count; k++) {
			u32 fours = expert < 0 ? 0 : fours_of(p), first = (u32)((expert < 0 ? 0 : (u64)expert) * p.n + (column < p.n ? column : p.n - 1)) * fours;
			float sum[rows] = {};
			for (u32 q = part_at(fours, part), end = part_at(fours, part + 1); q < end; q++) {
				u32 count = p.units - 4 * q < 4 ? (u32)(p.units - 4 * q) : 4;
				u32x4 low[4]; // of each t, words of four units
				u32x2 heads = ((const u32x2 *)p.w[k].head)[first + q];
#pragma unroll
				for (u32 t = 0; t < 4; t++) low[t] = ((const u32x4 *)p.w[k].low)[4 * (first + q) + t];
				for (u32 i = 0; i < count; i++) {
					float scale = f32_bits(i < 2 ? heads[0] : heads[1]);
#pragma unroll
					for (u32 j = 0; j < 8; j++) {
						u32x4 both = low[j % 4];
						u32 word = (i == 0 ? both[0] : i == 1 ? both[1] : i == 2 ? both[2] : both[3]) >> j / 4 * 4;
						float x[rows][4];
#pragma unroll
						for (u32 r = 0; r < rows; r++) load_four(x[r], p.x, p.x_type, (from[r] + 4 * (u64)q + i) * 32 + 4 * j);
#pragma unroll
						for (u32 e = 0; e < 4; e++) {
							float v = table[word >> 8 * e & 15] * scale;
#pragma unroll
							for (u32 r = 0; r < rows; r++) sum[r] = fma(x[r][e], v, sum[r]);
						}
					}
				}
			}
#pragma unroll
			for (u32 r = 0; r < rows; r++) room[part][r][k][lane] = sum[r];
		}
		sync();
		if (tid() < Warp * rows && column < p.n) {
			u32 r = part;
			i64 row = row_at(p, top + r);
			float v = 0.0f, up = 0.0f;
			for (u32 i = 0; i < Parts; i++) {
				v = v + room[i][r][0][lane];
				if (p.count == 2) up = up + room[i][r][1][lane];
			}
			if (row >= 0) end_product(p, row, column, v, up, expert < 0);
		}
		sync();
	}
}

static constexpr u32 Side = 64, Pitch = Side + 4;

// many: a block of 256 threads does a tile, each thread four by four.
template <int weights> DEV void many(const BlockProduct &p) {
	SHARED float table[16];
	SHARED __attribute__((aligned(16))) float left[32][Pitch], right[weights][32][Pitch];
	if (tid() < 16) table[tid()] = normal[tid()];
	sync();
	u32 h = tid() / 16, c = tid() % 16;
	u64 start = (u64)block_x() * Side;
	for (u64 top = (u64)block_y() * Side; top < p.slots; top += 65535 * Side) {
		i64 expert = expert_at(p, top);
		if (expert == -2) continue;
		float all[weights][4][4] = {};
		u64 u = 0;
		for (u32 part = 0; part < Parts && expert >= 0; part++) {
			float sum[weights][4][4] = {};
			u64 end = part_at(fours_of(p), part + 1) * 4;
			for (end = end < p.units ? end : p.units; u < end; u++) {
				// A thread brings 8 numbers of a row of x, and two words of a row of weights.
				i64 row = row_at(p, top + tid() / 4);
				u32 t = tid() % 4;
#pragma unroll
				for (u32 j = 0; j < 2; j++) {
					float v[4] = {};
					if (row >= 0) load_four(v, p.x, p.x_type, ((u64)row / p.share * p.units + u) * 32 + 16 * j + 4 * t);
#pragma unroll
					for (u32 e = 0; e < 4; e++) left[16 * j + 4 * t + e][tid() / 4] = v[e];
				}
				u64 column = start + tid() / 4, at = ((u64)expert * p.n + (column < p.n ? column : p.n - 1)) * 4 * fours_of(p) + u;
#pragma unroll
				for (u32 k = 0; k < weights; k++) {
					u32 word = ((const u32 *)p.w[k].low)[place_of<Normals>(at, t)];
					float scale = scales_at<Normals>(p.w[k], at).scale[0];
					for (u32 e = 0; e < 4; e++) {
						right[k][4 * t + e][tid() / 4] = table[word >> 8 * e & 15] * scale;
						right[k][16 + 4 * t + e][tid() / 4] = table[word >> (8 * e + 4) & 15] * scale;
					}
				}
				sync();
				for (u32 e = 0; e < 32; e++) {
#pragma unroll
					for (u32 k = 0; k < weights; k++)
#pragma unroll
						for (u32 i = 0; i < 4; i++)
#pragma unroll
							for (u32 j = 0; j < 4; j++) sum[k][i][j] = fma(left[e][4 * h + i], right[k][e][4 * c + j], sum[k][i][j]);
				}
				sync();
			}
#pragma unroll
			for (u32 k = 0; k < weights; k++)
#pragma unroll
				for (u32 i = 0; i < 16; i++) all[k][i / 4][i % 4] = all[k][i / 4][i % 4] + sum[k][i / 4][i % 4];
		}
		// Sums pass by a thread's own places in shared memory, so that what ends them
		// is written once for a row.
		float *own = &left[0][0] + tid(), *other = &right[0][0][0] + tid();
#pragma unroll
		for (u32 i = 0; i < 4; i++) {
			i64 row = row_at(p, top + 4 * h + i);
#pragma unroll
			for (u32 j = 0; j < 4; j++) own[256 * j] = all[0][i][j], other[256 * j] = all[weights - 1][i][j];
#pragma nounroll
			for (u32 j = 0; j < 4; j++)
				if (row >= 0 && start + 4 * c + j < p.n) end_product(p, row, start + 4 * c + j, own[256 * j], other[256 * j], expert < 0);
		}
		sync();
	}
}

KERNEL(normal_few_1, BlockProduct) { few<1>(p); }
KERNEL(normal_few_4, BlockProduct) { few<4>(p); }
KERNEL(normal_many, BlockProduct) { many<1>(p); }
KERNEL(normal_gate, BlockProduct) { many<2>(p); }
