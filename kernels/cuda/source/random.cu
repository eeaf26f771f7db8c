// Random numbers that are functions of a seed and a place, as internal/philox has them.
#include "number.h"

struct Words {
	u32 v[4];
};

// words is block number block of a stream: Philox4x32-10.
DEV Words words(u64 seed, u32 stream, u64 block) {
	u32 c0 = (u32)block, c1 = (u32)(block >> 32), c2 = stream, c3 = 2, k0 = (u32)seed, k1 = (u32)(seed >> 32);
	for (int i = 0; i < 10; i++) {
		u64 a = (u64)0xD2511F53 * c0, b = (u64)0xCD9E8D57 * c2;
		u32 n0 = (u32)(b >> 32) ^ c1 ^ k0, n2 = (u32)(a >> 32) ^ c3 ^ k1;
		c0 = n0, c1 = (u32)b, c2 = n2, c3 = (u32)a;
		k0 += 0x9E3779B9, k1 += 0xBB67AE85;
	}
	return {{c0, c1, c2, c3}};
}

struct Dropout {
	void *y;
	const void *x, *counter;
	u64 n, seed;
	u32 type, counter_type;
	u32 least;   // random word of an element that stays
	float scale; // of what stays
};

// dropout leaves elements out by random words that their place decides: a thread
// does four, which are of one block of words.
KERNEL(dropout, Dropout) {
	u32 stream = (u32)load_whole(p.counter, p.counter_type, 0);
	for (u64 b = place(); b * 4 < p.n; b += (u64)blocks_x() * threads()) {
		Words w = words(p.seed, stream, b);
		UNROLL for (u32 k = 0; k < 4; k++) {
			u64 i = b * 4 + k;
			if (i < p.n) store_float(p.y, p.type, i, (w.v[k] < p.least ? 0.0f : load_float(p.x, p.type, i)) * p.scale);
		}
	}
}
