// What warps of PTX do together: products of small matrices, what brings their operands, and waits.
#pragma GCC optimize("O3")
#include "device.h"
#include "ptx.h"

#include <cstring>

namespace emulator {

namespace {

void exchange_lanes(Warp &w, const Op &o) {
	u32 t[32];
	const u32 *a = w.r<u32>(o.a), *m = w.r<u32>(o.b);
	for (u32 i = 0; i < 32; i++) t[i] = a[i ^ (m[i] & 31)];
	memcpy(w.r<u32>(o.d), t, sizeof t);
}

// load_rows is ldmatrix: mode says whether they are transposed.
void load_rows(Warp &w, const Op &o) {
	u8 rows[32][16];
	u32 count = (u32)o.list.size(), banks = 0;
	u64 at[32];
	for (u32 i = 0; i < 8 * count; i++) {
		const u8 *p = host(w, o, i, 16, Access::Read);
		memcpy(rows[i], p, 16);
		at[i] = (u64)p;
		banks |= 1u << (u32)(p - room) / 16 % 8;
		if (i % 8 == 7) conflicts += banks != 0xff, banks = 0;
	}
	if (profile) profile_memory(at, count == 4 ? ~0u : (1u << 8 * count) - 1, 16);
	for (u32 k = 0; k < count; k++)
		for (u32 i = 0; i < 32; i++) {
			u32 g = i / 4, t = i % 4, v;
			if (o.mode) {
				u16 low, high;
				memcpy(&low, rows[8 * k + 2 * t] + 2 * g, 2), memcpy(&high, rows[8 * k + 2 * t + 1] + 2 * g, 2);
				v = low | (u32)high << 16;
			} else {
				memcpy(&v, rows[8 * k + g] + 4 * t, 4);
			}
			w.r<u32>(o.list[k])[i] = v;
		}
}

enum Kinds : u8 { Bf16, Half, Tf32, Signed, Unsigned };

template <u32 kind> auto element(u32 word, u32 e, bool left) {
	if constexpr (kind == Bf16) return device::half_of<device::BF16>(word, e);
	else if constexpr (kind == Half) return device::half_of<device::F16>(word, e);
	else if constexpr (kind == Tf32) return __builtin_bit_cast(float, word & 0xffffe000);
	else return kind == Unsigned && left ? (i32)(u8)(word >> 8 * e) : device::byte_of(word, e);
}

float added(float x, float y, float s) { return __builtin_fmaf(x, y, s); }
i32 added(i32 x, i32 y, i32 s) { return (i32)((u32)s + (u32)(x * y)); }

// multiply is mma.sync; the list has d, a, b and c. Products are added from the lowest k to the highest.
template <u32 kind, class T> void multiply(Warp &w, const Op &o) {
	const u32 per = kind <= Half ? 2 : kind == Tf32 ? 1 : 4;
	T a[16][8 * per], b[8 * per][8], sum[16][8];
	for (u32 i = 0; i < 32; i++) {
		u32 g = i / 4, t = i % 4;
		for (u32 r = 0; r < 4; r++) {
			for (u32 e = 0; e < per; e++) a[g + 8 * (r % 2)][(r / 2 * 4 + t) * per + e] = element<kind>(w.r<u32>(o.list[4 + r])[i], e, true);
			sum[g + 8 * (r / 2)][2 * t + r % 2] = w.r<T>(o.list[10 + r])[i];
		}
		for (u32 h = 0; h < 2; h++)
			for (u32 e = 0; e < per; e++) b[(h * 4 + t) * per + e][g] = element<kind>(w.r<u32>(o.list[8 + h])[i], e, false);
	}
	for (u32 row = 0; row < 16; row++)
		for (u32 k = 0; k < 8 * per; k++)
			for (u32 c = 0; c < 8; c++) sum[row][c] = added(a[row][k], b[k][c], sum[row][c]);
	for (u32 i = 0; i < 32; i++)
		for (u32 r = 0; r < 4; r++) w.r<T>(o.list[r])[i] = sum[i / 4 + 8 * (r / 2)][i % 4 * 2 + r % 2];
}

Do product(const Source &x) {
	if (x.has("m16n8k16") && x.has("bf16")) return multiply<Bf16, float>;
	if (x.has("m16n8k16") && x.has("f16")) return multiply<Half, float>;
	if (x.has("m16n8k8") && x.has("tf32")) return multiply<Tf32, float>;
	if (x.has("m16n8k32") && x.has("u8")) return multiply<Unsigned, i32>;
	return x.has("m16n8k32") ? multiply<Signed, i32> : nullptr;
}

void warp_sync(Warp &w, const Op &o) {
	if (!o.unseen) race_warp(w);
}

// uniform is what all lanes have.
template <class T> T uniform(Warp &w, Place p) {
	const T *v = w.r<T>(p);
	for (u32 i = 1; i < 32; i++)
		if (v[i] != v[0]) throw Fault{"threads of a warp call wgmma with different operands"};
	return v[0];
}

void async_product(Warp &w, const Op &o) {
	u64 a = o.held.empty() ? uniform<u64>(w, o.a) : 0, b = uniform<u64>(w, o.b);
	u32 keep = w.bits(o.c);
	if (keep && ~keep) throw Fault{"threads of a warp call wgmma with different operands"};
	AsyncProduct p = {a, b, nullptr, (u32)o.sums.size() * 2, keep != 0, (o.mode & 1) != 0, (o.mode & 2) != 0, o.mode & 4 ? device::bf16_value : device::f16_value, nullptr, o.sums.data(), o.held.data()};
	for (u32 i = 0; i < 32; i++) be(w.first + i), p.sum = (float *)w.file + i, p.held = o.held.empty() ? nullptr : (u32 *)w.file + i, product_later(p);
}

// all_lanes calls what the emulator has for a thread.
template <void f()> void all_lanes(Warp &w, const Op &) {
	LANES(w.active, i) be(w.first + i), f();
}
template <void f(u32)> void all_with(Warp &w, const Op &o) {
	LANES(w.active, i) be(w.first + i), f((u32)o.offset);
}

void init_barrier(Warp &w, const Op &o) {
	LANES(w.active, i) make_barrier((u64 *)(room + (address_in(w, o, i) - room_begins)), w.r<u32>(o.b)[i]);
}

void arrives(Warp &w, const Op &o) {
	LANES(w.active, i) {
		u64 at = address_in(w, o, i);
		be(w.first + i);
		race_arrive(w, at), events++;
		arrive((u64 *)(room + (at - room_begins)));
	}
}

void asks(Warp &w, const Op &o) {
	u32 yes = 0;
	LANES(w.active, i) {
		u64 at = address_in(w, o, i);
		check_barrier((u64 *)(room + (at - room_begins)));
		if (!barrier_passed((u64 *)(room + (at - room_begins)), w.r<u32>(o.b)[i])) continue;
		race_passed(w, at);
		yes |= 1u << i;
	}
	u32 &d = w.bits(o.d);
	d = d & ~w.active | yes;
	w.asked = yes == w.active;
}

bool barriers(Scope &s, Body &b, const Source &x, Op &o) {
	o.space = Space::Shared;
	if (x.has("init")) return address(s, b, x.operands[0][0], o), o.b = place_of(s, b, x.operands[1][0], U32), o.run = init_barrier;
	if (x.has("arrive")) return address(s, b, x.operands[1][0], o), o.run = arrives;
	if (!x.has("try_wait") || !x.has("parity")) return false;
	o.turn = Turn::Ask;
	o.d = place_of(s, b, x.operands[0][0], {'p', 4});
	address(s, b, x.operands[1][0], o);
	o.b = place_of(s, b, x.operands[2][0], U32);
	return o.run = asks;
}

bool async(Scope &s, Body &b, const Source &x, Op &o) {
	o.turn = Turn::Together;
	if (x.has("fence")) return o.run = all_lanes<fence_products>;
	if (x.has("commit_group")) return o.run = all_lanes<commit_products>;
	if (x.has("wait_group")) return o.offset = atoi(x.operands[0][0].c_str()), o.run = all_with<wait_products>;
	if (!x.has("mma_async") || x.operands.size() < 7) return false;
	bool holds = x.operands[1].size() == 4; // a is in registers
	for (auto &word : x.operands[0]) o.sums.push_back(place_of(s, b, word, {'f', 4}).at / 4);
	if (holds)
		for (auto &word : x.operands[1]) o.held.push_back(place_of(s, b, word, U32).at / 4);
	else
		o.a = place_of(s, b, x.operands[1][0], {'u', 8});
	o.b = place_of(s, b, x.operands[2][0], {'u', 8});
	o.c = place_of(s, b, x.operands[3][0], {'p', 4});
	if (x.operands.size() != 8 - holds) return false;
	o.mode = (!holds && x.operands[6][0] == "1") | (x.operands.back()[0] == "1") << 1 | x.has("bf16") << 2;
	if (x.operands[4][0] != "1" || x.operands[5][0] != "1") return false;
	return o.run = async_product;
}

} // namespace

bool translate_tensor(Scope &s, Body &b, const Source &x, Op &o) {
	const std::string &n = x.name[0];
	if (n == "bar" && x.has("warp")) return o.turn = Turn::Together, o.run = warp_sync;
	if (n == "bar") return x.name[1] == "sync" && x.operands.size() == 1 && x.operands[0][0] == "0" && (o.turn = Turn::Block, true);
	if (n == "mbarrier") return barriers(s, b, x, o);
	if (n == "wgmma") return async(s, b, x, o);
	if (n == "fence" && x.has("proxy") && x.has("async")) return o.run = all_lanes<fence_async>;
	if (n == "setmaxnreg") return o.turn = Turn::Together, o.offset = atoi(x.operands[0][0].c_str()), o.run = all_with<set_registers>;
	if (n == "shfl" && x.has("bfly") && x.operands.size() == 5 && x.operands[3][0] == "31" && (x.operands[4][0] == "-1" || x.operands[4][0] == "0xffffffff")) {
		o.turn = Turn::Together;
		o.d = place_of(s, b, x.operands[0][0], U32), o.a = place_of(s, b, x.operands[1][0], U32), o.b = place_of(s, b, x.operands[2][0], U32);
		return o.run = exchange_lanes;
	}
	if (n == "ldmatrix") {
		o.turn = Turn::Together, o.space = Space::Shared, o.mode = x.has("trans");
		for (auto &word : x.operands[0]) o.list.push_back(place_of(s, b, word, U32));
		address(s, b, x.operands[1][0], o);
		return o.run = load_rows;
	}
	if (n != "mma" || x.operands.size() != 4) return false;
	o.turn = Turn::Together;
	for (auto &list : x.operands)
		for (auto &word : list) o.list.push_back(place_of(s, b, word, U32));
	return o.list.size() == 14 && (o.run = product(x));
}

} // namespace emulator
