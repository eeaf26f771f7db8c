// Norms of rows, and their gradients. A row lies in the registers of a team of
// threads, a warp or a block, from when it is read to when the result is written:
// 2 or 3 tensors of x's size go through memory, once each, with about 10 and 20
// operations an element, so that bytes rule (f32 rows of 4.8 TB/s of an H200: 0.6
// and 0.4 elements a picosecond). Rows of other lengths are read again for each sum.
#include "row.h"

struct Norm {
	void *y;
	const void *x, *weight, *bias; // weight and bias may be left out
	u64 rows, n;
	u32 type, weight_type, bias_type;
	u32 center; // whether the mean is taken away
	u32 team;   // threads that take a row
	float eps;
	float offset; // added to the weight
};

// centred makes v, of a row whose first element is shift, what is left of it
// without its mean. Sums are of differences, so that a large mean costs no digits.
template <u32 Q> ALWAYS void centred(float (*v)[4], float shift, u32 lane, u32 team, u64 n, float (*room)[MostWarps]) {
	float sum = 0.0f;
#pragma unroll
	for (u32 q = 0; q < Q; q++)
#pragma unroll
		for (u32 k = 0; k < 4; k++) {
			v[q][k] = 4 * (q * team + lane) < n ? v[q][k] - shift : 0.0f;
			sum += v[q][k];
		}
	team_sums<1>(&sum, team, room);
	float mean = sum / (float)n;
#pragma unroll
	for (u32 q = 0; q < Q; q++)
#pragma unroll
		for (u32 k = 0; k < 4; k++) v[q][k] = 4 * (q * team + lane) < n ? v[q][k] - mean : 0.0f;
}

template <u32 Q> ALWAYS void load_row(float (*v)[4], const void *p, u32 type, u64 start, u32 lane, u32 team, u64 n) {
#pragma unroll
	for (u32 q = 0; q < Q; q++) {
		u32 i = 4 * (q * team + lane);
		v[q][0] = v[q][1] = v[q][2] = v[q][3] = 0.0f;
		if (i < n) load4(v[q], p, type, start + i);
	}
}

// norm_held is (x - mean) / sqrt(mean((x - mean)²) + eps) * (offset + weight) + bias
// of rows of at most 4 Q elements for each thread; without center the mean counts as 0.
template <u32 Q> ALWAYS void norm_held(const Norm &p) {
	SHARED float room[1][MostWarps];
	u32 lane = tid() & (p.team - 1), teams = threads() / p.team;
	for (u64 r = (u64)block_x() * teams + tid() / p.team; r < p.rows; r += (u64)blocks_x() * teams) {
		u64 start = r * p.n;
		float v[Q][4], sum = 0.0f;
		load_row<Q>(v, p.x, p.type, start, lane, p.team, p.n);
		if (p.center) centred<Q>(v, load_float(p.x, p.type, start), lane, p.team, p.n, room);
#pragma unroll
		for (u32 q = 0; q < Q; q++)
#pragma unroll
			for (u32 k = 0; k < 4; k++) sum += v[q][k] * v[q][k];
		team_sums<1>(&sum, p.team, room);
		float scale = 1.0f / __builtin_sqrtf(sum / (float)p.n + p.eps);
#pragma unroll
		for (u32 q = 0; q < Q; q++) {
			u32 i = 4 * (q * p.team + lane);
			if (i >= p.n) continue;
			float w[4] = {1.0f, 1.0f, 1.0f, 1.0f}, b[4] = {0.0f, 0.0f, 0.0f, 0.0f};
			if (p.weight) {
				load4(w, p.weight, p.weight_type, i);
#pragma unroll
				for (u32 k = 0; k < 4; k++) w[k] += p.offset;
			}
			if (p.bias) load4(b, p.bias, p.bias_type, i);
#pragma unroll
			for (u32 k = 0; k < 4; k++) v[q][k] = v[q][k] * scale * w[k] + b[k];
			store4(p.y, p.type, start + i, v[q]);
		}
	}
}

KERNEL(norm_1, Norm) { norm_held<1>(p); }
KERNEL(norm_2, Norm) { norm_held<2>(p); }
KERNEL_OF(512, norm_4, Norm) { norm_held<4>(p); }

