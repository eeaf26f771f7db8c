// What a device that has wgmma can multiply at most, see limits.cu: both operands lie in shared memory, and
// nothing is brought. Of 128 threads 8 * 64 * 192 * 16 n operations; for 16 places of k 8 KiB are read in
// 96 cycles of a processor, where it could read 12.
#include "wgmma.h"

struct Limit {
	u32 *to;
	const u32 *from, *other;
	u64 n; // rounds
	u32 step;
};

KERNEL_OF(256, limit_wgmma, Limit) {
	u8 *a = room() + ((0 - shared_place(room())) & 1023);
	for (u32 i = tid(); i < 4 * 2048; i += threads()) ((u32 *)a)[i] = (i * 2654435761u & 0x80ff80ff) | 0x3f003f00; // of a size with 1
	fence_async();
	sync();
	u64 left = described<true>(shared_place(a), 0), right = described<true>(shared_place(a + 8192), 0);
	float sum[96] = {};
	for (u64 k = 0; k < p.n; k++) {
		fence_products();
UNROLL
		for (u32 i = 0; i < 4; i++) wgmma<BF16, 192, true, true>(sum, left + i * next_step<true>, right + i * next_step<true>, 1);
		commit_products();
		wait_products<1, 192>(sum);
	}
	wait_products<0, 192>(sum);
	float all = 0;
UNROLL
	for (u32 i = 0; i < 96; i++) all = all + sum[i];
	if (all == 123.0f) p.to[0] = bits_f32(all);
}
