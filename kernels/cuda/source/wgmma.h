// Products of matrices by four warps, wgmma, of devices of capability 9.0 only; and
// what it takes: descriptors of operands, barriers in shared memory, fences, and
// registers that groups of warps give each other.
//
// A group is 128 threads, from a multiple of 128 on. All of its threads call wgmma
// together: a [64, 16] times b [16, N], both in shared memory, added to sum [64, N].
// Thread 32 w + 4 g + t of the group has of it rows 16 w + g and 8 more, and of
// each 8 columns those from 2t on:
//
//	sum[4 j + 2 h + e]   row 16 w + g + 8 h, column 8 j + 2 t + e
//
// Operands lie in lines of 128 bytes, 64 elements, 8 lines to a pattern of 1024, in
// which the 16 bytes c of line r are at place c ^ r: "128-byte swizzle" of the PTX
// ISA, chapter "Shared Memory Matrix Layout". Lines are rows of an operand if it lies
// along k, else they are places of k.
#pragma once
#include "tensor.h"

// described is the descriptor of an operand at p: of 64 elements of k by rows, or,
// if it is not along k, of places of k by 64 rows each, that are `apart` bytes apart.
template <bool along> DEV u64 described(u32 p, u32 apart) {
	return (u64)(p >> 4 & 0x3fff) | (u64)(along ? 1 : apart >> 4) << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}

// next_step is how far apart in a descriptor 16 places of k are.
template <bool along> static constexpr u64 next_step = along ? 32 >> 4 : 2048 >> 4;

#ifdef PIPE_EMULATOR
#include "../emulator/library/wgmma.h"
#else

// Eight are operands of asm: of 8 sums from i on.
#define EIGHT(i) "+f"(sum[i]), "+f"(sum[i + 1]), "+f"(sum[i + 2]), "+f"(sum[i + 3]), "+f"(sum[i + 4]), "+f"(sum[i + 5]), "+f"(sum[i + 6]), "+f"(sum[i + 7])
#define SUMS_32 EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24)
#define SUMS_48 SUMS_32, EIGHT(32), EIGHT(40)
#define SUMS_64 SUMS_48, EIGHT(48), EIGHT(56)
#define SUMS_96 SUMS_64, EIGHT(64), EIGHT(72), EIGHT(80), EIGHT(88)
#define NAMES_32 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define NAMES_48 NAMES_32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define NAMES_64 NAMES_48 ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define NAMES_96 NAMES_64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"

// The last five are a, b, whether to keep the sums, and how a and b lie.
#define WGMMA(columns, types, names, sums, a_at, b_at, keep_at, how_a, how_b)                                                     \
	asm volatile("{.reg .pred keep; setp.ne.u32 keep, %" keep_at ", 0; wgmma.mma_async.sync.aligned.m64n" columns "k16.f32." types \
				 " {" names "}, %" a_at ", %" b_at ", keep, 1, 1, %" how_a ", %" how_b ";}"                                         \
		: sums                                                                                                                      \
		: "l"(a), "l"(b), "r"(keep), "n"(a_along ? 0 : 1), "n"(b_along ? 0 : 1))

// wgmma begins to add a b to the sums, or if keep is 0 to nothing: BF16 or F16. What
// it reads and writes is its own until wait_products says so.
template <u32 type, u32 N, bool a_along, bool b_along> DEV void wgmma(float *sum, u64 a, u64 b, u32 keep) {
	static_assert(N == 64 || N == 128 || N == 192);
	if constexpr (N == 64 && type == BF16)
		WGMMA("64", "bf16.bf16", NAMES_32, SUMS_32, "32", "33", "34", "35", "36");
	else if constexpr (N == 64)
		WGMMA("64", "f16.f16", NAMES_32, SUMS_32, "32", "33", "34", "35", "36");
	else if constexpr (N == 128 && type == BF16)
		WGMMA("128", "bf16.bf16", NAMES_64, SUMS_64, "64", "65", "66", "67", "68");
	else if constexpr (N == 128)
		WGMMA("128", "f16.f16", NAMES_64, SUMS_64, "64", "65", "66", "67", "68");
	else if constexpr (type == BF16)
		WGMMA("192", "bf16.bf16", NAMES_96, SUMS_96, "96", "97", "98", "99", "100");
	else
		WGMMA("192", "f16.f16", NAMES_96, SUMS_96, "96", "97", "98", "99", "100");
}
#undef WGMMA

