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

// Turn moves matrices [high, wide] whose neighbours along `high` lie together in from, and
// along `wide` in to.
struct Turn {
	u8 *to;
	const u8 *from;
	u64 high, wide;
	i64 to_apart, from_apart; // how far neighbours along high are apart in to, and along wide in from
	u32 bytes;                // of an element: 1, 2, 4 or 8
	Walk<2> batch;
};

static constexpr u32 Edge = 32;

// turn_tile goes through shared memory, so that both sides are read and written in whole
// sectors; a column of a tile lies in banks of its own.
template <class T> DEV void turn_tile(const Turn &p) {
	SHARED T tile[Edge][Edge + 1];
	u64 across = (p.wide + Edge - 1) / Edge, top = block_x() / across * Edge, left = block_x() % across * Edge;
	u32 x = tid() % Edge, y = tid() / Edge, lines = threads() / Edge;
	for (u64 z = block_z(); z < p.batch.n; z += 65535) {
		i64 where[2];
		at(p.batch, z, where);
		for (u32 j = y; j < Edge; j += lines)
			if (top + x < p.high && left + j < p.wide) tile[j][x] = ((const T *)p.from)[where[1] + (i64)(left + j) * p.from_apart + (i64)(top + x)];
		sync();
		for (u32 j = y; j < Edge; j += lines)
			if (top + j < p.high && left + x < p.wide) ((T *)p.to)[where[0] + (i64)(top + j) * p.to_apart + (i64)(left + x)] = tile[x][j];
		sync();
	}
}

KERNEL(turn, Turn) {
	switch (p.bytes) {
	case 1: return turn_tile<u8>(p);
	case 2: return turn_tile<u16>(p);
	case 4: return turn_tile<u32>(p);
	case 8: return turn_tile<u64>(p);
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
