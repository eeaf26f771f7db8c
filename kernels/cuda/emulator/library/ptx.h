// PTX as the emulator keeps it.
#pragma once
#include "emulator.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace emulator {

enum class Kind { Pred, U16, F16, BF16, U32, S32, U64, S64, F32, F64 };
enum class Run { Mov, Join, Part, JoinWords, PartWords, Add, Sub, Mul, Wide, Mad, Fma, Div, Rem, Rcp, Sqrt, Neg, Abs, Not, And, Or, Xor, Shl, Shr, Bfe, Setp, Selp, Cvt, Ld, St, Bra, Ret, Call, Shuffle };
enum class Test { Eq, Ne, Lt, Le, Gt, Ge, Nan };

struct Operand {
	enum { Register, Number, Special, Entry, Local } is = Number;
	bool address = false;
	u64 value = 0;
	i64 offset = 0;
};

struct Instruction {
	std::string op, how, label, text;
	std::vector<Operand> operands;
	int guard = -1, kinds = 0, lanes = 1;
	bool unless = false, unordered = false;
	Kind to = Kind::U32, from = Kind::U32; // of the first type named, and of the last
	Run run = Run::Mov;
	Test test = Test::Eq;
	size_t target = 0; // of a branch
};

// Body is a kernel, or a function that one calls.
struct Body {
	std::vector<Instruction> body;
	std::map<std::string, u32> names;
	std::map<std::string, u64> locals; // where they begin
	std::map<std::string, size_t> labels;
	std::set<std::string> params;
	std::vector<u32> inputs; // registers of the result and of what is given
	std::string entry_param;
	u64 bytes = 0, local_bytes = 0;
	u32 registers = 0;
	u32 reg(const std::string &name);
};

struct Text {
	std::map<std::string, Body> codes;
	std::map<std::string, std::vector<u8>> globals;
	std::string error; // the first line that is not known
};

// Written is what a thread of such a kernel is given.
struct Written {
	const Text *text;
	const Body *code;
	const void *args;
};

Text *read_text(const std::string &image);
void return_names(Body &c, const std::vector<std::string> &head);
bool prepare(Instruction &x);  // false if x is not known
void run_written(const void *args); // a Written

} // namespace emulator
