// Rotary positions. Source: arXiv:2104.09864.
#include "number.h"

static constexpr u32 MaxFrequencies = 256;

struct RopeTable {
	float *cos, *sin;
	const void *position;
	u64 n; // positions
	double scale;
	u32 type, count;
	double frequency[MaxFrequencies];
};

// rope_table is scale times cosine and sine of position * frequency, of angles in
// double; NaN of those from 2^50 on, where neighbouring doubles are a quarter
// apart.
KERNEL(rope_table, RopeTable) {
	for (u64 i = place(); i < p.n * p.count; i += (u64)blocks_x() * threads()) {
		double angle = (double)load_whole(p.position, p.type, i / p.count) * p.frequency[i % p.count];
		double scale = __builtin_fabs(angle) < 0x1p50 ? p.scale : f64_bits(0x7ff8000000000000);
		Turn t = turn_near(angle);
		p.cos[i] = (float)(part(t, 1) * scale);
		p.sin[i] = (float)(part(t, 0) * scale);
	}
}

struct Rotate {
	void *y;
	const void *x, *cos, *sin;
	u64 n; // elements of x
	u32 heads, d, dim;
	u32 interleaved;
	u32 type, table_type;
};

// rotate: a thread does a pair, or an element from dim on.
KERNEL(rotate, Rotate) {
	u32 half = p.dim / 2, items = half + p.d - p.dim;
	for (u64 i = place(); i < p.n / p.d * items; i += (u64)blocks_x() * threads()) {
		u64 head = i / items, j = i % items, start = head * p.d;
		if (j >= half) {
			u64 e = start + j + half;
			store_float(p.y, p.type, e, load_float(p.x, p.type, e));
			continue;
		}
		u64 first = start + (p.interleaved ? 2 * j : j), second = p.interleaved ? first + 1 : first + half;
		u64 angle = head / p.heads * half + j;
		float a = load_float(p.x, p.type, first), b = load_float(p.x, p.type, second);
		float c = load_float(p.cos, p.table_type, angle), s = load_float(p.sin, p.table_type, angle);
		store_float(p.y, p.type, first, a * c - b * s);
		store_float(p.y, p.type, second, b * c + a * s);
	}
}
