// Attention of many rows by wgmma, on devices of capability 9.0 (arXiv:2407.08608): of
// one type of 16 bits, scores that are products times a number, and no past, as
// trainings, encoders and networks of pictures have it.
//
// A block has 128 rows. Two groups of warps have 64 of them each and go from tile to
// tile of 128 keys, which the third brings through a ring in shared memory, keys and
// values in turns. A group begins the scores of the next tile and then adds up the
// values of this one, by weights in registers, and makes weights of the next scores
// meanwhile. The groups take turns at beginning, so that one makes weights while the
// other's products run.
//
// Work: 2 (d + dv) FLOPs for a pair of a row and a key, and a power of 2. A processor
// of an H200 does 4,096 of the first and 16 of the others in a cycle. For the 16,384
// pairs of a tile tensor cores take 2,048 cycles at d = dv = 128 and 1,024 at 64,
// powers take 1,024, and each of 4 schedulers begins 1,020 (920) instructions of two warps
// that multiply and 200 (100) of one that copies. So at 128 tensor cores are what binds, and
// at 64 all three. Reads of shared memory take 1,280 of the 2,048 cycles, copies into it 512.
// Bytes: keys and values once for 128 rows, 32 a cycle of each processor at most, which is 7.4 TB/s of
// second cache: 5.5 would bound it to 735 TFLOP/s. What others reach so on an H100 is 550
// to 650 at 128, 400 to 500 at 64 (arXiv:2407.08608, figure 5).
//
// A row's tiles begin at multiples of 128, and one of which it sees nothing changes
// nothing: so its bits do not depend on its company. They need not be those of mma.
#pragma once
#include "attention_forward.h"
#include "wgmma.h"

// AsyncForward is Forward with where to say that a wait took too long: nobody asks if it is null.
struct AsyncForward {
	Forward f;
	u32 *late;
};

static constexpr u32 Long = 128, Notes = 8; // keys of a tile, also the rows of a block; tiles that are noted

// Note is what there is to know of a tile: its first key, whether others follow, and whether all rows
// of the block and its keys are of one document.
struct Note {
	u32 first, more, alike;
};

// Shelf is a block's shared memory: queries and a ring of Stages tiles, of keys or values, each in
// panels of 64 elements, 128 lines of 128 bytes.
template <u32 W> struct Shelf {
	static constexpr u32 Panels = W / 64, Panel = Long * 128, Stage = Panels * Panel, Stages = W == 64 ? 8 : 5, Ahead = Stages / 2;
	u8 *queries, *stages;
	Barrier *full, *empty, *turn;
	u32 count = 0; // of stages so far
	u32 *late;

	DEV_METHOD Shelf(u32 *l) : late(l) {
		queries = room() + ((0 - shared_place(room())) & 1023), stages = queries + Stage;
		full = (Barrier *)(stages + Stages * Stage), empty = full + Stages, turn = empty + Stages;
	}
	DEV_METHOD u32 slot() const { return count % Stages; }
	DEV_METHOD void wait_full() const { wait_barrier(full + slot(), count / Stages & 1, late); }
	DEV_METHOD void wait_empty() const {
		if (count >= Stages) wait_barrier(empty + slot(), count / Stages & 1 ^ 1, late);
	}
};

// Scope is what a block computes: rows first to n-1 of a group, and the keys that some of them see.
struct Scope {
	u32 z, group, first, n, live, from, to;
	i32 low, high; // documents
};

// bring_lines asks for a tile: of lines that are `apart` bytes apart, of `width` elements; zeros lie
// beyond both. Eight threads bring 128 bytes of a line.
template <u32 W> DEV ALWAYS void bring_lines(u8 *to, const u8 *from, i64 apart, u32 lines, u32 width) {
	u32 line = tid() % 128 / 8, piece = tid() % 8;
	from += line * apart + 16 * piece, to += line * 128 + 16 * (piece ^ line % 8);
	UNROLL for (u32 i = 0; i < 8; i++, from += 16 * apart)
		UNROLL for (u32 p = 0; p < W / 64; p++) copy_async<16>(to + p * Shelf<W>::Panel + i * 2048, from + 128 * p, line + 16 * i < lines && 64 * p + 8 * piece < width ? 16 : 0);
}

