// What attention by wgmma (attention_wgmma.h) reads: a block's shared memory, and the group
// of warps that fills it. Keys and values come in tiles of 128, in turns, through a ring:
// the keys of a tile before the values of that before it, as they are needed, and those
// of the next rows behind these.
//
// Copies are cp.async, of 16 bytes, as product_wgmma.h has them. A group of 128 threads takes
// about 100 instructions of each for a tile of d = 128.
#pragma once
#include "attention_forward.h"
#include "wgmma.h"

// AsyncForward is Forward with where to say that a wait took too long: nobody asks if it is null;
// and how many groups of a batch are taken together, since the second cache has room for their keys and values.
struct AsyncForward {
	Forward f;
	u32 *late;
	u32 together;
};

static constexpr u32 Long = 128, Notes = 8; // keys of a tile, also the rows of a block; tiles that are noted

// Note is what there is to know of a tile: its first key, whether others follow, and whether all rows
// of the block and its keys are of one document.
struct Note {
	u32 first, more, alike;
};

// Shelf is a block's shared memory: queries and a ring of Stages tiles, of keys or values, each in
// panels of 64 elements, 128 lines of 128 bytes. Heads have up to W elements, 64, 96 or 128; with 96
// half of a panel is not used.
template <u32 W> struct Shelf {
	static constexpr u32 Panels = (W + 63) / 64, Panel = Long * 128, Stage = Panels * Panel, Stages = W == 64 ? 8 : 5, Ahead = Stages / 2;
	u8 *queries;
	u32 count = 0; // of stages so far
	u32 *late;

	DEV_METHOD Shelf(u32 *l) : queries(room() + ((0 - shared_place(room())) & 1023)), late(l) {}
	DEV_METHOD u8 *stage() const { return queries + Stage + slot() * Stage; }
	DEV_METHOD Barrier *full(u32 i) const { return (Barrier *)(queries + (1 + Stages) * Stage) + i; }
	DEV_METHOD Barrier *empty(u32 i) const { return full(Stages) + i; }
	DEV_METHOD Barrier *turn(u32 group) const { return full(2 * Stages) + group; } // of the groups
	DEV_METHOD Barrier *known() const { return full(2 * Stages + 2); }            // rows are
	DEV_METHOD Barrier *free() const { return full(2 * Stages + 3); }             // queries may be written
	DEV_METHOD u32 slot() const { return count % Stages; }
	DEV_METHOD void wait_full() const { wait_barrier(full(slot()), count / Stages & 1, late); }
	DEV_METHOD void wait_empty() const {
		if (count >= Stages) wait_barrier(empty(slot()), count / Stages & 1 ^ 1, late);
	}
};

// Scope is what a block computes at once: rows from first on, live of them, of a group, and the keys that some of them see.
struct Scope {
	u32 z, group, first, live, from, to;
	i32 low, high; // documents
};

// each_scope calls f with those of the block, one after the other, with their number among these: of so many
// groups as are together those rows first that see the most keys, and blocks from the first to the last and back, so that
// all get about as much.
template <typename F> DEV ALWAYS void each_scope(const AsyncForward &q, F f) {
	const Attend &a = q.f.a;
	u32 n = a.seq * a.share, tiles = (n + Long - 1) / Long, groups = a.batch * a.groups;
	u32 all = groups * tiles, each = q.together * tiles, round = 0;
	for (u32 i = 0, begin = 0; begin < all; begin += blocks_x(), round++) {
		u32 b = begin + (round % 2 ? blocks_x() - 1 - block_x() : block_x());
		if (b >= all) continue;
		u32 before = b / each * q.together, those = lesser_of(q.together, groups - before), rest = b % each, group = before + rest % those;
		Scope s = {};
		s.z = group / a.groups, s.group = group % a.groups, s.first = (tiles - 1 - rest / those) * Long, s.live = lesser_of(Long, n - s.first);
		f(s, i++);
	}
}

