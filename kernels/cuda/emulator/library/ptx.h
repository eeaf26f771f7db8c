// PTX as the emulator keeps and runs it: warps of 32 threads, whose registers lie side by side.
#pragma once
#include "emulator.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace emulator {

struct Warp;
struct Op;
struct Body;
struct Text;
typedef void (*Do)(Warp &, const Op &);

// Turn says what an instruction has to do with others than its threads: nothing, it is where threads may part,
// it needs all threads of a warp or of a block, or it asks for what others do.
enum class Turn : u8 { Plain, Branch, Exit, Together, Block, Ask };

enum class Space : u8 { Generic, Global, Shared, Local, Param };

// Type of an operand: its kind, s, u, f, b or p, h for f16 and g for bf16, and its bytes.
struct Type {
	char kind = 'b';
	u8 size = 0;
};

// Place is where a register, or a number that is kept as one, lies in a warp's file: an element for each lane.
// Of a predicate there is one word with a bit for each lane.
struct Place {
	u32 at = 0;
	u8 size = 0;
};

// Op is an instruction.
struct Op {
	Do run = nullptr;
	Turn turn = Turn::Plain;
	Space space = Space::Generic;
	Type to, from;
	u8 mode = 0; // what else the instruction's name says
	bool guarded = false, unless = false, unseen = false; // unseen: a wait that does not count
	u32 guard = 0, target = 0;
	Place d, a, b, c;
	i64 offset = 0, from_offset = 0; // the second of where a copy reads
	std::vector<Place> list; // of vectors and matrices
	std::vector<u32> sums, held; // of wgmma: places of its sums and of an operand in registers, in words
	u32 line = 0;            // of the body's text
	mutable u64 low = 0, high = 0, era = 0; // memory that it met last, and when
};

// Fixed is a number in a warp's file.
struct Fixed {
	Place place;
	u64 value;
	bool after_shared; // the value is counted from where the shared memory that launches ask for begins
};

enum Special : u32 { TidX, TidY, TidZ, NtidX, NtidY, NtidZ, CtaidX, CtaidY, CtaidZ, NctaidX, NctaidY, NctaidZ, Lane, Specials };

// Body is a kernel.
struct Body {
	const Text *text = nullptr;
	std::string name;
	std::vector<Op> code;
	std::vector<std::string> lines; // what the code was
	std::vector<Fixed> fixed;
	u32 special[Specials] = {};     // places, 0 of those that nobody reads
	u64 bytes = 0;                  // of the parameter
	u32 waits = 0; // instructions that wait for others
	u32 file = 64, local = 0, shared = 0, dynamic_align = 16, most_threads = 1024;
};

const u64 param_begins = 1 << 12; // the address of a kernel's parameter

// Function is one that kernels call; its body becomes part of theirs.
struct FunctionText {
	std::string result, body;
	std::vector<std::string> params;
};

// Variable is memory that the text declares.
struct Variable {
	Space space = Space::Global;
	u32 bytes = 0, align = 1;
	bool dynamic = false;
	std::vector<u8> data;
};

struct Text {
	std::map<std::string, std::unique_ptr<Body>> kernels;
	std::map<std::string, FunctionText> functions;
	std::map<std::string, Variable> variables;
	std::string error; // the first line that is not known
	bool holds(u64 p, u64 n) const; // in one of its variables
};

// read_text reads PTX; what it read before it has still.
const Text *read_text(const std::string &image);

// translate finds what does an instruction: its name in parts, and operands that parse found.
struct Source {
	std::vector<std::string> name;     // parts between dots
	std::vector<std::vector<std::string>> operands; // each of one word, or of those in braces
	bool has(const char *part) const;
};
struct Scope; // see ptx_scope.h
bool translate(Scope &s, Body &b, const Source &x, Op &o);
bool translate_memory(Scope &s, Body &b, const Source &x, Op &o);
bool translate_tensor(Scope &s, Body &b, const Source &x, Op &o);
bool convert(Op &o, const Source &x);
Do mover(Type t);

// place_of is the register or number that a word names, as operands of that type have it.
Place place_of(Scope &s, Body &b, const std::string &word, Type t);
// address reads [word+offset] into o.a and o.offset.
void address(Scope &s, Body &b, const std::string &word, Op &o);
Type type_of(const std::string &part);
const Type U32 = {'u', 4};

// Group is threads of a warp that are at the same place.
struct Group {
	u32 mask, pc;
	bool held = false, asking = false; // until others come, or do what it asks for
};

struct Warp {
	const Body *body = nullptr;
	const void *args = nullptr;
	u8 *file = nullptr, *local = nullptr;
	u32 first = 0;               // its first thread
	u32 live = 0, active = 0;    // who has not ended; who does the instruction
	Group now = {};
	std::vector<Group> others;
	enum { Ready, AtBlock, Asking, Done } state = Ready;
	bool asked = false;          // what it asked for was so
	bool unseen = false;         // the wait that it is at does not count
	u32 index = 0;               // among the block's

	template <class T> T *r(Place p) { return (T *)(file + p.at); }
	u32 &bits(Place p) { return *(u32 *)(file + p.at); }
};

// Fault ends a kernel.
struct Fault {
	const char *why;
};

// be makes a thread the one that functions which know of one at a time take for it.
void be(u32 t);

// host is where n bytes lie that a lane means, checked.
enum class Access : u8 { Read, Write, Atomic };
u8 *host(Warp &w, const Op &o, u32 lane, u32 n, Access how);

// address_in is where a lane means 8 bytes of shared memory.
u64 address_in(Warp &w, const Op &o, u32 lane);

// events counts what somebody may wait for; clock_now is what %globaltimer says, nanoseconds.
extern u64 events;
extern u64 clock_now;

// allocation finds the one that n bytes at p lie in; era counts those that came and went.
bool allocation(u64 p, u64 n, u64 &low, u64 &high);
extern u64 era;

// run_text runs a kernel; false if it fails, and why says so.
bool run_text(const Body &k, const void *args, Dim3 grid, Dim3 block, u32 shared);

// What happens in shared memory, for races: see ptx_race.cc.
void race_begin(u32 warps);
void race_access(Warp &w, u32 lane, u32 at, u32 n, Access how);
void race_warp(Warp &w);
void race_block(u32 warps);
void race_arrive(Warp &w, u64 barrier);
void race_passed(Warp &w, u64 barrier);
void race_copy(Warp &w, u32 lane, u32 at, u32 n, bool arrives);
extern bool copies_unseen; // that are waited for now

// What blocks do with the memory of the device: see ptx_blocks.cc.
void blocks_begin();
void blocks_next(u32 number);
void blocks_access(Warp &w, u32 lane, u64 p, u32 n, Access how);

// Counts are of a kernel: see ptx_profile.cc. Blocks may be more than were run.
struct Counts {
	u64 blocks = 0, run = 0, instructions = 0, lanes = 0, sectors = 0, sectors_least = 0, waves = 0, waves_least = 0;
};
extern Counts *profile;
void profile_memory(const u64 *at, u32 lanes, u32 n);
void profile_kernel(const std::string &name, u64 blocks, u64 run);
const char *profile_text(); // a line for each kernel; counts begin anew

#define LANES(m, i) for (u32 left_ = (m), i; left_ && (i = __builtin_ctz(left_), true); left_ &= left_ - 1)

} // namespace emulator
