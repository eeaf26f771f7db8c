// Gradients of experts' weights on tensor cores, of x and dy in 16 bits, or in f32 that may
// be rounded to tf32: the sum over the rows of an expert in their order, in pieces of 512 as all products have them. Rows are
// read where they lie, by the list of the expert's rows, so that none is moved before.
//
// 2 rows out in operations for each expert. A tile of 128 x 128 does 64 for each byte that
// it reads, mostly from the second cache: 350 TFLOP/s of an H200 at most (product.h; of tf32
// a half of both). The result is written once, in f32: an expert of fewer than 150 rows is bound by that.
#include "experts.h"
#include "product.h"

static constexpr u32 Tile = 128, GradThreads = 2 * Tile;

// Copies are how a thread brings a step's rows: `count` of 16 bytes, of as many rows.
template <u32 bytes> struct Copies {
	static constexpr u32 elements = 16 / bytes, across = Tile / elements, apart = GradThreads / across, count = Deep / apart;
};

// bring_rows asks for 128 columns of a step's rows, -1 for none.
template <u32 bytes> DEV void bring_rows(u8 *to, const u8 *from, u64 first, u64 width, const i32 (&rows)[Copies<bytes>::count], u32 share, bool whole) {
	typedef Copies<bytes> C;
	u32 piece = tid() % C::across;
	u64 c = first + C::elements * piece;
#pragma unroll
	for (u32 i = 0; i < C::count; i++) {
		u32 row = tid() / C::across + C::apart * i, n = rows[i] < 0 || c >= width ? 0 : width - c < C::elements ? (u32)(width - c) : C::elements;
		const u8 *at = from + (n ? (u32)rows[i] / share * width + c : 0) * bytes;
		u8 *spot = to + 16 * (bytes == 4 ? lies_tf32<false, C::across>(row, piece) : lies<C::across>(row, piece));
		if (whole)
			copy_async<16>(spot, at, n * bytes);
		else
			by_element<bytes>(spot, at, n);
	}
}

// expert_grad: grid x goes over tiles of a weight, y over experts.
template <u32 type> __attribute__((always_inline)) DEV void expert_grad(const ExpertGrad &p) {
	constexpr u32 Bytes = type == F32 ? 4 : 2, Ahead = type == F32 ? 3 : Stages, Half = Tile * Deep * Bytes;
	typedef Copies<Bytes> C;
	u32 across = (u32)((p.in + Tile - 1) / Tile), down = (u32)((p.out + Tile - 1) / Tile), row, column;
	place_of_tile(block_x(), down, across, &row, &column);
	u32 warp = tid() / Warp, my_column = warp % 2 * (Tile / 2), my_row = warp / 2 * 32;
	bool whole = at_sixteen(p.x) && p.in % C::elements == 0, dy_whole = at_sixteen(p.dy) && p.out % C::elements == 0;
	MatMul to = {}; // what put_tile is told
	to.y = p.y, to.m = p.out, to.n = p.in;
	for (u64 e = block_y(); e < p.experts; e += 65535) {
		const i32 *list = p.rows + p.starts[e];
		u32 count = (u32)(p.starts[e + 1] - p.starts[e]), steps = (count + Deep - 1) / Deep;
		i32 rows[C::count];
		auto find = [&](u32 s) { // a step before they are asked for
#pragma unroll
			for (u32 i = 0; i < C::count; i++) {
				u32 l = s * Deep + tid() / C::across + C::apart * i;
				rows[i] = l < count ? list[l] : -1;
			}
		};
		auto ask = [&](u32 s) {
			u8 *stage = room() + s % Ahead * (2 * Half);
			if (s < steps) {
				bring_rows<Bytes>(stage, (const u8 *)p.x, (u64)column * Tile, p.in, rows, (u32)p.x_share, whole);
				bring_rows<Bytes>(stage + Half, (const u8 *)p.dy, (u64)row * Tile, p.out, rows, (u32)p.dy_share, dy_whole);
			}
			commit_copies();
			find(s + 1);
		};
		float sum[4][4][4] = {}, total[4][4][4] = {};
		find(0);
		for (u32 s = 0; s < Ahead - 1; s++) ask(s);
		for (u32 s = 0; s < steps; s++) {
			wait_copies<Ahead - 2>();
			sync();
			ask(s + Ahead - 1);
			const u8 *stage = room() + s % Ahead * (2 * Half);
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
KERNEL(expert_grad_tf32, ExpertGrad) { expert_grad<F32>(p); }
