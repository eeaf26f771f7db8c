// What instructions of PTX read and write: each access is checked, as compute-sanitizer does it. An
// address lies in memory that is allocated, in the shared memory of the block, or in the thread's own, and is a
// multiple of what is accessed there.
#include "ptx.h"

#include <algorithm>
#include <cstring>

namespace emulator {

u64 clock_now;

static u64 address_of(Warp &w, Place a, i64 offset, u32 lane) { return (a.size == 8 ? w.r<u64>(a)[lane] : w.r<u32>(a)[lane]) + offset; }

static u8 *shared(Warp &w, u64 p, u32 lane, u32 n, Access how) {
	if (p < room_begins || p + n > room_begins + room_bytes) throw Fault{"an address beyond the shared memory of a block"};
	race_access(w, lane, (u32)p - room_begins, n, how);
	return room + (p - room_begins);
}

// device_memory is where a kernel may read, of what was allocated or is a variable of the text; o keeps what it found.
static u8 *device_memory(Warp &w, const Op &o, u64 p, u32 lane, u32 n, Access how) {
	if (o.era != era || p < o.low || p + n > o.high) {
		bool variable = how == Access::Read && w.body->text->holds(p, n);
		if (!allocation(p, n, o.low, o.high) && !variable) throw Fault{"an address that is not allocated"};
		if (variable) o.low = p, o.high = p + n;
		o.era = era;
	}
	blocks_access(w, lane, p, n, how);
	return (u8 *)p;
}

static u8 *own(Warp &w, u64 p, u32 lane, u32 n) {
	if (p + n > w.body->local) throw Fault{"an address beyond the memory of a thread"};
	return w.local + (u64)lane * w.body->local + p;
}

u8 *host(Warp &w, const Op &o, u32 lane, u32 n, Access how) {
	u64 p = address_of(w, o.a, o.offset, lane);
	if (p % n) throw Fault{"an address that is no multiple of what is accessed"};
	switch (o.space) {
	case Space::Shared: return shared(w, p, lane, n, how);
	case Space::Global: return device_memory(w, o, p, lane, n, how);
	case Space::Local: return own(w, p, lane, n);
	case Space::Param:
		if (p < param_begins || p + n > param_begins + w.body->bytes) throw Fault{"an address beyond the parameter of a kernel"};
		return (u8 *)w.args + (p - param_begins);
	}
	if (p >= (u64)room && p < (u64)room + most_room) return shared(w, p - (u64)room + room_begins, lane, n, how);
	if (u64 at = p - (u64)w.local; p >= (u64)w.local && at < 32ull * w.body->local) return own(w, at - (u64)lane * w.body->local, lane, n);
	return device_memory(w, o, p, lane, n, how);
}

u64 address_in(Warp &w, const Op &o, u32 lane) {
	u64 p = address_of(w, o.a, o.offset, lane);
	if (p < room_begins || p + 8 > room_begins + room_bytes || p % 8) throw Fault{"a barrier beyond the shared memory of a block"};
	return p;
}

namespace {

// load and store go from lane to lane; the list has the registers.
template <class T> void load(Warp &w, const Op &o) {
	u32 count = (u32)o.list.size();
	u64 at[32];
	LANES(w.active, i) {
		const u8 *p = host(w, o, i, count * sizeof(T), o.mode ? Access::Atomic : Access::Read);
		at[i] = (u64)p;
		for (u32 k = 0; k < count; k++) {
			T v;
			memcpy(&v, p + k * sizeof(T), sizeof(T));
			Place to = o.list[k];
			if (to.size == sizeof(T)) w.r<T>(to)[i] = v;
			else if (i64 wide = (i64)v; true) memcpy(w.file + to.at + i * to.size, &wide, to.size);
		}
	}
	if (profile && o.space < Space::Local) profile_memory(at, w.active, count * sizeof(T));
}

template <class T> u64 store_one(Warp &w, const Op &o, u32 i) {
	u32 count = (u32)o.list.size();
	u8 *p = host(w, o, i, count * sizeof(T), o.mode ? Access::Atomic : Access::Write);
	for (u32 k = 0; k < count; k++) memcpy(p + k * sizeof(T), w.file + o.list[k].at + i * o.list[k].size, sizeof(T));
	return (u64)p;
}

template <class T> void store(Warp &w, const Op &o) {
	u64 at[32];
	if (backward)
		for (u32 m = w.active; m;) {
			u32 i = 31 - __builtin_clz(m);
			at[i] = store_one<T>(w, o, i), m &= ~(1u << i);
		}
	else
		LANES(w.active, i) at[i] = store_one<T>(w, o, i);
	if (profile && o.space < Space::Local) profile_memory(at, w.active, (u32)o.list.size() * sizeof(T));
}

template <class T> Do mover_of(bool loads) { return loads ? load<T> : store<T>; }

Do memory_done(Type t, bool loads) {
	bool sign = t.kind == 's';
	switch (t.size) {
	case 1: return sign ? mover_of<i8>(loads) : mover_of<u8>(loads);
	case 2: return sign ? mover_of<i16>(loads) : mover_of<u16>(loads);
	case 4: return sign ? mover_of<i32>(loads) : mover_of<u32>(loads);
	case 8: return mover_of<u64>(loads);
	}
	return nullptr;
}

void space_of(const Source &x, Space &s) {
	for (auto &p : x.name) {
		if (p == "global" || p == "const") s = Space::Global;
		if (p == "shared") s = Space::Shared;
		if (p == "local") s = Space::Local;
		if (p == "param") s = Space::Param;
	}
}

// Addresses as one space has them become those of another.
template <class D> void moved(Warp &w, const Op &o) {
	u64 by = o.space == Space::Shared ? (u64)room - room_begins : 0;
	LANES(w.active, i) {
		u64 p = o.a.size == 8 ? w.r<u64>(o.a)[i] : w.r<u32>(o.a)[i], own = o.space == Space::Local ? (u64)w.local + (u64)i * w.body->local : 0;
		w.r<D>(o.d)[i] = (D)(o.mode ? p - by - own : p + by + own);
	}
}

// Whole numbers in memory that several threads change: one after the other.
void add_up(Warp &w, const Op &o) {
	LANES(w.active, i) {
		u32 *p = (u32 *)host(w, o, i, 4, Access::Atomic);
		u32 was = *p;
		*p += w.r<u32>(o.b)[i];
		if (o.d.size) w.r<u32>(o.d)[i] = was;
	}
}

void least(Warp &w, const Op &o) {
	LANES(w.active, i) {
		u32 *p = (u32 *)host(w, o, i, 4, Access::Atomic);
		*p = std::min(*p, w.r<u32>(o.b)[i]);
	}
}

void copy_async(Warp &w, const Op &o) {
	u64 there[32], here[32];
	LANES(w.active, i) {
		u32 bytes = o.mode, n = std::min(w.r<u32>(o.c)[i], bytes);
		u64 to = address_of(w, o.a, o.offset, i), from = address_of(w, o.b, o.from_offset, i);
		if (to % bytes || from % bytes) throw Fault{"cp.async between places that are no multiples of its size"};
		if (to < room_begins || to + bytes > room_begins + room_bytes) throw Fault{"cp.async beyond the shared memory of a block"};
		if (n) blocks_access(w, i, from, n, Access::Read);
		there[i] = from, here[i] = (u64)room + to - room_begins;
		be(w.first + i);
		race_copy(w, i, (u32)to - room_begins, bytes, false);
		copy_later(room + (to - room_begins), (const void *)from, bytes, n);
	}
	if (profile) profile_memory(there, w.active, o.mode), profile_memory(here, w.active, o.mode);
}

void commit(Warp &w, const Op &) {
	LANES(w.active, i) be(w.first + i), commit_copies();
}

void wait(Warp &w, const Op &o) {
	copies_unseen = o.unseen;
	LANES(w.active, i) be(w.first + i), wait_copies((u32)o.offset);
	copies_unseen = false;
}

bool copies(Scope &s, Body &b, const Source &x, Op &o) {
	if (x.has("commit_group")) return o.run = commit;
	if (x.has("wait_group")) return o.offset = atoi(x.operands[0][0].c_str()), o.run = wait;
	if (x.operands.size() != 4 || !x.has("shared") || !x.has("global")) return false;
	Op from;
	address(s, b, x.operands[1][0], from);
	o.b = from.a, o.from_offset = from.offset;
	address(s, b, x.operands[0][0], o);
	o.mode = atoi(x.operands[2][0].c_str());
	o.c = place_of(s, b, x.operands[3][0], U32);
	return o.run = copy_async;
}

bool atomics(Scope &s, Body &b, const Source &x, Op &o) {
	bool atom = x.name[0] == "atom";
	address(s, b, x.operands[atom][0], o);
	o.b = place_of(s, b, x.operands[atom + 1][0], U32);
	if (x.name.back() != "u32") return false;
	if (atom) o.d = place_of(s, b, x.operands[0][0], U32);
	if (!atom && x.has("min")) return o.run = least;
	return x.has("add") && (o.run = add_up);
}

} // namespace

bool translate_memory(Scope &s, Body &b, const Source &x, Op &o) {
	const std::string &n = x.name[0];
	Type t = type_of(x.name.back());
	space_of(x, o.space);
	if (n == "cp") return copies(s, b, x, o);
	if ((n == "atom" || n == "red") && x.operands.size() >= 2) return atomics(s, b, x, o);
	if (n == "cvta" && x.operands.size() == 2 && o.space != Space::Param) {
		o.mode = x.has("to");
		o.d = place_of(s, b, x.operands[0][0], t), o.a = place_of(s, b, x.operands[1][0], t);
		return o.run = t.size == 8 ? moved<u64> : moved<u32>;
	}
	if ((n != "ld" && n != "st") || x.operands.size() != 2) return false;
	bool loads = n == "ld";
	o.mode = x.has("volatile"); // meant to meet others
	address(s, b, x.operands[loads][0], o);
	for (auto &word : x.operands[!loads]) o.list.push_back(place_of(s, b, word, t));
	u32 lanes = x.has("v4") ? 4 : x.has("v2") ? 2 : 1;
	return o.list.size() == lanes && (o.run = memory_done(t, loads));
}

} // namespace emulator
