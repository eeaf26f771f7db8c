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
	float *x;
	const float *y;
	const void *index;
	u32 *bad;
	u64 outer, n, m, inner;
	u32 index_type;
	u32 along;
};

// scatter adds y [outer, m, inner] into x [outer, n, inner]: a thread does a
// column, in the order of indices.
KERNEL(scatter, Scatter) {
	for (u64 i = place(); i < p.outer * p.inner; i += (u64)blocks_x() * threads()) {
		u64 e = i % p.inner, o = i / p.inner;
		for (u64 k = 0; k < p.n; k++) p.x[(o * p.n + k) * p.inner + e] = 0.0f;
		for (u64 j = 0; j < p.m; j++) {
			u64 from = (o * p.m + j) * p.inner + e, which = p.along ? from : j;
			i64 k = load_whole(p.index, p.index_type, which);
			if (k < 0 || k >= (i64)p.n) {
				least(p.bad, (u32)which);
				continue;
			}
			p.x[(o * p.n + k) * p.inner + e] += p.y[from];
		}
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
