// Places that are read from a tensor of whole numbers. One that is out of range
// reads and writes nothing; the first of them is told.
#include "number.h"

struct Gather {
	u8 *y;
	const u8 *x;
	const void *index;
	u32 *bad; // the least place in index that is out of range
	u64 outer, n, m, inner;
	u32 index_type, from, to; // types; from = to moves elements as they are
	u32 bytes;
	u32 along; // whether each element has an index of its own
	u32 rows;  // whether row o of index is of slice o of x
};

template <class T> DEV void take(T *y, const T *x, u64 to, u64 from) { y[to] = x[from]; }

// gather: x [outer, n, inner], y [outer, m, inner]; index is [m], [outer, m] or, along, like y.
KERNEL(gather, Gather) {
	for (u64 i = place(); i < p.outer * p.m * p.inner; i += (u64)blocks_x() * threads()) {
		u64 e = i % p.inner, j = i / p.inner % p.m, o = i / p.inner / p.m;
		u64 which = p.along ? i : p.rows ? o * p.m + j : j;
		i64 k = load_whole(p.index, p.index_type, which);
		if (k < 0 || k >= (i64)p.n) {
			least(p.bad, (u32)which);
			continue;
		}
		u64 from = (o * p.n + k) * p.inner + e;
		if (p.from != p.to) {
			store_float(p.y, p.to, i, load_float(p.x, p.from, from));
			continue;
		}
		switch (p.bytes) {
		case 1: take((u8 *)p.y, (const u8 *)p.x, i, from); break;
		case 2: take((u16 *)p.y, (const u16 *)p.x, i, from); break;
		case 4: take((u32 *)p.y, (const u32 *)p.x, i, from); break;
		case 8: take((u64 *)p.y, (const u64 *)p.x, i, from); break;
		}
	}
}

struct Scatter {
	void *x;
	const void *y;
	const void *index;
	u32 *bad;
	u64 outer, n, m, inner;
	u32 index_type, type;
};

// scatter_columns adds y [outer, m, inner] into x [outer, n, inner] at an index for
// each of its elements: a thread does a column of f32, in the order of indices.
KERNEL(scatter_columns, Scatter) {
	float *x = (float *)p.x;
	for (u64 i = place(); i < p.outer * p.inner; i += (u64)blocks_x() * threads()) {
		u64 e = i % p.inner, o = i / p.inner;
		for (u64 k = 0; k < p.n; k++) x[(o * p.n + k) * p.inner + e] = 0.0f;
		for (u64 j = 0; j < p.m; j++) {
			u64 from = (o * p.m + j) * p.inner + e;
			i64 k = load_whole(p.index, p.index_type, from);
			if (k < 0 || k >= (i64)p.n)
				least(p.bad, (u32)from);
			else
				x[(o * p.n + k) * p.inner + e] += ((const float *)p.y)[from];
		}
	}
}

// scatter_few is scatter_columns where few are added: a thread does an element of x,
// and looks at the indices of its column.
KERNEL(scatter_few, Scatter) {
	for (u64 i = place(); i < p.outer * p.n * p.inner; i += (u64)blocks_x() * threads()) {
		u64 e = i % p.inner, k = i / p.inner % p.n, o = i / p.inner / p.n;
		float sum = 0.0f;
		for (u64 j = 0; j < p.m; j++) {
			u64 from = (o * p.m + j) * p.inner + e;
			i64 to = load_whole(p.index, p.index_type, from);
			if (to == (i64)k) sum += load_float(p.y, p.type, from);
			if (k == 0 && (to < 0 || to >= (i64)p.n)) least(p.bad, (u32)from);
		}
		store_float(p.x, p.type, i, sum);
	}
}

static constexpr u32 MostAlike = 1024;

