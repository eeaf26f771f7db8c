// What kernels of attention on tensor cores share: copies of tiles, products of
// tiles, weights, and sums of values. Keys and values have one type of 16 bits and lines
// of whole 16 bytes; queries have it, too, or are float32 in `parts` numbers of 16 bits, as
// are their weights then. Scores, weights' sums and sums are float32.
//
// A tile of 64 keys gives each row its greatest score, in powers of 2, the sum of its
// weights relative to that, and the sum of values by these weights, rounded to the
// operands' type. Chain puts tiles together one by one. All three depend on the row and
// the tile alone, so who computes them, and when, changes no bit: tiles of many rows
// (attention_tensor.cu) and parts of the keys for few rows (attention_split.cu) agree.
#pragma once
#include "attention.h"
#include "tensor.h"

// What gets arrays of registers becomes part of its caller.
#define ALWAYS __attribute__((always_inline))

static constexpr float Log2e = 0x1.715476p+00f, Ln2 = 0x1.62e43p-01f;

// Lines of an operand lie in shared memory pitch_of bytes apart: whole steps of 32
// elements, zeros beyond the width, and 16 bytes more, so that the 8 lines that
// ldmatrix reads together lie in different banks.
DEV u32 steps_of(u32 width) { return (width + 31) / 32; }
DEV u32 pitch_of(u32 width) { return 64 * steps_of(width) + 16; }

// stage begins to copy lines first to end-1 of an operand; of count lines the others
// are zeros. Eight threads copy 128 bytes of a line.
template <bool queries> DEV ALWAYS void stage(u8 *to, u32 count, const Operand &o, const Attend &p, u32 z, u32 group, u32 first, u32 end) {
	u32 chunks = 4 * steps_of(o.width), pitch = pitch_of(o.width);
	for (u32 l = tid() / 8; l < count; l += threads() / 8) {
		bool there = first + l < end;
		const u16 *from = (const u16 *)o.at + (there ? line_of<queries>(p, z, group, first + l) * o.width : 0);
		for (u32 c = tid() % 8; c < chunks; c += 8) {
			bool in = there && 8 * c < o.width;
			copy_async<16>(to + l * pitch + 16 * c, in ? from + 8 * c : (const u16 *)o.at, in ? 16 : 0);
		}
	}
}

// Powers are how weights are made of scores that are powers of 2, see Exponents.
struct Powers {
	DEV float power(float x) { return power2(x); }
	DEV float logarithm(float top) { return top * Ln2; }
};

// split_pair takes two numbers of the type off two floats, which keep the rest: three of
// BF16 hold a float32, two of F16 22 bits of one that is not far below the greatest.
template <u32 type> DEV ALWAYS u32 split_pair(float &low, float &high) {
	u32 u = pack_half<type>(low, high);
	low = low - (type == BF16 ? bf16_value((u16)u) : f16_value((u16)u));
	high = high - (type == BF16 ? bf16_value((u16)(u >> 16)) : f16_value((u16)(u >> 16)));
	return u;
}

// unit_of is a power of 2 of which the elements of a line have at most 2^14, so that F16
// holds them; eight threads have the line.
DEV ALWAYS float unit_of(const Operand &o, i64 line) {
	float top = 0.0f;
	for (u32 c = tid() % 8; line >= 0 && 4 * c < o.width; c += 8) {
		f32x4 x = load_quad(o, line, 4 * c);
		UNROLL for (u32 e = 0; e < 4; e++) top = __builtin_fmaxf(top, magnitude(x[e]));
	}
	for (u32 m = 1; m < 8; m *= 2) top = __builtin_fmaxf(top, f32_bits(exchange(bits_f32(top), m)));
	i32 e = (i32)(bits_f32(top) >> 23) - 127 - 13;
	return power_of_two(e < -100 ? -100 : e);
}

// stage_parts writes lines of float32 queries in parts, planes of `count` lines each, the
// greatest part first; of F16 they are multiples of units.
template <u32 type, u32 parts> DEV ALWAYS void stage_parts(u8 *to, float *units, u32 count, const Operand &o, const Attend &p, u32 z, u32 group, u32 first, u32 end) {
	u32 chunks = 4 * steps_of(o.width), pitch = pitch_of(o.width);
	for (u32 l = tid() / 8; l < count; l += threads() / 8) {
		i64 line = first + l < end ? line_of<true>(p, z, group, first + l) : -1;
		float unit = 1.0f;
		if constexpr (type == F16) {
			unit = unit_of(o, line);
			if (tid() % 8 == 0) units[l] = unit;
			unit = 1.0f / unit;
		}
		for (u32 c = tid() % 8; c < chunks; c += 8) {
			f32x4 x = {}, y = {};
			if (line >= 0) x = load_quad(o, line, 8 * c), y = load_quad(o, line, 8 * c + 4);
			float v[8] = {x[0] * unit, x[1] * unit, x[2] * unit, x[3] * unit, y[0] * unit, y[1] * unit, y[2] * unit, y[3] * unit};
			UNROLL for (u32 part = 0; part < parts; part++) {
				u32x4 u;
				UNROLL for (u32 i = 0; i < 4; i++) u[i] = split_pair<type>(v[2 * i], v[2 * i + 1]);
				*(u32x4 *)(to + (part * count + l) * pitch + 16 * c) = u;
			}
		}
	}
}

