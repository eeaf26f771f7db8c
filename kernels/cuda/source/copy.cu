// Elements that move as they are.
#include "walk.h"

struct Copy {
	u8 *to;
	const u8 *from;
	u32 bytes; // of an element: 1, 2, 4, 8 or 16
	Walk<2> walk;
};

template <class T> DEV void move(const Copy &p) {
	for (u64 i = place(); i < p.walk.n; i += (u64)blocks_x() * threads()) {
		i64 where[2];
		at(p.walk, i, where);
		((T *)p.to)[where[0]] = ((const T *)p.from)[where[1]];
	}
}

// copy is to[walk] = from[walk].
KERNEL(copy, Copy) {
	switch (p.bytes) {
	case 1: return move<u8>(p);
	case 2: return move<u16>(p);
	case 4: return move<u32>(p);
	case 8: return move<u64>(p);
	case 16: return move<u32x4>(p);
	}
}

struct Fill {
	u8 *to;
	u64 n;
	u64 value; // its low bytes
	u32 bytes;
};

template <class T> DEV void set(const Fill &p) {
	for (u64 i = place(); i < p.n; i += (u64)blocks_x() * threads()) ((T *)p.to)[i] = (T)p.value;
}

// fill makes n elements one value.
KERNEL(fill, Fill) {
	switch (p.bytes) {
	case 1: return set<u8>(p);
	case 2: return set<u16>(p);
	case 4: return set<u32>(p);
	case 8: return set<u64>(p);
	}
}