// The last seven are the four words of a, b, whether to keep the sums, and how b lies.
#define WGMMA_HELD(columns, types, names, sums, a_at, b_at, keep_at, how_b)                                                       \
	asm volatile("{.reg .pred keep; setp.ne.u32 keep, %" keep_at ", 0; wgmma.mma_async.sync.aligned.m64n" columns "k16.f32." types \
				 " {" names "}, {" a_at "}, %" b_at ", keep, 1, 1, %" how_b ";}"                                                    \
		: sums                                                                                                                      \
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(keep), "n"(b_along ? 0 : 1))

// wgmma_held is wgmma of an a in registers, which lies in each warp as mma's: a[0] row g, a[1]
// row g + 8, from k = 2 t on; a[2], a[3] the same from k = 2 t + 8. They may not change before it is waited for.
template <u32 type, u32 N, bool b_along> DEV void wgmma_held(float *sum, const u32 *a, u64 b, u32 keep) {
	static_assert(N == 64 || N == 96 || N == 128);
	if constexpr (N == 64 && type == BF16)
		WGMMA_HELD("64", "bf16.bf16", NAMES_32, SUMS_32, "%32,%33,%34,%35", "36", "37", "38");
	else if constexpr (N == 64)
		WGMMA_HELD("64", "f16.f16", NAMES_32, SUMS_32, "%32,%33,%34,%35", "36", "37", "38");
	else if constexpr (N == 96 && type == BF16)
		WGMMA_HELD("96", "bf16.bf16", NAMES_48, SUMS_48, "%48,%49,%50,%51", "52", "53", "54");
	else if constexpr (N == 96)
		WGMMA_HELD("96", "f16.f16", NAMES_48, SUMS_48, "%48,%49,%50,%51", "52", "53", "54");
	else if constexpr (type == BF16)
		WGMMA_HELD("128", "bf16.bf16", NAMES_64, SUMS_64, "%64,%65,%66,%67", "68", "69", "70");
	else
		WGMMA_HELD("128", "f16.f16", NAMES_64, SUMS_64, "%64,%65,%66,%67", "68", "69", "70");
}
#undef WGMMA_HELD

// fence_products comes before wgmma where registers of sums, or what it reads of shared memory by them, was touched.
DEV void fence_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// commit_products makes a set of the wgmma since the last one; wait_products waits
// until all sets but the latest `left` are done, of which N/2 sums are.
// settled comes after it where some were left, of sums of those that are done: no sum is read before.
DEV void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <u32 N> DEV void settled(float *sum) {
#pragma unroll
	for (u32 i = 0; i < N / 2; i++) asm volatile("" : "+f"(sum[i])::"memory");
}
template <u32 left, u32 N> DEV void wait_products(float *sum) {
	asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory");
	if constexpr (left == 0) settled<N>(sum);
}

// A Barrier in shared memory is passed each time that so many have arrived. Who
// waits names the parity of the time, from 0 on; what others wrote before they
// arrived is seen then.
typedef u64 Barrier;
DEV void make_barrier(Barrier *b, u32 count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_place(b)), "r"(count) : "memory"); }
DEV void arrive(Barrier *b) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_place(b)) : "memory"); }

DEV u32 passed(Barrier *b, u32 parity) {
	u32 yes;
	asm volatile("{.reg .pred yes; mbarrier.try_wait.parity.shared::cta.b64 yes, [%1], %2; selp.u32 %0, 1, 0, yes;}" : "=r"(yes) : "r"(shared_place(b)), "r"(parity) : "memory");
	return yes;
}

DEV u64 nanoseconds() {
	u64 t;
	asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
	return t;
}

// wait_barrier waits for ever; or, if there is a `late`, two seconds, after which it
// goes on and *late says so.
DEV void wait_barrier(Barrier *b, u32 parity, u32 *late) {
	if (passed(b, parity)) return;
	for (u64 begin = late ? nanoseconds() : 0; !passed(b, parity);)
		if (late && (*(volatile u32 *)late || nanoseconds() - begin > 2000000000ull)) {
			*late = 1;
			return;
		}
}

// fence_async lets wgmma see what the thread wrote to shared memory, copies too that
// it has waited for.
DEV void fence_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// more_registers and less_registers make the threads of a group have so many: who
// asks for more waits until others gave them.
template <u32 n> DEV void more_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n)); }
template <u32 n> DEV void less_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n)); }
#endif

// one of a warp arrives for all of it.
DEV void arrive_warp(Barrier *b) {
	sync_warp();
	if (tid() % Warp == 0) arrive(b);
}
