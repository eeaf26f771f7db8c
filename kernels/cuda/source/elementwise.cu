// One element of the result from one of each operand, which repeat to the shape
// of the result by the rules of NumPy.
#include "function.h"
#include "walk.h"

struct Elementwise {
	void *y;
	const void *a, *b;
	u32 function;
	u32 type; // of the operands; the result has it too, or is bool
	Walk<2> walk;
};

DEV i64 function_of(u32 f, i64 a, i64 b) {
	switch (f) {
	case Neg: return -a;
	case Abs: return a < 0 ? -a : a;
	case Sign: return (a > 0) - (a < 0);
	case Add: return a + b;
	case Sub: return a - b;
	case Mul: return a * b;
	case Max: return a > b ? a : b;
	case Min: return a < b ? a : b;
	}
	return 0;
}

template <class T> DEV u8 holds(u32 f, T a, T b) {
	switch (f) {
	case Eq: return a == b;
	case Ne: return a != b;
	case Lt: return a < b;
	case Le: return a <= b;
	case Not: return a == (T)0;
	case And: return a != (T)0 && b != (T)0;
	case Or: return a != (T)0 || b != (T)0;
	}
	return 0;
}

KERNEL(elementwise, Elementwise) {
	for (u64 i = place(); i < p.walk.n; i += (u64)blocks_x() * threads()) {
		i64 where[2];
		at(p.walk, i, where);
		if (p.type <= F16) {
			float a = load_float(p.a, p.type, where[0]), b = p.b ? load_float(p.b, p.type, where[1]) : 0.0f;
			if (p.function < Eq)
				store_float(p.y, p.type, i, function_of(p.function, a, b));
			else
				((u8 *)p.y)[i] = holds(p.function, a, b);
		} else {
			i64 a = load_whole(p.a, p.type, where[0]), b = p.b ? load_whole(p.b, p.type, where[1]) : 0;
			if (p.function < Eq)
				store_whole(p.y, p.type, i, function_of(p.function, a, b));
			else
				((u8 *)p.y)[i] = holds(p.function, a, b);
		}
	}
}

struct Cast {
	void *y;
	const void *x;
	u64 n;
	u32 from, to;
	u32 truth; // whether the result is bool
};

// cast converts elements; to whole numbers towards zero.
KERNEL(cast, Cast) {
	for (u64 i = place(); i < p.n; i += (u64)blocks_x() * threads()) {
		if (p.from >= I64 && p.to >= I64) {
			i64 v = load_whole(p.x, p.from, i);
			store_whole(p.y, p.to, i, p.truth ? v != 0 : v);
			continue;
		}
		double v = p.from >= I64 ? (double)load_whole(p.x, p.from, i) : p.from == F64 ? ((const double *)p.x)[i] : (double)load_float(p.x, p.from, i);
		if (p.to >= I64)
			store_whole(p.y, p.to, i, p.truth ? v != 0.0 : (i64)v);
		else if (p.to == F64)
			((double *)p.y)[i] = v;
		else
			store_float(p.y, p.to, i, p.from == I64 ? (float)load_whole(p.x, p.from, i) : (float)v);
	}
}

struct Select {
	u8 *y;
	const u8 *condition, *a, *b;
	u32 bytes;
	Walk<3> walk;
};

template <class T> DEV void choose(const Select &p) {
	for (u64 i = place(); i < p.walk.n; i += (u64)blocks_x() * threads()) {
		i64 where[3];
		at(p.walk, i, where);
		((T *)p.y)[i] = p.condition[where[0]] ? ((const T *)p.a)[where[1]] : ((const T *)p.b)[where[2]];
	}
}

// select is a where the condition holds, else b.
KERNEL(select, Select) {
	switch (p.bytes) {
	case 1: return choose<u8>(p);
	case 2: return choose<u16>(p);
	case 4: return choose<u32>(p);
	case 8: return choose<u64>(p);
	}
}

struct Iota {
	void *y;
	u64 n;
	u64 size, inner; // of the axis, and the elements behind it
	u32 type;
};

// iota is the place along an axis.
KERNEL(iota, Iota) {
	for (u64 i = place(); i < p.n; i += (u64)blocks_x() * threads()) {
		u64 v = i / p.inner % p.size;
		if (p.type <= F16)
			store_float(p.y, p.type, i, (float)v);
		else
			store_whole(p.y, p.type, i, (i64)v);
	}
}
