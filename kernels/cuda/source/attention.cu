// Attention by tiles, with sums in float32 for any type of element: a tile of
// rows meets tile after tile of keys, so that no value is as large as [seq, keys]
// (arXiv:2205.14135). attention_few.cu has the same bits for few rows.
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

// weigh_tile turns products of four rows with four keys into weights, and puts the tile
// behind those before it: its sums are added up from 0, and then scaled as old and its say.
DEV __attribute__((always_inline)) void weigh_tile(const Attend &p, u32 z, const Row *rows, const i32 *documents, u32 j0, float (&s)[4][4], float (&top)[4], float (&total)[4], float (&old)[4], float (&its)[4]) {
	u32 row = tid() / 16, column = tid() % 16;
	for (u32 i = 0; i < 4; i++) {
		float tile_top, tile_total;
		weigh(p, z, rows[4 * row + i], documents + 4 * column, j0 + 4 * column, s[0], &tile_top, &tile_total);
		chain<Exponents>(top[0], total[0], tile_top, tile_total, &old[0], &its[0]);
		rotate(s), rotate(top), rotate(total), rotate(old), rotate(its);
	}
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
	float top[4] = {Hidden, Hidden, Hidden, Hidden}, total[4] = {};
	u32 to = (u32)rows[queries.end - first - 1].hi;
	for (u32 j = (u32)rows[0].lo / Tile * Tile; j < to; j += Tile) {
		sync();
		if (tid() < Tile) documents[tid()] = document_of(a, z, j + tid());
		if (a.segments && !meet(rows, documents, &flag)) continue;
		Lines keys = {j, lesser_of(j + Tile, to)};
		float s[4][4], old[4] = {}, its[4] = {};
		Panel<W, M> tile = {};
		products<true>(s, room, a.q, queries, a.k, keys, a, z, group);
		weigh_tile(a, z, rows, documents, j, s, top, total, old, its);
		keep(weights, s);
		add<false>(tile, weights, room, a.v, start, keys, a, z, group);
		UNROLL for (u32 i = 0; i < 4; i++)
			UNROLL for (u32 m = 0; m < W * M; m++) sums.sum[i][m] = fma(sums.sum[i][m], old[i], tile.sum[i][m] * its[i]);
	}
	UNROLL for (u32 i = 0; i < 4; i++) {
		u32 r = first + tid() / 16 * 4 + i;
		if (r >= n) continue;
		i64 line = line_of<true>(a, z, group, r);
		float scale = share_of(total[i]);
		UNROLL for (u32 m = 0; m < W * M; m++) {
			u32 c = start + column<W>(m);
			if (c < a.v.width) store_float(p.y, a.q.type, line * a.v.width + c, sums.sum[i][m] * scale);
		}
		if (p.lse && start == 0 && tid() % 16 == 0) p.lse[line] = scale == 0.0f ? Hidden : top[i] + log_of(total[i]);
	}
}

KERNEL(attention_64, Forward) { forward<4, 1>(p); }
KERNEL(attention_128, Forward) { forward<4, 2>(p); }
KERNEL(attention_256, Forward) { forward<4, 4>(p); }
