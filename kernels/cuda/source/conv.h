// The geometry of convolutions, for all kernels of them.
#pragma once
#include "activation.h"

// Conv is the geometry of a convolution, or, back, of its adjoint. Axes are three;
// those of fewer come last.
struct Conv {
	void *y;
	const void *x, *w, *bias;
	u64 batch;
	u64 w_group, w_row, w_channel; // how far apart neighbours in w are
	u32 x_type, w_type, y_type, bias_type;
	u32 activation;
	u32 groups, rows, channels; // rows of the result and channels of x of a group
	u32 back;
	u32 size[3], out[3], kernel[3]; // of x, of the result
	i32 stride[3], dilation[3], before[3];
	const void *plus; // what the result is added to, as it lies and of its type; may be left out, and be y
};

// View says what some positions of the result see: position i of count lies at
// start + i step and sees, by tap t of taps, element i walk + from + t move of x;
// the tap is element first + t each of the kernel.
struct View {
	i32 count[3], taps[3], start[3], step[3], walk[3], from[3], move[3], first[3], each[3];
};

// view settles what the positions of a phase see. Those of an adjoint whose places
// have the same rest by the stride see the same taps.
DEV void view(const Conv &p, u32 phase, View *v) {
	for (i32 a = 2; a >= 0; a--) {
		i32 stride = p.stride[a], dilation = p.dilation[a], before = p.before[a], kernel = (i32)p.kernel[a];
		v->count[a] = (i32)p.out[a], v->taps[a] = kernel, v->start[a] = 0, v->step[a] = 1;
		v->walk[a] = stride, v->from[a] = -before, v->move[a] = dilation, v->first[a] = 0, v->each[a] = 1;
		if (!p.back) continue;
		i32 rest = (i32)(phase % (u32)stride), each = 1, first = 0, start = ((rest - before) % stride + stride) % stride;
		phase /= (u32)stride;
		while (each * dilation % stride) each++;
		while (first < each && first * dilation % stride != rest) first++;
		v->taps[a] = first < each && first < kernel ? (kernel - first - 1) / each + 1 : 0;
		v->count[a] = (i32)p.out[a] > start ? ((i32)p.out[a] - start - 1) / stride + 1 : 0;
		v->start[a] = start, v->step[a] = stride, v->walk[a] = 1, v->from[a] = v->taps[a] ? (start + before - first * dilation) / stride : 0;
		v->move[a] = -(each * dilation / stride), v->first[a] = first, v->each[a] = each;
	}
}

DEV void digits(u32 i, const i32 *size, i32 *to) {
	u32 a = i / (u32)size[2], b = a / (u32)size[1];
	to[2] = (i32)(i - a * (u32)size[2]), to[1] = (i32)(a - b * (u32)size[1]), to[0] = (i32)b;
}

DEV u32 product(const i32 *size) { return (u32)size[0] * (u32)size[1] * (u32)size[2]; }

// along goes n taps on, and to the next channel behind the last.
DEV void along(i32 *tap, u32 *channel, const i32 *taps, i32 n) {
	for (tap[2] += n; tap[2] >= taps[2];) {
		tap[2] -= taps[2];
		if (++tap[1] == taps[1]) {
			tap[1] = 0;
			if (++tap[0] == taps[0]) tap[0] = 0, ++*channel;
		}
	}
}

// seen is element base + tap move of a plane of x, or 0 beside it.
DEV float seen(const Conv &p, const View &v, u64 plane, const i32 *base, const i32 *tap) {
	i64 at = 0;
	bool inside = true;
	UNROLL for (u32 a = 0; a < 3; a++) {
		i32 e = base[a] + tap[a] * v.move[a];
		inside = inside && e >= 0 && e < (i32)p.size[a];
		at = at * p.size[a] + e;
	}
	return inside ? load_float(p.x, p.x_type, (i64)plane + at) : 0.0f;
}

DEV u64 weight_at(const Conv &p, const View &v, u32 channel, const i32 *tap) {
	u64 at = 0;
	UNROLL for (u32 a = 0; a < 3; a++) at = at * p.kernel[a] + (u32)(v.first[a] + tap[a] * v.each[a]);
	return channel * p.w_channel + at;
}

// put stores a sum with its bias and activation.
DEV void put(const Conv &p, const View &v, u32 group, u32 row, u64 sample, const i32 *position, float sum) {
	u64 channel = (u64)group * p.rows + row, at = sample * p.groups * p.rows + channel;
	UNROLL for (u32 a = 0; a < 3; a++) at = at * p.out[a] + (u32)(v.start[a] + position[a] * v.step[a]);
	if (p.bias) sum = sum + load_float(p.bias, p.bias_type, channel);
	if (p.activation) sum = activate(p.activation, sum);
	if (p.plus) sum = joined(p.plus, p.y_type, (i64)at, sum);
	store_float(p.y, p.y_type, at, sum);
}

// Grad is the gradient of the kernel: y are dy's elements, x as they were seen. The
// sum goes over positions, split into parts of some length, which sizes alone fix.
struct Grad {
	Conv conv;
	const void *dy;
	float *partial; // [parts, groups·rows, channels·taps], where there is more than one
	u64 length;
	u32 parts, dy_type;
};
