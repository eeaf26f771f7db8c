// Caches of keys and values in q8_0: blocks of 32 elements, 34 bytes each, as files
// have them.
#include "number.h"

struct CacheBlocks {
	void *cache;
	const void *old, *x, *past;
	u64 batch, context, seq, inner; // inner is blocks of a row
	u32 x_type, past_type;
};

static constexpr u32 Halves = 17; // of 2 bytes: the scale, and 32 codes

// cache_append_q8 replaces rows past to past+seq-1 of each sequence by x, quantised: a
// scale d = max|x|/127 in f16, and x/d to the nearest whole number. A block with a value
// that is not finite, or too large for f16, becomes NaN. A warp takes a block; past may
// be left out, and old be the cache itself. Bytes: x once, and a quarter of them written.
KERNEL(cache_append_q8, CacheBlocks) {
	u64 rows = p.cache == p.old ? p.seq : p.context, warps = (u64)blocks_x() * threads() / Warp;
	u32 lane = tid() % Warp;
	for (u64 i = place() / Warp; i < p.batch * rows * p.inner; i += warps) {
		u64 e = i % p.inner, r = i / p.inner % rows, b = i / p.inner / rows;
		i64 past = p.past ? load_whole(p.past, p.past_type, (i64)b) : 0;
		i64 row = p.cache == p.old ? past + (i64)r : (i64)r, s = row - past;
		if (row < 0 || row >= (i64)p.context) continue;
		u64 at = ((b * p.context + (u64)row) * p.inner + e) * Halves;
		u16 *to = (u16 *)p.cache + at;
		if (s < 0 || s >= (i64)p.seq) {
			if (lane < Halves) to[lane] = ((const u16 *)p.old)[at + lane];
			continue;
		}
		float x = load_float(p.x, p.x_type, (i64)(((b * p.seq + (u64)s) * p.inner + e) * Warp + lane)), top = magnitude(x);
		for (u32 m = 1; m < Warp; m *= 2) {
			float other = f32_bits(exchange(bits_f32(top), m));
			if (top == top) top = greater(top, other); // NaN stays
		}
		float d = top / 127.0f, inverse = d > 0.0f ? 1.0f / d : 0.0f;
		u16 scale = f16_of(d);
		if (!(f16_value(scale) <= 0x1.fffffep+127f)) scale = 0x7e00, inverse = 0.0f;
		u32 code = inverse > 0.0f ? (u8)(i32)__builtin_roundf(x * inverse) : 0, next = exchange(code, 1);
		if (lane % 2 == 0) to[1 + lane / 2] = (u16)(code | next << 8);
		if (lane == 0) to[0] = scale;
	}
}