// bring_lines asks for a tile: of lines that are `apart` bytes apart, of `width` elements; zeros lie
// beyond both. Eight threads bring 128 bytes of a line.
template <u32 W> DEV ALWAYS void bring_lines(u8 *to, const u8 *from, i64 apart, u32 lines, u32 width) {
	u32 line = tid() % 128 / 8, piece = tid() % 8;
	from += line * apart + 16 * piece, to += line * 128 + 16 * (piece ^ line % 8);
	UNROLL for (u32 i = 0; i < 8; i++, from += 16 * apart)
		UNROLL for (u32 p = 0; p < Shelf<W>::Panels; p++)
			if (64 * p + 64 <= W || 64 * p + 8 * piece < W) copy_async<16>(to + p * Shelf<W>::Panel + i * 2048, from + 128 * p, line + 16 * i < lines && 64 * p + 8 * piece < width ? 16 : 0);
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
		UNROLL for (u32 p = 0; p < Shelf<W>::Panels; p++) copy_async<16>(to + p * Shelf<W>::Panel + i * 2048, from + 128 * p, there && 64 * p + 8 * piece < a.q.width ? 16 : 0);
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

// came says of the stages but for the latest `left` that they are full; told are those of which that was said.
template <u32 left, u32 W> DEV ALWAYS void came(const Shelf<W> &shelf, u32 &told) {
	wait_copies<left>();
	fence_async();
	for (; told + left < shelf.count; told++) arrive_warp(shelf.full(told % Shelf<W>::Stages));
}

// know finds what the rows of a block see, for all; each thread of the third group has one.
template <u32 W> DEV ALWAYS void know(const Shelf<W> &shelf, const Attend &a, Scope &s, Row *rows, u32 i) {
	u32 r = tid() % 128;
	rows[r] = r < s.live ? row_of(a, s.z, s.group, s.first + r) : Row{};
	arrive_warp(shelf.known());
	wait_barrier(shelf.known(), i & 1, shelf.late);
	s.from = (u32)rows[0].lo / Long * Long, s.to = (u32)rows[s.live - 1].hi, s.low = s.high = rows[0].own;
	if (a.segments)
		for (r = 1; r < s.live; r++) s.low = rows[r].own < s.low ? rows[r].own : s.low, s.high = rows[r].own > s.high ? rows[r].own : s.high;
}

// Board is what the third group writes for the others: two sets of rows, in turns, and what is noted of tiles.
struct Board {
	Row rows[2][Long];
	Note notes[Notes];
	i32 documents[Notes][Long];
};

// bring is the work of the third group for some rows, the i-th of the block. There is one tile at least, of which perhaps
// nobody sees a key.
template <u32 W> DEV ALWAYS void bring(Shelf<W> &shelf, u32 &told, u32 &tile, const Attend &a, Scope s, Board &board, u32 i) {
	using T = Shelf<W>;
	auto done = [&]() __attribute__((always_inline)) {
		commit_copies();
		shelf.count++;
		came<T::Ahead>(shelf, told);
	};
	know(shelf, a, s, board.rows[i % 2], i);
	Note now = note_from(a, s, s.from), next;
	for (u32 first = 1, before = 0;; first = 0, before = now.first, now = next, tile++) {
		shelf.wait_empty();
		bring_keys<W>(shelf.stage(), a.k, a, s, now.first);
		next = note_from(a, s, now.first + Long);
		if (a.segments) board.documents[tile % Notes][tid() % 128] = document_of(a, s.z, now.first + tid() % 128);
		if (tid() % 128 == 0) board.notes[tile % Notes] = {now.first, next.more, now.alike};
		if (first) {
			if (i) wait_barrier(shelf.free(), (i - 1) & 1, shelf.late);
			bring_queries<W>(shelf.queries, a, s);
		}
		done();
		for (u32 values = first ? 2 : 1; values < (next.more ? 2 : 3); values++) { // those of the tile before, and at last of this one
			shelf.wait_empty();
			bring_keys<W>(shelf.stage(), a.v, a, s, values == 1 ? before : now.first);
			done();
		}
		if (!next.more) break;
	}
	tile++;
	came<0>(shelf, told); // before queries are waited for, which these are for
}
