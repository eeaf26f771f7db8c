// What all kernels of matrix products are asked for.
#pragma once
#include "activation.h"
#include "walk.h"

struct MatMul {
	void *y;
	const void *a, *b, *up, *bias, *up_bias; // up and what is added may be left out
	u64 m, n, k;
	i64 a_row, a_column, b_row, b_column; // how far apart neighbours are: a is [m, k], b and up are [k, n]
	u32 a_type, b_type, y_type, bias_type;
	u32 activation; // of a b, times a up if there is one
	Walk<2> batch;
	const void *expert;    // where b is of experts: which of them each `every`th number says for one of the batch
	u64 experts;           // others than these have no product, and nothing is written
	i64 expert_apart;      // how far they are apart in b
	u32 every, expert_type;
	const void *plus; // what the result is added to, as it lies and of its type; may be left out, and be y
};

// of_expert moves the place of b to the expert's; false if there is none.
DEV bool of_expert(const MatMul &p, u64 z, i64 *where) {
	if (!p.expert) return true;
	i64 e = load_whole(p.expert, p.expert_type, (i64)(z * p.every));
	if (e < 0 || e >= (i64)p.experts) return false;
	where[1] += e * p.expert_apart;
	return true;
}

// finished is what becomes of a sum in column c, and of that of up.
DEV float finished(const MatMul &p, u64 c, float v, float up) {
	if (p.bias) v = v + load_float(p.bias, p.bias_type, c);
	if (p.activation) v = activate(p.activation, v);
	if (p.up) v = v * (p.up_bias ? up + load_float(p.up_bias, p.bias_type, c) : up);
	return v;
}

// put_one stores element i of the result, of which v is what finished gave. Every kernel of
// products ends so, or with what gives the same.
DEV void put_one(const MatMul &p, u64 i, float v) {
	if (p.plus) v = joined(p.plus, p.y_type, (i64)i, v);
	store_float(p.y, p.y_type, (i64)i, v);
}