// dots are the products of 16 M lines of a, in planes of parts, with 8 N of b: s[m][n] of
// lines 16 m + .. and 8 n + .., as mma lays them out; each is one chain from the first
// element on, least part first. A matrix of b serves M parts products: with 2 shared
// memory is read at half the rate it has.
template <u32 type, u32 M, u32 parts = 1, u32 N = 8> DEV ALWAYS void dots(float (&s)[M][N][4], const u8 *a, const u8 *b, u32 width, u32 plane = 0) {
	u32 lane = tid() % Warp, pitch = pitch_of(width);
	const u8 *left = a + lane % 16 * pitch + lane / 16 * 16, *right = b + (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 16;
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 n = 0; n < N; n++)
			UNROLL for (u32 e = 0; e < 4; e++) s[m][n][e] = 0.0f;
	for (u32 step = steps_of(width); step > 0; step--, left += 64, right += 64)
		UNROLL for (u32 h = 0; h < 64; h += 32) {
			u32 x[parts][M][4];
			UNROLL for (u32 i = 0; i < parts; i++)
				UNROLL for (u32 m = 0; m < M; m++) load_matrices<4, false>(x[i][m], left + i * plane + 16 * m * pitch + h);
			UNROLL for (u32 n = 0; n < N / 2; n++) {
				u32 y[4];
				load_matrices<4, false>(y, right + 16 * n * pitch + h);
				UNROLL for (u32 i = parts; i > 0; i--)
					UNROLL for (u32 m = 0; m < M; m++) mma_half<type>(s[m][2 * n], x[i - 1][m], y), mma_half<type>(s[m][2 * n + 1], x[i - 1][m], y + 2);
			}
		}
}

// in_units multiplies products by the units of their lines.
template <u32 M> DEV ALWAYS void in_units(float (&s)[M][8][4], const float *units) {
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 h = 0; h < 2; h++) {
			float unit = units[16 * m + 8 * h + tid() % Warp / 4];
			UNROLL for (u32 n = 0; n < 8; n++) s[m][n][2 * h] = s[m][n][2 * h] * unit, s[m][n][2 * h + 1] = s[m][n][2 * h + 1] * unit;
		}
}

// packed are results of mma as the left operand of another, in parts.
template <u32 type, u32 M, u32 parts = 1> DEV ALWAYS void packed(u32 (&w)[parts][M][4][4], float (&s)[M][8][4]) {
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 k = 0; k < 4; k++)
			UNROLL for (u32 i = 0; i < 4; i++) {
				float &low = s[m][2 * k + i / 2][i % 2 * 2], &high = s[m][2 * k + i / 2][i % 2 * 2 + 1];
				UNROLL for (u32 part = 0; part < parts; part++) w[part][m][k][i] = split_pair<type>(low, high);
			}
}

// quad_greatest and quad_sum join the four threads of a row.
DEV ALWAYS float quad_greatest(float x) {
	x = __builtin_fmaxf(x, f32_bits(exchange(bits_f32(x), 1)));
	return __builtin_fmaxf(x, f32_bits(exchange(bits_f32(x), 2)));
}

DEV ALWAYS float quad_sum(float x) {
	x = x + f32_bits(exchange(bits_f32(x), 1));
	return x + f32_bits(exchange(bits_f32(x), 2));
}

// plain says whether scores are products times a number.
DEV bool plain(const Attend &p) { return !(p.softcap > 0.0f) && !p.mask && !(p.alibi > 0.0f); }

// hide makes products of pairs that don't see each other minus infinity.
template <u32 M> DEV ALWAYS void hide(const Attend &p, const Row *rows, const i32 *documents, u32 j0, float (&s)[M][8][4]) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 h = 0; h < 2; h++) {
			const Row &row = rows[16 * m + 8 * h + g];
			i32 lo = row.lo - (i32)(j0 + 2 * t), hi = row.hi - (i32)(j0 + 2 * t), own = row.own;
			UNROLL for (u32 n = 0; n < 8; n++)
				UNROLL for (u32 e = 0; e < 2; e++) {
					i32 key = (i32)(8 * n + e);
					bool seen = key >= lo && key < hi;
					if (p.segments) seen = seen && documents[8 * n + 2 * t + e] == own;
					if (!seen) s[m][n][2 * h + e] = -__builtin_inff();
				}
		}
}

