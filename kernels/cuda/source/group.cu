// Norms over groups of channels, and their gradients. A group is a row of x: its
// channels lie together. A block takes 4096 of its elements, so that few groups
// fill a device, and what blocks find is joined in order.
//
// The norm reads x twice and writes y, the gradient reads x 3 times and dy twice
// and writes dx: but for the first, from the cache of 50 MB of an H200 where a
// batch of activations fits. About 15 and 25 operations an element: bytes rule.
#include "row.h"

static constexpr u32 GroupThreads = 256, Quads = 4, Slice = 4 * Quads * GroupThreads;

struct Group {
	void *y; // or dx
	const void *x, *weight, *bias, *dy;
	float *parts, *stats; // [rows, slices, 3] and [rows, 3]: of a slice or a row
	float *sums;          // [batch, pieces, 2, channels] of dy z and of dy
	float *means;         // [rows, 2] of g and of g z over a row, with g = dy weight
	u64 rows, n;          // groups of all samples, elements of each
	u64 channels, share, positions; // of a sample, of a group, of a channel
	u32 type, weight_type, bias_type;
	u32 quads; // whether four elements of a channel lie aligned together
	float eps;
};

// part reads four elements from i on, as many of them as there are before end; it
// returns how many.
ALWAYS u32 part(const Group &p, float *v, const void *x, u64 start, u64 i, u64 end) {
	v[0] = v[1] = v[2] = v[3] = 0.0f;
	if (i >= end) return 0;
	if (p.quads) {
		load4(v, x, p.type, start + i);
		return 4;
	}
	u32 n = end - i < 4 ? (u32)(end - i) : 4;
#pragma unroll
	for (u32 k = 0; k < 4; k++)
		if (k < n) v[k] = load_float(x, p.type, start + i + k);
	return n;
}

// slice_of is which elements of a row a block takes.
ALWAYS void slice_of(const Group &p, u64 *row, u64 *from, u64 *end) {
	u64 slices = (p.n + Slice - 1) / Slice;
	*row = block_x() / slices;
	*from = (block_x() - *row * slices) * Slice;
	*end = *from + Slice < p.n ? *from + Slice : p.n;
}

// group_parts gives of each slice its first element, what its mean is beyond that,
// and the sum of squares of what is left without the mean.
KERNEL_OF(256, group_parts, Group) {
	SHARED float room[1][MostWarps];
	u64 row, from, end;
	slice_of(p, &row, &from, &end);
	float v[Quads][4], shift = load_float(p.x, p.type, row * p.n + from), sum = 0.0f;
	u32 count[Quads];
#pragma unroll
	for (u32 q = 0; q < Quads; q++) count[q] = part(p, v[q], p.x, row * p.n, from + 4 * (q * GroupThreads + tid()), end);
#pragma unroll
	for (u32 q = 0; q < Quads; q++)
#pragma unroll
		for (u32 k = 0; k < 4; k++) v[q][k] = k < count[q] ? v[q][k] - shift : 0.0f, sum += v[q][k];
	team_sums<1>(&sum, GroupThreads, room);
	float mean = sum / (float)(end - from), squares = 0.0f;
#pragma unroll
	for (u32 q = 0; q < Quads; q++)
#pragma unroll
		for (u32 k = 0; k < 4; k++) {
			float d = k < count[q] ? v[q][k] - mean : 0.0f;
			squares += d * d;
		}
	team_sums<1>(&squares, GroupThreads, room);
	if (tid() > 0) return;
	float *to = p.parts + 3 * (u64)block_x();
	to[0] = shift, to[1] = mean, to[2] = squares;
}

// block_sum adds up a value of each thread, a power of two of them.
ALWAYS double block_sum(double v, double *room) {
	sync();
	room[tid()] = v;
	sync();
	for (u32 half = threads() / 2; half > 0; half /= 2) {
		if (tid() < half) room[tid()] += room[tid() + half];
		sync();
	}
	return room[0];
}

// group_stats joins the slices of a row: its mean, in two parts, and what it is
// then multiplied by.
KERNEL(group_stats, Group) {
	SHARED double room[GroupThreads];
	u64 row = block_x(), slices = (p.n + Slice - 1) / Slice;
	const float *part = p.parts + 3 * row * slices;
	double sum = 0.0, squares = 0.0;
	for (u64 s = tid(); s < slices; s += threads()) {
		double size = (double)(s + 1 < slices ? Slice : p.n - s * Slice);
		sum += size * ((double)part[3 * s] + (double)part[3 * s + 1]);
	}
	double mean = block_sum(sum, room) / (double)p.n;
	for (u64 s = tid(); s < slices; s += threads()) {
		double size = (double)(s + 1 < slices ? Slice : p.n - s * Slice), d = (double)part[3 * s] + (double)part[3 * s + 1] - mean;
		squares += (double)part[3 * s + 2] + size * d * d;
	}
	squares = block_sum(squares, room);
	if (tid() > 0) return;
	float *to = p.stats + 3 * row, high = (float)mean;
	to[0] = high, to[1] = (float)(mean - (double)high), to[2] = (float)(1.0 / __builtin_sqrt(squares / (double)p.n + (double)p.eps));
}

// channel is that of element i of a row.
ALWAYS u64 channel(const Group &p, u64 row, u64 i) { return row * p.share % p.channels + (u32)i / (u32)p.positions; }

