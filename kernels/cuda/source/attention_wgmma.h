// Attention of many rows by wgmma, on devices of capability 9.0 (arXiv:2407.08608): of
// one type of 16 bits, scores that are products times a number, and no past, as
// trainings, encoders and networks of pictures have it.
//
// A block is one of a processor, and takes 128 rows after the other. Two groups of warps
// have 64 of them each and go from tile to tile of 128 keys, which the third brings
// (attention_bring.h). A group begins the scores of the next tile and then adds up the
// values of this one, by weights in registers, and makes weights of the next scores
// meanwhile. The groups take turns at beginning, so that one makes weights while the
// other's products run.
//
// Work: 2 (d + dv) FLOPs for a pair of a row and a key, and a power of 2. A processor
// of an H200 does 4,096 of the first and 16 of the others in a cycle. For the 16,384
// pairs of a tile tensor cores take 2,048 cycles at d = dv = 128 and 1,024 at 64,
// powers take 1,024, and each of 4 schedulers begins 1,040 (940) instructions of two
// warps that multiply and 200 (100) of one that copies. So at 128 tensor cores are what
// binds, and at 64 all three. Reads of shared memory take 1,280 of the 2,048 cycles,
// copies into it 512.
// Bytes: keys and values once for 128 rows, 32 a cycle of each processor at most, which
// is 7.4 TB/s of second cache: 5.5 would bound it to 735 TFLOP/s. What others reach so
// on an H100 is 550 to 650 at 128, 400 to 500 at 64 (arXiv:2407.08608, figure 5).
//
// A row's tiles begin at multiples of 128, and one of which it sees nothing changes
// nothing: so its bits do not depend on its company. They need not be those of mma.
#pragma once
#include "attention_bring.h"

// Sight is what the two rows of a thread see, and what all 16 of its warp do.
struct Sight {
	i32 lo[2], hi[2], own[2], all_lo, all_hi;
};

// look hides what rows do not see of a tile: keys out of their range, and of other documents.
DEV ALWAYS void look(const Sight &see, const Note &note, const i32 *documents, float (&s)[64]) {
	i32 at = (i32)(note.first + 2 * (tid() % 4)), all = (i32)note.first;
	if (see.all_lo > all || see.all_hi < all + (i32)Long)
		UNROLL for (u32 i = 0; i < 64; i++) {
			i32 key = at + (i32)(i / 4 * 8 + i % 2);
			bool seen = (key >= see.lo[i / 2 % 2]) & (key < see.hi[i / 2 % 2]);
			s[i] = seen ? s[i] : -__builtin_inff();
		}
	if (!note.alike)
		UNROLL for (u32 i = 0; i < 16; i++) {
			u32x2 of = *(const u32x2 *)(documents + 2 * (tid() % 4) + 8 * i);
			UNROLL for (u32 e = 0; e < 4; e++) s[4 * i + e] = (i32)of[e % 2] == see.own[e / 2] ? s[4 * i + e] : -__builtin_inff();
		}
}

// weigh_long turns products into weights relative to the greatest score so far; c turns a product into a score, in powers
// of 2. What came before is to be scaled by old. A thread sums the weights that it has.
DEV ALWAYS void weigh_long(float c, float (&s)[64], float (&top)[2], float (&total)[2], float (&old)[2]) {
	UNROLL for (u32 h = 0; h < 2; h++) {
		float most[2] = {-__builtin_inff(), -__builtin_inff()}, sum[2] = {};
		UNROLL for (u32 i = 0; i < 32; i++) most[i % 2] = __builtin_fmaxf(most[i % 2], s[i / 2 * 4 + 2 * h + i % 2]);
		float now = greater(top[h], __builtin_fmaxf(Hidden, quad_greatest(__builtin_fmaxf(most[0], most[1])) * c));
		old[h] = power2(top[h] - now), top[h] = now;
		UNROLL for (u32 i = 0; i < 32; i++) {
			float &x = s[i / 2 * 4 + 2 * h + i % 2];
			x = power2(fma(x, c, -now));
			sum[i % 2] = sum[i % 2] + x;
		}
		total[h] = fma(total[h], old[h], sum[0] + sum[1]);
	}
}

// packed_long rounds weights to operands of wgmma_held.
template <u32 type> DEV ALWAYS void packed_long(u32 (&w)[32], const float (&s)[64]) {
	UNROLL for (u32 i = 0; i < 32; i++) w[i] = pack_half<type>(s[2 * i], s[2 * i + 1]);
}

// begin_scores begins the products of a group's queries with a tile of keys.
template <u32 type, u32 W> DEV ALWAYS void begin_scores(const Shelf<W> &shelf, float (&s)[64]) {
	u64 q = described<true>(shared_place(shelf.queries) + tid() / 128 * 8192, 0), k = described<true>(shared_place(shelf.stage()), 0);
	UNROLL for (u32 i = 0; i < W / 16; i++) {
		u64 on = i / 4 * (Shelf<W>::Panel >> 4) + i % 4 * next_step<true>;
		wgmma<type, Long, true, true>(s, q + on, k + on, i);
	}
	commit_products();
}

// begin_values begins to add up a tile of values by weights.
template <u32 type, u32 W> DEV ALWAYS void begin_values(const Shelf<W> &shelf, float (&o)[W / 2], const u32 (&w)[32]) {
	u64 v = described<false>(shared_place(shelf.stage()), Shelf<W>::Panel);
	UNROLL for (u32 i = 0; i < 8; i++) wgmma_held<type, W, false>(o, w + 4 * i, v + i * next_step<false>, 1);
	commit_products();
}

