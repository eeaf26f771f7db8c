// Attention of few rows, as those of one token: keys are divided into parts of
// Part keys, a block for each, and what the parts give is put together in their
// order. Part is one number: neither the room for keys nor the company in the
// batch changes a bit.
//
// Bytes: keys and values once, which is all; 2 rows FLOPs for each byte of bfloat16.
// Lanes read 16 bytes side by side: a key of 128 elements is 16 lanes', so that a
// warp reads two. Bound by memory, 4.8 TB/s on H200: with 8 rows a key takes 25
// instructions of a warp for each row, which is about as long as its bytes take.
#include "attention.h"

static constexpr u32 Part = 256, FewThreads = 128, Eight = 8, Widest = 256;

struct Few {
	Attend a;
	void *y;
	float *lse;        // may be left out
	float *parts;      // [lines, parts, width + 2]: sums, the greatest score, and the sum of weights
	u32 count, chunks; // of parts, and of rows
	u32 lanes, room;   // of a key
};

struct Octet {
	f32x4 low, high;
};

// load_octet reads elements c to c+7 of a line; 0 beyond its width.
DEV Octet load_octet(const Operand &o, i64 line, u32 c) {
	Octet x = {};
	i64 i = line * o.width + c;
	if (c >= o.width) return x;
	if (!o.quads) {
		for (u32 e = 0; e < Eight; e++) {
			x.low = f32x4{x.low[1], x.low[2], x.low[3], x.high[0]};
			x.high = f32x4{x.high[1], x.high[2], x.high[3], c + e < o.width ? load_float(o.at, o.type, i + e) : 0.0f};
		}
		return x;
	}
	if (o.type == F32) {
		x.low = *(const f32x4 *)((const float *)o.at + i);
		if (c + 4 < o.width) x.high = *(const f32x4 *)((const float *)o.at + i + 4);
		return x;
	}
	const u16 *from = (const u16 *)o.at + i;
	u32x4 u = {};
	if (o.quads == 2) {
		u = *(const u32x4 *)from;
	} else {
		u32x2 low = *(const u32x2 *)from, high = {};
		if (c + 4 < o.width) high = *(const u32x2 *)(from + 4);
		u = u32x4{low[0], low[1], high[0], high[1]};
	}
	UNROLL for (u32 e = 0; e < 4; e++) {
		u16 low = (u16)(u[e / 2] >> 16 * (e % 2)), high = (u16)(u[2 + e / 2] >> 16 * (e % 2));
		x.low[e] = o.type == BF16 ? bf16_value(low) : f16_value(low);
		x.high[e] = o.type == BF16 ? bf16_value(high) : f16_value(high);
	}
	return x;
}

DEV float product(const Octet &a, const Octet &b) {
	float sum = 0.0f;
	UNROLL for (u32 e = 0; e < 4; e++) sum = fma(a.low[e], b.low[e], sum);
	UNROLL for (u32 e = 0; e < 4; e++) sum = fma(a.high[e], b.high[e], sum);
	return sum;
}

// Keys are those of a part: from a multiple of Part on, of which rows see from to end-1.
struct Keys {
	u32 start, from, end;
};