// row_mean is the mean of a row, as what is to be added to its first element, by
// all threads of a block.
ALWAYS float row_mean(const void *x, u32 type, u64 start, u64 n, float shift, float (*room)[MostWarps]) {
	float sum = 0.0f;
	for (u64 i = tid(); i < n; i += threads()) sum += load_float(x, type, start + i) - shift;
	team_sums<1>(&sum, threads(), room);
	return sum / (float)n;
}

// norm_long is norm_held for rows of any length.
KERNEL(norm_long, Norm) {
	SHARED float room[1][MostWarps];
	for (u64 r = block_x(); r < p.rows; r += blocks_x()) {
		u64 start = r * p.n;
		float shift = p.center ? load_float(p.x, p.type, start) : 0.0f, sum = 0.0f;
		float mean = p.center ? row_mean(p.x, p.type, start, p.n, shift, room) : 0.0f;
		for (u64 i = tid(); i < p.n; i += threads()) {
			float d = load_float(p.x, p.type, start + i) - shift - mean;
			sum += d * d;
		}
		team_sums<1>(&sum, threads(), room);
		float scale = 1.0f / __builtin_sqrtf(sum / (float)p.n + p.eps);
		for (u64 i = tid(); i < p.n; i += threads()) {
			float y = (load_float(p.x, p.type, start + i) - shift - mean) * scale;
			if (p.weight) y = y * (p.offset + load_float(p.weight, p.weight_type, i));
			if (p.bias) y = y + load_float(p.bias, p.bias_type, i);
			store_float(p.y, p.type, start + i, y);
		}
	}
}

struct NormGrad {
	void *dx;
	const void *x, *weight, *dy; // weight may be left out
	float *sums;                 // [parts, results, n]: dweight and perhaps dbias of the rows of a part
	u64 rows, n, each;           // each: the rows of a part
	u32 results;                 // 0, 1 or 2
	u32 type, weight_type;
	u32 center, team;
	float eps, offset;
	const void *plus; // what dx is added to, of its type; may be left out, and be dx
};

// norm_grad_held gives, with z the normalised row and g = dy weight,
//
//	dx = scale (g - mean(g) - z mean(g z))   dweight = sum(dy z)   dbias = sum(dy)
//
// where mean(g) stands with center only. A team takes the rows of a part in turn,
// and holds what its columns add up to.
template <u32 Q> ALWAYS void norm_grad_held(const NormGrad &p) {
	SHARED float room[3][MostWarps];
	u32 lane = tid() & (p.team - 1), teams = threads() / p.team;
	u64 part = (u64)block_x() * teams + tid() / p.team, end = (part + 1) * p.each < p.rows ? (part + 1) * p.each : p.rows;
	if (part * p.each >= p.rows) return; // a whole warp of a block of such
	float dw[Q][4] = {}, db[Q][4] = {};
	for (u64 r = part * p.each; r < end; r++) {
		u64 start = r * p.n;
		float v[Q][4], g[Q][4], s[3] = {0.0f, 0.0f, 0.0f}; // of v², g v and g
		load_row<Q>(v, p.x, p.type, start, lane, p.team, p.n);
		load_row<Q>(g, p.dy, p.type, start, lane, p.team, p.n);
		if (p.center) centred<Q>(v, load_float(p.x, p.type, start), lane, p.team, p.n, room);
#pragma unroll
		for (u32 q = 0; q < Q; q++) {
			u32 i = 4 * (q * p.team + lane);
			float w[4] = {1.0f, 1.0f, 1.0f, 1.0f};
			if (p.weight && i < p.n) load4(w, p.weight, p.weight_type, i);
#pragma unroll
			for (u32 k = 0; k < 4; k++) {
				float h = p.weight ? g[q][k] * (w[k] + p.offset) : g[q][k];
				s[0] += v[q][k] * v[q][k], s[1] += h * v[q][k], s[2] += h;
			}
		}
		team_sums<3>(s, p.team, room);
		float scale = 1.0f / __builtin_sqrtf(s[0] / (float)p.n + p.eps), dot = s[1] * scale / (float)p.n, mean = p.center ? s[2] / (float)p.n : 0.0f;
#pragma unroll
		for (u32 q = 0; q < Q; q++) {
			u32 i = 4 * (q * p.team + lane);
			if (i >= p.n) continue;
			float w[4] = {1.0f, 1.0f, 1.0f, 1.0f}, out[4];
			if (p.weight) load4(w, p.weight, p.weight_type, i);
#pragma unroll
			for (u32 k = 0; k < 4; k++) {
				float z = v[q][k] * scale, h = p.weight ? g[q][k] * (w[k] + p.offset) : g[q][k];
				dw[q][k] += g[q][k] * z, db[q][k] += g[q][k];
				out[k] = scale * (h - mean - z * dot);
			}
			if (p.plus) {
				load4(w, p.plus, p.type, start + i);
#pragma unroll
				for (u32 k = 0; k < 4; k++) out[k] = w[k] + rounded(p.type, out[k]);
			}
			store4(p.dx, p.type, start + i, out);
		}
	}
#pragma unroll
	for (u32 q = 0; q < Q; q++) {
		u32 i = 4 * (q * p.team + lane);
		if (i >= p.n) continue;
		if (p.results > 0) store4(p.sums, F32, part * p.results * p.n + i, dw[q]);
		if (p.results > 1) store4(p.sums, F32, (part * p.results + 1) * p.n + i, db[q]);
	}
}

