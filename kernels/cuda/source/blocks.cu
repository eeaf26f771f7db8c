// Products with weights in blocks, and tables of them.
//
// As on CPU, activations are quantised to 8 bits in blocks of 32 first, so that
// the product of two blocks is a sum of whole numbers, which is exact and takes an
// instruction for four weights. With f32 activations, the instructions that make
// floats of codes would take longer than an H200 reads the codes: 2.4e13 weights
// of 4 bits a second from the caches of 132 processors, against 8.5e12 that come
// from its 4.8e12 bytes/s of memory at 4.5 bits a weight.
//
// Unit u of a row is of strand u mod 8. A strand is a chain in the order of
// units, by fma; the sum is ((0+4)+(2+6))+((1+5)+(3+7)). So a row of the result
// has the same bits in any company, by whichever kernel.
#include "activation.h"
#include "blocks.h"

struct Quantise {
	u8 *y;         // [blocks]: f32 d, i32 sums of the codes of either half, 4 bytes of nothing, 32 codes i8
	const void *x; // [32 blocks]
	u64 blocks;
	u32 type;
};

static constexpr u32 XBytes = 48, Strands = 8;

// quantise: a warp does a block, a thread an element. d is 1/127 of the greatest
// magnitude; NaN if that is not finite, and 0 if it is below the least normal number.
KERNEL(quantise, Quantise) {
	for (u64 b = place() / Warp; b < p.blocks; b += (u64)blocks_x() * threads() / Warp) {
		u32 lane = tid() % Warp;
		float v = load_float(p.x, p.type, (i64)(b * Warp + lane));
		u32 most = bits_f32(v) & 0x7fffffff;
		for (u32 m = 16; m; m /= 2) {
			u32 other = exchange(most, m);
			most = other > most ? other : most;
		}
		float d = f32_bits(most) / 127.0f;
		bool finite = most < 0x7f800000, some = bits_f32(d) >= 0x00800000;
		i32 q = 0;
		// Adding 3 << 22 leaves no bits for a fraction.
		if (finite && some) q = (i32)(bits_f32(v * (1.0f / d) + 12582912.0f) - 0x4b400000);
		i32 sum = q;
		for (u32 m = 8; m; m /= 2) sum += (i32)exchange((u32)sum, m);
		u8 *to = p.y + b * XBytes;
		to[16 + lane] = (u8)q;
		if (lane % 16 == 0) ((i32 *)to)[1 + lane / 16] = sum;
		if (lane == 0) *(u32 *)to = !finite ? 0x7fc00000 : some ? bits_f32(d) : 0;
	}
}

struct BlockProduct {
	Blocks w[2];
	const u8 *x; // rows of blocks as quantise makes them; of nf4, numbers
	void *y;
	const void *bias, *chosen;
	u32 *bad; // the least place in chosen that is out of range
	u64 m, n, units, share, experts;
	u32 count; // of weights: of two, the first is a gate
	u32 function;
	u32 x_type, y_type, bias_type, chosen_type;
};

// dot adds the product of a unit of weights with a block of x.
template <int bits> DEV float dot(float sum, i32 offset, const u32 *c, const Scales &s, const u8 *x) {
	u32x4 head = *(const u32x4 *)x, left = ((const u32x4 *)x)[1], right = ((const u32x4 *)x)[2];
	i32 first = 0, second = 0, all = (i32)head[1], rest = (i32)head[2];
#pragma unroll
	for (int j = 0; j < 4; j++) first = dot4(c[j], left[j], first), second = dot4(c[4 + j], right[j], second);
	float d = f32_bits(head[0]);
	if (!halves(bits)) first += second, all += rest;
	sum = fma((float)(first - offset * all), d * s.scale[0], sum);
	if (lifted(bits)) sum = fma(d * (float)all, s.least[0], sum);
	if (!halves(bits)) return sum;
	sum = fma((float)(second - offset * rest), d * s.scale[1], sum);
	if (lifted(bits)) sum = fma(d * (float)rest, s.least[1], sum);
	return sum;
}

// normal_dot is dot for nf4, in f32; from is the place of x.
DEV float normal_dot(float sum, const u32 *c, float scale, const float *table, const void *x, u32 type, u64 from) {
#pragma unroll
	for (int j = 0; j < 8; j++)
		for (int i = 0; i < 4; i++) sum = fma(load_float(x, type, (i64)(from + 4 * j + i)), table[c[j] >> 8 * i & 15] * scale, sum);
	return sum;
}

// strands adds the strands of a sum that lie in eight neighbouring threads.
DEV float strands(float v) {
	for (u32 m = Strands / 2; m; m /= 2) v = v + f32_bits(exchange(bits_f32(v), m));
	return v;
}

// some adds the products of count units, from u on and a strand apart, to the sums
// of rows rows. All of the weights are asked for first.
template <int bits, int rows, int count> DEV void some(const BlockProduct &p, const Blocks &w, u64 first, u64 u, u64 top, const float *table, float *sum) {
	u32 c[count][8];
	Scales s[count];
#pragma unroll
	for (int i = 0; i < count; i++) {
		codes<bits>(w, first + u + Strands * i, c[i]);
		s[i] = scales<bits>(w, first + u + Strands * i);
	}
#pragma unroll
	for (int i = 0; i < count; i++)
#pragma unroll
		for (int r = 0; r < rows; r++) {
			u64 row = (top + r < p.m ? top + r : p.m - 1) / p.share, at = row * p.units + u + Strands * i;
			if (bits == NormalBits)
				sum[r] = normal_dot(sum[r], c[i], s[i].scale[0], table, p.x, p.x_type, at * 32);
			else
				sum[r] = dot<bits>(sum[r], (i32)w.offset, c[i], s[i], p.x + at * XBytes);
		}
}

