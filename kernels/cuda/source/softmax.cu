// Softmax of rows that lie in the registers of a team of threads: read once and
// written once, with about 25 operations an element, so that bytes rule.
#include "row.h"

struct Softmax {
	void *y;
	const void *x;
	u64 rows, n;
	u32 type, team;
	u32 log; // whether the logarithm is wanted
};

// softmax_held is exp(x) / sum(exp(x)) of rows of at most 4 Q elements for each
// thread of a team, or its logarithm.
template <u32 Q> ALWAYS void softmax_held(const Softmax &p) {
	SHARED float room[1][MostWarps];
	u32 lane = tid() & (p.team - 1), teams = threads() / p.team;
	for (u64 r = (u64)block_x() * teams + tid() / p.team; r < p.rows; r += (u64)blocks_x() * teams) {
		u64 start = r * p.n;
		float v[Q][4], top = -__builtin_inff(), sum = 0.0f;
#pragma unroll
		for (u32 q = 0; q < Q; q++) {
			u32 i = 4 * (q * p.team + lane);
			if (i >= p.n) continue;
			load4(v[q], p.x, p.type, start + i);
#pragma unroll
			for (u32 k = 0; k < 4; k++) top = v[q][k] > top || v[q][k] != v[q][k] ? v[q][k] : top;
		}
		top = team_most(top, p.team, room);
#pragma unroll
		for (u32 q = 0; q < Q; q++) {
			if (4 * (q * p.team + lane) >= p.n) continue;
#pragma unroll
			for (u32 k = 0; k < 4; k++) {
				v[q][k] -= top;
				float e = exp_of(v[q][k]);
				sum += e;
				if (!p.log) v[q][k] = e;
			}
		}
		team_sums<1>(&sum, p.team, room);
		float shift = p.log ? log_of(sum) : 0.0f, scale = p.log ? 1.0f : 1.0f / sum;
#pragma unroll
		for (u32 q = 0; q < Q; q++) {
			u32 i = 4 * (q * p.team + lane);
			if (i >= p.n) continue;
#pragma unroll
			for (u32 k = 0; k < 4; k++) v[q][k] = (v[q][k] - shift) * scale;
			store4(p.y, p.type, start + i, v[q]);
		}
	}
}

KERNEL_OF(512, softmax_1, Softmax) { softmax_held<1>(p); }
KERNEL_OF(512, softmax_2, Softmax) { softmax_held<2>(p); }
KERNEL_OF(512, softmax_4, Softmax) { softmax_held<4>(p); }
