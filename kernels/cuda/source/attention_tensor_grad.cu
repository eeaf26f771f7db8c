// The gradients of attention on tensor cores (arXiv:2205.14135, B.2; 2307.08691): four
// warps hold 16 lines each, of keys for dkey and dvalue, of rows for dquery, and meet
// tile after tile of 64 of the others, in order, while the next tile is on its way. There
// are no atomics: each result is one block's.
//
// Work: 7 products of 2 d FLOPs for a pair of a row and a key that sees it: 4 for dkey
// and dvalue, 3 for dquery, which are passes of their own. A matrix of a tile serves one
// product, so shared memory is read 4 times for 2 mma, 16 cycles where the tensor core
// takes 8 at best: at most half of the peak. Weights, which are 1 at most, are rounded to
// the type; the gradients of scores, which may be anything, are two numbers of it, with
// twice the bits, whose product is two mma for one reading of shared memory: an mma of each
// product takes 8.1 cycles of a multiprocessor of an H200 by mma.sync, and not the 6.5 of one
// number (6.5, not 4.9, for dquery), and shared memory takes 9 (7) for both. Bytes: two tiles
// of 64 lines for 64 lines, 64 FLOPs and more for each, mostly from the second cache.
#include "attention_tensor_grad.h"

// gather adds sums of 64 lines of x by the weights w, which are in parts.
template <u32 type, u32 W, u32 parts> DEV ALWAYS void gather(float (&sums)[W / 8][4], const u32 (&w)[parts][1][4][4], const u8 *x, u32 width) {
	u32 lane = tid() % Warp, pitch = pitch_of(width);
	const u8 *at = x + lane % 16 * pitch + lane / 16 * 16;
	UNROLL for (u32 n = 0; n < W / 8; n += 4) {
		if (8 * n >= width) continue;
		UNROLL for (u32 k = 0; k < 4; k++)
			UNROLL for (u32 i = 0; i < 4; i += 2) {
				u32 y[4];
				load_matrices<4, true>(y, at + 16 * k * pitch + 16 * (n + i));
				UNROLL for (u32 l = parts; l > 0; l--) mma_half<type>(sums[n + i], w[l - 1][0][k], y), mma_half<type>(sums[n + i + 1], w[l - 1][0][k], y + 2);
			}
	}
}

// keep stores sums of a warp's 16 lines, from line `first` of n on, times scale.
template <u32 type, u32 W, bool queries> DEV ALWAYS void keep(void *at, const float (&sums)[W / 8][4], float scale, const Attend &p, u32 z, u32 group, u32 first, u32 n, u32 width) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
	UNROLL for (u32 h = 0; h < 2; h++) {
		u32 l = first + 8 * h + g;
		if (l >= n) continue;
		u32 *to = (u32 *)at + line_of<queries>(p, z, group, l) * (width / 2) + t;
		UNROLL for (u32 c = 0; c < W / 8; c++)
			if (8 * c < width) to[4 * c] = pack_half<type>(sums[c][2 * h] * scale, sums[c][2 * h + 1] * scale);
	}
}

// by_keys: dkey and dvalue; grid x is [batch, groups, tiles of keys].
template <u32 type, u32 W> DEV ALWAYS void by_keys(const TensorGrad &p) {
	SHARED Sides sides;
	const Attend &a = p.a;
	u32 tiles = (a.keys + Tile - 1) / Tile, b = block_x(), first = b % tiles * Tile, group = b / tiles % a.groups, z = b / tiles / a.groups;
	u32 size = Tile * (pitch_of(a.k.width) + pitch_of(a.v.width)), own = tid() / Warp * 16, place = 0;
	Pair mine = {a.k, a.v, room(), size};
	Pair others = {a.q, p.dy, room() + size, size};
	Lines lines = rows_of(a, z, first);
	if (tid() < Tile) sides.documents[tid()] = document_of(a, z, first + tid());
	sync();
	Documents of = documents_of(a, sides.documents, lesser_of(Tile, a.keys - first));
	float dkey[W / 8][4] = {}, dvalue[W / 8][4] = {};
	u32 l = next_rows(a, z, group, of.low, of.high, lines.first, lines.end);
	bring<false>(mine, 0, a, z, group, first, a.keys);
	if (l < lines.end) bring<true>(others, place, a, z, group, l, lines.end);
	commit_copies();
	for (; l < lines.end; place = 1 - place) {
		u32 after = next_rows(a, z, group, of.low, of.high, l + Tile, lines.end), live = lesser_of(Tile, lines.end - l);
		sync(); // all are done with the tile before
		if (tid() < Tile) set_row(sides, p, z, group, tid(), l + tid());
		if (after < lines.end) bring<true>(others, 1 - place, a, z, group, after, lines.end);
		commit_copies();
		wait_copies<1>();
		sync();
		const Row &least = sides.rows[0], &most = sides.rows[live - 1];
		i32 key = (i32)(first + own);
		if (key < most.hi && key + 16 > least.lo) {
			bool whole = key + 16 <= least.hi && key >= most.lo && !a.segments;
			float s[1][8][4], d[1][8][4];
			u32 w[1][1][4][4], slope[2][1][4][4];
			dots<type, 1>(s, x_of(mine, 0) + own * pitch_of(a.k.width), x_of(others, place), a.k.width);
			dots<type, 1>(d, y_of(mine, 0) + own * pitch_of(a.v.width), y_of(others, place), a.v.width);
			slopes<false>(a, z, sides, own, 0, first, whole, s, d);
			packed<type, 1>(w, s);
			gather<type, W>(dvalue, w, y_of(others, place), a.v.width);
			packed<type, 1>(slope, d);
			gather<type, W>(dkey, slope, x_of(others, place), a.k.width);
		}
		l = after;
	}
	wait_copies<0>();
	keep<type, W, false>(p.dkey, dkey, a.scale, a, z, group, first + own, a.keys, a.k.width);
	keep<type, W, false>(p.dvalue, dvalue, 1.0f, a, z, group, first + own, a.keys, a.v.width);
}

