// Convolutions with 16-bit weights, or with f32 rounded to tf32, on tensor cores, as products of matrices that are
// never laid out, see conv.cu: the sum goes over channels and taps in their order,
// in steps of 16 and one chain, so a sample is the same in any company.
//
// A tile of 128 channels and 64 positions does 2·128·64 operations for each channel
// and tap, for 128 weights that come by cp.async and 64 elements of x that come one
// by one, which taps find in the first cache: a quarter as many loads as conv, for
// each operation. Where an element of k lies a thread knows from a table, and whether its
// position sees that tap from a bit: 8 instructions for an element, of which a warp brings 8 for 16 mma.
#include "conv.h"
#include "product.h"

static constexpr u32 Channels = 128, Positions = 64, ConvThreads = 256, MostTaps = 64, Each = 8;

// Rows of x in f32, and of the result, are as far apart as keeps lanes in banks of
// their own; in tf32 a lane reads every fourth.
static constexpr u32 WidePitch = Positions + 4, PutPitch = Positions + 8, RoundPitch = Positions + 8;

// Spot is where an element of k lies that a position sees: so many bytes from where it sees the first, of
// which tap as a bit. There are those of all taps, and Deep of the channels behind, so that a step begins at
// some tap and takes the next Deep.
struct Spot {
	i64 move;
	u64 bit;
};
static constexpr u32 Spots = MostTaps + Deep;

template <u32 bytes> DEV void lay_spots(const Conv &p, const View &v, Spot *to, u32 count, u64 volume) {
	if (tid() >= count + Deep) return;
	i32 tap[3];
	i64 move = 0;
	digits(tid() % count, v.taps, tap);
	UNROLL for (u32 a = 0; a < 3; a++) move = move * p.size[a] + tap[a] * v.move[a];
	to[tid()] = Spot{(i64)(tid() / count * volume + move) * bytes, 1ull << tid() % count};
}

// lay_weights says where taps lie in w.
DEV void lay_weights(const Conv &p, const View &v, u32 *to, u32 count) {
	if (tid() >= count) return;
	i32 tap[3];
	digits(tid(), v.taps, tap);
	to[tid()] = (u32)weight_at(p, v, 0, tap);
}

// Gather is what a thread brings of x: of one position, every fourth of k.
struct Gather {
	const u8 *from; // where the position sees the first tap, of the channel that a step begins with
	u64 seen;       // a bit for each tap
	u64 next;       // bytes to the channel that the next step begins with
	u64 each;       // and of a channel
	u32 tap, taps;  // that a step begins with, and how many a step goes on beside whole channels
};

template <u32 bytes> DEV Gather gather(const Conv &p, const View &v, u64 n, u32 group, u32 area, u32 taps, u64 volume) {
	Gather g = {(const u8 *)p.x, 0, Deep / taps * volume * bytes, volume * bytes, 0, Deep % taps};
	if (n >= p.batch * area) return g;
	i32 base[3], tap[3];
	digits((u32)(n % area), v.count, base);
	i64 at = 0;
	UNROLL for (u32 a = 0; a < 3; a++) base[a] = base[a] * v.walk[a] + v.from[a], at = at * p.size[a] + base[a];
	for (u32 t = 0; t < taps; t++) {
		bool inside = true;
		digits(t, v.taps, tap);
		UNROLL for (u32 a = 0; a < 3; a++) inside = inside && (u32)(base[a] + tap[a] * v.move[a]) < p.size[a];
		g.seen |= (u64)inside << t;
	}
	g.from += ((i64)((n / area * p.groups + group) * p.channels * volume) + at) * bytes;
	return g;
}

// fetch reads the thread's elements of the next Deep of k, of which so many are left, and goes on.
template <u32 bytes> DEV void fetch(u32 *to, Gather *g, const Spot *spots, u32 count, u64 left) {
	const Spot *at = spots + g->tap + tid() / Positions;
	u32 mine = (left < Deep ? (u32)left : Deep) - tid() / Positions; // or less than none
#pragma unroll
	for (u32 i = 0; i < Each; i++) {
		Spot s = at[4 * i];
		to[i] = load_if<bytes>(g->from + s.move, (s.bit & g->seen) != 0 && (i32)(4 * i) < (i32)mine);
	}
	g->tap += g->taps, g->from += g->next;
	if (g->tap >= count) g->tap -= count, g->from += g->each;
}