// bring_keys asks for lines of keys or values, from key j on.
template <u32 W> DEV ALWAYS void bring_keys(u8 *to, const Operand &o, const Attend &a, const Scope &s, u32 j) {
	i64 apart = 2 * (i64)a.groups * o.width;
	bring_lines<W>(to, (const u8 *)o.at + 2 * line_of<false>(a, s.z, s.group, j) * o.width, apart, j < s.to ? s.to - j : 0, o.width);
}

template <u32 W> DEV ALWAYS void bring_queries(u8 *to, const Attend &a, const Scope &s) {
	u32 line = tid() % 128 / 8, piece = tid() % 8;
	to += line * 128 + 16 * (piece ^ line % 8);
	for (u32 i = 0; i < 8; i++) {
		bool there = line + 16 * i < s.live;
		const u8 *from = (const u8 *)a.q.at + 2 * line_of<true>(a, s.z, s.group, s.first + (there ? line + 16 * i : 0)) * a.q.width + 16 * piece;
		UNROLL for (u32 p = 0; p < W / 64; p++) copy_async<16>(to + p * Shelf<W>::Panel + i * 2048, from + 128 * p, there && 64 * p + 8 * piece < a.q.width ? 16 : 0);
	}
}

// note_from finds the first tile from j on that may hold keys of the block's documents; those between may be skipped,
// which changes nothing. Each warp finds the same.
DEV Note note_from(const Attend &a, const Scope &s, u32 j) {
	if (!a.segments) return {j, j < s.to, 1};
	for (; j < s.to; j += Long) {
		u32 any = 0;
		for (u32 i = tid() % Warp; i < Long && j + i < a.keys; i += Warp) {
			i32 document = document_of(a, s.z, j + i);
			any |= document >= s.low && document <= s.high, any |= (u32)(document != s.low) << 1;
		}
		for (u32 m = 1; m < Warp; m *= 2) any |= exchange(any, m);
		if (any & 1) return {j, 1, any == 1 && s.low == s.high};
	}
	return {j, 0, 0};
}

// came says of the stages but for the latest `left` that they are full.
template <u32 left, u32 W> DEV ALWAYS void came(Shelf<W> &shelf, u32 &told) {
	wait_copies<left>();
	fence_async();
	for (; told + left < shelf.count; told++) arrive_warp(shelf.full + told % Shelf<W>::Stages);
}

// bring is the work of the third group. There is one tile at least, of which perhaps nobody sees a key.
template <u32 W> DEV ALWAYS void bring(Shelf<W> shelf, const Attend &a, const Scope &s, Note *notes, i32 (*documents)[Long]) {
	using T = Shelf<W>;
	u32 told = 0, before = 0;
	auto done = [&]() __attribute__((always_inline)) {
		commit_copies();
		shelf.count++;
		came<T::Ahead>(shelf, told);
	};
	bring_queries<W>(shelf.queries, a, s);
	Note now = note_from(a, s, s.from), next;
	for (u32 i = 0;; i++, now = next) {
		shelf.wait_empty();
		bring_keys<W>(shelf.stages + shelf.slot() * T::Stage, a.k, a, s, now.first);
		next = note_from(a, s, now.first + Long);
		if (a.segments) documents[i % Notes][tid() % 128] = document_of(a, s.z, now.first + tid() % 128);
		if (tid() % 128 == 0) notes[i % Notes] = {now.first, next.more, now.alike};
		done();
		for (u32 values = i ? 1 : 2; values < (next.more ? 2 : 3); values++) { // those of the tile before, and at last of this one
			shelf.wait_empty();
			bring_keys<W>(shelf.stages + shelf.slot() * T::Stage, a.v, a, s, values == 1 ? before : now.first);
			done();
		}
		before = now.first;
		if (!next.more) break;
	}
	came<0>(shelf, told);
}

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
	u64 q = described<true>(shared_place(shelf.queries) + tid() / 128 * 8192, 0), k = described<true>(shared_place(shelf.stages) + shelf.slot() * Shelf<W>::Stage, 0);
	UNROLL for (u32 i = 0; i < W / 16; i++) {
		u64 on = i / 4 * (Shelf<W>::Panel >> 4) + i % 4 * next_step<true>;
		wgmma<type, Long, true, true>(s, q + on, k + on, i);
	}
	commit_products();
}