// few_products writes the products of rows with the keys of a part.
template <u32 R> DEV void few_products(float (*scores)[Part], const Few &p, u32 z, u32 group, u32 first, Keys keys) {
	constexpr u32 U = R > 4 ? 2 : 4; // keys that are read at once
	u32 lane = tid() % p.lanes, slot = tid() / p.lanes, slots = FewThreads / p.lanes;
	Octet q[R];
	UNROLL for (u32 r = 0; r < R; r++) {
		q[r] = Octet{};
		if (first + r < p.a.seq * p.a.share) q[r] = load_octet(p.a.q, line_of<true>(p.a, z, group, first + r), Eight * lane);
	}
	for (u32 j = keys.from; j < keys.end; j += U * slots) {
		Octet k[U];
		float x[U][R];
		UNROLL for (u32 u = 0; u < U; u++) {
			u32 key = j + u * slots + slot;
			k[u] = Octet{};
			if (key < keys.end) k[u] = load_octet(p.a.k, line_of<false>(p.a, z, group, key), Eight * lane);
		}
		UNROLL for (u32 u = 0; u < U; u++)
			UNROLL for (u32 r = 0; r < R; r++) x[u][r] = product(q[r], k[u]);
		for (u32 m = 1; m < p.lanes; m *= 2)
			UNROLL for (u32 u = 0; u < U; u++)
				UNROLL for (u32 r = 0; r < R; r++) x[u][r] = x[u][r] + f32_bits(exchange(bits_f32(x[u][r]), m));
		UNROLL for (u32 u = 0; u < U; u++) {
			u32 key = j + u * slots + slot;
			if (lane == 0 && key < keys.end)
				UNROLL for (u32 r = 0; r < R; r++) scores[r][key - keys.start] = x[u][r];
		}
	}
}

// few_weights turns products into weights, a warp for a row, and finds the
// greatest score and the sum of weights; a row that sees nothing has a sum of 0.
template <u32 R> DEV void few_weights(float (*scores)[Part], float *greatest, float *total, const Row *rows, const Few &p, u32 z, Keys keys) {
	for (u32 r = tid() / Warp; r < R; r += FewThreads / Warp) {
		float top = Hidden, sum = 0.0f, slope;
		for (u32 i = tid() % Warp; i < Part; i += Warp) {
			i32 key = (i32)(keys.start + i);
			float x = -__builtin_inff();
			if (key >= (i32)keys.from && key < (i32)keys.end && sees(rows[r], key, document_of(p.a, z, (u32)key))) x = score(p.a, z, rows[r], key, scores[r][i], &slope);
			scores[r][i] = x;
			top = greater(top, x);
		}
		for (u32 m = 1; m < Warp; m *= 2) top = greater(top, f32_bits(exchange(bits_f32(top), m)));
		for (u32 i = tid() % Warp; i < Part; i += Warp) {
			float w = exp_of(scores[r][i] - top);
			scores[r][i] = w;
			sum = sum + w;
		}
		for (u32 m = 1; m < Warp; m *= 2) sum = sum + f32_bits(exchange(bits_f32(sum), m));
		if (tid() % Warp == 0) greatest[r] = top, total[r] = sum;
	}
}

// few_sums adds up values, a lane eight columns of every slots-th key.
template <u32 R> DEV void few_sums(Octet (&sums)[R], const float (*weights)[Part], const Few &p, u32 z, u32 group, Keys keys) {
	constexpr u32 U = R > 4 ? 2 : 4;
	u32 lane = tid() % p.lanes, slot = tid() / p.lanes, slots = FewThreads / p.lanes;
	UNROLL for (u32 r = 0; r < R; r++) sums[r] = Octet{};
	for (u32 j = keys.from; j < keys.end; j += U * slots) {
		Octet v[U];
		UNROLL for (u32 u = 0; u < U; u++) {
			u32 key = j + u * slots + slot;
			v[u] = Octet{};
			if (key < keys.end) v[u] = load_octet(p.a.v, line_of<false>(p.a, z, group, key), Eight * lane);
		}
		UNROLL for (u32 u = 0; u < U; u++) {
			u32 key = j + u * slots + slot;
			UNROLL for (u32 r = 0; r < R; r++) {
				float w = key < keys.end ? weights[r][key - keys.start] : 0.0f;
				UNROLL for (u32 e = 0; e < 4; e++) sums[r].low[e] = fma(w, v[u].low[e], sums[r].low[e]), sums[r].high[e] = fma(w, v[u].high[e], sums[r].high[e]);
			}
		}
	}
	for (u32 m = p.lanes; m < Warp; m *= 2)
		UNROLL for (u32 r = 0; r < R; r++)
			UNROLL for (u32 e = 0; e < 4; e++) {
				sums[r].low[e] = sums[r].low[e] + f32_bits(exchange(bits_f32(sums[r].low[e]), m));
				sums[r].high[e] = sums[r].high[e] + f32_bits(exchange(bits_f32(sums[r].high[e]), m));
			}
}

