// The threads of a block, as kernels that g++ compiles see them.
#pragma once
#include "emulator.h"

#define DEV static inline
#define SHARED static
#define DEV_METHOD
#define CONSTANT static const
#define UNROLL

#define KERNEL(name, P)                                                                     \
	static void name(const P &p);                                                           \
	static void run_##name(const void *args) { name(*(const P *)args); }                    \
	static emulator::Entry entry_##name(#name, run_##name, sizeof(P));                      \
	static void name(const P &p)

#define KERNEL_OF(most, name, P) KERNEL(name, P)
#define KERNEL_TWICE(most, name, P) KERNEL(name, P)

DEV u32 tid() { return emulator::thread.x; }
DEV u32 threads() { return emulator::block_size.x; }
DEV u32 block_x() { return emulator::block.x; }
DEV u32 block_y() { return emulator::block.y; }
DEV u32 block_z() { return emulator::block.z; }
DEV u32 blocks_x() { return emulator::grid_size.x; }
DEV u32 blocks_y() { return emulator::grid_size.y; }
DEV void sync() { emulator::wait_block(); }
DEV u32 exchange(u32 v, u32 m) { return emulator::wait_exchange(v, m); }

template <u32 bytes> DEV u32 load_if(const void *from, bool yes) { return !yes ? 0 : bytes == 4 ? *(const u32 *)from : *(const u16 *)from; }

DEV void least(u32 *at, u32 v) {
	if (v < *at) *at = v;
}

DEV float f16_value(u16 h) {
	u32 sign = (u32)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
	if (e == 31) return __builtin_bit_cast(float, sign | 0x7f800000 | m << 13);
	if (e) return __builtin_bit_cast(float, sign | (e + 112) << 23 | m << 13);
	float f = (float)m * 0x1p-24f;
	return sign ? -f : f;
}

DEV u16 f16_of(float f) {
	u32 u = __builtin_bit_cast(u32, f), sign = u >> 16 & 0x8000;
	u &= 0x7fffffff;
	if (u > 0x7f800000) return 0x7fff;                // as the device makes NaN
	if (u >= 0x477ff000) return sign | 0x7c00;        // rounds to infinity
	if (u >= 0x38800000) {                            // normal: to nearest, ties to even
		u += 0xfff + (u >> 13 & 1);
		return sign | ((u >> 13) - (112 << 10));
	}
	float a = __builtin_bit_cast(float, u) + 0.5f; // the last bit of 0.5 is the least of a half
	return sign | (u16)(__builtin_bit_cast(u32, a) - 0x3f000000);
}

DEV float power2(float x) {
	float y = __builtin_exp2f(x);
	return y < 0x1p-126f ? 0.0f : y;
}

DEV i32 dot4(u32 a, u32 b, i32 sum) {
	for (int i = 0; i < 32; i += 8) sum += (i32)(u8)(a >> i) * (i32)(i8)(b >> i);
	return sum;
}

DEV u32 permute(u32 a, u32 b, u32 s) {
	u64 both = (u64)b << 32 | a;
	u32 d = 0;
	for (int i = 0; i < 4; i++) d |= (u32)(u8)(both >> 8 * (s >> 4 * i & 7)) << 8 * i;
	return d;
}