// product: eight threads compute an element of rows rows of y. It reads
// the weights once for that many rows: 0.56 bytes of 4 bits a weight and 16 dot4 a
// unit and row, so that memory is what bounds it: 4096 x 4096 of q4_0 take 2 µs at
// 4.8e12 bytes/s. Neighbouring threads load neighbouring 16 bytes.
template <int bits, int rows> DEV void product(const BlockProduct &p) {
	constexpr int ahead = rows == 1 ? 4 : 2; // units that a thread loads before it computes
	SHARED float table[16];
	if (bits == NormalBits) {
		if (tid() < 16) table[tid()] = normal[tid()];
		sync();
	}
	u32 strand = tid() % Strands;
	u64 column = (u64)block_x() * (threads() / Strands) + tid() / Strands, j = column < p.n ? column : p.n - 1;
	for (u64 top = (u64)block_y() * rows; top < p.m; top += 65535 * rows) {
		i64 expert = p.chosen ? load_whole(p.chosen, p.chosen_type, (i64)top) : 0;
		bool none = expert < 0 || expert >= (i64)p.experts;
		if (none && expert != -1) least(p.bad, (u32)top);
		u64 units = none ? 0 : p.units, first = ((none ? 0 : (u64)expert) * p.n + j) * p.units;
		float v = 0.0f, gate = 0.0f;
		for (u32 k = 0; k < p.count; k++) {
			float sum[rows] = {};
			u64 u = strand;
			for (; u + Strands * (ahead - 1) < units; u += Strands * ahead) some<bits, rows, ahead>(p, p.w[k], first, u, top, table, sum);
			for (; u < units; u += Strands) some<bits, rows, 1>(p, p.w[k], first, u, top, table, sum);
			gate = v;
#pragma unroll
			for (int r = 0; r < rows; r++) {
				float all = strands(sum[r]);
				if (strand == r) v = all;
			}
		}
		u64 row = top + strand; // a thread ends one element
		if (strand >= rows || row >= p.m || column >= p.n) continue;
		if (p.bias) v = v + load_float(p.bias, p.bias_type, (i64)j);
		float f = activate(p.function, p.count == 2 ? gate : v);
		if (p.count == 2) f = f * v;
		store_float(p.y, p.y_type, (i64)(row * p.n + j), none ? 0.0f : f);
	}
}

#define PRODUCT(bits) \
	KERNEL(block_product_##bits##_1, BlockProduct) { product<bits, 1>(p); } \
	KERNEL(block_product_##bits##_4, BlockProduct) { product<bits, 4>(p); }

PRODUCT(2)
PRODUCT(3)
PRODUCT(4)
PRODUCT(5)
PRODUCT(6)
PRODUCT(8)
PRODUCT(40)
PRODUCT(44)

struct BlockRows {
	Blocks w;
	float *y;
	const void *index;
	u32 *bad;
	u64 m, n, units;
	u32 index_type;
};

// row_of writes words t and t+4 of a unit.
template <int bits> DEV void row_of(const Blocks &w, u64 u, u32 t, float *y) {
	u32 c[2];
	words<bits>(w, u, t, &c[0], &c[1]);
	Scales s = scales<bits>(w, u);
#pragma unroll
	for (int half = 0; half < 2; half++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			u32 q = c[half] >> 8 * e & 255;
			float v = s.scale[half] * (bits == NormalBits ? normal[q] : (float)((i32)q - (i32)w.offset));
			if (lifted(bits)) v = v + s.least[half];
			y[16 * half + 4 * t + e] = v;
		}
}

// block_rows: y [m, units] are rows of a table of n; a thread does 8 weights. These
// are as package quant has them, bit for bit.
KERNEL(block_rows, BlockRows) {
	for (u64 i = place(); i < p.m * p.units * 4; i += (u64)blocks_x() * threads()) {
		u32 t = i % 4;
		u64 row = i / 4 / p.units, u = i / 4 % p.units;
		i64 id = load_whole(p.index, p.index_type, (i64)row);
		if (id < 0 || id >= (i64)p.n) {
			least(p.bad, (u32)row);
			continue;
		}
		u64 from = (u64)id * p.units + u;
		float *y = p.y + (row * p.units + u) * 32;
		switch (p.w.bits) {
		case 2: row_of<2>(p.w, from, t, y); break;
		case 3: row_of<3>(p.w, from, t, y); break;
		case 4: row_of<4>(p.w, from, t, y); break;
		case 5: row_of<5>(p.w, from, t, y); break;
		case 6: row_of<6>(p.w, from, t, y); break;
		case 8: row_of<8>(p.w, from, t, y); break;
		case LevelBits: row_of<LevelBits>(p.w, from, t, y); break;
		case NormalBits: row_of<NormalBits>(p.w, from, t, y); break;
		}
	}
}
