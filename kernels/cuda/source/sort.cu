// Order. An element is one number: its value, made so that whole numbers compare
// as values do, and its place below. All differ, so there is one order, and equal
// values keep theirs. NaN is less than all others, and both zeros are equal.
#include "number.h"

static constexpr u32 Chunk = 2048; // elements that a block sorts
static constexpr u64 Beyond = ~0ull;

// ranked is element i of a row; descending turns values round, not places.
DEV u64 ranked(float v, u32 i, u32 descending) {
	u32 u = v == 0.0f ? 0 : bits_f32(v), key = u >> 31 ? ~u : u | 0x80000000;
	if (v != v) key = 0;
	return (u64)(descending ? ~key : key) << 32 | i;
}

// sort_room sorts a power of two of elements of shared memory, by Batcher's network.
DEV void sort_room(u64 *room, u32 size) {
	for (u32 run = 2; run <= size; run *= 2)
		for (u32 apart = run / 2; apart > 0; apart /= 2) {
			sync();
			for (u32 t = tid(); t < size / 2; t += threads()) {
				u32 i = t / apart * 2 * apart + t % apart, j = i + apart;
				u64 a = room[i], b = room[j];
				if ((a > b) == ((i & run) == 0)) room[i] = b, room[j] = a;
			}
		}
	sync();
}

struct Sort {
	void *values;
	i32 *places;
	const void *x;
	u64 *to;         // of merge and of parts of rows; may be left out where a block sorts the row
	const u64 *from; // of merge
	u64 rows, n, k;  // k elements of each row are stored
	u64 run;         // of merge: elements of the runs that are in order
	u32 type, descending;
	u32 size; // of a block's network, a power of two
};

DEV void keep(const Sort &p, u64 row, u64 i, u64 e) {
	u64 from = row * p.n + (u32)e, to = row * p.k + i;
	p.places[to] = (i32)(u32)e;
	if (p.type == F32)
		((u32 *)p.values)[to] = ((const u32 *)p.x)[from];
	else
		((u16 *)p.values)[to] = ((const u16 *)p.x)[from];
}

// sort puts a part of a row in order, in shared memory: 2 log2(size)² steps of
// size/2 comparisons. Rows beyond a part go to p.to for merge.
KERNEL(sort, Sort) {
	SHARED u64 room[Chunk];
	u64 parts = (p.n + p.size - 1) / p.size;
	for (u64 o = block_x(); o < p.rows * parts; o += blocks_x()) {
		u64 row = o / parts, start = o % parts * p.size;
		u32 n = (u32)(p.n - start < p.size ? p.n - start : p.size);
		for (u32 i = tid(); i < p.size; i += threads())
			room[i] = i < n ? ranked(load_float(p.x, p.type, row * p.n + start + i), (u32)(start + i), p.descending) : Beyond;
		sort_room(room, p.size);
		for (u32 i = tid(); i < n; i += threads()) {
			if (p.to)
				p.to[row * p.n + start + i] = room[i];
			else if (i < p.k)
				keep(p, row, i, room[i]);
		}
		sync();
	}
}

// merge joins pairs of runs: an element goes behind those before it in its own run
// and in the other, which are found by halving. Without p.to it stores the result.
KERNEL(merge, Sort) {
	for (u64 o = place(); o < p.rows * p.n; o += (u64)blocks_x() * threads()) {
		u64 row = o / p.n, i = o % p.n, pair = i / (2 * p.run) * 2 * p.run, middle = pair + p.run < p.n ? pair + p.run : p.n;
		u64 end = middle + p.run < p.n ? middle + p.run : p.n, e = p.from[o];
		u64 lo = i < middle ? middle : pair, hi = i < middle ? end : middle, first = lo;
		while (lo < hi) {
			u64 half = lo + (hi - lo) / 2;
			if (p.from[row * p.n + half] < e)
				lo = half + 1;
			else
				hi = half;
		}
		u64 at = (i < middle ? i : pair + (i - middle)) + (lo - first);
		if (p.to)
			p.to[row * p.n + at] = e;
		else if (at < p.k)
			keep(p, row, at, e);
	}
}

// kth is the greatest of the first k of n elements in order, stride apart: eight
// bits after eight from the highest, of those that have the bits found before. It
// reads the row once for each, and ends when all that are left are in.
template <class P> DEV u64 kth(const P &p, u64 start, u64 stride, u64 n, u64 k, u32 *count, u64 *found) {
	u64 high = 0;
	for (i32 shift = 56; shift >= 0; shift -= 8) {
		for (u32 i = tid(); i < 256; i += threads()) count[i] = 0;
		sync();
		for (u64 i = tid(); i < n; i += threads()) {
			u64 e = ranked(load_float(p.x, p.type, start + i * stride), (u32)i, 1);
			if (shift == 56 || e >> (shift + 8) == high >> (shift + 8)) add_up(&count[e >> shift & 255], 1);
		}
		sync();
		if (tid() == 0) {
			u64 left = k;
			u32 b = 0;
			while (count[b] < left) left -= count[b++];
			found[0] = high | (u64)b << shift, found[1] = left, found[2] = count[b] == left;
		}
		sync();
		high = found[0], k = found[1];
		bool whole = found[2];
		sync();
		if (whole) return high | ((1ull << shift) - 1);
	}
	return high;
}

// topk is the first k of each row in order; k is at most Chunk.
KERNEL(topk, Sort) {
	SHARED u64 room[Chunk], found[3];
	SHARED u32 count[256], next;
	for (u64 row = block_x(); row < p.rows; row += blocks_x()) {
		u64 last = kth(p, row * p.n, 1, p.n, p.k, count, found);
		for (u32 i = tid(); i < p.size; i += threads()) room[i] = Beyond;
		if (tid() == 0) next = 0;
		sync();
		for (u64 i = tid(); i < p.n; i += threads()) {
			u64 e = ranked(load_float(p.x, p.type, row * p.n + i), (u32)i, 1);
			if (e <= last) room[add_up(&next, 1)] = e;
		}
		sort_room(room, p.size);
		for (u32 i = tid(); i < p.k; i += threads()) keep(p, row, i, room[i]);
		sync();
	}
}

struct ExpertChoice {
	i32 *y;
	const void *x; // [batch, seq, experts]
	u64 batch, seq, experts, takes;
	u32 type;
};

// expert_choice lets each expert choose the tokens with the greatest scores: a
// block for each expert of each sequence.
KERNEL(expert_choice, ExpertChoice) {
	SHARED u64 found[3];
	SHARED u32 count[256];
	for (u64 o = block_x(); o < p.batch * p.experts; o += blocks_x()) {
		u64 e = o % p.experts, start = o / p.experts * p.seq * p.experts + e;
		u64 last = kth(p, start, p.experts, p.seq, p.takes, count, found);
		for (u64 i = tid(); i < p.seq; i += threads()) {
			float v = load_float(p.x, p.type, start + i * p.experts);
			p.y[start + i * p.experts] = ranked(v, (u32)i, 1) <= last ? (i32)e : -1;
		}
	}
}
