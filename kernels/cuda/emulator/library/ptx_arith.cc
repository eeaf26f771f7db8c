// What instructions of PTX compute, for the lanes of a warp.
#pragma GCC optimize("O3")
#include "device.h"
#include "ptx.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace emulator {

namespace {

// plain does F for the lanes that are active.
template <class F, class T> void plain(Warp &w, const Op &o) {
	T *d = w.r<T>(o.d);
	const T *a = w.r<T>(o.a), *b = w.r<T>(o.b), *c = w.r<T>(o.c);
	if (w.active == ~0u) {
		T t[32];
		for (u32 i = 0; i < 32; i++) t[i] = F::template f<T>(a[i], b[i], c[i]);
		memcpy(d, t, sizeof t);
		return;
	}
	LANES(w.active, i) d[i] = F::template f<T>(a[i], b[i], c[i]);
}

#define WHAT(name, does) \
	struct name { template <class T> static T f(T a, T b, T c) { return does; } };

WHAT(Move, a)
WHAT(Add, a + b)
WHAT(Sub, a - b)
WHAT(Mul, a * b)
WHAT(Mad, a * b + c)
WHAT(And, a & b)
WHAT(Or, a | b)
WHAT(Xor, a ^ b)
WHAT(Not, ~a)
WHAT(Neg, -a)
WHAT(Min, b < a ? b : a)
WHAT(Max, a < b ? b : a)
WHAT(Abs, a < 0 ? -a : a)
WHAT(FloatAbs, std::fabs(a))
WHAT(Fma, std::fma(a, b, c))
WHAT(Quotient, a / b)
WHAT(Reciprocal, (T)1 / a)
WHAT(Root, std::sqrt(a))
WHAT(Least, b < a || a != a ? b : a)    // the one that is a number
WHAT(Greatest, a < b || a != a ? b : a)
WHAT(Power2, device::power2(a))

bool overflows(i32 a, i32 b) { return b == -1 && a == std::numeric_limits<i32>::min(); }
bool overflows(i64 a, i64 b) { return b == -1 && a == std::numeric_limits<i64>::min(); }
template <class T> bool overflows(T, T) { return false; }

WHAT(Div, b == 0 ? (T)-1 : overflows(a, b) ? a : a / b)
WHAT(Rem, b == 0 ? a : overflows(a, b) ? 0 : a % b)

template <class T> T high(T a, T b) { return (T)(((__int128)a * (__int128)b) >> 8 * sizeof(T)); }
template <> u64 high(u64 a, u64 b) { return (u64)(((unsigned __int128)a * b) >> 64); }
WHAT(High, high(a, b))

// Shifts and fields have numbers of 32 bits beside others.
template <class F, class T> void shift(Warp &w, const Op &o) {
	T *d = w.r<T>(o.d);
	const T *a = w.r<T>(o.a);
	const u32 *b = w.r<u32>(o.b), *c = w.r<u32>(o.c);
	if (w.active == ~0u) {
		T t[32];
		for (u32 i = 0; i < 32; i++) t[i] = F::template f<T>(a[i], b[i], c[i]);
		memcpy(d, t, sizeof t);
		return;
	}
	LANES(w.active, i) d[i] = F::template f<T>(a[i], b[i], c[i]);
}

#define FIELD(name, does)                                        \
	struct name {                                                \
		template <class T> static T f(T a, u32 b, u32 c) {       \
			const u32 n = 8 * sizeof(T);                         \
			return does;                                         \
		}                                                        \
	};

FIELD(Left, b >= n ? 0 : (T)(a << b))
FIELD(Right, b >= n ? (T)(a < 0 ? -1 : 0) : (T)(a >> b))

// field is c bits from b on, with the sign of the last of them if T has one.
template <class T> T field(T a, u32 b, u32 c) {
	const u32 n = 8 * sizeof(T);
	b &= 255, c &= 255;
	bool sign = std::numeric_limits<T>::is_signed;
	T v = b < n ? (T)(a >> b) : sign && a < 0 ? (T)-1 : 0;
	return c == 0 ? 0 : c >= n ? v : (T)((T)(v << (n - c)) >> (n - c));
}
FIELD(Bits, field(a, b, c))

template <class D, class S> void wide(Warp &w, const Op &o) {
	D *d = w.r<D>(o.d), t[32];
	const S *a = w.r<S>(o.a), *b = w.r<S>(o.b);
	LANES(w.active, i) t[i] = (D)a[i] * (D)b[i];
	LANES(w.active, i) d[i] = t[i];
}

// Comparisons: a and b, and what comes of one that is no number.
#define TEST(name, does) \
	struct name { template <class T> static bool f(T a, T b) { return does; } };
TEST(Eq, a == b)
TEST(Ne, a < b || a > b)
TEST(Lt, a < b)
TEST(Le, a <= b)
TEST(Gt, a > b)
TEST(Ge, a >= b)
TEST(Equ, !(a < b || a > b))
TEST(Neu, !(a == b))
TEST(Ltu, !(a >= b))
TEST(Leu, !(a > b))
TEST(Gtu, !(a <= b))
TEST(Geu, !(a < b))
TEST(Num, a == a && b == b)
TEST(Nan, a != a || b != b)

template <class F, class T> void test(Warp &w, const Op &o) {
	const T *a = w.r<T>(o.a), *b = w.r<T>(o.b);
	u32 m = 0;
	for (u32 i = 0; i < 32; i++) m |= (u32)F::template f<T>(a[i], b[i]) << i;
	u32 &d = w.bits(o.d);
	d = d & ~w.active | m & w.active;
}

template <class T> void select(Warp &w, const Op &o) {
	T *d = w.r<T>(o.d);
	const T *a = w.r<T>(o.a), *b = w.r<T>(o.b);
	u32 p = w.bits(o.c);
	LANES(w.active, i) d[i] = p >> i & 1 ? a[i] : b[i];
}

template <class F> void predicate(Warp &w, const Op &o) {
	u32 &d = w.bits(o.d), v = F::template f<u32>(w.bits(o.a), w.bits(o.b), 0);
	d = d & ~w.active | v & w.active;
}

// join and part make one register of several, and back; the list has the several.
template <class D, class S> void join(Warp &w, const Op &o) {
	D *d = w.r<D>(o.d);
	LANES(w.active, i) {
		D v = 0;
		for (size_t k = 0; k < o.list.size(); k++) v |= (D)w.r<S>(o.list[k])[i] << 8 * sizeof(S) * k;
		d[i] = v;
	}
}

template <class D, class S> void part(Warp &w, const Op &o) {
	const D *a = w.r<D>(o.a);
	LANES(w.active, i) {
		D v = a[i];
		for (size_t k = 0; k < o.list.size(); k++) w.r<S>(o.list[k])[i] = (S)(v >> 8 * sizeof(S) * k);
	}
}

WHAT(Permute, device::permute(a, b, c))
WHAT(Dot4, (T)device::dot4(a, b, (i32)c))
WHAT(Ones, __builtin_popcount(a))

template <class F> Do by_type(Type t) {
	switch (t.kind << 8 | t.size) {
	case 's' << 8 | 2: return plain<F, i16>;
	case 's' << 8 | 4: return plain<F, i32>;
	case 's' << 8 | 8: return plain<F, i64>;
	case 'u' << 8 | 2: case 'b' << 8 | 2: return plain<F, u16>;
	case 'u' << 8 | 4: case 'b' << 8 | 4: return plain<F, u32>;
	case 'u' << 8 | 8: case 'b' << 8 | 8: return plain<F, u64>;
	}
	return nullptr;
}

template <class F> Do by_float(Type t) { return t.kind != 'f' ? nullptr : t.size == 4 ? plain<F, float> : plain<F, double>; }

template <class F> Do by_shift(Type t) {
	bool sign = t.kind == 's';
	return t.size == 2 ? sign ? shift<F, i16> : shift<F, u16> : t.size == 4 ? sign ? shift<F, i32> : shift<F, u32> : sign ? shift<F, i64> : shift<F, u64>;
}

template <class F> Do by_test(Type t) {
	if (t.kind == 'f') return t.size == 4 ? test<F, float> : test<F, double>;
	bool sign = t.kind == 's';
	return t.size == 2 ? sign ? test<F, i16> : test<F, u16> : t.size == 4 ? sign ? test<F, i32> : test<F, u32> : sign ? test<F, i64> : test<F, u64>;
}

Do comparison(const std::string &how, Type t) {
	static const std::map<std::string, Do (*)(Type)> known = {{"eq", by_test<Eq>}, {"ne", by_test<Ne>}, {"lt", by_test<Lt>}, {"le", by_test<Le>}, {"gt", by_test<Gt>}, {"ge", by_test<Ge>},
		{"equ", by_test<Equ>}, {"neu", by_test<Neu>}, {"ltu", by_test<Ltu>}, {"leu", by_test<Leu>}, {"gtu", by_test<Gtu>}, {"geu", by_test<Geu>}, {"num", by_test<Num>}, {"nan", by_test<Nan>},
		{"lo", by_test<Lt>}, {"ls", by_test<Le>}, {"hi", by_test<Gt>}, {"hs", by_test<Ge>}};
	auto i = known.find(how);
	return i == known.end() ? nullptr : i->second(t);
}

// float_done is what an instruction does with floats. A sum, product or quotient must say how it
// rounds, or the assembler could make one of two.
Do float_done(const Source &x, Type t) {
	const std::string &n = x.name[0];
	bool rounds = x.has("rn");
	if (x.has("ftz") && n != "ex2") return nullptr;
	if (n == "neg") return by_float<Neg>(t);
	if (n == "abs") return by_float<FloatAbs>(t);
	if (n == "min") return by_float<Least>(t);
	if (n == "max") return by_float<Greatest>(t);
	if (n == "ex2" && x.has("approx") && x.has("ftz") && t.size == 4) return plain<Power2, float>;
	if (!rounds) return nullptr;
	if (n == "add") return by_float<Add>(t);
	if (n == "sub") return by_float<Sub>(t);
	if (n == "mul") return by_float<Mul>(t);
	if (n == "fma") return by_float<Fma>(t);
	if (n == "div") return by_float<Quotient>(t);
	if (n == "rcp") return by_float<Reciprocal>(t);
	if (n == "sqrt") return by_float<Root>(t);
	return nullptr;
}

Do whole_done(const Source &x, Type t) {
	const std::string &n = x.name[0];
	if (n == "add") return by_type<Add>(t);
	if (n == "sub") return by_type<Sub>(t);
	if (n == "mul" && x.has("lo")) return by_type<Mul>(t);
	if (n == "mul" && x.has("hi")) return by_type<High>(t);
	if (n == "mad" && x.has("lo")) return by_type<Mad>(t);
	if (n == "div") return by_type<Div>(t);
	if (n == "rem") return by_type<Rem>(t);
	if (n == "neg") return by_type<Neg>(t);
	if (n == "abs") return by_type<Abs>(t);
	if (n == "min") return by_type<Min>(t);
	if (n == "max") return by_type<Max>(t);
	if (n == "and") return by_type<And>(t);
	if (n == "or") return by_type<Or>(t);
	if (n == "xor") return by_type<Xor>(t);
	if (n == "not") return by_type<Not>(t);
	if (n == "popc" && t.size == 4) return plain<Ones, u32>;
	if (n == "prmt" && t.size == 4) return plain<Permute, u32>;
	if (n == "dp4a" && x.name.size() == 3 && x.name[1] == "u32" && x.name[2] == "s32") return plain<Dot4, u32>;
	return nullptr;
}

Do predicate_done(const std::string &n) { return n == "and" ? predicate<And> : n == "or" ? predicate<Or> : n == "xor" ? predicate<Xor> : n == "not" ? predicate<Not> : n == "mov" ? predicate<Move> : nullptr; }

// several is a mov of registers in braces.
bool several(Scope &s, Body &b, const Source &x, Op &o, Type t) {
	bool parts = x.operands[0].size() > 1;
	auto &words = x.operands[!parts];
	Type one = {'b', (u8)(t.size / words.size())};
	for (auto &word : words) o.list.push_back(place_of(s, b, word, one));
	(parts ? o.a : o.d) = place_of(s, b, x.operands[parts][0], t);
	if (t.size == 8 && one.size == 4) o.run = parts ? part<u64, u32> : join<u64, u32>;
	if (t.size == 8 && one.size == 2) o.run = parts ? part<u64, u16> : join<u64, u16>;
	if (t.size == 4 && one.size == 2) o.run = parts ? part<u32, u16> : join<u32, u16>;
	return o.run;
}

} // namespace

