// Rows that choose experts: those of an expert are put together, so that a product
// reads its weights once for all of them. All of it passes memory once.
#include "number.h"

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