// add_alike adds the slices of y in the list, in order, to slice k of x, or sets it.
DEV void add_alike(const Scatter &p, i64 k, const u32 *list, u32 found, bool more) {
	u64 step = (u64)blocks_y() * threads();
	for (u64 q = (u64)block_y() * threads() + tid(); q < p.outer * p.inner; q += step) {
		u64 o = q / p.inner, e = q - o * p.inner, to = (o * p.n + (u64)k) * p.inner + e;
		float sum = more ? load_float(p.x, p.type, to) : 0.0f;
		for (u32 i = 0; i < found; i++) sum += load_float(p.y, p.type, (o * p.m + list[i]) * p.inner + e);
		store_float(p.x, p.type, to, sum);
	}
}

// scatter_slices adds slices of y [outer, m, inner] into x [outer, n, inner], which
// is 0, at m indices. A block does an index: that of the first of equal ones adds up
// all of them in order, and the others leave. It looks at m indices, 256 at once,
// which the cache has, and moves each slice of y once.
KERNEL_OF(256, scatter_slices, Scatter) {
	SHARED u32 mask[8], list[MostAlike];
	for (u64 j = block_x(); j < p.m; j += blocks_x()) {
		i64 k = load_whole(p.index, p.index_type, j);
		if (k < 0 || k >= (i64)p.n) {
			if (tid() == 0) least(p.bad, (u32)j);
			continue;
		}
		u32 found = 0;
		bool more = false, first = true;
		for (u64 chunk = 0; chunk < p.m && first; chunk += threads()) {
			bool hit = chunk + tid() < p.m && load_whole(p.index, p.index_type, chunk + tid()) == k;
			sync();
			if (tid() < 8) mask[tid()] = 0;
			sync();
			if (hit) add_up(&mask[tid() / 32], 1u << tid() % 32);
			sync();
			for (u32 w = 0; w < threads() / 32 && first; w++)
				for (u32 bits = mask[w]; bits; bits &= bits - 1) {
					u64 at = chunk + 32 * w + (u32)__builtin_ctz(bits);
					if (at < j) {
						first = false;
						break;
					}
					if (found == MostAlike) {
						sync();
						add_alike(p, k, list, found, more);
						sync();
						found = 0, more = true;
					}
					if (tid() == 0) list[found] = (u32)at;
					found++;
				}
		}
		sync();
		if (first) add_alike(p, k, list, found, more);
		sync();
	}
}

struct OneHot {
	float *y;
	const void *index;
	u64 n, classes;
	u32 index_type;
};

KERNEL(one_hot, OneHot) {
	for (u64 i = place(); i < p.n * p.classes; i += (u64)blocks_x() * threads())
		p.y[i] = load_whole(p.index, p.index_type, i / p.classes) == (i64)(i % p.classes) ? 1.0f : 0.0f;
}

struct CacheAppend {
	void *cache;
	const void *old, *x, *past;
	u64 batch, context, seq, inner;
	u32 type, x_type, past_type;
};

// cache_append replaces rows past to past+seq-1 of each sequence by x; rows beyond
// the cache are dropped. past may be left out, and old be the cache itself.
KERNEL(cache_append, CacheAppend) {
	u64 rows = p.cache == p.old ? p.seq : p.context;
	for (u64 i = place(); i < p.batch * rows * p.inner; i += (u64)blocks_x() * threads()) {
		u64 e = i % p.inner, r = i / p.inner % rows, b = i / p.inner / rows;
		i64 past = p.past ? load_whole(p.past, p.past_type, b) : 0;
		i64 row = p.cache == p.old ? past + (i64)r : (i64)r, s = row - past;
		if (row < 0 || row >= (i64)p.context) continue;
		u64 to = (b * p.context + row) * p.inner + e;
		if (s >= 0 && s < (i64)p.seq)
			store_float(p.cache, p.type, to, load_float(p.x, p.x_type, (b * p.seq + s) * p.inner + e));
		else if (p.type == F32)
			((u32 *)p.cache)[to] = ((const u32 *)p.old)[to];
		else
			((u16 *)p.cache)[to] = ((const u16 *)p.old)[to];
	}
}
