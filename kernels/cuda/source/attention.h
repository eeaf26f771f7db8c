// What kernels of attention share: which keys a row sees, scores, and products of
// tiles.
//
// The heads that read the same keys form a group. Its rows are its queries,
// position by position, and in a position head by head: so rows that follow one
// another see the same keys or later ones, and a tile of rows reads keys once for
// all of its heads. Tiles of keys begin at multiples of Tile, whoever looks at
// them, so that what a row gets depends on no other row and not on the room for
// keys.
#pragma once
#include "number.h"

typedef u32 u32x2 __attribute__((vector_size(8)));
typedef u32 u32x4 __attribute__((vector_size(16)));
typedef float f32x2 __attribute__((vector_size(8)));

#define UNROLL _Pragma("unroll")

// Hidden stands for scores so low that a mask must have made them: a row that has
// no others gives 0.
static constexpr float Hidden = -1e29f;

// Q8 is the type of keys and values in q8_0: blocks of 32 elements, of 34 bytes each.
static constexpr u32 Q8 = 8;

// Operand is a matrix of rows of a width. Where quads is set, four elements can be
// loaded at once.
struct Operand {
	void *at;
	u32 type, width, quads, room;
};

// Attend is what all kernels of attention get.
struct Attend {
	Operand q, k, v;
	const void *mask, *past, *segments, *lengths; // all may be left out
	i64 mask_stride[4];                           // along batch, heads, seq, keys; by distance: along batch, heads, 1, distances
	u32 mask_type, past_type, segments_type, lengths_type;
	u32 batch, seq, heads, keys, groups, share;
	u32 one_sequence; // of keys, for all of queries
	u32 causal, window, distances;
	float scale, softcap, alibi; // softcap and alibi may be 0, for none
	u32 room;
};

// Row is what is known of a row of a tile: rows beyond the last see no key.
struct Row {
	i32 at, position; // among the queries of this call, and of all
	u32 head;
	i32 lo, hi, own; // keys that it may see, and the document that it belongs to
	float slope;     // of ALiBi
	float lse, delta;
};

DEV u32 lesser_of(u32 a, u32 b) { return a < b ? a : b; }

// slope_of is 2^(-alibi (h+1)/heads); of heads that are no power of two, the first
// are those of the power below, and the others every second one of the power above.
DEV float slope_of(const Attend &p, u32 h) {
	u32 whole = 1;
	while (2 * whole <= p.heads) whole *= 2;
	double power = h < whole ? (double)(h + 1) / (double)whole : (double)(2 * (h - whole) + 1) / (double)(2 * whole);
	return (float)exp_wide(-(double)p.alibi * power * 0x1.62e42fefa39efp-1);
}

DEV i32 past_of(const Attend &p, u32 z) { return p.past ? (i32)load_whole(p.past, p.past_type, z) : 0; }

// row_of finds what row r of a group sees.
DEV Row row_of(const Attend &p, u32 z, u32 group, u32 r) {
	Row row = {};
	if (r >= p.seq * p.share) return row;
	row.at = (i32)(r / p.share);
	row.head = group * p.share + r % p.share;
	row.position = past_of(p, z) + row.at;
	row.hi = (i32)p.keys;
	if (p.lengths) {
		i64 n = load_whole(p.lengths, p.lengths_type, z);
		if (n < row.hi) row.hi = n < 0 ? 0 : (i32)n;
	}
	if (p.causal) {
		if (row.position + 1 < row.hi) row.hi = row.position < 0 ? 0 : row.position + 1;
		if (p.window && row.position >= (i32)p.window) row.lo = row.position - (i32)p.window + 1;
	}
	if (p.segments && p.keys) {
		i32 key = row.position < (i32)p.keys ? row.position : (i32)p.keys - 1;
		row.own = (i32)load_whole(p.segments, p.segments_type, (i64)z * p.keys + key);
	}
	if (p.alibi > 0.0f) row.slope = slope_of(p, row.head);
	return row;
}

