// Discrete Fourier transforms of frames, as products with the matrix of cosines and
// sines, whose element (k, i) is number k i mod N of one circle: 4 N (N/2 + 1)
// operations for a frame. Sums go over elements, or bins, in order, by fma.
#include "number.h"

static constexpr u32 Tile = 64, Deep = 16; // 256 threads do a tile, each 4 x 4 elements

struct alignas(16) Four {
	float v[4];
};

// Fourier: rows of n elements have frames of N elements, hop apart, and bins.
struct Fourier {
	float *x, *real, *imag; // [rows, n]; [rows, bins, frames] each
	float *room;            // of synthesis: [rows, frames, N]
	const float *cosine, *sine, *window; // [N] each
	u64 rows, n, frames;
	u32 size, hop, bins; // size is N
	u32 even;
	float edge, middle; // what bins are multiplied by
};

// evenness is one over the sum of the squares of the windows over an element.
DEV float evenness(const Fourier &p, u64 e) {
	double sum = 0.0;
	u64 t = e < p.size ? 0 : (e - p.size) / p.hop + 1;
	for (; t < p.frames && t * p.hop <= e; t++) {
		double w = (double)p.window[e - t * p.hop];
		sum = sum + w * w;
	}
	return sum > 1e-11 ? (float)(1.0 / sum) : 0.0f;
}

DEV float bin_scale(const Fourier &p, u32 k) { return k == 0 || 2 * k == p.size ? p.edge : p.middle; }

struct Evenness {
	Fourier fourier;
	float *to; // [n]
};

// fourier_evenness computes evenness once for all rows.
KERNEL(fourier_evenness, Evenness) {
	for (u64 e = place(); e < p.fourier.n; e += (u64)blocks_x() * threads()) p.to[e] = evenness(p.fourier, e);
}

// turned adds the products of a tile of cosines and of sines with one of numbers.
DEV void turned(const Four (*a)[Tile / 4 + 1], const Four (*b)[Tile / 4 + 1], float (*sum)[4]) {
	for (u32 l = 0; l < Deep; l++) {
		Four u = a[l][tid() / 16], v = b[l][tid() % 16];
		UNROLL for (u32 i = 0; i < 4; i++)
			UNROLL for (u32 j = 0; j < 4; j++) sum[i][j] = fma(u.v[i], v.v[j], sum[i][j]);
	}
}

// analysis: a block does 64 bins of 64 frames of a row. p.room, if there, is
// evenness of each element.
KERNEL(analysis, Fourier) {
	SHARED Four cosines[Deep][Tile / 4 + 1], sines[Deep][Tile / 4 + 1], frame[Deep][Tile / 4 + 1];
	u64 start = (u64)block_x() * Tile;
	u32 top = block_y() * Tile;
	for (u64 row = block_z(); row < p.rows; row += 65535) {
		float re[4][4] = {}, im[4][4] = {};
		for (u32 first = 0; first < p.size; first += Deep) {
			u32 i = first + tid() % Deep, l = tid() % Deep;
			UNROLL for (u32 j = 0; j < 4; j++) {
				u32 at = tid() / Deep + 16 * j, k = top + at, angle = i < p.size ? (u32)((u64)k * i % p.size) : 0;
				bool there = i < p.size && k < p.bins;
				((float *)cosines[l])[at] = there ? p.cosine[angle] : 0.0f;
				((float *)sines[l])[at] = there ? p.sine[angle] : 0.0f;
				u64 t = start + at, e = t * p.hop + i;
				float v = 0.0f;
				if (i < p.size && t < p.frames) {
					v = p.x[row * p.n + e] * p.window[i];
					if (p.even) v = v * p.room[e];
				}
				((float *)frame[l])[at] = v;
			}
			sync();
			turned(cosines, frame, re);
			turned(sines, frame, im);
			sync();
		}
		UNROLL for (u32 i = 0; i < 4; i++)
			UNROLL for (u32 j = 0; j < 4; j++) {
				u32 k = top + tid() / 16 * 4 + i;
				u64 t = start + tid() % 16 * 4 + j, to = (row * p.bins + k) * p.frames + t;
				if (k < p.bins && t < p.frames) p.real[to] = re[i][j] * bin_scale(p, k), p.imag[to] = -im[i][j] * bin_scale(p, k);
			}
	}
}

// synthesis_frames: a block does 64 elements of 64 frames of a row, windowed.
KERNEL(synthesis_frames, Fourier) {
	SHARED Four cosines[Deep][Tile / 4 + 1], sines[Deep][Tile / 4 + 1], real[Deep][Tile / 4 + 1], imag[Deep][Tile / 4 + 1];
	u64 start = (u64)block_x() * Tile;
	u32 top = block_y() * Tile;
	for (u64 row = block_z(); row < p.rows; row += 65535) {
		float sum[4][4] = {};
		for (u32 first = 0; first < p.bins; first += Deep) {
			UNROLL for (u32 j = 0; j < 4; j++) {
				u32 l = tid() / Tile + 4 * j, at = tid() % Tile, k = first + l, i = top + at, angle = (u32)((u64)k * i % p.size);
				bool there = k < p.bins && i < p.size, frame = k < p.bins && start + at < p.frames;
				u64 from = (row * p.bins + k) * p.frames + start + at;
				((float *)cosines[l])[at] = there ? p.cosine[angle] : 0.0f;
				((float *)sines[l])[at] = there ? -p.sine[angle] : 0.0f;
				((float *)real[l])[at] = frame ? p.real[from] * bin_scale(p, k) : 0.0f;
				((float *)imag[l])[at] = frame ? p.imag[from] * bin_scale(p, k) : 0.0f;
			}
			sync();
			turned(cosines, real, sum);
			turned(sines, imag, sum);
			sync();
		}
		UNROLL for (u32 j = 0; j < 4; j++)
			UNROLL for (u32 i = 0; i < 4; i++) {
				u32 e = top + tid() / 16 * 4 + i;
				u64 t = start + tid() % 16 * 4 + j;
				if (e < p.size && t < p.frames) p.room[(row * p.frames + t) * p.size + e] = sum[i][j] * p.window[e];
			}
	}
}

// synthesis adds frames where they overlap, the first one first.
KERNEL(synthesis, Fourier) {
	for (u64 o = place(); o < p.rows * p.n; o += (u64)blocks_x() * threads()) {
		u64 row = o / p.n, e = o % p.n, t = e < p.size ? 0 : (e - p.size) / p.hop + 1;
		float sum = 0.0f;
		for (; t < p.frames && t * p.hop <= e; t++) sum = sum + p.room[(row * p.frames + t) * p.size + (e - t * p.hop)];
		p.x[o] = p.even ? sum * evenness(p, e) : sum;
	}
}