KERNEL(norm_grad_1, NormGrad) { norm_grad_held<1>(p); }
KERNEL(norm_grad_2, NormGrad) { norm_grad_held<2>(p); }
KERNEL_OF(512, norm_grad_4, NormGrad) { norm_grad_held<4>(p); }

// norm_grad_long is norm_grad_held for rows of any length: a thread adds to its
// columns of sums, row by row.
KERNEL(norm_grad_long, NormGrad) {
	SHARED float room[3][MostWarps];
	u64 part = block_x(), end = (part + 1) * p.each < p.rows ? (part + 1) * p.each : p.rows;
	float *dw = p.sums + part * p.results * p.n, *db = dw + p.n;
	for (u64 i = tid(); i < p.n; i += threads()) {
		if (p.results > 0) dw[i] = 0.0f;
		if (p.results > 1) db[i] = 0.0f;
	}
	for (u64 r = part * p.each; r < end; r++) {
		u64 start = r * p.n;
		float s[3] = {0.0f, 0.0f, 0.0f}, shift = p.center ? load_float(p.x, p.type, start) : 0.0f;
		if (p.center) shift += row_mean(p.x, p.type, start, p.n, shift, room);
		for (u64 i = tid(); i < p.n; i += threads()) {
			float v = load_float(p.x, p.type, start + i) - shift, h = load_float(p.dy, p.type, start + i);
			if (p.weight) h *= load_float(p.weight, p.weight_type, i) + p.offset;
			s[0] += v * v, s[1] += h * v, s[2] += h;
		}
		team_sums<3>(s, threads(), room);
		float scale = 1.0f / __builtin_sqrtf(s[0] / (float)p.n + p.eps), dot = s[1] * scale / (float)p.n, mean = p.center ? s[2] / (float)p.n : 0.0f;
		for (u64 i = tid(); i < p.n; i += threads()) {
			float z = (load_float(p.x, p.type, start + i) - shift) * scale, g = load_float(p.dy, p.type, start + i), h = g;
			if (p.weight) h *= load_float(p.weight, p.weight_type, i) + p.offset;
			if (p.results > 0) dw[i] += g * z;
			if (p.results > 1) db[i] += g;
			float out = scale * (h - mean - z * dot);
			if (p.plus) out = joined(p.plus, p.type, (i64)(start + i), out);
			store_float(p.dx, p.type, start + i, out);
		}
	}
}

struct Join {
	void *first, *second; // [n] each; second may be left out
	const float *sums;    // [parts, results, n]
	u64 parts, n;
	u32 results, type;
};

static constexpr u32 JoinColumns = 32, JoinGroups = 8;

// join adds up the sums of all parts: 8 threads for a column, which take every
// eighth part, in order.
KERNEL(join, Join) {
	SHARED double room[JoinGroups][JoinColumns];
	u64 column = (u64)block_x() * JoinColumns + tid() % JoinColumns, width = p.results * p.n;
	u32 group = tid() / JoinColumns;
	double sum = 0.0;
	if (column < width)
		for (u64 part = group; part < p.parts; part += JoinGroups) sum += (double)p.sums[part * width + column];
	room[group][tid() % JoinColumns] = sum;
	sync();
	if (group > 0 || column >= width) return;
	for (u32 g = 1; g < JoinGroups; g++) sum += room[g][tid()];
	store_float(column < p.n ? p.first : p.second, p.type, column % p.n, (float)sum);
}
