// Attention whose keys are divided: what each tile gives, and how tiles are put together.
#pragma once
#include "attention.h"

struct Split {
	Attend a;
	void *y;
	float *lse;        // may be left out
	float *parts;      // [lines, tiles, width + 2]: sums, the greatest score, and the sum of weights
	u32 count, chunks; // tiles of keys, and of rows
};

static constexpr u32 JoinThreads = 128, Columns = 3;

// join puts the tiles of each row together as chain does, with exponentials by P: a
// block for each row. The greatest scores so far are found for 128 tiles at once; what is
// left in order is a product and an fma for each tile.
template <typename P> DEV void join(const Split &p) {
	SHARED float tops[JoinThreads], old[JoinThreads], its[JoinThreads], all;
	const Attend &a = p.a;
	u32 width = a.v.width, i = tid();
	u64 lines = (u64)a.batch * a.seq * a.heads;
	for (u64 line = block_x(); line < lines; line += blocks_x()) {
		u32 z = (u32)(line / a.heads / a.seq), at = (u32)(line / a.heads % a.seq), head = (u32)(line % a.heads);
		Row row = row_of(a, z, head / a.share, at * a.share + head % a.share);
		u32 tile = (u32)row.lo / Tile, end = row.hi > row.lo ? ((u32)row.hi + Tile - 1) / Tile : tile;
		float top = Hidden, sums[Columns] = {};
		for (; tile < end; tile += JoinThreads) {
			u32 n = lesser_of(JoinThreads, end - tile);
			const float *from = p.parts + (line * p.count + tile) * (width + 2);
			sync();
			float own = i < n ? from[(u64)i * (width + 2) + width] : Hidden;
			tops[i] = own;
			for (u32 m = 1; m < JoinThreads; m *= 2) {
				sync();
				float before = i >= m ? tops[i - m] : Hidden;
				sync();
				tops[i] = greater(before, tops[i]);
			}
			sync();
			float now = greater(top, tops[i]);
			old[i] = P::power((i ? greater(top, tops[i - 1]) : top) - now);
			its[i] = P::power(own - now);
			top = greater(top, tops[n - 1]);
			sync();
			UNROLL for (u32 k = 0; k < Columns; k++) {
				u32 c = i + k * JoinThreads;
				if (c > width) continue;
				const float *of = from + (c < width ? c : width + 1); // the last is the sum of weights
				_Pragma("unroll 8") for (u32 l = 0; l < n; l++) sums[k] = fma(sums[k], old[l], of[(u64)l * (width + 2)] * its[l]);
			}
		}
		UNROLL for (u32 k = 0; k < Columns; k++)
			if (i + k * JoinThreads == width) all = sums[k];
		sync();
		float total = all, scale = share_of(total);
		UNROLL for (u32 k = 0; k < Columns; k++)
			if (i + k * JoinThreads < width) store_float(p.y, a.q.type, (i64)line * width + i + k * JoinThreads, sums[k] * scale);
		if (p.lse && i == 0) p.lse[line] = scale == 0.0f ? Hidden : P::logarithm(top) + log_of(total);
		sync();
	}
}
