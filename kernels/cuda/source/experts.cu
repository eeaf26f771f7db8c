// Rows that choose experts: those of an expert are put together, so that a product
// reads its weights once for all of them. All of it passes memory once.
#include "experts.h"

static constexpr u32 MostExperts = 1023;

struct GroupRows {
	i32 *expert_of; // [slots / 8]
	i32 *row_of;    // [slots]
	const void *chosen;
	u32 *bad;
	u64 m, experts, slots, align;
	u32 type;
};

// chosen_at is the expert of row i, or so many for none.
DEV u32 chosen_at(const GroupRows &p, u64 i, bool tell) {
	i64 e = load_whole(p.chosen, p.type, (i64)i);
	if (e >= 0 && e < (i64)p.experts) return (u32)e;
	if (tell && e != -1) least(p.bad, (u32)i);
	return (u32)p.experts;
}

// group_rows gives each expert's rows slots that lie together, from a multiple of
// align on; those of none come last. A block counts the rows of each expert, adds up, and
// gives slots. In which order rows of an expert come is of no account, since a
// row's bits don't depend on it.
KERNEL(group_rows, GroupRows) {
	SHARED u32 count[MostExperts + 1], next[MostExperts + 1];
	u32 bins = (u32)p.experts + 1, align = (u32)p.align;
	for (u32 e = tid(); e < bins; e += threads()) count[e] = 0;
	for (u64 i = tid(); i < p.slots; i += threads()) p.row_of[i] = -1;
	for (u64 i = tid(); i < p.slots / 8; i += threads()) p.expert_of[i] = -2;
	sync();
	for (u64 i = tid(); i < p.m; i += threads()) add_up(&count[chosen_at(p, i, true)], 1);
	sync();
	for (u32 e = tid(); e < bins; e += threads()) {
		u32 start = 0, size = (count[e] + align - 1) / align * align;
		for (u32 k = 0; k < e; k++) start += (count[k] + align - 1) / align * align;
		next[e] = start;
		for (u32 i = start / 8; i < (start + size) / 8; i++) p.expert_of[i] = e < p.experts ? (i32)e : -1;
	}
	sync();
	for (u64 i = tid(); i < p.m; i += threads()) p.row_of[add_up(&next[chosen_at(p, i, false)], 1)] = (i32)i;
}

struct MoveRows {
	u8 *to;
	const u8 *from;
	const i32 *row_of; // [slots], or none, and rows of no expert become zeros where they are
	const void *chosen;
	u32 *bad;
	u64 slots, size, share, experts; // size of a row in bytes; share rows have the same x
	u32 type;
	u32 back; // from slots to rows
};

template <class T> DEV void move(const MoveRows &p) {
	u64 each = p.size / sizeof(T);
	T *to = (T *)p.to;
	const T *from = (const T *)p.from;
	for (u64 i = place(); i < p.slots * each; i += (u64)blocks_x() * threads()) {
		u64 slot = i / each, c = i % each;
		i64 row = p.row_of ? p.row_of[slot] : (i64)slot;
		if (row < 0) continue;
		i64 e = load_whole(p.chosen, p.type, row);
		bool none = e < 0 || e >= (i64)p.experts;
		if (!p.row_of) {
			if (none && e != -1 && c == 0) least(p.bad, (u32)row);
			if (none) to[i] = T{};
		} else if (p.back) {
			to[(u64)row * each + c] = none ? T{} : from[i];
		} else
			to[i] = from[(u64)row / p.share * each + c];
	}
}

// move_rows brings rows to slots, or back.
KERNEL(move_rows, MoveRows) {
	if (p.size % 16 == 0)
		move<u32x4>(p);
	else
		move<u16>(p);
}

struct OrderRows {
	i32 *starts; // [experts + 1]
	i32 *rows;   // [m]
	const void *chosen;
	u32 *bad;
	u64 m, experts;
	u32 type;
};

