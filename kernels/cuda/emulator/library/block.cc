// Blocks of threads on one thread of the processor: each is a stack that is
// switched to, and left where it waits for others. A wait that can't end is
// found, as where the threads of a block part before sync.
#include "ptx.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace emulator {

Dim3 thread, block, block_size, grid_size;
const char *why;
bool eager, backward, gave_up, by_warps;
alignas(1024) u8 room[most_room];
u32 room_bytes;
u64 conflicts;

namespace {

const size_t stack_bytes = 64 << 10;

enum State { Fresh, Ready, AtWarp, AtBlock, AtGate, Done, Stray };

struct Copy {
	void *to;
	const void *from;
	u32 bytes, n;
	u64 group;
};

struct Fiber {
	void *sp = nullptr;
	char *stack = nullptr;
	State state = Fresh;
	u32 value = 0; // for exchange
	u32 meetings = 0;
	u64 groups = 0; // of copies
	std::vector<Copy> copies;
	const u64 *gate = nullptr; // the barrier that is waited for
	u32 parity = 0, *late = nullptr;
};

std::vector<Fiber> fibers;
std::vector<char *> stacks; // that are free
Kernel kernel;
const void *args;
u32 now;          // the fiber that runs
u64 blocks;       // that have run
Post posts[2][1024];
void *scheduler;  // its stack pointer

} // namespace