DEV i32 document_of(const Attend &p, u32 z, u32 j) {
	return p.segments && j < p.keys ? (i32)load_whole(p.segments, p.segments_type, (i64)z * p.keys + j) : 0;
}

// sees says whether a row sees key j of a document.
DEV bool sees(const Row &row, i32 j, i32 document) { return j >= row.lo && j < row.hi && row.own == document; }

// score turns the product of a row with key j into a score; slope is how fast that
// grows with the product times scale.
DEV float score(const Attend &p, u32 z, const Row &row, i32 j, float x, float *slope) {
	x = x * p.scale;
	*slope = 1.0f;
	if (p.softcap > 0.0f) {
		float t = tanh_of(x / p.softcap);
		x = t * p.softcap;
		*slope = 1.0f - t * t;
	}
	if (p.distances) {
		i32 n = (i32)p.distances, far = j - row.position;
		far = far < -n ? -n : far > n ? n : far;
		x = x + load_float(p.mask, p.mask_type, z * p.mask_stride[0] + row.head * p.mask_stride[1] + far + n);
	} else if (p.mask) {
		x = x + load_float(p.mask, p.mask_type, z * p.mask_stride[0] + row.head * p.mask_stride[1] + row.at * p.mask_stride[2] + j * p.mask_stride[3]);
	}
	if (p.alibi > 0.0f) x = x - row.slope * magnitude((float)(row.position - j));
	return x;
}

// line_of is the place of row r of a group among all queries, or of key r among all keys.
template <bool queries> DEV i64 line_of(const Attend &p, u32 z, u32 group, u32 r) {
	if (queries) return ((i64)z * p.seq + r / p.share) * p.heads + group * p.share + r % p.share;
	return ((i64)(p.one_sequence ? 0 : z) * p.keys + r) * p.groups + group;
}

// load_quad reads elements c to c+3 of a line; 0 beyond its width.
DEV f32x4 load_quad(const Operand &o, i64 line, u32 c) {
	f32x4 x = {};
	i64 i = line * o.width + c;
	if (c >= o.width) return x;
	if (o.type == Q8) {
		const u16 *block = (const u16 *)o.at + (i >> 5) * 17, *codes = block + 1 + (c % 32) / 2;
		u32 four = codes[0] | (u32)codes[1] << 16;
		float d = f16_value(block[0]);
		UNROLL for (u32 e = 0; e < 4; e++) x[e] = d * (float)(i8)(four >> 8 * e);
		return x;
	}
	if (!o.quads) {
		for (u32 e = 0; e < 4; e++) x = f32x4{x[1], x[2], x[3], c + e < o.width ? load_float(o.at, o.type, i + e) : 0.0f};
		return x;
	}
	if (o.type == F32) return *(const f32x4 *)((const float *)o.at + i);
	u32x2 u = *(const u32x2 *)((const u16 *)o.at + i);
	UNROLL for (u32 e = 0; e < 4; e++) {
		u16 h = (u16)(u[e / 2] >> 16 * (e % 2));
		x[e] = o.type == BF16 ? bf16_value(h) : f16_value(h);
	}
	return x;
}

static constexpr u32 Tile = 64, Deep = 32, TileThreads = 256;

// spot is where elements 4g to 4g+3 of line l of a tile lie, in quads: lines are
// shifted against each other, so that neither those who write a column nor those
// who read a line meet in a bank.
DEV u32 spot(u32 l, u32 g) { return l * (Tile / 4) + (g ^ (l >> 2 & 7)); }

// turn reads Deep columns from c on of lines first to end-1, and writes them as [Deep][Tile].
template <bool queries> DEV void turn(f32x4 *to, const Operand &o, const Attend &p, u32 z, u32 group, u32 first, u32 end, u32 c) {
	for (u32 n = 0; n < Tile * Deep / 4 / TileThreads; n++) {
		u32 i = tid() + n * TileThreads, quad = i % (Deep / 4), line = i / (Deep / 4);
		f32x4 x = {};
		if (first + line < end) x = load_quad(o, line_of<queries>(p, z, group, first + line), c + 4 * quad);
		UNROLL for (u32 e = 0; e < 4; e++) ((float *)&to[spot(4 * quad + e, line / 4)])[line % 4] = x[e];
	}
}

