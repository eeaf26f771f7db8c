// Reductions: a block computes a result. The order of a sum is that of the
// threads, which its length fixes alone.
#include "number.h"
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

// reduce is the sum, maximum or minimum over the axes of gone; sums are double.
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