// swap saves registers and the stack pointer at *from, and goes on where to was
// saved.
extern "C" void emulator_swap(void **from, void *to);
#if defined(__x86_64__)
asm(".text\n.globl emulator_swap\n.type emulator_swap,@function\nemulator_swap:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
static const int saved = 6, back = 6; // words, and which of them is the address
#elif defined(__aarch64__)
asm(".text\n.globl emulator_swap\n.type emulator_swap,%function\nemulator_swap:\n"
    "sub sp,sp,#160\nstp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\n"
    "stp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\nstp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
    "mov x2,sp\nstr x2,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
    "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\nldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
    "add sp,sp,#160\nret\n");
static const int saved = 20, back = 11;
#else
#error "the emulator switches stacks on x86-64 and arm64 only"
#endif

static void leave(State s) {
	Fiber &f = fibers[now];
	f.state = s;
	emulator_swap(&f.sp, scheduler);
}

static void begin() {
	kernel(args);
	if (async_left()) stray("a thread ends, and has wgmma that it never waited for");
	leave(Done);
	abort();
}

void wait_block() { leave(AtBlock); }

u32 wait_exchange(u32 v, u32 m) {
	u32 me = now;
	fibers[me].value = v;
	leave(AtWarp);
	u32 got = fibers[me ^ m].value;
	leave(AtWarp); // nobody writes again before all have read
	return got;
}

void stray(const char *reason) {
	if (by_warps) throw Fault{reason};
	why = reason;
	leave(Stray);
}

void wait_gate(const u64 *b, u32 parity, u32 *late) {
	Fiber &f = fibers[now];
	f.gate = b, f.parity = parity, f.late = late;
	leave(AtGate);
}

// There are two places for each thread, in turns: who writes one has left the
// meeting before, so that all have read the other.
const Post *meet(u32 what, const u32 *words) {
	Fiber &f = fibers[now];
	Post *all = posts[f.meetings++ % 2], *mine = &all[now];
	u32 first = now & ~31u, next = first + (now + 1) % 32;
	mine->meeting = blocks << 32 | f.meetings, mine->what = what;
	memcpy(mine->words, words, sizeof mine->words);
	leave(AtWarp);
	if (all[next].meeting != mine->meeting || all[next].what != what) stray("not all threads of a warp are at the same mma or ldmatrix");
	return all + first;
}

void count_conflicts(const Post *rows) {
	u32 banks = 0;
	for (int i = 0; i < 8; i++) banks |= 1u << rows[i].words[4] / 16 % 8;
	conflicts += banks != 0xff;
}

static void copy(const Copy &c) {
	memcpy(c.to, c.from, c.n);
	memset((u8 *)c.to + c.n, 0, c.bytes - c.n);
	wrote_shared(c.to, c.bytes);
	if (by_warps) copy_landed(now, (u32)((u8 *)c.to - room), c.bytes);
}

void copy_later(void *to, const void *from, u32 bytes, u32 n) {
	if (n && !inside((u64)from, n)) stray("cp.async reads what is not allocated");
	Fiber &f = fibers[now];
	Copy c = {to, from, bytes, n, f.groups};
	if (eager) copy(c);
	else f.copies.push_back(c);
}

void commit_copies() { fibers[now].groups++; }

void wait_copies(u32 left) {
	Fiber &f = fibers[now];
	size_t done = 0;
	for (; done < f.copies.size() && f.copies[done].group + left < f.groups; done++) copy(f.copies[done]);
	f.copies.erase(f.copies.begin(), f.copies.begin() + done);
}

static void start(Fiber &f) {
	if (stacks.empty()) stacks.push_back((char *)malloc(stack_bytes));
	f.stack = stacks.back();
	stacks.pop_back();
	void **top = (void **)((u64)(f.stack + stack_bytes) & ~(u64)15) - saved - 2; // so that begin finds it as a call leaves it
	memset(top, 0, (saved + 2) * sizeof(void *));
	top[back] = (void *)begin;
	f.sp = top;
}

void be(u32 t) {
	now = t;
	thread = {t % block_size.x, t / block_size.x % block_size.y, t / block_size.x / block_size.y};
}

static void resume(u32 t) {
	Fiber &f = fibers[t];
	if (f.state == Fresh) start(f);
	be(t);
	emulator_swap(&scheduler, f.sp);
	if (f.state == Done) stacks.push_back(f.stack);
}

// opened reports whether a thread has nothing to wait for.
static bool opened(const Fiber &f) { return f.state == Fresh || f.state == Ready || (f.state == AtGate && barrier_passed(f.gate, f.parity)); }

// run_warp runs threads first to end until all wait for others than themselves or are
// done; false if none could run.
static bool run_warp(u32 first, u32 end) {
	for (bool ran = false;; ran = true) {
		u32 waiting = 0, live = 0, running = 0;
		for (u32 i = first; i < end; i++) {
			u32 t = backward ? first + end - 1 - i : i;
			if (opened(fibers[t])) resume(t), running++;
			live += fibers[t].state != Done;
			waiting += fibers[t].state == AtWarp;
		}
		if (waiting && waiting == live) {
			for (u32 t = first; t < end; t++)
				if (fibers[t].state == AtWarp) fibers[t].state = Ready;
		} else if (!running) {
			return ran;
		}
	}
}

// give_up opens a barrier to those who would not wait for ever; false if there are none.
static bool give_up() {
	bool any = false;
	for (auto &f : fibers)
		if (f.state == AtGate && f.late) *f.late = 1, f.state = Ready, any = gave_up = true;
	return any;
}

void fresh_block(u32 n) {
	fibers.resize(n);
	for (auto &f : fibers) f = Fiber();
	blocks++, gave_up = false;
	memset(room, 0xff, room_bytes);
	begin_async(n);
}

static bool run_block(u32 n) {
	fresh_block(n);
	for (;;) {
		bool ran = false;
		for (u32 i = 0, warps = (n + 31) / 32; i < warps; i++) {
			u32 t = 32 * (backward ? warps - 1 - i : i);
			ran |= run_warp(t, t + 32 < n ? t + 32 : n);
		}
		u32 live = 0, waiting = 0;
		for (auto &f : fibers) live += f.state != Done, waiting += f.state == AtBlock;
		if (live == 0) return true;
		if (waiting == n)
			for (auto &f : fibers) f.state = Ready;
		else if (!ran && !give_up()) // some left without the others
			return false;
	}
}

bool run_grid(Kernel k, const void *a, Dim3 grid, Dim3 size) {
	kernel = k, args = a, grid_size = grid, block_size = size, why = "threads of a block wait for ever";
	u32 n = size.x * size.y * size.z;
	fibers.assign(n, Fiber());
	u64 all = (u64)grid.x * grid.y * grid.z;
	for (u64 i = 0; i < all; i++) {
		u64 b = backward ? all - 1 - i : i;
		block = {(u32)(b % grid.x), (u32)(b / grid.x % grid.y), (u32)(b / grid.x / grid.y)};
		if (!run_block(n)) return false;
	}
	return true;
}

} // namespace emulator