// before_me is how many of the block's threads of lower numbers have a mark, and in
// all how many have.
DEV u32 before_me(bool mark, u32 *parts, u32 *all) {
	u32 lane = tid() % Warp, warp = tid() / Warp, before = 0, sum = mark;
	for (u32 m = 1; m < Warp; m *= 2) {
		u32 other = exchange(sum, m);
		if (lane & m) before += other;
		sum += other;
	}
	sync();
	if (lane == 0) parts[warp] = sum;
	sync();
	*all = 0;
	for (u32 w = 0; w < threads() / Warp; w++) {
		if (w < warp) before += parts[w];
		*all += parts[w];
	}
	return before;
}

// order_rows lists the rows of each expert in their order, a block for each expert.
KERNEL(order_rows, OrderRows) {
	SHARED u32 parts[Warp];
	for (u64 e = block_x(); e <= p.experts; e += blocks_x()) {
		u32 start = 0, all;
		for (u64 i = tid(); i < (p.m + threads() - 1) / threads() * threads(); i += threads()) {
			i64 c = i < p.m ? load_whole(p.chosen, p.type, (i64)i) : -1;
			if (e == 0 && c != -1 && (c < 0 || c >= (i64)p.experts)) least(p.bad, (u32)i);
			before_me(c >= 0 && c < (i64)e, parts, &all);
			start += all;
		}
		if (tid() == 0) p.starts[e] = (i32)start;
		if (e == p.experts) continue;
		for (u64 i = tid(); i < (p.m + threads() - 1) / threads() * threads(); i += threads()) {
			bool mine = i < p.m && load_whole(p.chosen, p.type, (i64)i) == (i64)e;
			u32 at = start + before_me(mine, parts, &all);
			if (mine) p.rows[at] = (i32)i;
			start += all;
		}
	}
}

static constexpr u32 Side = 64, Deep = 16;

// expert_grad: the weights' gradient of an expert is the sum of dy xᵀ over its rows, in
// their order, by fma (of 16 bits it is expert_grad_tensor.cu's). A block of 256 threads does a tile of 64 x 64, a thread 4 x 4:
// 2 rows x out x in operations, of 67e12 a second (f32 of an H200), of which two vectors
// from shared memory for 16 fma allow about a half.
KERNEL(expert_grad, ExpertGrad) {
	SHARED __attribute__((aligned(16))) float left[Deep][Side + 4], right[Deep][Side + 4];
	u64 across = (p.in + Side - 1) / Side, top = block_x() / across * Side, start = block_x() % across * Side;
	u32 h = tid() / 16, c = tid() % 16;
	for (u64 e = block_y(); e < p.experts; e += 65535) {
		float sum[4][4] = {};
		for (i32 from = p.starts[e], end = p.starts[e + 1]; from < end; from += (i32)Deep) {
#pragma unroll
			for (u32 i = 0; i < Deep * Side / 256; i++) {
				u32 l = (tid() + 256 * i) / Side, o = tid() % Side;
				u64 row = from + (i32)l < end ? (u64)p.rows[from + (i32)l] : ~0ull;
				left[l][o] = row != ~0ull && top + o < p.out ? load_float(p.dy, p.dy_type, (i64)(row / p.dy_share * p.out + top + o)) : 0.0f;
				right[l][o] = row != ~0ull && start + o < p.in ? load_float(p.x, p.x_type, (i64)(row / p.x_share * p.in + start + o)) : 0.0f;
			}
			sync();
			u32 deep = end - from < (i32)Deep ? (u32)(end - from) : Deep;
			for (u32 l = 0; l < deep; l++) {
				float a[4], b[4];
#pragma unroll
				for (u32 i = 0; i < 4; i++) a[i] = left[l][4 * h + i], b[i] = right[l][4 * c + i];
#pragma unroll
				for (u32 i = 0; i < 16; i++) sum[i / 4][i % 4] = fma(a[i / 4], b[i % 4], sum[i / 4][i % 4]);
			}
			sync();
		}
#pragma unroll
		for (u32 i = 0; i < 16; i++) {
			u64 r = top + 4 * h + i / 4, k = start + 4 * c + i % 4;
			if (r < p.out && k < p.in) p.y[(e * p.out + r) * p.in + k] = sum[i / 4][i % 4];
		}
	}
}
