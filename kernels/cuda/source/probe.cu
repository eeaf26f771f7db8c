// Each form of what tensor.h has, so that a test sees on any device that operands
// lie where tensor.h says.
#include "tensor.h"

struct Probe {
	u32 *y;       // [32, 4]
	const u32 *x; // [32, 8]
	u32 what, apart; // bytes from row to row
};

// loaded reads back what the threads put down in rows of 16 bytes: each asks
// for another's.
template <u32 count> DEV void loaded(u32 *y, const u32 *x, u32 apart, bool transposed) {
	u8 *rows = room();
	for (u32 i = 0; i < 4; i++) *(u32 *)(rows + apart * tid() + 4 * i) = x[i];
	sync();
	if (transposed)
		load_matrices<count, true>(y, rows + apart * (tid() ^ 5));
	else
		load_matrices<count, false>(y, rows + apart * (tid() ^ 5));
}

// copied brings n bytes of a row in pieces, in two groups.
template <u32 bytes> DEV void copied(u32 *y, const u32 *x, u32 n) {
	u8 *to = room() + 16 * tid();
	for (u32 i = 0; i < 16; i += bytes) {
		copy_async<bytes>(to + i, (const u8 *)x + i, n > i ? (n - i < bytes ? n - i : bytes) : 0);
		if (i == 0) commit_copies();
	}
	commit_copies();
	wait_copies<1>();
	y[0] = *(const u32 *)to;
	wait_copies<0>();
	for (u32 i = 1; i < 4; i++) y[i] = ((const u32 *)to)[i];
}

KERNEL(probe, Probe) {
	const u32 *x = p.x + 8 * tid();
	u32 y[4] = {}, a[4] = {x[0], x[1], x[2], x[3]}, b[2] = {x[4], x[5]};
	float sum[4];
	for (u32 i = 0; i < 4; i++) sum[i] = (float)(4 * tid() + i);
	i32 whole[4] = {(i32)(4 * tid()), (i32)(4 * tid() + 1), (i32)(4 * tid() + 2), (i32)(4 * tid() + 3)};
	switch (p.what) {
	case 0: mma_half<BF16>(sum, a, b); break;
	case 1: mma_half<F16>(sum, a, b); break;
	case 2:
		for (u32 i = 0; i < 4; i++) a[i] = tf32_of(f32_bits(a[i]));
		for (u32 i = 0; i < 2; i++) b[i] = tf32_of(f32_bits(b[i]));
		mma_tf32(sum, a, b);
		break;
	case 3: mma_i8(whole, a, b); break;
	case 4: mma_u8(whole, a, b); break;
	case 5: loaded<1>(y, x, p.apart, false); break;
	case 6: loaded<2>(y, x, p.apart, false); break;
	case 7: loaded<4>(y, x, p.apart, false); break;
	case 8: loaded<1>(y, x, p.apart, true); break;
	case 9: loaded<2>(y, x, p.apart, true); break;
	case 10: loaded<4>(y, x, p.apart, true); break;
	case 11: copied<4>(y, x, x[4]); break;
	case 12: copied<8>(y, x, x[4]); break;
	case 13: copied<16>(y, x, x[4]); break;
	}
	for (u32 i = 0; i < 4; i++) p.y[4 * tid() + i] = p.what < 3 ? bits_f32(sum[i]) : p.what < 5 ? (u32)whole[i] : y[i];
}
