// The gradients of attention on tensor cores for heads of more than 128 elements, up to
// 256, as attention_tensor_grad.cu has them for others: but eight warps meet a tile of 64
// lines with one of 64 others. Of the products of both, a warp makes 16 x 32; the weights
// and the gradients of scores that come of them lie in shared memory, as numbers of 16
// bits (two for gradients of scores), and of the sums a warp has 32 lines and every fourth
// 16 columns: 64 registers for each of two gradients, where four warps would need 256.
//
// Work: 7 products of 2 d FLOPs for a pair, of which 3 take two mma. For an mma of each
// product shared memory is read 3 + 3 + 1.5 + 2 cycles for dkey and dvalue and written half
// a one, and tensor cores of an H200 take 8.1 by mma.sync (8.3 and 6.5 for dquery). Bytes:
// two tiles of 64 lines for 64 lines, 96 FLOPs and more for each, mostly from the second
// cache. One block has room on a multiprocessor, 8 warps, which meet three times a tile; at
// d = dv = 256 an A100 has no place for the next tile while it is at one.
#include "attention_tensor_grad.h"

// Plane is the bytes of weights of 64 lines for 64 others.
static constexpr u32 Plane = Tile * Tile * 2;

// Share is what a warp has: 16 lines and 32 others of the products, and of the sums 32
// lines and columns from `column` on.
struct Share {
	u32 lines, others, two, column;
};

DEV Share my_share() {
	u32 warp = tid() / Warp;
	return {warp % 4 * 16, warp / 4 * 32, warp % 2 * 32, warp / 2 * 16};
}

// weights_at is where a plane has line l's weights for 8 c and the 7 after it: those of
// eight lines are in different banks.
DEV u8 *weights_at(u8 *plane, u32 l, u32 c) { return plane + 128 * l + 16 * (c ^ l % 8); }

// put writes weights of a warp's products, in planes of parts.
template <u32 type, u32 parts> DEV ALWAYS void put(u8 *planes, const Share &my, float (&s)[1][4][4]) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
	UNROLL for (u32 n = 0; n < 4; n++)
		UNROLL for (u32 h = 0; h < 2; h++)
			UNROLL for (u32 i = 0; i < parts; i++)
				*(u32 *)(weights_at(planes + i * Plane, my.lines + 8 * h + g, my.others / 8 + n) + 4 * t) = split_pair<type>(s[0][n][2 * h], s[0][n][2 * h + 1]);
}

// gather adds a warp's sums of 64 lines of x by the weights in planes.
template <u32 type, u32 W, u32 parts> DEV ALWAYS void gather(float (&sums)[2][W / 32][4], u8 *planes, const Share &my, const u8 *x, u32 width) {
	u32 lane = tid() % Warp, pitch = pitch_of(width);
	const u8 *at = x + lane % 16 * pitch + lane / 16 * 16 + 2 * my.column;
	UNROLL for (u32 k = 0; k < 4; k++) {
		u32 w[parts][2][4];
		UNROLL for (u32 i = 0; i < parts; i++)
			UNROLL for (u32 m = 0; m < 2; m++) load_matrices<4, false>(w[i][m], weights_at(planes + i * Plane, my.two + 16 * m + lane % 16, 2 * k + lane / 16));
		UNROLL for (u32 n = 0; n < W / 64; n++) {
			if (64 * n + my.column >= width) continue;
			u32 y[4];
			load_matrices<4, true>(y, at + 16 * k * pitch + 128 * n);
			UNROLL for (u32 i = parts; i > 0; i--)
				UNROLL for (u32 m = 0; m < 2; m++) mma_half<type>(sums[m][2 * n], w[i - 1][m], y), mma_half<type>(sums[m][2 * n + 1], w[i - 1][m], y + 2);
		}
	}
}

