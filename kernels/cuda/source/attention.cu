// Attention by tiles, with sums in float32 for any type of element: a tile of
// rows meets tile after tile of keys, so that no value is as large as [seq, keys]
// (arXiv:2205.14135).
//
// Work: 2 (d + dv) FLOPs for a pair of a row and a key that it may see, all by
// fma. Bytes: query and y once, keys and values once for each tile of 64 rows,
// which is 32 (d + dv) / ((d + dv) / 2) = 64 FLOPs for an element of them and
// mostly from the second cache: bound by the arithmetic, 67 TFLOP/s on H200.
#include "attention.h"

struct Forward {
	Attend a;
	void *y;
	float *lse; // may be left out
	u32 panels; // of columns, of which blocks compute one
	u32 room;
};

// online turns products of four rows with four keys into weights, from the
// greatest score so far, and scales down what the rows had
// (arXiv:1805.02867). The 16 threads of a row are half a warp.
template <int W, int M> DEV void online(const Attend &p, u32 z, const Row *rows, const i32 *documents, u32 j0, float (&s)[4][4], Panel<W, M> &sums, float (&greatest)[4], float (&total)[4]) {
	u32 row = tid() / 16, column = tid() % 16;
	float shrink[4] = {};
	for (u32 i = 0; i < 4; i++) {
		const Row &r = rows[4 * row + i];
		float top = greatest[0], sum = 0.0f, slope;
		bool seen[4];
		UNROLL for (u32 j = 0; j < 4; j++) {
			i32 key = (i32)(j0 + 4 * column + j);
			seen[j] = sees(r, key, documents[4 * column + j]);
			if (!seen[j]) continue;
			s[0][j] = score(p, z, r, key, s[0][j], &slope);
			top = greater(top, s[0][j]);
		}
		for (u32 m = 1; m < 16; m *= 2) top = greater(top, f32_bits(exchange(bits_f32(top), m)));
		UNROLL for (u32 j = 0; j < 4; j++) {
			s[0][j] = seen[j] ? exp_of(s[0][j] - top) : 0.0f;
			sum = sum + s[0][j];
		}
		for (u32 m = 1; m < 16; m *= 2) sum = sum + f32_bits(exchange(bits_f32(sum), m));
		shrink[0] = exp_of(greatest[0] - top);
		total[0] = fma(total[0], shrink[0], sum);
		greatest[0] = top;
		rotate(s), rotate(greatest), rotate(total), rotate(shrink);
	}
	UNROLL for (u32 i = 0; i < 4; i++)
		UNROLL for (u32 m = 0; m < W * M; m++) sums.sum[i][m] = sums.sum[i][m] * shrink[i];
}

// forward: grid x is [batch, groups, panels, tiles], the tiles that see the most
// keys first.
template <int W, int M> DEV __attribute__((always_inline)) void forward(const Forward &p) {
	SHARED f32x4 room[Tile * Deep / 2], weights[Tile * Tile / 4];
	SHARED Row rows[Tile];
	SHARED i32 documents[Tile];
	SHARED u32 flag;
	const Attend &a = p.a;
	u32 n = a.seq * a.share, tiles = (n + Tile - 1) / Tile, b = block_x();
	u32 first = (tiles - 1 - b % tiles) * Tile, start = b / tiles % p.panels * Panel<W, M>::width;
	u32 group = b / tiles / p.panels % a.groups, z = b / tiles / p.panels / a.groups;
	if (tid() < Tile) rows[tid()] = row_of(a, z, group, first + tid());
	sync();
	Lines queries = {first, lesser_of(first + Tile, n)};
	Panel<W, M> sums = {};
	float greatest[4] = {Hidden, Hidden, Hidden, Hidden}, total[4] = {};
	u32 to = (u32)rows[queries.end - first - 1].hi;
	for (u32 j = (u32)rows[0].lo / Tile * Tile; j < to; j += Tile) {
		sync();
		if (tid() < Tile) documents[tid()] = document_of(a, z, j + tid());
		if (a.segments && !meet(rows, documents, &flag)) continue;
		Lines keys = {j, lesser_of(j + Tile, to)};
		float s[4][4];
		products<true>(s, room, a.q, queries, a.k, keys, a, z, group);
		online(a, z, rows, documents, j, s, sums, greatest, total);
		keep(weights, s);
		add<false>(sums, weights, room, a.v, start, keys, a, z, group);
	}
	UNROLL for (u32 i = 0; i < 4; i++) {
		u32 r = first + tid() / 16 * 4 + i;
		if (r >= n) continue;
		i64 line = line_of<true>(a, z, group, r);
		float scale = total[i] > 0.0f || total[i] != total[i] ? 1.0f / total[i] : 0.0f;
		UNROLL for (u32 m = 0; m < W * M; m++) {
			u32 c = start + column<W>(m);
			if (c < a.v.width) store_float(p.y, a.q.type, line * a.v.width + c, sums.sum[i][m] * scale);
		}
		if (p.lse && start == 0 && tid() % 16 == 0) p.lse[line] = scale == 0.0f ? Hidden : greatest[i] + log_of(total[i]);
	}
}

KERNEL(attention_64, Forward) { forward<4, 1>(p); }
KERNEL(attention_128, Forward) { forward<4, 2>(p); }
KERNEL(attention_256, Forward) { forward<4, 4>(p); }
