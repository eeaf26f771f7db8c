// A product of wgmma.h by itself, of operands that lie in memory as they do in shared memory, so
// that a test sees on any device that has wgmma whether they lie as wgmma.h says; and, for the
// emulator, what is undefined and must be refused.
#include "wgmma.h"

struct ProbeAsync {
	float *y;    // [128, 96]: the sums of each thread
	const u8 *x; // 8 KiB of a [64, 16], and 24 KiB of b [16, 192]
	u32 what;    // is done wrong: 0, nothing
};

template <bool a_along, bool b_along> DEV void probe_async(const ProbeAsync &p) {
	u8 *a = room() + ((0 - shared_place(room())) & 1023), *b = a + 8192;
	Barrier *all = (Barrier *)(b + 3 * 8192);
	for (u32 i = 0; i < 4 * 8192; i += 128 * 16) copy_async<16>(a + i + 16 * tid(), p.x + i + 16 * tid(), 16);
	commit_copies();
	wait_copies<0>();
	if (p.what != 2) fence_async();
	if (tid() == 0 && p.what != 7) make_barrier(all, 128);
	sync();
	arrive(all);
	wait_barrier(all, 0, nullptr);
	float sum[96];
#pragma unroll
	for (u32 i = 0; i < 96; i++) sum[i] = 1.0f; // is not kept
	u64 left = described<a_along>(shared_place(a), 8192), right = described<b_along>(shared_place(p.what == 6 ? (u8 *)all : b), 8192);
	if (p.what == 4 && tid() >= 96) left += 2;
	if (p.what == 5) left |= 1ull << 49;
	if (p.what == 8) left += 8ull << 32;
	if (p.what != 1) fence_products();
	wgmma<BF16, 192, a_along, b_along>(sum, left, right, 0);
	if (p.what != 3) commit_products();
	wait_products<0, 192>(sum);
#pragma unroll
	for (u32 i = 0; i < 96; i++) p.y[tid() * 96 + i] = sum[i];
}

KERNEL_OF(128, probe_wgmma_kk, ProbeAsync) { probe_async<true, true>(p); }
KERNEL_OF(128, probe_wgmma_kn, ProbeAsync) { probe_async<true, false>(p); }
KERNEL_OF(128, probe_wgmma_mn, ProbeAsync) { probe_async<false, false>(p); }

// change writes the register itself, where a compiler would take another.
#ifdef PIPE_EMULATOR
DEV void change(u32 &r) { r ^= 1; }
#else
DEV void change(u32 &r) { asm volatile("xor.b32 %0, %0, 1;" : "+r"(r)); }
#endif

// Of an a in registers: of each thread 16 bytes of x; b lies behind the first 8 KiB, as above.
KERNEL_OF(128, probe_wgmma_held, ProbeAsync) {
	u8 *b = room() + ((0 - shared_place(room())) & 1023);
	for (u32 i = 0; i < 2 * 8192; i += 128 * 16) copy_async<16>(b + i + 16 * tid(), p.x + 8192 + i + 16 * tid(), 16);
	commit_copies();
	wait_copies<0>();
	fence_async();
	sync();
	float sum[64] = {};
	u32 a[4];
#pragma unroll
	for (u32 i = 0; i < 4; i++) a[i] = ((const u32 *)p.x)[4 * tid() + i];
	fence_products();
	wgmma_held<BF16, 128, false>(sum, a, described<false>(shared_place(b), 8192), 0);
	commit_products();
	if (p.what == 1) change(a[2]);
	wait_products<0, 128>(sum);
#pragma unroll
	for (u32 i = 0; i < 64; i++) p.y[tid() * 96 + i] = sum[i];
}