// weights are those of four elements from i on, or 1 and 0.
ALWAYS void weights(const Group &p, float *v, const void *w, u32 type, float none, u64 row, u64 i, u32 n) {
	v[0] = v[1] = v[2] = v[3] = none;
	if (!w) return;
	if (p.quads) {
		v[0] = v[1] = v[2] = v[3] = load_float(w, type, channel(p, row, i));
		return;
	}
#pragma unroll
	for (u32 k = 0; k < 4; k++)
		if (k < n) v[k] = load_float(w, type, channel(p, row, i + k));
}

ALWAYS void put(const Group &p, u64 start, u64 i, u32 n, const float *v) {
	if (p.quads) {
		store4(p.y, p.type, start + i, v);
		return;
	}
#pragma unroll
	for (u32 k = 0; k < 4; k++)
		if (k < n) store_float(p.y, p.type, start + i + k, v[k]);
}

// normalise is act((x - mean) / sqrt(var + eps) * weight + bias).
template <bool silu> ALWAYS void normalise(const Group &p) {
	u64 row, from, end;
	slice_of(p, &row, &from, &end);
	const float *stats = p.stats + 3 * row;
	float high = stats[0], low = stats[1], scale = stats[2], v[Quads][4];
	u32 count[Quads];
#pragma unroll
	for (u32 q = 0; q < Quads; q++) count[q] = part(p, v[q], p.x, row * p.n, from + 4 * (q * GroupThreads + tid()), end);
#pragma unroll
	for (u32 q = 0; q < Quads; q++) {
		u64 i = from + 4 * (q * GroupThreads + tid());
		if (count[q] == 0) continue;
		float w[4], b[4];
		weights(p, w, p.weight, p.weight_type, 1.0f, row, i, count[q]);
		weights(p, b, p.bias, p.bias_type, 0.0f, row, i, count[q]);
#pragma unroll
		for (u32 k = 0; k < 4; k++) {
			v[q][k] = (v[q][k] - high - low) * scale * w[k] + b[k];
			if (silu) v[q][k] = v[q][k] * sigmoid_of(v[q][k]);
		}
		put(p, row * p.n, i, count[q], v[q]);
	}
}

KERNEL_OF(256, group_norm, Group) { normalise<false>(p); }
KERNEL_OF(256, group_norm_silu, Group) { normalise<true>(p); }

// group_sums gives of each slice of a channel the sums of dy z and of dy, z being
// the normalised x.
KERNEL_OF(256, group_sums, Group) {
	SHARED float room[2][MostWarps];
	u64 slices = (p.positions + Slice - 1) / Slice, line = block_x() / slices, s = block_x() - line * slices; // line: sample and channel
	u64 from = s * Slice, end = from + Slice < p.positions ? from + Slice : p.positions;
	const float *stats = p.stats + 3 * (line / p.share);
	float sum[2] = {0.0f, 0.0f};
	for (u64 i = from + 4 * (u64)tid(); i < end; i += 4 * (u64)threads()) {
		float v[4], g[4];
		u32 n = part(p, v, p.x, line * p.positions, i, end);
		part(p, g, p.dy, line * p.positions, i, end);
#pragma unroll
		for (u32 k = 0; k < 4; k++) {
			float z = k < n ? (v[k] - stats[0] - stats[1]) * stats[2] : 0.0f;
			sum[0] += g[k] * z, sum[1] += g[k];
		}
	}
	team_sums<2>(sum, threads(), room);
	if (tid() > 0) return;
	float *to = p.sums + 2 * (line / p.channels * slices + s) * p.channels + line % p.channels;
	to[0] = sum[0], to[p.channels] = sum[1];
}

// group_means gives of each row the means of g z and of g.
KERNEL(group_means, Group) {
	SHARED double room[GroupThreads];
	u64 row = block_x(), slices = (p.positions + Slice - 1) / Slice, groups = p.channels / p.share;
	u64 sample = row / groups, first = row % groups * p.share;
	double dot = 0.0, sum = 0.0;
	for (u64 i = tid(); i < p.share * slices; i += threads()) {
		u64 c = first + i % p.share;
		const float *at = p.sums + 2 * (sample * slices + i / p.share) * p.channels + c;
		double w = p.weight ? (double)load_float(p.weight, p.weight_type, c) : 1.0;
		dot += w * (double)at[0], sum += w * (double)at[p.channels];
	}
	dot = block_sum(dot, room), sum = block_sum(sum, room);
	if (tid() > 0) return;
	p.means[2 * row] = (float)(dot / (double)p.n), p.means[2 * row + 1] = (float)(sum / (double)p.n);
}

// group_grad is dx = scale (g - mean(g) - z mean(g z)).
KERNEL_OF(256, group_grad, Group) {
	u64 row, from, end;
	slice_of(p, &row, &from, &end);
	const float *stats = p.stats + 3 * row;
	float high = stats[0], low = stats[1], scale = stats[2], dot = p.means[2 * row], mean = p.means[2 * row + 1], v[Quads][4], g[Quads][4];
	u32 count[Quads];
#pragma unroll
	for (u32 q = 0; q < Quads; q++) {
		u64 i = from + 4 * (q * GroupThreads + tid());
		count[q] = part(p, v[q], p.x, row * p.n, i, end);
		part(p, g[q], p.dy, row * p.n, i, end);
	}
#pragma unroll
	for (u32 q = 0; q < Quads; q++) {
		u64 i = from + 4 * (q * GroupThreads + tid());
		if (count[q] == 0) continue;
		float w[4];
		weights(p, w, p.weight, p.weight_type, 1.0f, row, i, count[q]);
#pragma unroll
		for (u32 k = 0; k < 4; k++) v[q][k] = scale * (g[q][k] * w[k] - mean - (v[q][k] - high - low) * scale * dot);
		put(p, row * p.n, i, count[q], v[q]);
	}
}