// finish stores what a warp's rows came to.
template <u32 type, u32 W> DEV ALWAYS void finish(const Forward &p, const Scope &s, u32 own, const float (&o)[W / 2], const float (&top)[2], const float (&total)[2]) {
	u32 g = tid() % Warp / 4, t = tid() % 4, width = p.a.v.width;
	UNROLL for (u32 h = 0; h < 2; h++) {
		float all = quad_sum(total[h]), scale = share_of(all);
		u32 r = own + 8 * h + g;
		if (r >= s.live) continue;
		i64 line = line_of<true>(p.a, s.z, s.group, s.first + r);
		u32 *to = (u32 *)p.y + line * (width / 2) + t;
		UNROLL for (u32 c = 0; c < W / 8; c++)
			if (8 * c < width) to[4 * c] = pack_half<type>(o[4 * c + 2 * h] * scale, o[4 * c + 2 * h + 1] * scale);
		if (p.lse && t == 0) p.lse[line] = scale == 0.0f ? Hidden : Powers::logarithm(top[h]) + log_of(all);
	}
}

// see_rows reads what there is to know of a thread's rows.
DEV ALWAYS Sight see_rows(const Row *rows, u32 own, u32 live) {
	Sight see = {};
	UNROLL for (u32 h = 0; h < 2; h++) {
		const Row &row = rows[own + 8 * h + tid() % Warp / 4];
		see.lo[h] = row.lo, see.hi[h] = row.hi, see.own[h] = row.own;
	}
	if (own < live) see.all_lo = rows[lesser_of(own + 16, live) - 1].lo, see.all_hi = rows[own].hi;
	return see;
}

// attend is the work of a group with 64 rows, the i-th of the block. A group waits for the other to have begun, from its
// second tile on: the first before its turn, the second in it.
template <u32 type, u32 W> DEV ALWAYS void attend(Shelf<W> &shelf, u32 &turns, u32 &tile, const Forward &p, const Scope &scope, const Board &board, u32 i) {
	u32 group = tid() / 128, own = tid() / Warp * 16;
	float o[W / 2] = {}, s[64] = {}, top[2] = {Hidden, Hidden}, total[2] = {}, old[2], c = p.a.scale * Log2e;
	u32 w[32];
	shelf.wait_full();
	fence_products();
	begin_scores<type>(shelf, s);
	Sight see = see_rows(board.rows[i % 2], own, scope.live);
	Note note = board.notes[tile % Notes];
	wait_products<0, Long>(s);
	arrive_warp(shelf.empty(shelf.slot()));
	if (!note.more) arrive_warp(shelf.free());
	look(see, note, board.documents[tile % Notes], s);
	weigh_long(c, s, top, total, old);
	packed_long<type>(w, s);
	for (; note.more; turns++) {
		shelf.count++, tile++;
		u32 keys = shelf.slot();
		shelf.wait_full();
		if (turns || group) wait_barrier(shelf.turn(group), (turns - group + 1) & 1, shelf.late);
		fence_products();
		begin_scores<type>(shelf, s);
		shelf.count++;
		shelf.wait_full();
		begin_values<type>(shelf, o, w);
		arrive_warp(shelf.turn(group ^ 1));
		note = board.notes[tile % Notes];
		wait_products<1, Long>(s);
		settled<Long>(s);
		if (!note.more) arrive_warp(shelf.free());
		look(see, note, board.documents[tile % Notes], s);
		weigh_long(c, s, top, total, old);
		arrive_warp(shelf.empty(keys + (total[0] + total[1] < 0.0f))); // which never is, but ptxas leaves weights before the next wait for it
		wait_products<0, W>(o);
		arrive_warp(shelf.empty(shelf.slot()));
		UNROLL for (u32 n = 0; n < W / 2; n++) o[n] = o[n] * old[n / 2 % 2];
		packed_long<type>(w, s);
	}
	shelf.count++, tile++;
	shelf.wait_full();
	fence_products();
	begin_values<type>(shelf, o, w);
	wait_products<0, W>(o);
	arrive_warp(shelf.empty(shelf.slot()));
	shelf.count++;
	finish<type, W>(p, scope, own, o, top, total);
}

// attend_async: a block for each processor at most.
template <u32 type, u32 W> DEV ALWAYS void attend_async(const AsyncForward &q) {
	SHARED Board board;
	Shelf<W> shelf(q.late);
	if (tid() < Shelf<W>::Stages) make_barrier(shelf.full(tid()), 4), make_barrier(shelf.empty(tid()), 8);
	if (tid() < 2) make_barrier(shelf.turn(tid()), 4);
	if (tid() == 2) make_barrier(shelf.known(), 4), make_barrier(shelf.free(), 8);
	sync();
	u32 count = 0, tile = 0;
	if (tid() < 256) {
		more_registers<W == 64 ? 216 : 224>();
		each_scope(q, [&](const Scope &s, u32 i) __attribute__((always_inline)) { attend<type, W>(shelf, count, tile, q.f, s, board, i); });
	} else {
		less_registers<W == 64 ? 72 : 56>();
		each_scope(q, [&](const Scope &s, u32 i) __attribute__((always_inline)) { bring<W>(shelf, count, tile, q.f.a, s, board, i); });
	}
}