// Lines are those of a tile: first to end-1 of an operand.
struct Lines {
	u32 first, end;
};

// products are those of each line of a with each of b: s[i][j] of lines 4 row + i and
// 4 column + j. Sums are by fma, from the first element on. Each thread makes 16 of
// two quads, which is 8 FLOPs for each byte of shared memory.
template <bool a_queries> DEV void products(float (&s)[4][4], f32x4 *room, const Operand &a, Lines la, const Operand &b, Lines lb, const Attend &p, u32 z, u32 group) {
	u32 row = tid() / 16, column = tid() % 16;
	f32x4 *left = room, *right = room + Deep * Tile / 4;
	UNROLL for (u32 i = 0; i < 4; i++)
		UNROLL for (u32 j = 0; j < 4; j++) s[i][j] = 0.0f;
	for (u32 c = 0; c < a.width; c += Deep) {
		sync();
		turn<a_queries>(left, a, p, z, group, la.first, la.end, c);
		turn<!a_queries>(right, b, p, z, group, lb.first, lb.end, c);
		sync();
		for (u32 l = 0; l < Deep; l++) {
			f32x4 x = left[spot(l, row)], y = right[spot(l, column)];
			UNROLL for (u32 i = 0; i < 4; i++)
				UNROLL for (u32 j = 0; j < 4; j++) s[i][j] = fma(x[i], y[j], s[i][j]);
		}
	}
}

// Panel is the part of a result that a block computes: a tile of lines, each of
// 16 W M columns, of which a thread has 4 lines and M times W columns.
template <int W, int M> struct Panel {
	static constexpr u32 width = 16 * W * M, lines = 4096 / width < Tile ? 4096 / width / 16 * 16 : Tile;
	float sum[4][W * M];

};

// column is where column m of a thread lies among those of the panel.
template <int W> DEV u32 column(u32 m) { return m / W * 16 * W + tid() % 16 * W + m % W; }

// rotate moves each element to the place before it: so a loop that is not unrolled
// has them all at place 0, in registers.
DEV void rotate(float (&x)[4]) {
	float first = x[0];
	UNROLL for (u32 i = 0; i < 3; i++) x[i] = x[i + 1];
	x[3] = first;
}

DEV void rotate(float (&x)[4][4]) {
	UNROLL for (u32 j = 0; j < 4; j++) {
		float first = x[0][j];
		UNROLL for (u32 i = 0; i < 3; i++) x[i][j] = x[i + 1][j];
		x[3][j] = first;
	}
}

// keep writes the weights of 16 pairs of lines for add to read.
DEV void keep(f32x4 *weights, const float (&s)[4][4]) {
	u32 row = tid() / 16, column = tid() % 16;
	UNROLL for (u32 j = 0; j < 4; j++) weights[spot(4 * column + j, row)] = f32x4{s[0][j], s[1][j], s[2][j], s[3][j]};
}

// add adds weights times lines of x, from column start on, in the order of the lines.
template <bool queries, int W, int M> DEV void add(Panel<W, M> &to, const f32x4 *weights, f32x4 *room, const Operand &x, u32 start, Lines lx, const Attend &p, u32 z, u32 group) {
	typedef Panel<W, M> P;
	u32 row = tid() / 16;
	for (u32 l0 = 0; l0 < Tile; l0 += P::lines) {
		sync();
		for (u32 i = tid(); i < P::lines * P::width / 4; i += TileThreads) {
			u32 line = lx.first + l0 + i / (P::width / 4), c = i % (P::width / 4) * 4;
			room[i] = line < lx.end ? load_quad(x, line_of<queries>(p, z, group, line), start + c) : f32x4{};
		}
		sync();
		u32 n = lesser_of(P::lines, Tile - l0);
		for (u32 l = 0; l < n; l++) {
			f32x4 w = weights[spot(l0 + l, row)];
			const float *line = (const float *)room + l * P::width;
			UNROLL for (u32 m = 0; m < W * M; m++) {
				float v = line[column<W>(m)];
				UNROLL for (u32 i = 0; i < 4; i++) to.sum[i][m] = fma(w[i], v, to.sum[i][m]);
			}
		}
	}
}

