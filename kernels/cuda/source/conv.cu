// Convolutions, as products of matrices that are never laid out: a row of the
// result is a channel, a column a position of a sample, and the sum goes over the
// channels of x and the taps of the kernel, in this order, by fma, whatever the
// sizes: so a sample is the same in any company.
//
// For channels C, O and T taps a tile of 64 x 64 does 2·64·64·C·T operations for
// 4·64·2·C·T bytes that it reads through the cache: 16 operations a byte.
#include "conv.h"

static constexpr u32 Tile = 64, Deep = 16, Threads = 256; // a thread does 4 x 4 elements

struct alignas(16) Four {
	float v[4];
};

DEV void multiply(const Four (*left)[Tile / 4 + 1], const Four (*right)[Tile / 4 + 1], float (*sum)[4]) {
	u32 row = tid() / 16, column = tid() % 16;
	for (u32 l = 0; l < Deep; l++) {
		Four a = left[l][row], b = right[l][column];
		UNROLL for (u32 i = 0; i < 4; i++)
			UNROLL for (u32 j = 0; j < 4; j++) sum[i][j] = fma(a.v[i], b.v[j], sum[i][j]);
	}
}

// conv: a block computes a tile of channels and positions; blocks along z are
// groups, and phases of an adjoint.
KERNEL(conv, Conv) {
	SHARED Four left[Deep][Tile / 4 + 1], right[Deep][Tile / 4 + 1];
	SHARED View v;
	u32 group = block_z() % p.groups, top = block_y() * Tile;
	if (tid() == 0) view(p, block_z() / p.groups, &v);
	sync();
	u32 area = product(v.count), taps = product(v.taps), mine = tid() % Tile;
	u64 columns = p.batch * area, start = (u64)block_x() * Tile, n = start + mine;
	if (start >= columns) return;
	u64 volume = (u64)p.size[0] * p.size[1] * p.size[2], sample = n / area, k = (u64)p.channels * taps;
	u64 plane = (sample * p.groups + group) * p.channels * volume;
	i32 base[3], tap[3] = {}, other[3];
	u32 channel = n < columns && taps ? 0 : p.channels;
	digits((u32)(n % area), v.count, base);
	UNROLL for (u32 a = 0; a < 3; a++) base[a] = base[a] * v.walk[a] + v.from[a];
	if (taps) along(tap, &channel, v.taps, (i32)(tid() / Tile));
	float sum[4][4] = {};
	for (u64 first = 0; first < k; first += Deep) {
		UNROLL for (u32 j = 0; j < 4; j++) {
			((float *)right[tid() / Tile + 4 * j])[mine] = channel < p.channels ? seen(p, v, plane + channel * volume, base, tap) : 0.0f;
			along(tap, &channel, v.taps, 4);
		}
		u64 at = first + tid() % Deep, from = p.w_group * group + at;
		if (p.back && at < k) {
			digits((u32)(at % taps), v.taps, other);
			from = p.w_group * group + weight_at(p, v, (u32)(at / taps), other);
		}
		UNROLL for (u32 j = 0; j < 4; j++) {
			u32 row = tid() / Deep + 16 * j;
			((float *)left[tid() % Deep])[row] = at < k && top + row < p.rows ? load_float(p.w, p.w_type, from + (top + row) * p.w_row) : 0.0f;
		}
		sync();
		multiply(left, right, sum);
		sync();
	}
	UNROLL for (u32 j = 0; j < 4; j++) {
		n = start + tid() % 16 * 4 + j;
		if (n >= columns) continue;
		digits((u32)(n % area), v.count, other);
		UNROLL for (u32 i = 0; i < 4; i++) {
			u32 row = top + tid() / 16 * 4 + i;
			if (row < p.rows) put(p, v, group, row, n / area, other, sum[i][j]);
		}
	}
}

// conv_few is conv where a group has few rows, as depthwise: a thread does an
// element, so memory bounds it. Sums are the same.
KERNEL(conv_few, Conv) {
	SHARED View v;
	u32 group = block_z() % p.groups, row = block_y();
	if (tid() == 0) view(p, block_z() / p.groups, &v);
	sync();
	u32 area = product(v.count), taps = product(v.taps);
	u64 volume = (u64)p.size[0] * p.size[1] * p.size[2];
	for (u64 n = place(); n < p.batch * area; n += (u64)blocks_x() * threads()) {
		u64 sample = n / area, plane = (sample * p.groups + group) * p.channels * volume;
		i32 position[3], base[3], tap[3] = {};
		digits((u32)(n % area), v.count, position);
		UNROLL for (u32 a = 0; a < 3; a++) base[a] = position[a] * v.walk[a] + v.from[a];
		float sum = 0.0f;
		u32 channel = taps ? 0 : p.channels;
		while (channel < p.channels) {
			float w = load_float(p.w, p.w_type, p.w_group * group + row * p.w_row + weight_at(p, v, channel, tap));
			sum = fma(w, seen(p, v, plane + channel * volume, base, tap), sum);
			along(tap, &channel, v.taps, 1);
		}
		put(p, v, group, row, sample, position, sum);
	}
}

