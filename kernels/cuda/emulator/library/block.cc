// Blocks of threads on one thread of the processor: each is a stack that is
// switched to, and left where it waits for others. A wait that can't end is
// found, as where the threads of a block part before sync.
#include "emulator.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace emulator {

Dim3 thread, block, block_size, grid_size;

namespace {

const size_t stack_bytes = 64 << 10;

enum State { Fresh, Ready, AtWarp, AtBlock, Done };

struct Fiber {
	void *sp = nullptr;
	char *stack = nullptr;
	State state = Fresh;
	u32 value = 0; // for exchange
};

std::vector<Fiber> fibers;
std::vector<char *> stacks; // that are free
Kernel kernel;
const void *args;
u32 now;          // the fiber that runs
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

static void start(Fiber &f) {
	if (stacks.empty()) stacks.push_back((char *)malloc(stack_bytes));
	f.stack = stacks.back();
	stacks.pop_back();
	void **top = (void **)((u64)(f.stack + stack_bytes) & ~(u64)15) - saved - 2; // so that begin finds it as a call leaves it
	memset(top, 0, (saved + 2) * sizeof(void *));
	top[back] = (void *)begin;
	f.sp = top;
}

static void resume(u32 t) {
	Fiber &f = fibers[t];
	if (f.state == Fresh) start(f);
	now = t;
	thread = {t % block_size.x, t / block_size.x % block_size.y, t / block_size.x / block_size.y};
	emulator_swap(&scheduler, f.sp);
	if (f.state == Done) stacks.push_back(f.stack);
}

// run_warp runs threads first to end until all wait for the block or are done;
// false if they wait for each other.
static bool run_warp(u32 first, u32 end) {
	for (;;) {
		u32 waiting = 0, live = 0;
		for (u32 t = first; t < end; t++) {
			if (fibers[t].state == Fresh || fibers[t].state == Ready) resume(t);
			live += fibers[t].state != Done;
			waiting += fibers[t].state == AtWarp;
		}
		if (waiting == 0) return true;
		if (waiting != live) return false;
		for (u32 t = first; t < end; t++)
			if (fibers[t].state == AtWarp) fibers[t].state = Ready;
	}
}

static bool run_block(u32 n) {
	for (auto &f : fibers) f = Fiber();
	for (;;) {
		for (u32 t = 0; t < n; t += 32)
			if (!run_warp(t, t + 32 < n ? t + 32 : n)) return false;
		u32 live = 0, waiting = 0;
		for (auto &f : fibers) live += f.state != Done, waiting += f.state == AtBlock;
		if (live == 0) return true;
		if (waiting != n) return false; // some left without the others
		for (auto &f : fibers) f.state = Ready;
	}
}

bool run_grid(Kernel k, const void *a, Dim3 grid, Dim3 size) {
	kernel = k, args = a, grid_size = grid, block_size = size;
	u32 n = size.x * size.y * size.z;
	fibers.assign(n, Fiber());
	for (block.z = 0; block.z < grid.z; block.z++)
		for (block.y = 0; block.y < grid.y; block.y++)
			for (block.x = 0; block.x < grid.x; block.x++)
				if (!run_block(n)) return false;
	return true;
}

} // namespace emulator
