// Windows over axes: each thread computes elements of the result, and neighbours
// read neighbours. All of these are bound by memory.
#include "number.h"

struct WindowMax {
	void *y;
	i32 *where; // may be left out
	const void *x;
	u64 outer, n, size, inner; // x is [outer, n, inner], y [outer, size, inner]
	u64 kernel, stride, dilation, before;
	u32 type, adaptive;
};

// window_max is the greatest of each window along an axis, the first among equals.
KERNEL(window_max, WindowMax) {
	for (u64 i = place(); i < p.outer * p.size * p.inner; i += (u64)blocks_x() * threads()) {
		i64 e = i % p.inner, o = i / p.inner % p.size, row = i / p.inner / p.size, n = p.n, step = p.dilation;
		i64 lo = o * (i64)p.stride - (i64)p.before, hi = lo + (i64)(p.kernel - 1) * step + 1;
		if (p.adaptive) lo = o * n / (i64)p.size, hi = ((o + 1) * n + (i64)p.size - 1) / (i64)p.size, step = 1;
		if (hi > n) hi = n;
		if (lo < 0) lo += (-lo + step - 1) / step * step;
		i64 from = row * n * (i64)p.inner + e, at = lo;
		float best = load_float(p.x, p.type, from + lo * (i64)p.inner);
		for (lo += step; lo < hi; lo += step) {
			float v = load_float(p.x, p.type, from + lo * (i64)p.inner);
			if (v > best || v != v) best = v, at = lo;
		}
		store_float(p.y, p.type, i, best);
		if (p.where) p.where[i] = (i32)at;
	}
}

struct Resample {
	void *y;
	const void *x;
	const u32 *first, *index; // the taps of each element of the result
	const float *weight;
	u64 outer, n, size, inner;
	u32 type;
};

// resample is a linear map along an axis, given by taps.
KERNEL(resample, Resample) {
	for (u64 i = place(); i < p.outer * p.size * p.inner; i += (u64)blocks_x() * threads()) {
		u64 e = i % p.inner, o = i / p.inner % p.size, from = i / p.inner / p.size * p.n * p.inner + e;
		float sum = 0.0f;
		for (u32 k = p.first[o]; k < p.first[o + 1]; k++)
			sum = fma(p.weight[k], load_float(p.x, p.type, from + p.index[k] * p.inner), sum);
		store_float(p.y, p.type, i, sum);
	}
}

// Windows are windows over three axes; those of fewer come last.
struct Windows {
	void *y;
	const void *x;
	u64 planes, taps, windows;
	u32 type;
	u32 size[3], count[3], kernel[3]; // of a plane, of windows, of a window
	i32 stride[3], dilation[3], before[3];
};

DEV void digits(u64 i, const u32 *size, i64 *to) {
	u64 a = i / size[2], b = a / size[1];
	to[2] = (i64)(i - a * size[2]), to[1] = (i64)(a - b * size[1]), to[0] = (i64)b;
}

// unfold lays the elements of windows side by side: y is [planes, taps, windows].
KERNEL(unfold, Windows) {
	for (u64 i = place(); i < p.planes * p.taps * p.windows; i += (u64)blocks_x() * threads()) {
		i64 w[3], k[3], at = i / p.windows / p.taps;
		digits(i % p.windows, p.count, w);
		digits(i / p.windows % p.taps, p.kernel, k);
		bool inside = true;
		UNROLL for (u32 a = 0; a < 3; a++) {
			i64 e = w[a] * p.stride[a] + k[a] * p.dilation[a] - p.before[a];
			inside = inside && e >= 0 && e < (i64)p.size[a];
			at = at * p.size[a] + e;
		}
		store_float(p.y, p.type, i, inside ? load_float(p.x, p.type, at) : 0.0f);
	}
}

// fold adds windows where they overlap, the last tap first, which is of the first
// window: x is [planes, taps, windows].
KERNEL(fold, Windows) {
	u64 area = (u64)p.size[0] * p.size[1] * p.size[2];
	for (u64 i = place(); i < p.planes * area; i += (u64)blocks_x() * threads()) {
		i64 e[3], k[3];
		digits(i % area, p.size, e);
		float sum = 0.0f;
		for (u64 t = p.taps; t-- > 0;) {
			digits(t, p.kernel, k);
			i64 window = 0;
			bool inside = true;
			UNROLL for (u32 a = 0; a < 3; a++) {
				i64 from = e[a] + p.before[a] - k[a] * p.dilation[a], w = from / p.stride[a];
				inside = inside && from >= 0 && w * p.stride[a] == from && w < (i64)p.count[a];
				window = window * p.count[a] + w;
			}
			if (inside) sum = sum + load_float(p.x, p.type, (i / area * p.taps + t) * p.windows + window);
		}
		store_float(p.y, p.type, i, sum);
	}
}