template <bool wide, u32 Pitch> DEV void keep(u8 *to, const u32 *from) {
	u32 column = tid() % Positions;
#pragma unroll
	for (u32 i = 0; i < Each; i++) {
		u32 k = tid() / Positions + 4 * i;
		if (wide)
			((u32 *)to)[k * Pitch + column] = from[i];
		else
			*(u16 *)(to + 16 * lies<8>(k, column / 8) + column % 8 * 2) = (u16)from[i];
	}
}

// fetch_weights and keep_weights bring weights of an adjoint, whose neighbours along
// k lie apart: every eighth row for one of k.
template <class T> DEV void fetch_weights(u32 *to, const Conv &p, const u32 *taps, u32 count, u64 k, u64 length, u32 group, u32 top) {
	u64 at = k + tid() % Deep;
	const T *from = (const T *)p.w + p.w_group * group;
	if (at < length) from += at / count * p.w_channel + taps[at % count];
#pragma unroll
	for (u32 i = 0; i < 2 * Each; i++) {
		u32 row = top + tid() / Deep + 8 * i;
		to[i] = at < length && row < p.rows ? from[row * p.w_row] : 0;
	}
}

template <class T> DEV void keep_weights(u8 *to, const u32 *from) {
	u32 k = tid() % Deep;
#pragma unroll
	for (u32 i = 0; i < 2 * Each; i++) {
		u32 row = tid() / Deep + 8 * i;
		if (sizeof(T) == 4)
			*(u32 *)(to + 16 * lies_tf32<true, 8>(row, k / 4) + k % 4 * 4) = from[i];
		else
			*(u16 *)(to + 16 * lies<4>(row, k / 8) + k % 8 * 2) = (u16)from[i];
	}
}

// add_rounded is add_products of f32 in tf32.
__attribute__((always_inline)) DEV void add_rounded(float (*sum)[4][4], const u8 *left, const u8 *right, u32 row, u32 column) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll 2
	for (u32 k = 0; k < Deep; k += 8) {
		u32 a[2][4];
#pragma unroll
		for (u32 f = 0; f < 2; f++) left_tf32<true, Channels>(a[f], left, row + 16 * f, k);
#pragma unroll
		for (u32 j = 0; j < 4; j++) {
			const u32 *at = (const u32 *)right + (k + t) * RoundPitch + column + j * 8 + g;
			u32 b[2] = {tf32_of(f32_bits(at[0])), tf32_of(f32_bits(at[4 * RoundPitch]))};
#pragma unroll
			for (u32 f = 0; f < 2; f++) mma_tf32(sum[f][j], a[f], b);
		}
	}
}

// add_products adds what a stage has; a warp has 32 channels and 32 positions.
template <u32 type, bool wide> __attribute__((always_inline)) DEV void add_products(float (*sum)[4][4], const u8 *left, const u8 *right, u32 row, u32 column) {
	if constexpr (type == F32) {
		add_rounded(sum, left, right, row, column);
		return;
	}
	u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll wide ? 1 : 2
	for (u32 k = 0; k < Deep; k += 16) {
		u32 a[2][4];
#pragma unroll
		for (u32 f = 0; f < 2; f++) load_left<4, true>(a[f], left, row + 16 * f, k);
		if constexpr (wide) {
			u32x2 b[4][2];
#pragma unroll
			for (u32 j = 0; j < 8; j++) {
				const u32 *at = (const u32 *)right + (k + j % 2 * 8 + 2 * t) * WidePitch + column + j / 2 * 8 + g;
				b[j / 2][j % 2] = u32x2{at[0], at[WidePitch]};
			}
			add_wide<type, 2, 4>(sum, a, b);
		} else {
			u32 b[4][2];
#pragma unroll
			for (u32 j = 0; j < 4; j += 2) load_right<8, false>(b[j], right, column + 8 * j, k);
#pragma unroll
			for (u32 f = 0; f < 2; f++)
#pragma unroll
				for (u32 j = 0; j < 4; j++) mma_half<type>(sum[f][j], a[f], b[j]);
		}
	}
}

// put_sums stores a tile, each thread one position of every fourth channel.
DEV void put_sums(const Conv &p, const View &v, const float (*sum)[4][4], u32 group, u32 top, u64 start, u32 area, u32 row, u32 column) {
	float *tile = (float *)room();
	u32 g = tid() % Warp / 4, t = tid() % 4;
#pragma unroll
	for (u32 i = 0; i < 16; i++)
		*(u32x2 *)(tile + (row + i / 8 * 16 + i % 2 * 8 + g) * PutPitch + column + i / 2 % 4 * 8 + 2 * t) =
			u32x2{bits_f32(sum[i / 8][i / 2 % 4][i % 2 * 2]), bits_f32(sum[i / 8][i / 2 % 4][i % 2 * 2 + 1])};
	sync();
	u64 n = start + tid() % Positions;
	if (n >= p.batch * area) return;
	i32 position[3];
	digits((u32)(n % area), v.count, position);
#pragma nounroll
	for (u32 r = tid() / Positions; r < Channels; r += 4)
		if (top + r < p.rows) put(p, v, group, top + r, n / area, position, tile[r * PutPitch + tid() % Positions]);
}

