// Matrix products. Each element of the result is one sum, by fma, from the first
// product to the last, whatever the sizes: so a row is the same in any company.
#include "number.h"
#include "walk.h"

static constexpr u32 Tile = 64, Deep = 16, Each = 4; // 256 threads do a tile, each 4 x 4 elements

struct MatMul {
	void *y;
	const void *a, *b, *bias; // bias may be left out
	u64 m, n, k;
	i64 a_row, a_column, b_row, b_column; // how far apart neighbours are: a is [m, k], b is [k, n]
	u32 a_type, b_type, y_type, bias_type;
	Walk<2> batch;
};

KERNEL(matmul, MatMul) {
	SHARED float left[Deep][Tile + 1], right[Deep][Tile + 1];
	u32 row = tid() / 16, column = tid() % 16;
	u64 top = (u64)block_y() * Tile, start = (u64)block_x() * Tile;
	for (u64 z = block_z(); z < p.batch.n; z += 65535) {
		i64 where[2];
		at(p.batch, z, where);
		float sum[Each][Each] = {};
		for (u64 k = 0; k < p.k; k += Deep) {
			for (u32 i = tid(); i < Deep * Tile; i += 256) {
				// Neighbouring threads read what lies together.
				u32 ak = p.a_column == 1 ? i % Deep : i / Tile, ar = p.a_column == 1 ? i / Deep : i % Tile;
				u32 bk = p.b_row == 1 ? i % Deep : i / Tile, bc = p.b_row == 1 ? i / Deep : i % Tile;
				left[ak][ar] = top + ar < p.m && k + ak < p.k ? load_float(p.a, p.a_type, where[0] + (i64)(top + ar) * p.a_row + (i64)(k + ak) * p.a_column) : 0.0f;
				right[bk][bc] = start + bc < p.n && k + bk < p.k ? load_float(p.b, p.b_type, where[1] + (i64)(k + bk) * p.b_row + (i64)(start + bc) * p.b_column) : 0.0f;
			}
			sync();
			u32 deep = p.k - k < Deep ? (u32)(p.k - k) : Deep;
			for (u32 l = 0; l < deep; l++)
				for (u32 i = 0; i < Each; i++)
					for (u32 j = 0; j < Each; j++) sum[i][j] = fma(left[l][row + 16 * i], right[l][column + 16 * j], sum[i][j]);
			sync();
		}
		for (u32 i = 0; i < Each; i++)
			for (u32 j = 0; j < Each; j++) {
				u64 r = top + row + 16 * i, c = start + column + 16 * j;
				if (r >= p.m || c >= p.n) continue;
				float v = sum[i][j];
				if (p.bias) v = v + load_float(p.bias, p.bias_type, c);
				store_float(p.y, p.y_type, (z * p.m + r) * p.n + c, v);
			}
	}
}