// by_rows: dquery; grid x is [batch, groups, tiles of rows], those that see the most keys
// first.
template <u32 type, u32 W> DEV ALWAYS void by_rows(const TensorGrad &p) {
	SHARED Sides sides;
	const Attend &a = p.a;
	u32 n = a.seq * a.share, tiles = (n + Tile - 1) / Tile, b = block_x();
	u32 first = (tiles - 1 - b % tiles) * Tile, group = b / tiles % a.groups, z = b / tiles / a.groups, live = lesser_of(Tile, n - first);
	u32 size = Tile * (pitch_of(a.q.width) + pitch_of(a.v.width)), own = tid() / Warp * 16, last = lesser_of(own + 16, live) - 1, place = 0;
	Pair mine = {a.q, p.dy, room(), size};
	Pair others = {a.k, a.v, room() + size, size};
	if (tid() < Tile) set_row(sides, p, z, group, tid(), first + tid());
	sync();
	Documents of = documents_of(a, sides.rows, live);
	float dquery[W / 8][4] = {};
	u32 to = (u32)sides.rows[live - 1].hi, j = next_tile(a, z, of.low, of.high, (u32)sides.rows[0].lo / Tile * Tile, to);
	bring<true>(mine, 0, a, z, group, first, n);
	if (j < to) bring<false>(others, place, a, z, group, j, to);
	commit_copies();
	for (; j < to; place = 1 - place) {
		u32 after = next_tile(a, z, of.low, of.high, j + Tile, to);
		sync(); // all are done with the tile before
		if (tid() < Tile) sides.documents[tid()] = document_of(a, z, j + tid());
		if (after < to) bring<false>(others, 1 - place, a, z, group, after, to);
		commit_copies();
		wait_copies<1>();
		sync();
		if (own < live && (i32)j < sides.rows[last].hi && (i32)(j + Tile) > sides.rows[own].lo) {
			bool whole = sides.rows[last].lo <= (i32)j && sides.rows[own].hi >= (i32)(j + Tile) && !a.segments;
			float s[1][8][4], d[1][8][4];
			u32 slope[2][1][4][4];
			dots<type, 1>(s, x_of(mine, 0) + own * pitch_of(a.q.width), x_of(others, place), a.q.width);
			dots<type, 1>(d, y_of(mine, 0) + own * pitch_of(a.v.width), y_of(others, place), a.v.width);
			slopes<true>(a, z, sides, own, 0, j, whole, s, d);
			packed<type, 1>(slope, d);
			gather<type, W>(dquery, slope, x_of(others, place), a.q.width);
		}
		j = after;
	}
	wait_copies<0>();
	keep<type, W, true>(p.dquery, dquery, a.scale, a, z, group, first + own, n, a.q.width);
}

KERNEL(attention_by_keys_bf16_64, TensorGrad) { by_keys<BF16, 64>(p); }
KERNEL(attention_by_keys_bf16_128, TensorGrad) { by_keys<BF16, 128>(p); }
KERNEL(attention_by_keys_f16_64, TensorGrad) { by_keys<F16, 64>(p); }
KERNEL(attention_by_keys_f16_128, TensorGrad) { by_keys<F16, 128>(p); }
KERNEL(attention_by_rows_bf16_64, TensorGrad) { by_rows<BF16, 64>(p); }
KERNEL(attention_by_rows_bf16_128, TensorGrad) { by_rows<BF16, 128>(p); }
KERNEL(attention_by_rows_f16_64, TensorGrad) { by_rows<F16, 64>(p); }
KERNEL(attention_by_rows_f16_128, TensorGrad) { by_rows<F16, 128>(p); }
