// Products of small matrices by a warp, and what brings their operands: mma, which
// multiplies on tensor cores, ldmatrix, which reads operands from shared memory,
// and cp.async, which copies into it meanwhile. All threads of a warp call mma and
// ldmatrix together.
//
// Lane l of a warp has g = l / 4 and t = l % 4. Each u32 holds `per` elements that
// are neighbours along k: 2 of 16 bits, 1 of tf32, 4 of 8 bits; k goes to 8 per.
//
//	a [16, k]   a[0] row g, a[1] row g+8, from k = per t; a[2], a[3] the same from per (t+4)
//	b [k, 8]    b[0] column g, from k = per t; b[1] from per (t+4)
//	sum [16, 8] sum[0], sum[1] row g, columns 2t and 2t+1; sum[2], sum[3] row g+8
//
// The emulator adds products to sum by fma, from the lowest k to the highest. What
// tensor cores do is not written down: measured ones (arXiv:2004.01355 and later
// work) align the exact products of one mma, or of 4 or 8 of its k, with the sum
// and cut off what is below some bits under the greatest, so a product may be off
// by an ulp of the sum for each mma, and always the same. Sums of whole numbers are
// exact everywhere, and wrap.
#pragma once
#include "number.h"

#ifdef PIPE_EMULATOR
#include "../emulator/library/tensor.h"
#else

#define MMA(shape, types, out)                                                                                   \
	asm volatile("mma.sync.aligned." shape ".row.col." types " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
		: "+" out(sum[0]), "+" out(sum[1]), "+" out(sum[2]), "+" out(sum[3])                                        \
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

// mma_half adds a b, of BF16 or F16, k = 16.
template <u32 type> DEV void mma_half(float *sum, const u32 *a, const u32 *b) {
	if constexpr (type == BF16)
		MMA("m16n8k16", "f32.bf16.bf16.f32", "f");
	else
		MMA("m16n8k16", "f32.f16.f16.f32", "f");
}

// pack_half rounds two floats to BF16 or F16, as operands of mma_half: low is the lower k.
template <u32 type> DEV u32 pack_half(float low, float high) {
	u32 u;
	if constexpr (type == BF16)
		asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(u) : "f"(high), "f"(low));
	else
		asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(u) : "f"(high), "f"(low));
	return u;
}

// mma_tf32 adds a b, k = 8; of each operand the 19 upper bits count, see tf32_of.
DEV void mma_tf32(float *sum, const u32 *a, const u32 *b) { MMA("m16n8k8", "f32.tf32.tf32.f32", "f"); }

// mma_i8 adds a b, i8 times i8, k = 32; mma_u8 has a without signs.
DEV void mma_i8(i32 *sum, const u32 *a, const u32 *b) { MMA("m16n8k32", "s32.s8.s8.s32", "r"); }
DEV void mma_u8(i32 *sum, const u32 *a, const u32 *b) { MMA("m16n8k32", "s32.u8.s8.s32", "r"); }
#undef MMA

// tf32_of rounds to 10 bits of fraction, to nearest, ties away from 0.
DEV u32 tf32_of(float f) {
	u32 u;
	asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(u) : "f"(f));
	return u;
}

// shared_place is the address of p, which lies in shared memory, as instructions
// that know the memory take it.
DEV u32 shared_place(const void *p) { return (u32)(u64)(__attribute__((address_space(3))) const void *)p; }

// load_matrices reads matrices of 8 rows of 16 bytes: lane 8 i + r says where row r
// of matrix i lies, of 1, 2 or 4. Lane l gets of each the word t of row g, or, if
// they are transposed, elements g of rows 2t and 2t+1, of 16 bits.
template <u32 count, bool transposed> DEV void load_matrices(u32 *to, const void *row) {
	u32 p = shared_place(row);
	if constexpr (count == 1 && !transposed)
		asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(to[0]) : "r"(p) : "memory");
	else if constexpr (count == 1)
		asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(to[0]) : "r"(p) : "memory");
	else if constexpr (count == 2 && !transposed)
		asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "r"(p) : "memory");
	else if constexpr (count == 2)
		asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "r"(p) : "memory");
	else if constexpr (!transposed)
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(p) : "memory");
	else
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(p) : "memory");
}

// copy_async brings n <= bytes bytes, 4, 8 or 16, to shared memory, and zeros after
// them; both places are multiples of bytes. They are there for the thread after
// wait_copies, and for others after a sync that follows.
template <u32 bytes> DEV void copy_async(void *to, const void *from, u32 n) {
	static_assert(bytes == 4 || bytes == 8 || bytes == 16);
	if constexpr (bytes == 16) // past the first cache: others of the block don't read them
		asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_place(to)), "l"(from), "r"(n) : "memory");
	else
		asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_place(to)), "l"(from), "n"(bytes), "r"(n) : "memory");
}

// commit_copies makes a group of the thread's copies since the last one, perhaps
// none; wait_copies waits until all groups but the latest `left` are there.
DEV void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <u32 left> DEV void wait_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory"); }

// sync_warp waits for all threads of the warp, and lets them see what each wrote.
DEV void sync_warp() { asm volatile("bar.warp.sync 0xffffffff;" ::: "memory"); }

// room is the shared memory that a launch asks for.
extern __attribute__((shared)) __attribute__((aligned(128))) u8 shared_room[];
DEV u8 *room() { return shared_room; }
#endif
