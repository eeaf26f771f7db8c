// One thread of a kernel that is text.
#include "thread.h"
#include "ptx.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulator {

namespace {

const std::map<std::string, Run> runs = {{"mov", Run::Mov}, {"cvta", Run::Mov}, {"add", Run::Add}, {"sub", Run::Sub}, {"mul", Run::Mul}, {"mad", Run::Mad}, {"fma", Run::Fma}, {"div", Run::Div}, {"rem", Run::Rem},
	{"rcp", Run::Rcp}, {"sqrt", Run::Sqrt}, {"neg", Run::Neg}, {"abs", Run::Abs}, {"not", Run::Not}, {"and", Run::And}, {"or", Run::Or}, {"xor", Run::Xor}, {"shl", Run::Shl}, {"shr", Run::Shr}, {"bfe", Run::Bfe},
	{"setp", Run::Setp}, {"selp", Run::Selp}, {"cvt", Run::Cvt}, {"ld", Run::Ld}, {"st", Run::St}, {"bra", Run::Bra}, {"ret", Run::Ret}, {"call", Run::Call}, {"shfl", Run::Shuffle}};

const std::map<std::string, Test> tests = {{"eq", Test::Eq}, {"ne", Test::Ne}, {"lt", Test::Lt}, {"le", Test::Le}, {"gt", Test::Gt}, {"ge", Test::Ge}, {"nan", Test::Nan}};

bool is_float(Kind k) { return k == Kind::F32 || k == Kind::F64; }

} // namespace

// prepare finds what an instruction does. A product or sum of floats must say
// how it rounds, or the assembler could make one of both.
bool prepare(Instruction &x) {
	auto r = runs.find(x.op);
	if (r == runs.end()) return false;
	x.run = r->second;
	bool rounds = x.how.find(".rn") != std::string::npos;
	switch (x.run) {
	case Run::Add: case Run::Sub: case Run::Mul: case Run::Fma: case Run::Div: case Run::Rcp: case Run::Sqrt:
		if (is_float(x.to) && !rounds) return false;
		if (x.how.find(".hi") != std::string::npos) return false;
		if (x.how == ".wide") x.run = Run::Wide;
		return true;
	case Run::Mad: return x.how == ".lo";
	case Run::Setp: {
		std::string how = x.how.substr(1);
		if (x.kinds == 1 && how.size() == 3 && how.back() == 'u') x.unordered = true, how.pop_back();
		auto t = tests.find(how);
		return t != tests.end() && (x.test = t->second, true);
	}
	case Run::Mov:
		if (x.op == "mov" && x.operands.size() == 3) {
			bool part = x.text.find('{') < x.text.find(','), words = x.to == Kind::U64;
			x.run = words ? part ? Run::PartWords : Run::JoinWords : part ? Run::Part : Run::Join;
		}
		return true;
	case Run::Shuffle: return x.how == ".sync.bfly";
	}
	return true;
}

