// Places in tensors of several axes.
#pragma once
#include "gpu.h"

// Axes is the most that a tensor has once axes that lie together are one.
static const u32 Axes = 8;

// Walk says where the elements of operands lie: stride[k][i] is how far
// neighbours along axis i of operand k are apart.
template <int operands> struct Walk {
	u64 n;
	u32 rank;
	u32 size[Axes];
	i64 stride[operands][Axes];
};

// at finds the places of element i in C order. Numbers of 32 bits are divided
// where they do: a division of 64 costs several times as much as an element.
template <int operands> DEV void at(const Walk<operands> &w, u64 i, i64 *where) {
#pragma unroll
	for (int k = 0; k < operands; k++) where[k] = 0;
	if (w.n >> 32) {
		for (int a = (int)w.rank - 1; a >= 0; a--) {
			u64 next = i / w.size[a];
			i64 j = (i64)(i - next * w.size[a]);
#pragma unroll
			for (int k = 0; k < operands; k++) where[k] += j * w.stride[k][a];
			i = next;
		}
		return;
	}
	u32 rest = (u32)i;
	for (int a = (int)w.rank - 1; a >= 0; a--) {
		u32 next = a ? rest / w.size[a] : 0, j = rest - next * w.size[a];
#pragma unroll
		for (int k = 0; k < operands; k++) where[k] += (i64)j * w.stride[k][a];
		rest = next;
	}
}