DEV void finish(const Few &p, i64 line, u32 c, float sum, float greatest, float total) {
	float scale = total > 0.0f || total != total ? 1.0f / total : 0.0f;
	store_float(p.y, p.a.q.type, line * p.a.v.width + c, sum * scale);
	if (p.lse && c == 0) p.lse[line] = scale == 0.0f ? Hidden : greatest + log_of(total);
}

// few: grid x is [batch, groups, chunks, parts].
template <u32 R> DEV __attribute__((always_inline)) void few(const Few &p) {
	SHARED float scores[R][Part], columns[FewThreads / Warp][Widest], greatest[R], total[R];
	SHARED Row rows[R];
	u32 b = block_x(), part = b % p.count, first = b / p.count % p.chunks * R;
	u32 group = b / p.count / p.chunks % p.a.groups, z = b / p.count / p.chunks / p.a.groups;
	u32 n = p.a.seq * p.a.share, width = p.a.v.width;
	if (tid() < R) rows[tid()] = row_of(p.a, z, group, first + tid());
	sync();
	u32 lo = (u32)rows[0].lo, hi = (u32)rows[lesser_of(R, n - first) - 1].hi;
	Keys keys = {part * Part, part * Part, lesser_of(part * Part + Part, hi)};
	if (lo > keys.from) keys.from += (lo - keys.from) / (FewThreads / p.lanes) * (FewThreads / p.lanes);
	few_products<R>(scores, p, z, group, first, keys);
	sync();
	few_weights<R>(scores, greatest, total, rows, p, z, keys);
	sync();
	Octet sums[R];
	few_sums<R>(sums, scores, p, z, group, keys);
	UNROLL for (u32 r = 0; r < R; r++) {
		if (tid() % Warp < p.lanes)
			UNROLL for (u32 e = 0; e < 4; e++) {
				columns[tid() / Warp][tid() % p.lanes * Eight + e] = sums[r].low[e];
				columns[tid() / Warp][tid() % p.lanes * Eight + 4 + e] = sums[r].high[e];
			}
		sync();
		for (u32 c = tid(); c < width && first + r < n; c += FewThreads) {
			float sum = columns[0][c];
			for (u32 w = 1; w < FewThreads / Warp; w++) sum = sum + columns[w][c];
			i64 line = line_of<true>(p.a, z, group, first + r);
			if (p.count == 1) {
				finish(p, line, c, sum, greatest[r], total[r]);
				continue;
			}
			float *to = p.parts + (line * p.count + part) * (width + 2);
			to[c] = sum;
			if (c == 0) to[width] = greatest[r], to[width + 1] = total[r];
		}
		sync();
	}
}

KERNEL(attention_few_1, Few) { few<1>(p); }
KERNEL(attention_few_2, Few) { few<2>(p); }
KERNEL(attention_few_4, Few) { few<4>(p); }
KERNEL(attention_few_8, Few) { few<8>(p); }

// attention_join puts the parts of each row together, in their order: a block for
// each row. It reads count (width + 2) floats, 1/64 of the bytes of keys and values
// in bfloat16.
KERNEL(attention_join, Few) {
	u32 width = p.a.v.width;
	u64 lines = (u64)p.a.batch * p.a.seq * p.a.heads;
	for (u64 line = block_x(); line < lines; line += blocks_x()) {
		const float *from = p.parts + line * p.count * (width + 2);
		float top = Hidden;
		for (u32 i = 0; i < p.count; i++) top = greater(top, from[i * (width + 2) + width]);
		for (u32 c = tid(); c < width; c += threads()) {
			float sum = 0.0f, total = 0.0f;
			for (u32 i = 0; i < p.count; i++) {
				const float *part = from + i * (width + 2);
				float w = exp_of(part[width] - top);
				sum = fma(part[c], w, sum);
				total = fma(part[width + 1], w, total);
			}
			finish(p, (i64)line, c, sum, top, total);
		}
	}
}
