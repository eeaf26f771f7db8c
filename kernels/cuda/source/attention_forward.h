// Attention of many rows on tensor cores (arXiv:2205.14135, 2307.08691): four warps
// have 16 or 32 rows each and meet tile after tile of 64 keys. Scores and weights stay
// in registers; the next keys are on their way while values are added up, and values
// while scores become weights.
//
// Work: 2 (d + dv) FLOPs for a pair of a row and a key that sees it, plus a power of 2.
// At d = dv = 128 a warp of 32 rows takes 256 mma for a tile, about 1,660 cycles of its
// tensor core by mma.sync, and issues about 900 other instructions meanwhile. Bytes: keys
// and values once for 128 rows, 128 FLOPs for each byte, mostly from the second cache.
#pragma once
#include "attention_tensor.h"

struct Forward {
	Attend a;
	void *y;
	float *lse; // may be left out
	u32 panels, room;
};

// Own are the rows of a warp: those of a block from `from` on, live of them.
struct Own {
	u32 from, live;
};

// write stores what a warp's rows came to. Four threads store 16 bytes side by side,
// which the second cache puts together.
template <u32 type, u32 M, u32 W, u32 parts> DEV ALWAYS void write(const Forward &p, u32 z, u32 group, u32 first, u32 n, const float (&sums)[M][W / 8][4], const Tops<M> &so_far) {
	u32 g = tid() % Warp / 4, t = tid() % 4, width = p.a.v.width;
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 h = 0; h < 2; h++) {
			u32 r = first + 16 * m + 8 * h + g;
			if (r >= n) continue;
			i64 line = line_of<true>(p.a, z, group, r);
			float scale = share_of(so_far.total[m][h]);
			i64 to = line * (width / 2) + t;
			UNROLL for (u32 c = 0; c < W / 8; c++) {
				if (8 * c >= width) continue;
				f32x2 y = {sums[m][c][2 * h] * scale, sums[m][c][2 * h + 1] * scale};
				if constexpr (parts > 1)
					((f32x2 *)p.y)[to + 4 * c] = y;
				else
					((u32 *)p.y)[to + 4 * c] = pack_half<type>(y[0], y[1]);
			}
			if (p.lse && t == 0) p.lse[line] = scale == 0.0f ? Hidden : Powers::logarithm(so_far.top[m][h]) + log_of(so_far.total[m][h]);
		}
}

// forward: grid x is [batch, groups, tiles], the tiles that see the most keys first.
template <u32 type, u32 M, u32 W, u32 parts = 1> DEV ALWAYS void forward(const Forward &p) {
	constexpr u32 Rows = 64 * M;
	SHARED Row rows[Rows];
	SHARED i32 documents[Tile];
	SHARED float units[parts > 1 ? Rows : 1];
	const Attend &a = p.a;
	u32 n = a.seq * a.share, tiles = (n + Rows - 1) / Rows, b = block_x();
	u32 first = (tiles - 1 - b % tiles) * Rows, group = b / tiles % a.groups, z = b / tiles / a.groups;
	u32 live = lesser_of(Rows, n - first), own = tid() / Warp * 16 * M, last = lesser_of(own + 16 * M, live) - 1;
	for (u32 r = tid(); r < Rows; r += threads()) rows[r] = row_of(a, z, group, first + r);
	sync();
	i32 low = rows[0].own, high = low;
	if (a.segments)
		for (u32 r = 1; r < live; r++) low = rows[r].own < low ? rows[r].own : low, high = rows[r].own > high ? rows[r].own : high;
	u8 *q = room(), *k = q + parts * Rows * pitch_of(a.q.width), *v = k + Tile * pitch_of(a.k.width);
	u32 to = (u32)rows[live - 1].hi, j = next_tile(a, z, low, high, (u32)rows[0].lo / Tile * Tile, to);
	float sums[M][W / 8][4] = {};
	Tops<M> so_far;
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 h = 0; h < 2; h++) so_far.top[m][h] = Hidden, so_far.total[m][h] = 0.0f;
	if constexpr (parts > 1)
		stage_parts<type, parts>(q, units, Rows, a.q, a, z, group, first, n);
	else
		stage<true>(q, Rows, a.q, a, z, group, first, n);
	stage<false>(k, Tile, a.k, a, z, group, j, to);
	commit_copies();
	if (tid() < Tile) documents[tid()] = document_of(a, z, j + tid());
	while (j < to) {
		u32 after = next_tile(a, z, low, high, j + Tile, to);
		bool seen = own < live && (i32)j < rows[last].hi && (i32)(j + Tile) > rows[own].lo;
		u32 w[parts][M][4][4];
		Tops<M> tile;
		float old[M][2], its[M][2];
		wait_copies<0>();
		sync(); // keys are there, and values of the tile before are done with
		stage<false>(v, Tile, a.v, a, z, group, j, to);
		commit_copies();
		if (seen) {
			float s[M][8][4];
			bool whole = rows[last].lo <= (i32)j && rows[own].hi >= (i32)(j + Tile) && !a.segments;
			dots<type, M, parts>(s, q + own * pitch_of(a.q.width), k, a.q.width, Rows * pitch_of(a.q.width));
			if constexpr (parts > 1 && type == F16) in_units<M>(s, units + own);
			weigh<M>(a, z, rows + own, documents, j, whole, s, tile);
			packed<type, M, parts>(w, s);
			UNROLL for (u32 m = 0; m < M; m++)
				UNROLL for (u32 h = 0; h < 2; h++) chain<Powers>(so_far.top[m][h], so_far.total[m][h], tile.top[m][h], tile.total[m][h], &old[m][h], &its[m][h]);
		}
		wait_copies<0>();
		sync(); // values are there, and keys are done with
		if (after < to) {
			stage<false>(k, Tile, a.k, a, z, group, after, to);
			commit_copies();
			if (tid() < Tile) documents[tid()] = document_of(a, z, after + tid());
		}
		if (seen) add<type, M, W, parts>(sums, w, v, a.v.width, old, its);
		j = after;
	}
	wait_copies<0>();
	if (own < live) write<type, M, W, parts>(p, z, group, first + own, n, sums, so_far);
}
