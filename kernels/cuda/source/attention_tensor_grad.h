// What the gradients of attention on tensor cores share: what they are asked for, what is
// known of the rows of a tile, weights and the gradients of scores, and copies of tiles.
#pragma once
#include "attention_tensor.h"

struct TensorGrad {
	Attend a;
	Operand dy;
	const float *lse, *delta; // delta is sum(dy y) - dlse
	void *dquery, *dkey, *dvalue;
	u32 places; // that shared memory has for tiles of what is met: 2, or 1
};

// Sides are the rows of a tile with what is known of them, lse in powers of 2, and the
// documents of its keys.
struct Sides {
	Row rows[Tile];
	float lse[Tile], delta[Tile];
	i32 documents[Tile];
};

// set_row fills in row i of a tile: row r of a group.
DEV void set_row(Sides &sides, const TensorGrad &p, u32 z, u32 group, u32 i, u32 r) {
	bool live = r < p.a.seq * p.a.share;
	i64 line = live ? line_of<true>(p.a, z, group, r) : 0;
	sides.rows[i] = row_of(p.a, z, group, r);
	sides.lse[i] = live ? p.lse[line] * Log2e : 0.0f;
	sides.delta[i] = live ? p.delta[line] : 0.0f;
}

// Documents are the first and the last of some lines.
struct Documents {
	i32 low, high;
};

DEV i32 document_in(i32 document) { return document; }
DEV i32 document_in(const Row &row) { return row.own; }

// documents_of finds those of n keys, or rows.
template <class T> DEV ALWAYS Documents documents_of(const Attend &p, const T *lines, u32 n) {
	Documents of = {document_in(lines[0]), document_in(lines[0])};
	if (p.segments)
		for (u32 i = 1; i < n; i++) {
			i32 d = document_in(lines[i]);
			of.low = d < of.low ? d : of.low, of.high = d > of.high ? d : of.high;
		}
	return of;
}

// slopes turns products s of query and key, and d of dy and value, into weights, and the
// gradients of the scores. Lines are rows, from row `own` of the tile on, or else keys; they
// meet keys, or else rows, from `from` on.
template <bool by_row, u32 N> DEV ALWAYS void slopes(const Attend &p, u32 z, const Sides &sides, u32 own, u32 from, u32 j0, bool whole, float (&s)[1][N][4], float (&d)[1][N][4]) {
	u32 g = own + tid() % Warp / 4, t = from + 2 * (tid() % 4);
	float c = p.scale * Log2e;
	bool simple = plain(p);
	if (!simple) {
		for (u32 n = 0; n < N; n++) {
			UNROLL for (u32 e = 0; e < 4; e++) {
				u32 line = g + e / 2 * 8, other = 8 * n + t + e % 2, r = by_row ? line : other, key = by_row ? other : line;
				float slope = 0.0f, x = -__builtin_inff();
				if (sees(sides.rows[r], (i32)(j0 + key), sides.documents[key])) x = score(p, z, sides.rows[r], (i32)(j0 + key), s[0][0][e], &slope) * Log2e;
				s[0][0][e] = power2(x - sides.lse[r]);
				d[0][0][e] = s[0][0][e] * (d[0][0][e] - sides.delta[r]) * slope;
			}
			rotate(s), rotate(d);
		}
		return;
	}
	if (!whole)
		UNROLL for (u32 n = 0; n < N; n++)
			UNROLL for (u32 e = 0; e < 4; e++) {
				u32 line = g + e / 2 * 8, other = 8 * n + t + e % 2, r = by_row ? line : other, key = by_row ? other : line;
				if (!sees(sides.rows[r], (i32)(j0 + key), sides.documents[key])) s[0][n][e] = -__builtin_inff();
			}
	UNROLL for (u32 n = 0; n < N; n++)
		UNROLL for (u32 e = 0; e < 4; e++) {
			u32 r = by_row ? g + e / 2 * 8 : 8 * n + t + e % 2;
			s[0][n][e] = power2(fma(s[0][n][e], c, -sides.lse[r]));
			d[0][n][e] = s[0][n][e] * (d[0][n][e] - sides.delta[r]);
		}
}

// Pair is two operands of which tiles are copied together, to one of two places.
struct Pair {
	const Operand &x, &y;
	u8 *room;
	u32 size;
};

DEV u8 *x_of(const Pair &o, u32 place) { return o.room + place * o.size; }
DEV u8 *y_of(const Pair &o, u32 place) { return x_of(o, place) + Tile * pitch_of(o.x.width); }

template <bool queries> DEV ALWAYS void bring(const Pair &o, u32 place, const Attend &p, u32 z, u32 group, u32 first, u32 end) {
	stage<queries>(x_of(o, place), Tile, o.x, p, z, group, first, end);
	stage<queries>(y_of(o, place), Tile, o.y, p, z, group, first, end);
}

// next_rows is the first tile of rows from l on, before to, in which some row belongs to
// one of the documents low to high.
DEV u32 next_rows(const Attend &p, u32 z, u32 group, i32 low, i32 high, u32 l, u32 to) {
	if (!p.segments) return l;
	for (; l < to; l += Tile) {
		u32 any = 0;
		for (u32 i = tid() % Warp; i < Tile && l + i < to; i += Warp) {
			i32 own = row_of(p, z, group, l + i).own;
			any |= own >= low && own <= high;
		}
		for (u32 m = 1; m < Warp; m *= 2) any |= exchange(any, m);
		if (any) break;
	}
	return l;
}
