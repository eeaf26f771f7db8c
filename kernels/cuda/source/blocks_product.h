// What products with weights in blocks share: their parameter, and which rows go
// together.
//
// The sum of an element has eight parts, of which part i is units 4 (q i / 8) to
// 4 (q (i+1) / 8) of a row of q fours of units. A part is a chain in the order of
// units, by fma, from 0; the parts are added to 0 from the first to the last. So
// a row of the result has the same bits in any company, by whichever kernel.
#pragma once
#include "activation.h"
#include "blocks.h"

struct BlockProduct {
	Blocks w[2];
	const void *x; // as quantise makes it; of nf4, numbers
	void *y;
	const void *bias;
	const void *chosen;   // of experts: that of row i, which is slot 8 i
	const i32 *expert_of; // or, if rows of an expert lie together: that of each 8 slots; -1 is none, and -2 that none of the slots is a row
	const i32 *row_of;    // and the row of each slot, or -1
	u32 *bad;             // the least place in chosen that is out of range
	u64 m, n, units, slots, share, experts;
	u32 count; // of weights: of two, the first is a gate
	u32 function;
	u32 x_type, y_type, bias_type, chosen_type;
};

static constexpr u32 Parts = 8;

// part_at is the four that a part begins with.
DEV u64 part_at(u64 fours, u32 part) { return fours * part / Parts; }

// row_at is the row of a slot, or -1.
DEV i64 row_at(const BlockProduct &p, u64 slot) {
	if (slot >= p.slots) return -1;
	if (p.chosen) return slot % 8 ? -1 : (i64)(slot / 8);
	return p.row_of ? p.row_of[slot] : (i64)slot;
}

// expert_at is that of the slots from top on, as expert_of has it.
DEV i64 expert_at(const BlockProduct &p, u64 top) {
	if (p.expert_of) return p.expert_of[top / 8];
	if (!p.chosen) return 0;
	i64 e = load_whole(p.chosen, p.chosen_type, (i64)(top / 8));
	if (e >= 0 && e < (i64)p.experts) return e;
	if (e != -1) least(p.bad, (u32)(top / 8));
	return -1;
}

// end_product writes an element of y; none says that no expert computes it.
DEV void end_product(const BlockProduct &p, i64 row, u64 column, float v, float up, bool none) {
	if (p.bias) v = v + load_float(p.bias, p.bias_type, (i64)column);
	float f = activate(p.function, v);
	if (p.count == 2) f = f * up;
	store_float(p.y, p.y_type, row * (i64)p.n + (i64)column, none ? 0.0f : f);
}
