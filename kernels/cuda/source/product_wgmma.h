// Matrix products of 16-bit operands by wgmma, on devices of capability 9.0.
//
// A sum is made of pieces of 512 products, as in product.h: a piece is one chain of
// wgmma, in steps of 16 from the first k, and pieces are added in order. Rows of x
// are the side that is 64, in both forms, so a row has the same bits in each, whatever the
// other rows. They need not be the bits of mma.
//
// 2 m n k operations. A block is one of a processor, and goes from tile to tile. Its
// last group of warps brings lines of 64 elements through a ring in shared memory,
// while the others multiply: each 64 rows by all columns of the tile. A tile of
// 128 x 192, of which a thread has 96 sums of a piece and 96 of those before, does
// 77 operations for each byte that it reads: 420 TFLOP/s of an H200 if its second
// cache feeds 5.5 TB/s, 590 if it feeds the 7.7 that tiles of others without multicast
// show. For 16 of k both groups read (64 + 192) 32 bytes of shared memory, and 320 32
// are written: 208 cycles of 128 bytes, where the tensor cores multiply for 192. After
// a piece its sums are added to the total, 3 to 4% of the time if both groups do it at
// once. So 420 to 550 TFLOP/s are expected, the fewer where tiles don't fill rounds.
//
// Copies are cp.async and not TMA's: they need no description of a tensor by the
// driver, and take any batch, edge or expert as the other kernels do. They cost the
// group that brings 20 instructions a thread for 64 of k, of 768 cycles.
#pragma once
#include "product.h"
#include "wgmma.h"

// Async is a product with where to say that a wait took too long: nobody asks if it is null.
struct Async {
	MatMul m;
	u32 *late;
};

// Tiles is how a block is made: Groups of 64 rows, N columns.
template <u32 Groups, u32 N> struct Tiles {
	static constexpr u32 Rows = 64 * Groups, Stages = Groups == 2 ? 5 : 8, Ahead = Stages - 2;
	static constexpr u32 Unit = 64 * 128, Left = Groups * Unit, Stage = Left + N * 128;
	static constexpr u32 Pitch = 40, Drawer = 16 * Pitch; // of what a warp stores at once: 16 rows, 32 columns
};

// Ring is a block's shared memory.
template <u32 Groups, u32 N> struct Ring {
	using T = Tiles<Groups, N>;
	u8 *stages;
	float *drawers;
	Barrier *full, *empty;
	u32 count = 0; // of stages so far
	u32 *late;

	DEV_METHOD Ring(u32 *l) : late(l) {
		stages = room() + ((0 - shared_place(room())) & 1023);
		drawers = (float *)(stages + T::Stages * T::Stage);
		full = (Barrier *)(drawers + 4 * Groups * T::Drawer), empty = full + T::Stages;
	}
	DEV_METHOD u32 slot() const { return count % T::Stages; }
	DEV_METHOD u32 turn() const { return count / T::Stages & 1; }
};

// Lines is what a thread brings of an operand: of 64 lines by 64 elements every 16th line, and there the
// same 16 bytes.
struct Lines {
	const u8 *from;
	i64 apart; // how far 16 lines are apart, in bytes
	u64 k;     // that are left: lines, or bytes of them if the operand is along k
	u32 rows;  // the other, from the thread's first on
	u32 to;    // in a stage
};

// left is what is left of n after some, or enough.
DEV u32 left(u64 n, u64 some) { return n <= some ? 0 : n - some < 1 << 16 ? (u32)(n - some) : 1 << 16; }

template <bool along> DEV Lines lines_of(const u8 *from, i64 apart, u64 first, u64 rows, u64 k) {
	u32 me = tid() % 128, line = me / 8, piece = me % 8;
	u64 down = along ? first + line : line, right = (along ? 0 : first) + 8 * piece;
	return {from + 2 * ((i64)down * apart + (i64)right), 32 * apart, k, along ? left(rows, down) : 2 * left(rows, right), line * 128 + 16 * (piece ^ line % 8)};
}

