// The gradients of attention by tiles: weights are computed again from lse rather
// than read, so that no value is as large as [seq, keys] (arXiv:2205.14135, B.2).
// A block computes a panel of one gradient of one tile, and loops over all that has
// a part in it, in order: there are no atomics, and the bits are the same at every run.
//
// Work, in products of 2 d FLOPs for a pair of a row and a key: dvalue takes 2,
// dkey and dquery 3 each. One pass for dkey and dvalue would save one of the 8,
// for twice the sums in registers. Bound by the arithmetic, as attention is.
#include "attention.h"

struct Grad {
	Attend a;
	Operand dy;
	const void *y;
	const float *lse, *dlse; // dlse may be left out
	float *delta;            // sum(dy y) - dlse of each row
	void *to;                // the gradient that is computed
	u32 panels, type;
};

// attention_delta computes delta, a warp for each row.
KERNEL(attention_delta, Grad) {
	u64 rows = (u64)p.a.batch * p.a.seq * p.a.heads;
	u32 n = p.a.v.width;
	for (u64 r = place() / Warp; r < rows; r += (u64)blocks_x() * threads() / Warp) {
		float sum = 0.0f;
		for (u32 c = tid() % Warp; c < n; c += Warp) sum = fma(load_float(p.dy.at, p.dy.type, r * n + c), load_float(p.y, p.dy.type, r * n + c), sum);
		for (u32 m = 1; m < Warp; m *= 2) sum = sum + f32_bits(exchange(bits_f32(sum), m));
		if (tid() % Warp == 0) p.delta[r] = p.dlse ? sum - p.dlse[r] : sum;
	}
}

enum Which { DQuery, DKey, DValue };

DEV Row grad_row(const Grad &p, u32 z, u32 group, u32 r) {
	Row row = row_of(p.a, z, group, r);
	if (r >= p.a.seq * p.a.share) return row;
	i64 line = line_of<true>(p.a, z, group, r);
	row.lse = p.lse[line];
	row.delta = p.delta[line];
	return row;
}

// weigh turns the products s of query and key, and d of dy and value, into what the
// gradient is the sum of: weights for dvalue, else the gradient of the products.
// Lines i are rows for dquery, else keys.
template <Which which> DEV void weigh(const Attend &p, u32 z, const Row *rows, const i32 *documents, u32 j0, float (&s)[4][4], float (&d)[4][4]) {
	u32 line = 4 * (tid() / 16), other = 4 * (tid() % 16);
	for (u32 i = 0; i < 4; i++) {
		UNROLL for (u32 j = 0; j < 4; j++) {
			const Row &row = rows[which == DQuery ? line + i : other + j];
			u32 key = which == DQuery ? other + j : line + i;
			float slope, w = 0.0f;
			if (sees(row, (i32)(j0 + key), documents[key])) {
				w = exp_of(score(p, z, row, (i32)(j0 + key), s[0][j], &slope) - row.lse);
				if (which != DValue) w = w * (d[0][j] - row.delta) * slope * p.scale;
			}
			s[0][j] = w;
		}
		rotate(s);
		if (which != DValue) rotate(d);
	}
}

// gradient: grid x is [batch, groups, panels, tiles].
template <Which which, int W, int M> DEV __attribute__((always_inline)) void gradient(const Grad &p) {
	SHARED f32x4 room[Tile * Deep / 2], weights[Tile * Tile / 4];
	SHARED Row rows[Tile];
	SHARED i32 documents[Tile];
	SHARED u32 flag;
	const Attend &a = p.a;
	constexpr bool by_row = which == DQuery;
	u32 n = by_row ? a.seq * a.share : a.keys, tiles = (n + Tile - 1) / Tile, b = block_x();
	u32 first = (by_row ? tiles - 1 - b % tiles : b % tiles) * Tile, start = b / tiles % p.panels * Panel<W, M>::width;
	u32 group = b / tiles / p.panels % a.groups, z = b / tiles / p.panels / a.groups;
	Lines own = {first, lesser_of(first + Tile, n)}, others;
	if (by_row) {
		if (tid() < Tile) rows[tid()] = grad_row(p, z, group, first + tid());
		sync();
		others = {(u32)rows[0].lo / Tile * Tile, (u32)rows[own.end - first - 1].hi};
	} else {
		if (tid() < Tile) documents[tid()] = document_of(a, z, first + tid());
		others = rows_of(a, z, first);
	}
	Panel<W, M> sums = {};
	for (u32 l = others.first; l < others.end; l += Tile) {
		sync();
		if (tid() < Tile && by_row) documents[tid()] = document_of(a, z, l + tid());
		if (tid() < Tile && !by_row) rows[tid()] = grad_row(p, z, group, l + tid());
		if (a.segments && !meet(rows, documents, &flag)) continue;
		Lines these = {l, lesser_of(l + Tile, others.end)};
		float s[4][4], d[4][4];
		products<by_row>(s, room, by_row ? a.q : a.k, own, by_row ? a.k : a.q, these, a, z, group);
		if (which != DValue) products<by_row>(d, room, by_row ? p.dy : a.v, own, by_row ? a.v : p.dy, these, a, z, group);
		weigh<which>(a, z, rows, documents, by_row ? l : first, s, d);
		keep(weights, s);
		add<!by_row>(sums, weights, room, which == DQuery ? a.k : which == DKey ? a.q : p.dy, start, these, a, z, group);
	}
	u32 width = which == DValue ? a.v.width : a.k.width;
	UNROLL for (u32 i = 0; i < 4; i++) {
		u32 r = first + tid() / 16 * 4 + i;
		if (r >= own.end) continue;
		i64 line = line_of<by_row>(a, z, group, r);
		UNROLL for (u32 m = 0; m < W * M; m++) {
			u32 c = start + column<W>(m);
			if (c < width) store_float(p.to, p.type, line * width + c, sums.sum[i][m]);
		}
	}
}

KERNEL(attention_dquery_64, Grad) { gradient<DQuery, 4, 1>(p); }
KERNEL(attention_dquery_128, Grad) { gradient<DQuery, 4, 2>(p); }
KERNEL(attention_dkey_64, Grad) { gradient<DKey, 4, 1>(p); }
KERNEL(attention_dkey_128, Grad) { gradient<DKey, 4, 2>(p); }
KERNEL(attention_dvalue_64, Grad) { gradient<DValue, 4, 1>(p); }
KERNEL(attention_dvalue_128, Grad) { gradient<DValue, 4, 2>(p); }