// keep stores a warp's sums times scale; the tile has lines from `first` of n on.
template <u32 type, u32 W, bool queries> DEV ALWAYS void keep(void *at, const float (&sums)[2][W / 32][4], float scale, const Share &my, const Attend &p, u32 z, u32 group, u32 first, u32 n, u32 width) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
	UNROLL for (u32 m = 0; m < 2; m++)
		UNROLL for (u32 h = 0; h < 2; h++) {
			u32 l = first + my.two + 16 * m + 8 * h + g;
			if (l >= n) continue;
			u32 *to = (u32 *)at + line_of<queries>(p, z, group, l) * (width / 2) + t;
			UNROLL for (u32 i = 0; i < W / 32; i++) {
				u32 c = i / 2 * 64 + my.column + i % 2 * 8;
				if (c < width) to[c / 2] = pack_half<type>(sums[m][i][2 * h] * scale, sums[m][i][2 * h + 1] * scale);
			}
		}
}

// arrive waits for the tile from l on at a place, while the one from `after` on is on its
// way to the other, if there are two.
template <bool queries> DEV ALWAYS void arrive(const Pair &o, u32 places, u32 place, const Attend &p, u32 z, u32 group, u32 l, u32 after, u32 end) {
	if (places == 1)
		bring<queries>(o, 0, p, z, group, l, end);
	else if (after < end)
		bring<queries>(o, 1 - place, p, z, group, after, end);
	commit_copies();
	if (places == 1)
		wait_copies<0>();
	else
		wait_copies<1>();
	sync();
}

// by_keys: dkey and dvalue; grid x is [batch, groups, tiles of keys].
template <u32 type, u32 W> DEV ALWAYS void by_keys(const TensorGrad &p) {
	SHARED Sides sides;
	const Attend &a = p.a;
	u32 tiles = (a.keys + Tile - 1) / Tile, b = block_x(), first = b % tiles * Tile, group = b / tiles % a.groups, z = b / tiles / a.groups;
	u32 size = Tile * (pitch_of(a.k.width) + pitch_of(a.v.width)), place = 0;
	Pair mine = {a.k, a.v, room(), size}, others = {a.q, p.dy, room() + size, size};
	u8 *planes = room() + (1 + p.places) * size;
	Share my = my_share();
	Lines lines = rows_of(a, z, first);
	if (tid() < Tile) sides.documents[tid()] = document_of(a, z, first + tid());
	sync();
	Documents of = documents_of(a, sides.documents, lesser_of(Tile, a.keys - first));
	float dkey[2][W / 32][4] = {}, dvalue[2][W / 32][4] = {};
	u32 l = next_rows(a, z, group, of.low, of.high, lines.first, lines.end);
	bring<false>(mine, 0, a, z, group, first, a.keys);
	if (p.places > 1 && l < lines.end) bring<true>(others, place, a, z, group, l, lines.end);
	commit_copies();
	for (; l < lines.end; place = p.places - 1 - place) {
		u32 after = next_rows(a, z, group, of.low, of.high, l + Tile, lines.end), live = lesser_of(Tile, lines.end - l);
		sync(); // all are done with the tile before
		if (tid() < Tile) set_row(sides, p, z, group, tid(), l + tid());
		arrive<true>(others, p.places, place, a, z, group, l, after, lines.end);
		const Row &least = sides.rows[my.others], &most = sides.rows[lesser_of(my.others + 32, live) - 1];
		i32 key = (i32)(first + my.lines);
		float s[1][4][4] = {}, d[1][4][4] = {};
		if (my.others < live && key < most.hi && key + 16 > least.lo) {
			bool whole = key + 16 <= least.hi && key >= most.lo && !a.segments;
			dots<type, 1>(s, x_of(mine, 0) + my.lines * pitch_of(a.k.width), x_of(others, place) + my.others * pitch_of(a.k.width), a.k.width);
			dots<type, 1>(d, y_of(mine, 0) + my.lines * pitch_of(a.v.width), y_of(others, place) + my.others * pitch_of(a.v.width), a.v.width);
			slopes<false>(a, z, sides, my.lines, my.others, first, whole, s, d);
		}
		put<type, 1>(planes, my, s);
		put<type, 2>(planes + Plane, my, d);
		sync();
		gather<type, W, 1>(dvalue, planes, my, y_of(others, place), a.v.width);
		gather<type, W, 2>(dkey, planes + Plane, my, x_of(others, place), a.k.width);
		l = after;
	}
	wait_copies<0>();
	keep<type, W, false>(p.dkey, dkey, a.scale, my, a, z, group, first, a.keys, a.k.width);
	keep<type, W, false>(p.dvalue, dvalue, 1.0f, my, a, z, group, first, a.keys, a.v.width);
}

