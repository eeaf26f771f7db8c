// Gradients of experts' weights on tensor cores, of x and dy in 16 bits: the sum over the
// rows of an expert in their order, in pieces of 512 as all products have them. Rows are
// read where they lie, by the list of the expert's rows, so that none is moved before.
//
// 2 rows out in operations for each expert. A tile of 128 x 128 does 64 for each byte that
// it reads, mostly from the second cache: 350 TFLOP/s of an H200 at most (product.h). The
// result is written once, in f32: an expert of fewer than 150 rows is bound by that.
#include "experts.h"
#include "product.h"

static constexpr u32 Tile = 128, GradThreads = 2 * Tile, Each = Tile * Deep / 8 / GradThreads, Half = Tile * Deep * 2;

// bring_rows asks for 128 columns of a step's rows, -1 for none: thread t has those that
// are t / 16 and so on, and 8 columns of each.
DEV void bring_rows(u8 *to, const u16 *from, u64 first, u64 width, const i32 (&rows)[Each], u32 share, bool whole) {
	u32 piece = tid() % 16;
	u64 c = first + 8 * piece;
#pragma unroll
	for (u32 i = 0; i < Each; i++) {
		u32 n = rows[i] < 0 || c >= width ? 0 : width - c < 8 ? (u32)(width - c) : 8;
		const u16 *at = from + (n ? (u32)rows[i] / share * width + c : 0);
		u8 *spot = to + 16 * lies<16>(tid() / 16 + 16 * i, piece);
		if (whole)
			copy_async<16>(spot, at, 2 * n);
		else
			by_element<2>(spot, (const u8 *)at, n);
	}
}

// expert_grad: grid x goes over tiles of a weight, y over experts.
template <u32 type> __attribute__((always_inline)) DEV void expert_grad(const ExpertGrad &p) {
	u32 across = (u32)((p.in + Tile - 1) / Tile), down = (u32)((p.out + Tile - 1) / Tile), row, column;
	place_of_tile(block_x(), down, across, &row, &column);
	u32 warp = tid() / Warp, my_column = warp % 2 * (Tile / 2), my_row = warp / 2 * 32;
	bool whole = at_sixteen(p.x) && p.in % 8 == 0, dy_whole = at_sixteen(p.dy) && p.out % 8 == 0;
	MatMul to = {}; // what put_tile is told
	to.y = p.y, to.m = p.out, to.n = p.in;
	for (u64 e = block_y(); e < p.experts; e += 65535) {
		const i32 *list = p.rows + p.starts[e];
		u32 count = (u32)(p.starts[e + 1] - p.starts[e]), steps = (count + Deep - 1) / Deep;
		i32 rows[Each];
		auto find = [&](u32 s) { // a step before they are asked for
#pragma unroll
			for (u32 i = 0; i < Each; i++) {
				u32 l = s * Deep + tid() / 16 + 16 * i;
				rows[i] = l < count ? list[l] : -1;
			}
		};
		auto ask = [&](u32 s) {
			u8 *stage = room() + s % Stages * (2 * Half);
			if (s < steps) {
				bring_rows(stage, (const u16 *)p.x, (u64)column * Tile, p.in, rows, (u32)p.x_share, whole);
				bring_rows(stage + Half, (const u16 *)p.dy, (u64)row * Tile, p.out, rows, (u32)p.dy_share, dy_whole);
			}
			commit_copies();
			find(s + 1);
		};
		float sum[4][4][4] = {}, total[4][4][4] = {};
		find(0);
		for (u32 s = 0; s < Stages - 1; s++) ask(s);
		for (u32 s = 0; s < steps; s++) {
			wait_copies<Stages - 2>();
			sync();
			ask(s + Stages - 1);
			const u8 *stage = room() + s % Stages * (2 * Half);
			add_tile<type, false, false, false, Tile>(sum, stage, stage + Half, my_column, my_row);
			if ((s + 1) % (Piece / Deep) && s + 1 < steps) continue;
#pragma unroll
			for (u32 i = 0; i < 64; i++) {
				float *from = &sum[i / 16][i / 4 % 4][i % 4];
				total[i / 16][i / 4 % 4][i % 4] += *from, *from = 0.0f;
			}
		}
		wait_copies<0>();
		sync();
		float *tile = (float *)room();
		u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll
		for (u32 i = 0; i < 64; i++)
			tile[(my_row + i / 4 % 4 * 8 + 2 * t + i % 2) * (Tile + 4) + my_column + i / 16 * 16 + i / 2 % 2 * 8 + g] = total[i / 16][i / 4 % 4][i % 4];
		sync();
		put_tile<Tile>(to, e, tile, (u64)row * Tile, (u64)column * Tile);
		sync();
	}
}

KERNEL(expert_grad_bf16, ExpertGrad) { expert_grad<BF16>(p); }
KERNEL(expert_grad_f16, ExpertGrad) { expert_grad<F16>(p); }
