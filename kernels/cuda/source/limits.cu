// What a device can do at most: multiply-adds that wait for nothing, and memory that
// is read and written in vectors of 16 bytes. Results are written only where the
// compiler can't know that they are not needed.
#include "tensor.h"

struct Limit {
	u32 *to;
	const u32 *from, *other;
	u64 n; // rounds, or vectors
	u32 step;
};

static constexpr u32 Chains = 8; // of each thread, more than an fma takes to end: 4 warps of a scheduler hide the rest

// Of a thread, 2 Chains n operations.
KERNEL(limit_fma, Limit) {
	float sum[Chains], x = f32_bits(0x3f7fffff), y = (float)tid() * 1e-9f;
UNROLL
	for (u32 i = 0; i < Chains; i++) sum[i] = (float)i;
	for (u64 k = 0; k < p.n; k++)
UNROLL
		for (u32 i = 0; i < Chains; i++) sum[i] = fma(sum[i], x, y);
	float all = 0;
UNROLL
	for (u32 i = 0; i < Chains; i++) all = all + sum[i];
	if (all == 123.0f) p.to[0] = bits_f32(all);
}

// Of a warp, 4096 Chains n operations: products of bf16 on tensor cores.
KERNEL(limit_half, Limit) {
	float sum[Chains][4] = {};
	u32 a[4] = {tid(), 1, 2, 3}, b[2] = {4, tid()};
	for (u64 k = 0; k < p.n; k++)
UNROLL
		for (u32 i = 0; i < Chains; i++) mma_half<BF16>(sum[i], a, b);
	float all = 0;
UNROLL
	for (u32 i = 0; i < Chains; i++) all = all + sum[i][0] + sum[i][1] + sum[i][2] + sum[i][3];
	if (all == 123.0f) p.to[0] = bits_f32(all);
}

// limit_stream reads (0), copies (1), or adds two to a third (2); 4 vectors of a
// thread are under way at once.
KERNEL(limit_stream, Limit) {
	const u32x4 *from = (const u32x4 *)p.from, *other = (const u32x4 *)p.other;
	u32x4 *to = (u32x4 *)p.to, all = {};
	u64 step = (u64)blocks_x() * threads();
	for (u64 i = place(); i < p.n; i += 4 * step) {
		u32x4 v[4] = {};
UNROLL
		for (u32 k = 0; k < 4; k++)
			if (i + k * step < p.n) v[k] = from[i + k * step];
		if (p.step == 2) {
UNROLL
			for (u32 k = 0; k < 4; k++)
				if (i + k * step < p.n) {
					u32x4 w = other[i + k * step];
UNROLL
					for (u32 j = 0; j < 4; j++) v[k][j] = bits_f32(fma(3.0f, f32_bits(w[j]), f32_bits(v[k][j])));
				}
		}
UNROLL
		for (u32 k = 0; k < 4; k++) {
			if (p.step && i + k * step < p.n) to[i + k * step] = v[k];
			all = all ^ v[k];
		}
	}
	if (!p.step && (all[0] ^ all[1] ^ all[2] ^ all[3]) == 123u) to[0] = all;
}

KERNEL(limit_nothing, Limit) {}