// bring_units asks for Units times 64 lines by 64 elements, and goes on to the next k.
// Of what is beyond the operand zeros come, and its place is not read.
template <u32 Units, bool along> DEV void bring_units(u8 *to, Lines &s) {
	u32 k = along ? left(2 * s.k, tid() % 8 * 16) : left(s.k, tid() % 128 / 8), lines = along ? s.rows : k, bytes = along ? k : s.rows;
	const u8 *from = s.from;
	to += s.to;
#pragma unroll
	for (u32 i = 0; i < 4 * Units; i++) {
		u32 down = along ? 16 * i : 16 * (i % 4), right = along ? 0 : i / 4 * 128;
		u32 n = down >= lines || right >= bytes ? 0 : bytes - right < 16 ? bytes - right : 16;
		copy_async<16>(to + i * 2048, from, n);
		from += !along && i % 4 == 3 ? 128 - 3 * s.apart : s.apart;
	}
	s.from += along ? 128 : 4 * s.apart, s.k = s.k < 64 ? 0 : s.k - 64;
}

// bring_tile asks for the stages of a tile, and says of those that came that they are full.
template <u32 Groups, u32 N, bool a_along, bool b_along> __attribute__((always_inline)) DEV void bring_tile(Ring<Groups, N> &ring, Lines a, Lines b) {
	using T = Tiles<Groups, N>;
	for (; a.k; ring.count++) {
		if (ring.count >= T::Stages) wait_barrier(ring.empty + ring.slot(), ring.turn() ^ 1, ring.late);
		u8 *to = ring.stages + ring.slot() * T::Stage;
		bring_units<Groups, a_along>(to, a);
		bring_units<N / 64, b_along>(to + T::Left, b);
		commit_copies();
		if (ring.count < T::Ahead) continue;
		wait_copies<T::Ahead>();
		fence_async();
		arrive_warp(ring.full + (ring.count - T::Ahead) % T::Stages);
	}
}

// all_came says of the last stages that they are full.
template <u32 Groups, u32 N> DEV void all_came(Ring<Groups, N> &ring) {
	using T = Tiles<Groups, N>;
	wait_copies<0>();
	fence_async();
	for (u32 i = ring.count < T::Ahead ? 0 : ring.count - T::Ahead; i < ring.count; i++) arrive_warp(ring.full + i % T::Stages);
}

// add_stages adds the products of a piece, up to 8 stages, to nothing: the sums of a
// group. A stage is free when the wgmma of the next has been begun.
template <u32 type, u32 Groups, u32 N, bool a_along, bool b_along> __attribute__((always_inline)) DEV void add_stages(float *sum, Ring<Groups, N> &ring, u32 group, u32 stages) {
	using T = Tiles<Groups, N>;
	u32 before = 0;
	for (u32 s = 0; s < stages; s++, ring.count++) {
		u32 slot = ring.slot(), place = shared_place(ring.stages) + slot * T::Stage;
		u64 a = described<a_along>(place + group * T::Unit, T::Unit), b = described<b_along>(place + T::Left, T::Unit);
		wait_barrier(ring.full + slot, ring.turn(), ring.late);
		fence_products();
#pragma unroll
		for (u32 k = 0; k < 4; k++) wgmma<type, N, a_along, b_along>(sum, a + k * next_step<a_along>, b + k * next_step<b_along>, s | k);
		commit_products();
		wait_products<1, N>(sum);
		if (s) arrive_warp(ring.empty + before);
		before = slot;
	}
	wait_products<0, N>(sum);
	arrive_warp(ring.empty + before);
}

// put_eight stores n of eight neighbours of the result.
DEV void put_eight(const MatMul &p, u64 i, const float *v, u32 n) {
	if (n == 8 && p.y_type != F32 && ((u64)p.y + 2 * i) % 16 == 0) {
		u32x4 w;
#pragma unroll
		for (u32 j = 0; j < 4; j++) w[j] = p.y_type == BF16 ? pack_half<BF16>(v[2 * j], v[2 * j + 1]) : pack_half<F16>(v[2 * j], v[2 * j + 1]);
		*(u32x4 *)((u16 *)p.y + i) = w;
		return;
	}
	put_four(p, i, v, n < 4 ? n : 4);
	if (n > 4) put_four(p, i + 4, v + 4, n - 4);
}

