// What products with weights in blocks share: their parameter, and which rows go
// together.
//
// The sum of an element has eight parts, of which part i is fours q i / 8 to
// q (i+1) / 8 of a row of q fours of units. A part is a chain in the order of
// units, by fma, from 0; the parts are added to 0 from the first to the last. So
// a row of the result has the same bits in any company, by whichever kernel.
#pragma once
#include "activation.h"
#include "blocks.h"

struct BlockProduct {
	Blocks w[2];
	const void *x; // records, as quantise makes them, or of nf4 halve
	void *y;
	const void *bias;
	const void *chosen;   // of experts: that of each row
	const i32 *expert_of; // or, if rows of an expert lie together: that of each 8 slots; -1 is none, and -2 that none of the slots is a row
	const i32 *row_of;    // and the row of each slot, or -1
	u32 *bad;             // the least place in chosen that is out of range
	u64 m, n, units, slots, step, share, experts; // row i is slot i step
	u32 count; // of weights: of two, the first is a gate
	u32 function;
	u32 x_type, y_type, bias_type, chosen_type;
};

static constexpr u32 Parts = 8;

// part_at is the four that a part begins with.
DEV u32 part_at(u32 fours, u32 part) { return (u32)((u64)fours * part / Parts); }

DEV u32 fours_of(const BlockProduct &p) { return (u32)((p.units + 3) / 4); }

// row_at is the row of a slot, or -1.
DEV i64 row_at(const BlockProduct &p, u64 slot) {
	if (slot >= p.slots) return -1;
	if (p.row_of) return p.row_of[slot];
	return slot % p.step ? -1 : (i64)(slot / p.step);
}

// expert_at is that of the slots from top on, as expert_of has it.
DEV i64 expert_at(const BlockProduct &p, u64 top) {
	if (p.expert_of) return p.expert_of[top / 8];
	if (!p.chosen) return 0;
	i64 e = load_whole(p.chosen, p.chosen_type, (i64)(top / p.step));
	if (e >= 0 && e < (i64)p.experts) return e;
	if (e != -1) least(p.bad, (u32)(top / p.step));
	return -1;
}

// end_product writes an element of y; none says that no expert computes it.
DEV void end_product(const BlockProduct &p, i64 row, u64 column, float v, float up, bool none) {
	if (p.bias) v = v + load_float(p.bias, p.bias_type, (i64)column);
	float f = activate(p.function, v);
	if (p.count == 2) f = f * up;
	store_float(p.y, p.y_type, row * (i64)p.n + (i64)column, none ? 0.0f : f);
}