Do mover(Type t) { return t.kind == 'p' ? predicate<Move> : t.size == 2 ? plain<Move, u16> : t.size == 4 ? plain<Move, u32> : plain<Move, u64>; }

static Do wide_done(Type t) {
	bool sign = t.kind == 's';
	return t.size == 2 ? sign ? wide<i32, i16> : wide<u32, u16> : t.size == 4 ? sign ? wide<i64, i32> : wide<u64, u32> : nullptr;
}

static void nanoseconds(Warp &w, const Op &o) {
	clock_now++;
	LANES(w.active, i) w.r<u64>(o.d)[i] = clock_now;
}

bool translate(Scope &s, Body &b, const Source &x, Op &o) {
	if (translate_memory(s, b, x, o) || translate_tensor(s, b, x, o)) return true;
	const std::string &n = x.name[0];
	Type t = type_of(x.name.back());
	if (!t.size || x.operands.size() < 2) return false;
	if (n == "mov" && x.operands[1][0] == "%globaltimer") return o.d = place_of(s, b, x.operands[0][0], t), o.run = nanoseconds, true;
	if (n == "mov" && (x.operands[0].size() > 1 || x.operands[1].size() > 1)) return several(s, b, x, o, t);
	if (n == "cvt") {
		o.to = type_of(x.name[x.name.size() - 2]), o.from = t;
		o.d = place_of(s, b, x.operands[0][0], o.to);
		for (size_t i = 1; i < x.operands.size(); i++) (i == 1 ? o.a : o.b) = place_of(s, b, x.operands[i][0], t);
		return convert(o, x);
	}
	Type first = n == "setp" ? Type{'p', 4} : t, last = t;
	bool shifts = n == "shl" || n == "shr" || n == "bfe", widens = n == "mul" && x.has("wide");
	if (shifts) last = {'u', 4};
	if (widens) first.size = 2 * t.size;
	o.to = t;
	o.d = place_of(s, b, x.operands[0][0], first);
	for (size_t i = 1; i < x.operands.size(); i++) (i == 1 ? o.a : i == 2 ? o.b : o.c) = place_of(s, b, x.operands[i][0], i == 1 ? t : n == "selp" && i == 3 ? Type{'p', 4} : last);
	if (n == "setp") o.run = comparison(x.name[1], t);
	else if (n == "selp") o.run = t.size == 2 ? select<u16> : t.size == 4 ? select<u32> : select<u64>;
	else if (t.kind == 'p') o.run = predicate_done(n);
	else if (n == "mov") o.run = mover(t);
	else if (n == "shl") o.run = by_shift<Left>(t);
	else if (n == "shr") o.run = by_shift<Right>(t);
	else if (n == "bfe") o.run = t.size == 4 && t.kind == 'u' ? shift<Bits, u32> : by_shift<Bits>(t);
	else if (widens) o.run = wide_done(t);
	else o.run = t.kind == 'f' ? float_done(x, t) : whole_done(x, t);
	return o.run;
}

} // namespace emulator
