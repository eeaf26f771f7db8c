// Reductions: a block computes a result. The order of a sum is that of the
// threads, which its length fixes alone.
#include "row.h"
#include "walk.h"

static constexpr u32 MaxThreads = 256;

// tree joins a value of each thread; all get the result. Threads are a power of two.
template <class T, class F> DEV T tree(T v, T *room, F join) {
	sync();
	room[tid()] = v;
	sync();
	for (u32 half = threads() / 2; half > 0; half /= 2) {
		if (tid() < half) room[tid()] = join(room[tid()], room[tid() + half]);
		sync();
	}
	return room[0];
}

DEV double plus(double a, double b) { return a + b; }
DEV double most(double a, double b) { return a > b || a != a ? a : b; }
DEV double fewest(double a, double b) { return a < b || a != a ? a : b; }

enum Reduction : u32 { ReduceSum, ReduceMax, ReduceMin };

struct Reduce {
	void *y;
	const void *x;
	u32 type;
	u32 what;
	Walk<1> kept, gone;
};

// reduce is the sum, maximum or minimum over the axes of gone, however they lie;
// sums are double.
KERNEL(reduce, Reduce) {
	SHARED double room[MaxThreads];
	for (u64 o = block_x(); o < p.kept.n; o += blocks_x()) {
		i64 start, there;
		at(p.kept, o, &start);
		double v = p.what == ReduceSum ? 0.0 : p.what == ReduceMax ? -__builtin_inf() : __builtin_inf();
		for (u64 i = tid(); i < p.gone.n; i += threads()) {
			at(p.gone, i, &there);
			double x = (double)load_float(p.x, p.type, start + there);
			v = p.what == ReduceSum ? v + x : p.what == ReduceMax ? most(x, v) : fewest(x, v);
		}
		v = p.what == ReduceSum ? tree(v, room, plus) : p.what == ReduceMax ? tree(v, room, most) : tree(v, room, fewest);
		if (tid() == 0) store_float(p.y, p.type, o, (float)v);
	}
}

struct Part {
	void *y; // [parts, kept] of double, or what is done
	const void *x;
	u64 outer, n, inner; // x is [outer, n, inner], outer ending with what is kept of it
	u64 kept, each;      // each: how many of n are a part
	u32 type, what;
	u32 done; // whether there is one part: y is the result, in the type of x
	u32 quads;
};

DEV double merge(u32 what, double a, double b) { return what == ReduceSum ? a + b : what == ReduceMax ? most(b, a) : fewest(b, a); }
DEV double start_of(u32 what) { return what == ReduceSum ? 0.0 : what == ReduceMax ? -__builtin_inf() : __builtin_inf(); }

ALWAYS void put(const Part &p, u64 at, double v) {
	if (p.done)
		store_float(p.y, p.type, at, (float)v);
	else
		((double *)p.y)[at] = v;
}

// reduce_rows takes parts of rows that lie together, inner is 1: a block for each.
// It reads each element once, so that bytes rule.
KERNEL(reduce_rows, Part) {
	SHARED double room[MaxThreads];
	u64 splits = (p.n + p.each - 1) / p.each;
	for (u64 at = block_x(); at < p.outer * splits; at += blocks_x()) {
		u64 row = at / splits, s = at - row * splits, end = (s + 1) * p.each < p.n ? (s + 1) * p.each : p.n;
		double v = start_of(p.what);
		if (p.quads) {
			for (u64 i = s * p.each + 4 * tid(); i < end; i += 4 * threads()) {
				float x[4];
				load4(x, p.x, p.type, row * p.n + i);
#pragma unroll
				for (u32 k = 0; k < 4; k++) v = merge(p.what, v, (double)x[k]);
			}
		} else {
			for (u64 i = s * p.each + tid(); i < end; i += threads()) v = merge(p.what, v, (double)load_float(p.x, p.type, row * p.n + i));
		}
		v = p.what == ReduceSum ? tree(v, room, plus) : p.what == ReduceMax ? tree(v, room, most) : tree(v, room, fewest);
		if (tid() == 0) put(p, (row / p.kept * splits + s) * p.kept + row % p.kept, v);
	}
}

static constexpr u32 Columns = 32, Groups = 8;