template <u32 type, bool wide, bool back> __attribute__((always_inline)) DEV void convolve(const Conv &p) {
	constexpr bool tf32 = type == F32;
	constexpr u32 Bytes = wide ? 4 : 2, Pitch = tf32 ? RoundPitch : WidePitch, Left = Channels * Deep * (tf32 ? 4 : 2), Right = wide ? Deep * Pitch * 4 : Deep * Positions * 2;
	using Weight = decltype([] {
		if constexpr (tf32)
			return (u32)0;
		else
			return (u16)0;
	}());
	SHARED View v;
	SHARED __attribute__((aligned(16))) Spot spots[Spots];
	SHARED u32 taps[back ? MostTaps : 1];
	u32 group = block_z() % p.groups, top = block_y() * Channels;
	if (tid() == 0) view(p, block_z() / p.groups, &v);
	sync();
	u32 area = product(v.count), count = product(v.taps), warp = tid() / Warp, row = warp % 4 * 32, column = warp / 4 * 32;
	u64 start = (u64)block_x() * Positions, volume = (u64)p.size[0] * p.size[1] * p.size[2], k = (u64)p.channels * count, steps = (k + Deep - 1) / Deep;
	if (start >= p.batch * area) return;
	if (count) lay_spots<Bytes>(p, v, spots, count, volume);
	if (back) lay_weights(p, v, taps, count);
	sync();
	float sum[2][4][4] = {};
	if (steps) {
		Gather g = gather<Bytes>(p, v, start + tid() % Positions, group, area, count, volume);
		Side w = {(const u8 *)p.w + p.w_group * group * sizeof(Weight), nullptr, (i64)p.w_row, top, p.rows, k, Channels};
		w.whole = at_sixteen(w.from) && w.apart % (16 / sizeof(Weight)) == 0;
		Bringer<Channels, Deep, true, sizeof(Weight), ConvThreads, tf32> of_w(w, tid());
		u32 x[Each], weights[back ? 2 * Each : 1];
		for (u64 s = 0;; s++) { // what comes next is read while what came before is multiplied
			u8 *next = room() + s % 2 * (Left + Right);
			if (s < steps) {
				fetch<Bytes>(x, &g, spots, count, k - s * Deep);
				if (back)
					fetch_weights<Weight>(weights, p, taps, count, s * Deep, k, group, top);
				else if (wide && !tf32) // parts of f32 leave no registers for more
					bring<Channels, Deep, true, sizeof(Weight), ConvThreads>(next, w, s * Deep, tid());
				else
					of_w.ask(next, k - s * Deep, tid());
			}
			commit_copies();
			if (s) {
				const u8 *stage = room() + (s - 1) % 2 * (Left + Right);
				add_products<type, wide>(sum, stage, stage + Left, row, column);
			}
			if (s == steps) break;
			keep<wide, Pitch>(next + Left, x);
			if (back) keep_weights<Weight>(next, weights);
			wait_copies<0>();
			sync();
		}
		sync();
	}
	put_sums(p, v, sum, group, top, start, area, row, column);
}

KERNEL_TWICE(256, conv_bf16, Conv) { convolve<BF16, false, false>(p); }
KERNEL_TWICE(256, conv_f16, Conv) { convolve<F16, false, false>(p); }
KERNEL_TWICE(256, conv_wide_bf16, Conv) { convolve<BF16, true, false>(p); }
KERNEL_TWICE(256, conv_wide_f16, Conv) { convolve<F16, true, false>(p); }
KERNEL_TWICE(256, conv_tf32, Conv) { convolve<F32, true, false>(p); }
KERNEL(conv_back_bf16, Conv) { convolve<BF16, false, true>(p); }
KERNEL(conv_back_f16, Conv) { convolve<F16, false, true>(p); }
KERNEL(conv_back_wide_bf16, Conv) { convolve<BF16, true, true>(p); }
KERNEL(conv_back_wide_f16, Conv) { convolve<F16, true, true>(p); }
KERNEL(conv_back_tf32, Conv) { convolve<F32, true, true>(p); }
