// Attention of few rows on tensor cores, as those of one token: a warp is a block and
// takes tiles of 64 keys for 16 rows of a group; what the tiles give is put together by
// attention_split_join, as attention_tensor.cu does it at once, to the same bits.
//
// Bytes: keys and values once for 16 rows, which is all: bound by memory, 4.8 TB/s on
// H200. A multiprocessor has its 36 GB/s of a tile of d = dv = 128 in 1,640 cycles; its
// 128 mma, for whatever number of rows, keep the tensor cores busy for 210 of them, where
// by fma (attention_few.cu) each row takes 150. Five tiles are on their way to one
// multiprocessor, 160 KiB. For each tile a row has dv + 2 floats written and read again:
// of four rows that is an eighth of the bytes, and stays in the second cache.
#pragma once
#include "attention_join.h"
#include "attention_tensor.h"

static constexpr u32 Sixteen = 16;

// split: grid x goes over [tiles, batch, groups, chunks], so that the tiles which are
// seen are spread evenly.
template <u32 type, u32 W, u32 parts = 1> DEV ALWAYS void split(const Split &p) {
	SHARED Row rows[Sixteen];
	SHARED i32 documents[Tile];
	SHARED float units[Sixteen];
	const Attend &a = p.a;
	u32 n = a.seq * a.share, width = a.v.width, each = p.chunks * a.groups * a.batch, g = tid() / 4, t = tid() % 4;
	u8 *q = room(), *k = q + parts * Sixteen * pitch_of(a.q.width), *v = k + Tile * pitch_of(a.k.width);
	for (u64 b = block_x(); b < (u64)each * p.count; b += blocks_x()) {
		u32 i = (u32)(b / each), first = (u32)(b % p.chunks) * Sixteen, group = (u32)(b / p.chunks % a.groups), z = (u32)(b / p.chunks / a.groups % a.batch);
		u32 j = i * Tile, live = lesser_of(Sixteen, n - first);
		sync();
		if (tid() < Sixteen) rows[tid()] = row_of(a, z, group, first + tid());
		for (u32 l = tid(); l < Tile; l += Warp) documents[l] = document_of(a, z, j + l);
		sync();
		u32 to = (u32)rows[live - 1].hi;
		if (j >= to || j + Tile <= (u32)rows[0].lo) continue;
		if constexpr (parts > 1)
			stage_parts<type, parts>(q, units, Sixteen, a.q, a, z, group, first, n);
		else
			stage<true>(q, Sixteen, a.q, a, z, group, first, n);
		stage<false>(k, Tile, a.k, a, z, group, j, to);
		commit_copies();
		stage<false>(v, Tile, a.v, a, z, group, j, to);
		commit_copies();
		float s[1][8][4], sums[1][W / 8][4] = {}, none[1][2] = {}, whole[1][2] = {{1.0f, 1.0f}};
		u32 w[parts][1][4][4];
		Tops<1> tile;
		wait_copies<1>();
		sync();
		dots<type, 1, parts>(s, q, k, a.q.width, Sixteen * pitch_of(a.q.width));
		if constexpr (parts > 1 && type == F16) in_units<1>(s, units);
		weigh<1>(a, z, rows, documents, j, false, s, tile);
		packed<type, 1, parts>(w, s);
		wait_copies<0>();
		sync();
		add<type, 1, W, parts>(sums, w, v, width, none, whole);
		UNROLL for (u32 h = 0; h < 2; h++) {
			u32 r = first + 8 * h + g;
			if (r >= n) continue;
			float *to = p.parts + (line_of<true>(a, z, group, r) * p.count + i) * (width + 2) + 2 * t;
			UNROLL for (u32 c = 0; c < W / 8; c++)
				if (8 * c < width) *(f32x2 *)(to + 8 * c) = f32x2{sums[0][c][2 * h], sums[0][c][2 * h + 1]};
			if (t == 0) *(f32x2 *)(to + width) = f32x2{tile.top[0][h], tile.total[0][h]};
		}
	}
}