// put_sums stores a warp's 16 rows of sums, from row and column on, 32 columns at a time: they
// pass through its drawer, so that a thread has neighbours.
template <u32 Groups, u32 N> __attribute__((always_inline)) DEV void put_sums(const MatMul &p, float *total, float *drawer, u64 z, u64 row, u64 column) {
	constexpr u32 Pitch = Tiles<Groups, N>::Pitch;
	u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma nounroll
	for (u32 q = 0; q < N / 32; q++, column += 32) {
#pragma unroll
		for (u32 i = 0; i < 16; i++) drawer[(g + i / 2 % 2 * 8) * Pitch + i / 4 * 8 + 2 * t + i % 2] = total[i];
#pragma unroll
		for (u32 i = 16; i < N / 2; i++) total[i - 16] = total[i];
		sync_warp();
#pragma nounroll
		for (u32 r = g; r < 16; r += 8) {
			u64 c = column + 8 * t;
			if (row + r >= p.m || c >= p.n) continue;
			float *v = drawer + r * Pitch + 8 * t;
			u32 n = p.n - c < 8 ? (u32)(p.n - c) : 8;
			if (p.bias || p.activation)
#pragma nounroll
				for (u32 j = 0; j < n; j++) v[j] = finished(p, c + j, v[j], 0.0f);
			u64 i = (z * p.m + row + r) * p.n + c;
			if (p.plus) {
				join_four(p, i, v, n < 4 ? n : 4);
				if (n > 4) join_four(p, i + 4, v + 4, n - 4);
			}
			put_eight(p, i, v, n);
		}
		sync_warp();
	}
}

// multiply_tile computes a group's rows of a tile.
template <u32 type, u32 Groups, u32 N, bool a_along, bool b_along> __attribute__((always_inline)) DEV void multiply_tile(const MatMul &p, Ring<Groups, N> &ring, u64 z, u64 row, u64 column) {
	u32 group = tid() / 128, warp = tid() / Warp;
	float sum[N / 2] = {}, total[N / 2] = {};
	for (u64 k = 0; k < p.k; k += Piece) {
		u64 left = p.k - k < Piece ? p.k - k : Piece;
		add_stages<type, Groups, N, a_along, b_along>(sum, ring, group, (u32)(left + 63) / 64);
#pragma unroll
		for (u32 i = 0; i < N / 2; i++) total[i] += sum[i];
	}
	put_sums<Groups, N>(p, total, ring.drawers + warp * Tiles<Groups, N>::Drawer, z, row + 16 * warp, column);
}

// each_tile calls f with the tiles of the block, one after the other: which of the batch, its
// row and column, and where its operands lie.
template <u32 Groups, u32 N, typename F> __attribute__((always_inline)) DEV void each_tile(const MatMul &p, F f) {
	using T = Tiles<Groups, N>;
	u32 across = (u32)((p.n + N - 1) / N), down = (u32)((p.m + T::Rows - 1) / T::Rows), row, column;
	for (u64 i = block_x(); i < p.batch.n * across * down; i += blocks_x()) {
		u64 z = i / (across * down);
		place_of_tile((u32)(i % (across * down)), down, across, &row, &column);
		i64 where[2];
		at(p.batch, z, where);
		if (of_expert(p, z, where)) f(z, (u64)row * T::Rows, (u64)column * N, where);
	}
}

// multiply_async has one group more than rows are for, which brings.
template <u32 type, bool a_along, bool b_along, u32 Groups, u32 N> __attribute__((always_inline)) DEV void multiply_async(const Async &q) {
	using T = Tiles<Groups, N>;
	const MatMul &p = q.m;
	Ring<Groups, N> ring(q.late);
	if (tid() < T::Stages) make_barrier(ring.full + tid(), 4), make_barrier(ring.empty + tid(), 4 * Groups);
	sync();
	if (tid() >= T::Rows * 2) {
		if constexpr (Groups == 2) less_registers<40>();
		each_tile<Groups, N>(p, [&](u64, u64 row, u64 column, const i64 *where) __attribute__((always_inline)) {
			bring_tile<Groups, N, a_along, b_along>(ring, lines_of<a_along>((const u8 *)p.a + where[0] * 2, a_along ? p.a_row : p.a_column, row, p.m, p.k),
				lines_of<b_along>((const u8 *)p.b + where[1] * 2, b_along ? p.b_column : p.b_row, column, p.n, p.k));
		});
		all_came(ring);
	} else {
		if constexpr (Groups == 2) more_registers<232>();
		each_tile<Groups, N>(p, [&](u64 z, u64 row, u64 column, const i64 *) __attribute__((always_inline)) { multiply_tile<type, Groups, N, a_along, b_along>(p, ring, z, row, column); });
	}
}