// by_rows: dquery; grid x is [batch, groups, tiles of rows], those that see the most keys
// first.
template <u32 type, u32 W> DEV ALWAYS void by_rows(const TensorGrad &p) {
	SHARED Sides sides;
	const Attend &a = p.a;
	u32 n = a.seq * a.share, tiles = (n + Tile - 1) / Tile, b = block_x();
	u32 first = (tiles - 1 - b % tiles) * Tile, group = b / tiles % a.groups, z = b / tiles / a.groups, live = lesser_of(Tile, n - first);
	u32 size = Tile * (pitch_of(a.q.width) + pitch_of(a.v.width)), place = 0;
	Pair mine = {a.q, p.dy, room(), size}, others = {a.k, a.v, room() + size, size};
	u8 *planes = room() + (1 + p.places) * size;
	Share my = my_share();
	u32 last = lesser_of(my.lines + 16, live) - 1;
	if (tid() < Tile) set_row(sides, p, z, group, tid(), first + tid());
	sync();
	Documents of = documents_of(a, sides.rows, live);
	float dquery[2][W / 32][4] = {};
	u32 to = (u32)sides.rows[live - 1].hi, j = next_tile(a, z, of.low, of.high, (u32)sides.rows[0].lo / Tile * Tile, to);
	bring<true>(mine, 0, a, z, group, first, n);
	if (p.places > 1 && j < to) bring<false>(others, place, a, z, group, j, to);
	commit_copies();
	for (; j < to; place = p.places - 1 - place) {
		u32 after = next_tile(a, z, of.low, of.high, j + Tile, to);
		i32 key = (i32)(j + my.others);
		sync(); // all are done with the tile before
		if (tid() < Tile) sides.documents[tid()] = document_of(a, z, j + tid());
		arrive<false>(others, p.places, place, a, z, group, j, after, to);
		float s[1][4][4] = {}, d[1][4][4] = {};
		if (my.lines < live && key < sides.rows[last].hi && key + 32 > sides.rows[my.lines].lo) {
			bool whole = sides.rows[last].lo <= key && sides.rows[my.lines].hi >= key + 32 && !a.segments;
			dots<type, 1>(s, x_of(mine, 0) + my.lines * pitch_of(a.q.width), x_of(others, place) + my.others * pitch_of(a.q.width), a.q.width);
			dots<type, 1>(d, y_of(mine, 0) + my.lines * pitch_of(a.v.width), y_of(others, place) + my.others * pitch_of(a.v.width), a.v.width);
			slopes<true>(a, z, sides, my.lines, my.others, j, whole, s, d);
		}
		put<type, 2>(planes, my, d);
		sync();
		gather<type, W, 2>(dquery, planes, my, x_of(others, place), a.q.width);
		j = after;
	}
	wait_copies<0>();
	keep<type, W, true>(p.dquery, dquery, a.scale, my, a, z, group, first, n, a.q.width);
}

KERNEL(attention_large_by_keys_bf16, TensorGrad) { by_keys<BF16, 256>(p); }
KERNEL(attention_large_by_keys_f16, TensorGrad) { by_keys<F16, 256>(p); }
KERNEL(attention_large_by_rows_bf16, TensorGrad) { by_rows<BF16, 256>(p); }
KERNEL(attention_large_by_rows_f16, TensorGrad) { by_rows<F16, 256>(p); }