// begin_values begins to add up a tile of values by weights.
template <u32 type, u32 W> DEV ALWAYS void begin_values(const Shelf<W> &shelf, float (&o)[W / 2], const u32 (&w)[32]) {
	u64 v = described<false>(shared_place(shelf.stages) + shelf.slot() * Shelf<W>::Stage, Shelf<W>::Panel);
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

// attend is the work of a group with 64 rows.
template <u32 type, u32 W> DEV ALWAYS void attend(Shelf<W> shelf, const Forward &p, const Scope &scope, const Row *rows, const Note *notes, const i32 (*documents)[Long]) {
	using T = Shelf<W>;
	u32 group = tid() / 128, own = tid() / Warp * 16, g = tid() % Warp / 4;
	Sight see = {};
	UNROLL for (u32 h = 0; h < 2; h++) see.lo[h] = rows[own + 8 * h + g].lo, see.hi[h] = rows[own + 8 * h + g].hi, see.own[h] = rows[own + 8 * h + g].own;
	if (own < scope.live) see.all_lo = rows[lesser_of(own + 16, scope.live) - 1].lo, see.all_hi = rows[own].hi;
	float o[W / 2] = {}, s[64] = {}, top[2] = {Hidden, Hidden}, total[2] = {}, old[2], c = p.a.scale * Log2e;
	u32 w[32];
	shelf.wait_full();
	fence_products();
	begin_scores<type>(shelf, s);
	Note note = notes[0];
	wait_products<0, Long>(s);
	arrive_warp(shelf.empty + shelf.slot());
	look(see, note, documents[0], s);
	weigh_long(c, s, top, total, old);
	packed_long<type>(w, s);
	for (u32 i = 1; note.more; i++) {
		shelf.count++;
		u32 keys = shelf.slot();
		shelf.wait_full();
		if (i > 1 || group) wait_barrier(shelf.turn + group, (i - group) & 1, shelf.late);
		fence_products();
		begin_scores<type>(shelf, s);
		shelf.count++;
		shelf.wait_full();
		begin_values<type>(shelf, o, w);
		arrive_warp(shelf.turn + (group ^ 1));
		note = notes[i % Notes];
		wait_products<1, Long>(s);
		settled<Long>(s);
		look(see, note, documents[i % Notes], s);
		weigh_long(c, s, top, total, old);
		arrive_warp(shelf.empty + keys + (total[0] + total[1] < 0.0f)); // which never is, but ptxas leaves weights before the next wait for it
		wait_products<0, W>(o);
		arrive_warp(shelf.empty + shelf.slot());
		UNROLL for (u32 n = 0; n < W / 2; n++) o[n] = o[n] * old[n / 2 % 2];
		packed_long<type>(w, s);
	}
	shelf.count++;
	shelf.wait_full();
	fence_products();
	begin_values<type>(shelf, o, w);
	wait_products<0, W>(o);
	finish<type, W>(p, scope, own, o, top, total);
}

// attend_async: grid x is [batch, groups, tiles], the tiles that see the most keys first.
template <u32 type, u32 W> DEV ALWAYS void attend_async(const AsyncForward &q) {
	SHARED Row rows[Long];
	SHARED i32 documents[Notes][Long];
	SHARED Note notes[Notes];
	const Forward &p = q.f;
	const Attend &a = p.a;
	Shelf<W> shelf(q.late);
	Scope s = {};
	s.n = a.seq * a.share;
	u32 tiles = (s.n + Long - 1) / Long, b = block_x();
	s.first = (tiles - 1 - b % tiles) * Long, s.group = b / tiles % a.groups, s.z = b / tiles / a.groups, s.live = lesser_of(Long, s.n - s.first);
	if (tid() < Long) rows[tid()] = row_of(a, s.z, s.group, s.first + tid());
	if (tid() < Shelf<W>::Stages) make_barrier(shelf.full + tid(), 4), make_barrier(shelf.empty + tid(), 8);
	if (tid() < 2) make_barrier(shelf.turn + tid(), 4);
	sync();
	if (tid() < 256) {
		more_registers<W == 64 ? 224 : 232>();
		attend<type, W>(shelf, p, s, rows, notes, documents);
	} else {
		less_registers<W == 64 ? 56 : 40>();
		s.from = (u32)rows[0].lo / Long * Long, s.to = (u32)rows[s.live - 1].hi, s.low = s.high = rows[0].own;
		if (a.segments)
			for (u32 r = 1; r < s.live; r++) s.low = rows[r].own < s.low ? rows[r].own : s.low, s.high = rows[r].own > s.high ? rows[r].own : s.high;
		bring<W>(shelf, a, s, notes, documents);
	}
}