// rows_of are the rows that may see some of the keys from j on: all that see them
// lie among these.
DEV Lines rows_of(const Attend &p, u32 z, u32 j) {
	i64 n = p.seq, from = 0, to = n, past = past_of(p, z);
	if (p.causal) {
		from = (i64)j - past;
		if (p.window) to = (i64)j + Tile - 1 + p.window - past;
	}
	if (p.lengths && load_whole(p.lengths, p.lengths_type, z) <= (i64)j) to = 0;
	from = from < 0 ? 0 : from, to = to > n ? n : to;
	if (from >= to) return {0, 0};
	return {(u32)from * p.share / Tile * Tile, (u32)to * p.share};
}

// Exponents are how weights are made of scores, as the processor's kernels do it.
struct Exponents {
	DEV float power(float x) { return exp_of(x); }
	DEV float logarithm(float top) { return top; }
};

// chain puts a tile of keys behind those before it: both are scaled to the greatest score
// of all, the sums so far by *old, and the tile's by *its (arXiv:1805.02867). What a tile
// gives is relative to its own greatest score: so it is the same whoever computes it, tile
// after tile or all at once. A tile of which a row sees nothing changes nothing.
template <typename P> DEV __attribute__((always_inline)) void chain(float &top, float &total, float tile_top, float tile_total, float *old, float *its) {
	float now = greater(top, tile_top);
	*old = P::power(top - now);
	*its = P::power(tile_top - now);
	total = fma(total, *old, tile_total * *its);
	top = now;
}

// share_of is what sums are multiplied with at last: 0 for a row that saw nothing.
DEV float share_of(float total) { return total > 0.0f || total != total ? 1.0f / total : 0.0f; }

// weigh turns products of a row with four keys, from key j on, into weights relative to
// its greatest score in the tile. The 16 threads of a row are half a warp, and have the
// keys of a tile in order.
DEV __attribute__((always_inline)) void weigh(const Attend &p, u32 z, const Row &row, const i32 *documents, u32 j, float (&s)[4], float *tile_top, float *tile_total) {
	float top = Hidden, sum = 0.0f, slope;
	bool seen[4];
	UNROLL for (u32 i = 0; i < 4; i++) {
		seen[i] = sees(row, (i32)(j + i), documents[i]);
		if (!seen[i]) continue;
		s[i] = score(p, z, row, (i32)(j + i), s[i], &slope);
		top = greater(top, s[i]);
	}
	for (u32 m = 1; m < 16; m *= 2) top = greater(top, f32_bits(exchange(bits_f32(top), m)));
	UNROLL for (u32 i = 0; i < 4; i++) {
		s[i] = seen[i] ? exp_of(s[i] - top) : 0.0f;
		sum = sum + s[i];
	}
	for (u32 m = 1; m < 16; m *= 2) sum = sum + f32_bits(exchange(bits_f32(sum), m));
	*tile_top = top;
	*tile_total = sum;
}

// meet says whether some row belongs to the document of some key.
DEV bool meet(const Row *rows, const i32 *documents, u32 *flag) {
	sync();
	if (tid() == 0) *flag = 0;
	sync();
	if (tid() < Tile) {
		bool any = false;
		for (u32 i = 0; i < Tile; i++) any = any || rows[i].own == documents[tid()];
		if (any) add_up(flag, 1);
	}
	sync();
	return *flag != 0;
}