namespace {

template <class T> T as(u64 v) {
	T t;
	memcpy(&t, &v, sizeof t);
	return t;
}

template <class T> u64 raw(T t) {
	u64 v = 0;
	memcpy(&v, &t, sizeof t);
	return v;
}

u32 size_of(Kind k) {
	switch (k) {
	case Kind::Pred: return 1;
	case Kind::U16: case Kind::F16: case Kind::BF16: return 2;
	case Kind::U32: case Kind::S32: case Kind::F32: return 4;
	}
	return 8;
}

template <class T> bool compare(const Instruction &x, T a, T b) {
	bool odd = a != a || b != b;
	if (x.test == Test::Nan) return odd;
	if (odd) return x.unordered;
	switch (x.test) {
	case Test::Eq: return a == b;
	case Test::Ne: return a != b;
	case Test::Lt: return a < b;
	case Test::Le: return a <= b;
	case Test::Gt: return a > b;
	}
	return a >= b;
}

template <class T> T float_done(const Instruction &x, T a, T b, T c) {
	switch (x.run) {
	case Run::Add: return a + b;
	case Run::Sub: return a - b;
	case Run::Mul: return a * b;
	case Run::Fma: return std::fma(a, b, c);
	case Run::Div: return a / b;
	case Run::Rcp: return (T)1 / a;
	case Run::Sqrt: return std::sqrt(a);
	case Run::Neg: return -a;
	}
	return std::fabs(a);
}

// whole_done is for T with its sign or without. The operators of bits are so, too.
template <class T> T whole_done(const Instruction &x, T a, T b, T c) {
	const u64 bits = 8 * sizeof(T), by = (u64)b;
	switch (x.run) {
	case Run::Add: return a + b;
	case Run::Sub: return a - b;
	case Run::Mul: return a * b;
	case Run::Mad: return a * b + c;
	case Run::Div: return a / b;
	case Run::Rem: return a % b;
	case Run::Neg: return -a;
	case Run::Abs: return a < 0 ? -a : a;
	case Run::Not: return ~a;
	case Run::And: return a & b;
	case Run::Or: return a | b;
	case Run::Xor: return a ^ b;
	case Run::Shl: return (u32)by >= bits ? 0 : a << (u32)by;
	case Run::Shr: return (u32)by >= bits ? (a < 0 ? -1 : 0) : a >> (u32)by;
	case Run::Bfe: return a >> (u32)by & (T)((1ull << (u32)c) - 1);
	}
	abort();
}

// number is a register read as a double.
double number(Kind k, u64 v) {
	switch (k) {
	case Kind::F16: return f16_value((u16)v);
	case Kind::BF16: return as<float>((u64)(u32)v << 16);
	case Kind::F32: return as<float>(v);
	}
	return as<double>(v);
}

u16 bf16_rounded(float f) {
	u32 u = raw(f);
	return f != f ? 0x7fff : (u16)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

u64 converted(const Instruction &x, u64 v) {
	bool from_float = is_float(x.from) || x.from == Kind::F16 || x.from == Kind::BF16;
	bool to_float = is_float(x.to) || x.to == Kind::F16 || x.to == Kind::BF16;
	if (from_float && to_float) {
		double d = number(x.from, v);
		if (x.how == ".rmi") d = std::floor(d);
		switch (x.to) {
		case Kind::F16: return f16_of((float)d);
		case Kind::BF16: return bf16_rounded((float)d);
		case Kind::F32: return raw((float)d);
		}
		return raw(d);
	}
	if (from_float) return x.to == Kind::S32 ? raw((i32)number(x.from, v)) : raw((i64)number(x.from, v));
	i64 s = x.from == Kind::S32 ? (i64)as<i32>(v) : x.from == Kind::U32 ? (i64)as<u32>(v) : x.from == Kind::U16 ? (i64)as<u16>(v) : as<i64>(v);
	if (!to_float) return size_of(x.to) == 8 ? raw(s) : size_of(x.to) == 4 ? raw((u32)s) : raw((u16)s);
	bool big = x.from == Kind::U64;
	return x.to == Kind::F32 ? raw(big ? (float)(u64)s : (float)s) : raw(big ? (double)(u64)s : (double)s);
}

// Thread is a call of a function.
struct Thread {
	const Text &text;
	const Body &code;
	const void *args;
	std::vector<u64> r;
	std::vector<u64> local;

	Thread(const Text &t, const Body &c, const void *a) : text(t), code(c), args(a), r(c.registers), local(c.local_bytes / 8) {}

	u64 get(const Operand &o) {
		switch (o.is) {
		case Operand::Register: return r[o.value];
		case Operand::Special: return (u64[]){tid(), threads(), block_x(), blocks_x()}[o.value];
		case Operand::Entry: return (u64)args;
		case Operand::Local: return (u64)local.data() + o.value;
		}
		return o.value;
	}

	// move is ld and st; a parameter of a function is a register.
	void move(const Instruction &x, bool load) {
		const Operand &where = x.operands[load ? x.lanes : 0];
		bool parameter = x.how.substr(0, 6) == ".param" && where.is == Operand::Register;
		u8 *p = (u8 *)(get(where) + where.offset);
		for (int i = 0; i < x.lanes; i++) {
			const Operand &o = x.operands[load ? i : i + 1];
			u32 n = size_of(x.to);
			if (parameter && load) r[o.value] = r[where.value];
			else if (parameter) r[where.value] = get(o);
			else if (load) r[o.value] = 0, memcpy(&r[o.value], p + i * n, n);
			else {
				u64 v = get(o);
				memcpy(p + i * n, &v, n);
			}
		}
	}

	u64 computed(const Instruction &x) {
		const auto &o = x.operands;
		u64 a = get(o[1]), b = o.size() > 2 ? get(o[2]) : 0, c = o.size() > 3 ? get(o[3]) : 0;
		switch (x.run) {
		case Run::Mov: return a;
		case Run::Join: return (u16)a | (u64)(u16)b << 16;
		case Run::JoinWords: return (u32)a | b << 32;
		case Run::Shuffle: return wait_exchange((u32)a, (u32)b);
		case Run::Wide: return x.to == Kind::S32 ? raw((i64)as<i32>(a) * as<i32>(b)) : raw((u64)as<u32>(a) * as<u32>(b));
		case Run::Selp: return c ? a : b;
		case Run::Cvt: return converted(x, a);
		case Run::Setp:
			switch (x.to) {
			case Kind::F32: return compare(x, as<float>(a), as<float>(b));
			case Kind::F64: return compare(x, as<double>(a), as<double>(b));
			case Kind::S32: return compare(x, as<i32>(a), as<i32>(b));
			case Kind::U32: return compare(x, as<u32>(a), as<u32>(b));
			case Kind::S64: return compare(x, as<i64>(a), as<i64>(b));
			}
			return compare(x, a, b);
		}
		switch (x.to) {
		case Kind::Pred: return whole_done<u64>(x, a, b, c) & 1;
		case Kind::F32: return raw(float_done(x, as<float>(a), as<float>(b), as<float>(c)));
		case Kind::F64: return raw(float_done(x, as<double>(a), as<double>(b), as<double>(c)));
		case Kind::S32: return raw(whole_done(x, as<i32>(a), as<i32>(b), as<i32>(c)));
		case Kind::U32: return raw(whole_done(x, as<u32>(a), as<u32>(b), as<u32>(c)));
		case Kind::S64: return raw(whole_done(x, as<i64>(a), as<i64>(b), as<i64>(c)));
		}
		return whole_done(x, a, b, c);
	}

	void call(const Instruction &x) {
		const Body &f = text.codes.at(x.label);
		Thread t(text, f, nullptr);
		for (size_t i = 1; i < x.operands.size(); i++) t.r[f.inputs[i]] = r[x.operands[i].value];
		t.run();
		r[x.operands[0].value] = t.r[f.inputs[0]];
	}

	void run() {
		for (size_t at = 0; at < code.body.size(); at++) {
			const Instruction &x = code.body[at];
			if (x.guard >= 0 && (r[x.guard] != 0) == x.unless) continue;
			switch (x.run) {
			case Run::Ret: return;
			case Run::Bra: at = x.target - 1; break;
			case Run::Call: call(x); break;
			case Run::Ld: move(x, true); break;
			case Run::St: move(x, false); break;
			case Run::Part: {
				u64 v = get(x.operands[2]);
				r[x.operands[0].value] = (u16)v, r[x.operands[1].value] = (u16)(v >> 16);
				break;
			}
			case Run::PartWords: {
				u64 v = get(x.operands[2]);
				r[x.operands[0].value] = (u32)v, r[x.operands[1].value] = v >> 32;
				break;
			}
			default: r[x.operands[0].value] = computed(x);
			}
		}
	}
};

} // namespace

void run_written(const void *args) {
	auto w = (const Written *)args;
	Thread(*w->text, *w->code, w->args).run();
}

} // namespace emulator