// weight_grad: a block computes a tile of channels of dy, and of channels of x and taps.
KERNEL(conv_weight_grad, Grad) {
	SHARED Four left[Deep][Tile / 4 + 1], right[Deep][Tile / 4 + 1];
	SHARED View v;
	const Conv &c = p.conv;
	if (tid() == 0) view(c, 0, &v);
	sync();
	u32 group = block_z() % c.groups, part = block_z() / c.groups, top = block_y() * Tile, start = block_x() * Tile;
	u32 area = product(v.count), taps = product(v.taps), columns = c.channels * taps;
	u64 volume = (u64)c.size[0] * c.size[1] * c.size[2], all = c.batch * area, first = part * p.length, end = first + p.length < all ? first + p.length : all;
	u32 line = tid() / Deep; // of what this thread loads: every 16th
	i32 tap[4][3], base[3];
	u32 channel[4];
	UNROLL for (u32 j = 0; j < 4; j++) {
		u32 n = start + line + 16 * j;
		channel[j] = n / taps;
		digits(n % taps, v.taps, tap[j]);
	}
	float sum[4][4] = {};
	for (; first < end; first += Deep) {
		u64 k = first + tid() % Deep, sample = k / area, at = k % area;
		bool there = k < end;
		digits((u32)at, v.count, base);
		UNROLL for (u32 a = 0; a < 3; a++) base[a] = base[a] * v.walk[a] + v.from[a];
		u64 plane = (sample * c.groups + group) * c.channels;
		UNROLL for (u32 j = 0; j < 4; j++) {
			u32 row = top + line + 16 * j;
			u64 from = ((sample * c.groups + group) * c.rows + row) * area + at;
			((float *)left[tid() % Deep])[line + 16 * j] = there && row < c.rows ? load_float(p.dy, p.dy_type, from) : 0.0f;
			((float *)right[tid() % Deep])[line + 16 * j] = there && channel[j] < c.channels ? seen(c, v, (plane + channel[j]) * volume, base, tap[j]) : 0.0f;
		}
		sync();
		multiply(left, right, sum);
		sync();
	}
	UNROLL for (u32 i = 0; i < 4; i++) {
		UNROLL for (u32 j = 0; j < 4; j++) {
			u32 row = top + tid() / 16 * 4 + i, n = start + tid() % 16 * 4 + j;
			if (row >= c.rows || n >= columns) continue;
			u64 to = ((u64)group * c.rows + row) * columns + n;
			if (p.parts > 1)
				p.partial[(u64)part * c.groups * c.rows * columns + to] = sum[i][j];
			else
				store_float(c.y, c.y_type, to, sum[i][j]);
		}
	}
}

// weight_grad_few is for few rows of a group: a block does an element.
KERNEL(conv_weight_grad_few, Grad) {
	SHARED View v;
	SHARED double room[Threads];
	const Conv &c = p.conv;
	if (tid() == 0) view(c, 0, &v);
	sync();
	u32 area = product(v.count), taps = product(v.taps), columns = c.channels * taps, group = block_z(), row = block_y();
	u64 volume = (u64)c.size[0] * c.size[1] * c.size[2];
	i32 tap[3], base[3];
	digits(block_x() % taps, v.taps, tap);
	double sum = 0.0;
	for (u64 k = tid(); k < c.batch * area; k += threads()) {
		u64 sample = k / area, plane = (sample * c.groups + group) * c.channels + block_x() / taps;
		digits((u32)(k % area), v.count, base);
		UNROLL for (u32 a = 0; a < 3; a++) base[a] = base[a] * v.walk[a] + v.from[a];
		float dy = load_float(p.dy, p.dy_type, ((sample * c.groups + group) * c.rows + row) * area + k % area);
		sum = fma((double)dy, (double)seen(c, v, plane * volume, base, tap), sum);
	}
	room[tid()] = sum;
	sync();
	for (u32 half = threads() / 2; half > 0; half /= 2) {
		if (tid() < half) room[tid()] = room[tid()] + room[tid() + half];
		sync();
	}
	if (tid() == 0) store_float(c.y, c.y_type, ((u64)group * c.rows + row) * columns + block_x(), (float)room[0]);
}

struct SumParts {
	void *y;
	const float *partial; // [parts, n]
	u64 n;
	u32 parts, type;
};

// sum_parts adds parts in order.
KERNEL(sum_parts, SumParts) {
	for (u64 i = place(); i < p.n; i += (u64)blocks_x() * threads()) {
		double sum = 0.0;
		for (u32 k = 0; k < p.parts; k++) sum += (double)p.partial[k * p.n + i];
		store_float(p.y, p.type, i, (float)sum);
	}
}
