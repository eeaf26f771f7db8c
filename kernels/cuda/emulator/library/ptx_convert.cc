// Conversions of PTX, for the lanes of a warp.
#pragma GCC optimize("O3")
#include "device.h"
#include "ptx.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace emulator {

namespace {

enum Mode : u8 { None, Nearest, Zero, Down, Up, Whole };

template <class T> T lane(Warp &w, Place p, u32 i) {
	T v = 0;
	memcpy(&v, w.file + p.at + i * p.size, p.size < sizeof(T) ? p.size : sizeof(T));
	return v;
}

i64 whole_of(Type t, u64 v) {
	switch (t.size) {
	case 1: return t.kind == 's' ? (i64)(i8)v : (i64)(u8)v;
	case 2: return t.kind == 's' ? (i64)(i16)v : (i64)(u16)v;
	case 4: return t.kind == 's' ? (i64)(i32)v : (i64)(u32)v;
	}
	return (i64)v;
}

bool is_float(Type t) { return t.kind == 'f' || t.kind == 'g' || t.kind == 'h'; }

double float_of(Type t, u64 v) {
	if (t.kind == 'h') return device::f16_value((u16)v);
	if (t.kind == 'g') return __builtin_bit_cast(float, (u32)v << 16);
	return t.size == 4 ? __builtin_bit_cast(float, (u32)v) : __builtin_bit_cast(double, v);
}

u64 rounded(Type t, double d) {
	if (t.kind == 'h') return device::f16_of((float)d); // from f32 alone
	if (t.kind == 'g') return device::bf16_of((float)d);
	return t.size == 4 ? __builtin_bit_cast(u32, (float)d) : __builtin_bit_cast(u64, d);
}

double to_whole(Mode m, double d) { return m == Down ? std::floor(d) : m == Up ? std::ceil(d) : m == Zero ? std::trunc(d) : std::nearbyint(d); }

// clamped is a whole number of a type, as devices make it of any float: NaN becomes 0.
u64 clamped(Type t, double d) {
	if (d != d) return 0;
	if (t.kind == 's') {
		double most = std::ldexp(1.0, 8 * t.size - 1);
		return d >= most ? (u64)-1 >> (65 - 8 * t.size) : d < -most ? (u64)1 << (8 * t.size - 1) : (u64)(i64)d;
	}
	return d <= 0 ? 0 : d >= std::ldexp(1.0, 8 * t.size) ? (u64)-1 >> (64 - 8 * t.size) : (u64)d;
}

u64 converted(const Op &o, u64 v) {
	Mode m = (Mode)o.mode;
	if (is_float(o.from)) {
		double d = float_of(o.from, v);
		if (!is_float(o.to)) return clamped(o.to, to_whole(m, d));
		return rounded(o.to, m == Down || m == Up || m == Zero || m == Whole ? to_whole(m, d) : d);
	}
	i64 s = whole_of(o.from, v);
	if (!is_float(o.to)) return (u64)whole_of(o.to, (u64)s); // cut, and with its sign where the register is wider
	bool big = o.from.size == 8 && o.from.kind == 'u';
	if (o.to.size == 8) return __builtin_bit_cast(u64, big ? (double)(u64)s : (double)s);
	if (o.to.size == 4) return __builtin_bit_cast(u32, big ? (float)(u64)s : (float)s);
	return rounded(o.to, (float)s);
}

void any(Warp &w, const Op &o) {
	LANES(w.active, i) {
		u64 v = converted(o, lane<u64>(w, o.a, i));
		memcpy(w.file + o.d.at + i * o.d.size, &v, o.d.size);
	}
}

// quick is what is often done, without a look at types.
template <class D, class S, D f(S)> void quick(Warp &w, const Op &o) {
	D *d = w.r<D>(o.d), t[32];
	const S *a = w.r<S>(o.a);
	for (u32 i = 0; i < 32; i++) t[i] = f(a[i]);
	LANES(w.active, i) d[i] = t[i];
}

template <class D, class S> D as(S s) { return (D)s; }

template <u32 type> void pack(Warp &w, const Op &o) {
	LANES(w.active, i) w.r<u32>(o.d)[i] = device::pack_half<type>(w.r<float>(o.b)[i], w.r<float>(o.a)[i]);
}

void tf32(Warp &w, const Op &o) {
	LANES(w.active, i) w.r<u32>(o.d)[i] = device::tf32_of(w.r<float>(o.a)[i]);
}

} // namespace

bool convert(Op &o, const Source &x) {
	for (auto &part : x.name) {
		if (part == "ftz" || part == "sat" || part == "rz" || part == "rm" || part == "rp") return false;
		o.mode = part == "rzi" ? Zero : part == "rmi" ? Down : part == "rpi" ? Up : part == "rni" ? Whole : part == "rn" ? Nearest : o.mode;
	}
	if (x.operands.size() == 3) return o.run = !x.has("rn") || x.name.size() != 4 ? nullptr : x.has("bf16x2") ? pack<device::BF16> : x.has("f16x2") ? pack<device::F16> : nullptr;
	if (x.has("tf32")) return o.run = x.has("rna") ? tf32 : nullptr;
	if (!o.to.size || !o.from.size) return false;
	bool floats = is_float(o.to) && is_float(o.from), narrows = floats ? o.to.size < o.from.size : is_float(o.to) && o.from.size > 1;
	if (narrows && o.mode != Nearest) return false; // must say how it rounds
	if (is_float(o.from) && !is_float(o.to) && !(o.mode >= Zero)) return false;
	if (floats && o.from.size == 8 && o.to.size == 2) return false;
	o.run = any;
	if (o.mode > Nearest || o.d.size != o.to.size || o.a.size != o.from.size) return true;
	if (o.to.kind == 'f' && o.to.size == 4 && o.from.kind == 'h') o.run = quick<float, u16, device::f16_value>;
	if (o.to.kind == 'h' && o.from.kind == 'f' && o.from.size == 4) o.run = quick<u16, float, device::f16_of>;
	if (!is_float(o.to) && !is_float(o.from) && o.to.size == 4 && o.from.size == 8) o.run = quick<u32, u64, as<u32, u64>>;
	if (!is_float(o.to) && o.from.kind == 'u' && o.to.size == 8 && o.from.size == 4) o.run = quick<u64, u32, as<u64, u32>>;
	if (!is_float(o.to) && o.from.kind == 's' && o.to.size == 8 && o.from.size == 4) o.run = quick<i64, i32, as<i64, i32>>;
	return true;
}

} // namespace emulator