// rotate moves each block of columns to the place before it, as rotate of attention.h.
template <u32 M, u32 N> DEV ALWAYS void rotate(float (&s)[M][N][4]) {
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 e = 0; e < 4; e++) {
			float first = s[m][0][e];
			UNROLL for (u32 n = 0; n < N - 1; n++) s[m][n][e] = s[m][n + 1][e];
			s[m][N - 1][e] = first;
		}
}

// scored turns products into scores, in powers of 2, where they are more than products
// times a number.
template <u32 M> DEV ALWAYS void scored(const Attend &p, u32 z, const Row *rows, const i32 *documents, u32 j0, float (&s)[M][8][4]) {
	u32 g = tid() % Warp / 4, t = tid() % 4;
	for (u32 n = 0; n < 8; n++) {
		UNROLL for (u32 m = 0; m < M; m++)
			UNROLL for (u32 e = 0; e < 4; e++) {
				const Row &row = rows[16 * m + e / 2 * 8 + g];
				u32 key = 8 * n + 2 * t + e % 2;
				float slope;
				s[m][0][e] = sees(row, (i32)(j0 + key), documents[key]) ? score(p, z, row, (i32)(j0 + key), s[m][0][e], &slope) * Log2e : -__builtin_inff();
			}
		rotate(s);
	}
}

// Tops are of each row of a thread: the greatest score, and the sum of weights.
template <u32 M> struct Tops {
	float top[M][2], total[M][2];
};

// weigh turns products of a tile into weights relative to the row's greatest score. All
// pairs of the warp see each other where whole is set.
template <u32 M> DEV ALWAYS void weigh(const Attend &p, u32 z, const Row *rows, const i32 *documents, u32 j0, bool whole, float (&s)[M][8][4], Tops<M> &tile) {
	float c = p.scale * Log2e;
	if (!plain(p)) {
		scored(p, z, rows, documents, j0, s);
		c = 1.0f;
	} else if (!whole) {
		hide(p, rows, documents, j0, s);
	}
	UNROLL for (u32 m = 0; m < M; m++)
		UNROLL for (u32 h = 0; h < 2; h++) {
			float top = -__builtin_inff(), sum = 0.0f;
			UNROLL for (u32 n = 0; n < 8; n++) top = __builtin_fmaxf(top, __builtin_fmaxf(s[m][n][2 * h], s[m][n][2 * h + 1]));
			top = __builtin_fmaxf(Hidden, quad_greatest(top) * c);
			UNROLL for (u32 n = 0; n < 8; n++)
				UNROLL for (u32 e = 2 * h; e < 2 * h + 2; e++) {
					s[m][n][e] = power2(fma(s[m][n][e], c, -top));
					sum = sum + s[m][n][e];
				}
			tile.top[m][h] = top;
			tile.total[m][h] = quad_sum(sum);
		}
}

// add puts sums of 64 lines of x by the weights behind the sums before them. A branch
// leaves columns beyond the width alone.
template <u32 type, u32 M, u32 W, u32 parts> DEV ALWAYS void add(float (&sums)[M][W / 8][4], const u32 (&w)[parts][M][4][4], const u8 *x, u32 width, const float (&old)[M][2], const float (&its)[M][2]) {
	constexpr u32 N = 4 / M; // blocks of columns at once: four chains of mma
	u32 lane = tid() % Warp, pitch = pitch_of(width);
	const u8 *at = x + lane % 16 * pitch + lane / 16 * 16;
	UNROLL for (u32 n = 0; n < W / 8; n += N) {
		if (8 * n >= width) continue;
		float c[M][N][4] = {};
		UNROLL for (u32 k = 0; k < 4; k++)
			UNROLL for (u32 i = 0; i < N; i += 2) {
				u32 y[4];
				load_matrices<4, true>(y, at + 16 * k * pitch + 16 * (n + i));
				UNROLL for (u32 l = parts; l > 0; l--)
					UNROLL for (u32 m = 0; m < M; m++) mma_half<type>(c[m][i], w[l - 1][m][k], y), mma_half<type>(c[m][i + 1], w[l - 1][m][k], y + 2);
			}
		UNROLL for (u32 m = 0; m < M; m++)
			UNROLL for (u32 i = 0; i < N; i++)
				UNROLL for (u32 e = 0; e < 4; e++) sums[m][n + i][e] = fma(sums[m][n + i][e], old[m][e / 2], c[m][i][e] * its[m][e / 2]);
	}
}

// next_tile is the first tile from j on that may hold keys of the documents low to high;
// those between may be skipped, which changes nothing. Each warp finds the same.
DEV u32 next_tile(const Attend &p, u32 z, i32 low, i32 high, u32 j, u32 to) {
	if (!p.segments) return j;
	for (; j < to; j += Tile) {
		u32 any = 0;
		for (u32 i = tid() % Warp; i < Tile && j + i < p.keys; i += Warp) {
			i32 document = document_of(p, z, j + i);
			any |= document >= low && document <= high;
		}
		for (u32 m = 1; m < Warp; m *= 2) any |= exchange(any, m);
		if (any) break;
	}
	return j;
}
