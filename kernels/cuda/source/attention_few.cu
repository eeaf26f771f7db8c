// Attention of few rows, as those of one token, with sums in float32 for any type of
// element: a block takes a tile of 64 keys for up to 8 rows of a group, and
// attention_few_join puts the tiles together. Each sum has the order that it has in
// attention.cu, so a row gets the same bits there.
//
// Bytes: keys and values once for 8 rows, which is all: bound by memory, 4.8 TB/s on
// H200. A multiprocessor has its share of a tile of d = dv = 128 in 3,280 cycles, or 1,640
// in 16 bits; it takes about 190 for each row. Six blocks hold 34 KiB each, of which 16
// are on their way for each block: keys, and then values in their place. For each tile a
// row has dv + 2 floats written and read again: of four rows that is a sixteenth of the
// bytes of float32, and stays in the second cache.
#include "attention_join.h"
#include "tensor.h"

static constexpr u32 FewThreads = 128, Ahead = 8;

// Tiles of 64 lines lie in shared memory in quads, the lines an odd number of these
// apart: neither those who read a column of lines nor those who read a line meet in a bank.
DEV u32 quads_of(u32 width) { return (width + 3) / 4; }
DEV u32 apart(u32 width) { return quads_of(width) | 1; }

// lay copies lines first to end-1 of an operand as float32; the others of 64 are zeros.
// Side by side are as many threads as quads of a line, rounded up to a power of 2, so that
// there is no division; eight loads of each are on their way at once.
DEV void lay(f32x4 *to, const Operand &o, const Attend &p, u32 z, u32 group, u32 first, u32 end) {
	u32 quads = quads_of(o.width), bits = 0;
	while (1u << bits < quads) bits++;
	u32 c = tid() & ((1u << bits) - 1), step = FewThreads >> bits;
	if (c >= quads) return;
	for (u32 l0 = tid() >> bits; l0 < Tile; l0 += Ahead * step) {
		f32x4 x[Ahead];
		UNROLL for (u32 k = 0; k < Ahead; k++) {
			u32 line = first + l0 + k * step;
			x[k] = f32x4{};
			if (l0 + k * step < Tile && line < end) x[k] = load_quad(o, line_of<false>(p, z, group, line), 4 * c);
		}
		UNROLL for (u32 k = 0; k < Ahead; k++)
			if (l0 + k * step < Tile) to[(l0 + k * step) * apart(o.width) + c] = x[k];
	}
}

// few: grid x goes over [tiles, batch, groups, chunks], so that the tiles which are seen
// are spread evenly. Room is for R queries, the weights of R rows, and 64 lines.
template <u32 R> DEV __attribute__((always_inline)) void few(const Split &p) {
	SHARED Row rows[R];
	SHARED i32 documents[Tile];
	constexpr u32 Each = R > 1 ? R / 2 : 1; // rows of a thread, whose products are those of one key
	const Attend &a = p.a;
	u32 n = a.seq * a.share, width = a.v.width, each = p.chunks * a.groups * a.batch, quads = quads_of(a.q.width);
	f32x4 *q = (f32x4 *)room(), *weights = q + R * quads, *lines = weights + R * Tile / 4;
	for (u64 b = block_x(); b < (u64)each * p.count; b += blocks_x()) {
		u32 i = (u32)(b / each), first = (u32)(b % p.chunks) * R, group = (u32)(b / p.chunks % a.groups), z = (u32)(b / p.chunks / a.groups % a.batch);
		u32 j = i * Tile, live = lesser_of(R, n - first);
		sync();
		if (tid() < R) rows[tid()] = row_of(a, z, group, first + tid());
		if (tid() < Tile) documents[tid()] = document_of(a, z, j + tid());
		sync();
		u32 to = (u32)rows[live - 1].hi;
		if (j >= to || j + Tile <= (u32)rows[0].lo) continue;
		for (u32 k = tid(); k < R * quads; k += FewThreads) {
			u32 r = first + k / quads;
			q[k] = r < n ? load_quad(a.q, line_of<true>(a, z, group, r), k % quads * 4) : f32x4{};
		}
		lay(lines, a.k, a, z, group, j, to);
		sync();
		u32 key = tid() % Tile, half = tid() / Tile;
		if (half < R) {
			const f32x4 *own = lines + key * apart(a.k.width), *of = q + half * Each * quads;
			float s[Each] = {};
			for (u32 c = 0; c < quads; c++) {
				f32x4 y = own[c];
				UNROLL for (u32 r = 0; r < Each; r++) {
					f32x4 x = of[r * quads + c];
					UNROLL for (u32 e = 0; e < 4; e++) s[r] = fma(x[e], y[e], s[r]);
				}
			}
			UNROLL for (u32 r = 0; r < Each; r++) ((float *)weights)[(half * Each + r) * Tile + key] = s[r];
		}
		sync();
		lay(lines, a.v, a, z, group, j, to);
		u32 row = tid() / 16, column = tid() % 16;
		float top, total;
		if (tid() < Warp * ((R + 1) / 2)) { // whole warps: beside one row are zeros
			u32 own = row < R ? row : 0;
			f32x4 w = row < R ? weights[own * (Tile / 4) + column] : f32x4{};
			float s[4] = {w[0], w[1], w[2], w[3]};
			weigh(a, z, rows[own], documents + 4 * column, j + 4 * column, s, &top, &total);
			if (row < R) weights[row * (Tile / 4) + column] = f32x4{s[0], s[1], s[2], s[3]};
			u32 r = first + row;
			if (column == 0 && row < R && r < n) {
				float *to = p.parts + (line_of<true>(a, z, group, r) * p.count + i) * (width + 2) + width;
				to[0] = top, to[1] = total;
			}
		}
		sync();
		for (u32 c = tid(); c < width; c += FewThreads) {
			const float *of = (const float *)lines + c;
			u32 pitch = 4 * apart(width);
			float sums[R] = {};
			for (u32 l = 0; l < Tile; l += 4) {
				float x[4];
				UNROLL for (u32 e = 0; e < 4; e++) x[e] = of[(l + e) * pitch];
				UNROLL for (u32 r = 0; r < R; r++) {
					f32x4 w = weights[r * (Tile / 4) + l / 4];
					UNROLL for (u32 e = 0; e < 4; e++) sums[r] = fma(w[e], x[e], sums[r]);
				}
			}
			UNROLL for (u32 r = 0; r < R; r++)
				if (first + r < n) p.parts[(line_of<true>(a, z, group, first + r) * p.count + i) * (width + 2) + c] = sums[r];
		}
	}
}

KERNEL(attention_few_1, Split) { few<1>(p); }
KERNEL(attention_few_2, Split) { few<2>(p); }
KERNEL(attention_few_4, Split) { few<4>(p); }
KERNEL(attention_few_8, Split) { few<8>(p); }
KERNEL(attention_few_join, Split) { join<Exponents>(p); }