// reduce_columns takes parts of columns, 32 of them a block, whose warps take every
// eighth element. It reads each element once, a warp those that lie together.
KERNEL(reduce_columns, Part) {
	SHARED double room[Groups][Columns];
	u64 splits = (p.n + p.each - 1) / p.each, tiles = (p.inner + Columns - 1) / Columns;
	u32 group = tid() / Columns, lane = tid() % Columns;
	for (u64 at = block_x(); at < p.outer * splits * tiles; at += blocks_x()) {
		u64 tile = at % tiles, s = at / tiles % splits, o = at / tiles / splits;
		u64 c = tile * Columns + lane, end = (s + 1) * p.each < p.n ? (s + 1) * p.each : p.n;
		double v = start_of(p.what);
		if (c < p.inner)
			for (u64 i = s * p.each + group; i < end; i += Groups) v = merge(p.what, v, (double)load_float(p.x, p.type, (o * p.n + i) * p.inner + c));
		sync();
		room[group][lane] = v;
		sync();
		if (group > 0 || c >= p.inner) continue;
		for (u32 g = 1; g < Groups; g++) v = merge(p.what, v, room[g][lane]);
		put(p, (s * p.outer + o) * p.inner + c, v);
	}
}

struct Parts {
	void *y; // [kept]
	const double *x; // [parts, kept]
	u64 parts, kept;
	u32 type, what;
	u32 columns; // of a block, a power of two
};

// reduce_parts joins parts in their order: as many threads a column as a block has,
// and then one.
KERNEL(reduce_parts, Parts) {
	SHARED double room[MaxThreads];
	u32 groups = threads() / p.columns, group = tid() / p.columns, lane = tid() % p.columns;
	u64 c = (u64)block_x() * p.columns + lane;
	double v = start_of(p.what);
	if (c < p.kept)
		for (u64 i = group; i < p.parts; i += groups) v = merge(p.what, v, p.x[i * p.kept + c]);
	room[tid()] = v;
	sync();
	for (u32 half = groups / 2; half > 0; half /= 2) {
		if (group < half) room[tid()] = merge(p.what, room[tid()], room[tid() + half * p.columns]);
		sync();
	}
	if (group == 0 && c < p.kept) store_float(p.y, p.type, c, (float)room[tid()]);
}

struct Along {
	void *y;
	const void *x;
	u64 outer, n, inner; // x is [outer, n, inner]
	u32 type;
	u32 log; // of softmax, whether its logarithm
};

DEV u64 row_start(const Along &p, u64 r) { return r / p.inner * p.n * p.inner + r % p.inner; }

// softmax is exp(x) / sum(exp(x)) along an axis, or its logarithm.
KERNEL(softmax, Along) {
	SHARED double room[MaxThreads];
	for (u64 r = block_x(); r < p.outer * p.inner; r += blocks_x()) {
		u64 start = row_start(p, r);
		double top = -__builtin_inf(), sum = 0.0;
		for (u64 i = tid(); i < p.n; i += threads()) top = most((double)load_float(p.x, p.type, start + i * p.inner), top);
		float high = (float)tree(top, room, most);
		for (u64 i = tid(); i < p.n; i += threads()) sum += (double)exp_of(load_float(p.x, p.type, start + i * p.inner) - high);
		float all = (float)tree(sum, room, plus), shift = log_of(all), scale = 1.0f / all;
		for (u64 i = tid(); i < p.n; i += threads()) {
			float x = load_float(p.x, p.type, start + i * p.inner) - high;
			store_float(p.y, p.type, start + i * p.inner, p.log ? x - shift : exp_of(x) * scale);
		}
	}
}

struct Best {
	double v;
	u64 at;
};

DEV Best better(Best a, Best b) { return b.v > a.v || b.v == a.v && b.at < a.at ? b : a; }

// argmax is the lowest index of the greatest element along an axis.
KERNEL(argmax, Along) {
	SHARED Best room[MaxThreads];
	for (u64 r = block_x(); r < p.outer * p.inner; r += blocks_x()) {
		u64 start = row_start(p, r);
		Best best = {-__builtin_inf(), p.n};
		for (u64 i = tid(); i < p.n; i += threads()) {
			u64 where = start + i * p.inner;
			double v = p.type <= F16 ? (double)load_float(p.x, p.type, where) : (double)load_whole(p.x, p.type, where);
			best = better(best, {v, i});
		}
		best = tree(best, room, better);
		if (tid() == 0) ((i32 *)p.y)[r] = best.at < p.n ? (i32)best.at : 0; // a row of NaN
	}
}

// cumsum adds up along an axis, in double: a thread for each run.
KERNEL(cumsum, Along) {
	for (u64 r = place(); r < p.outer * p.inner; r += (u64)blocks_x() * threads()) {
		u64 where = row_start(p, r);
		double sum = 0.0;
		for (u64 i = 0; i < p.n; i++, where += p.inner) {
			sum += (double)load_float(p.x, p.type, where);
			store_float(p.y, p.type, where, (float)sum);
		}
	}
}
